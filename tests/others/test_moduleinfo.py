"""PyTorch's inputs of its activation modules, forward and backward, in all dtypes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.others import moduleinfo, opinfo

pytest.importorskip("expecttest", reason="PyTorch's ModuleInfo needs the package expecttest")
with pytest.MonkeyPatch.context() as patch:
    # It would forbid this whole process to set flags of PyTorch's back ends, which other tests do.
    patch.setattr(torch.backends, "disable_global_flags", lambda: None)
    modules = pytest.importorskip("torch.testing._internal.common_modules")
INFOS = [info for info in modules.module_db if info.module_cls in {*moduleinfo.MODULES, nn.PReLU}]


def test_every_module_is_one_of_pytorchs() -> None:
    known = {info.module_cls for info in INFOS}
    # The info of these two is not in every version of PyTorch.
    assert {*moduleinfo.MODULES, nn.PReLU} - known <= {nn.SELU, nn.Hardsigmoid}


@pytest.mark.parametrize("dtype", opinfo.DTYPES, ids=str)
def test_passes_are_as_promised(dtype: torch.dtype) -> None:
    counts = [moduleinfo.measure(info, dtype, training) for info in INFOS for training in (True, False)]
    assert sum(count.passes for count in counts) > 100
    assert not [failure for count in counts for failure in count.failing]
