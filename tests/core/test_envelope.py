"""A verdict document signed by a key of one's own: opened with the public key, refused by name otherwise."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from orchestrator_action.errors import ConfigError
from orchestrator_action.state.documents import encode_document
from orchestrator_action.state.envelope import PAYLOAD_TYPE, open_document, sign_document
from tests.core.test_documents import VERDICT

BODY = encode_document(VERDICT)
KINDS: dict[str, Callable[[], Any]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
}


def pair(kind: str = "ed25519") -> tuple[bytes, bytes]:
    """A private and a public key as `openssl` writes them."""
    key = KINDS[kind]()
    private = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    public = key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    return private, public


PRIVATE, PUBLIC = pair()
SIGNED = sign_document(BODY, PRIVATE, source="verdict.json")


@pytest.mark.parametrize("kind", KINDS)
def test_a_signed_document_is_opened_with_its_key(kind: str) -> None:
    """Byte for byte what was signed, whichever kind of key."""
    private, public = pair(kind)

    opened = open_document(sign_document(BODY, private, source="f"), public, source="f")

    assert (BODY, True, "") == (opened.body, opened.signed, opened.problem)
    assert opened.signer


def test_another_reader_of_the_standard_opens_it_too() -> None:
    """securesystemslib by itself, and the payload type that in-toto names."""
    envelope = Envelope.from_dict(json.loads(SIGNED))
    key = SSlibKey.from_crypto(pem.load_pem_public_key(PUBLIC))

    assert {key.keyid: key} == envelope.verify([key], 1)
    assert ("application/vnd.in-toto+json", BODY) == (envelope.payload_type, envelope.payload)


def test_a_signature_counts_whatever_its_key_is_called() -> None:
    """A key id is a hint: other programs name the same key otherwise, or not at all."""
    for keyid in ("SHA256:abc", ""):
        value = json.loads(SIGNED)
        value["signatures"][0]["keyid"] = keyid
        assert "" == open_document(json.dumps(value).encode(), PUBLIC, source="f").problem


def edited(edit: Callable[[dict[str, Any]], object]) -> bytes:
    value = json.loads(SIGNED)
    edit(value)
    return json.dumps(value).encode()


def _other_payload(value: dict[str, Any]) -> None:
    body = BODY.replace(b'"success"', b'"neutral"')
    value["payload"] = base64.b64encode(body).decode()


def _other_signature(value: dict[str, Any]) -> None:
    value["signatures"][0]["sig"] = base64.b64encode(b"\x01" * 64).decode()


REFUSED: dict[str, tuple[bytes, str]] = {
    "altered": (edited(_other_payload), "it was altered, or the signature is forged"),
    "forged": (edited(_other_signature), "it was altered, or the signature is forged"),
    "another key": (sign_document(BODY, pair()[0], source="f"), "it is not signed by the key given"),
    "another key by our name": (
        edited(lambda v: v.update(signatures=[
            json.loads(sign_document(BODY, pair()[0], source="f"))["signatures"][0]
            | {"keyid": v["signatures"][0]["keyid"]}
        ])),
        "it was altered, or the signature is forged",
    ),
    "not signed": (BODY, "it is not signed"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_signed_by_the_key_is_refused_by_name(case: str) -> None:
    body, said = REFUSED[case]

    opened = open_document(body, PUBLIC, source="f")

    assert "" == opened.signer
    assert said in opened.problem


NO_ENVELOPES: dict[str, bytes] = {
    "another type": edited(lambda v: v.update(payloadType="application/json")),
    "no signature": edited(lambda v: v.update(signatures=[])),
    "a key nobody knows": edited(lambda v: v.update(trust="me")),
    "no base64": edited(lambda v: v.update(payload="%%%")),
    "signatures of another shape": edited(lambda v: v.update(signatures=[1])),
    "a signature without bytes": edited(lambda v: v["signatures"][0].pop("sig")),
    "very many": edited(lambda v: v.update(signatures=v["signatures"] * 17)),
    "a payload of another shape": edited(lambda v: v.update(payload=7)),
}


@pytest.mark.parametrize("case", NO_ENVELOPES)
@pytest.mark.parametrize("key", [PUBLIC, b""], ids=["with a key", "without"])
def test_what_is_no_envelope_is_refused_in_one_line(case: str, key: bytes) -> None:
    with pytest.raises(ConfigError, match="f is no envelope of a verdict document"):
        open_document(NO_ENVELOPES[case], key, source="f")


def test_one_good_signature_among_others_is_enough() -> None:
    """Two people may vouch for one document."""
    other = CryptoSigner(KINDS["ed25519"]())
    envelope = Envelope.from_dict(json.loads(SIGNED))
    envelope.sign(other)

    assert "" == open_document(json.dumps(envelope.to_dict()).encode(), PUBLIC, source="f").problem


@pytest.mark.parametrize("key", [b"", b"secret", PUBLIC], ids=["empty", "no PEM", "a public key"])
def test_nothing_is_signed_with_what_is_no_private_key(key: bytes) -> None:
    """And the key is not repeated in the message."""
    with pytest.raises(ConfigError, match="the signing key is no private key in PEM") as refused:
        sign_document(BODY, key, source="f")

    assert "secret" not in refused.value.message


def test_nothing_is_signed_that_is_no_verdict_document() -> None:
    with pytest.raises(ConfigError, match="f is no verdict document"):
        sign_document(b"{}", PRIVATE, source="f")


def test_a_private_key_is_no_key_to_check_with() -> None:
    """Nobody should have to hand it out."""
    with pytest.raises(ConfigError, match="the key is no public key in PEM"):
        open_document(SIGNED, PRIVATE, source="f")


def test_the_payload_type_is_the_one_that_is_signed() -> None:
    """The same bytes signed as something else do not count."""
    envelope = Envelope(BODY, "text/plain", {})
    envelope.sign(CryptoSigner(pem.load_pem_private_key(PRIVATE, None)))  # type: ignore[arg-type]
    value = envelope.to_dict() | {"payloadType": PAYLOAD_TYPE}

    assert "altered" in open_document(json.dumps(value).encode(), PUBLIC, source="f").problem
