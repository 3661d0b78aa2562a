"""The suite at a base commit: run once for all tasks that grow from it, and remembered across runs.

It may be started before an agent is and go on beside the agents; only verdicts wait for it. Remembered is what
passed, by the base's tree, the commands, the environment and the level of isolation: what was red may have been
red by chance, and is measured again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
from collections.abc import Callable, MutableMapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator_action.errors import OrchestratorError
from orchestrator_action.process.files import replace_file
from orchestrator_action.protocol.model import Ending
from orchestrator_action.verify.bench import Bench
from orchestrator_action.verify.test_run import TestRun, read_end

log = logging.getLogger(__name__)

LOOK_S = 0.2
"""How often a running suite's output is looked at for its first test."""
VERSION = 1
"""Of what is remembered; another version's is not read."""
_FIRST = re.compile(
    r"^(?!.*\bELIFECYCLE\b|npm (?:ERR!|error)|error Command failed)"
    r"(?:[.FEsxX]+(?:\s|$)|.*\b(?:PASSED|FAILED|PASS|FAIL|passed|failed)\b|\s*(?:not )?ok\b|--- (?:PASS|FAIL|SKIP)"
    r"|\s*[✔✓✗✘✖×√]|test .* \.\.\. |.* \.\.\. (?:ok|FAIL|ERROR|skipped)\b|\s*\d+/\d+ Test|ok\s|Running .*|[.*SF]{3,})",
    re.MULTILINE,
)
"""What runners print when a test has ended, but for the words in which npm and pnpm say that a script has failed."""
_SUITE = TypeAdapter(TestRun)
_WRITTEN_BY_US = frozenset({"PWD", "OLDPWD", "SHLVL", "_", "HOME", "TMPDIR", "ORCHESTRATOR_ATTEMPT"})
"""Variables that differ from run to run and change no test."""


class BaseSuite:
    """The suite at one base commit. Whoever asks for the result first runs it, unless it was started."""

    def __init__(self, bench: Bench, base: str, *, memory: Path | None = None, level: str = "") -> None:
        """`memory` is a folder of ours for what is remembered; `level` the isolation that tests run in."""
        self._bench, self._base = bench, base
        self._file = memory / f"{_key(bench, base, level)}.json" if memory else None
        self._lock = threading.Lock()
        self._future: Future[TestRun] | None = None
        self.remembered = False
        """Whether the result is of an earlier run."""

    def start(self) -> None:
        """Begin to measure in a thread of its own; does nothing when it has begun."""
        if (future := self._begin()) is not None:
            threading.Thread(target=self._measure, args=(future,), name="base-suite", daemon=True).start()

    def result(self) -> TestRun:
        """The suite at the base, when it has ended. Raises OrchestratorError when it could not be run."""
        if (future := self._begin()) is not None:
            self._measure(future)
        assert self._future is not None
        return self._future.result()

    def first_test_ended(self, within_s: float = 180.0) -> bool:
        """Wait until a first test has ended, or the whole suite has; False when the time is over before.

        Raises OrchestratorError when the suite could not be run.
        """
        self.start()
        assert self._future is not None
        for _ in range(max(1, int(within_s / LOOK_S))):
            try:
                self._future.result(timeout=LOOK_S)
            except TimeoutError:
                if self._shows_a_test():
                    return True
                continue
            return True
        return False

    @property
    def ended(self) -> bool:
        """Whether the whole suite has ended."""
        return self._future is not None and self._future.done()

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, however it ends, at most so long."""
        if self._future is not None:
            with suppress(TimeoutError):
                self._future.exception(timeout=seconds)

    def _begin(self) -> Future[TestRun] | None:
        """The promise of a result, for whoever has to keep it; None when somebody else does."""
        with self._lock:
            if self._future is not None:
                return None
            self._future = Future()
            if known := self._recall():
                self._future.set_result(known)
                return None
            return self._future

    def _measure(self, future: Future[TestRun]) -> None:
        try:
            run = self._bench.suite(self._base)
        except BaseException as exc:
            future.set_exception(exc)
            if not isinstance(exc, OrchestratorError):
                log.exception("the base's suite could not be measured base=%s", self._base)
            return
        self._remember(run)
        future.set_result(run)

    def _recall(self) -> TestRun | None:
        if self._file is None:
            return None
        try:
            run = _SUITE.validate_json(self._file.read_bytes())
        except (OSError, ValidationError, ValueError):
            return None
        self.remembered = True
        return run

    def _remember(self, run: TestRun) -> None:
        ended = all(r.outcome.ending is Ending.EXITED for r in run.runs)
        if self._file is None or not run.runs or not run.passed or not ended:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(self._file, _SUITE.dump_json(run).decode())
        except OSError as exc:
            log.warning("the base's suite is not remembered file=%s: %s", self._file, exc)

    def _shows_a_test(self) -> bool:
        folder = self._bench.evidence_dir
        logs = folder.glob(f"tests-{self._base[:12]}*/command-*.log") if folder.is_dir() else ()
        return any(_FIRST.search(read_end(file, 1 << 16)) for file in logs)


class KnownSuite(BaseSuite):
    """A suite that was measured on another machine; nothing is run here."""

    def __init__(self, run: TestRun) -> None:
        self._lock, self.remembered = threading.Lock(), True
        self._future = Future()
        self._future.set_result(run)


def _key(bench: Bench, base: str, level: str) -> str:
    env = {k: v for k, v in bench.env.items() if k not in _WRITTEN_BY_US}
    said = [VERSION, bench.git.tree(base), list(bench.commands), sorted(env.items()), level]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def shared_base(
    known: MutableMapping[tuple[str, tuple[str, ...]], object],
    base: str,
    commands: Sequence[str],
    make: Callable[[], BaseSuite],
) -> BaseSuite:
    """The one suite of this run at `base`; what `make` gives is kept for the first that asks."""
    found = known.setdefault((base, tuple(commands)), make())
    assert isinstance(found, BaseSuite)
    return found
