"""Put the hook in place, take it away, and say how it stands.

What is installed is a `#!/bin/sh` file that knows this interpreter, the one that starts fastest, and the hook's
door. An
earlier hook is kept beside it and run after our pass; uninstall puts it back, byte for byte. A directory
that `core.hooksPath` names belongs to somebody else (husky, a company's template) and is never written
to: with git 2.54 or newer the hook goes into the repository's own configuration, otherwise the user is
told the one line to add. A hook we did not write, or that was edited, is never overwritten.
"""

import os
import re
import stat
import sys

from orchestrator_action.errors import ConfigError, GitError
from orchestrator_action.hook import gate_checkout as slots
from orchestrator_action.hook import journal
from orchestrator_action.hook.fast_git import (
    PushSite,
    find_site,
    git,
    lines_of,
    read_file,
    tell_user,
    write_file,
)
from orchestrator_action.hook.fast_start import find_fastest
from orchestrator_action.hook.passes import short_digest

HOOK = "pre-push"
KEPT = f"{HOOK}.orchestrator-kept"
STUB_MARK = b"# orchestrator-action pre-push hook, version "
CONFIG_HOOKS_SINCE = (2, 54)
"""`hook.<name>.command` and `.event`. Source: git-scm.com/docs/git-hook/2.54.0."""
SECTION = "hook.orchestrator-action"
LINE = 'orchestrator-action hook pre-push "$@"'
"""What other hook managers run; the refs come on stdin."""


def _template() -> bytes:
    folder = os.path.dirname(os.path.abspath(__file__))
    text = read_file(os.path.join(folder, HOOK))
    if text is None:
        raise ConfigError(f"{folder}/{HOOK} is missing", hint="install orchestrator-action again")
    return text


def stub(fast: str) -> bytes:
    """The file that gets installed: with this interpreter, `fast`, this package's door, and its own digest."""
    filled = _template()
    for name, path in ((b"python", sys.executable), (b"fast", fast), (b"door", door())):
        filled = filled.replace(name + b"=''", name + b"=" + _quoted(path), 1)
    return filled.replace(b"# digest: -", b"# digest: " + _digest(filled), 1)


def door() -> str:
    """The file that the hook calls."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "hook.py")


def _digest(text: bytes) -> bytes:
    """Of everything but the paths and the digest itself."""
    plain = re.sub(rb"(?m)^(python=|fast=|door=|# digest: ).*$", rb"\1", text)
    return short_digest(plain, 8).encode()


def _path_in(text: bytes, name: str) -> str:
    """A path as it stands in an installed hook; empty when there is none."""
    match = re.search(rb"(?m)^" + name.encode() + rb"='(.*)'$", text)
    return os.fsdecode(match[1]).replace("'\\''", "'") if match else ""


def _quoted(path: str) -> bytes:
    return os.fsencode("'" + path.replace("'", "'\\''") + "'")


def _is_ours(text: bytes | None) -> bool:
    return text is not None and STUB_MARK in text


def _is_edited(text: bytes) -> bool:
    """Whether a hook of ours, of this version or an older one, is not as it was installed."""
    stated = re.search(rb"(?m)^# digest: (\w+)$", text)
    return text != _template() and (stated is None or stated[1] != _digest(text))


class Where:
    """Where this repository's hooks are. `foreign`: the hooks path somebody else configured, or empty."""

    def __init__(self, where: PushSite) -> None:
        self.place = where
        own = os.path.join(where.common, "hooks")
        _, out = git("rev-parse", "--path-format=absolute", "--git-path", "hooks")
        active = os.fsdecode(out).rstrip("\n") or own
        self.foreign = "" if os.path.realpath(active) == os.path.realpath(own) else active
        if not self.foreign and _is_tracked_folder(own, where):
            self.foreign = os.path.realpath(own)
        self.hook = os.path.join(own, HOOK)
        self.kept = os.path.join(own, KEPT)
        self.script = os.path.join(where.state, HOOK)
        """What a config hook runs: outside every hooks directory."""

    def config_hook(self) -> str:
        """The command of our config hook, or an empty string."""
        return os.fsdecode(git("config", "--local", "--get", f"{SECTION}.command")[1]).rstrip("\n")


def _is_tracked_folder(own: str, where: PushSite) -> bool:
    """Whether `.git/hooks` leads into the checkout: a file with this machine's paths must not go there."""
    real, top = os.path.realpath(own), os.path.realpath(where.top) if where.top else ""
    inside_git = real.startswith(f"{os.path.realpath(where.common)}/")
    return bool(top) and real.startswith(f"{top}/") and not inside_git


def git_version() -> tuple[int, ...]:
    """As `(2, 39, 5)`."""
    found = re.search(rb"(\d+)\.(\d+)(?:\.(\d+))?", git("version")[1])
    return tuple(int(part) for part in found.groups() if part) if found else (0,)


def install_hook() -> int:
    """Install the hook in the repository of the current directory; doing it twice changes nothing."""
    where = Where(find_site())
    if where.foreign:
        return _install_as_config(where)
    text = read_file(where.hook)
    if text is not None and _is_ours(text):
        if _is_edited(text):
            raise ConfigError(
                f"{where.hook} is this hook, edited by hand",
                hint=f"move your change elsewhere, rm '{where.hook}', then: orchestrator-action hook install",
            )
    elif os.path.lexists(where.hook):
        if os.path.lexists(where.kept):
            raise ConfigError(
                f"{where.hook} was replaced by another hook, and {where.kept} holds an earlier one",
                hint="keep one of the two, remove the other, and install again",
            )
        os.rename(where.hook, where.kept)
        tell_user(f"orchestrator: the earlier hook is kept as {where.kept} and runs after a pass")
    _write_script(where.hook)
    _begin(where)
    tell_user(f"orchestrator: pre-push hook installed: {where.hook}")
    return 0


def _write_script(path: str) -> None:
    """Write the hook, unless it is there. Its interpreter is looked for once, so that twice is as once."""
    there = read_file(path) or b""
    if there != stub(_path_in(there, "fast")) or not os.access(path, os.X_OK):
        write_file(path, stub(find_fastest(sys.executable, door())))
        os.chmod(path, 0o755)  # noqa: S103 - as git makes its own hooks


def _install_as_config(where: Where) -> int:
    if git_version() < CONFIG_HOOKS_SINCE:
        raise ConfigError(
            f"hooks are in {where.foreign}, which belongs to somebody else or to the checkout; "
            f"with git {'.'.join(map(str, git_version()))} a hook cannot live beside it",
            hint=f"add this line to {where.foreign.removesuffix('/_')}/{HOOK}: {LINE}"
            "  (or `git config --unset core.hooksPath`, or git 2.54)",
        )
    _write_script(where.script)
    for key, value in (("command", _quoted(where.script).decode()), ("event", HOOK)):
        if git("config", "--local", f"{SECTION}.{key}", value, stderr=2)[0]:
            raise GitError("the repository's configuration cannot be written", hint="look at .git/config")
    _begin(where)
    tell_user(f"orchestrator: pre-push hook installed in .git/config ({SECTION}), beside {where.foreign}")
    return 0


def _begin(where: Where) -> None:
    """Put on record what the remotes had when the hook came: `audit` accounts for what follows."""
    state = where.place.state
    if any(entry.word == journal.INSTALLED for entry in journal.read_lines(state)):
        return
    _, out = git("for-each-ref", "--format=%(refname) %(objectname)", "refs/remotes")
    tips = [line.rsplit(" ", 1) for line in lines_of(out)]
    journal.append_lines(state, journal.BEFORE, "", [(ref, oid) for ref, oid in tips])
    journal.append_lines(state, journal.INSTALLED, "", [("", "")])


def uninstall_hook() -> int:
    """Remove the hook and its slots; an earlier hook comes back as it was. The record for `audit` stays."""
    where = Where(find_site())
    text = read_file(where.hook)
    config = where.config_hook()
    if text is None and not config and not os.path.lexists(where.hook):
        tell_user("orchestrator: no pre-push hook of ours is installed")
        return 0
    if os.path.lexists(where.hook) and not _is_ours(text) and not config:
        raise ConfigError(
            f"{where.hook} is not ours; nothing was changed",
            hint="uninstall the tool that wrote it first, or remove our line from it",
        )
    if text is not None and _is_ours(text) and _is_edited(text):
        raise ConfigError(
            f"{where.hook} was edited by hand; nothing was changed",
            hint=f"save your change, then: rm '{where.hook}'",
        )
    slots.remove_trees(where.place)
    if text is not None and _is_ours(text):
        if os.path.lexists(where.kept):
            os.rename(where.kept, where.hook)
            tell_user(f"orchestrator: the earlier hook is back: {where.hook}")
        else:
            os.unlink(where.hook)
    if config:
        git("config", "--local", "--remove-section", SECTION)
        slots.remove_tree(where.script)
    for name in ("base", "base.git", "durations", "logs", "passes", "policy", "setup"):
        slots.remove_tree(os.path.join(where.place.state, name))
    tell_user("orchestrator: pre-push hook removed")
    return 0


def hook_findings() -> list[str]:
    """Everything that keeps the hook from doing its work, each with its cure; empty when it is in order."""
    where = Where(find_site())
    text = read_file(where.hook)
    if where.config_hook():
        return _config_findings(where)
    if where.foreign:
        foreign = read_file(os.path.join(where.foreign, HOOK)) or b""
        beside = read_file(os.path.join(where.foreign.removesuffix("/_"), HOOK)) or b""
        if b"orchestrator-action hook pre-push" in foreign + beside:
            return []
        state = "shadowed" if _is_ours(text) else "not installed"
        return [f"{state}: core.hooksPath sends git to {where.foreign}; add to its {HOOK}: {LINE}"]
    if text is None and not os.path.lexists(where.hook):
        return ["not installed: run orchestrator-action hook install"]
    if not _is_ours(text):
        return [_displaced(where)]
    assert text is not None
    return _file_findings(where.hook, text)


def _file_findings(path: str, text: bytes) -> list[str]:
    found = []
    if _is_edited(text):
        found.append(f"edited: {path} is not what was installed; remove it and install again")
    mode = os.stat(path).st_mode
    if not mode & stat.S_IXUSR:
        found.append(f"not executable: git ignores {path}; run: chmod +x '{path}'")
    for name in ("python", "door"):
        target = _path_in(text, name)
        if target and not os.path.exists(target):
            found.append(f"broken: {target} is gone; run orchestrator-action hook install")
    if text != stub(_path_in(text, "fast")) and not found:
        found.append(
            "outdated: written by another version or installation; run orchestrator-action hook install"
        )
    return found


def _config_findings(where: Where) -> list[str]:
    text = read_file(where.script)
    if git_version() < CONFIG_HOOKS_SINCE:
        return [f"shadowed: git {'.'.join(map(str, git_version()))} knows no config hooks; install again"]
    if text is None:
        return [f"broken: {where.script} is gone; run orchestrator-action hook install"]
    enabled = git("config", "--type=bool", "--get", f"{SECTION}.enabled")[1].strip()
    off = [f"off: {SECTION}.enabled is false"] if enabled == b"false" else []
    return off + _file_findings(where.script, text)


def _displaced(where: Where) -> str:
    """Another hook stands in our place: whose, and whether it still runs ours."""
    folder = os.path.dirname(where.hook)
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name != HOOK and name.startswith(HOOK) and _is_ours(read_file(path)):
            return (
                f"displaced: {where.hook} is another tool's; ours is now {path}, which only that tool can run"
            )
    if b"orchestrator-action hook pre-push" in (read_file(where.hook) or b""):
        return ""
    return f"displaced: {where.hook} is not ours; run orchestrator-action hook install to run both"


def hook_manager_of(where: Where) -> str:
    """Which tool owns the hook that git starts here; an empty string when none is known."""
    path = os.path.join(where.foreign or os.path.dirname(where.hook), HOOK)
    text = read_file(path) or b""
    if b"husky" in text or ".husky" in path:
        return "husky"
    return next((name for name in ("lefthook", "prek", "pre-commit") if name.encode() in text), "")


def print_status() -> int:
    """Print whether the hook is in force, and what it demands: 0 when a push starts it as installed, else 1."""
    from orchestrator_action.hook.demands import demands_in_words
    from orchestrator_action.hook.probe import is_started

    where = Where(find_site())
    found = [line for line in hook_findings() if line]
    elsewhere = [line for line in found if line.startswith(("not installed", "displaced", "shadowed"))]
    started, doubt = is_started()
    if not started or found != elsewhere:
        print("\n".join(found or [f"not in force: {doubt or 'a probe push did not start it'}"]))
        if started and not doubt:
            print("a push starts it all the same")
        elif found and doubt:
            print(doubt)
        return 1
    if elsewhere or where.foreign:
        how = f"by {hook_manager_of(where) or 'another hook'}"
    else:
        how = "as a config hook" if where.config_hook() else where.hook
    earlier = f"; then the earlier hook, {where.kept}" if os.path.lexists(where.kept) else ""
    print("\n".join([f"installed: {how}{earlier}", *demands_in_words()]))
    if not os.path.exists(os.path.join(where.place.state, "journal")):
        print("no push has been judged yet")
    return 0
