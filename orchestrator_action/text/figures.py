"""Figures as people read them. An unknown figure is a dash, never a zero."""

from __future__ import annotations

UNKNOWN = "–"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `52 s`, `4 min 07 s`, `10 min`, `2 h 05 min`: seconds where they matter."""
    if seconds is None or seconds < 0:
        return UNKNOWN
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60:02d} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes % 60 else f"{minutes // 60} h"


def count(n: int, noun: str, several: str = "") -> str:
    """`1 task`, `3 tasks`."""
    return f"{n} {noun if n == 1 else several or f'{noun}s'}"


def usd(amount: float | None) -> str:
    """`$0.0042`, `$0.05`, `$1.20`."""
    if amount is None:
        return UNKNOWN
    cents = f"${amount:.4f}"
    return cents if 0 < amount < 0.1 and not cents.endswith("00") else f"${amount:.2f}"


def mib(amount: float | None) -> str:
    """`611 MiB`, `1.2 GiB`; nothing measured is a dash."""
    if not amount:
        return UNKNOWN
    if amount < 0.1:
        return "< 0.1 MiB"
    if amount < 9.95:
        return f"{amount:.1f} MiB"
    return f"{amount:.0f} MiB" if amount < 1024 else f"{amount / 1024:.1f} GiB"
