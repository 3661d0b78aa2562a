"""One table of token shapes: what is masked in a comment is neither pushed in a commit nor given to a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator_action.agents.environment import agent_environment, command_environment
from orchestrator_action.git.commit_secrets import secrets_in
from orchestrator_action.git.repo import Git
from orchestrator_action.hook.gate_env import gate_env
from orchestrator_action.text.redact import REDACTED, mask
from orchestrator_action.text.token_shapes import TOKEN_SHAPES, real_tokens
from tests.kit.repos import Repo

LETTERS = "0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R"
"""Stands for the random part of a token, so that no scanner takes this file for a leak."""
HEX = "0123456789abcdef" * 4
CAPITALS = "0A1B2C3D4E5F6G7H" * 4

EXAMPLES = {
    "a private key": [f"-----BEGIN OPENSSH PRIVATE KEY-----\n{LETTERS}\n-----END OPENSSH PRIVATE KEY-----"],
    "a GitHub token": [f"gh{k}_{LETTERS}" for k in "pousr"]
    + [f"github_pat_{LETTERS}{LETTERS}", f"v1.{HEX[:40]}"],
    "a GitLab token": [f"gl{k}-{LETTERS[:20]}" for k in ("pat", "ptt", "dt", "rt", "cbt", "oas", "soat")],
    "an Atlassian token": [f"{k}{LETTERS}" for k in ("ATATT3", "ATCTT3", "ATBB")],
    "an Anthropic key": [f"sk-ant-api03-{LETTERS}"],
    "an OpenAI key": [f"sk-{LETTERS}", f"sk-proj-{LETTERS}"],
    "an AWS key": [f"{k}{CAPITALS[:16]}" for k in ("AKIA", "ASIA")],
    "an AWS secret key": [
        f"aws_secret_access_key = {LETTERS}wxYZ",
        f'"AWS_SECRET_ACCESS_KEY": "{LETTERS}wxYZ"',
    ],
    "an Azure account key": [f"AccountKey={(LETTERS * 3)[:86]}=="],
    "a credential in a header": [f"Authorization: Bearer {LETTERS}", f"authorization: token {LETTERS}"],
    "a Slack token": [f"xoxb-{LETTERS}"],
    "a Slack app token": [f"xapp-1-{LETTERS}"],
    "a Slack webhook": [f"https://hooks.slack.com/services/T{CAPITALS[:8]}/B{CAPITALS[:8]}/{LETTERS[:24]}"],
    "a signed token (JWT)": [f"eyJ{LETTERS}.eyJ{LETTERS}.{LETTERS}{LETTERS}"],
    "a Google key": [f"AIza{LETTERS[:35]}"],
    "a Google access token": [f"ya29.{LETTERS}"],
    "an npm token": [f"npm_{LETTERS}"],
    "a token of a package registry": [f"//registry.example.org/:_authToken={LETTERS}"],
    "a PyPI token": [f"pypi-AgEIcHlwaS5vcmc{LETTERS}"],
    "a Hugging Face token": [f"hf_{LETTERS}"],
    "a Stripe key": [f"sk_live_{LETTERS[:24]}", f"rk_live_{LETTERS[:24]}"],
    "a webhook's secret": [f"whsec_{LETTERS}"],
    "a SendGrid key": [f"SG.{LETTERS[:22]}.{LETTERS}"],
    "a DigitalOcean token": [f"dop_v1_{HEX}"],
    "an age key": [f"AGE-SECRET-KEY-1{CAPITALS}"],
    "a Vault token": [f"hvs.{LETTERS}"],
    "a Terraform token": [f"{LETTERS[:14]}.atlasv1.{LETTERS}{LETTERS}"],
    "a Docker token": [f"dckr_pat_{LETTERS}"],
    "a Linear key": [f"lin_api_{LETTERS}"],
    "a Figma token": [f"figd_{LETTERS}"],
    "a Notion token": [f"ntn_{LETTERS}"],
    "a Groq key": [f"gsk_{LETTERS}"],
    "a RubyGems key": [f"rubygems_{HEX[:48]}"],
    "a Sentry token": [f"sntrys_{LETTERS}{LETTERS}"],
    "a Shopify token": [f"shpat_{HEX[:32]}"],
    "a Square token": [f"sq0atp-{LETTERS[:22]}"],
    "an xAI key": [f"xai-{LETTERS}{LETTERS}"],
    "a Pulumi token": [f"pul-{HEX[:40]}"],
    "a Postman key": [f"PMAK-{HEX[:24]}-{HEX[:34]}"],
    "a Databricks token": [f"dapi{HEX[:32]}"],
    "a crates.io token": [f"cio{LETTERS[:32]}"],
    "a Telegram bot's token": [f"123456789:AA{LETTERS[:33]}"],
    "a Discord token": [f"M{LETTERS[:24]}.{LETTERS[:6]}.{LETTERS[:30]}"],
}
ALL = [(kind, text) for kind, texts in EXAMPLES.items() for text in texts]


def test_every_kind_of_the_table_has_an_example_here():
    """So that a new row is tested in all four rooms."""
    assert list(EXAMPLES) == [shape.kind for shape in TOKEN_SHAPES]


@pytest.mark.parametrize(("kind", "text"), ALL)
def test_it_is_masked_in_a_comment(kind: str, text: str):
    """Nothing of its random part is left."""
    masked = mask(f"see ({text}) there")

    assert REDACTED in masked and masked.startswith("see (") and masked.endswith(") there")
    assert not any(part[:12] in masked for part in (LETTERS, HEX, CAPITALS))


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is said of a branch with one file for each example."""
    from tests.kit.repos import make_repo

    repo: Repo = make_repo(tmp_path_factory.mktemp("tokens"), {"README.md": "# hello\n"}, branch="main")
    repo.commit({f"{n}.txt": f"before\nkey = {text}\nafter\n" for n, (_, text) in enumerate(ALL)})
    git = Git.open(repo.path)
    said: dict[str, list[str]] = {}
    for line in secrets_in(git, git.rev_parse("HEAD~1"), git.head()):
        name, _, what = line.partition(" holds ")
        said.setdefault(name, []).append(what)
    return said


@pytest.mark.parametrize(("number", "kind"), [(n, kind) for n, (kind, _) in enumerate(ALL)])
def test_it_is_refused_in_a_commit(pushed: dict[str, list[str]], number: int, kind: str):
    """And named by its kind."""
    assert kind in pushed[f"{number}.txt"]


@pytest.mark.parametrize(("kind", "text"), ALL)
def test_it_is_dropped_from_the_environment(kind: str, text: str):
    """An ordinary variable passes for what it is called, and not with a token in it."""
    env = {"GOFLAGS": text, "LC_NOTE": f"x={text}", "LANG": "C"}

    assert {"LANG": "C"} == agent_environment(env) == command_environment(env)


@pytest.mark.parametrize(("kind", "text"), ALL)
def test_it_is_withheld_from_a_gate(tmp_path: Path, kind: str, text: str):
    given, withheld = gate_env(
        {"NOTE": text, "LANG": "C"},
        named=[],
        tree=str(tmp_path),
        top=str(tmp_path),
        roots=[],
        command="true",
        mark="x",
    )

    assert ["NOTE"] == withheld
    assert "C" == given["LANG"] and text not in given.values()


def test_what_a_configuration_names_may_hold_a_key_but_never_a_forges():
    """A model's key is what its variable is for."""
    forge = {shape.kind for shape in TOKEN_SHAPES if shape.forge}

    for kind, text in ALL:
        passes = (
            {} if kind in forge or "Authorization" in text.title() else {"ANTHROPIC_X": text, "NAMED": text}
        )
        assert passes == agent_environment(
            {"ANTHROPIC_X": text, "NAMED": text}, extra=["ANTHROPIC_X", "NAMED"]
        ), text


@pytest.mark.parametrize(
    "text",
    [
        "pull-request-review-comment-created",
        "pypi-publish-to-the-test-index-first",
        "sk-folding-cube",
        "sk-ant-your-key-here",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "Authorization: Bearer YOUR_TOKEN_GOES_HERE",
        "_authToken=${NPM_TOKEN}",
        "aws_secret_access_key = read_from_environment()",
        "ciotola-di-frutta-secca-e-di-noci-miste",
        "0123456789abcdef0123456789abcdef01234567",
        "v1.2.3",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0." + LETTERS + LETTERS,
    ],
)
def test_words_and_placeholders_are_no_real_tokens(text: str):
    """A finished task is not refused for what a documentation needs."""
    assert [] == list(real_tokens(f"x = '{text}'"))


def test_a_word_with_the_letters_of_a_vendor_is_not_masked():
    """`pul` and `xai` begin ordinary words, too."""
    text = "pull-request-review-comment-created xaiOfSomethingThatIsLongEnough"

    assert text == mask(text)
