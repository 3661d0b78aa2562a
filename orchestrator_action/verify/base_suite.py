"""The suite at a base commit: run once for all tasks that grow from it, and remembered across runs.

It may be started before an agent is and go on beside the agents; only verdicts wait for it. Remembered is what
passed, by the base's tree, the commands, the environment and the level of isolation: what was red may have been
red by chance, and is measured again.

A result of another machine counts for speed only: where the comparison with it accuses the head, the base is
measured here, and that decides.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import re
import threading
from collections.abc import Callable, MutableMapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from orchestrator_action.config.records import adapter_of
from orchestrator_action.errors import OrchestratorError
from orchestrator_action.process.files import replace_file
from orchestrator_action.protocol.attempt import Ending
from orchestrator_action.verify.bench import Bench
from orchestrator_action.verify.test_run import TestRun, read_end

log = logging.getLogger(__name__)

_LOOK_S = 0.2
"""How often a running suite's output is looked at for its first test."""
ELSEWHERE = "elsewhere"
"""The folder, in the memory, of what other machines measured."""
MOST_ELSEWHERE, MAX_BASE_BYTES = 20, 32 << 20
VERSION = 2
"""Of what is remembered; another version's is not read."""
_FIRST = re.compile(
    r"^(?!.*\bELIFECYCLE\b|npm (?:ERR!|error)|error Command failed)"
    r"(?:[.FEsxX]+(?:[ \t]*$|[ \t]+\[)"
    r"|.*\b(?:PASSED|FAILED|PASS|FAIL|passed|failed)\b|\s*(?:not )?ok\b|--- (?:PASS|FAIL|SKIP)"
    r"|\s*[✔✓✗✘✖×√]|test .* \.\.\. |.* \.\.\. (?:ok|FAIL|ERROR|skipped)\b|\s*\d+/\d+ Test|ok\s|Running .*|[.*SF]{3,})",
    re.MULTILINE,
)
"""What runners print when a test has ended, but for the words in which npm and pnpm say that a script has failed."""
_NAME = re.compile(r"[0-9a-f]{64}\.json")
_WRITTEN_BY_US = frozenset({"PWD", "OLDPWD", "SHLVL", "_", "HOME", "TMPDIR", "ORCHESTRATOR_ATTEMPT"})
"""Variables that differ from run to run and change no test."""


class BaseSuite:
    """The suite at one base commit. Whoever asks for the result first runs it, unless it was started."""

    def __init__(self, bench: Bench, base: str, *, memory: Path | None = None, level: str = "") -> None:
        """`memory` is a folder of ours for what is remembered; `level` the isolation that tests run in."""
        self._bench, self._base = bench, base
        self._tree = bench.git.tree(base)
        self._file = memory / f"{_key(bench, base, level)}.json" if memory else None
        self._lock = threading.Lock()
        self._future: Future[TestRun] | None = None
        self.remembered = False
        """Whether the result is of an earlier run."""
        self.from_elsewhere = False
        """Whether it is of another machine."""

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

    def measured_here(self) -> TestRun:
        """The suite at the base as this machine measures it, also where a result came from elsewhere.

        Raises OrchestratorError when it could not be run.
        """
        if self.from_elsewhere:
            run, self._future = self._bench.suite(self._base), Future()
            self.from_elsewhere = self.remembered = False
            self.remember(run)
            self._future.set_result(run)
        return self.result()

    def first_test_ended(self, within_s: float = 180.0) -> bool:
        """Wait until a first test has ended, or the whole suite has; False when the time is over before.

        The time is that of the tests: set-up has to work, however long it is allowed to take. Raises
        OrchestratorError when the suite could not be run.
        """
        self.start()
        assert self._future is not None
        left_s = max(within_s, _LOOK_S)
        while left_s > 0:
            try:
                self._future.result(timeout=_LOOK_S)
            except TimeoutError:
                logs = self._logs()
                if any(_FIRST.search(read_end(file, 1 << 16)) for file in logs):
                    return True
                left_s -= _LOOK_S if logs else 0
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
        self.remember(run)
        future.set_result(run)

    def _recall(self) -> TestRun | None:
        for file in (self._file, self._file.parent / ELSEWHERE / self._file.name) if self._file else ():
            try:
                run = adapter_of(TestRun).validate_json(file.read_bytes())
            except (OSError, ValidationError, ValueError):
                continue
            if (run.tree, run.commands) == (self._tree, tuple(self._bench.commands)) and run.passed:
                self.remembered, self.from_elsewhere = True, file is not self._file
                return run
        return None

    def remember(self, run: TestRun) -> Path | None:
        """Keep a result for later runs, where it is green and ended by itself; the file."""
        ended = all(r.outcome.ending is Ending.EXITED for r in run.runs)
        if self._file is None or not run.runs or not run.passed or not ended:
            return None
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(self._file, adapter_of(TestRun).dump_json(run).decode())
        except OSError as exc:
            log.warning("the base's suite is not remembered file=%s: %s", self._file, exc)
            return None
        return self._file

    def _logs(self) -> list[Path]:
        """What its commands print; none while the checkout is being made ready."""
        folder = self._bench.evidence_dir
        return list(folder.glob(f"tests-{self._base[:12]}*/command-*.log")) if folder.is_dir() else []


class KnownSuite(BaseSuite):
    """A suite that another machine of the same run has measured; nothing is run here."""

    def __init__(self, run: TestRun) -> None:
        self._lock, self.remembered = threading.Lock(), True
        self.from_elsewhere = (
            False  # it is this very run's, of walls like ours: nothing is to be made sure of
        )
        self._future = Future()
        self._future.set_result(run)


def _key(bench: Bench, base: str, level: str) -> str:
    env = {k: v for k, v in bench.env.items() if k not in _WRITTEN_BY_US}
    said = [VERSION, bench.git.tree(base), list(bench.commands), sorted(env.items()), level, _system()]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _system() -> list[str]:
    """What another machine has to have in common with this one, for its result to be looked at."""
    try:
        release = Path("/etc/os-release").read_text(encoding="utf-8")
    except (OSError, ValueError):
        release = ""
    return [platform.system(), platform.machine(), release]


def take_from_elsewhere(folder: Path, memory: Path) -> int:
    """Bring results of another machine into the memory; how many. Each is read strictly once it is needed.

    Anything in the folder that no measurement of ours writes is left where it is.
    """
    taken = 0
    for file in sorted(folder.glob("*.json"))[:MOST_ELSEWHERE] if folder.is_dir() else ():
        if _NAME.fullmatch(file.name) and not file.is_symlink() and file.stat().st_size <= MAX_BASE_BYTES:
            to = memory / ELSEWHERE / file.name
            to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            to.write_bytes(file.read_bytes())
            taken += 1
    return taken


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
