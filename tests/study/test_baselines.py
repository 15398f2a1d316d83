"""The baselines, and finding a function among the expressions of a space."""

from __future__ import annotations

import numpy as np
import pytest

from symact.expr.tree import parse
from symact.optimize.pool import Pool
from symact.program.loading import load_grammar
from symact.study.baselines import BASELINES, MemberSearch


def search(name):
    functions = Pool.of(load_grammar("aquasurf").space(name))
    return functions, MemberSearch(functions)


# What is affine is no member of a space that is listed, and in a larger one as good as any other function.
FOUND = [
    (space, text) for space in ("bench", "large") for text in BASELINES if (space, text) != ("bench", "identity(x)")
]


@pytest.mark.parametrize(("space", "text"), FOUND)
def test_a_baseline_is_found_as_the_space_writes_it(space, text):
    functions, find = search(space)
    found = find(parse(text))
    assert found is not None
    assert found in functions.space
    assert functions.index.add(found) == functions.index.add(parse(text))
    assert find(parse(text)) is found


@pytest.mark.parametrize("space", ["bench", "large"])
def test_what_is_in_the_space_stays_as_it_is(space):
    functions, find = search(space)
    member = functions.space.sample(np.random.default_rng(0))
    assert find(member) is member


@pytest.mark.parametrize("space", ["bench", "large"])
def test_a_function_that_no_expression_of_the_space_is_has_no_member(space):
    _, find = search(space)
    assert find(parse("sin(37*x) + 0.123*x")) is None


def test_the_baselines_are_formulas_of_their_own():
    assert len({str(parse(text)) for text in BASELINES}) == len(BASELINES)
    assert {"relu(x)", "elu(x)", "selu(x)", "sigmoid(x)", "softplus(x)", "softsign(x)", "swish(x)", "tanh(x)"} < set(
        BASELINES
    )
