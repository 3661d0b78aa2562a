"""A probe push: does git, with whatever hook manager stands between, start this hook here?

`git push --dry-run` of HEAD to an empty repository of ours, with `ORCHESTRATOR_PROBE` set. The hook answers
by leaving a file and always refuses, so that nobody gets round it by that variable.
"""

import os
import shutil
import tempfile

from orchestrator_action.hook.fast_git import git, run_program
from orchestrator_action.hook.push import PROBE

PROBE_BRANCH = "orchestrator-probe"
PROBE_PATIENCE_S = 60.0


def is_started() -> tuple[bool, str]:
    """Whether a push from the current directory starts the hook, and why that cannot be told, if so."""
    if git("rev-parse", "--verify", "--quiet", "HEAD^{commit}")[0]:
        return False, "there is no commit yet, so a probe push is impossible"
    folder = tempfile.mkdtemp(prefix="orchestrator-probe-")
    try:
        sha256 = len(git("rev-parse", "HEAD")[1].strip()) == 64
        form = ("--object-format=sha256",) if sha256 else ()
        target = os.path.join(folder, "empty.git")
        plain = {
            k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
        }
        if run_program(("git", "init", "-q", "--bare", "--template=", *form, target), env=plain)[0]:
            return False, "no repository for a probe push could be made"
        env = {**os.environ, PROBE: folder}
        env.pop("ORCHESTRATOR_SKIP", None)
        refspec = f"HEAD:refs/heads/{PROBE_BRANCH}"
        code, _ = git("push", "--dry-run", "-q", target, refspec, env=env, timeout_s=PROBE_PATIENCE_S)
        if os.path.exists(os.path.join(folder, "started")):
            return True, ""
        return False, f"a probe push took longer than {PROBE_PATIENCE_S:g} s" if code == -9 else ""
    finally:
        shutil.rmtree(folder, ignore_errors=True)
