"""Rules that say at sight which row an operator gives back, or which simpler application it is: neutral elements,
max(f, f), |f| of f that is not negative, f - (-g), f/(1/g), cosh(-f).

In: an operator and rows of a dag. Out: rows that need no evaluation and no comparison, because they are rows already;
and applications that stand for others. Every rule holds between partial functions, almost everywhere: it is a row of
`rewriting.RULES`, by whose name it goes, applied to many rows at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from symact.arrays import Array
from symact.equivalence.terms import Dag, Head
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
    """The result is the constant `value`, where the argument at `position` is the constant `argument` everywhere
    (None: where both arguments are one row) and the other one has all `flags`."""

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
# Operation -> the rule by which equal arguments are the result.
IDEMPOTENT = {"max": "max of one", "min": "max of one"}
# Operation -> the rule by which it gives back what is not negative.
KEEPING = {"abs": "abs of what is not negative", "relu": "relu", "elu": "elu"}
_NEGATION, _RECIPROCAL, _SIZE = "negation", "reciprocal", "size"
# Operation -> the rule, the step of an argument's inverse that it is where that inverse is a row, and which inverse.
INVERSE = {"sub": ("difference", "add", _NEGATION), "div": ("quotient", "mul", _RECIPROCAL)}
# Operation -> the rule by which f(-a) and f(abs(a)) are f(a).
EVEN = {
    "abs": "abs even",
    "cosh": "cosh",
    "cos": "cos even",
    "i0e": "i0e even",
    "sinc": "sinc even",
    "logcosh": "logcosh",
    "ipow": "square of abs",
}


class Shortcuts:
    """What is known of the rows of a dag, and what it makes unnecessary.

    Args:
        dag: whose rows are learned as they are added.
    """

    def __init__(self, dag: Dag):
        self.dag = dag
        self._flags = np.zeros(64, np.uint8)
        self._flags[0] = signs.OF_VARIABLE
        # Row -> the row that is -f, 1/f, or f where the row is abs(f); -1 where there is none.
        self._related = {name: np.full(64, -1) for name in (_NEGATION, _RECIPROCAL, _SIZE)}
        # Value -> the rows that are that constant, the first one first.
        self._constants: dict[int, list[int]] = {0: [], 1: []}

    def learn(self, number: int, arguments: Array, rows: Array) -> None:
        """Note new rows of the dag: applications ``(rows, arity)`` of head `number`."""
        while len(self._flags) <= rows.max():
            self._flags = np.concatenate([self._flags, np.zeros_like(self._flags)])
            self._related = {n: np.concatenate([old, np.full_like(old, -1)]) for n, old in self._related.items()}
        head = self.dag.heads[number]
        self._flags[rows] = self.flags(number, arguments)
        value = _constant_of(head.program)
        if value is not None:
            self._constants[value] += rows.tolist()
        elif head.step == "neg":
            self._related[_NEGATION][rows], self._related[_NEGATION][arguments[:, 0]] = arguments[:, 0], rows
        elif _is_reciprocal(head):
            certain = self._flags[arguments[:, 0]] & NONZERO != 0
            self._related[_RECIPROCAL][arguments[:, 0]] = rows
            self._related[_RECIPROCAL][rows[certain]] = arguments[certain, 0]
        elif head.step == "abs":
            self._related[_SIZE][rows] = arguments[:, 0]

    def flags_of(self, rows: Array) -> Array:
        """What is known of rows of the dag, as `facts` says it."""
        return self._flags[rows]

    def flags(self, number: int, arguments: Array) -> Array:
        """What is known of applications ``(rows, arity)`` of a head to rows of the dag, as `facts` says it."""
        head = self.dag.heads[number]
        inputs = [self._flags[column] for column in arguments.T]
        inputs += [np.array([signs.of_slot(slot.family[4][0])], np.uint8) for slot in head.slots]
        return np.broadcast_to(signs.of_result(head.program, inputs), len(arguments))

    def applications(self, number: int, arguments: Array) -> Iterator[tuple[int, Array, Array]]:
        """What applications ``(rows, arity)`` of a head are rewritten to: head, arguments, and which rows."""
        number = self.dag.first_twin(number)
        head = self.dag.heads[number]
        everything = np.arange(len(arguments))
        _, other, relation = INVERSE.get(head.step or "", ("", "", ""))
        twin = self._head_of(other) if other else None
        if twin is not None:
            inverse = self._related[relation][arguments[:, 1]]
            moved = inverse >= 0
            if moved.any():
                pairs = np.stack([arguments[moved, 0], inverse[moved]], axis=1)
                yield twin, self._ordered(self.dag.heads[twin], pairs), everything[moved]
                arguments, everything = arguments[~moved], everything[~moved]
        if len(everything):
            yield number, self._ordered(head, arguments), everything

    def _head_of(self, step: str) -> int | None:
        """The head that is one step of its two arguments, if there is one."""
        for number, head in enumerate(self.dag.heads):
            if head.step == step:
                return self.dag.first_twin(number)
        return None

    def _ordered(self, head: Head, arguments: Array) -> Array:
        """Arguments in the form that is kept of several equal ones."""
        if _is_even(head):
            column = arguments[:, 0]
            size = self._related[_SIZE][column]
            column = np.where(size >= 0, size, column)
            negation = self._related[_NEGATION][column]
            return np.where((negation >= 0) & (negation < column), negation, column)[:, None]
        if head.step == "mul":
            # "(-a)*(-b)": the rows that came first.
            negations = self._related[_NEGATION][arguments]
            later = (negations >= 0) & (negations < arguments)
            both = later[:, 0] & later[:, 1]
            arguments = np.where(both[:, None], negations, arguments)
        return np.sort(arguments, axis=1) if head.commutative else arguments

    def rows(self, number: int, arguments: Array) -> Array:
        """The row that each application ``(rows, arity)`` of a head is by a rule, or -1."""
        head = self.dag.heads[number]
        found = np.full(len(arguments), -1)
        if _is_reciprocal(head):
            return self._related[_RECIPROCAL][arguments[:, 0]]
        step = head.step
        if step is None:
            return found
        if head.arity == 1:
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

    def _has(self, rows: Array, flags: int) -> Array:
        return self._flags[rows] & flags == flags

    def _is_constant(self, rows: Array, value: int) -> Array:
        here = np.zeros(len(rows), bool)
        for row in self._constants[value]:
            here |= rows == row
        return here


def _is_even(head: Head) -> bool:
    if head.arity != 1 or head.step not in EVEN:
        return False
    return head.step != "ipow" or int(head.program.operations[0].number) % 2 == 0


def _is_reciprocal(head: Head) -> bool:
    steps = head.program.value_operations
    if len(steps) != 2 or head.slots or head.arity != 1:
        return False
    one, quotient = steps
    return one.name == "const" and one.value == 1 and quotient.name == "div" and quotient.arguments == (1, 0)


def _constant_of(program: Program) -> int | None:
    """0 or 1 where a program is that constant, else None."""
    step = program.operations[program.output - len(program.inputs)] if program.output >= len(program.inputs) else None
    if not program.total or step is None or step.name != "const":
        return None
    return int(step.number) if step.value in (0, 1) else None
