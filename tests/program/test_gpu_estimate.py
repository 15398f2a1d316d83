"""The table of what operations cost on a GPU: whole, and near what compiled kernels take."""

from __future__ import annotations

import pytest

from symact.expr.operators import NO_GRAMMAR
from symact.expr.tree import parse
from symact.program.gpu_estimate import TENSOR, estimated
from symact.program.gradient import backward
from symact.program.instructions import INSTRUCTIONS
from symact.program.pipeline import lower
from symact.program.program import Operation, Program

PTX = {name: row.ptx for name, row in INSTRUCTIONS.items()}


def test_what_every_instruction_takes_is_known() -> None:
    assert {name for name, counted in PTX.items() if counted <= 0} == {"const"}


def test_what_the_compiler_makes_of_constants_and_fused_products_is_free() -> None:
    constant = Program(("x",), (Operation("const", (), 2.0), Operation("exp", (1,)), Operation("mul", (0, 2))), (3,))
    assert estimated(constant) == pytest.approx(2 * TENSOR + PTX["mul"])
    fused = Program(("x",), (Operation("mul", (0, 0)), Operation("add", (0, 1))), (2,))
    assert estimated(fused) == pytest.approx(2 * TENSOR + PTX["add"])
    used_twice = Program(("x",), (Operation("mul", (0, 0)), Operation("add", (1, 1))), (2,))
    assert estimated(used_twice) == pytest.approx(2 * TENSOR + PTX["add"] + PTX["mul"])


ORDINARY = ["x*sigmoid(x)", "gelu(x)", "x*tanh(softplus(x))", "x*erfc(elu(x))"]
ANGLES_OF_SEVERAL_WORDS = ["sin(30*x)", "sin(10*(abs(x) + 1)*x)", "sin(x**3 - 3*x)", "cos(x**2 + x)"]


@pytest.mark.parametrize("text", ORDINARY + ANGLES_OF_SEVERAL_WORDS)
def test_a_sum_is_near_what_is_counted_in_the_kernels(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="triton is not installed: the estimate is NOT compared")
    from symact.activation.gpu_cost import gpu_cost

    monkeypatch.setenv("TRITON_INTERPRET", "0")
    program = lower(parse(text, NO_GRAMMAR))
    found = gpu_cost(program)
    assert estimated(program) == pytest.approx(found["forward"].instructions, rel=0.25)
    assert estimated(backward(program)) == pytest.approx(found["backward"].instructions, rel=0.25)
