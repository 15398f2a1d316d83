"""Random changes of images: each against what it says, all drawn before by the generator alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from symact.errors import InputError
from symact.tasks import TASKS
from symact.tasks.augment import OPERATIONS, MixedLabels, cropped, mixed, randaugment
from symact.tasks.batches import batches
from symact.tasks.config import TrainConfig
from symact.tasks.data import Split
from symact.tasks.mlp_step import mean_loss
from symact.tasks.train import Phase, Turn, train

PIXELS = torch.tensor([120.0, 110.0, 100.0]), torch.tensor([60.0, 62.0, 64.0])
EVERYTHING = TrainConfig(batch=16, augment=True, crop=0.3, randaugment=2, mixup=0.2)


def images(count: int = 40, size: int = 8, colours: int = 256) -> Split:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randint(0, colours, (count, 3, size, size), generator=generator).float()
    mean, deviation = (part.view(3, 1, 1) for part in PIXELS)
    return Split((raw - mean) / deviation, torch.arange(count) % 2, PIXELS)


def stream(config: TrainConfig, seed: int) -> list[tuple[torch.Tensor, MixedLabels]]:
    return [(x, y) for x, y, _ in batches(images(), config, 3, torch.Generator().manual_seed(seed))]  # type: ignore[misc]


def test_the_changes_are_those_of_the_seed_and_nothing_else() -> None:
    torch.manual_seed(5)
    first, other, state = stream(EVERYTHING, 1), stream(EVERYTHING, 2), torch.get_rng_state()
    torch.manual_seed(6)
    for (x, y), (x2, y2), (x3, _) in zip(first, stream(EVERYTHING, 1), other, strict=True):
        assert torch.equal(x, x2)
        assert all(torch.equal(a, b) for a, b in zip(y, y2, strict=True))
        assert not torch.equal(x, x3)
    torch.manual_seed(5)
    assert torch.equal(state, torch.get_rng_state())


def test_a_crop_is_the_part_that_its_box_says_and_flips() -> None:
    x = torch.arange(64.0).view(1, 1, 8, 8).expand(2, 1, 8, 8)
    box = torch.tensor([[0.25, 1.0, 0.0, 1.0]]).expand(2, 4)  # half of each side, at the left, at the bottom
    plain, flipped = cropped(x, box, torch.tensor([False, True]))
    expected = functional.interpolate(x[:1, :, 4:, :4], size=(8, 8), mode="bilinear")[0]
    torch.testing.assert_close(plain[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1])  # beyond its border lies the image
    torch.testing.assert_close(flipped, plain.flip(2))
    whole = cropped(x, torch.tensor([[1.0, 4 / 3, 0.3, 0.5]]).expand(2, 4), torch.tensor([False, False]))
    assert whole.shape == x.shape


@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_an_operation_changes_each_image_as_it_would_alone(number: int) -> None:
    x = images(4, 24, 250).x
    sign = torch.tensor([[1], [-1], [1], [-1]])
    chosen = torch.full((4, 1), number)
    together = randaugment(x, chosen, sign, 15.0, PIXELS)
    alone = [randaugment(x[i : i + 1], chosen[:1], sign[i : i + 1], 15.0, PIXELS) for i in range(4)]
    assert torch.equal(together, torch.cat(alone))
    assert torch.allclose(together, x, atol=1e-5) == (list(OPERATIONS)[number] == "identity")
    if list(OPERATIONS)[number] not in ("identity", "autocontrast", "equalize"):
        assert torch.allclose(randaugment(x, chosen, sign, 0.0, PIXELS), x, atol=0.02)


def test_mixed_inputs_have_the_loss_of_both_labels() -> None:
    x, y, share = torch.randn(5, 4), torch.tensor([0, 1, 2, 1, 0]), torch.tensor([0.9, 0.3, 0.5, 1.0, 0.2])
    found, labels = mixed(x, y, share)
    torch.testing.assert_close(found[1], 0.3 * x[1] + 0.7 * x[0])
    torch.testing.assert_close(found[4], x[4])
    output = torch.randn(5, 3)
    soft = functional.one_hot(y, 3) * share[:, None] + functional.one_hot(y[[1, 0, 3, 2, 4]], 3) * (1 - share[:, None])
    expected = functional.cross_entropy(output, soft, label_smoothing=0.1)
    torch.testing.assert_close(mean_loss(output, labels, 0.1), expected)


def test_a_training_with_everything_learns_also_a_perceptron_with_mixup() -> None:
    data, config = images(), replace(EVERYTHING, rate=1e-2, optimizer="sgd", label_smoothing=0.1)
    model = nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten(), nn.Linear(4, 2))
    assert train(model, [Phase("joint", 2, (Turn(list(model.parameters()), data, 0.1),))], config, 0).failed_at is None
    task = TASKS["digits-shifted"]()
    task.configure({"mixup": 0.3, "epochs": 4.0, "subset": 1000})
    outcome = task.evaluate(nn.ReLU, 0)
    assert outcome.metrics["curve"][0]["train_loss"] > outcome.metrics["curve"][-1]["train_loss"]
    assert "train_accuracy" not in outcome.metrics


@pytest.mark.parametrize(
    ("settings", "data", "message"),
    [
        ({"augment": True}, Split(torch.randn(4, 9), torch.zeros(4).long()), "for images"),
        ({"randaugment": 1}, Split(torch.randn(4, 3, 2, 2), torch.zeros(4).long()), "Split.pixels"),
        ({"mixup": 1.0}, Split(torch.zeros(4, 9).long(), torch.zeros(4, 9).long()), "floating point"),
    ],
)
def test_data_that_cannot_be_changed_so_is_told(settings: dict, data: Split, message: str) -> None:
    with pytest.raises(InputError, match=message):
        batches(data, TrainConfig(**settings), 1, torch.Generator())
