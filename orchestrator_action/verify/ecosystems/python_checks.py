"""What each test of a Python file does, one text for each of its rows, however it is written. Pure.

A method of a `TestCase` and a plain function, a table of parameters and a function for each of its rows, what a
set-up gives to `self` and what a fixture returns: where they say the same, the text is the same. A file of unittest
that is rewritten for pytest has lost no test then. Whatever is not known to say the same has no text: a fixture that
does more than return something, another decorator, a value that is no literal.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

_MAY_BE_NEW = {"pytest": "pytest", "unittest": "unittest", "annotations": "__future__:annotations"}
"""Names that a file may import although it did not before."""
_COMPARES: Mapping[str, type[ast.cmpop]] = {
    "assertEqual": ast.Eq, "assertEquals": ast.Eq, "assertListEqual": ast.Eq, "assertDictEqual": ast.Eq,
    "assertSetEqual": ast.Eq, "assertTupleEqual": ast.Eq, "assertMultiLineEqual": ast.Eq, "assertNotEqual": ast.NotEq,
    "assertIs": ast.Is, "assertIsNot": ast.IsNot, "assertIn": ast.In, "assertNotIn": ast.NotIn, "assertLess": ast.Lt,
    "assertLessEqual": ast.LtE, "assertGreater": ast.Gt, "assertGreaterEqual": ast.GtE,
}  # fmt: skip
_Given = Mapping[str, ast.expr]
"""Names, and what stands in their place."""


@dataclass(frozen=True, slots=True)
class FileChecks:
    """A test file taken apart."""

    tests: Mapping[str, tuple[str, ...]]
    """By name as pytest writes it, `Class::test`: what each row of the test does."""
    others: Counter[str]
    """Statements that are no tests."""
    imports: Mapping[str, str]
    """Names, and where they are imported from."""


def taken_over(old: str, new: str) -> dict[str, tuple[str, ...]]:
    """Tests of `old`, each with those of `new` that do all that it did; each row of `new` takes one place only.

    Empty where `new` defines or imports anything that `old` does not: a name may mean something else then.
    """
    before, after = _checks_of(old), _checks_of(new)
    if before is None or after is None or after.others != before.others:
        return {}
    known = {**_MAY_BE_NEW, **before.imports}
    if any(known.get(name) != where for name, where in after.imports.items()):
        return {}
    free: dict[str, list[str]] = {}
    for name, rows in after.tests.items():
        for row in rows:
            free.setdefault(row, []).append(name)
    found: dict[str, tuple[str, ...]] = {}
    for name, rows in sorted(before.tests.items(), key=lambda item: item[0] not in after.tests):
        places = [_take(free, row, name) for row in rows]
        if rows and all(places):
            found[name] = tuple(dict.fromkeys(places))
    return found


def _take(free: dict[str, list[str]], row: str, name: str) -> str:
    """The test that does this, of the same name if there is one; it is free no longer."""
    names = free.get(row, [])
    if not names:
        return ""
    return names.pop(names.index(name) if name in names else 0)


def _checks_of(text: str) -> FileChecks | None:
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    imports = {
        name: where
        for node in module.body if isinstance(node, ast.Import | ast.ImportFrom)
        for name, where in _imported(node)
    }  # fmt: skip
    tests: dict[str, tuple[str, ...]] = {}
    others: Counter[str] = Counter()
    fixtures = _fixtures(module, {*imports, *dir(builtins)})
    tables = _tables(module, {*imports, *dir(builtins)})
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.decorator_list = [_with_tables(d, tables) for d in node.decorator_list]
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            tests[node.name] = _rows(node, fixtures, {})
        elif isinstance(node, ast.ClassDef) and (inside := _of_class(node, fixtures)) is not None:
            tests.update(inside)
        elif not (isinstance(node, ast.Import | ast.ImportFrom) or _says_nothing(node, {*fixtures, *tables})):
            others[ast.dump(node)] += 1
    return FileChecks(tests, others, imports)


def _says_nothing(node: ast.stmt, fixtures: Collection[str]) -> bool:
    """A text, a start of the tests, and what is told where it is used."""
    if isinstance(node, ast.If):
        return "__name__" in ast.dump(node.test)
    name = node.targets[0] if isinstance(node, ast.Assign) else node
    return _is_text(node) or getattr(name, "id", getattr(name, "name", "")) in fixtures


def _tables(module: ast.Module, taken: Collection[str]) -> _Given:
    """Lists that have a name at the top, and are named in nothing but the decorators of tests."""
    made = {
        node.targets[0].id: node.value
        for node in module.body if isinstance(node, ast.Assign) and len(node.targets) == 1
        if isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.List | ast.Tuple)
    }  # fmt: skip
    marks = [d for n in ast.walk(module) if isinstance(n, ast.FunctionDef) for d in n.decorator_list]
    asked = Counter(n.id for d in marks for n in ast.walk(d) if isinstance(n, ast.Name))
    named = Counter(n.id for n in ast.walk(module) if isinstance(n, ast.Name))
    return {n: v for n, v in made.items() if asked[n] and named[n] == asked[n] + 1 and n not in taken}


def _with_tables(decorator: ast.expr, tables: _Given) -> ast.expr:
    if isinstance(decorator, ast.Call):
        decorator.args = [tables.get(getattr(a, "id", ""), a) for a in decorator.args]
    return decorator


def _fixtures(module: ast.Module, taken: Collection[str]) -> _Given:
    """What each fixture returns that does nothing else, anew for every test."""
    found: dict[str, ast.expr] = {}
    for node in (n for n in module.body if isinstance(n, ast.FunctionDef)):
        made = [ast.unparse(d) for d in node.decorator_list]
        body = [n for n in node.body if not _is_text(n)]
        returns = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None
        names = {a.arg for a in node.args.args}
        if made not in (["pytest.fixture"], ["pytest.fixture()"]) or returns is None or node.name in taken:
            continue
        if names <= found.keys() and _names_only(node):
            found[node.name] = _given(returns, {n: found[n] for n in names}, {})
    return found


def _names_only(function: ast.FunctionDef) -> bool:
    """Whether its parameters are plain names."""
    args = function.args
    return not any((args.vararg, args.kwarg, *args.posonlyargs, *args.kwonlyargs, *args.defaults))


def _given(value: ast.expr, names: _Given, own: _Given) -> ast.expr:
    """A name that says what it stands for."""
    copy = ast.parse(ast.unparse(value), mode="eval").body
    return ast.Name(f"given {ast.dump(_Plain(names, own).visit(copy))}", ast.Load())


def _imported(node: ast.Import | ast.ImportFrom) -> Iterable[tuple[str, str]]:
    start = "" if isinstance(node, ast.Import) else f"{'.' * node.level}{node.module or ''}:"
    return ((alias.asname or alias.name, f"{start}{alias.name}") for alias in node.names)


def _of_class(node: ast.ClassDef, fixtures: _Given) -> dict[str, tuple[str, ...]] | None:
    """The tests of a class that has nothing else but a set-up which gives names to values."""
    bases = [ast.unparse(b) for b in node.bases]
    if node.decorator_list or node.keywords or not set(bases) <= {"unittest.TestCase", "TestCase"}:
        return None
    methods = [n for n in node.body if not _is_text(n)]
    own: _Given | None = {}
    first = methods[0] if methods else None
    if isinstance(first, ast.FunctionDef) and first.name in {"setUp", "setup_method"}:
        own = _set_up(first)
        methods = methods[1:]
    if own is None or not all(isinstance(n, ast.FunctionDef) and n.name.startswith("test") for n in methods):
        return None
    return {
        f"{node.name}::{n.name}": _rows(n, fixtures, own) for n in methods if isinstance(n, ast.FunctionDef)
    }


def _set_up(method: ast.FunctionDef) -> _Given | None:
    """What it gives to `self`; None where it does anything else."""
    found: dict[str, ast.expr] = {}
    for node in (n for n in method.body if not _is_text(n)):
        if not isinstance(node, ast.Assign) or len(node.targets) > 1:
            return None
        target = node.targets[0]
        if not isinstance(target, ast.Attribute) or ast.unparse(target.value) != "self":
            return None
        if target.attr in found:
            return None
        found[target.attr] = _given(node.value, {}, found)
    left = re.findall(r"id='self'", "".join(ast.dump(v) for v in found.values()))
    return None if left or method.decorator_list else found


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _rows(test: ast.FunctionDef, fixtures: _Given, own: _Given) -> tuple[str, ...]:
    """What the test does for each row of its table; empty where it is not known."""
    names = [a.arg for a in test.args.args if a.arg != "self"]
    made = {name: fixtures[name] for name in names if name in fixtures}
    table = _table(test.decorator_list, [n for n in names if n not in made])
    if not _names_only(test) or table is None or _alike(test, made, own):
        return ()
    found = []
    for row in table:
        body = ast.parse(ast.unparse(ast.Module(test.body, []))).body
        plain = [_Plain({**row, **made}, own).visit(node) for node in body if not _is_text(node)]
        said = "\n".join(ast.dump(node) for node in plain)
        left = re.findall(r"\b(?:id|arg)='(\w+)'(?!, value)", said)
        if {"self", *names} & set(left):
            return ()  # a fixture of the class, or a name that becomes something else on the way
        found.append(said)
    return tuple(found)


def _alike(test: ast.FunctionDef, made: _Given, own: _Given) -> bool:
    """Whether two names of a test stand for the same words: two values that are alike, or one and the same?"""
    attributes = {n.attr for n in ast.walk(test) if isinstance(n, ast.Attribute)}
    given = [*made.values(), *(value for name, value in own.items() if name in attributes)]
    return len({ast.dump(value) for value in given}) < len(given)


def _table(decorators: Sequence[ast.expr], names: Sequence[str]) -> list[dict[str, ast.expr]] | None:
    """The rows, each by the names of its parameters; one empty row without a table, None where nobody can tell."""
    if not decorators:
        return None if names else [{}]
    mark = decorators[0]
    if len(decorators) > 1 or not isinstance(mark, ast.Call) or len(mark.args) != 2:
        return None
    if ast.unparse(mark.func) != "pytest.mark.parametrize" or {k.arg for k in mark.keywords} - {"ids"}:
        return None
    try:
        said = ast.literal_eval(mark.args[0])
    except ValueError:
        return None
    wanted = [n.strip() for n in said.split(",")] if isinstance(said, str) else list(said)
    rows = mark.args[1].elts if isinstance(mark.args[1], ast.List | ast.Tuple) else []
    values = [_values(row, len(wanted)) for row in rows]
    if not rows or sorted(wanted) != sorted(names) or None in values:
        return None
    return [dict(zip(wanted, row, strict=True)) for row in values if row is not None]


def _values(row: ast.expr, number: int) -> list[ast.expr] | None:
    """The values of one row, if they are literals and as many as there are names."""
    if isinstance(row, ast.Call) and ast.unparse(row.func) == "pytest.param":
        found = row.args if {k.arg for k in row.keywords} <= {"id"} else []
    elif number == 1:
        found = [row]
    else:
        found = row.elts if isinstance(row, ast.Tuple | ast.List) else []
    try:
        for value in found:
            ast.literal_eval(value)
    except (ValueError, TypeError):
        return None
    return list(found) if len(found) == number else None


class _Plain(ast.NodeTransformer):
    """Statements with values in the place of parameters, and with plain assertions in the place of unittest's."""

    def __init__(self, values: _Given, own: _Given) -> None:
        self.values, self.own = values, own

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if (
            getattr(node.value, "id", "") == "self"
            and isinstance(node.ctx, ast.Load)
            and node.attr in self.own
        ):
            return self.own[node.attr]
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.values.get(node.id, node) if isinstance(node.ctx, ast.Load) else node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        call = node.value
        name = _own_method(call)
        if not isinstance(call, ast.Call) or not name or call.keywords:
            return node
        if name == "assertRaises" and len(call.args) > 1:
            does = ast.Expr(ast.Call(call.args[1], call.args[2:], []))
            return ast.With([ast.withitem(_raises(call.args[:1], []))], [does])
        test = _plain_test(name, call.args)
        return node if test is None else ast.Assert(_sorted(test))

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        self.generic_visit(node)
        return ast.Assert(_sorted(node.test))

    def visit_withitem(self, node: ast.withitem) -> ast.AST:
        self.generic_visit(node)
        call, name = node.context_expr, _own_method(node.context_expr)
        if not isinstance(call, ast.Call) or call.keywords:
            return node
        if name == "assertRaises" and len(call.args) == 1:
            node.context_expr = _raises(call.args, [])
        elif name == "assertRaisesRegex" and len(call.args) == 2:
            node.context_expr = _raises(call.args[:1], [ast.keyword("match", call.args[1])])
        return node


def _own_method(call: ast.expr) -> str:
    """`name` of `self.name(…)`."""
    func = call.func if isinstance(call, ast.Call) else None
    own = isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == "self"
    return func.attr if own and isinstance(func, ast.Attribute) else ""


def _raises(args: Iterable[ast.expr], keywords: list[ast.keyword]) -> ast.expr:
    raises = ast.Attribute(ast.Name("pytest", ast.Load()), "raises", ast.Load())
    return ast.Call(raises, list(args), keywords)


def _plain_test(name: str, args: Sequence[ast.expr]) -> ast.expr | None:
    """What an assertion of unittest asserts, its message left out."""
    if name in _COMPARES and len(args) in {2, 3}:
        return ast.Compare(args[0], [_COMPARES[name]()], [args[1]])
    if name in {"assertTrue", "assertFalse"} and len(args) in {1, 2}:
        return args[0] if name == "assertTrue" else ast.UnaryOp(ast.Not(), args[0])
    if name in {"assertIsNone", "assertIsNotNone"} and len(args) in {1, 2}:
        how = ast.Is() if name == "assertIsNone" else ast.IsNot()
        return ast.Compare(args[0], [how], [ast.Constant(None)])
    if name in {"assertIsInstance", "assertNotIsInstance"} and len(args) in {2, 3}:
        asked = ast.Call(ast.Name("isinstance", ast.Load()), list(args[:2]), [])
        return asked if name == "assertIsInstance" else ast.UnaryOp(ast.Not(), asked)
    return None


def _sorted(test: ast.expr) -> ast.expr:
    """An equality with its sides in one order."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq | ast.NotEq):
        sides = sorted([test.left, test.comparators[0]], key=ast.dump)
        return ast.Compare(sides[0], test.ops, sides[1:])
    return test
