"""PyTorch's samples of its activations and elementary functions, in all dtypes, to second order."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from tests.others import opinfo

pytest.importorskip("expecttest", reason="PyTorch's OpInfo needs the package expecttest")
with pytest.MonkeyPatch.context() as patch:
    # It would forbid this whole process to set flags of PyTorch's back ends, which other tests do.
    patch.setattr(torch.backends, "disable_global_flags", lambda: None)
    invocations = pytest.importorskip("torch.testing._internal.common_methods_invocations")
    from torch.testing._internal import common_utils
    from torch.testing._internal.opinfo import core

OPERATORS = [operator for operator in invocations.op_db if operator.name in opinfo.FORMULAS]


def test_every_operator_is_one_of_pytorchs() -> None:
    assert {operator.name for operator in OPERATORS} == set(opinfo.FORMULAS)


@pytest.fixture
def samples_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's samples without what takes three quarters of their time: a walk of the stack to find a `TestCase` of
    PyTorch, which there is none of, and the seeding of devices.
    """
    monkeypatch.setattr(common_utils, "extract_test_fn", lambda: None)
    monkeypatch.setattr(core, "extract_test_fn", lambda: None)
    monkeypatch.setattr(torch, "manual_seed", torch.default_generator.manual_seed)


@pytest.mark.slow
@pytest.mark.usefixtures("samples_alone")
@pytest.mark.parametrize("dtype", opinfo.DTYPES, ids=str)
def test_samples_are_as_promised(dtype: object) -> None:
    samples, outside = 0, Counter[tuple[str, str]]()
    for operator in OPERATORS:
        if dtype in operator.dtypes:
            count = opinfo.measure(operator, dtype)
            samples += count.samples
            for order, failing in count.failing.items():
                outside[order, operator.name] += len(failing)
    assert samples > 1800
    assert not +outside
