"""Verdict documents signed by a key of one's own: a DSSE envelope around the in-toto Statement.

The signature covers the bytes of the Statement and their type, so what is shown is read from the envelope and from
nowhere else. A signature says who vouches for a document, not that what it says is true.
Source: github.com/secure-systems-lab/dsse, "protocol.md" and "envelope.md".
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator_action.errors import ConfigError
from orchestrator_action.protocol.documents import VerdictDocument, canonical
from orchestrator_action.state.documents import MAX_DOCUMENT_BYTES, decode_document

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MOST_SIGNATURES = 16
_KEYS = {"payload", "payloadType", "signatures"}
_MAKE_KEY = "openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out key.pub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The Statement in a file, and what its signatures come to."""

    body: bytes
    signed: bool
    """Whether the file is an envelope."""
    signer: str = ""
    """The id of the key whose signature fits; empty where no key was given, or none fits."""
    problem: str = ""
    """Why it does not count as signed by the key that was given."""


def sign_document(body: bytes, private_pem: bytes, *, source: str) -> bytes:
    """The envelope of a verdict document. Raises ConfigError for what is no document, or no private key."""
    decode_document(VerdictDocument, body, source=source)
    dsse, signer, _ = _libraries()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        own: Any = signer.CryptoSigner(load_pem_private_key(private_pem, None))
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ConfigError(
            f"the signing key is no private key in PEM without a passphrase: {type(exc).__name__}",
            hint=_MAKE_KEY,
        ) from None
    envelope = dsse.Envelope(body, PAYLOAD_TYPE, {})
    envelope.sign(own)
    return canonical(envelope.to_dict()) + b"\n"


def open_document(body: bytes, public_pem: bytes = b"", *, source: str) -> Opened:
    """The Statement of a file, signed or not. With a public key, `problem` says why its signature does not count.

    Raises ConfigError for an envelope that is none, and for a key that is none.
    """
    found = _envelope_of(body)
    if found is None:
        return Opened(body=body, signed=False, problem="it is not signed" if public_pem else "")
    payload, signatures = _parts(found, source)
    if not public_pem:
        return Opened(body=payload, signed=True)
    signer, problem = _check(payload, signatures, public_pem)
    return Opened(body=payload, signed=True, signer=signer, problem=problem)


def read_key(path: Path) -> bytes:
    """A key's file. Raises ConfigError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot read the key {path}: {exc.strerror}", hint=_MAKE_KEY) from None


def _envelope_of(body: bytes) -> dict[str, Any] | None:
    """The envelope that the bytes are; None for anything else, which `decode` names."""
    if len(body) > 2 * MAX_DOCUMENT_BYTES:
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _KEYS & set(value) else None


def _parts(value: dict[str, Any], source: str) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Payload and signatures (key id, bytes) of an envelope, read strictly."""
    wrong = ConfigError(
        f"{source} is no envelope of a verdict document", hint="sign it with: orchestrator-action sign"
    )
    signatures = value.get("signatures")
    if set(value) != _KEYS or value["payloadType"] != PAYLOAD_TYPE or not isinstance(signatures, list):
        raise wrong
    if not 0 < len(signatures) <= MOST_SIGNATURES or not all(isinstance(s, dict) for s in signatures):
        raise wrong
    try:
        found = [(str(s.get("keyid") or ""), _bytes(s["sig"])) for s in signatures]
        return _bytes(value["payload"]), found
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise wrong from None


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _check(payload: bytes, signatures: list[tuple[str, bytes]], public_pem: bytes) -> tuple[str, str]:
    """The id of the key, and why none of these signatures is by it; one of the two is empty."""
    dsse, signer, failed = _libraries()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = signer.SSlibKey.from_crypto(load_pem_public_key(public_pem))
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ConfigError(f"the key is no public key in PEM: {type(exc).__name__}", hint=_MAKE_KEY) from None
    pae = dsse.Envelope(payload, PAYLOAD_TYPE, {}).pae()
    for _, sig in signatures:  # a key id is a hint and no proof: other programs name keys otherwise
        try:
            key.verify_signature(signer.Signature(key.keyid, sig.hex()), pae)
        except failed:
            continue
        return key.keyid, ""
    if any(keyid == key.keyid for keyid, _ in signatures):
        return "", "its signature does not fit what it says: it was altered, or the signature is forged"
    named = ", ".join(keyid[:12] for keyid, _ in signatures if keyid) or "no id"
    return "", f"it is not signed by the key given ({key.keyid[:12]}), but by another ({named})"


def _libraries() -> tuple[Any, Any, tuple[type[Exception], ...]]:
    """`securesystemslib`, imported late as it is an extra. Raises ConfigError where it is not installed."""
    try:
        from securesystemslib import dsse, exceptions, signer
    except ImportError:
        raise ConfigError(
            "signing needs securesystemslib, which is not installed",
            hint="pip install 'orchestrator-action[sign]'",
        ) from None
    return dsse, signer, (exceptions.UnverifiedSignatureError, exceptions.VerificationError)
