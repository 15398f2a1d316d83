"""Certificates: every 16-bit input is measured, what is wrong is found, and the page fits its columns."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from symact.backends.triton.kernel import available
from symact.certify import exhaustive
from symact.certify.backends import INTERPRETED
from symact.certify.certificate import certify
from symact.certify.exhaustive import every_input
from symact.certify.formats import FORMATS
from symact.certify.page import WIDTH, page
from symact.certify.reference import Reference
from symact.errors import InputError
from symact.expr.tree import parse


@pytest.fixture(scope="module")
def swish() -> dict[str, Any]:
    return certify(parse("x*sigmoid(x)")).document


def test_all_inputs_of_both_types_are_measured(swish: dict[str, Any]) -> None:
    assert {name: found["inputs"] for name, found in swish["dtypes"].items()} == {"bfloat16": 65536, "float16": 65536}
    for found in swish["dtypes"].values():
        assert found["values"]["counted"] == found["slopes"]["counted"] == found["finite"]
        assert 0.49 < found["worst_value_ulp"] <= 0.51
        assert 0.49 < found["worst_slope_ulp"] <= 0.51
        assert found["within"]
        assert found["order_kept"]["reversed"] == 0
        assert found["same_bits_again"]
        assert found["at_infinities"]["inf"]["value"] == "inf"


def test_a_wrong_bit_at_one_input_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = exhaustive.outputs

    def wrong(expr: Any, x: torch.Tensor, name: str, device: str = "cpu") -> tuple[Any, Any]:
        values, slopes = right(expr, x, name, device)
        place = int(np.flatnonzero(x.double().numpy() == 1.5)[0])
        values = values.copy()
        values[place] += 2.0**-9
        return values, slopes

    monkeypatch.setattr(exhaustive, "outputs", wrong)
    expr = parse("tanh(x)")
    found = every_input(expr, Reference(expr), FORMATS["float16"])
    assert found["values"]["beyond_at"] == [1.5]
    assert found["values"]["at"] == found["at"] == 1.5
    assert found["worst_value_ulp"] == pytest.approx(4.0, abs=0.51)
    assert not found["within"]


def test_undefined_inputs_and_kinks_are_counted_apart() -> None:
    expr = parse("log(relu(x))")
    found = every_input(expr, Reference(expr), FORMATS["bfloat16"])
    negative = 65280 // 2
    assert found["undefined"] == negative + 1
    assert sum(found["at_undefined_inputs"].values()) == negative + 1
    expr = parse("abs(x)")
    found = every_input(expr, Reference(expr), FORMATS["bfloat16"])
    assert found["without_derivative"] == 2
    assert found["truth"]["no_derivative"]["first"] == [[0.0, 0.0]]


@pytest.mark.parametrize("text", ["sqrt(x)*where(x > 1, 2 - 1/x, where(x < -1, -2 - 1/x, x))", "sin(x)"])
def test_a_page_fits_eighty_columns_and_the_document_is_json(text: str) -> None:
    document = certify(parse(text), types=("float16",)).document
    lines = page(document).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert 15 < len(lines) < 70
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_slopes_of_softsign_keep_their_digits_far_out() -> None:
    expr = parse("softsign(x)")
    for kind in ("bfloat16", "float16"):
        found = every_input(expr, Reference(expr), FORMATS[kind])
        for each in (found, found["other_backends"]["torch"]):
            assert each["within"], (kind, each["slopes"])


@pytest.mark.skipif(not available(), reason="Triton is not installed")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_kernels_of_triton_are_certified_in_its_interpreter(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    expr = parse("hardtanh(x)*x")
    found = every_input(expr, Reference(expr), FORMATS[kind])
    assert found["backend"] == "cpu"
    assert set(found["other_backends"]) == {"torch", INTERPRETED}
    assert found["other_backends"][INTERPRETED]["within"]


def test_a_device_or_a_type_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for options in ({"device": "cuda"}, {"device": "tpu"}, {"types": ("float8",)}):
        with pytest.raises(InputError):
            certify(parse("tanh(x)"), **options)
