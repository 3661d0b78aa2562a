"""Shapes of Python that no line alone shows: comparisons that do not look, ends of the process on import. Pure."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator

_Def = ast.FunctionDef | ast.AsyncFunctionDef
IMPORT_ENDS = "ends the process when it is imported"


def shapes_in(text: str) -> Iterator[tuple[int, str]]:
    """Line and words of what is equal to anything, and of what ends the process when it is imported."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(module):
        if any(_says_yes(name, function) for name, function in _comparisons(node)):
            yield getattr(node, "lineno", 1), "is equal to anything"
    yield from ((node.lineno, IMPORT_ENDS) for node in _exits(module.body))


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
    yield from _answers_any_name(module)
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            yield from _compares_less(node)
        if isinstance(node, ast.ClassDef) and _has(node.bases, _PLAIN | {"type"}) and _own_comparisons(node):
            yield node.lineno, "a plain value that compares in its own way"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "type" and len(node.args) == 3:
            said = ast.unparse(node.args[2])
            if _has(node.args[1:2], _PLAIN) and any(name in said for name in _ORDER):
                yield node.lineno, "a plain value that compares in its own way"


_STANDARD = frozenset(sys.stdlib_module_names)
_TO_BE_SET = frozenset({"sys", "warnings", "ssl", "socket", "readline", "tkinter"})
"""Modules that are made to be set by whoever uses them."""


def _put_elsewhere(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Something put in the place of a part of the standard library, or a function in that of another module's."""
    imported = {
        alias.asname or alias.name: alias.name.partition(".")[0] in _STANDARD
        for node in ast.walk(module) if isinstance(node, ast.Import)
        for alias in node.names
    }  # fmt: skip
    own = {node.name for node in ast.walk(module) if isinstance(node, _Def)}
    for line, name, value in _sets(module):
        if imported.get(name) and name not in _TO_BE_SET:
            yield line, "changes what the language itself does"
        elif name in imported.keys() - _TO_BE_SET and (
            isinstance(value, ast.Lambda) or getattr(value, "id", "") in own
        ):
            yield line, "changes what another module does"


def _sets(module: ast.Module) -> Iterator[tuple[int, str, ast.expr | None]]:
    """Line, the name of what gets an attribute, and its value: `a.b = …`, `setattr(a, …)`, `vars(a)[…] = …`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute):
                    yield target.lineno, ast.unparse(target.value), node.value
                elif isinstance(target, ast.Subscript) and (name := _table_of(target.value)):
                    yield target.lineno, name, node.value
        elif isinstance(node, ast.Call) and node.args and getattr(node.func, "id", "") == "setattr":
            yield node.lineno, ast.unparse(node.args[0]), node.args[-1]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "update":
            yield node.lineno, _table_of(getattr(node.func, "value", node)), None


def _table_of(node: ast.expr) -> str:
    """`a` of `vars(a)` and of `a.__dict__`."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "vars" and len(node.args) == 1:
        return ast.unparse(node.args[0])
    return ast.unparse(node.value) if isinstance(node, ast.Attribute) and node.attr == "__dict__" else ""


def _answers_any_name(module: ast.Module) -> Iterator[tuple[int, str]]:
    """A module that gives something for whatever is asked of it."""
    for node in module.body:
        asked = isinstance(node, ast.FunctionDef) and node.name == "__getattr__"
        if asked and not any(isinstance(n, ast.Raise) or _looks_up(n) for n in ast.walk(node)):
            yield node.lineno, "has whatever name is asked for"


def _looks_up(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in {
        "getattr", "import_module", "__import__",
    }  # fmt: skip


def _compares_less(kind: ast.ClassDef) -> Iterator[tuple[int, str]]:
    """What two values of a class may differ in although they are equal: a field left out, or all of them."""
    for node in kind.body:
        if isinstance(node, ast.AnnAssign | ast.Assign) and _is_left_out(node.value):
            yield node.lineno, "a field that no comparison looks at"
        elif isinstance(node, ast.FunctionDef):
            if node.name == "__eq__" and _has_fields(kind) and _asks_for_the_kind_only(node):
                yield node.lineno, "is equal to anything of its kind"
            elif node.name in {"__sub__", "__rsub__"} and not _looks_at_other(node) and not _raises(node):
                yield node.lineno, "a difference that does not look at the other value"


def _is_left_out(value: ast.expr | None) -> bool:
    """`field(compare=False)`, `attr.ib(eq=False)`; one that nobody hands in is a cache or the like."""
    if not isinstance(value, ast.Call):
        return False
    said = {k.arg: getattr(k.value, "value", None) for k in value.keywords if k.arg}
    asked = {"field": ("compare", "eq"), "ib": ("eq", "cmp"), "attrib": ("eq", "cmp")}
    keys = asked.get(ast.unparse(value.func).rpartition(".")[2], ())
    return any(said.get(key) is False for key in keys) and said.get("init") is not False


def _has_fields(kind: ast.ClassDef) -> bool:
    return any(
        isinstance(n, ast.AnnAssign)
        or (
            isinstance(n, ast.Attribute)
            and isinstance(n.ctx, ast.Store)
            and getattr(n.value, "id", "") == "self"
        )
        for n in ast.walk(kind)
    )


def _asks_for_the_kind_only(function: _Def) -> bool:
    """Whether it looks at the other value in questions for its type, and can say yes."""
    given = [*function.args.posonlyargs, *function.args.args][1:2]
    name = given[0].arg if given else ""
    kinds = {id(n) for node in ast.walk(function) if _is_kind(node) for n in ast.walk(node)}
    looks = any(isinstance(n, ast.Name) and n.id == name and id(n) not in kinds for n in ast.walk(function))
    answers = [n.value for n in ast.walk(function) if isinstance(n, ast.Return) and n.value is not None]
    says_yes = [a for a in answers if ast.unparse(a) not in {"NotImplemented", "False"}]
    return bool(name and says_yes) and not looks


def _is_kind(node: ast.AST) -> bool:
    """`isinstance(other, …)`, `type(other)`, `other.__class__`."""
    if isinstance(node, ast.Call):
        return getattr(node.func, "id", "") in {"isinstance", "issubclass", "type"}
    return isinstance(node, ast.Attribute) and node.attr == "__class__"


def _raises(function: _Def) -> bool:
    return any(
        isinstance(n, ast.Raise) or getattr(n, "id", "") == "NotImplemented" for n in ast.walk(function)
    )


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
