"""A GitHub App on the loopback GitHub: it signs with its key, and gets tokens for its installation that end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.kit.github_server.routes import Call, R, Refused, Reply, route
from tests.kit.github_server.schema import fill
from tests.kit.github_server.state import ACTIONS_PERMISSIONS, Viewer

INSTALLATION = 77
MARGIN_S = 20.0
"""PyGithub asks for the next token this long before the end that GitHub names."""


@dataclass
class App:
    """An App with a key of its own. Its tokens are good for `lives_s`; the end they name is `MARGIN_S` later, so that
    a test need not wait for it."""

    id: str = "4242"
    lives_s: float = 3600.0
    installed: bool = True
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    ends: dict[str, float] = field(default_factory=dict)
    """When each token it got is over, in seconds since the epoch."""

    @property
    def pem(self) -> str:
        """The private key, as the .pem file has it."""
        kinds = serialization
        return self.key.private_bytes(
            kinds.Encoding.PEM, kinds.PrivateFormat.TraditionalOpenSSL, kinds.NoEncryption()
        ).decode()

    def signed(self, token: str) -> bool:
        """Whether this is a token that the App signed for itself."""
        try:
            body = jwt.decode(token, self.key.public_key(), algorithms=["RS256"], leeway=5)
        except jwt.PyJWTError:
            return False
        return str(body.get("iss")) == self.id


ITSELF = Viewer("loopback-app[bot]", "app-itself", {"metadata": "read"})


def _need_app(call: Call) -> App:
    if call.viewer is not ITSELF or call.state.app is None:
        raise Refused(401, "A JSON web token could not be decoded")
    if not call.state.app.installed:
        raise Refused(404, "Not Found")
    return call.state.app


@route("GET", f"{R}/installation")
def installation(call: Call) -> Reply:
    _need_app(call)
    return Reply(
        data=fill(
            "installation",
            {"id": INSTALLATION, "account": call.show.user(call.state.owner)},
            api=call.show.api,
        )
    )


@route("POST", "/app/installations/{installation_id}/access_tokens")
def access_token(call: Call) -> Reply:
    app = _need_app(call)
    token = f"ghs_appToken{len(app.ends) + 1:04d}"
    app.ends[token] = time.time() + app.lives_s
    call.state.tokens[token] = Viewer("loopback-app[bot]", "app", ACTIONS_PERMISSIONS)
    end = datetime.fromtimestamp(app.ends[token] + MARGIN_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Reply(201, fill("installation-token", {"token": token, "expires_at": end}, api=call.show.api))
