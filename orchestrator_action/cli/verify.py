"""`verify` and `sign`: judge a change, check a verdict document, vouch for one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator_action.cli.options import (
    HERE,
    AgentName,
    Base,
    BaseDigest,
    BaseSuiteFile,
    BundleDigest,
    ForgeName,
    Json,
    Junit,
    PlanDigest,
    Repo,
    Sarif,
    request_of_options,
)
from orchestrator_action.cli.terminal import print_json, put_lines, say, write_text
from orchestrator_action.errors import ConfigError, SignatureError
from orchestrator_action.process.own_environment import environment

if TYPE_CHECKING:
    from orchestrator_action.protocol.documents import VerdictDocument
    from orchestrator_action.run.check_document import CheckedDocument
    from orchestrator_action.run.setup import RunRequest
    from orchestrator_action.run.verify_branch import Verified
    from orchestrator_action.run.verify_change import VerifiedChange

SIGNING_KEY = "ORCHESTRATOR_SIGNING_KEY"
Exports = dict[str, Path | None]
"""Files that a verdict is written to, by the format's name."""


def verify(
    branch: Annotated[
        str, typer.Option(metavar="BRANCH", help="The branch to judge (default: the one checked out).")
    ] = "",
    pr: Annotated[
        int, typer.Option("--pr", metavar="N", help="The pull request to judge.", show_default=False)
    ] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the verdict document to this file.")
    ] = None,
    sarif: Sarif = None,
    junit: Junit = None,
    document: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Check this verdict document against the repository instead."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --document: it has to be signed by this public key."),
    ] = None,
    commit: Annotated[
        str, typer.Option(metavar="REV", help="With --document: the commit that it has to be about.")
    ] = "",
    again: Annotated[
        bool, typer.Option("--again", help="With --document: also measure its commit anew.")
    ] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Measure this bundle of a work job instead; needs --plan."),
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The plan that the bundle belongs to.")
    ] = None,
    plan_sha256: PlanDigest = "",
    bundle_sha256: BundleDigest = "",
    base_suite: BaseSuiteFile = None,
    base_suite_sha256: BaseDigest = "",
    forge: ForgeName = "",
    agent: AgentName = "",
    base: Base = "",
    repo: Repo = HERE,
    json_: Json = False,
) -> None:
    """Judge a branch or a pull request at its current head, whoever made it, and post the check there.

    Example: orchestrator-action verify --pr 12
    """
    asked = request_of_options(repo, forge=forge, agent=agent, base=base)
    exports: Exports = {"sarif": sarif, "junit": junit}
    if document is not None:
        checked, signer = _check_document(repo, document, key, commit)
        problems = [*checked.problems, *(_measure_again(asked, checked.document) if again else ())]
        raise typer.Exit(_tell_checked(checked, signer, problems, exports, as_json=json_))
    if key is not None or commit or again:
        raise ConfigError(
            "--key, --commit and --again are about a document", hint="give --document FILE with them"
        )
    if bundle is not None or plan is not None:
        from orchestrator_action.cli.steps import verify_bundle

        code = verify_bundle(
            repo, plan, bundle, out, plan_sha256, bundle_sha256,
            base_suite=base_suite, base_suite_sha256=base_suite_sha256, as_json=json_,
        )  # fmt: skip
        raise typer.Exit(code)
    from orchestrator_action.process.cancel import on_signals
    from orchestrator_action.run import setup
    from orchestrator_action.run.verify_change import VerifiedChange, verify_any

    with on_signals() as cancel, setup.start_run_without_tasks(asked, environment(), cancel) as run:
        verified = verify_any(run, branch=branch, pull=pr, say=say)
    if isinstance(verified, VerifiedChange):
        raise typer.Exit(_tell_change(verified, out, exports, as_json=json_))
    raise typer.Exit(_tell_task(verified, as_json=json_))


def _tell_task(verified: Verified, *, as_json: bool) -> int:
    """Say how a task's branch stands, phase by phase; the exit code of its status."""
    from orchestrator_action.protocol.ends import exit_code
    from orchestrator_action.publish.report.document import task_json

    result = verified.result
    if as_json:
        print_json({"schema": 1, "task": task_json(result), "problems": list(verified.problems)})
    why = f": {result.error}" if result.error else ""
    say(f"{result.branch} at {result.head_sha[:12]}: {result.status}{why}")
    for phase in result.phases:
        say(f"  {phase.phase:22} {phase.state}")
    return exit_code([result])


def _tell_change(verified: VerifiedChange, out: Path | None, exports: Exports, *, as_json: bool) -> int:
    """Say how anybody's change stands; 0 when it is verified, with or without exceptions."""
    from orchestrator_action.publish.report.change import change_lines
    from orchestrator_action.state.documents import encode_document

    document, verdict = verified.document, verified.verdict
    if out is not None:
        write_text(out, encode_document(document).decode())
    _export(document, exports)
    if as_json:
        print_json(document.statement())
    else:
        put_lines(change_lines(document, verdict))
    return 0 if verdict.conclusion in {"success", "neutral"} else 1


def _export(document: VerdictDocument, exports: Exports) -> None:
    from orchestrator_action.publish.report.formats import DOCUMENT_FORMATS

    for name, path in exports.items():
        if path is not None:
            write_text(path, DOCUMENT_FORMATS[name]([document], ()))


def _check_document(repo: Path, path: Path, key: Path | None, commit: str) -> tuple[CheckedDocument, str]:
    """What is wrong with a document, offline, and who signed it."""
    from orchestrator_action.git.repo import Git
    from orchestrator_action.run.check_document import check_document, expected_commit
    from orchestrator_action.state.envelope import open_document, read_key

    try:
        body = path.read_bytes()
    except OSError as exc:
        hint = f"make one: orchestrator-action verify --branch BRANCH --out {path}"
        raise ConfigError(f"cannot read {path}: {exc.strerror}", hint=hint) from None
    git = Git.open(repo)
    opened = open_document(body, read_key(key) if key else b"", source=str(path))
    meant = expected_commit(git, commit)
    if opened.problem:  # nothing of it is read, let alone shown: somebody else wrote it
        raise SignatureError(f"{path} is refused: {opened.problem}", hint="get it anew from whoever signs")
    checked = check_document(git, opened.body, source=str(path), commit=meant)
    if opened.signer:
        return checked, f"signed by the key {opened.signer}"
    return (
        checked,
        "signed; by whom is not checked without --key" if opened.signed and not key else "not signed",
    )


def _measure_again(asked: RunRequest, document: VerdictDocument) -> list[str]:
    """What the same measurement says now where it differs from the document."""
    from orchestrator_action.process.cancel import on_signals
    from orchestrator_action.run import setup
    from orchestrator_action.run.verify_change import differences

    with on_signals() as cancel, setup.start_run_without_tasks(asked, environment(), cancel) as run:
        return differences(run, document)


def _tell_checked(
    checked: CheckedDocument, signer: str, problems: list[str], exports: Exports, *, as_json: bool
) -> int:
    """Say how a document stands: 0 when it is whole, speaks of this repository, and its word follows."""
    from orchestrator_action.publish.report.change import change_lines

    if as_json:
        print_json({"schema": 1, "digest": checked.digest, "signature": signer, "problems": problems})
    else:
        lines = change_lines(checked.document, checked.verdict)
        put_lines([f"document sha256:{checked.digest}", signer, *lines])
    _export(checked.document, exports)
    for problem in problems:
        say(f"error: {problem}")
    return 1 if problems else 0


def sign(
    document: Annotated[Path, typer.Argument(metavar="FILE", help="A verdict document.")],
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"The private key, PEM (default: the text in {SIGNING_KEY})."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the envelope here (default: FILE.dsse).")
    ] = None,
) -> None:
    """Sign a verdict document with a key of your own, where nothing of the change has run.

    Example: orchestrator-action sign verdict.json --key key.pem
    """
    from orchestrator_action.state.envelope import read_key, sign_document

    given = environment().get(SIGNING_KEY, "").encode()
    if key is None and not given:
        raise ConfigError("there is no key to sign with", hint=f"give --key FILE, or set {SIGNING_KEY}")
    try:
        body = document.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot read {document}: {exc.strerror}", hint="name a verdict document") from None
    to = out or document.with_name(document.name + ".dsse")
    write_text(to, sign_document(body, read_key(key) if key else given, source=str(document)).decode())
    put_lines([f"signed {to}"])
