"""Published functions and a drawn space: which take float64 for a whole tensor, on a GPU and in compiled programs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from symact.activation.plan import plain, unseen_forms
from symact.catalog.rows import expression_of, family_of
from symact.expr.published import published
from symact.expr.tree import Expr
from symact.program.gradient import backward
from symact.program.loading import load_grammar
from symact.program.pipeline import lower

DRAWN = 400


def drawn() -> dict[str, Expr]:
    """Distinct expressions of the space `bench`, uniformly."""
    space, generator = load_grammar("aquasurf").space("bench"), np.random.default_rng(0)
    found: dict[str, Expr] = {}
    while len(found) < DRAWN:
        expr = space.sample(generator)
        found.setdefault(str(expr), expr)
    return found


def sources(name: str) -> Iterator[tuple[str, Expr]]:
    if name == "bench":
        yield from drawn().items()
        return
    for key, row in published().items():
        if name == "atlas":
            yield key, expression_of(key)
        elif name == "families" and row.settings:
            yield key, family_of(key)


# Which take float64, by source and pass: on a GPU, and in compiled programs on a CPU alone, which are held to 1e30.
EXCEPTIONS: dict[tuple[str, str], tuple[frozenset[str], frozenset[str]]] = {
    ("atlas", "forward"): (frozenset(), frozenset(["finer"])),
    ("atlas", "backward"): (frozenset(), frozenset(["finer"])),
    ("bench", "forward"): (
        frozenset(["div(swish(x),relu(x))", "pow(expm1(x),cosh(x))", "pow(selu(x),reciprocal(x))"]),
        frozenset(["pow(softsign(x),selu(x))"]),
    ),
    ("bench", "backward"): (
        frozenset(
            [
                "div(cosh(x),bessel_i1e(x))",
                "div(swish(x),relu(x))",
                "max(cosh(x),erfc(x))",
                "min(cosh(x),bessel_i0e(x))",
            ]
        ),
        frozenset(["div(log_sigmoid(x),bessel_i0e(x))", "pow(arcsinh(x),arcsinh(x))"]),
    ),
    ("families", "forward"): (frozenset(["ccaf", "eis"]), frozenset(["finer"])),
    ("families", "backward"): (frozenset(["ccaf", "eis"]), frozenset(["finer", "plu"])),
}
# What float32 lacks for the families that take float64.
REASONS = {
    "ccaf": "the sine of 45 times a sine needs that to more digits than a float has",
    "eis": "a sum of squares overflows in a quotient of powers of softplus",
    "finer": "its angle, omega*(abs(x) + 1)*x, has more than three words from |x| of 1e6 on",
    "plu": "from 3e7 on, alpha*(x + c) - c and x are compared, whose digits end above c",
}
# What may take it, of values and of gradients alike, as a part of a source. Families have parameters of 0.07 to 11 and
# more, and as many gradients.
MOST = {"atlas": 0.01, "bench": 0.02, "families": 0.02}


@pytest.mark.slow
@pytest.mark.parametrize("source", MOST)
def test_only_named_functions_take_float64_for_a_whole_tensor(source: str) -> None:
    found: dict[str, tuple[set[str], set[str]]] = {"forward": (set(), set()), "backward": (set(), set())}
    count = 0
    for name, expr in sources(source):
        program = lower(expr)
        count += 1
        for direction, each in (("forward", program), ("backward", backward(program))):
            for gpu in (True, False):
                if plain(each, False, gpu)[1] is torch.float64:
                    found[direction][0 if gpu else 1].add(name)
        # A Triton kernel has both passes in one precision.
        on_gpu = any(name in taken[0] for taken in found.values())
        assert (unseen_forms(program) is None) == on_gpu
    for direction, (gpu, compiled) in found.items():
        first, further = EXCEPTIONS[source, direction]
        assert (gpu, compiled) == (first, first | further), direction
        assert len(compiled) <= MOST[source] * count


def test_every_family_that_takes_it_has_a_reason() -> None:
    named = [names for (source, _), both in EXCEPTIONS.items() if source == "families" for names in both]
    assert frozenset[str]().union(*named) == frozenset(REASONS)
