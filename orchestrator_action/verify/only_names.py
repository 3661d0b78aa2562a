"""Which test files of a branch say the same as at the base, with some names exchanged for others. Pure."""

from __future__ import annotations

from orchestrator_action.verify.change_runs import ChangeRuns
from orchestrator_action.verify.ecosystems.testfiles import test_names
from orchestrator_action.verify.renamed import only_names_differ


class Renamed(dict[str, str]):
    """Paths of such files at the base, each with its path at the head."""

    whole: bool = False
    """Whether every test file that the branch takes away or changes is such a one."""


def only_renamed(runs: ChangeRuns) -> Renamed:
    """A file that git takes for another, as it is short or was renamed with all that it names, is found, too."""
    olds = {path: old for path, (old, _) in runs.test_texts.items() if old and runs.tests.is_test(path)}
    free = {path: new for path, (old, new) in runs.test_texts.items() if new and not old}
    found = Renamed()
    for path, old in olds.items():
        now = runs.renames.get(path, path)
        own = {now: runs.test_texts[now][1]} if now in runs.test_texts else {}
        for there, new in (own if any(own.values()) else free).items():
            names = [test_names(p, text) for p, text in ((path, old), (there, new))]
            if new and only_names_differ(old, new, *names):
                found[path] = there
                free.pop(there, None)
                break
    found.whole = bool(found) and len(found) == len(olds)
    return found
