"""Derivatives of derivatives of a function of one variable, as Programs that one fused kernel runs.

In: the forward Program of a function f without parameters. Out: `slopes`, f and its derivatives up to an order, and
`tower`, the same in one Program; a `DerivativeChain`, what n passes of reverse mode ask for. The gradient is `g*f'(x)`;
that of the gradient, for `h` that comes in, is `h*g*f''(x)` and `h*f'(x)`, and so on: every output of every pass is a
sum of derivatives of f at x, each times products of the tensors that came in. So x and those are all that is kept, and
a derivative is computed once for all outputs that need it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from typing import TypeAlias

from symact.program.builder import Emitter, Value
from symact.program.gradient import backward
from symact.program.program import Program

# The order of a derivative of f, and the numbers of the tensors that it is multiplied by, ascending; x is number 0.
Monomial: TypeAlias = tuple[int, tuple[int, ...]]
# How often each monomial is added.
Sum: TypeAlias = tuple[tuple[Monomial, int], ...]


@lru_cache(maxsize=4096)
def slopes(program: Program, order: int) -> tuple[Program, ...]:
    """A function and its derivatives in x up to an order, a Program each with the inputs of the first.

    Args:
        program: a forward Program; its parameters stay inputs.
        order: of the last derivative, at least 0.
    """
    if order == 0:
        return (program,)
    lower = slopes(program, order - 1)
    builder = Emitter(program.inputs, variables=program.variables)
    inputs = tuple(range(len(program.inputs)))
    return *lower, builder.build(builder.inline(backward(lower[-1]), (*inputs, builder.const(1.0)))[0])


def joined(programs: Iterable[Program]) -> Program:
    """Programs of the same inputs as one, with the outputs of all; what several compute is computed once."""
    programs = tuple(programs)
    builder = Emitter(programs[0].inputs, False, programs[0].variables)
    inputs = tuple(range(len(builder.inputs)))
    return builder.build(*[number for program in programs for number in builder.inline(program, inputs)])


@lru_cache(maxsize=4096)
def tower(program: Program, order: int) -> Program:
    """A function and its derivatives in x up to an order, in one Program: ``order + 1`` outputs."""
    return joined(slopes(program, order))


@dataclass(frozen=True, eq=False)
class DerivativeChain:
    """Outputs of a function of x and of tensors that came in; of each there is one, so that it is quickly found.

    Attributes:
        inputs: how many tensors there are, x included.
        outputs: one sum each.
    """

    inputs: int
    outputs: tuple[Sum, ...]

    @cached_property
    def order(self) -> int:
        """The highest derivative that an output needs."""
        return max((order for output in self.outputs for (order, _), _ in output), default=0)

    def pulled_back(self, present: tuple[bool, ...], needed: tuple[bool, ...]) -> DerivativeChain:
        """One more pass of reverse mode.

        Args:
            present: for which outputs a gradient comes in; it becomes an input, in their order, behind those there are.
            needed: for which inputs a gradient goes out.
        """
        key = present, needed
        if key not in self._following:
            self._following[key] = _pulled_back(self, present, needed)
        return self._following[key]

    @cached_property
    def _following(self) -> dict[tuple[tuple[bool, ...], tuple[bool, ...]], DerivativeChain]:
        return {}


# `f'(x)*g`, of which all that reverse mode asks for follows.
GRADIENT = DerivativeChain(2, ((((1, (1,)), 1),),))


@lru_cache(maxsize=64)
def derivatives(order: int) -> DerivativeChain:
    """The value and the derivatives up to an order, each an output."""
    return DerivativeChain(1, tuple((((n, ()), 1),) for n in range(order + 1)))


def _pulled_back(chain: DerivativeChain, present: tuple[bool, ...], needed: tuple[bool, ...]) -> DerivativeChain:
    sums: list[dict[Monomial, int]] = [{} for _ in range(chain.inputs)]
    incoming = chain.inputs
    for output, comes in zip(chain.outputs, present, strict=True):
        if not comes:
            continue
        for (order, factors), count in output:
            _add(sums[0], (order + 1, tuple(sorted((*factors, incoming)))), count)
            for factor in set(factors):
                others = list(factors)
                others.remove(factor)
                _add(sums[factor], (order, tuple(sorted((*others, incoming)))), count * factors.count(factor))
        incoming += 1
    kept = (tuple(sorted(s.items())) for s, wanted in zip(sums, needed, strict=True) if wanted)
    return DerivativeChain(incoming, tuple(kept))


def _add(total: dict[Monomial, int], monomial: Monomial, count: int) -> None:
    total[monomial] = total.get(monomial, 0) + count


@lru_cache(maxsize=4096)
def chained(chain: DerivativeChain, derivatives: Program) -> Program:
    """The Program of a chain, with inputs `x, grad_1, ...`.

    Args:
        chain: what is wanted.
        derivatives: f and its derivatives in any form, as `tower` gives them, up to the order of the chain at least.
    """
    # The form was chosen for a precision, so it is copied as it is.
    builder = Emitter(("x", *(f"grad_{number}" for number in range(1, chain.inputs))), stable=False)
    found = [Value(builder, number) for number in builder.inline(derivatives, (0,))]
    outputs = []
    for output in chain.outputs:
        by_order: dict[int, list[tuple[tuple[int, ...], int]]] = {}
        for (order, factors), count in output:
            by_order.setdefault(order, []).append((factors, count))
        terms = [_times(found[order], _polynomial(builder, sums)) for order, sums in sorted(by_order.items())]
        outputs.append(reduce(Value.__add__, terms).number if terms else builder.const(0.0))
    return builder.build(*outputs)


def _polynomial(builder: Emitter, sums: list[tuple[tuple[int, ...], int]]) -> Value | None:
    """A sum of products of inputs; None for 1."""
    terms = []
    for factors, count in sums:
        # The first factors meet in most products of a chain, which then share them.
        product = reduce(Value.__mul__, [Value(builder, factor) for factor in factors]) if factors else None
        if product is None:
            return None
        terms.append(product if count == 1 else product * float(count))
    return reduce(Value.__add__, terms)


def _times(derivative: Value, factor: Value | None) -> Value:
    return derivative if factor is None else derivative * factor
