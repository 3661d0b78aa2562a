"""The hosts that an agent's model is reached by: they stay within reach where the walls let through named ones only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit


def host_of(address: str) -> str:
    """The host of a URL, with its port where that is not the scheme's own; empty for what is no URL."""
    try:
        parts = urlsplit(address)
        name, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    shown = f"[{name}]" if ":" in name else name
    return f"{shown}:{port}" if name and port not in {None, 80, 443} else shown


def hosts_named(env: Mapping[str, str], names: Iterable[str] | None = None) -> tuple[str, ...]:
    """The hosts of these variables; of every one that ends as an address of an API does, where none are given."""
    chosen = (
        sorted(n for n in env if n.endswith(("_BASE_URL", "_API_BASE", "_ENDPOINT")))
        if names is None
        else names
    )
    return tuple(dict.fromkeys(host for name in chosen if (host := host_of(env.get(name, "")))))
