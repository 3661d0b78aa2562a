"""Verdict documents as JUnit XML, which every CI can show: a suite for each document, a case for each fact.

Pure. What XML cannot hold (most control characters) is left out, secrets are masked.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence

from orchestrator_action.protocol.documents import VerdictDocument
from orchestrator_action.protocol.model import Fact
from orchestrator_action.text.redact import mask

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Source: w3.org/TR/xml, "Char"."""


def junit(documents: Sequence[VerdictDocument], secrets: Iterable[str] = ()) -> str:
    """One XML document with a suite a verdict. What is unproven is an error, what is refuted a failure."""
    held = tuple(secrets)
    root = ET.Element("testsuites", name="orchestrator-action")
    for document in documents:
        facts = document.facts
        suite = ET.SubElement(
            root, "testsuite", name=_clean(f"{document.name} at {document.commit[:12]}", held),
            tests=str(len(facts)), failures=str(sum(_is_refuted(f) for f in facts)),
            errors=str(sum(_is_unproven(f) for f in facts)), skipped="0",
        )  # fmt: skip
        for fact in facts:
            _add(suite, fact, held)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add(suite: ET.Element, fact: Fact, secrets: tuple[str, ...]) -> None:
    case = ET.SubElement(suite, "testcase", classname=fact.phase, name=fact.rule)
    words = _clean(fact.message, secrets)
    if fact.holds:
        ET.SubElement(case, "system-out").text = words
    else:
        kind = "error" if _is_unproven(fact) else "failure"
        ET.SubElement(case, kind, message=words.partition("\n")[0]).text = words


def _is_unproven(fact: Fact) -> bool:
    return not fact.holds and bool(fact.detail.get("unproven"))


def _is_refuted(fact: Fact) -> bool:
    return not fact.holds and not fact.detail.get("unproven")


def _clean(text: str, secrets: tuple[str, ...]) -> str:
    return _NOT_XML.sub("", mask(text, secrets))
