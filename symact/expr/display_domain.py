"""Where a SymPy expression is defined as a real function, up to single points.

In: an evaluated expression in real symbols. Out: the conditions under which it is defined, each a
relation to zero that is not always true; `sympy.false` among them means nowhere. What this room
promises is one-sided: a condition that it drops holds almost everywhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sympy

from symact.expr.formula import applied
from symact.expr.functions import HEADS, Function

_KINKED: tuple[Any, ...] = (sympy.Max, sympy.Min, sympy.Piecewise)
_KINKED += tuple(row.head for row in HEADS.values() if row.pieces)


@lru_cache(maxsize=4096)
def sign_of(u: sympy.Expr) -> int:
    """2 where `u` is certainly positive (if defined), 1 where not negative, -1 and -2 likewise, 0 where unknown."""
    if u.is_Rational:
        return 1 if u == 0 else 2 if u > 0 else -2
    if u in (sympy.pi, sympy.E):
        return 2
    row = HEADS.get(type(u))
    if row is not None and row.arity == 1:
        return _sign_of_function(row, u.args[0])
    if isinstance(u, sympy.Pow):
        return _sign_of_power(sign_of(u.base), u.exp)
    if not isinstance(u, sympy.Add | sympy.Mul | sympy.Max | sympy.Min):
        return 0
    signs = [sign_of(argument) for argument in u.args]
    if isinstance(u, sympy.Mul):
        negative = sum(sign < 0 for sign in signs) % 2
        return min(map(abs, signs)) * (-1 if negative else 1)
    if isinstance(u, sympy.Max):
        return max(signs) if max(signs) > 0 or 0 not in signs else 0
    if isinstance(u, sympy.Min):
        return min(signs) if min(signs) < 0 or 0 not in signs else 0
    if min(signs) > 0:
        return max(signs)
    return min(signs) if max(signs) < 0 else 0


def _sign_of_function(row: Function, argument: sympy.Expr) -> int:
    if row.head is sympy.Abs:
        return 2 if abs(sign_of(argument)) == 2 else 1
    return sign_of(applied(row.sign, argument)) if row.sign else 0


def _sign_of_power(base: int, exponent: sympy.Expr) -> int:
    if exponent.is_Integer:
        if exponent.is_even:
            return 2 if abs(base) == 2 else 1
        return base
    # A real power of another kind is defined only at bases that are not negative, integer exponents apart.
    return 2 if base == 2 else int(exponent.is_Rational)


def vanishes_nowhere(u: sympy.Expr) -> bool:
    """Whether `u` is certainly not zero almost everywhere: positive, or analytic and not constant."""
    if abs(sign_of(u)) == 2:
        return True
    if u.is_Rational or not u.free_symbols:
        return bool(u.is_Rational and u != 0)
    if isinstance(u, sympy.Abs):
        return vanishes_nowhere(u.args[0])
    if isinstance(u, sympy.Mul):
        return all(vanishes_nowhere(factor) for factor in u.args)
    return not u.has(*_KINKED)


def above(u: sympy.Expr) -> sympy.Basic:
    """The condition `u > 0`, without factors that do not matter."""
    u = _essential(u)
    sign = sign_of(u)
    if sign == 2 or (sign == 1 and vanishes_nowhere(u)):
        return sympy.true
    if sign < 0 or u == 0:
        return sympy.false
    return sympy.StrictGreaterThan(u, 0, evaluate=False)


def not_below(u: sympy.Expr) -> sympy.Basic:
    """The condition `u >= 0`; it is `u > 0` where `u` almost never vanishes."""
    u = _essential(u)
    sign = sign_of(u)
    if sign > 0:
        return sympy.true
    if vanishes_nowhere(u):
        return sympy.false if sign < 0 else above(u)
    return sympy.GreaterThan(u, 0, evaluate=False)


def not_zero(u: sympy.Expr) -> list[sympy.Basic]:
    """The conditions that `u` is not zero, one for each factor that may vanish on more than points."""
    if u.is_zero or u == 0:
        return [sympy.false]
    factors = u.args if isinstance(u, sympy.Mul) else (u,)
    bases = [f.args[0] if isinstance(f, sympy.Pow) and f.args[1].is_Rational else f for f in factors]
    return [sympy.Unequality(_essential(b), 0, evaluate=False) for b in bases if not vanishes_nowhere(b)]


def _essential(u: sympy.Expr) -> sympy.Expr:
    """`u` without positive factors: a condition on its sign stays the same."""
    coefficient, rest = u.as_coeff_Mul()
    if not coefficient.is_Rational or coefficient == 0:
        return u
    kept = [f for f in sympy.Mul.make_args(rest) if sign_of(f) != 2]
    return sympy.Mul(-1 if coefficient < 0 else 1, *kept)


def of_power(base: sympy.Expr, exponent: sympy.Expr) -> list[sympy.Basic]:
    """The conditions of the real power `base**exponent`.

    Undefined are 0 to a negative power, and a negative base with an exponent that is no integer.
    """
    if exponent.is_Integer:
        return not_zero(base) if exponent < 0 else []
    if exponent.is_Rational and exponent > 0:
        return [not_below(base)]
    if sign_of(base) == 2:
        return []
    if not exponent.is_Rational and (exponent.has(*_KINKED) or not vanishes_nowhere(base)):
        # An exponent with kinks may be an integer over whole intervals, so only the power itself says where.
        return [sympy.Equality(sympy.Pow(base, exponent, evaluate=False), sympy.Symbol("defined"), evaluate=False)]
    return [above(base)]


def conditions(expression: sympy.Basic) -> set[sympy.Basic]:
    """Every condition under which an evaluated expression is defined; `true` is left out."""
    found: set[sympy.Basic] = set()
    seen: set[sympy.Basic] = set()

    def visit(node: sympy.Basic) -> None:
        if node in seen:
            return
        seen.add(node)
        if isinstance(node, sympy.Piecewise):
            found.update(of_branches([(pair.args[1], conditions(pair.args[0])) for pair in node.args]))
            for pair in node.args:
                visit_condition(pair)
            return
        found.update(of_node(node))
        for argument in node.args:
            visit(argument)

    def visit_condition(pair: sympy.Basic) -> None:
        for relation in pair.args[1].atoms(sympy.core.relational.Relational):
            for side in relation.args:
                visit(side)

    visit(expression)
    return found - {sympy.true}


def of_node(node: sympy.Basic) -> list[sympy.Basic]:
    """The conditions of one operation, its arguments apart."""
    if isinstance(node, sympy.log):
        return [above(node.args[0])]
    if isinstance(node, sympy.Pow):
        return of_power(*node.args)
    return []


def of_branches(branches: list[tuple[sympy.Basic, set[sympy.Basic]]]) -> set[sympy.Basic]:
    """The conditions of a `Piecewise`: those of a branch matter only where it is taken."""
    found: set[sympy.Basic] = set()
    before: list[sympy.Basic] = []
    for condition, inner in branches:
        for needed in inner - {sympy.true, condition}:
            # True where the branch is not taken, which is where an earlier condition holds or this one does not.
            escapes = [*before, *([] if condition == sympy.true else [negated(condition)])]
            if needed not in escapes and not any(_covers(escape, needed) for escape in escapes):
                found.add(needed if not escapes else sympy.Or(*escapes, needed, evaluate=False))
        before.append(condition)
    if branches and branches[-1][0] != sympy.true:
        found.add(before[0] if len(before) == 1 else sympy.Or(*before, evaluate=False))
    return found


def _covers(escape: sympy.Basic, needed: sympy.Basic) -> bool:
    """Whether one of the two holds almost everywhere: `u <= 0` and `u > 0`, or `u <= 0` and `u != 0`."""
    opposite = _strict(negated(escape))
    if isinstance(needed, sympy.Unequality) and isinstance(opposite, sympy.StrictGreaterThan | sympy.StrictLessThan):
        return bool(opposite.args == needed.args)
    return negated(escape) in (needed, _strict(needed)) or opposite == _strict(needed)


def _strict(condition: sympy.Basic) -> sympy.Basic:
    if isinstance(condition, sympy.GreaterThan):
        return sympy.StrictGreaterThan(*condition.args, evaluate=False)
    if isinstance(condition, sympy.LessThan):
        return sympy.StrictLessThan(*condition.args, evaluate=False)
    return condition


_NEGATED: dict[type, type] = {
    sympy.StrictGreaterThan: sympy.LessThan,
    sympy.StrictLessThan: sympy.GreaterThan,
    sympy.GreaterThan: sympy.StrictLessThan,
    sympy.LessThan: sympy.StrictGreaterThan,
    sympy.Equality: sympy.Unequality,
    sympy.Unequality: sympy.Equality,
}


def negated(condition: sympy.Basic) -> sympy.Basic:
    """The opposite condition, without evaluation."""
    if condition in (sympy.true, sympy.false):
        return sympy.false if condition == sympy.true else sympy.true
    if type(condition) in _NEGATED:
        return _NEGATED[type(condition)](*condition.args, evaluate=False)
    return sympy.Not(condition, evaluate=False)
