"""Random changes of images: each against what it says, all drawn before by the generator alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from symact.errors import InputError
from symact.tasks import TASKS
from symact.tasks.augment import OPERATIONS, MixedLabels, cropped, draw, erased, mixed, randaugment
from symact.tasks.batches import batches
from symact.tasks.checkpoint import Checkpoint
from symact.tasks.config import TrainConfig
from symact.tasks.data import Split
from symact.tasks.mlp_step import mean_loss
from symact.tasks.train import Phase, Turn, train

PIXELS = torch.tensor([120.0, 110.0, 100.0]), torch.tensor([60.0, 62.0, 64.0])
EVERYTHING = TrainConfig(batch=16, augment=True, crop=0.3, randaugment=2, mixup=0.2, cutmix=1.0, random_erase=0.5)


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
    found, labels = mixed(x, y, {"share": share})
    torch.testing.assert_close(found[1], 0.3 * x[1] + 0.7 * x[0])
    torch.testing.assert_close(found[4], x[4])
    output = torch.randn(5, 3)
    soft = functional.one_hot(y, 3) * share[:, None] + functional.one_hot(y[[1, 0, 3, 2, 4]], 3) * (1 - share[:, None])
    expected = functional.cross_entropy(output, soft, label_smoothing=0.1)
    torch.testing.assert_close(mean_loss(output, labels, 0.1), expected)


@given(st.floats(0, 1), st.floats(0, 0.999), st.floats(0, 0.999))
def test_a_cut_is_the_others_part_and_the_labels_have_their_areas(share: float, column: float, row: float) -> None:
    x = torch.stack([torch.zeros(3, 12, 10), torch.ones(3, 12, 10)])
    drawn = {"share": torch.tensor([share, 1.0]), "cuts": torch.tensor([True, True])}
    found, labels = mixed(x, torch.tensor([4, 7]), drawn | {"center": torch.tensor([[column, row]] * 2)})
    # As the paper's code: half a side is a root of the rest, rounded down, about a pixel, and cut at the border.
    side = (1 - torch.tensor(share)).sqrt() / 2
    across, down = ((int(at * size), int(side * size), size) for at, size in ((column, 10), (row, 12)))
    expected = torch.zeros(12, 10)
    (top, bottom), (left, right) = ((max(0, m - h), min(size, m + h)) for m, h, size in (down, across))
    expected[top:bottom, left:right] = 1
    assert torch.equal(found[0], expected.expand(3, 12, 10))
    assert torch.equal(found[1], x[1])  # all of its own
    assert labels.share.tolist() == pytest.approx([1 - expected.mean().item(), 1.0])
    assert (labels.first.tolist(), labels.second.tolist()) == ([4, 7], [7, 4])


def test_with_mixup_and_cutmix_each_image_has_one_of_them() -> None:
    config = TrainConfig(mixup=0.2, cutmix=1.0)
    draws = draw(400, config, torch.Generator().manual_seed(0))
    assert 150 < int(draws["cuts"].sum()) < 250
    alone = draw(400, replace(config, cutmix=0.0), torch.Generator().manual_seed(0))["share"]
    assert torch.equal(draws["share"][~draws["cuts"]], alone[~draws["cuts"]])
    x, y = torch.randn(400, 1, 6, 6), torch.zeros(400).long()
    found, labels = mixed(x, y, draws)
    averaged, shares = mixed(x, y, {"share": alone})
    assert torch.equal(found[~draws["cuts"]], averaged[~draws["cuts"]])
    assert torch.equal(labels.share[~draws["cuts"]], shares.share[~draws["cuts"]])
    own = (found == x) | (found == x[torch.arange(400) ^ 1])
    assert own[draws["cuts"]].all()


def test_what_is_erased_is_a_rectangle_of_the_paper_in_so_many_images() -> None:
    numbers = torch.rand(3000, 5, generator=torch.Generator().manual_seed(0))
    gone = erased(torch.ones(3000, 2, 40, 30), numbers, 0.25) == 0
    assert torch.equal(gone[:, 0], gone[:, 1])
    changed = gone[:, 0].any(1).any(1)
    assert torch.equal(changed, numbers[:, 0] < 0.25)
    high, wide = gone[changed, 0].any(2).sum(1), gone[changed, 0].any(1).sum(1)
    area = gone[changed, 0].sum((1, 2))
    assert torch.equal(area, high * wide)  # rectangles
    assert 0.015 < area.min() / 1200 < 0.03
    assert 0.3 < area.max() / 1200 < 0.36
    inner = (high < 40) & (wide < 30) & (area > 100)
    ratio = (wide / high)[inner]
    assert 0.25 < ratio.min() < 0.4
    assert 2.6 < ratio.max() < 3.7
    for places in (gone[changed, 0].any(1), gone[changed, 0].any(2)):
        assert places.any(0).all()  # everywhere
    assert not torch.equal(erased(torch.ones(1, 1, 8, 8), torch.zeros(1, 5), 1.0), torch.ones(1, 1, 8, 8))


def test_a_training_with_all_changes_goes_on_to_the_same_numbers(tmp_path) -> None:
    data = images()
    config = replace(EVERYTHING, rate=1e-2)

    def run(epochs: int, checkpoint: Checkpoint | None, stop: int = 0) -> list[dict]:
        torch.manual_seed(1)
        model = nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten(), nn.Linear(4, 2))
        done = iter(range(1, epochs + 1))

        def measure(_: nn.Module) -> dict:
            if next(done) == stop:
                raise KeyboardInterrupt
            return {}

        phases = [Phase("joint", epochs, (Turn(list(model.parameters()), data, 0.01),))]
        kept = checkpoint.load(torch.device("cpu")) if checkpoint is not None else None
        return train(model, phases, config, 0, measure=measure, checkpoint=checkpoint, kept=kept).curve

    whole, kept = run(3, None), Checkpoint(tmp_path, ["one"])
    with pytest.raises(KeyboardInterrupt):
        run(3, kept, stop=2)
    assert run(3, kept) == whole


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
        ({"cutmix": 1.0}, Split(torch.randn(4, 9), torch.zeros(4).long()), "--train cutmix: for images"),
        ({"random_erase": 0.5}, Split(torch.randn(4, 9), torch.zeros(4).long()), "--train random_erase: for images"),
        ({"mixup": 1.0}, Split(torch.zeros(4, 9).long(), torch.zeros(4, 9).long()), "floating point"),
    ],
)
def test_data_that_cannot_be_changed_so_is_told(settings: dict, data: Split, message: str) -> None:
    with pytest.raises(InputError, match=message):
        batches(data, TrainConfig(**settings), 1, torch.Generator())
