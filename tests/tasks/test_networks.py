"""Networks: their sites in order, their sizes, and a step of the large ones on made-up images."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from symact.errors import InputError
from symact.tasks import TASKS, networks
from symact.tasks.data import Dataset, Split


class Site(nn.Module):
    """Counts its calls and remembers in which order sites were first reached."""

    reached: list[int] = []

    def __init__(self, number: int):
        super().__init__()
        self.number = number

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Site.reached.append(self.number)
        return torch.relu(x)


def sites(build: Callable[[Callable[[], nn.Module]], nn.Module], x: torch.Tensor) -> tuple[nn.Module, int]:
    """The network and its number of sites; the sites must be reached in the order they were made."""
    made: list[Site] = []

    def make() -> Site:
        made.append(Site(len(made)))
        return made[-1]

    model = build(make)
    Site.reached = []
    model.eval()
    with torch.no_grad():
        model(x)
    assert list(dict.fromkeys(Site.reached)) == list(range(len(made)))
    return model, len(made)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_mlp_has_any_depth_and_width() -> None:
    model, count = sites(lambda make: networks.mlp(make, 10, [7, 5, 3], 2), torch.randn(4, 10))
    assert count == 3
    assert [tuple(m.weight.shape) for m in model if isinstance(m, nn.Linear)] == [(7, 10), (5, 7), (3, 5), (2, 3)]
    assert all(not m.bias.any() for m in model if isinstance(m, nn.Linear))
    bound = (6 / 17) ** 0.5
    assert model[0].weight.abs().max() <= bound


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32)])
def test_cnn_fits_both_image_sizes(channels: int, size: int) -> None:
    _, count = sites(lambda make: networks.cnn(make, channels, size, 10), torch.randn(2, channels, size, size))
    assert count == 3


def test_all_cnn_c_is_that_of_the_paper() -> None:
    model, count = sites(networks.all_cnn_c, torch.randn(2, 3, 32, 32))
    assert count == 9
    # 1.37 million weights (Springenberg et al. 2015, Table 4 counts about 1.4 million).
    assert parameters(model) == 1_369_738


@pytest.mark.parametrize(("depth", "weights"), [(20, 269_722), (56, 853_018)])
def test_resnets_have_the_sizes_of_the_paper(depth: int, weights: int) -> None:
    model, count = sites(lambda make: networks.resnet_cifar(make, depth), torch.randn(2, 3, 32, 32))
    assert count == depth - 1
    assert parameters(model) == weights
    with pytest.raises(InputError, match="6n"):
        networks.resnet_cifar(nn.ReLU, depth + 1)


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (lambda make: networks.resnet50(make, 10), 64),
        (lambda make: networks.zoo("mobilevitv2_050", make), 64),
        pytest.param(lambda make: networks.zoo("coatnet_nano_rw_224", make, size=64), 64, marks=pytest.mark.slow),
    ],
)
def test_networks_of_others_get_the_activation_everywhere(build: Callable[..., nn.Module], size: int) -> None:
    pytest.importorskip("timm")
    made: list[nn.Module] = []

    def make() -> nn.Module:
        made.append(Site(len(made)))
        return made[-1]

    model = build(make)
    assert len(made) > 10
    assert not any(isinstance(module, networks.REPLACED) for module in model.modules())
    Site.reached = []
    model.eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, size, size)).shape == (1, 10)
    assert set(Site.reached) == set(range(len(made)))


def test_an_unknown_network_of_the_zoo_is_refused() -> None:
    pytest.importorskip("timm")
    with pytest.raises(InputError, match="no network"):
        networks.zoo("resnet_from_nowhere", nn.ReLU)


@pytest.mark.parametrize("name", [name for name in TASKS if name.startswith("cifar") and "56" not in name])
def test_the_cifar_tasks_train_on_made_up_images(name: str) -> None:
    generator = torch.Generator().manual_seed(0)

    def split() -> Split:
        y = torch.arange(16) % 10
        return Split(torch.randn(16, 3, 32, 32, generator=generator), y)

    task = TASKS[name]()
    task.__dict__["dataset"] = Dataset("made up", 10, split(), split(), split())
    outcome = task.evaluate(nn.ReLU, 0, 0.02)
    assert 0 <= outcome.score <= 1
    assert task.build(nn.ReLU, 0)[0] is not None
    layers = {"cifar10-fast": 8, "cifar10-allcnnc": 9, "cifar100-allcnnc": 9}
    assert len(task.features(nn.ReLU)["fisher_weights"]) == layers.get(name, 20)
