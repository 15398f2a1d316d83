"""Networks that map coordinates to pixels: what is shown, what is hidden, and that the activation decides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from symact.activation.module import Activation
from symact.errors import InputError
from symact.tasks.image_fit import CROPS, SIZE, ImageFit, ImageFitSiren, photograph, pixel_centres, psnr, trained_pixels


@pytest.mark.parametrize("name", CROPS)
def test_a_crop_is_an_image_of_many_colours(name: str) -> None:
    pixels = photograph(name)
    assert pixels.shape == (SIZE, SIZE, 3)
    assert 0 <= pixels.min() < 0.1 < 0.9 < pixels.max() <= 1


def test_half_of_the_pixels_is_trained_on_and_the_other_half_is_measured() -> None:
    shown = trained_pixels()
    assert shown.sum() * 2 == shown.numel() == SIZE**2
    assert torch.equal(shown, trained_pixels())


def test_coordinates_are_centres_row_by_row() -> None:
    places = pixel_centres(4)
    assert places[0].tolist() == [-0.75, -0.75]
    assert places[1].tolist() == [-0.75, -0.25]
    assert places[-1].tolist() == [0.75, 0.75]


def test_psnr_is_that_of_colours_in_0_to_1_after_clipping() -> None:
    wanted = torch.tensor([-1.0, 0.0, 1.0])
    assert psnr(wanted + 0.2, wanted) == pytest.approx(-10 * torch.log10(torch.tensor(0.02 / 3)).item(), abs=1e-4)
    assert psnr(torch.tensor([-9.0, 0.0, 9.0]), wanted) == 100


def test_a_wave_represents_the_image_better_than_relu() -> None:
    task = ImageFit()
    relu, sine = (task.evaluate(lambda text=text: Activation(text), 0, 0.3).score for text in ("relu(x)", "sin(4*x)"))
    assert sine > relu + 0.5


def test_sirens_initial_weights_are_an_option() -> None:
    plain, own = (kind().evaluate(lambda: Activation("sin(30*x)"), 0, 0.1).score for kind in (ImageFit, ImageFitSiren))
    assert own > plain + 3
    first = next(m for m in ImageFitSiren().build(nn.Tanh, 0)[0].modules() if isinstance(m, nn.Linear))
    assert 0.4 < first.weight.abs().max() <= 0.5
    with pytest.raises(InputError, match="uniform, siren, not 'mine'"):
        ImageFit(initialization="mine")


def test_the_baselines_are_what_the_recorded_tuning_found_best() -> None:
    recorded = Path(__file__).parents[2] / "runs" / "discovery" / "image-fit" / "tuned.json"
    trainings = json.loads(recorded.read_text())["trainings"]
    families = {row["family"] for row in trainings.values()}
    members = [[text for text, row in trainings.items() if row["family"] == family] for family in families]
    assert {max(texts, key=lambda text: trainings[text]["score"]) for texts in members} == set(ImageFit.baselines or ())
