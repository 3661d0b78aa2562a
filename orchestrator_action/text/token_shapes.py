"""The one table of token shapes in the house.

Four rooms read it: comments mask what has a shape (`text.redact`), a commit that adds a real one is not pushed
(`git.commit_secrets`), and no variable that holds one reaches an agent (`agents.environment`) or a gate
(`hook.gate_env`). A new kind of token is one row here, and an example of it in the test.

Two measures, as their mistakes cost differently. *Shaped like* a token is whatever begins as one: to mask a
word too much costs a word. *Real* is what its vendor would have issued: to refuse a commit for the placeholder
of a documentation costs a finished task.

Sources: docs.github.com, "Token types"; docs.gitlab.com, "Token prefixes"; docs.npmjs.com, pypi.org/help,
the vendors' own pages on their prefixes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

_WORD = r"(?<![A-Za-z0-9])"
"""Nothing before it that would make it the middle of a word."""


class Shape(NamedTuple):
    """How the tokens of one kind are spelled."""

    kind: str
    """In words, as a finding names it."""
    leads: tuple[str, ...]
    """One of these stands in every text that holds such a token: looked for first, as that is quicker by far."""
    shape: str
    """What is masked."""
    real: str = ""
    """What a token must match from its beginning to be taken for an issued one; empty: its shape is enough."""
    head: str = ""
    """What stands before the token and stays when it is masked, such as `Authorization: Bearer `."""
    forge: bool = False
    """Its holder could act on a forge: dropped from every environment, also where a configuration names it."""


TOKEN_SHAPES = (
    Shape(
        "a private key",
        ("-----BEGIN ",),
        r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[\s\S]*?-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----|(?:\s*[+ -]?[A-Za-z0-9+/=:,. -]+)*)",
        forge=True,
    ),
    Shape(
        "a GitHub token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "v1."),
        r"gh[pousr]_[A-Za-z0-9_]{16,}(?:\.[A-Za-z0-9_-]{8,})*|github_pat_[A-Za-z0-9_]{16,}"
        rf"|{_WORD}v1\.[0-9a-f]{{40}}(?![A-Za-z0-9])",
        real=r"gh[pousr]_[A-Za-z0-9_]{36,}|github_pat_[A-Za-z0-9_]{60,}|v1\.",
        forge=True,
    ),
    Shape(
        "a GitLab token",
        ("glpat-", "glptt-", "gldt-", "glrt-", "glrtr-", "glcbt-", "gloas-", "glsoat-", "glft-", "glagent-"),
        r"gl(?:pat|ptt|dt|rt|rtr|cbt|oas|soat|ft|agent)-[A-Za-z0-9_=-]{16,}",
        real=r"gl[a-z]+-[A-Za-z0-9_=-]{20,}",
        forge=True,
    ),
    Shape(
        "an Atlassian token",
        ("ATATT3", "ATCTT3", "ATBB"),
        rf"{_WORD}(?:ATATT3|ATCTT3|ATBB)[A-Za-z0-9_=-]{{24,}}",
        forge=True,
    ),
    Shape("an Anthropic key", ("sk-ant-",), r"sk-ant-[A-Za-z0-9_-]{10,}", real=r"sk-ant-[A-Za-z0-9_-]{20,}"),
    Shape(
        "an OpenAI key",
        ("sk-",),
        rf"{_WORD}sk-(?:(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{{16,}}|[A-Za-z0-9]{{32,}}|(?!ant-)[A-Za-z0-9_-]{{40,}})",
        real=r"sk-(?:[A-Za-z0-9]{32,}|[A-Za-z0-9_-]{40,})",
    ),
    Shape("an AWS key", ("AKIA", "ASIA", "ABIA", "ACCA"), rf"{_WORD}(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{{16}}\b"),
    Shape(
        "an AWS secret key",
        ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
        r"[A-Za-z0-9+/=_.~-]{16,}",
        real=r"[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=_.~-])",
        head=rf"(?i:{_WORD}aws_secret_access_key)[\"']?\s*[:=]\s*[\"']?",
    ),
    Shape(
        "an Azure account key",
        ("AccountKey", "accountkey", "ACCOUNTKEY"),
        r"[A-Za-z0-9+/=_.~-]{16,}",
        real=r"[A-Za-z0-9+/]{86}==",
        head=rf"(?i:{_WORD}AccountKey)=",
    ),
    Shape(
        "a credential in a header",
        ("uthorization", "UTHORIZATION"),
        r"[A-Za-z0-9+/=_.~-]{16,}",
        real=r"(?=[^0-9]*[0-9])[A-Za-z0-9+/=_.~-]{32,}",
        head=rf"(?i:{_WORD}authorization)[\"']?\s*[:=]\s*[\"']?(?i:bearer|basic|token)[ \t]+",
    ),
    Shape(
        "a Slack token", ("xox",), rf"{_WORD}xox[a-z]-[A-Za-z0-9-]{{10,}}", real=r"xox[a-z]-[A-Za-z0-9-]{20,}"
    ),
    Shape(
        "a Slack app token",
        ("xapp-",),
        rf"{_WORD}xapp-[0-9]-[A-Za-z0-9-]{{10,}}",
        real=r"xapp-[A-Za-z0-9-]{24,}",
    ),
    Shape(
        "a Slack webhook",
        ("hooks.slack.com/services/",),
        rf"{_WORD}hooks\.slack\.com/services/T[A-Z0-9]{{6,}}/B[A-Z0-9]{{6,}}/[A-Za-z0-9]{{16,}}",
    ),
    Shape(
        "a signed token (JWT)",
        ("eyJ",),
        rf"{_WORD}eyJ[A-Za-z0-9_-]{{8,}}\.eyJ[A-Za-z0-9_-]{{8,}}\.[A-Za-z0-9_-]{{8,}}",
        real=r"[^.]+\.[^.]+\.[A-Za-z0-9_-]{40,}",
    ),
    Shape("a Google key", ("AIza",), rf"{_WORD}AIza[A-Za-z0-9_-]{{35}}"),
    Shape("a Google access token", ("ya29.",), rf"{_WORD}ya29\.[A-Za-z0-9_-]{{20,}}"),
    Shape("an npm token", ("npm_",), rf"{_WORD}npm_[A-Za-z0-9]{{30,}}", real=r"npm_[A-Za-z0-9]{36}"),
    Shape(
        "a token of a package registry",
        ("_authToken",),
        r"[A-Za-z0-9+/=_.~-]{16,}",
        head=r"_authToken[\"']?\s*[:=]\s*[\"']?",
    ),
    Shape(
        "a PyPI token", ("pypi-",), rf"{_WORD}pypi-[A-Za-z0-9_-]{{16,}}", real=r"pypi-AgE[A-Za-z0-9_-]{32,}"
    ),
    Shape("a Hugging Face token", ("hf_",), rf"{_WORD}hf_[A-Za-z0-9]{{30,}}"),
    Shape(
        "a Stripe key",
        ("k_live_", "k_test_"),
        rf"{_WORD}[srp]k_(?:live|test)_[A-Za-z0-9]{{16,}}",
        real=r"[rs]k_live_[0-9A-Za-z]{20,}",
    ),
    Shape(
        "a webhook's secret",
        ("whsec_",),
        rf"{_WORD}whsec_[A-Za-z0-9_=+/-]{{16,}}",
        real=r"whsec_[A-Za-z0-9+/=]{32,}",
    ),
    Shape("a SendGrid key", ("SG.",), rf"{_WORD}SG\.[A-Za-z0-9_-]{{16,}}\.[A-Za-z0-9_-]{{16,}}"),
    Shape("a DigitalOcean token", ("_v1_",), rf"{_WORD}do[opr]_v1_[a-f0-9]{{32,}}"),
    Shape("an age key", ("AGE-SECRET-KEY-1",), rf"{_WORD}AGE-SECRET-KEY-1[A-Z0-9]{{40,}}"),
    Shape("a Vault token", ("hvs.", "hvb.", "hvr."), rf"{_WORD}(?:hvs|hvb|hvr)\.[A-Za-z0-9_-]{{20,}}"),
    Shape("a Terraform token", (".atlasv1.",), r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{40,}"),
    Shape("a Docker token", ("dckr_pat_", "dckr_oat_"), rf"{_WORD}dckr_[op]at_[A-Za-z0-9_=+/-]{{16,}}"),
    Shape("a Linear key", ("lin_api_",), rf"{_WORD}lin_api_[A-Za-z0-9_=+/-]{{16,}}"),
    Shape("a Figma token", ("figd_",), rf"{_WORD}figd_[A-Za-z0-9_=+/-]{{16,}}"),
    Shape("a Notion token", ("ntn_",), rf"{_WORD}ntn_[A-Za-z0-9_=+/-]{{16,}}", real=r"ntn_[A-Za-z0-9]{30,}"),
    Shape("a Groq key", ("gsk_",), rf"{_WORD}gsk_[A-Za-z0-9_=+/-]{{16,}}", real=r"gsk_[A-Za-z0-9]{30,}"),
    Shape(
        "a RubyGems key",
        ("rubygems_",),
        rf"{_WORD}rubygems_[A-Za-z0-9_=+/-]{{16,}}",
        real=r"rubygems_[a-f0-9]{32,}",
    ),
    Shape(
        "a Sentry token",
        ("sntrys_",),
        rf"{_WORD}sntrys_[A-Za-z0-9_=+/-]{{16,}}",
        real=r"sntrys_[A-Za-z0-9_=+/-]{40,}",
    ),
    Shape(
        "a Shopify token",
        ("shpat_", "shpca_", "shppa_", "shpss_"),
        rf"{_WORD}shp(?:at|ca|pa|ss)_[A-Za-z0-9_-]{{16,}}",
    ),
    Shape("a Square token", ("sq0atp-", "sq0csp-"), rf"{_WORD}sq0(?:atp|csp)-[A-Za-z0-9_-]{{16,}}"),
    Shape("an xAI key", ("xai-",), rf"{_WORD}xai-[A-Za-z0-9]{{24,}}"),
    Shape("a Pulumi token", ("pul-",), rf"{_WORD}pul-[a-f0-9]{{24,}}"),
    Shape("a Postman key", ("PMAK-",), rf"{_WORD}PMAK-[A-Za-z0-9_=-]{{24,}}"),
    Shape("a Databricks token", ("dapi",), rf"{_WORD}dapi[a-f0-9]{{32}}(?![A-Za-z0-9])"),
    Shape(
        "a crates.io token",
        ("cio",),
        rf"{_WORD}cio[A-Za-z0-9]{{32}}(?![A-Za-z0-9])",
        real=r"cio(?=[a-zA-Z]*[0-9])",
    ),
    Shape(
        "a Telegram bot's token", (":AA",), rf"{_WORD}[0-9]{{8,10}}:AA[A-Za-z0-9_-]{{32,34}}(?![A-Za-z0-9_-])"
    ),
    Shape(
        "a Discord token",
        (".",),
        rf"{_WORD}[MNO][A-Za-z0-9_-]{{23,25}}\.[A-Za-z0-9_-]{{6}}\.[A-Za-z0-9_-]{{27,38}}",
        real=r"(?=[^.]*[0-9][^.]*\.)",
    ),
)

_DISTINCT = 10
"""Characters; with fewer a match is a placeholder such as `ghp_xxxxxxxx`."""
_EXAMPLES = ("EXAMPLE", "eyJzdWIiOiIxMjM0NTY3ODkwIi")
"""Parts of tokens that documentations give as examples. Source: docs.aws.amazon.com, jwt.io."""
_PASSWORD = re.compile(r"\bhttps?://[^/\s:@$<{*]+:[^/\s@$<{*]{16,}@")


@functools.cache
def _compiled(shape: Shape) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What finds a token of this kind, and what tells a real one. Made when it is first needed: a push waits."""
    return re.compile(f"{shape.head}(?P<token>{shape.shape})"), re.compile(shape.real)


@functools.cache
def _masked() -> tuple[re.Pattern[str], tuple[re.Pattern[str], ...]]:
    """What is masked whole, and what is masked behind a head that stays."""
    whole = re.compile("|".join(f"(?:{s.shape})" for s in TOKEN_SHAPES if not s.head))
    headed = (s for s in TOKEN_SHAPES if s.head)
    return whole, tuple(re.compile(rf"(?P<head>{s.head})(?!\[redacted\])(?:{s.shape})") for s in headed)


def real_tokens(text: str) -> Iterator[tuple[str, str]]:
    """Every token in a text that its vendor may have issued: its kind in words, and the token."""
    for shape in TOKEN_SHAPES:
        if any(lead in text for lead in shape.leads):
            search, real = _compiled(shape)
            tokens = (found["token"] for found in search.finditer(text))
            yield from ((shape.kind, t) for t in tokens if real.match(t) and not _is_placeholder(t))


def passwords_in_urls(text: str) -> Iterator[tuple[str, str]]:
    """Every address of a web server that holds a password, long enough to be one that was made for it."""
    if "://" in text:
        found = (m[0] for m in _PASSWORD.finditer(text))
        yield from (("a password in a URL", address) for address in found if not _is_placeholder(address))


def holds_token(text: str) -> bool:
    """Whether a text holds what may be a real token, of whatever kind."""
    return holds_forge_token(text) or any(True for _ in real_tokens(text))


def holds_forge_token(text: str) -> bool:
    """Whether a text holds what is shaped like a token of a forge."""
    shapes = (s for s in TOKEN_SHAPES if s.forge and any(lead in text for lead in s.leads))
    return any(_compiled(shape)[0].search(text) for shape in shapes)


def replace_shaped(text: str, by: str) -> str:
    """The text with `by` in place of everything that is shaped like a token."""
    whole, headed = _masked()
    text = whole.sub(by, text)
    for pattern in headed:
        text = pattern.sub(lambda m: m["head"] + by, text)
    return text


def _is_placeholder(token: str) -> bool:
    return len(set(token)) < _DISTINCT or any(part in token for part in _EXAMPLES)
