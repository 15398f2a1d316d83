"""Products in normal form: equal factors and all exponentials are collected, products of short sums multiplied out.

What cancels leaves its domain behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import TypeAlias

from symact.equivalence.rules.form import NO_TAGS, NOT_NEGATIVE, NOT_POSITIVE, Form, FormTable, Rational, by_key, ratio
from symact.equivalence.rules.sums import added, scaled

_TERMS, _EXPONENT, _BITS = 16, 4, 2048
# The name of a function and its argument -> the form.
Call: TypeAlias = "Callable[[str, Form], Form]"


def multiplied(table: FormTable, call: Call, factors: Iterable[tuple[Form, int]]) -> Form:
    """The product of forms, each to a whole power; undefined where a factor with a negative one is zero.

    Args:
        table: makes the forms.
        call: applies functions, with all their rules.
        factors: forms and their exponents.
    """
    product = _Product(table, call)
    for form, exponent in factors:
        product.take(form, exponent)
    return product.made()


class _Product:
    """Factors on their way to a product."""

    def __init__(self, table: FormTable, call: Call):
        self.table, self.call = table, call
        self.coefficient: Rational = 1
        self.factors: dict[Form, int] = {}
        self.zeros: dict[Form, None] = {}
        self.sums: list[tuple[Form, int]] = []
        self.exponents: list[tuple[Form, Rational]] = []
        self.tags = NO_TAGS
        self.nowhere = False

    def take(self, form: Form, exponent: int) -> None:
        """One more factor."""
        kind = form.kind
        # Whatever cancels later, what the factor needs to be defined stays.
        self.tags |= form.tags
        if kind == "restricted":
            self.take(form.data[0], exponent)
        elif kind == "nowhere":
            self.nowhere = True
        elif exponent == 0:
            pass
        elif kind == "const":
            self._number(form.data, exponent)
        elif kind == "product":
            for part, power in form.data:
                self.take(part, power * exponent)
        elif kind == "sum":
            self._sum(form, exponent)
        elif kind == "call":
            self._call(form, exponent)
        else:
            self._plain(form, exponent)

    def _number(self, value: Rational, exponent: int) -> None:
        if value == 0 and exponent < 0:
            self.nowhere = True
        elif max(value.numerator.bit_length(), value.denominator.bit_length()) * abs(exponent) > _BITS:
            self._plain(self.table.const(value), exponent)
        else:
            self.coefficient *= value**exponent if exponent > 0 else Fraction(1) / value**-exponent

    def _plain(self, form: Form, exponent: int) -> None:
        if exponent < 0 and not form.nonzero:
            self.zeros[form] = None
        self.factors[form] = self.factors.get(form, 0) + exponent

    def _call(self, form: Form, exponent: int) -> None:
        name = form.data[0]
        if name == "exp":
            self.exponents.append((form.data[1], exponent))
        elif name == "abs":
            # |a|^n is a^n for even n, and |a| times a^(n - 1) for odd n.
            self._plain(form, exponent % 2)
            self.take(form.data[1], exponent - exponent % 2)
        elif name == "sqrt":
            self._plain(form, exponent % 2)
            self.take(form.data[1], exponent // 2)
        elif name == "cos" and exponent > 1:
            self._plain(form, exponent % 2)
            square = self._power(self.call("sin", form.data[1]), 2)
            self._sum(added(self.table, ((self.table.one, 1), (square, -1))), exponent // 2)
        else:
            self._plain(form, exponent)

    def _sum(self, form: Form, exponent: int) -> None:
        constant, terms = form.data
        if constant == 0 and len(terms) == 1:
            self._number(terms[0][1], exponent)
            self.take(terms[0][0], exponent)
            return
        if exponent < 0:
            gates = self._gates(form, exponent)
            for part, power in gates or ():
                self.take(part, power)
            if gates is not None:
                return
        lead = terms[0][1]
        self._number(lead, exponent)
        monic = scaled(self.table, form, Fraction(1) / lead)
        if exponent > 0:
            self.sums.append((monic, exponent))
        else:
            self._plain(monic, exponent)

    def made(self) -> Form:
        """The product."""
        if self.nowhere:
            return self.table.nowhere
        table = self.table
        for form, exponent in self.sums:
            if form in self.factors:
                self._plain(form, exponent)
        self.sums = [(form, exponent) for form, exponent in self.sums if form not in self.factors]
        if self.exponents:
            argument, self.exponents = added(table, self.exponents), []
            grown = self.call("exp", argument)
            if grown.name == "exp":
                self._plain(grown, 1)
            else:
                self.take(grown, 1)
                return self.made()
        if self.coefficient == 0:
            for form, _ in self.sums:
                self.tags |= form.tags
            tags = self.tags | {table.division_tag(form) for form in self.zeros}
            return table.restricted(table.zero, tags)
        expanded = self._multiplied_out()
        result = _monic_product(table, self.factors)
        result = self._meeting(result)
        if expanded is not None:
            result = added(
                table,
                [(self._multiplied(((term, 1), (result, 1))), factor * self.coefficient) for term, factor in expanded],
            )
        elif self.coefficient != 1:
            result = scaled(table, result, self.coefficient)
        tags = self.tags | {table.division_tag(form) for form in self.zeros} if self.zeros else self.tags
        return table.restricted(result, tags) if tags else result

    def _multiplied_out(self) -> list[tuple[Form, Rational]] | None:
        """The terms of all sums multiplied out, where these are few; other sums become factors."""
        if not self.sums:
            return None
        count = 1
        for form, exponent in self.sums:
            count *= (len(form.data[1]) + (form.data[0] != 0)) ** exponent
        if count > _TERMS or any(exponent > _EXPONENT for _, exponent in self.sums):
            for form, exponent in self.sums:
                self._plain(form, exponent)
            return None
        total: dict[Form, Rational] = {self.table.one: 1}
        for form, exponent in self.sums:
            self.tags |= form.tags
            constant, terms = form.data
            parts = [*terms, (self.table.one, constant)] if constant else list(terms)
            for _ in range(exponent):
                following: dict[Form, Rational] = {}
                for left, factor in total.items():
                    for right, other in parts:
                        term = left if right is self.table.one else self._multiplied(((left, 1), (right, 1)))
                        following[term] = following.get(term, 0) + factor * other
                total = following
        return list(total.items())

    def _meeting(self, product: Form) -> Form:
        """exp(n*a) times sigmoid(a) as a sum, where both are factors."""
        grown = next((form for form in self.factors if form.name == "exp"), None)
        if grown is None:
            return product
        table = self.table
        for form, exponent in self.factors.items():
            if form.name != "sigmoid" or exponent < 1:
                continue
            times = ratio(grown.data[1], form.data[1])
            if times is None or times.denominator != 1 or not -_EXPONENT <= times <= _EXPONENT:
                continue
            step = 1 if times > 0 else -1
            rest = [(f, e - (f is form) - (f is grown)) for f, e in self.factors.items()]
            # exp(a)*sigmoid(a) = exp(a) - sigmoid(a); exp(-a)*sigmoid(a) = 1 - sigmoid(a).
            left = self._multiplied([*rest, (self.call("exp", scaled(table, form.data[1], times - step)), 1)])
            first = self.call("exp", form.data[1]) if step > 0 else self.table.one
            return self._multiplied(((left, 1), (added(table, ((first, 1), (form, -1))), 1)))
        return product

    def _gates(self, form: Form, exponent: int) -> list[tuple[Form, int]] | None:
        """Other factors for a sum of two exponentials: 1/(c*exp(a) + c*exp(b)) is exp(-a)*sigmoid(a - b)/c."""
        table = self.table
        constant, terms = form.data
        parts = [*terms, (table.one, constant)] if constant else list(terms)
        if len(parts) != 2 or parts[0][1] != parts[1][1]:
            return None
        if any(part.name != "exp" and part is not table.one for part, _ in parts):
            return None
        left, right = [part.data[1] if part.name == "exp" else table.zero for part, _ in parts]
        gate = self.call("sigmoid", added(table, ((left, 1), (right, -1))))
        fall = self.call("exp", scaled(table, left, -1))
        return [(table.const(parts[0][1]), exponent), (fall, -exponent), (gate, -exponent)]

    def _multiplied(self, factors: Iterable[tuple[Form, int]]) -> Form:
        return multiplied(self.table, self.call, factors)

    def _power(self, form: Form, exponent: int) -> Form:
        return form if exponent == 1 else self._multiplied(((form, exponent),))


def _monic_product(table: FormTable, factors: dict[Form, int]) -> Form:
    items = [(form, exponent) for form, exponent in factors.items() if exponent]
    if not items:
        return table.one
    if len(items) == 1 and items[0][1] == 1:
        return items[0][0]
    items.sort(key=by_key)
    sign, nonzero = 3, True
    tags = NO_TAGS
    for form, exponent in items:
        own = form.sign if exponent % 2 else NOT_NEGATIVE
        if sign == 3:
            sign = own
        elif own != NOT_NEGATIVE:
            sign = (sign >> 1) | ((sign << 1) & 3) if own == NOT_POSITIVE else 0
        nonzero &= form.nonzero
        tags |= form.tags
    diffuse = (len(items) == 1 and items[0][0].diffuse) or all(f.kind in ("x", "slot") for f, _ in items)
    content = tuple([(form.key, exponent) for form, exponent in items])
    for form, exponent in items:
        if exponent < 0 and not form.nonzero:
            tags |= {table.division_tag(form)}
    return table.make("product", content, tuple(items), sign, nonzero, diffuse, tags)
