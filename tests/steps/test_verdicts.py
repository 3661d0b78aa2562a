"""Verdicts travel as files: one that is not about this bundle, or not well written, counts for nothing by name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.errors import BundleError, ConfigError
from orchestrator_action.protocol.documents import VerdictDocument
from orchestrator_action.protocol.model import Fact
from orchestrator_action.run.steps.base import read_base
from orchestrator_action.run.steps.bundle import read_bundle
from orchestrator_action.run.steps.files import read_plan, read_verdicts
from orchestrator_action.run.steps.integrate import read_together
from orchestrator_action.run.steps.review import read_reviews
from orchestrator_action.state.documents import encode_document
from tests.kit.place import Place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield Place(tmp_path_factory.mktemp("verdicts"))


@pytest.fixture
def honest(place: Place) -> VerdictDocument:
    """The verdict on the honest bundle of the place."""
    bundle = read_bundle(place.honest)
    head = bundle.bundle.head_sha
    return VerdictDocument(
        commit=head, name=bundle.bundle.branch, base=place.plan.base_sha, conclusion="success",
        facts=(Fact(phase="testing", rule="suite", commit=head, holds=True, message="2 tests passed"),),
        policy_digest=place.plan.policy_digest, plan_digest=place.read.digest, bundle_digest=bundle.digest,
    )  # fmt: skip


def fact(phase: str, commit: str) -> Fact:
    return Fact(phase=phase, rule="suite", commit=commit, holds=True, message="x")


OTHERS: dict[str, tuple[str, Callable[[VerdictDocument], dict[str, Any]]]] = {
    "of another head": ("another commit", lambda v: {"commit": "a" * 40, "facts": ()}),
    "of the base": ("another commit", lambda v: {"commit": v.base, "facts": ()}),
    "of another branch": ("another branch or base", lambda _: {"name": "main"}),
    "of another base": ("another branch or base", lambda _: {"base": "a" * 40}),
    "of another plan": ("another plan", lambda _: {"plan_digest": "a" * 64}),
    "of no plan": ("another plan", lambda _: {"plan_digest": ""}),
    "under another policy": ("another plan", lambda _: {"policy_digest": "a" * 64}),
    "with a review in it": ("not a verdict's", lambda v: {"facts": (fact("review", v.commit),)}),
    "with a beginning in it": ("not a verdict's", lambda v: {"facts": (fact("initial-setup", v.commit),)}),
    "with a fact of another commit": ("not a verdict's", lambda v: {"facts": (fact("testing", "a" * 40),)}),
}
"""What is wrong with a verdict on our bundle, the words in which that is said, and the fields that make it so."""


@pytest.mark.parametrize("what", OTHERS)
def test_a_verdict_on_something_else_counts_for_nothing(
    place: Place, honest: VerdictDocument, tmp_path: Path, what: str
):
    words, change = OTHERS[what]
    good = place.forger.make(tmp_path / "issue-1", place.plan.tasks[0])
    read = read_bundle(good)
    other = replace(
        honest, commit=read.bundle.head_sha, name=read.bundle.branch, bundle_digest=read.digest, facts=()
    )
    said: list[str] = []

    wrong = replace(honest, **change(honest))
    offers = place.offers([place.honest, good], said, {honest.bundle_digest: wrong, read.digest: other})

    [line] = said
    assert line.startswith("issue-2: its verdict is passed over: ") and words in line
    assert offers["issue-2"].work and offers["issue-2"].verdict is None
    assert other == offers["issue-1"].verdict


def test_the_verdict_on_this_bundle_counts_and_so_does_its_copy(
    place: Place, honest: VerdictDocument, tmp_path: Path
):
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in files:
        file.write_bytes(encode_document(honest))

    found, problems = read_verdicts(files)

    assert [] == problems
    said: list[str] = []
    assert place.offers([place.honest], said, found)["issue-2"].verdict and [] == said


def test_of_two_verdicts_on_one_bundle_neither_counts(honest: VerdictDocument, tmp_path: Path):
    files = [tmp_path / "red.json", tmp_path / "green.json"]
    files[0].write_bytes(encode_document(replace(honest, conclusion="failure", facts=())))
    files[1].write_bytes(encode_document(honest))

    found, problems = read_verdicts(files)

    assert ({}, [f"two verdicts differ about bundle {honest.bundle_digest[:12]}"]) == (found, problems)


def test_a_name_that_is_an_accepted_digest_is_no_digest(honest: VerdictDocument, tmp_path: Path):
    accepted = hashlib.sha256(encode_document(honest)).hexdigest()
    file = tmp_path / f"{accepted}.json"
    file.write_bytes(encode_document(replace(honest, facts=())))

    found, [problem] = read_verdicts([file], {accepted})

    assert {} == found and "other-digest" in problem
    file.write_bytes(encode_document(honest))
    assert {honest.bundle_digest: honest} == read_verdicts([file], {accepted})[0]


@pytest.mark.parametrize(
    ("refused_as", "make"),
    [
        ("symlink", lambda f: (f.with_suffix(".real").write_text("{}"), f.symlink_to(f.with_suffix(".real")))),
        ("symlink", lambda f: f.symlink_to("/etc/passwd")),
        ("no-plain-file", os.mkfifo),
        ("no-plain-file", Path.mkdir),
        ("hard-link", lambda f: (f.with_suffix(".real").write_text("{}"), os.link(f.with_suffix(".real"), f))),
        ("oversized", lambda f: (f.touch(), os.truncate(f, 33 * 1024**2))),
        ("missing-file", lambda _: None),
    ],
    ids=["link", "link-out", "pipe", "folder", "hard-link", "33-mib", "none"],
)  # fmt: skip
def test_a_verdict_that_is_no_plain_file_is_passed_over_by_name(
    honest: VerdictDocument, tmp_path: Path, refused_as: str, make: Callable[[Path], Any]
):
    make(tmp_path / "odd.json")
    (tmp_path / "honest.json").write_bytes(encode_document(honest))

    found, [problem] = read_verdicts([tmp_path / "odd.json", tmp_path / "honest.json"])

    assert [honest.bundle_digest] == list(found) and f": {refused_as}: " in problem


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no object": b"[]",
    "a key nobody knows": b'{"schema": 1, "verified": true}',
    "a key twice": b'{"schema": 1, "schema": 2}',
    "no number": b'{"schema": NaN}',
    "a number beyond all numbers": b'{"schema": 1e999}',
    "a number of 5000 digits": b'{"schema": 1%s}' % (b"0" * 5000),
    "half a character": b'{"schema": "\\ud800"}',
    "no utf-8": b'{"schema": "\xff"}',
    "utf-16": json.dumps({"schema": 1}).encode("utf-16"),
    "brackets 10000 deep": b'{"schema": %s%s}' % (b"[" * 10_000, b"]" * 10_000),
    "two values": b"{} {}",
}


@pytest.mark.parametrize("body", BODIES)
def test_every_reader_refuses_what_is_no_document_of_its_kind_in_one_line(
    place: Place, tmp_path: Path, body: str
):
    """Plan, measured base, bundle, verdict, review, and what was tested together: one way of reading them all."""
    file, folder = tmp_path / "file.json", tmp_path / "issue-1"
    file.write_bytes(BODIES[body])
    folder.mkdir()
    (folder / "bundle.json").write_bytes(BODIES[body])

    said = [*read_verdicts([file])[1], *read_reviews([file])[1]]
    for read in (
        lambda: read_plan(file),
        lambda: read_base(file, place.read),
        lambda: read_bundle(folder),
        lambda: read_together(file, place.read),
    ):
        with pytest.raises((BundleError, ConfigError)) as refused:
            read()
        said.append(refused.value.message)

    assert 6 == len(said)
    assert all(line.isprintable() and len(line) < 400 for line in said), said
