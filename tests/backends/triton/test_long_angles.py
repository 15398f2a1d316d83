"""Sines of polynomials in Triton's interpreter: three words hold their angles there, too."""

from __future__ import annotations

import pytest
import torch

from symact.activation.plan import unseen_forms
from symact.expr.tree import parse
from symact.program.pipeline import lower
from tests.program.test_long_angles import check, variants

pytest.importorskip("triton", reason="triton is not installed: GPU kernels are NOT tested")
from symact.backends.triton import kernel as triton_code

# NumPy warns about infinities and NaN in the interpreter.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")


@pytest.mark.parametrize(
    ("text", "largest"),
    [
        ("sin(x*x*x - 3*x)", 3e4),
        *(pytest.param(*variant, marks=pytest.mark.slow) for variant in variants(6, 1)),
    ],
)
def test_values_and_slopes_of_sines_of_polynomials(text: str, largest: float) -> None:
    forms = unseen_forms(lower(parse(text)))
    assert forms is not None
    kernel = triton_code.TritonKernel(*forms)
    check(text, largest, lambda x: kernel.forward(x, ()), lambda x: kernel.backward(torch.ones_like(x), x, ())[0])


def test_a_sine_stays_bounded_where_its_angle_has_no_digits() -> None:
    x = torch.logspace(5, 30, 100)
    for text in ("sin(30*x)", "sin(1.7*x)", "cos(x*x)"):
        forms = unseen_forms(lower(parse(text)))
        assert forms is not None
        values = triton_code.TritonKernel(*forms).forward(x, ())
        assert values[values.isfinite()].abs().max() <= 1.5
