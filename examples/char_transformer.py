"""A task of one's own: a small character-level transformer on text that ships with Python.

    symact search evolution --task examples/char_transformer.py:CharTransformer --evaluations 20 --run out

A task is a class with `name`, `sites` and `evaluate`; nothing to inherit. The activation stands in the
feed-forward block of each layer. The score is minus the validation loss in bits per character.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import math

import torch
from torch import nn

from symact import Outcome
from symact.tasks import Phase, Split, TrainConfig, Turn
from symact.tasks.train import measure_accuracy, train

CONTEXT, WIDTH, HEADS = 32, 64, 4


def text() -> str:
    """The Zen of Python and the source of the module `inspect`: 120,000 characters that every Python brings."""
    with contextlib.redirect_stdout(io.StringIO()) as zen:
        import this
    return (zen.getvalue() or "".join(this.d.get(c, c) for c in this.s)) + inspect.getsource(inspect)


class Block(nn.Module):
    def __init__(self, activation: nn.Module):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.feed_forward = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), activation, nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, mask = self.norms[0](x), nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        x = x + self.attention(y, y, y, attn_mask=mask, is_causal=True, need_weights=False)[0]
        return x + self.feed_forward(self.norms[1](x))


class Transformer(nn.Module):
    def __init__(self, make_activation, sites: int, characters: int):
        super().__init__()
        self.embed = nn.Embedding(characters, WIDTH)
        self.place = nn.Parameter(0.02 * torch.randn(CONTEXT, WIDTH))
        self.blocks = nn.Sequential(*(Block(make_activation()) for _ in range(sites)))
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, characters))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.embed(tokens) + self.place))


class CharTransformer:
    name, sites = "char-transformer", 2
    config = TrainConfig(epochs=3, batch=32, optimizer="adamw", rate=3e-3, weight_decay=0.01, decay="cosine")

    def __init__(self, data=None):
        letters = text()
        self.alphabet = sorted(set(letters))
        tokens = torch.tensor([self.alphabet.index(letter) for letter in letters])
        count = (len(tokens) - 1) // CONTEXT
        x, y = (tokens[shift : shift + count * CONTEXT].view(count, CONTEXT) for shift in (0, 1))
        held_out = torch.arange(count) % 8 == 0
        self.train, self.validation = Split(x[~held_out], y[~held_out]), Split(x[held_out], y[held_out])

    def evaluate(self, make_activation, seed: int, budget: float = 1.0) -> Outcome:
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            model = Transformer(make_activation, self.sites, len(self.alphabet))
            phases = [
                Phase("joint", self.config.epochs, (Turn(list(model.parameters()), self.train, self.config.rate),))
            ]
            training = train(model, phases, self.config, seed, budget)
        if training.failed_at is not None:
            return Outcome.failed("diverged", f"the loss became non-finite at step {training.failed_at}")
        loss, accuracy = measure_accuracy(model, self.validation, self.config)
        return Outcome.finished(-loss / math.log(2), accuracy=accuracy, curve=training.curve)
