"""Every language the house knows. A new one is a file beside this one, a name here, a row in the docs.

The order is the order of detection: a runner that counts comes before one that only starts others.
"""

from __future__ import annotations

from orchestrator_action.verify.ecosystems import (
    c,
    dart,
    dotnet,
    elixir,
    go,
    haskell,
    javascript,
    julia,
    jvm,
    make,
    others,
    perl,
    php,
    python,
    r,
    ruby,
    rust,
    shell,
    swift,
)
from orchestrator_action.verify.ecosystems.base import Ecosystem, Runner

ECOSYSTEMS: tuple[Ecosystem, ...] = (
    python.ECOSYSTEM, javascript.ECOSYSTEM, rust.ECOSYSTEM, go.ECOSYSTEM, jvm.ECOSYSTEM, elixir.ECOSYSTEM,
    ruby.ECOSYSTEM, php.ECOSYSTEM, dotnet.ECOSYSTEM, swift.ECOSYSTEM, dart.ECOSYSTEM, haskell.ECOSYSTEM,
    julia.ECOSYSTEM, r.ECOSYSTEM, *others.SMALL_ECOSYSTEMS, perl.ECOSYSTEM, c.ECOSYSTEM, make.ECOSYSTEM,
    shell.ECOSYSTEM,
)  # fmt: skip
RUNNERS: tuple[Runner, ...] = tuple(runner for e in ECOSYSTEMS for runner in e.runners)
