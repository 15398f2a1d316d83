"""A small character-level transformer on text that ships with Python (`char-lm`, `char-lm-gated`); bits per character.

Four layers of width 48 read 32 characters of the source of two modules of the standard library; the activation stands
in their feed-forward blocks, or a gate in narrower ones of as many weights. The text is that of the running Python, so
scores of different versions do not compare.
"""

from __future__ import annotations

import argparse
import inspect
import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from symact.tasks.declaration import GATES
from symact.tasks.fitting import FitTask, Problem
from symact.tasks.networks import MakeActivation

CONTEXT, WIDTH, HEADS, LAYERS, BATCH = 32, 48, 4, 4, 16
MEASURED = 128  # windows of validation and of test
ALPHABET = "\n" + "".join(map(chr, range(32, 127)))


def tokens() -> Tensor:
    """The source of `inspect` and `argparse` as numbers of `ALPHABET`; other characters are blanks."""
    places = {letter: number for number, letter in enumerate(ALPHABET)}
    text = inspect.getsource(inspect) + inspect.getsource(argparse)
    return torch.tensor([places.get(letter, places[" "]) for letter in text])


class FeedForward(nn.Sequential):
    """Linear, activation, linear: four times as wide within, 18,672 weights."""

    def __init__(self, activation: nn.Module):
        super().__init__(nn.Linear(WIDTH, 4 * WIDTH), activation, nn.Linear(4 * WIDTH, WIDTH))


class GatedFeedForward(nn.Module):
    """Two projections, a gate, linear: two thirds of that width (Shazeer 2020, arXiv:2002.05202), 18,736 weights."""

    def __init__(self, gate: nn.Module):
        super().__init__()
        inner = 8 * WIDTH // 3
        self.up, self.gate, self.down = nn.Linear(WIDTH, 2 * inner), gate, nn.Linear(inner, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, ``(rows, width)``."""
        output: Tensor = self.down(self.gate(*self.up(x).chunk(2, -1)))
        return output


class Block(nn.Module):
    """Attention to what came before, then a feed-forward block, each added to what it reads."""

    def __init__(self, feed_forward: nn.Module):
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention, self.mix = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.feed_forward = feed_forward

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, ``(batch, context, width)``."""
        batch, length, _ = x.shape
        shape = (batch, length, 3, HEADS, WIDTH // HEADS)
        query, key, value = self.attention(self.first(x)).view(shape).permute(2, 0, 3, 1, 4)
        read = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.mix(read.transpose(1, 2).reshape(batch, length, WIDTH))
        # In rows, so that channels are dimension 1, as after other linear layers.
        rows: Tensor = self.feed_forward(self.second(x).flatten(0, 1))
        return x + rows.view_as(x)


class Transformer(nn.Module):
    """Characters ``(batch, context)`` -> scores of the next ones ``(batch, context, characters)``."""

    def __init__(self, make_feed_forward: Callable[[], nn.Module]):
        super().__init__()
        self.embed = nn.Embedding(len(ALPHABET), WIDTH)
        self.place = nn.Parameter(0.02 * torch.randn(CONTEXT, WIDTH))
        self.blocks = nn.Sequential(*(Block(make_feed_forward()) for _ in range(LAYERS)))
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, len(ALPHABET)))

    def forward(self, x: Tensor) -> Tensor:
        """The scores."""
        scores: Tensor = self.head(self.blocks(self.embed(x) + self.place[: x.shape[1]]))
        return scores


class CharLM(FitTask):
    """A 4-layer character transformer on the source of Python modules; validation loss in bits per character."""

    name, metric, direction, unit, number_format = "char-lm", "loss", "minimize", "bits per character", ".3f"
    sites, steps, rate, weight_decay, test_is_trained = LAYERS, 240, 5e-3, 1e-2, False
    tunable = {**FitTask.tunable, "weight_decay": "1e-6:0.1:log"}
    baselines: ClassVar[tuple[str, ...] | None] = (
        "relu(x)",
        "relu(x)**2",
        "gelu(x)",
        "x*sigmoid(x)",
        "x*sigmoid(2*x)",
        "mish(x)",
        "tanh(x)",
    )

    def make_problem(self, test: bool) -> Problem:
        """The first 80 % of the text train, the next 10 % validate, the last 10 % test."""
        text = tokens()
        own = text[: round(0.8 * len(text))]
        rest = text[round(0.9 * len(text)) :] if test else text[len(own) : round(0.9 * len(text))]
        starts = torch.linspace(0, len(rest) - CONTEXT - 1, MEASURED).long()
        window = torch.arange(CONTEXT + 1)

        def bits(model: nn.Module, windows: Tensor) -> Tensor:
            scores = model(windows[:, :-1]).flatten(0, 1)
            return functional.cross_entropy(scores, windows[:, 1:].flatten()) / math.log(2)

        def loss(model: nn.Module, generator: torch.Generator) -> Tensor:
            drawn = torch.randint(len(own) - CONTEXT, (BATCH, 1), generator=generator)
            return bits(model, own[drawn + window])

        def measure(model: nn.Module) -> Mapping[str, float]:
            with torch.no_grad():
                return {"score": bits(model, rest[starts[:, None] + window]).item()}

        return Problem(own[:CONTEXT][None], loss, measure)

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """The transformer."""
        return Transformer(lambda: FeedForward(make_activation()))


class CharLMGated(CharLM):
    """The same transformer with a gate in each feed-forward block and as many weights."""

    name, gated, baselines = "char-lm-gated", True, GATES

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """The transformer."""
        return Transformer(lambda: GatedFeedForward(make_activation()))
