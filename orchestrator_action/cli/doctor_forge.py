"""What `doctor` looks at on the forge: what a run would be refused, and the label that asks for work."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from orchestrator_action.cli.doctor_row import Row
from orchestrator_action.errors import ForgeError, OrchestratorError
from orchestrator_action.git.repo import Git
from orchestrator_action.run import setup
from orchestrator_action.run.preflight import look_at_forge


def forge_rows(repo: Path, agent: str, env: Mapping[str, str], forge: str) -> list[Row]:
    """A row for each thing that a run needs of the forge; one with the cause where a run would end at once."""
    if not Git.open(repo, env).text("remote").strip():
        found = "there is no remote: issues and pull requests are files of the local forge"
        return [Row(what="forge", found=found, optional=True)]
    asked = setup.RunRequest(repo=repo, forge=forge, flags={"agent": agent} if agent else {})
    try:
        with (
            tempfile.TemporaryDirectory(prefix="oa-doctor-") as private,
            setup.survey(asked, env, private=Path(private)) as found_,
        ):
            return [_place(found_), *_requirements(found_)]
    except OrchestratorError as exc:
        return [Row(what="forge", found=exc.message, ok=False, hint=exc.hint)]


def _place(found: setup.Survey) -> Row:
    where = f"{found.forge.name} {found.forge.repository}, base {found.base_branch} {found.base_sha[:12]}"
    return Row(what="forge", found=where)


def _requirements(found: setup.Survey) -> list[Row]:
    try:
        looked = look_at_forge(found, label=found.config.label)
    except ForgeError as exc:
        return [Row(what="forge", found=exc.message, ok=False, hint=exc.hint)]
    return [
        Row(what=r.what, found=r.found, ok=r.ok is not False, hint=r.hint, optional=r.ok is None)
        for r in looked
    ]
