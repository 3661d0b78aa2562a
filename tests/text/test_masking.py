"""Values we hold do not appear, in whatever form; nor does what looks like a token."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_action.text.limits import REDACTED, defang, inline, mask, mask_shapes, plain

SECRET = "s3cr3t/Värde+with=all&kinds"
secrets_of_any_kind = st.text(min_size=8, max_size=40).filter(
    lambda s: len(s.strip()) >= 8 and s == s.strip()
)


def spellings(secret: str) -> dict[str, str]:
    raw = secret.encode("utf-8", "surrogatepass")
    return {
        "raw": secret,
        "base64": base64.b64encode(raw).decode(),
        "base64-url": base64.urlsafe_b64encode(raw).decode(),
        "base64-unpadded": base64.b64encode(raw).decode().rstrip("="),
        "basic-auth": base64.b64encode(b"x-access-token:" + raw).decode(),
        "url": urllib.parse.quote(secret, safe="", errors="replace"),
        "url-lower": urllib.parse.quote(secret, safe="", errors="replace").replace("%C3%A4", "%c3%a4"),
        "url-plus": urllib.parse.quote_plus(secret, errors="replace"),
        "json": json.dumps(secret)[1:-1],
        "html": html.escape(secret),
        "base64-twice": base64.b64encode(base64.b64encode(raw)).decode().rstrip("="),
        "base32": base64.b32encode(raw).decode().rstrip("="),
        "percent": "".join(f"%{byte:02X}" for byte in raw),
        "escaped": "".join(f"\\x{byte:02x}" for byte in raw),
        "with-references": secret.replace("v", "&#8203;v&shy;"),
        "with-controls": secret.replace("v", "\x00v\x7f"),
        "hex": raw.hex(),
        "hex-upper": raw.hex().upper(),
    }


@pytest.mark.parametrize("form", spellings(SECRET))
def test_a_value_is_masked_in_every_form(form):
    """The forms in which tokens have leaked into logs."""
    spelled = spellings(SECRET)[form]

    masked = mask(f"before {spelled} after", [SECRET])

    assert REDACTED in masked
    assert spelled not in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


@pytest.mark.parametrize("lead", ["", "x", "xy", "xyz", "x-access-token:"])
def test_a_value_is_masked_inside_longer_base64(lead):
    """Whatever stands before it in the encoded text: `actions/checkout` writes `x-access-token:TOKEN`."""
    encoded = base64.b64encode(f"{lead}ghs_notarealtokenbutlong{'z' * 5}".encode()).decode()

    masked = mask(encoded, ["ghs_notarealtokenbutlong"])

    assert REDACTED in masked
    assert len(masked.replace(REDACTED, "")) <= len(encoded) - 30


@pytest.mark.parametrize(
    "gap", ["\x1b[31m", "\x1b[0m\x1b[1m", "\u200b", "\u2060", "\n", "\r\n", "\x1b]0;t\x07"]
)
def test_a_value_split_by_what_nobody_sees_is_masked(gap):
    """Colours, zero-width characters and the line breaks of wrapped text."""
    spelled = SECRET[:9] + gap + SECRET[9:]

    assert f"a {REDACTED} b" == mask(f"a {spelled} b", [SECRET])


@settings(max_examples=200, deadline=None)
@given(secrets_of_any_kind, st.text(max_size=20), st.text(max_size=20))
def test_no_form_of_any_value_survives(secret, before, after):
    """Property: for each spelling, wherever it stands."""
    for form, spelled in spellings(secret).items():
        if len(spelled) < 8:
            continue
        masked = mask(f"{before} {spelled} {after}", [secret])
        assert secret not in masked or secret in REDACTED or secret in f"{before} {REDACTED} {after}", form


def test_lines_of_a_long_value_are_masked_one_by_one():
    """A key printed line by line is still the key."""
    key = "first-line-of-it\nsecond-line-of-it\nabc"

    assert f"{REDACTED} {REDACTED} abc" == mask("second-line-of-it first-line-of-it abc", [key])


def test_short_values_do_not_take_ordinary_words_with_them():
    """Nobody's token is three letters long."""
    assert "a yes b" == mask("a yes b", ["yes", "", "  "])


def test_the_longest_value_goes_first():
    """One value inside another leaves no remainder."""
    assert REDACTED == mask("token-abcdef-long", ["token-abcdef", "token-abcdef-long"])


@given(st.text(max_size=80))
def test_masking_twice_changes_nothing_more(text):
    """What replaced a secret is no secret."""
    assert mask(text, [SECRET]) == mask(mask(text, [SECRET]), [SECRET])


def test_ordinary_text_has_no_shape_of_a_secret():
    """Hashes, versions, UUIDs and certificates are not secrets."""
    text = (
        "commit 1234567890abcdef1234567890abcdef12345678 v1.2.3 6f1c2d3e-0000-4000-8000-000000000000 "
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= -----BEGIN CERTIFICATE----- https://a@b.c/d "
        "Authorization: see below"
    )
    assert text == mask_shapes(text)


@pytest.mark.parametrize(
    "spell", [lambda c: f"&#{ord(c)};", lambda c: f"&#x{ord(c):x};", lambda c: f"{c}&ZeroWidthSpace;"]
)
@pytest.mark.parametrize("written", [defang, inline, plain])
def test_a_value_spelled_with_references_does_not_appear_on_the_page(written, spell):
    """A page shows what references stand for, so these are read before anything is masked."""
    held = "s3cretvaluehere12345"

    page = html.unescape(written("see " + "".join(map(spell, held)), [held]))

    assert REDACTED in page.replace("\\", "") and "valuehere" not in page.replace("\u200b", "")


@pytest.mark.parametrize("lead", ["name_", "x", "(", "=", "/"])
def test_a_token_is_known_by_its_shape_wherever_it_stands(lead):
    """Letters and digits before it make it another word; anything else does not."""
    token = "sk_" + "live_0123456789abcdefABCDEF"

    assert (lead == "x") == ("0123456789" in mask_shapes(lead + token))
