"""The cost of a function on a GPU: what is counted in its PTX, and which peak of a GPU binds it."""

from __future__ import annotations

import json

import pytest
import torch

pytest.importorskip("triton", reason="triton is not installed: the cost on a GPU is NOT tested")
from symact.activation.gpu_cost import GPUS, PassCost, described, gpu_cost, shown
from symact.errors import InputError
from symact.expr.operators import NO_GRAMMAR
from symact.expr.tree import parse
from symact.program.pipeline import lower


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "0")


def test_a_product_with_a_sigmoid_takes_two_special_functions_and_moves_two_tensors() -> None:
    found = gpu_cost(lower(parse("x*sigmoid(x)", NO_GRAMMAR)))
    # 2**u and a reciprocal; the slope has them for x and for -x.
    assert (found["forward"].special, found["backward"].special) == (2.0, 4.0)
    assert (found["forward"].bytes, found["backward"].bytes) == (8, 12)
    assert found["forward"].instructions <= 20
    assert found["backward"].instructions <= 30
    assert found["forward"].bound(GPUS["H200"]) == "memory"


def test_a_sine_is_counted_by_its_ordinary_way_and_not_by_that_of_huge_angles() -> None:
    found = gpu_cost(lower(parse("sin(x)", NO_GRAMMAR)))["forward"]
    assert 15 < found.instructions < 50


def test_what_computes_much_is_bound_by_it_and_half_the_bytes_take_half_the_time() -> None:
    program = lower(parse("log_ndtr(x)*erfcx(x)**2.5", NO_GRAMMAR))
    single, half = (gpu_cost(program, dtype)["forward"] for dtype in (torch.float32, torch.bfloat16))
    assert single.bound(GPUS["H200"]) == single.bound(GPUS["A100"]) == "compute"
    assert half.bytes * 2 == single.bytes
    times = PassCost(10.0, 40.0, 10.0, 8, "float32").picoseconds(GPUS["A100"])
    assert max(times, key=times.__getitem__) == "special-function units"


def test_the_document_is_json_and_the_text_says_the_same_with_its_sources() -> None:
    program = lower(parse("x*sigmoid(x)", NO_GRAMMAR))
    document, text = described(program), shown(program)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    for direction in ("forward", "backward"):
        assert str(document["float32"][direction]["instructions"]) in text
        assert document["float32"][direction]["gpus"]["H200"]["bound"] == "memory"
    assert all(source in text and "data sheet" in source for source in document["sources"].values())


def test_where_kernels_are_interpreted_nothing_can_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(InputError, match="unset TRITON_INTERPRET"):
        gpu_cost(lower(parse("x*tanh(x)", NO_GRAMMAR)))
