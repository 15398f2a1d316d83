"""What expressions are written in: operators, parameters, constants and limits of one grammar.

A `Vocabulary` is a grammar without its spaces. It is what the parser, the variation operators and
the spaces need; `grammar.py` reads it from a file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import sympy

from symact.expr.functions import packed, unpacked

KINDS = ("nary", "binary", "unary")
# The inputs that a function may have, in order: `x`, and where it is a gate also `g`.
INPUTS = ("x", "g")


@dataclass(frozen=True)
class Parameter:
    """A learnable scalar that formulas may name.

    Attributes:
        name: its name in formulas.
        init: value at the start of a training.
        per: `"layer"`, one value per activation site, or `"channel"`.
        positive: it stays above zero in training.
        share: all its occurrences in one expression are one parameter; else each has its own.
        mixture: it weighs a mixture; a schedule may train it apart from the rest.
        range: (low, high) where functions are compared.
    """

    name: str
    init: float = 1.0
    per: str = "layer"
    positive: bool = False
    share: bool = True
    range: tuple[float, float] = (-3.0, 3.0)
    mixture: bool = False

    @property
    def symbol(self) -> sympy.Symbol:
        """The SymPy symbol that stands for it."""
        return sympy.Symbol(self.name, real=True, positive=True if self.positive else None)


@dataclass(frozen=True)
class Operator:
    """A primitive of a grammar, or a whole formula of a user.

    Two operators are equal when they read and mean the same: operators of one name whose formulas, parameters or
    constants differ (in two grammars, say) are two, also as keys of caches that live as long as the process.

    Attributes:
        name: as written in expressions; for a user's formula its text.
        kind: `unary`, `binary`, `nary`, `formula` or `variable`.
        text: its formula; for `nary` the name of the binary operator that is folded.
        parameters: the learnable parameters that it mentions, in order of first mention.
        formula: unevaluated SymPy in `variables` (a fold step for `nary`); constants are numbers in it.
        total: it does not mention its arguments, so it is defined wherever they are not.
        variables: the names in `formula` that stand for its arguments; by kind, but for a user's formula, which may
            be one of two inputs.
    """

    name: str
    kind: str
    text: str
    parameters: tuple[Parameter, ...] = ()
    formula: sympy.Expr = field(default=sympy.Symbol("x", real=True), repr=False)
    total: bool = False
    variables: tuple[str, ...] = ()
    _hash: int = field(default=0, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.variables:
            object.__setattr__(self, "variables", VARIABLES[self.kind])
        object.__setattr__(self, "_hash", hash((self.name, self.text, self.parameters, self.formula)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> Any:
        if self.kind == "variable":
            return variable, (self.name,)
        formula = packed(self.formula)
        return _operator, (self.name, self.kind, self.text, self.parameters, formula, self.total, self.variables)

    @property
    def arity(self) -> int | None:
        """Number of arguments; None for any number."""
        return None if self.kind == "nary" else len(self.variables)

    @property
    def is_variable(self) -> bool:
        """Whether it is an input, which stands at a leaf."""
        return self.kind == "variable"


# What the formula of an operator is a function of, by kind.
VARIABLES = {"unary": ("x",), "formula": ("x",), "binary": ("a", "b"), "nary": ("a", "b"), "variable": ()}
_INPUTS = {name: Operator(name, "variable", name) for name in INPUTS}


def variable(name: str) -> Operator:
    """The operator that an input is."""
    return _INPUTS[name]


def _operator(
    name: str,
    kind: str,
    text: str,
    parameters: tuple[Parameter, ...],
    formula: Any,
    total: bool,
    variables: tuple[str, ...],
) -> Operator:
    return Operator(name, kind, text, parameters, unpacked(formula), total, variables)


@dataclass(frozen=True)
class Limits:
    """What no expression of a grammar may exceed.

    Attributes:
        max_depth: operators on the longest path, or None.
        max_size: operators in all, or None.
        forbid: pairs (outer, inner) of operator names that may not be directly nested.
        forbid_below: pairs (outer, inner) where `inner` may stand nowhere below `outer`.
        argument_size: operator name -> operators that each of its arguments may have; one number stands for all.
    """

    max_depth: int | None = None
    max_size: int | None = None
    forbid: frozenset[tuple[str, str]] = frozenset()
    forbid_below: frozenset[tuple[str, str]] = frozenset()
    argument_size: Mapping[str, tuple[int, ...]] = field(default_factory=dict, hash=False)


class Place(NamedTuple):
    """Which operators may not stand at a place of an expression, because of those around it.

    Attributes:
        here: names that may not stand there.
        below: those of them that may stand nowhere below it either.
    """

    here: frozenset[str] = frozenset()
    below: frozenset[str] = frozenset()


ROOT = Place()


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The operators, parameters, constants and limits of one grammar.

    Attributes:
        name: the grammar's name.
        operators: operator name -> `Operator`, in file order. A name stands for one operator only.
        parameters: parameter name -> `Parameter`.
        constants: constant name -> exact number.
        limits: what no expression may exceed.
        interval: (low, high), where functions are compared, in every input.
        inputs: what expressions are functions of: `x`, or `x` and `g`.
        symmetric_inputs: functions that differ by an exchange of the two inputs are one.
        text: the grammar file as read; what a store keeps.
    """

    name: str = ""
    operators: Mapping[str, Operator] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    constants: Mapping[str, sympy.Rational] = field(default_factory=dict)
    limits: Limits = Limits()
    interval: tuple[float, float] = (-100.0, 100.0)
    inputs: tuple[str, ...] = INPUTS[:1]
    symmetric_inputs: bool = False
    text: str = field(default="", repr=False)

    def of_kind(self, kind: str) -> tuple[Operator, ...]:
        """The operators of one kind (`unary`, `binary`, `nary`), in file order."""
        return tuple(operator for operator in self.operators.values() if operator.kind == kind)

    def inside(self, outer: str, place: Place = ROOT) -> Place:
        """The place of the arguments of the operator `outer`, which stands at `place`."""
        found = self._forbidden.get(outer)
        if found is None:  # most operators of most grammars: nothing is added, and nothing new is made
            return place if place.here is place.below else Place(place.below, place.below)
        direct, deep = found
        if not deep <= place.below:
            place = Place(place.here, place.below | deep)
        return Place(place.below | direct, place.below)

    def argument_room(self, operator: Operator, count: int) -> tuple[float, ...]:
        """How many operators each of `count` arguments of an operator may have."""
        most = self.limits.argument_size.get(operator.name)
        if most is None:
            return (math.inf,) * count
        return most if len(most) == count else most[:1] * count

    def takes(self, operator: Operator, sizes: Sequence[int]) -> bool:
        """Whether an operator may have arguments of these sizes."""
        if operator.name not in self.limits.argument_size:
            return True
        return all(size <= most for size, most in zip(sizes, self.argument_room(operator, len(sizes)), strict=True))

    @cached_property
    def _forbidden(self) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
        """Per outer operator, what may not be its argument, and what may stand nowhere below it."""
        direct, deep = self.limits.forbid, self.limits.forbid_below
        return {
            outer: (frozenset(i for o, i in direct if o == outer), frozenset(i for o, i in deep if o == outer))
            for outer in {o for o, _ in direct | deep}
        }


# Without a grammar both inputs are understood: a formula is a function of those that it names.
NO_GRAMMAR = Vocabulary(inputs=INPUTS)
