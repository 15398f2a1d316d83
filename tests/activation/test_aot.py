"""Networks with activations, compiled ahead of time by AOTInductor into a package that needs no symact."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from symact.activation.module import Activation


@pytest.mark.slow
def test_an_exported_network_is_packaged_and_gives_the_same(tmp_path: Path) -> None:
    # One function that float32 carries everywhere, and one that takes float64 far from zero.
    texts = ("x*tanh(softplus(x))", "x**3/(1 + x**2)")
    net = nn.Sequential(nn.Linear(3, 4), Activation(texts[0]), Activation(texts[1]), nn.Linear(4, 1)).eval()
    x, other = torch.randn(5, 3), torch.randn(7, 3)
    with torch.no_grad():
        rows = torch.export.Dim("rows", min=2, max=64)
        exported = torch.export.export(net, (x,), dynamic_shapes=({0: rows},))
        package = torch._inductor.aoti_compile_and_package(exported, package_path=str(tmp_path / "network.pt2"))
        assert package is not None
        loaded = torch._inductor.aoti_load_package(package)
        for batch in (x, other):
            assert torch.allclose(loaded(batch), net(batch), rtol=1e-5, atol=1e-6)
