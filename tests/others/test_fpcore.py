"""FPBench's and Herbie's expressions: compiled functions are as promised, but for the ones that are listed."""

from __future__ import annotations

import pytest
import torch

from tests.others.fpcore import Case, cases, measure, run

# What is known to be outside: how a formula begins -> how many values may be, in float32 and in float64.
KNOWN_OF_ONE = {
    "((((((1 + (0.1049934947*(x*x)))": (4, 4),  # products of 1e30 to the twelfth
    "where((((abs((x - sqrt(((x*x) + 1)))": (4, 4),  # a sum of 0 and 1e-300 that nobody can tell from 0
    "acos(((1 - (5*(x*x)))/((x*x) - 1)))": (1, 40),  # an arc cosine close to its end
    "(x + 1.0) - (((min(x, 0.0))**(2.0))": (0, 40),  # squares of 1e200
}
SHARE_OF_TWO = 0.005


def test_the_list_has_the_expressions_of_both_suites() -> None:
    assert (len(cases(1)), len(cases(2))) == (148, 212)
    assert {case.suite for case in cases(1)} == {"FPBench", "Herbie"}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_values_of_one_variable_are_as_promised(dtype: torch.dtype) -> None:
    total = 0
    for case, count in run(1, dtype):
        total += count.values
        known = [allowed for begin, allowed in KNOWN_OF_ONE.items() if case.formula.startswith(begin)]
        most = known[0][dtype == torch.float64] if known else 0
        assert len(count.wrong_values) <= most, f"{case.formula}: {count.wrong_values[:3]}"
    assert total > 36_000


@pytest.mark.slow
def test_values_of_two_variables_are_as_promised_but_for_a_small_share() -> None:
    counts = [count for _, count in run(2, torch.float32)]
    values = sum(count.values for count in counts)
    assert values > 50_000
    assert sum(len(count.wrong_values) for count in counts) <= SHARE_OF_TWO * values


def test_a_wrong_value_is_counted() -> None:
    right = Case("FPBench", "", "exp(x)", ((0.0, 1.0),))
    count = measure(right, torch.float32)
    assert count.values == count.slopes == len(right.inputs(torch.float32)[0])
    assert not count.wrong_values
    cancelled = Case("FPBench", "", "(1 + 1e-40*x) - 1", ((0.0, 1.0),))
    assert not measure(cancelled, torch.float32).wrong_values
