"""One tree of errors; each class carries its exit code, each instance a hint.

A user sees two lines, `error: …` and `hint: …`, never a traceback for a fault that is theirs.
The codes are a contract: 1 some task did not succeed (no exception), 130 interrupted.
"""

from __future__ import annotations


class OrchestratorError(Exception):
    """Anything we foresaw. `message` names the thing and says what is true; `hint` what to do next."""

    exit_code = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(OrchestratorError):
    """Configuration or usage is wrong."""

    exit_code = 2


class BundleError(OrchestratorError):
    """A bundle is not what its plan asked for. `kind` names the rule that it breaks."""

    exit_code = 2

    def __init__(self, kind: str, message: str, *, hint: str = "") -> None:
        super().__init__(
            f"{kind}: {message}", hint=hint or "nothing of this bundle is used; run the task again"
        )
        self.kind = kind


class SignatureError(OrchestratorError):
    """A document is not signed by the key that was asked for."""

    exit_code = 1


class NothingToDo(OrchestratorError):  # noqa: N818 - it is an end of a run, not a fault
    """No task was found; the Action maps this to 0."""

    exit_code = 3


class ForgeError(OrchestratorError):
    """The forge did not do what was asked. `status` is the HTTP status, 0 when there is none."""

    exit_code = 4

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class TakenError(ForgeError):
    """Another run works on this issue; the task is skipped."""


class GitError(OrchestratorError):
    """git refused or the repository is not what it should be."""

    exit_code = 5


class BranchError(GitError):
    """The branch that a run is to begin from is not there: the configuration names another, or the remote has none."""

    exit_code = 2


class WorktreeError(GitError):
    """A worktree could not be made, or must not be removed."""


class AgentError(OrchestratorError):
    """The agent's program cannot be started at all."""

    exit_code = 6


class IsolationError(OrchestratorError):
    """Isolation is required, and what holds on this machine is less."""

    exit_code = 6


class SetupError(OrchestratorError):
    """The repository's own setup command failed; the task ends, the run goes on."""

    exit_code = 1


class JournalError(OrchestratorError):
    """The journal of a run is damaged or belongs to somebody who is still at it."""

    exit_code = 2


class BrokerError(OrchestratorError):
    """The broker refused a request. The text goes back to the agent."""

    exit_code = 1


class Interrupted(OrchestratorError):  # noqa: N818 - it is an end of a run, not a fault
    """A signal ended the run."""

    exit_code = 130
