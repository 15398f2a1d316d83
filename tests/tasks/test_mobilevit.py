"""MobileViTv2-0.5 is timm's: as many parameters, and the same scores with the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from symact.tasks.mobilevit import mobilevit_v2
from tests.tasks.test_networks import sites


@pytest.mark.parametrize("size", [64, 96])
def test_it_computes_what_timm_computes(size: int) -> None:
    timm = pytest.importorskip("timm")
    theirs = timm.create_model("mobilevitv2_050", pretrained=False).eval()
    made = []

    def make() -> nn.Module:
        """SiLU, except for the attentions' rectifiers, which follow a projection to score, keys and values."""
        made.append(nn.SiLU())
        return made[-1]

    ours = mobilevit_v2(make).eval()
    for module in ours.modules():
        if hasattr(module, "project"):
            module.act = nn.ReLU()
    tensors = list(theirs.state_dict().values())
    own = ours.state_dict()
    assert [tensor.shape for tensor in own.values()] == [tensor.shape for tensor in tensors]
    ours.load_state_dict(dict(zip(own, tensors, strict=True)))
    assert sum(parameter.numel() for parameter in ours.parameters()) == 1_370_593
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_its_34_sites_are_reached_in_order() -> None:
    _, count = sites(lambda make: mobilevit_v2(make, 10), torch.randn(2, 3, 64, 64))
    assert count == 34
