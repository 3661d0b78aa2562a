"""Tests that went away are named, unless the agent named them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.verify.ecosystems.testfiles import skip_marks, test_names
from orchestrator_action.verify.test_changes import is_test_path
from tests.evidence import judge
from tests.evidence.judge import Kept
from tests.kit.repos import Repo

TWO = "def test_a():\n    assert f(1) == 1\n\n\ndef test_b():\n    assert f(2) == 2\n"
ONE = "def test_a():\n    assert f(1) == 1\n"


@pytest.fixture
def tested(make: Callable[..., Repo]) -> Repo:
    repo = make({"src/app.py": "def f(x): return x\n", "tests/test_app.py": TWO, "tests/data.json": "{}"})
    repo.git("checkout", "-q", "-b", "work")
    return repo


def kept(repo: Repo, note: str = "") -> Kept:
    seen = Git.open(repo.path)
    return judge.kept(seen, base=seen.rev_parse("main"), head=seen.head(), note=note)


def test_more_tests_are_fine(tested: Repo):
    """As are changed and renamed ones, and files that are no tests."""
    tested.commit({"tests/test_app.py": TWO + "\n\ndef test_c():\n    pass\n", "tests/test_new.py": ONE})
    tested.git("rm", "-q", "tests/data.json")
    tested.git("mv", "tests/test_app.py", "tests/test_application.py")
    tested.commit({})

    assert kept(tested).holds


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tests/test_app.py": None}, "tests/test_app.py: deleted"),
        ({"tests/test_app.py": ""}, "tests/test_app.py: emptied"),
        ({"tests/test_app.py": " \n\n"}, "tests/test_app.py: emptied"),
        ({"tests/test_app.py": ONE}, "tests/test_app.py: 1 of 2 tests removed (test_b)"),
        (
            {"tests/test_app.py": TWO.replace("def test_", "def no_test_")},
            "2 of 2 tests removed (test_a, test_b)",
        ),
        ({"tests/test_app.py": "import pytest\n@pytest.mark.skip\n" + TWO}, "1 new skip mark"),
        (
            {"tests/test_app.py": "import pytest\npytestmark = pytest.mark.skip('x')\n" + TWO},
            "1 new skip mark",
        ),
        (
            {"tests/test_app.py": TWO.replace("assert", "import pytest; pytest.skip('x'); assert")},
            "2 new skip marks",
        ),
        (
            {"tests/test_app.py": TWO.replace("def test_b", "@pytest.mark.xfail\ndef test_b")},
            "1 new skip mark",
        ),
    ],
)
def test_what_was_taken_away_is_named(tested: Repo, change: dict[str, str | None], message: str):
    """And allowed once the claim names it."""
    for path, text in change.items():
        if text is None:
            tested.git("rm", "-q", path)
        else:
            tested.write({path: text})
    tested.commit({})

    assert not kept(tested).holds
    assert message in kept(tested).message
    told = kept(tested, note="tests/test_app.py: the feature is gone, as the issue asks")
    assert told.holds
    assert told.lost
    assert kept(tested, note="removed test_app.py, it tested nothing").holds
    assert not kept(tested, note="tidied tests").holds
    assert not kept(tested, note="see other_test_app.pyc").holds


def test_a_test_renamed_out_of_sight_is_named(tested: Repo):
    """Where no runner looks for it."""
    tested.git("mv", "tests/test_app.py", "tests/old_app.txt")
    tested.commit({})

    assert "renamed to tests/old_app.txt, where no test runner looks" in kept(tested).message


def test_tests_moved_to_another_file_are_kept(tested: Repo):
    """Each by its name."""
    tested.git("rm", "-q", "tests/test_app.py")
    tested.commit(
        {"tests/unit/test_f.py": "import app\n\n\n" + TWO.replace("f(", "app.f(") + "\n# more\n" * 20}
    )

    assert kept(tested).holds


def test_a_renamed_test_is_no_loss(tested: Repo):
    """The number counts within a file."""
    tested.commit({"tests/test_app.py": TWO.replace("test_b", "test_better")})

    assert kept(tested).holds


@pytest.mark.parametrize(
    "path",
    [
        "test_a.py",
        "tests/unit/test_a.py",
        "pkg/a_test.py",
        "a.test.js",
        "src/a.spec.tsx",
        "src/__tests__/a.js",
        "test/a.mjs",
        "pkg/a_test.go",
        "tests/it.rs",
        "src/test/java/ATest.java",
        "spec/a_spec.rb",
        "test/a_test.rb",
        "tests/ATest.php",
        "t/00-load.t",
        "test/a.bats",
        "test/a_test.exs",
        "A.Tests/UserTests.cs",
        "ATests.swift",
        "src/a.test.cts",
    ],
)
def test_test_files_are_known_by_their_names(path: str):
    """By the conventions of their runners."""
    assert is_test_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "src/app.py",
        "tests/conftest.py",
        "tests/data.json",
        "testing.md",
        "src/latest.js",
        "contest.go",
        "node_modules/x/a.test.js",
        "tests/fixtures/a.test.js",
        "src/attest.py",
    ],
)
def test_other_files_are_not(path: str):
    """Data, helpers, and words that contain `test`."""
    assert not is_test_path(path)


@pytest.mark.parametrize(
    ("path", "text", "names", "skips"),
    [
        (
            "a_test.go",
            'func TestA(t *testing.T) {\n\tt.Skip("x")\n}\nfunc helper() {}\nfunc FuzzB(f *testing.F) {}',
            2,
            1,
        ),
        (
            "a.test.ts",
            "it('a', () => {})\ntest.skip('b', () => {})\ndescribe.only('x', () => { it('c', f) })",
            2,
            2,
        ),
        ("tests/a.rs", "#[test]\nfn a() {}\n#[tokio::test]\n#[ignore]\nasync fn b() {}\nfn c() {}", 2, 1),
        (
            "ATest.java",
            "@Test\nvoid a() {}\n@Disabled\n@ParameterizedTest\nvoid b(int x) {}\nvoid c() {}",
            2,
            1,
        ),
        ("a_spec.rb", "it 'a' do\nend\nxit 'b' do\nend\n", 1, 1),
        ("ATest.php", "public function testA() {}\nfunction testB() { $this->markTestSkipped(); }", 2, 1),
        ("a_test.exs", 'test "a" do\nend\n@tag :skip\ntest "b" do\nend', 2, 1),
        ("a.bats", "@test 'a' {\n  skip\n}\n", 1, 1),
        ("UserTests.cs", '[Fact]\npublic void A() {}\n[Fact(Skip = "x")]\npublic void B() {}', 2, 1),
        ("notes.md", "def test_a(): pass", 0, 0),
    ],
)
def test_tests_and_skips_are_found_in_many_languages(path: str, text: str, names: int, skips: int):
    """As far as a line tells."""
    assert (names, skips) == (len(test_names(path, text)), skip_marks(path, text))
