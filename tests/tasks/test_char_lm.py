"""The character transformer: it reads no future, and its loss is in bits."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import symact
from symact.tasks.char_lm import ALPHABET, CONTEXT, CharLM, CharLMGated, FeedForward, Transformer, tokens


def test_the_text_is_long_and_of_the_alphabet() -> None:
    text = tokens()
    assert len(text) > 100_000
    assert 0 <= text.min() <= text.max() < len(ALPHABET)
    assert "".join(ALPHABET[number] for number in text[:3].tolist()) == '"""'


def test_a_character_is_predicted_from_those_before_it_alone() -> None:
    torch.manual_seed(0)
    model, windows = Transformer(lambda: FeedForward(nn.SiLU())), tokens()[:CONTEXT][None]
    changed = windows.clone()
    changed[0, 20:] = 7
    with torch.no_grad():
        first, second = model(windows), model(changed)
    assert torch.allclose(first[0, :20], second[0, :20], atol=1e-5)
    assert not torch.allclose(first[0, 20:], second[0, 20:], atol=1e-3)


def test_equal_scores_cost_the_logarithm_of_the_alphabet_in_bits() -> None:
    class Uniform(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(*x.shape, len(ALPHABET))

    assert CharLM().problem(False).measure(Uniform())["score"] == pytest.approx(math.log2(len(ALPHABET)), abs=1e-4)


def test_the_gated_transformer_has_as_many_weights() -> None:
    def weights(task: CharLM, activation: nn.Module) -> int:
        return sum(parameter.numel() for parameter in task.network(lambda: activation).parameters())

    assert weights(CharLMGated(), symact.Gate("x*g")) == pytest.approx(weights(CharLM(), nn.ReLU()), rel=3e-3)
