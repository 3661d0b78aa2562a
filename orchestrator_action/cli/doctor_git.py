"""What `doctor` looks at in git: what would keep a commit from being made, or a branch from being pushed."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from orchestrator_action.cli.doctor_row import Row
from orchestrator_action.config.schema import BRANCH_PREFIX, CONFIG_PATH, NEAR_MISS
from orchestrator_action.git.repo import Git
from orchestrator_action.sandbox.start import TimeoutExpired, run_to_end

COMMIT_HOOKS = ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit")
_TOOLS = frozenset({
    "bun", "bunx", "bundle", "cargo", "composer", "deno", "dotnet", "go", "gradle", "husky", "lefthook",
    "lint-staged", "make", "mvn", "node", "npm", "npx", "php", "pnpm", "poetry", "pre-commit", "python", "python3",
    "rake", "ruby", "uv", "uvx", "yarn",
})  # fmt: skip
"""Programs that a hook may start; any other word of a shell script may be a word of the shell."""


def git_rows(git: Git) -> list[Row]:
    """A row for each thing in the way, and none where nothing is."""
    return [*_near_miss(git), *_signing(git), *_hooks(git), *_branch(git)]


def _near_miss(git: Git) -> list[Row]:
    if git.work_tree is None or not (git.work_tree / NEAR_MISS).exists():
        return []
    found = f"{NEAR_MISS} is not read: it is called {CONFIG_PATH}"
    return [Row(what="configuration", found=found, ok=False, hint=f"git mv {NEAR_MISS} {CONFIG_PATH}")]


def _signing(git: Git) -> list[Row]:
    """`commit.gpgsign` with a key that cannot be used without a person: every commit of an agent would fail."""
    settings = git.config()
    if settings.get("commit.gpgsign", "").lower() not in {"true", "1", "yes", "on"}:
        return []
    key, kind = settings.get("user.signingkey", ""), settings.get("gpg.format", "openpgp")
    known = {"openpgp": "gpg", "ssh": "ssh-keygen", "x509": "gpgsm"}.get(kind, kind)
    program = settings.get(f"gpg.{kind}.program") or settings.get("gpg.program") or known
    why = ""
    if shutil.which(program) is None:
        why = f"{program} is not installed"
    elif not key:
        why = "user.signingkey names no key"
    elif kind == "ssh" and not key.startswith("key::") and not Path(key).expanduser().is_file():
        why = f"there is no key {key}"
    elif kind == "openpgp" and not _has_secret_key(program, key, git.env):
        why = f"{program} has no secret key {key}"
    if not why:
        return []
    hint = "git config commit.gpgsign false, or give the runner a key it can use without a person"
    return [Row(what="commits", found=f"commit.gpgsign is set, and {why}", ok=False, hint=hint)]


def _has_secret_key(program: str, key: str, env: Mapping[str, str]) -> bool:
    try:
        done = run_to_end([program, "--batch", "--list-secret-keys", key], env=env, timeout_s=10)
    except (OSError, TimeoutExpired):
        return False
    return done.returncode == 0


def _hooks(git: Git) -> list[Row]:
    folder = git.config().get("core.hookspath", "")
    hooks = (git.work_tree or git.common_dir) / folder if folder else git.common_dir / "hooks"
    rows = []
    for name in COMMIT_HOOKS:
        lacking = sorted(p for p in _programs(hooks / name) if shutil.which(p) is None)
        if lacking:
            names = ", ".join(lacking)
            found = (
                f"the hook {name} needs {names}, which {'is' if len(lacking) == 1 else 'are'} not installed"
            )
            rows.append(Row(what="commits", found=found, ok=False, hint="install it, or let `setup` do that"))
    return rows


def _programs(hook: Path) -> set[str]:
    """The programs that a hook starts, as far as its text tells."""
    try:
        text = hook.read_text(encoding="utf-8", errors="replace")[:65536]
    except OSError:
        return set()
    found = set()
    if shebang := re.match(r"#!\s*(\S+)(?:[ \t]+(\S+))?", text):
        program = shebang[2] if shebang[1].endswith("/env") and shebang[2] else shebang[1]
        found.add(program)
    for line in text.splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        first = next((w for w in words if w != "exec" and "=" not in w), "")
        found |= {first} & _TOOLS
    return found


def _branch(git: Git) -> list[Row]:
    """A branch that is called like the folder of ours: git keeps refs as files, so no task could be pushed."""
    name = BRANCH_PREFIX.rstrip("/")
    refs = {f"refs/heads/{name}", *(f"refs/remotes/{r}/{name}" for r in git.text("remote").split())}
    there = sorted(r for r in refs if git.rev_parse(r))
    if not there:
        return []
    hint = f"rename it: git branch -m {name} {name}-old, and git push origin :{name}"
    found = f"the branch {name!r} is in the way of {BRANCH_PREFIX}…: {', '.join(there)}"
    return [Row(what="branches", found=found, ok=False, hint=hint)]
