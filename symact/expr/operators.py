"""What expressions are written in: operators, parameters, constants and limits of one grammar.

A `Vocabulary` is a grammar without its spaces. It is what the parser, the variation operators and
the spaces need; `grammar.py` reads it from a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy

from symact.expr.functions import packed, unpacked

KINDS = ("nary", "binary", "unary")


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
        formula: unevaluated SymPy in `x`, or in `a` and `b` (a fold step for `nary`); constants are numbers in it.
        total: it does not mention its arguments, so it is defined wherever they are not.
    """

    name: str
    kind: str
    text: str
    parameters: tuple[Parameter, ...] = ()
    formula: sympy.Expr = field(default=sympy.Symbol("x", real=True), repr=False)
    total: bool = False
    _hash: int = field(default=0, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.name, self.text, self.parameters, self.formula)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> Any:
        return _operator, (self.name, self.kind, self.text, self.parameters, packed(self.formula), self.total)

    @property
    def arity(self) -> int | None:
        """Number of arguments; None for any number."""
        return {"variable": 0, "unary": 1, "formula": 1, "binary": 2}.get(self.kind)


VARIABLE = Operator("x", "variable", "x")


def _operator(
    name: str, kind: str, text: str, parameters: tuple[Parameter, ...], formula: Any, total: bool
) -> Operator:
    return VARIABLE if kind == "variable" else Operator(name, kind, text, parameters, unpacked(formula), total)


@dataclass(frozen=True)
class Limits:
    """What no expression of a grammar may exceed.

    Attributes:
        max_depth: operators on the longest path, or None.
        max_size: operators in all, or None.
        forbid: pairs (outer, inner) of operator names that may not be directly nested.
    """

    max_depth: int | None = None
    max_size: int | None = None
    forbid: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The operators, parameters, constants and limits of one grammar.

    Attributes:
        name: the grammar's name.
        operators: operator name -> `Operator`, in file order. A name stands for one operator only.
        parameters: parameter name -> `Parameter`.
        constants: constant name -> exact number.
        limits: what no expression may exceed.
        interval: (low, high), where functions are compared.
        text: the grammar file as read; what a store keeps.
    """

    name: str = ""
    operators: Mapping[str, Operator] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    constants: Mapping[str, sympy.Rational] = field(default_factory=dict)
    limits: Limits = Limits()
    interval: tuple[float, float] = (-100.0, 100.0)
    text: str = field(default="", repr=False)

    def of_kind(self, kind: str) -> tuple[Operator, ...]:
        """The operators of one kind (`unary`, `binary`, `nary`), in file order."""
        return tuple(operator for operator in self.operators.values() if operator.kind == kind)

    def allows(self, outer: str, inner: str) -> bool:
        """Whether the operator `inner` may be a direct argument of the operator `outer`."""
        return (outer, inner) not in self.limits.forbid


NO_GRAMMAR = Vocabulary()
