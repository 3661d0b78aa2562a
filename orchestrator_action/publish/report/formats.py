"""The formats that a run's report can be written in, by the name of the option. Adding one touches this table."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from orchestrator_action.protocol.documents import VerdictDocument
from orchestrator_action.protocol.model import RunReport
from orchestrator_action.publish.report.comments import Times
from orchestrator_action.publish.report.junit import junit
from orchestrator_action.publish.report.overview import report_html
from orchestrator_action.publish.report.sarif import sarif
from orchestrator_action.publish.report.verdict import document_of


def _documents(report: RunReport) -> list[VerdictDocument]:
    """A document for each task at whose head something was measured."""
    return [document_of(t, now=time.time()) for t in report.tasks if t.head_sha and t.phases]


def _sarif_text(documents: Sequence[VerdictDocument], secrets: Iterable[str]) -> str:
    return json.dumps(sarif(documents, secrets), indent=1) + "\n"


def _html(report: RunReport, times: Times) -> str:
    return report_html(report, times=times)


def _sarif(report: RunReport, times: Times) -> str:  # noqa: ARG001 - every format is given the same
    return _sarif_text(_documents(report), ())


def _junit(report: RunReport, times: Times) -> str:  # noqa: ARG001 - every format is given the same
    return junit(_documents(report))


DOCUMENT_FORMATS: Mapping[str, Callable[[Sequence[VerdictDocument], Iterable[str]], str]] = {
    "sarif": _sarif_text, "junit": junit,
}  # fmt: skip
"""What verdict documents can be written as; texts are masked for the secrets that are given."""
FORMATS: Mapping[str, Callable[[RunReport, Times], str]] = {"html": _html, "sarif": _sarif, "junit": _junit}
