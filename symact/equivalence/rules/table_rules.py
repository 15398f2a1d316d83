"""Rules that say at sight which term an operator gives back, or which simpler application it is.

Neutral elements, max(f, f), |f| of f that is not negative, f - (-g), f/(1/g), cosh(-f).

In: an operator and terms of a graph. Out: terms that need no evaluation and no comparison, as they are in the graph;
and applications that stand for others. Every rule holds between partial functions, almost everywhere: it is a row of
`rules.RULES`, by whose name it goes, applied to many terms at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from symact.arrays import Array
from symact.equivalence.terms import FunctionSymbol, TermGraph
from symact.expr.functions import FUNCTIONS
from symact.program import signs
from symact.program.program import Program
from symact.program.signs import ABOVE, BELOW, DEFINED, NONZERO

_SURE = DEFINED | NONZERO


class _Neutral(NamedTuple):
    """The argument at `position` gives the other one back where it is the constant `value` everywhere."""

    rule: str
    step: str
    position: int
    value: int


class _Constant(NamedTuple):
    """The result is the constant `value` where the arguments allow it.

    The argument at `position` is the constant `argument` everywhere (None: both arguments are one term), and the other
    one has all `flags`.
    """

    rule: str
    step: str
    position: int
    argument: int | None
    flags: int
    value: int


class _Ordered(NamedTuple):
    """The argument at `position` is the result where it has all flags `own` and the other one all flags `other`."""

    rule: str
    step: str
    position: int
    own: int
    other: int


NEUTRAL = (
    _Neutral("add nothing", "add", 0, 0),
    _Neutral("add nothing", "add", 1, 0),
    _Neutral("add nothing", "sub", 1, 0),
    _Neutral("times one", "mul", 0, 1),
    _Neutral("times one", "mul", 1, 1),
    _Neutral("quotient", "div", 1, 1),
    _Neutral("power 1", "pow", 1, 1),
)
CONSTANT = (
    _Constant("cancel +", "sub", 0, None, DEFINED, 0),
    _Constant("times zero", "mul", 0, 0, DEFINED, 0),
    _Constant("times zero", "mul", 1, 0, DEFINED, 0),
    _Constant("cancel *", "div", 0, None, _SURE, 1),
    _Constant("times zero", "div", 0, 0, _SURE, 0),
    _Constant("power 0", "pow", 1, 0, DEFINED, 1),
    _Constant("power of 1", "pow", 0, 1, DEFINED, 1),
    _Constant("power of 0", "pow", 0, 0, _SURE | ABOVE, 0),
)
ORDERED = (
    _Ordered("max of ordered", "max", 0, ABOVE, BELOW | DEFINED),
    _Ordered("max of ordered", "max", 1, ABOVE, BELOW | DEFINED),
    _Ordered("smaller", "min", 0, BELOW, ABOVE | DEFINED),
    _Ordered("smaller", "min", 1, BELOW, ABOVE | DEFINED),
)
# Step -> the rule by which equal arguments are the result.
IDEMPOTENT = {"max": "max of one", "min": "max of one"}
# Step -> the rule by which it gives back what is not negative.
KEEPING = {"abs": "abs of what is not negative", "relu": "relu", "elu": "elu"}
_NEGATION, _RECIPROCAL, _SIZE = "negation", "reciprocal", "size"
# Step -> the rule, the step of an argument's inverse that it is where that inverse is a term, and which inverse.
INVERSE = {"sub": ("difference", "add", _NEGATION), "div": ("quotient", "mul", _RECIPROCAL)}
# Steps for which f(-a) and f(abs(a)) are f(a).
EVEN = frozenset(name for name, row in FUNCTIONS.items() if row.parity == "even") | {"ipow"}


class TableRules:
    """What is known of the terms of a graph, and what it makes unnecessary.

    Args:
        graph: whose terms are learned as they are added.
    """

    def __init__(self, graph: TermGraph):
        self.graph = graph
        self._flags = np.zeros(64, np.uint8)
        self._flags[: graph.inputs] = signs.OF_VARIABLE
        # Term -> the term that is -f, 1/f, or f where the term is abs(f); -1 where there is none.
        self._related = {name: np.full(64, -1) for name in (_NEGATION, _RECIPROCAL, _SIZE)}
        # Value -> the terms that are that constant, the first one first.
        self._constants: dict[int, list[int]] = {0: [], 1: []}

    def learn(self, number: int, arguments: Array, terms: Array) -> None:
        """Note new terms of the graph: applications ``(terms, arity)`` of symbol `number`."""
        while len(self._flags) <= terms.max():
            self._flags = np.concatenate([self._flags, np.zeros_like(self._flags)])
            self._related = {n: np.concatenate([old, np.full_like(old, -1)]) for n, old in self._related.items()}
        symbol = self.graph.symbols[number]
        self._flags[terms] = self.flags(number, arguments)
        value = _constant_of(symbol.program)
        if value is not None:
            self._constants[value] += terms.tolist()
        elif symbol.step == "neg":
            self._related[_NEGATION][terms], self._related[_NEGATION][arguments[:, 0]] = arguments[:, 0], terms
        elif _is_reciprocal(symbol):
            certain = self._flags[arguments[:, 0]] & NONZERO != 0
            self._related[_RECIPROCAL][arguments[:, 0]] = terms
            self._related[_RECIPROCAL][terms[certain]] = arguments[certain, 0]
        elif symbol.step == "abs":
            self._related[_SIZE][terms] = arguments[:, 0]

    def flags_of(self, terms: Array) -> Array:
        """What is known of terms of the graph, as `signs` says it."""
        return self._flags[terms]

    def flags(self, number: int, arguments: Array) -> Array:
        """What is known of applications ``(terms, arity)`` of a symbol to terms of the graph, as `signs` says it."""
        symbol = self.graph.symbols[number]
        inputs = [self._flags[column] for column in arguments.T]
        inputs += [np.array([signs.of_slot(slot.range[0])], np.uint8) for slot in symbol.slots]
        return np.broadcast_to(signs.of_result(symbol.program, inputs), len(arguments))

    def applications(self, number: int, arguments: Array) -> Iterator[tuple[int, Array, Array]]:
        """What applications ``(terms, arity)`` of a symbol are rewritten to: symbol, arguments, and which terms."""
        number = self.graph.canonical_symbol(number)
        symbol = self.graph.symbols[number]
        everything = np.arange(len(arguments))
        _, other, relation = INVERSE.get(symbol.step or "", ("", "", ""))
        inverse_symbol = self._symbol_of(other) if other else None
        if inverse_symbol is not None:
            inverse = self._related[relation][arguments[:, 1]]
            moved = inverse >= 0
            if moved.any():
                pairs = np.stack([arguments[moved, 0], inverse[moved]], axis=1)
                yield inverse_symbol, self._ordered(self.graph.symbols[inverse_symbol], pairs), everything[moved]
                arguments, everything = arguments[~moved], everything[~moved]
        if len(everything):
            yield number, self._ordered(symbol, arguments), everything

    def _symbol_of(self, step: str) -> int | None:
        """The symbol that is one step of its two arguments, if there is one."""
        for number, symbol in enumerate(self.graph.symbols):
            if symbol.step == step:
                return self.graph.canonical_symbol(number)
        return None

    def _ordered(self, symbol: FunctionSymbol, arguments: Array) -> Array:
        """Arguments in the form that is kept of several equal ones."""
        if _is_even(symbol):
            column = arguments[:, 0]
            size = self._related[_SIZE][column]
            column = np.where(size >= 0, size, column)
            negation = self._related[_NEGATION][column]
            return np.where((negation >= 0) & (negation < column), negation, column)[:, None]
        if symbol.step == "mul":
            # "(-a)*(-b)": the terms that came first.
            negations = self._related[_NEGATION][arguments]
            later = (negations >= 0) & (negations < arguments)
            both = later[:, 0] & later[:, 1]
            arguments = np.where(both[:, None], negations, arguments)
        return symbol.ordered(arguments)

    def terms(self, number: int, arguments: Array) -> Array:
        """The term that each application ``(terms, arity)`` of a symbol is by a rule, or -1."""
        symbol = self.graph.symbols[number]
        found = np.full(len(arguments), -1)
        if _is_reciprocal(symbol):
            return self._related[_RECIPROCAL][arguments[:, 0]]
        step = symbol.step
        if step is None:
            return found
        if symbol.arity == 1:
            flags = self._flags[arguments[:, 0]]
            if step in KEEPING:
                found = np.where(flags & ABOVE != 0, arguments[:, 0], found)
            if step == "relu" and self._constants[0]:
                found = np.where(flags & (BELOW | DEFINED) == BELOW | DEFINED, self._constants[0][0], found)
            return self._related[_NEGATION][arguments[:, 0]] if step == "neg" else found
        return self._rows_of_pairs(step, arguments, found)

    def _rows_of_pairs(self, step: str, arguments: Array, found: Array) -> Array:
        same = arguments[:, 0] == arguments[:, 1]
        if step in IDEMPOTENT:
            found = np.where(same, arguments[:, 0], found)
        for neutral in NEUTRAL:
            if neutral.step == step:
                here = self._is_constant(arguments[:, neutral.position], neutral.value)
                found = np.where(here, arguments[:, 1 - neutral.position], found)
        for constant in CONSTANT:
            if constant.step == step and self._constants[constant.value]:
                here = (
                    same
                    if constant.argument is None
                    else self._is_constant(arguments[:, constant.position], constant.argument)
                )
                sure = self._has(arguments[:, 1 - constant.position], constant.flags)
                found = np.where(here & sure, self._constants[constant.value][0], found)
        for ordered in ORDERED:
            if ordered.step == step:
                own, other = arguments[:, ordered.position], arguments[:, 1 - ordered.position]
                found = np.where(self._has(own, ordered.own) & self._has(other, ordered.other), own, found)
        for inverted, value, relation in (("sub", 0, _NEGATION), ("div", 1, _RECIPROCAL)):
            if step == inverted:
                here = self._is_constant(arguments[:, 0], value) & (found < 0)
                found = np.where(here, self._related[relation][arguments[:, 1]], found)
        return found

    def _has(self, terms: Array, flags: int) -> Array:
        having: Array = self._flags[terms] & flags == flags
        return having

    def _is_constant(self, terms: Array, value: int) -> Array:
        here = np.zeros(len(terms), bool)
        for term in self._constants[value]:
            here |= terms == term
        return here


def _is_even(symbol: FunctionSymbol) -> bool:
    if symbol.arity != 1 or symbol.step not in EVEN:
        return False
    return symbol.step != "ipow" or int(symbol.program.operations[0].number) % 2 == 0


def _is_reciprocal(symbol: FunctionSymbol) -> bool:
    steps = symbol.program.value_operations
    if len(steps) != 2 or symbol.slots or symbol.arity != 1:
        return False
    one, quotient = steps
    return one.name == "const" and one.value == 1 and quotient.name == "div" and quotient.arguments == (1, 0)


def _constant_of(program: Program) -> int | None:
    """0 or 1 where a program is that constant, else None."""
    step = program.operations[program.output - len(program.inputs)] if program.output >= len(program.inputs) else None
    if not program.total or step is None or step.name != "const":
        return None
    return int(step.number) if step.value in (0, 1) else None
