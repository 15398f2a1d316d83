"""Second moments of inputs and gradients: patches written out, and autocorrelations, give the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from symact.tasks import kronecker_factors
from symact.tasks.kronecker_factors import LayerRecord, ShiftedMoment, gradient_factor, input_factor


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, stride=2, padding=1),
        nn.Conv2d(4, 6, 3, padding="same", dilation=2, bias=False),
        nn.Conv2d(4, 6, (1, 3), groups=2),
        nn.Conv2d(4, 6, 1, stride=2),
        nn.Conv2d(4, 4, 3, groups=4, padding=1),
        nn.Conv2d(4, 8, 1, groups=2),
    ],
)
def test_input_factor_of_a_convolution_reproduces_its_output(layer: nn.Conv2d) -> None:
    """w^T A w, averaged over groups, is the mean over examples of the sum over positions of the squared output."""
    torch.manual_seed(0)
    x = torch.randn(5, 4, 7, 7)
    # The same filter in every group, so that the average over groups is what one filter sees.
    one = torch.randn_like(layer.weight[:1])
    bias = torch.randn(1) if layer.bias is not None else None
    with torch.no_grad():
        layer.weight.copy_(one.expand_as(layer.weight))
        if bias is not None:
            layer.bias.copy_(bias.expand_as(layer.bias))
    record = LayerRecord("", layer, [x], [])
    vector = one.flatten() if bias is None else torch.cat([one.flatten(), bias])
    per_group = layer(x)[:, :: layer.out_channels // layer.groups]
    expected = per_group.double().square().sum() / (5 * layer.groups)
    vector = vector.double()
    torch.testing.assert_close(vector @ input_factor(record).double() @ vector, expected, rtol=1e-5, atol=1e-6)


def explicit(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """A from torch's own patches, one column of ones at the end."""
    patches = functional.unfold(x.double(), layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    patches = patches.unflatten(1, (layer.groups, -1)).permute(0, 3, 1, 2).flatten(0, 2)
    rows = torch.cat([patches, torch.ones(len(patches), 1)], 1) if layer.bias is not None else patches
    return rows.t() @ rows / (len(x) * layer.groups)


LAYERS = [
    nn.Conv2d(4, 2, 3, padding=1),
    nn.Conv2d(4, 2, 3),
    nn.Conv2d(4, 2, 3, padding=2, dilation=2),
    nn.Conv2d(4, 2, 5, padding=1, bias=False),
    nn.Conv2d(4, 2, (3, 5), padding=(1, 0)),
    nn.Conv2d(4, 2, 3, padding=3),
    nn.Conv2d(4, 2, (1, 4), padding=(0, 2)),
    nn.Conv2d(4, 2, 8),
]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("shape", [(3, 4, 9, 11), (2, 4, 12, 8)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_autocorrelations_give_the_second_moment_of_the_patches(
    layer: nn.Conv2d, shape: tuple[int, ...], layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    x = (torch.randn(shape) + 0.3).to(memory_format=layout)
    # Pieces of one image.
    monkeypatch.setattr(kronecker_factors, "PIECE", 1)
    shifted = ShiftedMoment(layer)
    shifted.add(x)
    expected = explicit(layer, x)
    found = shifted.total(layer.bias is not None).double() / len(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize(
    "layer",
    [
        *LAYERS,
        nn.Conv2d(4, 2, 3, stride=2, padding=1),
        nn.Conv2d(4, 4, (2, 5), stride=(2, 3), padding=(1, 2), groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2, bias=False),
        nn.Conv2d(4, 4, 1, stride=2),
    ],
)
@pytest.mark.parametrize("piece", [1, kronecker_factors.PATCHES])
def test_patches_written_out_give_torchs_patches(layer: nn.Conv2d, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(kronecker_factors, "PATCHES", piece)
    x = torch.randn(5, 4, 9, 10)
    torch.testing.assert_close(input_factor(LayerRecord("", layer, [x])), explicit(layer, x))


def test_a_wide_layer_takes_autocorrelations_and_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, x = nn.Conv2d(64, 3, 3, padding=1), torch.randn(2, 64, 10, 10).relu()
    made = []
    monkeypatch.setattr(
        kronecker_factors, "ShiftedMoment", lambda module: made.append(ShiftedMoment(module)) or made[-1]
    )
    expected = explicit(layer, x)
    factor = input_factor(LayerRecord("", layer, [x, x]))
    assert len(made) == 1
    torch.testing.assert_close(factor.double(), expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max()))
    input_factor(LayerRecord("", nn.Conv2d(64, 3, 3, stride=2), [x]))
    input_factor(LayerRecord("", nn.Conv2d(64, 3, 3), [x[..., :4, :4]]))
    assert len(made) == 1


def test_gradient_factor_is_the_mean_over_examples_and_positions() -> None:
    torch.manual_seed(0)
    gradient = torch.randn(3, 5, 4, 6)
    rows = gradient.permute(0, 2, 3, 1).reshape(-1, 5).double()
    for layout in (torch.contiguous_format, torch.channels_last):
        found = gradient_factor(LayerRecord("", nn.Conv2d(2, 5, 3)), [gradient.to(memory_format=layout)])
        torch.testing.assert_close(found, rows.t() @ rows / len(rows))
