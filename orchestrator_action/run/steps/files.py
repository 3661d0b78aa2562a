"""What one step reads of another one's files: a plain file of a bounded size, and its digest.

What lies in a folder that came from elsewhere may be a link, a pipe or a device: it is opened without
following anything, and looked at before it is read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.config.records import from_record
from orchestrator_action.config.schema import Config
from orchestrator_action.errors import BundleError, ConfigError
from orchestrator_action.process.table import boot_id
from orchestrator_action.protocol.documents import Plan, VerdictDocument, digest_of
from orchestrator_action.state.documents import MAX_DOCUMENT_BYTES, decode_document


def read_plain(path: Path, limit: int) -> bytes:
    """The contents of a plain file of at most `limit` bytes. Raises BundleError for anything else."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        kind = "symlink" if path.is_symlink() else "missing-file"
        raise BundleError(kind, f"{path.name} cannot be read: {exc.strerror}") from None
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        os.close(file)
        raise BundleError("no-plain-file", f"{path.name} is no plain file")
    with open(file, "rb") as opened:
        if found.st_nlink > 1:
            raise BundleError("hard-link", f"{path.name} is the name of a file that has others")
        if found.st_size > limit:
            raise BundleError("oversized", f"{path.name} is {found.st_size} bytes, at most {limit} are taken")
        body = opened.read(limit + 1)
    if len(body) > limit:
        raise BundleError("oversized", f"{path.name} is more than {limit} bytes")
    return body


def digest_of_bytes(body: bytes) -> str:
    """SHA-256 in hex, as `sha256sum` prints it."""
    return hashlib.sha256(body).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlan:
    """A plan as it was read, with its configuration and the digest of its file."""

    plan: Plan
    config: Config
    digest: str


def read_plan(path: Path, expected: str = "") -> ReadPlan:
    """A plan from its file. With `expected`, a digest, another file is refused. Raises ConfigError."""
    try:
        body = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot read the plan {path}: {exc.strerror}", hint=_MAKE_ONE) from None
    digest = digest_of_bytes(body)
    if expected and digest != expected.removeprefix("sha256:"):
        raise ConfigError(
            f"{path} is not the plan that was asked for: its digest is {digest[:12]}, not {expected[:12]}",
            hint="somebody replaced it; take the one whose digest the step before printed",
        )
    plan = decode_document(Plan, body, source=str(path))
    if digest_of(plan.config) != plan.policy_digest:
        raise ConfigError(f"{path}: its configuration was changed", hint=_MAKE_ONE)
    try:
        config = from_record(Config, plan.config)
    except ValueError as exc:
        raise ConfigError(f"{path}: its configuration cannot be read: {exc}", hint=_MAKE_ONE) from None
    return ReadPlan(plan=plan, config=config, digest=digest)


_MAKE_ONE = "write it with: orchestrator-action plan --out FILE"


def read_verdicts(
    paths: Collection[Path], accept: Collection[str] | None = None
) -> tuple[dict[str, VerdictDocument], list[str]]:
    """Verdict documents by the digest of the bundle that they are about, and why others were passed over.

    With `accept`, also an empty one, only files of these digests count. Of two about one bundle neither does.
    """
    found: dict[str, VerdictDocument] = {}
    problems: list[str] = []
    twice: set[str] = set()
    for path in paths:
        try:
            body = read_plain(path, MAX_DOCUMENT_BYTES)
            if accept is not None and digest_of_bytes(body) not in accept:
                raise BundleError("other-digest", "its digest is not among those that are accepted")
            verdict = decode_document(VerdictDocument, body, source=str(path))
        except (BundleError, ConfigError) as exc:
            problems.append(f"{path}: {exc.message}")
            continue
        if verdict.bundle_digest in found and found[verdict.bundle_digest] != verdict:
            twice.add(verdict.bundle_digest)
        found[verdict.bundle_digest] = verdict
    problems += [f"two verdicts differ about bundle {digest[:12]}" for digest in sorted(twice)]
    return {digest: v for digest, v in found.items() if digest and digest not in twice}, problems


def machine(run_id: str) -> str:
    """What tells this machine from others for the time of one run; says nothing else of it."""
    boot = boot_id()
    return hashlib.sha256(f"{run_id} {boot}".encode()).hexdigest()[:16] if boot else ""
