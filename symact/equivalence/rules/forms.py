"""Sums and products in normal form: equal by the rules of arithmetic means one and the same `Form`.

In: forms. Out: forms, each made once. A sum collects equal terms, a product equal factors and all exponentials;
products of short sums are multiplied out. What cancels leaves its domain behind: `log(x) - log(x)` is 0 where
x is positive and undefined elsewhere. "Defined", "zero" and "equal" mean almost everywhere, as identity does.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from hashlib import blake2b
from typing import Any, TypeAlias

Rational: TypeAlias = "int | Fraction"

NOT_NEGATIVE, NOT_POSITIVE = 1, 2
_TERMS, _EXPONENT, _BITS = 16, 4, 2048
_NONE: frozenset[int] = frozenset()


class Form:
    """A node of a normal form, made by `Forms` alone; two of one `Forms` are equal when they are the same object.

    Attributes:
        key: 128 bits that name it in every process.
        kind: `x`, `slot`, `hole`, `const`, `sum`, `product`, `call`, `restricted` or `nowhere`.
        data: by kind: the slot; the hole's name; the number; constant and (form, coefficient) pairs; (form, exponent)
            pairs; name and arguments; the form and keys of what must be defined besides.
        sign: `NOT_NEGATIVE`, `NOT_POSITIVE`, both or neither are known where it is defined.
        nonzero: it is zero almost nowhere.
        diffuse: it takes every single value almost nowhere.
        tags: keys of what must be defined for it to be; empty where it is total.
    """

    __slots__ = ("data", "diffuse", "key", "kind", "nonzero", "sign", "tags")

    def __init__(
        self, key: int, kind: str, data: Any, sign: int, nonzero: bool, diffuse: bool, tags: frozenset[int]
    ) -> None:
        self.key, self.kind, self.data = key, kind, data
        self.sign, self.nonzero, self.diffuse, self.tags = sign, nonzero, diffuse, tags

    @property
    def positive(self) -> bool:
        """It is above zero wherever it is defined."""
        return self.nonzero and self.sign == NOT_NEGATIVE

    @property
    def name(self) -> str:
        """Of a call; else empty."""
        return self.data[0] if self.kind == "call" else ""


class Forms:
    """Makes forms and remembers them."""

    def __init__(self) -> None:
        self._known: dict[tuple, Form] = {}
        self.x = self._make("x", (), (), 0, True, True)
        self.zero, self.one, self.minus_one = self.const(0), self.const(1), self.const(-1)
        self.nowhere = self._make("nowhere", (), (), 0, True, True, frozenset([0]))

    def __len__(self) -> int:
        return len(self._known)

    def _make(
        self,
        kind: str,
        content: tuple,
        data: Any,
        sign: int = 0,
        nonzero: bool = False,
        diffuse: bool = False,
        tags: frozenset[int] = _NONE,
    ) -> Form:
        place = (kind, content)
        form = self._known.get(place)
        if form is None:
            key = int.from_bytes(blake2b(repr(place).encode(), digest_size=16).digest(), "big")
            form = self._known[place] = Form(key, kind, data, sign, nonzero, diffuse, tags)
        return form

    def const(self, value: Rational) -> Form:
        """A rational number."""
        if value.__class__ is not int and value.denominator == 1:
            value = int(value)
        sign = (NOT_NEGATIVE if value >= 0 else 0) | (NOT_POSITIVE if value <= 0 else 0)
        return self._make("const", (value.numerator, value.denominator), value, sign, value != 0)

    def slot(self, slot: Any, positive: bool) -> Form:
        """A parameter."""
        return self._make("slot", (repr(slot),), slot, NOT_NEGATIVE if positive else 0, True, True)

    def hole(self, name: str, sign: int = 0, nonzero: bool = False) -> Form:
        """A variable of a rule, of which no more is known than is said."""
        return self._make("hole", (name, sign, nonzero), name, sign, nonzero)

    def restricted(self, form: Form, tags: frozenset[int]) -> Form:
        """A form where, besides, everything that the tags name is defined."""
        core, tags = opened(form, tags)
        extra = tags - core.tags
        if not extra:
            return core
        if 0 in extra:
            return self.nowhere
        content = (core.key, *sorted(extra))
        return self._make(
            "restricted", content, (core, frozenset(extra)), core.sign, core.nonzero, core.diffuse, core.tags | extra
        )

    def add(self, terms: Iterable[tuple[Form, Rational]]) -> Form:
        """The sum of forms, each times a number."""
        constant: Rational = 0
        found: dict[Form, Rational] = {}
        tags = _NONE
        for form, factor in terms:
            if form.kind == "restricted":
                form, tags = opened(form, tags)
            if form.kind == "const":
                constant += factor * form.data
            elif form.kind == "sum":
                constant += factor * form.data[0]
                for term, coefficient in form.data[1]:
                    found[term] = found.get(term, 0) + factor * coefficient
            elif form.kind == "nowhere":
                return form
            else:
                found[form] = found.get(form, 0) + factor
        kept = []
        for form, factor in found.items():
            if factor == 0:
                tags |= form.tags
            else:
                kept.append((form, factor))
        result = self._sum(constant, kept)
        return self.restricted(result, tags) if tags else result

    def scaled(self, form: Form, factor: Rational) -> Form:
        """A number times a form."""
        return form if factor == 1 else self.add(((form, factor),))

    def _sum(self, constant: Rational, terms: list[tuple[Form, Rational]]) -> Form:
        if not terms:
            return self.const(constant)
        if len(terms) == 1 and constant == 0 and terms[0][1] == 1:
            return terms[0][0]
        terms.sort(key=_by_key)
        sign = NOT_NEGATIVE if constant >= 0 else 0
        sign |= NOT_POSITIVE if constant <= 0 else 0
        strict = constant != 0
        for form, factor in terms:
            sign &= form.sign if factor > 0 else (form.sign >> 1) | (form.sign << 1)
            strict |= form.nonzero
        sign &= 3
        single = terms[0][0]
        diffuse = single.diffuse if len(terms) == 1 else all(_monomial(form) for form, _ in terms)
        nonzero = diffuse or bool(sign and strict) or (len(terms) == 1 and constant == 0 and single.nonzero)
        tags = _NONE.union(*[form.tags for form, _ in terms])
        parts = [(form.key, factor.numerator, factor.denominator) for form, factor in terms]
        content = (constant.numerator, constant.denominator, *parts)
        return self._make("sum", content, (normal(constant), tuple(terms)), sign, nonzero, diffuse, tags)

    def power(self, form: Form, exponent: int) -> Form:
        """A form to a whole power; the power 0 is 1 where the form is defined."""
        return form if exponent == 1 else self.multiply(((form, exponent),))

    def multiply(self, factors: Iterable[tuple[Form, int]]) -> Form:
        """The product of forms, each to a whole power; undefined where a factor with a negative one is zero."""
        product = _Product(self)
        for form, exponent in factors:
            product.take(form, exponent)
        return product.made()

    def _monic_product(self, factors: dict[Form, int]) -> Form:
        items = [(form, exponent) for form, exponent in factors.items() if exponent]
        if not items:
            return self.one
        if len(items) == 1 and items[0][1] == 1:
            return items[0][0]
        items.sort(key=_by_key)
        sign, nonzero = 3, True
        tags = _NONE
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
                tags |= {self.division_tag(form)}
        return self._make("product", content, tuple(items), sign, nonzero, diffuse, tags)

    def division_tag(self, form: Form) -> int:
        """What names "this is not zero"."""
        return self._make("call", ("nonzero", form.key), ("nonzero", form)).key

    def exponential(self, argument: Form) -> Form:
        """exp of a form that holds no logarithm."""
        return self._make(
            "call", ("exp", argument.key), ("exp", argument), NOT_NEGATIVE, True, argument.diffuse, argument.tags
        )

    def call(self, name: str, *arguments: Form) -> Form:
        """A function at arguments, with the simplifications of `Normal`."""
        raise NotImplementedError

    def exponential_sum(self, form: Form, exponent: int) -> list[tuple[Form, int]] | None:
        """Other factors for a sum to a negative power, or None."""
        return None


class _Product:
    """Factors on their way to a product."""

    def __init__(self, forms: Forms):
        self.forms = forms
        self.coefficient: Rational = 1
        self.factors: dict[Form, int] = {}
        self.zeros: dict[Form, None] = {}
        self.sums: list[tuple[Form, int]] = []
        self.exponents: list[tuple[Form, Rational]] = []
        self.tags = _NONE
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
            self._plain(self.forms.const(value), exponent)
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
            square = self.forms.power(self.forms.call("sin", form.data[1]), 2)
            self._sum(self.forms.add(((self.forms.one, 1), (square, -1))), exponent // 2)
        else:
            self._plain(form, exponent)

    def _sum(self, form: Form, exponent: int) -> None:
        constant, terms = form.data
        if constant == 0 and len(terms) == 1:
            self._number(terms[0][1], exponent)
            self.take(terms[0][0], exponent)
            return
        if exponent < 0:
            for part, power in self.forms.exponential_sum(form, exponent) or ():
                self.take(part, power)
            if self.forms.exponential_sum(form, exponent) is not None:
                return
        lead = terms[0][1]
        self._number(lead, exponent)
        monic = self.forms.scaled(form, Fraction(1) / lead)
        if exponent > 0:
            self.sums.append((monic, exponent))
        else:
            self._plain(monic, exponent)

    def made(self) -> Form:
        """The product."""
        if self.nowhere:
            return self.forms.nowhere
        forms = self.forms
        for form, exponent in self.sums:
            if form in self.factors:
                self._plain(form, exponent)
        self.sums = [(form, exponent) for form, exponent in self.sums if form not in self.factors]
        if self.exponents:
            argument, self.exponents = forms.add(self.exponents), []
            grown = forms.call("exp", argument)
            if grown.name == "exp":
                self._plain(grown, 1)
            else:
                self.take(grown, 1)
                return self.made()
        if self.coefficient == 0:
            for form, _ in self.sums:
                self.tags |= form.tags
            tags = self.tags | {forms.division_tag(form) for form in self.zeros}
            return forms.restricted(forms.zero, tags)
        expanded = self._multiplied_out()
        result = forms._monic_product(self.factors)
        result = self._meeting(result)
        if expanded is not None:
            result = forms.add(
                [(forms.multiply(((term, 1), (result, 1))), factor * self.coefficient) for term, factor in expanded]
            )
        elif self.coefficient != 1:
            result = forms.scaled(result, self.coefficient)
        tags = self.tags | {forms.division_tag(form) for form in self.zeros} if self.zeros else self.tags
        return forms.restricted(result, tags) if tags else result

    def _multiplied_out(self) -> list[tuple[Form, Rational]] | None:
        """The terms of all sums multiplied out, where these are few; other sums become factors."""
        if not self.sums:
            return None
        forms, count = self.forms, 1
        for form, exponent in self.sums:
            count *= (len(form.data[1]) + (form.data[0] != 0)) ** exponent
        if count > _TERMS or any(exponent > _EXPONENT for _, exponent in self.sums):
            for form, exponent in self.sums:
                self._plain(form, exponent)
            return None
        total: dict[Form, Rational] = {forms.one: 1}
        for form, exponent in self.sums:
            self.tags |= form.tags
            constant, terms = form.data
            parts = [*terms, (forms.one, constant)] if constant else list(terms)
            for _ in range(exponent):
                following: dict[Form, Rational] = {}
                for left, factor in total.items():
                    for right, other in parts:
                        term = left if right is forms.one else forms.multiply(((left, 1), (right, 1)))
                        following[term] = following.get(term, 0) + factor * other
                total = following
        return list(total.items())

    def _meeting(self, product: Form) -> Form:
        """exp(n*a) times sigmoid(a) as a sum, where both are factors."""
        grown = next((form for form in self.factors if form.name == "exp"), None)
        if grown is None:
            return product
        forms = self.forms
        for form, exponent in self.factors.items():
            if form.name != "sigmoid" or exponent < 1:
                continue
            times = ratio(grown.data[1], form.data[1])
            if times is None or times.denominator != 1 or not -_EXPONENT <= times <= _EXPONENT:
                continue
            step = 1 if times > 0 else -1
            rest = [(f, e - (f is form) - (f is grown)) for f, e in self.factors.items()]
            # exp(a)*sigmoid(a) = exp(a) - sigmoid(a); exp(-a)*sigmoid(a) = 1 - sigmoid(a).
            left = forms.multiply([*rest, (forms.call("exp", forms.scaled(form.data[1], times - step)), 1)])
            first = forms.call("exp", form.data[1]) if step > 0 else forms.one
            return forms.multiply(((left, 1), (forms.add(((first, 1), (form, -1))), 1)))
        return product


def opened(form: Form, tags: frozenset[int]) -> tuple[Form, frozenset[int]]:
    """What is restricted, and the restrictions added to others."""
    return (form.data[0], tags | form.data[1]) if form.kind == "restricted" else (form, tags)


def ratio(form: Form, other: Form) -> Rational | None:
    """The number that `form` is `other` times, or None."""
    if form is other:
        return 1
    first = form.data if form.kind == "sum" else (0, ((form, 1),))
    second = other.data if other.kind == "sum" else (0, ((other, 1),))
    if form.kind == "const" or other.kind == "const" or len(first[1]) != len(second[1]):
        return None
    times = Fraction(first[1][0][1]) / second[1][0][1]
    if first[0] != times * second[0]:
        return None
    pairs = zip(first[1], second[1], strict=True)
    return times if all(a is b and p == times * q for (a, p), (b, q) in pairs) else None


def leads_with_minus(form: Form) -> bool:
    """Whether a sum's first term, or a number, is negative: the one of `a` and `-a` that is written `-a`."""
    if form.kind == "sum":
        return form.data[1][0][1] < 0
    return form.kind == "const" and form.data < 0


def normal(value: Rational) -> Rational:
    """A whole number as `int`."""
    return int(value) if value.denominator == 1 else value


def _by_key(item: tuple[Form, Any]) -> int:
    """What terms and factors are put in order by."""
    return item[0].key


def _monomial(form: Form) -> bool:
    if form.kind == "product":
        return all(part.kind in ("x", "slot") for part, _ in form.data)
    return form.kind in ("x", "slot")
