"""Settings parse, and nothing local or secret is committed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.model import Fact
from orchestrator_action.verify.settings import settings_facts
from tests.kit.repos import Repo

LETTERS = "0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R"
"""Stands for the random part of a credential, so that no scanner takes this file for a leak."""


def measured(repo: Repo) -> dict[str, Fact]:
    seen = Git.open(repo.path)
    base = seen.rev_parse("main~1") or seen.head()
    return {f.rule: f for f in settings_facts(seen, base=base, head=seen.head())}


def test_a_change_without_settings_holds(repo: Repo):
    """Both facts."""
    repo.commit({"a.py": "1"})

    assert [True, True] == [f.holds for f in measured(repo).values()]


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        (".claude/settings.json", "{", "does not parse"),
        (".claude/settings.json", "[]", "not an object"),
        ("sub/.mcp.json", '{"a": 1,}', "does not parse"),
        (".codex/config.toml", "a = ", "does not parse"),
        (".gemini/settings.json", "{" * 5000, "does not parse"),
    ],
)
def test_settings_that_do_not_parse_are_named(repo: Repo, path: str, text: str, fault: str):
    """With the file."""
    repo.commit({path: text})

    found = measured(repo)["settings-parse"]

    assert not found.holds
    assert path in found.message and fault in found.message


def test_settings_that_parse_hold(repo: Repo):
    """With or without a byte order mark."""
    repo.commit(
        {".claude/settings.json": "{}", ".mcp.json": '\ufeff{"mcpServers": {}}', ".codex/config.toml": "a=1"}
    )

    assert measured(repo)["settings-parse"].holds


def test_what_was_broken_before_is_not_the_task_s_doing(make: Callable[..., Repo]):
    """It may not even be allowed to mend it."""
    repo = make({".claude/settings.json": "{broken"})
    repo.commit({"a": "1"})

    assert measured(repo)["settings-parse"].holds


@pytest.mark.parametrize(
    "path",
    [
        ".claude/settings.local.json",
        "sub/.claude/settings.local.json",
        ".env",
        "app/.env",
        ".env.production",
        "prod.env",
        ".netrc",
        ".git-credentials",
        ".aws/credentials",
        "id_rsa",
        "keys/id_ed25519",
        "cert.p12",
        "CLAUDE.local.md",
        ".pypirc",
    ],
)
def test_local_files_are_not_committed(repo: Repo, path: str):
    """Whatever is in them."""
    repo.commit({path: "{}"})

    found = measured(repo)["no-local-settings"]

    assert not found.holds
    assert path in found.message


@pytest.mark.parametrize(
    "path", [".env.example", "config/.env.sample", ".env.template", "environment.md", "env.py"]
)
def test_examples_of_them_may_be(repo: Repo, path: str):
    """That is what they are for."""
    repo.commit({path: "KEY=\n"})

    assert measured(repo)["no-local-settings"].holds


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-----BEGIN " + "RSA PRIVATE KEY-----\nMIIE\n", "a private key"),
        ("-----BEGIN " + "OPENSSH PRIVATE KEY-----\n", "a private key"),
        ("token = 'gh" + "p_" + LETTERS + "'", "a GitHub token"),
        ("github" + "_pat_" + LETTERS * 2, "a GitHub token"),
        ("key: sk-" + "ant-api03-" + LETTERS, "an Anthropic key"),
        ("AK" + "IA1B2C3D4E5F6G7H8J", "an AWS key"),
        ("AI" + "za" + LETTERS[:35], "a Google key"),
        ("gl" + "pat-" + LETTERS[:20], "a GitLab token"),
        ("xo" + "xb-" + LETTERS[:24], "a Slack token"),
        ("np" + "m_" + LETTERS, "an npm token"),
        ("https://me:" + LETTERS[:20] + "@example.org/", "a password in a URL"),
    ],
)
def test_a_credential_in_the_diff_is_named_without_its_value(repo: Repo, text: str, what: str):
    """In any file."""
    repo.commit({"notes.txt": f"before\n{text}\nafter\n"})

    found = measured(repo)["no-local-settings"]

    assert found.message == f"notes.txt holds {what}"
    assert LETTERS[:20] not in str(found)


@pytest.mark.parametrize(
    "text",
    [
        "gh" + "p_" + "x" * 36,
        "AK" + "IA" + "XXXXXXXXXXXXXXXX",
        "https://user:password@example.org",
        "https://user:$TOKEN_FROM_ENVIRONMENT@x.org",
        "sk-ant-...",
        "ask-anthropic",
        "BEGIN PUBLIC KEY",
    ],
)
def test_a_placeholder_is_no_credential(repo: Repo, text: str):
    """Documentation needs them."""
    repo.commit({"README.md": text})

    assert measured(repo)["no-local-settings"].holds


def test_a_credential_that_was_there_before_is_not_the_task_s_doing(make: Callable[..., Repo]):
    """Only what the branch adds is held against it."""
    old = "gh" + "p_" + LETTERS
    repo = make({"notes.txt": old})
    repo.commit({"notes.txt": f"{old}\nmore\n"})
    assert measured(repo)["no-local-settings"].holds

    repo.commit({"notes.txt": f"{old}\n{'gh' + 'p_' + LETTERS[::-1]}\n"})
    assert not measured(repo)["no-local-settings"].holds


def test_taking_a_secret_out_is_welcome(make: Callable[..., Repo]):
    """Deleting `.env` is not committing it."""
    repo = make({".env": "A=1", "a": "1"})
    repo.git("rm", "-q", ".env")
    repo.commit({})

    assert measured(repo)["no-local-settings"].holds


def test_a_secret_that_a_later_commit_takes_out_is_in_the_branch_all_the_same(repo: Repo):
    """It would be pushed with it. Made anew without that commit, the branch is clean."""
    repo.commit({"a.py": f"KEY = 'ghp_{LETTERS}'\n"})
    base = repo.git("rev-parse", "HEAD~1")
    repo.commit({"a.py": "KEY = load()\n"})
    seen = Git.open(repo.path)

    [_, found] = settings_facts(seen, base=base, head=seen.head())
    repo.git("reset", "-q", "--soft", base)
    repo.commit({}, "anew")
    [_, anew] = settings_facts(seen, base=base, head=seen.head())

    assert "a.py holds a GitHub token in an earlier commit" in found.message
    assert (False, True) == (found.holds, anew.holds)
