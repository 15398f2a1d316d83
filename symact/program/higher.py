"""Derivatives of derivatives of a function, as Programs that one fused kernel runs.

In: the forward Program of a function f of x and of learnable parameters. Out: `partial`, a derivative of f in any of
them, and `tower`, those in x up to an order in one Program; a `DerivativeChain`, what n passes of reverse mode ask for.
The gradient in x is `g*f_x`; that of the gradient, for `h` that comes in, is `h*g*f_xx` in x, `h*g*f_xp` in a parameter
p, `h*f_x` in g, and so on: every output of every pass is a sum of derivatives of f, each times products of the tensors
that came in. So the inputs of f and those are all that is kept, and a derivative is computed once for all outputs that
need it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from typing import TypeAlias

from symact.program.builder import Emitter, Value
from symact.program.gradient import backward
from symact.program.program import Program

# By which inputs of f it is derived, ascending and repeated; `()` is f itself.
Partial: TypeAlias = tuple[int, ...]
# A derivative of f, and the numbers of the tensors that it is multiplied by, ascending.
Monomial: TypeAlias = tuple[Partial, tuple[int, ...]]
# How often each monomial is added.
Sum: TypeAlias = tuple[tuple[Monomial, int], ...]


@lru_cache(maxsize=4096)
def partial(program: Program, by: Partial) -> Program:
    """A derivative of a function, a Program with the same inputs.

    Args:
        program: a forward Program.
        by: numbers of inputs.
    """
    if not by:
        return program
    builder = Emitter(program.inputs, variables=program.variables)
    inputs = tuple(range(len(program.inputs)))
    terms = builder.inline(backward(partial(program, by[:-1])), (*inputs, builder.const(1.0)))
    return builder.build(terms[by[-1]])


def joined(programs: Iterable[Program]) -> Program:
    """Programs of the same inputs as one, with the outputs of all; what several compute is computed once."""
    programs = tuple(programs)
    builder = Emitter(programs[0].inputs, False, programs[0].variables)
    inputs = tuple(range(len(builder.inputs)))
    return builder.build(*[number for program in programs for number in builder.inline(program, inputs)])


@lru_cache(maxsize=4096)
def tower(program: Program, order: int) -> Program:
    """A function and its derivatives in x up to an order, in one Program: ``order + 1`` outputs."""
    return joined(partial(program, (0,) * n) for n in range(order + 1))


@dataclass(frozen=True, eq=False)
class DerivativeChain:
    """Outputs of the inputs of f and of tensors that came in; of each there is one, so that it is quickly found.

    Attributes:
        inputs: how many tensors there are, those of f included.
        outputs: one sum each.
        own: how many of them, from the first on, are inputs of f: x, then the parameters.
    """

    inputs: int
    outputs: tuple[Sum, ...]
    own: int = 1

    @cached_property
    def partials(self) -> tuple[Partial, ...]:
        """The derivatives that the outputs need, the lowest first."""
        found = {by for output in self.outputs for (by, _), _ in output}
        return tuple(sorted(found, key=lambda by: (len(by), by)))

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


@lru_cache(maxsize=64)
def gradient(own: int = 1) -> DerivativeChain:
    """`f_i*g` for each of so many inputs of f: of these follows all that reverse mode asks for."""
    return DerivativeChain(own + 1, tuple(((((i,), (own,)), 1),) for i in range(own)), own)


@lru_cache(maxsize=64)
def derivatives(order: int, own: int = 1) -> DerivativeChain:
    """The value and the derivatives in x up to an order, each an output."""
    return DerivativeChain(own, tuple(((((0,) * n, ()), 1),) for n in range(order + 1)), own)


def _pulled_back(chain: DerivativeChain, present: tuple[bool, ...], needed: tuple[bool, ...]) -> DerivativeChain:
    sums: list[dict[Monomial, int]] = [{} for _ in range(chain.inputs)]
    incoming = chain.inputs
    for output, comes in zip(chain.outputs, present, strict=True):
        if not comes:
            continue
        for (by, factors), count in output:
            for variable in range(chain.own):
                derived = tuple(sorted((*by, variable))), tuple(sorted((*factors, incoming)))
                _add(sums[variable], derived, count)
            for factor in set(factors):
                others = list(factors)
                others.remove(factor)
                _add(sums[factor], (by, tuple(sorted((*others, incoming)))), count * factors.count(factor))
        incoming += 1
    kept = (tuple(sorted(s.items())) for s, wanted in zip(sums, needed, strict=True) if wanted)
    return DerivativeChain(incoming, tuple(kept), chain.own)


def _add(total: dict[Monomial, int], monomial: Monomial, count: int) -> None:
    total[monomial] = total.get(monomial, 0) + count


@lru_cache(maxsize=4096)
def chained(chain: DerivativeChain, derivatives: Program) -> Program:
    """The Program of a chain; its inputs are those of f, then `grad_...`, one for each tensor that came in.

    Args:
        chain: what is wanted.
        derivatives: those of `chain.partials`, in any form, in one Program.
    """
    # The form was chosen for a precision, so it is copied as it is.
    coming = tuple(f"grad_{number}" for number in range(chain.own, chain.inputs))
    builder = Emitter((*derivatives.inputs, *coming), stable=False)
    numbers = builder.inline(derivatives, tuple(range(chain.own)))
    found = {by: Value(builder, number) for by, number in zip(chain.partials, numbers, strict=True)}
    outputs = []
    for output in chain.outputs:
        by_partial: dict[Partial, list[tuple[tuple[int, ...], int]]] = {}
        for (by, factors), count in output:
            by_partial.setdefault(by, []).append((factors, count))
        terms = [_times(found[by], _polynomial(builder, sums)) for by, sums in sorted(by_partial.items())]
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
