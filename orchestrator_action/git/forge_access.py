"""How this process reaches the forge by HTTP with the token: certificates and proxies as git is set up.

Read from the user's git settings (`http.*`, `http.<url>.*`) and environment before any agent starts.
"""

from __future__ import annotations

import base64
import email.utils
import os
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from orchestrator_action.errors import GitError
from orchestrator_action.git.repo import Git

if TYPE_CHECKING:
    import urllib3

CONNECT_S = 30.0
ANSWER_S = 300.0
"""The longest a forge may think about a push without a word."""
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where systems keep their certificates, for a Python that was built to look elsewhere."""
_FALSE = {"false", "no", "off", "0", ""}


class RenewableToken(str):
    """A token that ends while we work: as a text it is the first one, `now` gives the one that counts."""

    now: Callable[[], str]

    def __new__(cls, first: str, now: Callable[[], str]) -> RenewableToken:
        """The first token, with what gives the next ones."""
        made = super().__new__(cls, first)
        made.now = now
        return made


def token_now(token: str) -> str:
    """The token to be sent at this moment."""
    return token.now() if isinstance(token, RenewableToken) else token


@dataclass(frozen=True, kw_only=True)
class ForgeAccess:
    """The forge's server with what it takes to be let in. Nothing of it is ever shown or written."""

    server: tuple[str, str, int]
    """Scheme, host and port that the token is for."""
    authorization: Callable[[], str] = field(repr=False)
    _own: urllib3.PoolManager = field(repr=False)
    _others: urllib3.PoolManager = field(repr=False)

    @property
    def faults(self) -> tuple[type[BaseException], ...]:
        """What `ask` and reading its answer raise when the network fails."""
        import urllib3

        return urllib3.exceptions.HTTPError, OSError

    def ask(
        self, method: str, url: str, headers: dict[str, str], body: Any, *, with_token: bool
    ) -> urllib3.BaseHTTPResponse:
        """One request, its body sent as it comes; the answer is read by the caller, who closes it.

        The token goes to the forge's own server only, whatever `with_token` says.
        """
        ours = self.is_own(url)
        if with_token and ours:
            headers = {**headers, "Authorization": self.authorization()}
        import urllib3

        given = None if body == b"" and method == "GET" else body
        chunked = given is not None and "Content-Length" not in headers
        timeout = urllib3.Timeout(connect=CONNECT_S, read=ANSWER_S)
        return (self._own if ours else self._others).request(
            method, url, headers=headers, body=given, chunked=chunked, timeout=timeout, retries=False,
            redirect=False, preload_content=False, decode_content=False,
        )  # fmt: skip

    def is_own(self, url: str) -> bool:
        """Whether the URL is the forge's server, which may have learned TLS since."""
        found = server_of(url)
        return found == self.server or (
            self.server[0] == "http" and found == ("https", self.server[1], 443) and self.server[2] == 80
        )

    def redirected(self, url: str, target: str) -> str:
        """Where a redirect leads when it stays on the forge's own server; otherwise an empty string."""
        whole = urljoin(url, target)
        return whole if self.is_own(whole) and "@" not in urlsplit(whole).netloc else ""

    @staticmethod
    def server_of(url: str) -> str:
        """The server's name, as people write it."""
        return urlsplit(url).netloc.rpartition("@")[2]

    @staticmethod
    def shown(url: str) -> str:
        """A URL without what may be secret in it."""
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))[:200]

    @staticmethod
    def retry_after_s(headers: Mapping[str, str]) -> float:
        """Seconds the server asks us to wait: a number, or a date; 0.0 when it asks for none."""
        said = headers.get("Retry-After", "").strip()
        if said.isascii() and said.isdecimal():
            return float(said[:9])
        when = email.utils.parsedate_tz(said) if said else None
        return max(0.0, email.utils.mktime_tz(when) - time.time()) if when else 0.0

    def fault_in_words(self, url: str, exc: BaseException) -> str:
        """What failed on the way to the server, as curl would word it."""
        import urllib3.exceptions as errors

        host = self.server_of(url)
        if isinstance(exc, errors.SSLError):
            return f"SSL certificate problem with {host}: {exc}"
        if isinstance(exc, errors.NameResolutionError):
            return f"could not resolve host {host}"
        if isinstance(exc, errors.ProxyError):
            return f"failed to connect to the proxy for {host}: {_innermost(exc)}"
        if isinstance(exc, errors.NewConnectionError | errors.ConnectTimeoutError):
            return f"failed to connect to {host}: {_innermost(exc)}"
        if isinstance(exc, errors.ReadTimeoutError):
            return f"{host} timed out"
        return f"the connection to {host} broke (connection reset): {_innermost(exc)}"


def _innermost(exc: BaseException) -> str:
    while (below := exc.__cause__ or exc.__context__) is not None:
        exc = below
    return getattr(exc, "strerror", "") or str(exc) or type(exc).__name__


def server_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port, spelled in one way."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)


def basic_authorization(user: str, token: str) -> str:
    """The header's value, as git sends a user and a password."""
    return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()


def open_access(
    git: Git,
    url: str,
    *,
    authorization: Callable[[], str],
    env: Mapping[str, str],
    strict: bool = False,
    remote: str = "",
) -> ForgeAccess:
    """Access to the server of `url`, by the settings that stand now; of the system's alone when `strict`.

    Raises GitError for a certificate that cannot be read or a kind of proxy that we do not speak.
    """
    own = _settings(git, url, strict=strict)
    if not strict and (proxy := git.config().get(f"remote.{remote}.proxy")) is not None:
        own["http.proxy"] = proxy
    others = {k: v for k, v in _settings(git, "https://", strict=strict).items() if "sslcert" not in k}
    return ForgeAccess(
        server=server_of(url),
        authorization=authorization,
        _own=_pool(url, own, env),
        _others=_pool("https://", others, {k: v for k, v in env.items() if k != "GIT_SSL_CERT"}),
    )


def _settings(git: Git, url: str, *, strict: bool) -> dict[str, str]:
    """`http.*` as it applies to a URL, keys in lower case; git does the matching."""
    scope = ["--system"] if strict else []
    done = git.run_config(*scope, "--type=path", "-z", "--get-urlmatch", "http", url)
    pairs = (os.fsdecode(e).partition("\n") for e in done.out.split(b"\0") if e)
    return {key.lower(): value for key, _, value in pairs}


def _pool(url: str, settings: Mapping[str, str], env: Mapping[str, str]) -> urllib3.PoolManager:
    import urllib3  # 15 ms with what it imports, which a remote in a folder does not need

    context = _tls(settings, env)
    proxy = _proxy(url, settings, env)
    if not proxy:
        return urllib3.PoolManager(ssl_context=context, maxsize=8)
    if not proxy.startswith(("http://", "https://")):
        raise GitError(
            f"the proxy {ForgeAccess.shown(proxy)} is of a kind that cannot be used with a token",
            hint="http:// and https:// proxies can: git config http.proxy",
        )
    parts = urlsplit(proxy)
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    headers = urllib3.make_headers(proxy_basic_auth=user) if parts.username else {}
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
    return urllib3.ProxyManager(bare, proxy_headers=headers, ssl_context=context, maxsize=8)


def _proxy(url: str, settings: Mapping[str, str], env: Mapping[str, str]) -> str:
    """The proxy for a URL: as set, otherwise as the environment has it; as curl reads it."""
    scheme, host, port = server_of(url)
    names = [f"{scheme}_proxy", *([f"{scheme}_proxy".upper()] if scheme == "https" else [])]
    found = next((env[n] for n in (*names, "all_proxy", "ALL_PROXY") if env.get(n)), "")
    proxy = settings.get("http.proxy", found)
    left_out = env.get("no_proxy") or env.get("NO_PROXY") or ""
    bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    if not proxy or (left_out and host and bypass(f"{host}:{port}", {"no": left_out})):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _tls(settings: Mapping[str, str], env: Mapping[str, str]) -> ssl.SSLContext:
    """The certificates that git would ask for and show."""
    file = env.get("GIT_SSL_CAINFO") or settings.get("http.sslcainfo") or env.get("SSL_CERT_FILE")
    folder = env.get("GIT_SSL_CAPATH") or settings.get("http.sslcapath") or env.get("SSL_CERT_DIR")
    cert = env.get("GIT_SSL_CERT") or settings.get("http.sslcert")
    try:
        context = ssl.create_default_context(cafile=file or None, capath=folder or None)
        if not (file or folder or context.get_ca_certs() or _has_default_folder()):
            for bundle in filter(os.path.exists, _BUNDLES):
                context.load_verify_locations(bundle)
                break
        if cert:
            context.load_cert_chain(cert, env.get("GIT_SSL_KEY") or settings.get("http.sslkey"), _no_password)
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        raise GitError(
            f"a certificate of git's settings cannot be used: {exc}",
            hint="git config --show-origin --get-regexp 'http.*ssl'",
        ) from exc
    if settings.get("http.sslverify", "true").lower() in _FALSE or env.get("GIT_SSL_NO_VERIFY"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        import urllib3

        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # it was asked for
    return context


def _no_password() -> str:
    raise ValueError("its key has a password, and nobody can be asked for it")


def _has_default_folder() -> bool:
    paths: Iterable[str | None] = (ssl.get_default_verify_paths().capath,)
    return any(p and Path(p).is_dir() and any(Path(p).iterdir()) for p in paths)
