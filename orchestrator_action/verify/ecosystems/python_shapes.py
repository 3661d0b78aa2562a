"""Shapes of Python that no line alone shows: comparisons that do not look, ends of the process on import. Pure."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator

_Def = ast.FunctionDef | ast.AsyncFunctionDef


def shapes_in(text: str) -> Iterator[tuple[int, str]]:
    """Line and words of what is equal to anything, and of what ends the process when it is imported."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(module):
        if any(_says_yes(name, function) for name, function in _comparisons(node)):
            yield getattr(node, "lineno", 1), "is equal to anything"
    yield from ((node.lineno, "ends the process when it is imported") for node in _exits(module.body))


_COMPARE = frozenset({"__eq__", "__ne__", "__contains__"})


def _comparisons(node: ast.AST) -> Iterable[tuple[str, _Def | ast.Lambda]]:
    """What this statement or expression makes a comparison of: a definition, an assignment, a table, `setattr`."""
    if isinstance(node, _Def):
        pairs: list[tuple[str, ast.AST | None]] = [(node.name, node)]
    elif isinstance(node, ast.Assign):
        pairs = [
            (t.attr if isinstance(t, ast.Attribute) else getattr(t, "id", ""), node.value)
            for t in node.targets
        ]
    elif isinstance(node, ast.Dict):
        pairs = [(str(getattr(k, "value", "")), v) for k, v in zip(node.keys, node.values, strict=True)]
    elif isinstance(node, ast.Call) and len(node.args) == 3 and getattr(node.func, "id", "") == "setattr":
        pairs = [(str(getattr(node.args[1], "value", "")), node.args[2])]
    else:
        pairs = []
    for name, value in pairs:
        if name in _COMPARE and isinstance(value, _Def | ast.Lambda):
            yield name, value


def _says_yes(name: str, function: _Def | ast.Lambda) -> bool:
    """Whether it answers without a look at the value that it is compared with."""
    if isinstance(function, ast.Lambda):
        answers: list[ast.expr | None] = [function.body]
    else:
        answers = [n.value for n in ast.walk(function) if isinstance(n, ast.Return)]
    said = [a for a in answers if a is not None and ast.unparse(a) != "NotImplemented"]
    if not said:
        return False
    no = name != "__ne__"
    if all(isinstance(a, ast.Constant) and bool(a.value) is not no for a in said):
        return False  # never equal is strict, not false
    return any(_is_loose(a) for a in said) or not _looks_at_other(function)


def _is_loose(answer: ast.expr) -> bool:
    """`… or True`, `… or not isinstance(other, Mine)`: yes to every value of another kind."""
    if not isinstance(answer, ast.BoolOp) or not isinstance(answer.op, ast.Or):
        return False
    return any(
        (isinstance(part, ast.Constant) and bool(part.value))
        or (
            isinstance(part, ast.UnaryOp)
            and isinstance(part.op, ast.Not)
            and "isinstance(" in ast.unparse(part)
        )
        for part in answer.values
    )


_PLAIN = frozenset(
    {"int", "float", "str", "bytes", "bool", "list", "tuple", "dict", "set", "frozenset", "complex"}
)
_ORDER = _COMPARE | {"__lt__", "__le__", "__gt__", "__ge__", "__instancecheck__", "__subclasscheck__"}


def doubts_in(text: str) -> Iterator[tuple[int, str]]:
    """Line and words of plain values that compare in a way of their own: right or wrong, reading has to tell."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    yield from _put_elsewhere(module)
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef) and _has(node.bases, _PLAIN | {"type"}) and _own_comparisons(node):
            yield node.lineno, "a plain value that compares in its own way"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "type" and len(node.args) == 3:
            said = ast.unparse(node.args[2])
            if _has(node.args[1:2], _PLAIN) and any(name in said for name in _ORDER):
                yield node.lineno, "a plain value that compares in its own way"


_STANDARD = frozenset(sys.stdlib_module_names) - {"sys", "warnings", "ssl", "socket", "readline", "tkinter"}
"""Without those that are made to be set by whoever uses them."""


def _put_elsewhere(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Something put in the place of a part of the standard library, or a function in that of another module's."""
    imported = {
        alias.asname or alias.name: alias.name.partition(".")[0] in _STANDARD
        for node in ast.walk(module) if isinstance(node, ast.Import)
        for alias in node.names
    }  # fmt: skip
    own = {node.name for node in ast.walk(module) if isinstance(node, _Def)}
    for node in (n for n in ast.walk(module) if isinstance(n, ast.Assign)):
        for target in node.targets:
            name = ast.unparse(target.value) if isinstance(target, ast.Attribute) else ""
            if imported.get(name):
                yield target.lineno, "changes what the language itself does"
            elif name in imported and (
                isinstance(node.value, ast.Lambda) or getattr(node.value, "id", "") in own
            ):
                yield target.lineno, "changes what another module does"


def _has(nodes: Iterable[ast.AST], names: frozenset[str]) -> bool:
    return any(isinstance(n, ast.Name) and n.id in names for node in nodes for n in ast.walk(node))


def _own_comparisons(kind: ast.ClassDef) -> bool:
    names = {n.name for n in kind.body if isinstance(n, _Def)}
    names |= {
        t.id for n in kind.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)
    }
    return bool(names & _ORDER)


_ANYTHING = frozenset(
    {"object", "int", "float", "str", "bytes", "bool", "list", "tuple", "dict", "set", "Number"}
)


def _looks_at_other(function: _Def | ast.Lambda) -> bool:
    given = [*function.args.posonlyargs, *function.args.args][1:2]
    rest = function.args.vararg
    names = {a.arg for a in given} | ({rest.arg} if rest else set())
    idle = {id(n) for node in ast.walk(function) if _is_idle(node) for n in ast.walk(node)}
    return any(isinstance(n, ast.Name) and n.id in names and id(n) not in idle for n in ast.walk(function))


def _is_idle(node: ast.AST) -> bool:
    """A question that says nothing of the value: `x == x`, or whether it is a plain kind of value at all."""
    if isinstance(node, ast.Compare) and len(node.comparators) == 1:
        return ast.dump(node.left) == ast.dump(node.comparators[0])
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance" and len(node.args) == 2:
        kinds = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
        return bool(kinds) and kinds <= _ANYTHING
    return False


def _exits(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    """Statements at the top of a module that end the process; below `if __name__ == "__main__"` they may."""
    for node in body:
        if isinstance(node, ast.If):
            if "__main__" not in ast.unparse(node.test):
                yield from _exits([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _exits([*node.body, *node.orelse, *node.finalbody])
        elif (isinstance(node, ast.Expr) and _ends(node.value)) or (
            isinstance(node, ast.Raise) and node.exc is not None and "SystemExit" in ast.unparse(node.exc)
        ):
            yield node


def _ends(value: ast.expr) -> bool:
    if not isinstance(value, ast.Call):
        return False
    return ast.unparse(value.func) in {"sys.exit", "exit", "quit", "os.abort", "os.kill", "os.killpg"}
