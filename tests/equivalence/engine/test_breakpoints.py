"""Functions that differ only where no point of comparison is are told apart in tables too."""

from __future__ import annotations

import itertools

import pytest

from symact.equivalence import enumerate_classes
from symact.program.loading import parse_grammar


def _classes(unary: dict[str, str], more: str = "", shape: str = '["binary(unary(x), unary(x))"]') -> dict[str, int]:
    lines = "\n".join(f'{name} = "{formula}"' for name, formula in unary.items())
    text = f'name = "narrow"\n{more}\n[unary]\n{lines}\n[binary]\nmax = "max(a, b)"\nmin = "min(a, b)"\n'
    table = enumerate_classes(parse_grammar(f"{text}[spaces]\nall = {shape}\n[identity]\ninterval = [-5, 5]\n"), "all")
    return dict(zip(table["expression"].to_pylist(), table["class_id"].to_pylist(), strict=True))


@pytest.mark.parametrize("width", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("center", [-3.3, 0.71234, 2.99])
def test_a_function_that_passes_x_in_a_narrow_interval_is_not_merged_with_it(center, width):
    bump = f"x + {width**2!r} - (x - {center!r})**2" if center > 0 else f"x + {width**2!r} - (x + {-center!r})**2"
    known = _classes({"id": "x", "bump": bump})
    assert known["max(id(x),bump(x))"] != known["max(id(x),id(x))"]
    assert known["min(id(x),bump(x))"] != known["min(bump(x),bump(x))"]
    assert known["max(id(x),bump(x))"] == known["max(bump(x),id(x))"]


def test_two_kinks_close_together_are_not_one():
    known = _classes({"id": "x", "first": "max(x, 1.2345)", "second": "max(x, 1.2346)"}, shape='["unary(x)"]')
    assert known["first(x)"] != known["second(x)"]


def test_narrow_cells_between_three_functions():
    unary = 'i0e = "i0e(x)"\nhard = "hard_sigmoid(x)"\nselu = "selu(x)"'
    text = f'name = "n"\n[unary]\n{unary}\n[binary]\nmax = "max(a, b)"\n[nary]\nmax_n = "max"\n'
    shape = '["nary(unary(x), unary(x), unary(x))"]'
    table = enumerate_classes(parse_grammar(f"{text}[spaces]\nall = {shape}\n[identity]\ninterval = [-5, 5]\n"))
    known = dict(zip(table["expression"].to_pylist(), table["class_id"].to_pylist(), strict=True))
    # hard_sigmoid is the largest on (0.5676, 0.5876) alone.
    assert known["max_n(i0e(x),hard(x),selu(x))"] != known["max_n(i0e(x),i0e(x),selu(x))"]
    orders = itertools.permutations(["i0e(x)", "hard(x)", "selu(x)"])
    assert len({known[f"max_n({','.join(order)})"] for order in orders}) == 1


def test_cells_are_looked_for_where_parameters_stand_still():
    known = _classes(
        {"scaled": "beta*x", "bump": "beta*x + 1e-6 - (x - 0.71234)**2"},
        more="[parameters]\nbeta = { init = 1.0 }",
    )
    assert known["max(scaled(x),bump(x))"] != known["max(scaled(x),scaled(x))"]
    assert known["max(scaled(x),bump(x))"] == known["max(bump(x),scaled(x))"]
