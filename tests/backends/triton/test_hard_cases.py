"""Functions and patterns whose naive evaluation overflows or cancels, in Triton's interpreter, beside the truth."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton", reason="triton is not installed: GPU kernels are NOT tested")
from symact.activation.float32_range import ORDINARY
from symact.activation.plan import unseen_forms
from symact.backends.triton.kernel import TritonKernel
from symact.expr.tree import parse
from symact.program.pipeline import lower
from tests.activation.test_hard_cases import differing, exact, shard

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")


@pytest.mark.slow
def test_kernels_are_right_where_ordinary_tensors_are() -> None:
    wrong = []
    for expression in shard(8):
        forms = unseen_forms(lower(parse(expression)))
        if forms is None:
            continue  # In float64, by the kernel of that.
        rows = [row for row in exact(expression) if abs(row[0]) <= ORDINARY]
        x = torch.tensor([row[0] for row in rows], dtype=torch.float32)
        kernel = TritonKernel(*forms)
        values, (slopes,) = kernel.forward(x, ()), kernel.backward(torch.ones_like(x), x, ())
        wrong += differing(expression, rows, values, slopes)
    assert not wrong, "\n".join(wrong)
