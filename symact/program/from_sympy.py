"""Unevaluated SymPy -> exact Program: the only walk from one to the other.

In: a formula as its author wrote it. Out: its operations in that order, products and quotients left to right, with
exact constants. A function that is an instruction or a macro is one operation, any other is walked through its
definition. The Program also lists its *breakpoints*: the quantities at whose sign changes the formula may pass to
another analytic piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy
from sympy.core.relational import Relational

from symact.expr import functions
from symact.expr.formula import applied, expand_definition
from symact.program.builder import Builder
from symact.program.instructions import EXACT
from symact.program.program import Program

# Relation -> the comparison that it is, and whether its sides are exchanged.
_RELATIONS: dict[type, tuple[str, bool]] = {
    sympy.StrictGreaterThan: ("lt", True),
    sympy.StrictLessThan: ("lt", False),
    sympy.GreaterThan: ("le", True),
    sympy.LessThan: ("le", False),
    sympy.Equality: ("eq", False),
    sympy.Unequality: ("ne", False),
}

# A whole power up to this size is an `ipow`.
LARGEST_WHOLE_POWER = 64


def program_of(formula: sympy.Expr, arguments: tuple[str, ...], parameters: tuple[str, ...] = ()) -> Program:
    """The exact Program of unevaluated SymPy in the symbols `arguments` and `parameters`.

    Raises:
        ValueError: the formula holds something that is no instruction.
    """
    walker = _Walker(arguments + parameters, len(arguments))
    output = walker(formula)
    # They are emitted after the result, so that values alone can skip them.
    ends = dict.fromkeys(breakpoint() for breakpoint in [*walker.breakpoints])
    used = {symbol.name for symbol in formula.free_symbols}
    return walker.builder.build_exact(output, tuple(ends), not used.intersection(arguments))


class _Walker:
    def __init__(self, inputs: tuple[str, ...], variables: int):
        self.builder = Builder(inputs, variables)
        self.breakpoints: list[Callable[[], int]] = []
        self._done: dict[sympy.Basic, int] = {}

    def __call__(self, node: sympy.Basic) -> int:
        """The value number of an expression, each sub-expression once."""
        done = self._done.get(node)
        if done is None:
            done = self._done[node] = self._walk(node)
        return done

    def _breaks_where_equal(self, left: int, right: int) -> None:
        self.breakpoints.append(lambda: self.builder.emit("sub", left, right))

    def _breaks_at_zero(self, value: int) -> None:
        self.breakpoints.append(lambda: value)

    def _walk(self, node: sympy.Basic) -> int:
        if isinstance(node, sympy.Symbol):
            return self.builder.inputs.index(node.name)
        if not node.free_symbols:
            number = _exact(node)
            if number is not None:
                return self.builder.exact(number)
        if isinstance(node, sympy.Add):
            return self._sum(node.args)
        if isinstance(node, sympy.Mul):
            return self._product(node.args)
        if isinstance(node, sympy.Pow):
            return self._power(node.base, node.exp)
        if isinstance(node, sympy.Max | sympy.Min):
            return self._extremum("max" if isinstance(node, sympy.Max) else "min", node.args)
        if isinstance(node, sympy.Piecewise):
            return self._piecewise(node)
        if isinstance(node, sympy.And | sympy.Or):
            return self._fold("and" if isinstance(node, sympy.And) else "or", node.args)
        if type(node) in _RELATIONS:
            return self._comparison(node)
        row = functions.HEADS.get(type(node))
        if row is None:
            raise ValueError(f"no operations for {type(node).__name__} in {node}")
        return self._call(row, node.args)

    def _sum(self, terms: tuple[Any, ...]) -> int:
        result = self(terms[0])
        for term in terms[1:]:
            if isinstance(term, sympy.Mul) and term.args[0] == -1:
                result = self.builder.emit("sub", result, self._product(term.args[1:]))
            else:
                result = self.builder.emit("add", result, self(term))
        return result

    def _product(self, factors: tuple[Any, ...]) -> int:
        """Left to right, as written; a factor `b**-1` divides, and -1 changes the sign of what it meets first."""
        result: int | None = None
        negative = False
        for factor in factors:
            if factor == -1:
                negative = not negative
                if result is None:
                    continue
            elif factor == 1:
                self.builder.exact(1)
                continue
            elif isinstance(factor, sympy.Pow) and factor.args[1] == -1:
                divisor = self(factor.args[0])
                result = self._divide(self.builder.exact(1) if result is None else result, divisor)
            else:
                value = self(factor)
                result = value if result is None else self.builder.emit("mul", result, value)
            if negative:
                result, negative = self.builder.emit("neg", result), False
        return self.builder.exact(-1 if negative else 1) if result is None else result

    def _divide(self, value: int, divisor: int) -> int:
        self._breaks_at_zero(divisor)
        return self.builder.emit("div", value, divisor)

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> int:
        if base is sympy.E:
            return self.builder.emit("exp", self(exponent))
        value = self(base)
        if exponent in (sympy.Rational(1, 2), sympy.Rational(-1, 2)):
            self._breaks_at_zero(value)
            power = self.builder.emit("sqrt", value)
        elif isinstance(exponent, sympy.Integer) and 1 <= abs(int(exponent)) <= LARGEST_WHOLE_POWER:
            size = abs(int(exponent))
            power = value if size == 1 else self.builder.whole_power(value, size)
        else:
            self._breaks_at_zero(value)
            return self.builder.emit("pow", value, self(exponent))
        return power if exponent > 0 else self._divide(self.builder.exact(1), power)

    def _extremum(self, name: str, parts: tuple[Any, ...]) -> int:
        values = [self(part) for part in sorted(parts, key=lambda part: bool(part.is_number))]
        result = values[0]
        for value in values[1:]:
            self._breaks_where_equal(result, value)
            result = self.builder.emit(name, result, value)
        return result

    def _piecewise(self, node: sympy.Piecewise) -> int:
        *guarded, last = node.args
        if last.args[1] != sympy.true:
            raise ValueError(f"{node} has no last case")
        result = self(last.args[0])
        for case in reversed(guarded):
            condition = self(case.args[1])
            result = self.builder.emit("where", condition, self(case.args[0]), result)
        return result

    def _fold(self, name: str, parts: tuple[Any, ...]) -> int:
        result = self(parts[0])
        for part in parts[1:]:
            result = self.builder.emit(name, result, self(part))
        return result

    def _comparison(self, node: Relational) -> int:
        name, exchanged = _RELATIONS[type(node)]
        left, right = self(node.lhs), self(node.rhs)
        self._breaks_where_equal(left, right)
        return self.builder.emit(name, right, left) if exchanged else self.builder.emit(name, left, right)

    def _call(self, row: functions.Function, arguments: tuple[Any, ...]) -> int:
        if row.name not in EXACT:
            return self(expand_definition(row, *arguments))
        value = self(arguments[0])
        for quantity in row.breakpoints:
            at = applied(quantity, arguments[0])
            self.breakpoints.append(lambda at=at: self(at))  # type: ignore[misc]
        return self.builder.emit(row.name, value)


def _exact(node: sympy.Basic) -> sympy.Expr | None:
    """The rational number, or pi or e, that a symbol-free expression is at sight, else None."""
    if node in (sympy.true, sympy.false):
        return sympy.Integer(int(node == sympy.true))
    if node in (sympy.pi, sympy.E) or isinstance(node, sympy.Rational):
        return node
    if isinstance(node, sympy.Add | sympy.Mul) or (isinstance(node, sympy.Pow) and isinstance(node.exp, sympy.Integer)):
        parts = [_exact(argument) for argument in node.args]
        if all(isinstance(part, sympy.Rational) for part in parts):
            value = node.func(*parts)
            return value if isinstance(value, sympy.Rational) else None
    return None
