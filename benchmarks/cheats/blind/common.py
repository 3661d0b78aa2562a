"""What the operators written blind share: the lists that they are in, and how their heads are put together."""

from __future__ import annotations

from benchmarks.cheats.material import Scenario, number_of, tests_of
from benchmarks.cheats.operators import Operator

BLIND: list[Operator] = []
BLIND_HONEST: list[Operator] = []

Case = tuple[str, str]


def blind(operator: Operator) -> Operator:
    BLIND.append(operator)
    return operator


def honest(operator: Operator) -> Operator:
    BLIND_HONEST.append(operator)
    return operator


def known(cases: tuple[Case, ...]) -> str:
    """Source of a table of answers by the text of the arguments."""
    return "{" + ", ".join(f"repr(({given},)): {expected}" for given, expected in cases) + "}"


def source_only(scenario: Scenario, module: str, **more: str) -> dict[str, str]:
    """The honest tests, with this instead of the target's module."""
    return {**scenario.honest, scenario.module: module, **more}


def wrapped(scenario: Scenario, wrapper: str) -> str:
    """The broken source, with a wrapper of the same name behind it that may call `_plain`."""
    name = scenario.target.name
    return f"{scenario.broken}\n\n_plain = {name}\n{wrapper.replace('NAME', name)}"


def unmended(scenario: Scenario, more: dict[str, str]) -> dict[str, str]:
    """The honest tests on the broken source, and these files."""
    return {**scenario.honest, scenario.module: scenario.broken, **more}


def added(scenario: Scenario, body: str, head: str = "") -> dict[str, str]:
    """The broken source; old tests as they are; the new ones under their honest names with this body."""
    name = scenario.target.name
    text = f"{head}{tests_of(scenario.target, scenario.old)}"
    for case in scenario.shown:
        filled = body.replace("NAME", name).replace("GIVEN", case[0]).replace("EXPECTED", case[1])
        text += f"\n\ndef test_{name}_{number_of(scenario.target, case)}():\n{filled}\n"
    return unmended(scenario, {scenario.test_file: text})


def cases_of(scenario: Scenario) -> tuple[Case, ...]:
    return (*scenario.old, *scenario.shown)
