"""Canonical form: expressions that differ by simple rewriting become one SymPy expression.

In: an `Expr`. Out: SymPy, definitions expanded, sums and products sorted, collected and (within
bounds) multiplied out. SymPy's automatic evaluation does the work and forgets where a function is
undefined; `domain` remembers it, and what was forgotten stands round the result as a `Piecewise`
without an otherwise: `exp(log(x))` is `Piecewise((x, x > 0))`, and what is defined nowhere is `nan`.

Every step is bounded. No `simplify`, no comparison of constants by evaluation, no assumption about
a symbol but that it is real; a power that would fill the memory stays as it is written; and an
expression whose expanded form is too large stays in functions, or in the operators of its grammar.
"""

from __future__ import annotations

import math
from typing import Any

import sympy

from symact.expr import display_domain, functions
from symact.expr.formula import Measure, expand_definition
from symact.expr.tree import Expr, substituted, to_sympy

MAXIMUM_NODES = 1_500
MAXIMUM_SIZE = 400
MAXIMUM_DEPTH = 50
MAXIMUM_BITS = 4_096
MAXIMUM_TERMS = 24
_ROUNDS = 4

_UNDEFINED = (sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.I)
_PLAIN: tuple[Any, ...] = (sympy.sin, sympy.cos, sympy.tan, sympy.sinh, sympy.cosh, sympy.tanh, sympy.asinh, sympy.atan)
_PLAIN += (sympy.erf, sympy.erfc, sympy.log)


class _TooLargeError(Exception):
    """The form that is being made has more nodes or more depth than the bounds allow.

    SymPy ends an evaluation in ways of its own, with any kind of exception: "The argument 'i1e(1)' is not comparable"
    (ValueError), "Invalid comparison of non-real cosh(1)/Min(0, E)" (TypeError), constants that fit in no float
    (OverflowError), assertions about branches (AssertionError). Whatever it is, the next form is tried.
    """


def canonical(expr: Expr | sympy.Expr) -> sympy.Expr:
    """The canonical form.

    Idempotent on its own results. Equal results are the same function almost everywhere, with the
    same domain up to single points; the converse holds for commuting, reassociating, distributing
    and for functions that are defined by others, not for every identity.
    """
    for expand in (True, False):
        try:
            return _settled(to_sympy(expr) if isinstance(expr, Expr) else expr, expand)
        except Exception:
            continue
    return _as_written(expr) if isinstance(expr, Expr) else expr


def _settled(expression: sympy.Expr, expand: bool) -> sympy.Expr:
    """Evaluated until nothing changes: what is multiplied out may hold branches that can be evaluated further."""
    value = _Evaluation(expand).run(expression)
    for _ in range(_ROUNDS):
        again = _Evaluation(expand).run(value)
        if again == value:
            break
        value = again
    return value


def latex(expr: Expr) -> str:
    """LaTeX of an expression, lightly evaluated, with named functions left as they are."""
    form, in_order = _written(expr)
    return str(sympy.latex(form, order="none") if in_order else sympy.latex(form))


def written(expr: Expr) -> sympy.Basic:
    """The form that `latex` prints, for printers of other notations."""
    return _written(expr)[0]


def _written(expr: Expr) -> tuple[sympy.Basic, bool]:
    """The form to print, and whether its terms stay in the author's order."""
    try:
        unevaluated = to_sympy(expr)
        size, depth = Measure().of(unevaluated)
        if size > 10 * MAXIMUM_SIZE or depth > 2 * MAXIMUM_DEPTH:
            raise _TooLargeError
        form = _Evaluation(expand=False).run(unevaluated)
        if form is sympy.nan or _is_guarded(form):
            # Ordering the terms would evaluate constants; as written they are in the author's order anyway.
            sympy.latex(unevaluated, order="none")
            return unevaluated, True
        sympy.latex(form)
        return form, False
    except Exception:
        return _as_written(expr), False


def _is_guarded(value: sympy.Basic) -> bool:
    return isinstance(value, sympy.Piecewise) and value.args[-1].args[1] != sympy.true


def _as_written(expr: Expr) -> sympy.Expr:
    """The last resort: operators of the grammar as functions; a formula as one symbol."""
    if expr.operator.is_variable:
        return functions.SYMBOLS[expr.operator.name]
    if expr.is_formula:
        return sympy.Symbol(str(expr), real=True)
    return sympy.Function(expr.operator.name, real=True)(*map(_as_written, expr.arguments))


class _Evaluation:
    """One bottom-up evaluation of an unevaluated expression.

    Args:
        expand: replace named functions by their definitions, and multiply out.
    """

    def __init__(self, expand: bool):
        self.expand = expand
        self.measure = Measure()
        # By identity: equal parts that were built apart may be too large to compare.
        self.known: dict[int, tuple[sympy.Basic, sympy.Basic, frozenset[sympy.Basic]]] = {}
        self.steps = 0
        # Where what has been evaluated is defined, in the part that is being evaluated.
        self.conditions: set[sympy.Basic] = set()
        # Symbols whose assumptions say more than real, as they came; SymPy sees plain ones.
        self.symbols: dict[sympy.Basic, sympy.Basic] = {}
        self.standing: dict[sympy.Basic, sympy.Basic] = {}

    def run(self, expression: sympy.Expr) -> sympy.Expr:
        value = self._multiplied_out(self.value(expression))
        self.conditions.discard(sympy.true)
        if sympy.false in self.conditions or value is sympy.nan:
            return sympy.nan
        own = display_domain.conditions(value)
        missing = [c for c in self.conditions if c not in own and not (isinstance(c, sympy.Or) and own & set(c.args))]
        missing.sort(key=sympy.default_sort_key)
        if missing:
            together = missing[0] if len(missing) == 1 else sympy.And(*missing, evaluate=False)
            value = functions.piecewise((value, together))
        for symbol, power in reversed(self.standing.items()):
            # A huge constant stays a symbol: even to print it among other terms, SymPy would evaluate it.
            if power.free_symbols or (power.is_Pow and power.base.is_Rational and power.exp.is_Rational):
                value = substituted(value, {symbol: power})
        return substituted(value, self.symbols) if self.symbols else value

    def value(self, node: sympy.Basic) -> sympy.Basic:
        """The evaluated form of one part; where it is defined joins `self.conditions`."""
        if isinstance(node, sympy.Symbol):
            plain = sympy.Symbol(node.name, real=True)
            if plain != node:
                self.symbols[plain] = node
            return plain
        if not node.args:
            return node
        found = self.known.get(id(node))
        if found is None:
            outside, self.conditions = self.conditions, set()
            result = self._bounded(self._evaluated(node))
            self.known[id(node)] = found = (node, result, frozenset(self.conditions))
            self.conditions = outside
        self.conditions |= found[2]
        return found[1]

    def _bounded(self, result: sympy.Basic) -> sympy.Basic:
        self.steps += 1
        if self.steps > MAXIMUM_NODES:
            raise _TooLargeError
        size, depth = self.measure.of(result)
        if size > MAXIMUM_SIZE or depth > MAXIMUM_DEPTH:
            raise _TooLargeError
        if any(max(abs(n.p), n.q).bit_length() > 2 * MAXIMUM_BITS for n in result.atoms(sympy.Rational)):
            raise _TooLargeError
        if result in _UNDEFINED or result.has(*_UNDEFINED):
            self.conditions.add(sympy.false)
            return sympy.nan
        if not result.is_Rational and not result.free_symbols and _magnitude(result) == math.inf:
            return self._stand(result)
        return result

    def _defined(self, row: functions.Function, arguments: list[sympy.Expr]) -> sympy.Basic:
        """The definition of a function at arguments that are evaluated already."""
        known, self.known = self.known, {id(a): (a, a, frozenset()) for a in arguments}
        try:
            return self.value(expand_definition(row, *arguments))
        finally:
            self.known = known

    def _evaluated(self, node: sympy.Basic) -> sympy.Basic:
        if isinstance(node, sympy.Piecewise):
            return self._where(node)
        arguments = [self.value(argument) for argument in node.args]
        if sympy.nan in arguments:
            return sympy.nan
        if isinstance(node, sympy.Add | sympy.Mul):
            return type(node)(*arguments)
        if isinstance(node, sympy.exp):
            return self._exponential(self._multiplied_out(arguments[0]))
        if isinstance(node, sympy.Pow):
            return self._power(*arguments)
        arguments = [self._multiplied_out(argument) for argument in arguments]
        if isinstance(node, sympy.Max | sympy.Min):
            return _extreme(type(node), arguments)
        if isinstance(node, sympy.Abs):
            return _absolute(arguments[0])
        if isinstance(node, sympy.sign):
            return _signum(arguments[0])
        row = functions.HEADS.get(type(node))
        if self.expand and row is not None and row.definition:
            return self._defined(row, arguments)
        if isinstance(node, _PLAIN):
            return self._plain(type(node), arguments[0])
        return node.func(*arguments, evaluate=False)

    def _stand(self, node: sympy.Expr) -> sympy.Symbol:
        """A symbol in place of a part that SymPy must not touch; `run` puts the part back."""
        symbol = sympy.Symbol(str(node), real=True)
        self.standing.setdefault(symbol, node)
        return symbol

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
        base = self._multiplied_out(base) if isinstance(base, sympy.Add) else base
        exponent = self._multiplied_out(exponent)
        self.conditions.update(display_domain.of_power(base, exponent))
        if sympy.false in self.conditions and base == 0:
            return sympy.nan
        numbers = [n for n in base.atoms(sympy.Rational) if n not in (0, 1, -1)]
        bits = sum(abs(n.p).bit_length() + n.q.bit_length() for n in numbers)
        size = abs(exponent) if exponent.is_Rational else _magnitude(exponent) if not exponent.free_symbols else 0
        if bits and size * bits > MAXIMUM_BITS:
            return self._stand(sympy.Pow(base, exponent, evaluate=False))
        if isinstance(base, sympy.Piecewise) and exponent not in (0, 1):
            # In a product SymPy takes such a power apart; so it is taken apart everywhere, but not by SymPy, which
            # would evaluate conditions and compare what cannot be compared.
            return self._where(
                functions.piecewise(*[(sympy.Pow(value, exponent, evaluate=False), c) for value, c in base.args])
            )
        if isinstance(base, sympy.Add) and not base.free_symbols:
            return sympy.Pow(base, exponent, evaluate=False)
        return sympy.Pow(base, exponent)

    def _exponential(self, u: sympy.Expr) -> sympy.Expr:
        large = any(abs(n) > 64 for n in u.atoms(sympy.Rational)) and u.has(sympy.log)
        return self._stand(sympy.exp(u, evaluate=False)) if large else sympy.exp(u)

    def _plain(self, head: type, u: sympy.Expr) -> sympy.Expr:
        """A function of SymPy, evaluated at what contains a symbol and at small numbers only."""
        if head is sympy.log:
            self.conditions.add(display_domain.above(u))
        if not u.free_symbols:
            turns = u / sympy.pi if u.has(sympy.pi) else u
            if not turns.is_Rational or max(abs(turns.p), turns.q) > (12 if u.has(sympy.pi) else 2**64):
                return head(u, evaluate=False)
        return head(u)

    def _where(self, node: sympy.Piecewise) -> sympy.Basic:
        outside = self.conditions
        branches: list[tuple[sympy.Basic, sympy.Basic]] = []
        inner: list[tuple[sympy.Basic, set[sympy.Basic]]] = []
        for pair in node.args:
            self.conditions = outside
            condition = self._condition(pair.args[1])
            if condition == sympy.false:
                continue
            self.conditions = set()
            value = self._multiplied_out(self.value(pair.args[0]))
            inner.append((condition, self.conditions))
            branches.append((value, condition))
            if condition == sympy.true:
                break
        self.conditions = outside | display_domain.of_branches(inner)
        while len(branches) > 1 and branches[-1][0] == branches[-2][0] and branches[-1][1] == sympy.true:
            branches[-2:] = [(branches[-1][0], sympy.true)]
        if len(branches) == 1:
            return branches[0][0]
        return functions.piecewise(*branches) if branches else sympy.nan

    def _condition(self, condition: sympy.Basic) -> sympy.Basic:
        if condition in (sympy.true, sympy.false):
            return condition
        if not isinstance(condition, sympy.core.relational.Relational):
            parts = [self._condition(part) for part in condition.args]
            return condition.func(*sorted(parts, key=sympy.default_sort_key), evaluate=False)
        left, right = (self._multiplied_out(self.value(side)) for side in condition.args)
        if sympy.nan in (left, right):
            self.conditions.add(sympy.false)
            return sympy.false
        if all(side.is_Rational or side in (sympy.pi, sympy.E) for side in (left, right)):
            return condition.func(left, right)
        if left.is_number and not right.is_number:
            return condition.reversed.func(right, left, evaluate=False)
        return condition.func(left, right, evaluate=False)

    def _multiplied_out(self, value: sympy.Expr) -> sympy.Expr:
        """The same with sums in numerators multiplied out, where that makes few terms."""
        if not self.expand or not isinstance(value, sympy.Add | sympy.Mul | sympy.Pow):
            return value
        if not 1 < _terms(value) <= MAXIMUM_TERMS:
            return value
        terms = sympy.Add.make_args(_expanded(value))
        return sympy.Add(*[_with_plain_divisor(_expanded(term)) for term in terms])


def _expanded(value: sympy.Expr) -> sympy.Expr:
    """A product or a power of sums multiplied out, its factors first; deeper parts are left alone."""
    factors = [sympy.expand_multinomial(factor, deep=False) for factor in sympy.Mul.make_args(value)]
    return sympy.expand_mul(sympy.Mul(*factors), deep=False)


def _with_plain_divisor(term: sympy.Expr) -> sympy.Expr:
    """`1/(3 + 3*u)` as `1/3/(1 + u)`: multiplying out also multiplies out divisors."""
    factors = sympy.Mul.make_args(term)
    if not any(f.is_Pow and f.base.is_Add and f.exp.is_Integer and f.exp < 0 for f in factors):
        return term
    parts = []
    for factor in factors:
        if factor.is_Pow and factor.base.is_Add and factor.exp.is_Integer and factor.exp < 0:
            content, rest = factor.base.primitive()
            parts += [sympy.Pow(content, factor.exp), sympy.Pow(rest, factor.exp)]
        else:
            parts.append(factor)
    return sympy.Mul(*parts)


def _terms(value: sympy.Expr) -> int:
    """How many terms multiplying out would make, at most `MAXIMUM_TERMS` + 1."""
    count = 1
    if isinstance(value, sympy.Add):
        count = sum(map(_terms, value.args))
    elif isinstance(value, sympy.Mul):
        for factor in value.args:
            count = min(count * _terms(factor), MAXIMUM_TERMS + 1)
    elif isinstance(value, sympy.Pow) and value.exp.is_Integer and value.exp > 1:
        inner = _terms(value.base)
        if inner > 1:
            count = MAXIMUM_TERMS + 1 if value.exp > MAXIMUM_TERMS else math.comb(inner + int(value.exp) - 1, inner - 1)
    return min(count, MAXIMUM_TERMS + 1)


def _magnitude(u: Any) -> float:
    """How large a constant may be, roughly; infinite where evaluating it, or a function of it, might take forever."""
    if u.is_Rational:
        return float(abs(u)) if abs(u) < 10**300 else math.inf
    if u in (sympy.pi, sympy.E):
        return 3.2
    parts = [_magnitude(argument) for argument in u.args]
    if isinstance(u, sympy.Add):
        return sum(parts)
    if isinstance(u, sympy.Mul):
        return math.prod(parts) if 0 not in parts else math.inf
    if isinstance(u, sympy.exp | sympy.cosh | sympy.sinh):
        return math.exp(parts[0]) if parts[0] < 700 else math.inf
    if isinstance(u, sympy.Pow):
        growth = parts[1] * max(1.0, math.log(parts[0] + 1.0)) if math.inf not in parts else math.inf
        return math.exp(growth) if growth < 700 else math.inf
    # Other functions: moderate at moderate arguments, or too slow in growth to matter.
    return max([1e3, *parts])


def _extreme(head: Any, arguments: list[sympy.Expr]) -> sympy.Expr:
    flat: set[Any] = set()
    for argument in arguments:
        flat.update(argument.args if isinstance(argument, head) else (argument,))
    numbers = [argument for argument in flat if argument.is_Rational]
    if numbers:
        flat -= set(numbers)
        flat.add(max(numbers) if head is sympy.Max else min(numbers))
    return flat.pop() if len(flat) == 1 else head(*flat, evaluate=False)


def _absolute(u: sympy.Expr) -> sympy.Expr:
    if u.is_Rational:
        return abs(u)
    sign = display_domain.sign_of(u)
    if sign:
        return u if sign > 0 else -u
    if isinstance(u, sympy.Mul):
        return sympy.Mul(*[_absolute(factor) for factor in u.args])
    if isinstance(u, sympy.Pow) and u.exp.is_Integer:
        return sympy.Pow(_absolute(u.base), u.exp)
    return sympy.Abs(-u if u.could_extract_minus_sign() else u, evaluate=False)


def _signum(u: sympy.Expr) -> sympy.Expr:
    if u.is_Rational:
        return sympy.Integer(int(bool(u > 0)) - int(bool(u < 0)))
    if abs(display_domain.sign_of(u)) == 2:
        return sympy.Integer(display_domain.sign_of(u) // 2)
    if u.could_extract_minus_sign():
        return -_signum(-u)
    return sympy.sign(u, evaluate=False)
