"""Anybody's change: no ledger, no agent, no key; the same facts, the same check, and a document."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.kit.repos import git, make_repo
from tests.kit.tables import few
from tests.kit.whole import LIBRARY, House, Ran, house

FIXED = "def double(n):\n    return n + n\n"
NEW_TEST = (
    LIBRARY["tests/test_numbers.py"] + "\n    def test_zero(self):\n        self.assertEqual(0, double(0))\n"
)


def push(home: House, branch: str, files: dict[str, str | None]) -> str:
    """A person's branch with one commit; the checkout stays on main."""
    home.repo.git("checkout", "-q", "-b", branch)
    for name, text in files.items():
        path = home.repo.path / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    home.repo.git("add", "-A")
    home.repo.git("commit", "-q", "-m", "A person's change")
    home.repo.git("push", "-q", "origin", branch)
    head = home.repo.git("rev-parse", "HEAD").strip()
    home.repo.git("checkout", "-q", "main")
    return head


def verify(home: House, *args: str) -> Ran:
    return home.cli("verify", "--forge", f"local:{home.forge}", *args, env={"PATH": "/usr/bin:/bin"})


def check_of(home: House, head: str) -> dict[str, object]:
    return dict(json.loads((home.forge / "checks" / head / "orchestrator.json").read_text()))


def test_an_honest_change_passes_without_any_ceremony(home: House) -> None:
    """No agent is installed, nobody claims anything, and no documentation was changed."""
    head = push(home, "feature", {"numbers_.py": FIXED, "tests/test_numbers.py": NEW_TEST})

    ran = verify(home, "--branch", "feature")

    assert 0 == ran.code, ran.out + ran.err
    assert ran.out.startswith(f"feature at {head[:12]}: success\n")
    assert re.match(r"measures feature at its head and at its base: \S+ -m unittest", ran.err), ran.err
    assert "success" == check_of(home, head)["conclusion"]


@pytest.mark.parametrize(
    ("files", "rule"),
    few([
        ({"numbers_.py": "def double(n):\n    return n * 3\n"}, "suite"),
        ({"tests/test_numbers.py": None, "tests/test_other.py": "import unittest\n\n\nclass T(unittest.TestCase):\n"
          "    def test_it(self):\n        pass\n"}, "nothing-lost"),
        ({".github/workflows/x.yml": "on: push\n"}, "protected-untouched"),
    ], 2),
    ids=["broken", "a test is gone", "a workflow"],
)  # fmt: skip
def test_a_change_that_lies_is_refuted_by_name(home: House, files: dict[str, str | None], rule: str) -> None:
    """The check is red and says which fact does not hold."""
    head = push(home, "feature", files)

    ran = verify(home, "--branch", "feature")

    assert 1 == ran.code
    assert f"FAIL {rule}:" in ran.out
    assert "failure" == check_of(home, head)["conclusion"]


def test_its_document_is_checked_offline_and_an_altered_one_refused(home: House, tmp_path: Path) -> None:
    """Whole, of commits that are here, and with the conclusion that its facts come to."""
    push(home, "feature", {"numbers_.py": FIXED})
    out = tmp_path / "verdict.json"
    assert 0 == verify(home, "--branch", "feature", "--out", str(out)).code
    home.repo.git("fetch", "-q", "origin")
    statement = json.loads(out.read_text())

    good = home.cli("verify", "--document", str(out))
    statement["predicate"]["facts"][0]["holds"] = False
    out.write_text(json.dumps(statement))
    forged = home.cli("verify", "--document", str(out))
    statement["subject"][0]["digest"]["gitCommit"] = "e" * 40
    out.write_text(json.dumps(statement))
    elsewhere = home.cli("verify", "--document", str(out))

    assert (0, "https://in-toto.io/Statement/v1") == (good.code, statement["_type"]), good.err
    assert (1, True) == (forged.code, "its facts come to 'failure'" in forged.err)
    assert (1, True) == (elsewhere.code, "is not in this repository" in elsewhere.err)


def keys(folder: Path) -> tuple[Path, Path]:
    """A key of somebody's own, as files that `openssl` would write."""
    own = Ed25519PrivateKey.generate()
    private, public = folder / "key.pem", folder / "key.pub"
    private.write_bytes(own.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
    public.write_bytes(own.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A house with an honest change; beside it its document, signed, and the keys. None of it is changed."""
    root = tmp_path_factory.mktemp("signer")
    home = house(root, make_repo(root / "r", LIBRARY))
    push(home, "feature", {"numbers_.py": FIXED})
    out = root / "verdict.json"
    assert 0 == verify(home, "--branch", "feature", "--out", str(out)).code
    home.repo.git("fetch", "-q", "origin")
    private, _ = keys(root)
    ran = home.cli("sign", str(out), "--key", str(private))
    assert (0, f"signed {out}.dsse\n") == (ran.code, ran.out), ran.err
    return home


@pytest.fixture
def signed(signer: House, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the envelope, with the document and the private key beside it, and of the public key."""
    for name in ("verdict.json", "verdict.json.dsse", "key.pem", "key.pub"):
        shutil.copy(signer.forge.parent / name, tmp_path)
    return tmp_path / "verdict.json.dsse", tmp_path / "key.pub"


def test_a_signed_document_is_checked_offline(signer: House, signed: tuple[Path, Path]) -> None:
    """By key, and about the commit that somebody means."""
    envelope, public = signed

    ran = signer.cli(
        "verify", "--document", str(envelope), "--key", str(public), "--commit", "origin/feature"
    )
    unchecked = signer.cli("verify", "--document", str(envelope))

    assert (0, 0) == (ran.code, unchecked.code), ran.err
    assert "\nsigned by the key " in ran.out and "feature at " in ran.out
    assert "\nsigned; by whom is not checked without --key\n" in unchecked.out


@pytest.mark.slow
def test_a_key_in_the_environment_signs_too(signer: House, signed: tuple[Path, Path]) -> None:
    """As a job gets it from its secrets; it stands in no file and in no argument."""
    envelope, public = signed
    document = envelope.with_name("verdict.json")
    text = envelope.with_name("key.pem").read_text()
    envelope.unlink()

    ran = signer.cli("sign", str(document), env={"ORCHESTRATOR_SIGNING_KEY": text})

    assert 0 == ran.code, ran.err
    assert 0 == signer.cli("verify", "--document", str(envelope), "--key", str(public)).code


def _alter(envelope: Path) -> None:
    value = json.loads(envelope.read_text())
    body = base64.b64decode(value["payload"]).replace(b'"isolation":"', b'"isolation":"x')
    envelope.write_text(json.dumps(value | {"payload": base64.b64encode(body).decode()}))


def _spoil(envelope: Path) -> None:
    value = json.loads(envelope.read_text())
    envelope.write_text(json.dumps(value | {"payload": base64.b64encode(b"no JSON").decode()}))


def _forge(envelope: Path) -> None:
    value = json.loads(envelope.read_text())
    value["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
    envelope.write_text(json.dumps(value))


def _unsign(envelope: Path) -> None:
    envelope.write_bytes(envelope.with_name("verdict.json").read_bytes())


@pytest.mark.parametrize(
    ("harm", "args", "says"),
    [
        (_spoil, (), "it was altered, or the signature is forged"),
        (_alter, (), "it was altered, or the signature is forged"),
        (_forge, (), "it was altered, or the signature is forged"),
        (_unsign, (), "it is not signed"),
        (lambda _: None, ("--commit", "main"), "it speaks of commit "),
    ],
    ids=["spoiled", "altered", "forged", "not signed", "another commit"],
)
def test_a_document_that_does_not_fit_is_refused_by_name(
    signer: House, signed: tuple[Path, Path], harm: Callable[[Path], None], args: tuple[str, ...], says: str
) -> None:
    """One line for each thing that is wrong, exit code 1."""
    envelope, public = signed
    harm(envelope)

    ran = signer.cli("verify", "--document", str(envelope), "--key", str(public), *args)

    assert (1, True) == (ran.code, says in ran.err), ran.err
    assert args or "" == ran.out, "what somebody else wrote is shown"


@pytest.mark.slow
def test_another_key_is_refused_by_name(signer: House, signed: tuple[Path, Path], tmp_path: Path) -> None:
    """Which key was meant, and which one signed."""
    (tmp_path / "other").mkdir()
    _, other = keys(tmp_path / "other")

    ran = signer.cli("verify", "--document", str(signed[0]), "--key", str(other))

    assert (1, True) == (ran.code, "it is not signed by the key given (" in ran.err), ran.err


def test_a_document_of_another_repository_is_refused_by_name(home: House, tmp_path: Path) -> None:
    """A fork has the same commits, so the commit alone says nothing."""
    push(home, "feature", {"numbers_.py": FIXED})
    out = tmp_path / "verdict.json"
    assert 0 == verify(home, "--branch", "feature", "--out", str(out)).code
    home.repo.git("fetch", "-q", "origin")
    statement = json.loads(out.read_text())
    statement["predicate"]["repository"] = "octo/numbers"
    out.write_text(json.dumps(statement))
    home.repo.git("remote", "set-url", "origin", "https://github.com/mallory/numbers.git")

    ran = home.cli("verify", "--document", str(out))
    home.repo.git("remote", "add", "upstream", "git@github.com:octo/numbers.git")
    known = home.cli("verify", "--document", str(out))

    says = "it speaks of the repository octo/numbers, and this is a clone of mallory/numbers"
    assert (1, True) == (ran.code, says in ran.err), ran.err
    assert 0 == known.code, known.err


@pytest.mark.slow
def test_a_document_is_measured_again_on_demand(home: House, tmp_path: Path) -> None:
    """An honest one is confirmed; one that lies is found out fact by fact, whoever signed it."""
    out = tmp_path / "verdict.json"
    push(home, "feature", {"numbers_.py": "def double(n):\n    return n * 3\n"})
    assert 1 == verify(home, "--branch", "feature", "--out", str(out)).code
    home.repo.git("fetch", "-q", "origin")

    honest = verify(home, "--document", str(out), "--again")
    statement = json.loads(out.read_text())
    for fact in statement["predicate"]["facts"]:
        fact["holds"] = True
    statement["predicate"]["conclusion"] = "success"
    out.write_text(json.dumps(statement))
    believed = home.cli("verify", "--document", str(out))
    found_out = verify(home, "--document", str(out), "--again")

    assert (0, 0) == (honest.code, believed.code), honest.err + believed.err
    assert (1, True) == (found_out.code, "error: measured again, suite does not hold: " in found_out.err)


def test_sarif_and_junit_are_written_beside_the_verdict(home: House, tmp_path: Path) -> None:
    """Of a change that is measured, and of a document."""
    push(home, "feature", {"tests/test_numbers.py": None})
    out, log, cases = (tmp_path / n for n in ("verdict.json", "verdict.sarif", "verdict.xml"))

    verify(home, "--branch", "feature", "--out", str(out), "--sarif", str(log), "--junit", str(cases))
    home.repo.git("fetch", "-q", "origin")
    first = log.read_text()
    home.cli("verify", "--document", str(out), "--sarif", str(log))

    [run] = json.loads(first)["runs"]
    assert "testing/nothing-lost" in {r["ruleId"] for r in run["results"]}
    assert first == log.read_text()
    assert '<testcase classname="testing" name="suite">' in cases.read_text()


@pytest.mark.parametrize("args", [("--key", "x"), ("--commit", "main"), ("--again",)])
def test_what_is_about_a_document_needs_one(home: House, args: tuple[str, ...]) -> None:
    ran = home.cli("verify", *args)

    assert (2, True) == (ran.code, "hint: give --document FILE" in ran.err)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("sign", "none.json", "--key", "key.pem"), "cannot read none.json"),
        (("sign", "README.md"), "there is no key to sign with"),
        (("sign", "README.md", "--key", "nokey"), "cannot read the key nokey"),
        (("verify", "--document", "README.md", "--key", "nokey"), "cannot read the key nokey"),
        (
            ("verify", "--document", "README.md", "--commit", "nosuch"),
            "no commit 'nosuch' is in this repository",
        ),
    ],
)
def test_what_cannot_be_signed_or_checked_is_one_error_and_one_hint(
    home: House, args: tuple[str, ...], says: str
) -> None:
    ran = home.cli(*args)

    assert (2, True) == (ran.code, says in ran.err), ran.err
    assert ["error", "hint"] == [line.split(":")[0] for line in ran.err.splitlines() if line]


def test_what_is_no_document_is_said(home: House, tmp_path: Path) -> None:
    """In one line with the file's name."""
    (tmp_path / "x.json").write_text("{}")

    refused = home.cli("verify", "--document", str(tmp_path / "x.json"))
    missing = home.cli("verify", "--document", str(tmp_path / "none.json"))

    assert (2, 2) == (refused.code, missing.code)
    assert "x.json is no verdict document" in refused.err
    assert "none.json" in missing.err


def test_a_branch_that_holds_nothing_new_is_said(home: House) -> None:
    """There is nothing to measure."""
    git(home.repo.path, "push", "-q", "origin", "main:refs/heads/same")

    refused = verify(home, "--branch", "same")

    assert (2, True) == (refused.code, "holds nothing that main has not" in refused.err)
