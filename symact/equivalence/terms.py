"""Terms: distinct sub-expressions, each named by a function symbol and the numbers of its argument terms.

In: operators and argument terms. Out: numbers of terms in a `TermGraph`; the first are its inputs. What makes two
applications one and the same at sight stands here and nowhere else: a symbol that gives an argument back, one that does
not mention its arguments, arguments that commute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import sympy

from symact.arrays import Array
from symact.expr.functions import FUNCTIONS
from symact.expr.operators import INPUTS, Operator, Parameter, Vocabulary
from symact.expr.tree import Expr, of_x_alone
from symact.program import signs
from symact.program.instructions import COMMUTATIVE
from symact.program.pipeline import exact_program
from symact.program.program import Operation, Program

# A symbol's number and its argument terms; an input has a symbol that no operator has: -1 is x, -2 is g.
Term: TypeAlias = tuple[int, tuple[int, ...]]
ParameterKind: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class ParameterSlot:
    """A parameter as identity sees it: names do not matter, only what the parameter is.

    Attributes:
        kind: (init, per, positive, share, range) of the parameter.
        number: its place among the parameters of that kind in one expression.
    """

    kind: ParameterKind
    number: int

    @staticmethod
    def kind_of(parameter: Parameter) -> ParameterKind:
        """What two parameters must share to be exchangeable."""
        return (parameter.init, parameter.per, parameter.positive, parameter.share, parameter.range)

    @property
    def range(self) -> tuple[float, float]:
        """(low, high), where functions are compared."""
        low, high = self.kind[4]
        return low, high


Slots: TypeAlias = dict[str, ParameterSlot]
# So many parts of a formula are looked at.
_MOST_PARTS = 64


def slots_of(vocabulary: Vocabulary) -> Slots:
    """The slots of a grammar's parameters when each kind has one shared member."""
    return {name: ParameterSlot(ParameterSlot.kind_of(p), 0) for name, p in vocabulary.parameters.items()}


def numbered_slots(parameters: Sequence[Parameter]) -> Slots:
    """Slots for parameters by name, numbered within their kinds."""
    slots: Slots = {}
    counts: dict[ParameterKind, int] = {}
    for parameter in parameters:
        kind = ParameterSlot.kind_of(parameter)
        slots[parameter.name] = ParameterSlot(kind, counts.get(kind, 0))
        counts[kind] = counts.get(kind, 0) + 1
    return slots


@dataclass(frozen=True)
class FunctionSymbol:
    """An operator in a `TermGraph`: its program and which parameter slots it reads."""

    operator: Operator
    program: Program
    slots: tuple[ParameterSlot, ...]

    @classmethod
    def of(cls, operator: Operator, slots: tuple[ParameterSlot, ...] | None = None) -> FunctionSymbol:
        """An operator as a symbol; without slots, its parameters are numbered."""
        own = tuple(numbered_slots(operator.parameters).values()) if slots is None else slots
        return cls(operator, exact_program(operator), own)

    @cached_property
    def arity(self) -> int:
        """Arguments of one application."""
        return len(self.program.inputs) - len(self.slots)

    @cached_property
    def total(self) -> bool:
        """Whether it does not mention its arguments, so that these need not be defined."""
        return self.program.total

    @cached_property
    def alias(self) -> int | None:
        """The argument that it gives back unchanged, or None."""
        return self.program.output if self.program.output < self.arity else None

    @cached_property
    def trivial(self) -> bool:
        """Whether it gives its argument back or is a number: it adds nothing to an expression."""
        return self.alias is not None or (self.total and not self.slots)

    @cached_property
    def step(self) -> str | None:
        """The name of the one step of its arguments, in order, that it is; None where it is more than that."""
        steps = self.program.value_operations
        plain = len(steps) == 1 and not self.slots and steps[0].arguments == tuple(range(self.arity))
        return steps[0].name if plain else None

    @cached_property
    def plain_domain(self) -> bool:
        """Whether it is defined wherever its inputs are, or is one step, so that these alone say where it is not."""
        return self.program.length <= 1 or signs.is_total(self.program)

    @cached_property
    def commutative(self) -> bool:
        """Whether exchanging two arguments exchanges the operands of one commutative step, and nothing else."""
        steps = self.program.value_operations
        return self.arity == 2 and _mirrored(self.program.output, steps, len(self.program.inputs))

    @cached_property
    def associative(self) -> bool:
        """Whether folding it does not depend on the order: a bare sum, product, max or min."""
        steps = self.program.value_operations
        return len(steps) == 1 and steps[0].name in COMMUTATIVE and set(steps[0].arguments) == {0, 1}

    @cached_property
    def parts(self) -> tuple[tuple[Operator, tuple[ParameterSlot, ...]], ...]:
        """What its formula computes on the way, each as an operator of the same arguments, with its slots.

        Numbers are left out, and what only picks between or compares. Parts that two formulas share are equal.
        """
        return tuple(_parts(self.operator, self.slots))

    def ordered(self, arguments: Array) -> Array:
        """Arguments ``(applications, arity)`` in the order that is kept of those that commute."""
        return np.sort(arguments, axis=1) if self.commutative else arguments


def _parts(
    operator: Operator, slots: tuple[ParameterSlot, ...]
) -> Iterator[tuple[Operator, tuple[ParameterSlot, ...]]]:
    seen = {operator.formula}
    for part in sympy.preorder_traversal(operator.formula):
        names = {symbol.name for symbol in part.free_symbols}
        if part in seen or not part.args or not isinstance(part, sympy.Expr) or names.isdisjoint(operator.variables):
            continue
        seen.add(part)
        own = [(p, slot) for p, slot in zip(operator.parameters, slots, strict=True) if p.name in names]
        parameters = tuple(parameter for parameter, _ in own)
        yield (
            Operator("part", operator.kind, "", parameters, part, variables=operator.variables),
            tuple(slot for _, slot in own),
        )
        if len(seen) > _MOST_PARTS:
            return


_EVEN = frozenset(name for name, row in FUNCTIONS.items() if row.parity == "even")


def _mirrored(output: int, steps: Sequence[Operation], inputs: int) -> bool:
    """Whether a result stays the same when the first two inputs change places, by syntax alone."""

    def key(number: int, swapped: bool) -> tuple[Any, ...]:
        if number < inputs:
            return ("input", 1 - number if swapped and number < 2 else number)
        step = steps[number - inputs]
        parts = [key(argument, swapped) for argument in step.arguments]
        even = step.name in _EVEN or (step.name == "ipow" and int(step.number) % 2 == 0)
        if even and parts[0][0] == "sub":
            return (step.name, step.value, "difference", *sorted(parts[0][2:], key=repr))
        ordered = sorted(parts, key=repr) if step.name in COMMUTATIVE else parts
        return (step.name, step.value, *ordered)

    return key(output, False) == key(output, True)


class TermGraph:
    """Distinct terms, numbered as they come.

    Terms come one by one, by `apply`, which knows what it has seen, or many at once, by `append`, from a caller who
    knows that they are new.

    Args:
        inputs: how many there are; they are the terms 0 and, where there are two, 1.
    """

    def __init__(self, inputs: int = 1) -> None:
        self.symbols: list[FunctionSymbol] = []
        self.inputs = self.size = inputs
        self._symbol_numbers: dict[tuple[Operator, tuple[ParameterSlot, ...]], int] = {}
        self._meanings: dict[tuple[Any, ...], int] = {}
        self._canonical: list[int] = []
        self._symbol_of = -1 - np.arange(64, dtype=np.int32)
        self._arguments = np.zeros((64, _WIDTH), np.int64)
        self._numbers: dict[Term, int] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> TermGraph:
        # Only the containers ever change, not what is in them.
        copied = memo[id(self)] = TermGraph(self.inputs)
        copied.size = self.size
        copied.symbols, copied._symbol_numbers = [*self.symbols], {**self._symbol_numbers}
        copied._meanings, copied._canonical = {**self._meanings}, [*self._canonical]
        copied._symbol_of, copied._arguments = self._symbol_of.copy(), self._arguments.copy()
        copied._numbers = {**self._numbers}
        return copied

    def symbol(self, operator: Operator, slots: tuple[ParameterSlot, ...] = ()) -> int:
        """The number of an operator with its parameter slots, new or known."""
        key = (operator, slots)
        number = self._symbol_numbers.get(key)
        if number is None:
            number = self._symbol_numbers[key] = len(self.symbols)
            self.symbols.append(FunctionSymbol.of(operator, slots))
        return number

    def canonical_symbol(self, number: int) -> int:
        """The first symbol that computes the same as symbol `number`."""
        while len(self._canonical) <= number:
            symbol = self.symbols[len(self._canonical)]
            meaning = (symbol.program.value_operations, symbol.program.output, symbol.arity, symbol.slots)
            self._canonical.append(self._meanings.setdefault(meaning, len(self._canonical)))
        return self._canonical[number]

    def apply(self, symbol: int, arguments: tuple[int, ...]) -> int:
        """The term that a symbol applied to terms is: one of these, or a term of its own, new or known."""
        known = self.symbols[symbol]
        if known.alias is not None:
            return arguments[known.alias]
        if known.program.total:
            arguments = (0,) * len(arguments)
        elif len(arguments) == 2 and arguments[0] > arguments[1] and known.commutative:
            arguments = (arguments[1], arguments[0])
        term = (symbol, arguments)
        number = self._numbers.get(term)
        if number is None:
            number = self._numbers[term] = self.size
            self._reserve(1)
            self._symbol_of[number], self._arguments[number, : len(arguments)] = symbol, arguments
            self.size += 1
        return number

    def apply_operator(self, operator: Operator, slots: tuple[ParameterSlot, ...], arguments: Sequence[int]) -> int:
        """The term that an operator applied to terms is; those of an n-ary one are folded."""
        symbol = self.symbol(operator, slots)
        if operator.kind != "nary":
            return self.apply(symbol, tuple(arguments))
        result, *others = arguments
        for argument in sorted(others) if self.symbols[symbol].associative else others:
            result = self.apply(symbol, (result, argument))
        return result

    def apply_all(self, symbol: int, product: ArgumentProduct, numbered: Callable[[Array], Array]) -> Array:
        """`apply` for all combinations of a product.

        Args:
            symbol: its number.
            product: of the arguments.
            numbered: arguments ``(applications, arity)`` -> ``(applications,)`` numbers of terms.

        Returns:
            An array with the axes of the product.
        """
        known = self.symbols[symbol]
        if known.alias is not None:
            return product.side(known.alias)
        if known.total:
            return np.full(product.shape, numbered(np.zeros((1, known.arity), np.int64))[0])
        return product.spread(numbered(product.arguments))

    def term_of(self, expr: Expr, slots: Slots) -> int:
        """The term of an expression whose parameters are those slots, by name."""
        if self.inputs == 1:
            of_x_alone(expr, "a grammar of one input")
        bindings = iter(expr.bindings())

        def walk(node: Expr) -> int:
            if node.operator.is_variable:
                return INPUTS.index(node.operator.name)
            uses = next(bindings).parameters
            own = tuple(slots[uses[p.name].name] for p in node.operator.parameters)
            return self.apply_operator(node.operator, own, [walk(argument) for argument in node.arguments])

        return walk(expr)

    def append(self, symbol: int, arguments: Array) -> int:
        """Add terms ``(terms, arity)`` that are new; gives the number of the first."""
        first = self.size
        self._reserve(len(arguments))
        self.size += len(arguments)
        self._symbol_of[first : self.size] = symbol
        self._arguments[first : self.size, : arguments.shape[1]] = arguments
        return first

    def _reserve(self, count: int) -> None:
        while self.size + count > len(self._symbol_of):
            self._symbol_of = np.concatenate([self._symbol_of, self._symbol_of])
            self._arguments = np.concatenate([self._arguments, np.zeros_like(self._arguments)])

    def term(self, number: int) -> Term:
        """The symbol of a term and its argument terms."""
        symbol = int(self._symbol_of[number])
        if symbol < 0:
            return symbol, ()
        return symbol, tuple(self._arguments[number, : self.symbols[symbol].arity].tolist())

    def arguments_of(self, terms: Array) -> Array:
        """The arguments ``(terms, width)`` of terms, unused places 0."""
        found: Array = self._arguments[terms]
        return found

    def batches(self, start: int) -> Iterator[tuple[int, Array, int]]:
        """(symbol, arguments, first term) of the terms from `start` on, in order.

        Each is a run of one symbol; no term of a run is an argument of another.
        """
        symbols, arguments = self._symbol_of[start : self.size], self._arguments[start : self.size]
        ends = [*(np.flatnonzero(np.diff(symbols)) + 1).tolist(), len(symbols)] if len(symbols) else []
        begin = 0
        for end in ends:
            symbol = int(symbols[begin])
            while begin < end:
                inner = np.flatnonzero((arguments[begin:end] >= start + begin).any(axis=1))
                stop = begin + int(inner[0]) if len(inner) else end
                yield symbol, arguments[begin:stop, : self.symbols[symbol].arity], start + begin
                begin = stop


# Operators take one or two arguments; n-ary ones are folded.
_WIDTH = 2


class ArgumentProduct:
    """All combinations of the terms of one or two children, each combination once.

    Args:
        children: arrays of numbers of terms, one axis per operator slot.
    """

    def __init__(self, children: Sequence[Array]):
        self.children = children
        self.shape = tuple(n for child in children for n in child.shape)

    @cached_property
    def _uniques(self) -> list[tuple[Array, Array]]:
        return [np.unique(child.ravel(), return_inverse=True) for child in self.children]

    @cached_property
    def arguments(self) -> Array:
        """``(combinations, children)``, ascending."""
        if len(self._uniques) == 1:
            return self._uniques[0][0][:, None]
        (left, _), (right, _) = self._uniques
        return np.stack([np.repeat(left, len(right)), np.tile(right, len(left))], axis=1)

    def spread(self, numbers: Array) -> Array:
        """What was found for the combinations, on the axes of all slots."""
        if len(self._uniques) == 1:
            return numbers[self._uniques[0][1]].reshape(self.shape)
        (left, left_at), (right, right_at) = self._uniques
        return numbers.reshape(len(left), len(right))[left_at[:, None], right_at].reshape(self.shape)

    def side(self, which: int) -> Array:
        """One child's terms on the axes of all slots."""
        before = sum(child.ndim for child in self.children[:which])
        child = self.children[which]
        after = len(self.shape) - before - child.ndim
        return np.broadcast_to(child.reshape((1,) * before + child.shape + (1,) * after), self.shape)
