"""`Form`: a node of a normal form, made once: equal by the rules of arithmetic means one and the same object.

What cancels leaves its domain behind: `log(x) - log(x)` is 0 where x is positive and undefined elsewhere. "Defined",
"zero" and "equal" mean almost everywhere, as identity does.
"""

from __future__ import annotations

from fractions import Fraction
from hashlib import blake2b
from typing import Any, TypeAlias

Rational: TypeAlias = "int | Fraction"

NOT_NEGATIVE, NOT_POSITIVE = 1, 2
NO_TAGS: frozenset[int] = frozenset()


class Form:
    """A node of a normal form, made by a `FormTable` alone; two of one table are equal when they are the same object.

    Attributes:
        key: 128 bits that name it in every process.
        kind: `x` (an input), `slot`, `hole`, `const`, `sum`, `product`, `call`, `restricted` or `nowhere`.
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


class FormTable:
    """Makes forms and remembers them."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Form] = {}
        # The inputs, x and g.
        self.variables = tuple(self.make("x", content, (), 0, True, True) for content in ((), (1,)))
        self.zero, self.one, self.minus_one = self.const(0), self.const(1), self.const(-1)
        self.nowhere = self.make("nowhere", (), (), 0, True, True, frozenset([0]))

    def __len__(self) -> int:
        return len(self._known)

    def make(
        self,
        kind: str,
        content: tuple[Any, ...],
        data: Any,
        sign: int = 0,
        nonzero: bool = False,
        diffuse: bool = False,
        tags: frozenset[int] = NO_TAGS,
    ) -> Form:
        """The one form of this kind and content; the rest is what is known of it."""
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
        return self.make("const", (value.numerator, value.denominator), value, sign, value != 0)

    def slot(self, slot: Any, positive: bool) -> Form:
        """A parameter."""
        return self.make("slot", (repr(slot),), slot, NOT_NEGATIVE if positive else 0, True, True)

    def hole(self, name: str, sign: int = 0, nonzero: bool = False) -> Form:
        """A variable of a rule, of which no more is known than is said."""
        return self.make("hole", (name, sign, nonzero), name, sign, nonzero)

    def restricted(self, form: Form, tags: frozenset[int]) -> Form:
        """A form where, besides, everything that the tags name is defined."""
        core, tags = opened(form, tags)
        extra = tags - core.tags
        if not extra:
            return core
        if 0 in extra:
            return self.nowhere
        content = (core.key, *sorted(extra))
        return self.make(
            "restricted", content, (core, frozenset(extra)), core.sign, core.nonzero, core.diffuse, core.tags | extra
        )

    def division_tag(self, form: Form) -> int:
        """What names "this is not zero"."""
        return self.make("call", ("nonzero", form.key), ("nonzero", form)).key


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
        return bool(form.data[1][0][1] < 0)
    return bool(form.kind == "const" and form.data < 0)


def normal(value: Rational) -> Rational:
    """A whole number as `int`."""
    return int(value) if value.denominator == 1 else value


def by_key(item: tuple[Form, Any]) -> int:
    """What terms and factors are put in order by."""
    return item[0].key
