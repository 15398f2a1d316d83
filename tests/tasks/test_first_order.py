"""Update rules step as torch.optim does, on one flat buffer that the model still owns."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from symact.tasks.first_order import UPDATE_RULES, FlatParameters, clipped

TORCH_OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.9),
}


@dataclass
class Config:
    momentum: float = 0.9
    weight_decay: float = 0.1


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 9), nn.LayerNorm(9), nn.PReLU(9), nn.Linear(9, 2))


def weights_alone(model: nn.Module) -> list[dict[str, object]]:
    """Groups of parameters for torch, of which biases and those of normalization and activation do not decay."""
    layers = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)]
    others = [p for p in model.parameters() if all(p is not weight for weight in layers)]
    return [{"params": layers, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]


@pytest.mark.parametrize("name", list(UPDATE_RULES))
def test_a_rule_steps_as_torch_optim_does_with_decay_of_weights_alone(name: str) -> None:
    ours, theirs = network(), network()
    flat = FlatParameters(list(ours.parameters()))
    update = UPDATE_RULES[name](flat, Config())
    optimizer = TORCH_OPTIMIZERS[name](weights_alone(theirs))
    x = torch.randn(70, 6, generator=torch.Generator().manual_seed(3))
    y = (x[:, 0] > 0).long()
    for _ in range(12):
        update(flat.gradient(nn.functional.cross_entropy(ours(x), y)), 0.01)
        optimizer.zero_grad()
        nn.functional.cross_entropy(theirs(x), y).backward()
        optimizer.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_every_rule_of_torch_that_is_offered_is_compared() -> None:
    assert set(UPDATE_RULES) == set(TORCH_OPTIMIZERS)


def test_parameters_are_views_of_the_buffer_each_once() -> None:
    model = network()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    model[0].bias.requires_grad_(False)
    flat = FlatParameters([*model.parameters(), *model.parameters()])
    assert len(flat.parameters) == 6
    assert len(flat.buffer) == sum(parameter.numel() for parameter in flat.parameters)
    for parameter, kept in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, kept)
    flat.buffer.zero_()
    assert not model[3].weight.any()
    assert model[0].bias.any(), "it needs no gradient, so it is not in the buffer"


def test_a_loss_that_does_not_reach_a_parameter_gives_it_no_gradient() -> None:
    model = network()
    flat = FlatParameters(list(model.parameters()))
    gradient = flat.gradient(model[0].weight.sum())
    assert gradient[: model[0].weight.numel()].eq(1).all()
    assert not gradient[model[0].weight.numel() :].any()


def test_a_gradient_is_clipped_by_its_norm_as_torch_clips_it() -> None:
    model = network()
    flat = FlatParameters(list(model.parameters()))
    gradient = flat.gradient(model(torch.ones(3, 6)).square().sum())
    model(torch.ones(3, 6)).square().sum().backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    assert norm > 0.5
    found = clipped(gradient, 0.5)
    torch.testing.assert_close(found, torch.cat([p.grad.reshape(-1) for p in model.parameters()]))
    assert torch.equal(clipped(found, 0.6), found)
    assert clipped(gradient, 0.0) is gradient


def test_no_parameter_at_all_is_an_empty_buffer() -> None:
    assert FlatParameters([]).buffer.shape == (0,)
