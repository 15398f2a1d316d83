"""Formula text -> SymPy, through Python's `ast` and a whitelist; no eval, ever.

In: one line of ordinary mathematics from a stranger, as papers print it (`notation`). Out: an
*unevaluated* SymPy expression, as written, in real symbols: decimals become exact rationals, and
nothing is simplified, since that would forget where the function is undefined and how its author chose to compute it.
Anything else is a `FormulaError` with the column where it stands.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeAlias

import sympy

from symact.errors import FormulaError
from symact.expr import functions, notation, published, spelling
from symact.expr.functions import SYMBOLS

MAXIMUM_LENGTH = 20_000
MAXIMUM_DEPTH = 100
MAXIMUM_PARTS = 50_000

Names: TypeAlias = Callable[[str], sympy.Expr | None]
Calls: TypeAlias = Callable[[str, int], "Callable[..., sympy.Expr] | None"]

_DECIMAL = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NUMBERS = {"pi": sympy.pi, "e": sympy.E}
_RELATIONS: dict[type, type] = {
    ast.Gt: sympy.StrictGreaterThan,
    ast.Lt: sympy.StrictLessThan,
    ast.GtE: sympy.GreaterThan,
    ast.LtE: sympy.LessThan,
    ast.Eq: sympy.Equality,
    ast.NotEq: sympy.Unequality,
}
_OPPOSITES: dict[type, type] = {
    _RELATIONS[first]: _RELATIONS[second]
    for pair in ((ast.Gt, ast.LtE), (ast.Lt, ast.GtE), (ast.Eq, ast.NotEq))
    for first, second in (pair, pair[::-1])
}
# What a condition may be, among the operands of & and |.
_CONDITIONS = (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.BinOp)


def read(text: str) -> ast.expr:
    """Formula text -> Python syntax tree, guarded against length, depth and foreign characters.

    Raises:
        FormulaError: `text` is not one expression, or is too long or too deep.
    """
    if not isinstance(text, str):
        raise FormulaError(f"a formula is text, not {type(text).__name__}")
    if len(text) > MAXIMUM_LENGTH:
        raise FormulaError(f"the formula has {len(text):,} characters; at most {MAXIMUM_LENGTH:,} are read")
    plain, columns = notation.plain(text)
    stripped = plain.strip()
    if not stripped:
        raise FormulaError("the formula is empty; expected something like x*sigmoid(x)")
    _check_nesting(text, plain, columns)
    columns = columns[len(plain) - len(plain.lstrip()) :]
    try:
        tree = ast.parse(stripped, mode="eval").body
    except SyntaxError as error:
        column = columns[min(max((error.offset or 1) - 1, 0), len(columns) - 1)]
        raise FormulaError(f"not a formula: {error.msg}", text, column) from None
    except (ValueError, MemoryError, RecursionError):
        raise FormulaError("the formula is nested too deeply or has a number that is too long") from None
    return tree if stripped == text else _located(tree, columns)


def _check_nesting(text: str, plain: str, columns: Sequence[int]) -> None:
    depth = 0
    run = 0
    for place, character in enumerate(plain):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        run = run + 1 if character in "+-~* (" else 0
        if depth > MAXIMUM_DEPTH or run > MAXIMUM_DEPTH:
            raise FormulaError(f"nested more than {MAXIMUM_DEPTH} deep", text, columns[place])


def _located(tree: ast.expr, columns: Sequence[int]) -> ast.expr:
    """The tree with every part where it stands in the text as it was written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            node.col_offset = columns[node.col_offset]
            if node.end_col_offset is not None:
                node.end_col_offset = columns[node.end_col_offset - 1] + 1
    return tree


def calls_in(syntax: ast.expr) -> list[tuple[str, int, int | None]]:
    """The names that a formula calls, each with the columns where it stands."""
    return [
        (node.func.id, node.func.col_offset, node.func.end_col_offset)
        for node in ast.walk(syntax)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]


def parse_formula(text: str, names: Names | None = None, calls: Calls | None = None) -> sympy.Expr:
    """Formula text -> unevaluated SymPy.

    Args:
        text: ordinary mathematics, as in the grammar format.
        names: name -> symbol or number; asked first. Without it only `x`, `g`, `a` and `b` are known.
        calls: (name, number of arguments) -> builder, or None; asked before the built-in table.

    Raises:
        FormulaError: with the column of the offending part.
    """
    return FormulaBuilder(text, names or SYMBOLS.get, calls).build(read(text))


class Measure:
    """Size and depth of SymPy trees, counted once per distinct part.

    Nesting a formula that names its argument twice doubles the tree, not what stands in memory, so
    that a short text may describe a tree that nothing can walk.
    """

    def __init__(self) -> None:
        self.known: dict[int, tuple[int, int, sympy.Basic]] = {}

    def of(self, node: sympy.Basic) -> tuple[int, int]:
        """(nodes of the tree, nodes on its longest path)."""
        found = self.known.get(id(node))
        if found is None:
            size = depth = 0
            for argument in node.args:
                inner = self.of(argument)
                size, depth = size + inner[0], max(depth, inner[1])
            self.known[id(node)] = found = (size + 1, depth + 1, node)
        return found[0], found[1]


class FormulaBuilder:
    """Walks one syntax tree and makes unevaluated SymPy of it."""

    def __init__(
        self,
        text: str,
        names: Names,
        calls: Calls | None = None,
        expected: str = "x, pi, e, or a parameter or constant of the grammar",
        elsewhere: Callable[[str], str] = lambda name: "",
    ):
        self.text, self.names, self.calls, self.expected = text, names, calls, expected
        self.elsewhere = elsewhere
        self.measure = Measure()

    def error(self, node: ast.AST, reason: str) -> FormulaError:
        """A `FormulaError` that points at `node`."""
        return FormulaError(reason, self.text, getattr(node, "col_offset", None), getattr(node, "end_col_offset", None))

    def build(self, node: ast.expr, depth: int = 0) -> sympy.Expr:
        """The value of `node`.

        Raises:
            FormulaError: `node` is not on the whitelist.
        """
        if depth > MAXIMUM_DEPTH:
            raise self.error(node, f"nested more than {MAXIMUM_DEPTH} deep")
        match node:
            case ast.Constant(value=bool() | str() | bytes() | complex() | None):
                raise self.error(node, "expected a number, a name or a call")
            case ast.Constant(value=int() | float() as value):
                return self._number(node, value)
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return functions.negate(self.build(operand, depth + 1))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.build(operand, depth + 1)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                return self._chain(node, depth, (ast.Add, ast.Sub), functions.negate, functions.add)
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return self._chain(node, depth, (ast.Mult, ast.Div), _invert, functions.mul)
            case ast.BinOp(op=ast.Pow(), left=base, right=exponent):
                return _power(self.build(base, depth + 1), self.build(exponent, depth + 1))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(node, name, arguments, depth)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=published.PREFIX), attr=name)):
                return self._published(node, name, depth)
            case ast.BinOp(op=ast.Mod(), left=left, right=right):
                return self._builtin(node, "mod", functions.FUNCTIONS["mod"], 2)(
                    self.build(left, depth + 1), self.build(right, depth + 1)
                )
            case ast.BinOp(op=ast.FloorDiv(), left=left, right=right):
                quotient = functions.mul(self.build(left, depth + 1), _invert(self.build(right, depth + 1)))
                return sympy.floor(quotient, evaluate=False)
            case ast.IfExp(test=condition, body=then, orelse=otherwise):
                return functions.where(
                    self._condition(condition, depth + 1), self.build(then, depth + 1), self.build(otherwise, depth + 1)
                )
            case ast.List(elts=[condition]):  # Iverson's bracket, [x > 0]
                return self._indicator(condition, depth + 1)
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp() | ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
                return self._indicator(node, depth)
        raise self.error(node, "expected a number, a name, a call, or one of + - * / **")

    def _indicator(self, condition: ast.expr, depth: int) -> sympy.Expr:
        """A condition as a number: 1 where it holds, else 0."""
        return functions.where(self._condition(condition, depth), sympy.Integer(1), sympy.Integer(0))

    def _number(self, node: ast.AST, value: int | float) -> sympy.Expr:
        try:
            finite = math.isfinite(float(value))
        except OverflowError:
            finite = False
        if not finite:
            raise self.error(node, "a number must be finite in float64")
        return sympy.Integer(value) if isinstance(value, int) else sympy.Rational(self._digits(node, value))

    def _digits(self, node: ast.AST, value: float) -> str:
        """A decimal as it is written, which may be finer than float64; extreme ones as float64 reads them."""
        start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", 0)
        written = self.text[start:end].replace("_", "")
        return written if 1e-300 < value < 1e300 and _DECIMAL.fullmatch(written) else repr(value)

    def _name(self, node: ast.AST, name: str) -> sympy.Expr:
        value = self.names(name)
        if value is None:
            value = _NUMBERS.get(name)
        if value is None:
            hint = (
                " (a function needs an argument: " + name + "(x))"
                if functions.resolve(name) and name not in spelling.LETTERS
                else ""
            )
            raise self.error(node, f"unknown name {name!r}{hint}; expected {self.expected}{self.elsewhere(name)}")
        return value

    def _chain(
        self,
        node: ast.expr,
        depth: int,
        operators: tuple[type, type],
        inverse: Callable[[sympy.Expr], sympy.Expr],
        join: Callable[..., sympy.Expr],
    ) -> sympy.Expr:
        """A left-associative run of + and -, or of * and /, as one n-ary node; no recursion along it."""
        reverse: list[sympy.Expr] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, operators):
            term = self.build(node.right, depth + 1)
            reverse.append(inverse(term) if isinstance(node.op, operators[1]) else term)
            node = node.left
        reverse.append(self.build(node, depth + 1))
        return join(*reversed(reverse))

    def _call(self, node: ast.Call, name: str, arguments: list[ast.expr], depth: int) -> sympy.Expr:
        if any(isinstance(argument, ast.Starred) for argument in arguments):
            raise self.error(node, "expected plain arguments")
        if name == "where":
            if len(arguments) != 3:
                raise self.error(node, "where takes 3 arguments: where(condition, then, otherwise)")
            condition, then, otherwise = arguments
            return functions.where(
                self._condition(condition, depth + 1), self.build(then, depth + 1), self.build(otherwise, depth + 1)
            )
        build = self._called(node, name, len(arguments))
        built = build(*[self.build(argument, depth + 1) for argument in arguments])
        if self.measure.of(built)[0] > MAXIMUM_PARTS:
            raise self.error(node, f"written out, this has more than {MAXIMUM_PARTS:,} parts")
        return built

    def _published(self, node: ast.Call, name: str, depth: int) -> sympy.Expr:
        """`atlas.serf(x)`: a published function; its parameters have their default values or those of keywords."""
        row = published.find_published(name)
        if row is None:
            raise self.error(node.func, f"no published function is called {name!r}; `symact atlas` lists them")
        values: dict[str, sympy.Expr] = {
            key: sympy.Rational(value.numerator, value.denominator) for key, value in row.defaults.items()
        }
        for keyword in node.keywords:
            if keyword.arg not in values:
                takes = f"its parameters are {', '.join(values)}" if values else "it has no parameters"
                raise self.error(keyword, f"{name} takes no {keyword.arg!r}; {takes}")
            values[keyword.arg] = self.build(keyword.value, depth + 1)
        if len(node.args) != 1 or isinstance(node.args[0], ast.Starred):
            raise self.error(node, f"a published function takes one argument, as in {published.PREFIX}.{name}(x)")
        values["x"] = self.build(node.args[0], depth + 1)
        built = FormulaBuilder(row.formula, values.get).build(_tree(row.formula))
        if self.measure.of(built)[0] > MAXIMUM_PARTS:
            raise self.error(node, f"written out, this has more than {MAXIMUM_PARTS:,} parts")
        return built

    def _called(self, node: ast.Call, name: str, count: int) -> Callable[..., sympy.Expr]:
        """What a call builds: of the spellings that are meant, the first that the grammar or the table knows."""
        for spelled in spelling.spellings(name):
            build = self.calls(spelled, count) if self.calls else None
            if build is not None:
                return build
            row = functions.find(spelled)
            if row is not None and not (spelled in spelling.LETTERS and self.names(spelled) is not None):
                return self._builtin(node, name, row, count)
        if name in _NUMBERS or self.names(name) is not None:
            raise self.error(node, f"{name!r} is no function; a product is written {name}*(...)")
        if name in (known := published.gates()):
            raise self.error(
                node.func, f"{name} is the gate {known[name].formula}: write that, or name the grammar gates"
            )
        hint = spelling.hint(name, functions.names()) or "`symact grammars --functions` lists what there is"
        raise self.error(node.func, f"unknown function {name!r}; {hint}")

    def _builtin(self, node: ast.expr, name: str, row: functions.Function, count: int) -> Callable[..., sympy.Expr]:
        if (row.arity is None and count < 2) or (row.arity is not None and count != row.arity):
            wanted = "2 or more arguments" if row.arity is None else f"{row.arity} argument{'s' * (row.arity > 1)}"
            raise self.error(node, f"{name} takes {wanted}, got {count}")
        return row.build or (lambda *arguments: expand_definition(row, *arguments))

    def _condition(self, node: ast.expr, depth: int) -> sympy.Basic:
        match node:
            case ast.Compare(left=left, ops=comparisons, comparators=rights) if all(
                type(c) in _RELATIONS for c in comparisons
            ):
                values = [self.build(part, depth + 1) for part in (left, *rights)]
                parts = [
                    _RELATIONS[type(c)](low, high, evaluate=False)
                    for c, low, high in zip(comparisons, values, values[1:], strict=False)
                ]
                return parts[0] if len(parts) == 1 else sympy.And(*parts, evaluate=False)
            case ast.BoolOp(op=operator, values=values):
                join = sympy.And if isinstance(operator, ast.And) else sympy.Or
                return join(*[self._condition(value, depth + 1) for value in values], evaluate=False)
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr() as operator, left=left, right=right):
                word, join = ("and", sympy.And) if isinstance(operator, ast.BitAnd) else ("or", sympy.Or)
                if not all(isinstance(side, _CONDITIONS) for side in (left, right)):
                    raise self.error(
                        node, f"& and | join comparisons in parentheses, (x > 0) & (x < 1); or write {word}"
                    )
                return join(*[self._condition(side, depth + 1) for side in (left, right)], evaluate=False)
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                return _opposite(self._condition(operand, depth + 1))
        raise self.error(node, "expected a comparison, as in where(x > 0, x, 0.01*x)")


def _power(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    """A power; that of e is `exp`, which back ends are exact about."""
    return sympy.exp(exponent, evaluate=False) if base is sympy.E else functions.power(base, exponent)


def _opposite(condition: sympy.Basic) -> sympy.Basic:
    """The condition that holds where this one does not."""
    join = {sympy.And: sympy.Or, sympy.Or: sympy.And}.get(condition.func)
    if join is not None:
        return join(*map(_opposite, condition.args), evaluate=False)
    return _OPPOSITES[condition.func](*condition.args, evaluate=False)


def _invert(x: sympy.Expr) -> sympy.Expr:
    return functions.power(x, sympy.Integer(-1))


@cache
def _tree(text: str) -> ast.expr:
    return read(text)


def applied(text: str, *arguments: sympy.Expr) -> sympy.Expr:
    """A formula of the table of functions at `arguments`: `x`; `a` and `b`; or `x`, `a` and `b`."""
    names = dict(zip(("x", "ab", "xab")[len(arguments) - 1], arguments, strict=True))
    return FormulaBuilder(text, names.get).build(_tree(text))


def expand_definition(row: functions.Function, *arguments: sympy.Expr) -> sympy.Expr:
    """The definition of a row, one level deep, at `arguments`."""
    return applied(row.definition, *arguments)
