"""The recurrent controller and its losses: PPO (Schulman et al. 2017, arXiv:1707.06347) and REINFORCE.

In: sequences of choices with the mask that each was made under. Out: their log-probabilities,
values and entropies, new sequences, and the loss
``L = -E[min(r A, clip(r, 1-d, 1+d) A)] + c1 (V - V_target)^2 - c2 entropy``, r = pi/pi_old.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from symact.optimize.actions import START, ActionSpace, Partial


class Controller(nn.Module):
    """An LSTM that reads its last choice and the operator around the next place, and scores every token.

    Args:
        tokens: size of the alphabet.
        hidden: width of the recurrent state.
        seed: of the initial weights; the global generator is left as it was.
    """

    def __init__(self, tokens: int, hidden: int = 64, seed: int = 0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed % 2**63)
            self.last = nn.Embedding(tokens, hidden)
            self.around = nn.Embedding(tokens, hidden)
            self.cell = nn.LSTMCell(hidden, hidden)
            self.policy = nn.Linear(hidden, tokens)
            self.value = nn.Linear(hidden, 1)
        with torch.no_grad():
            # A controller that knows nothing is uniform over what the mask allows, and expects nothing.
            for head in (self.policy, self.value):
                head.weight.mul_(0.01)
                head.bias.zero_()

    def step(
        self, last: Tensor, around: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Logits ``(n, tokens)``, values ``(n,)`` and the next state."""
        state = self.cell(self.last(last) + self.around(around), state)
        return self.policy(state[0]), self.value(state[0]).squeeze(-1), state


@dataclass
class Rollouts:
    """Sequences padded to one length.

    Attributes:
        tokens: the choices, ``(n, steps)``.
        parents: the operators around them, ``(n, steps)``.
        masks: what was allowed, ``(n, steps, tokens)``.
        alive: which steps are real, ``(n, steps)``.
    """

    tokens: Tensor
    parents: Tensor
    masks: Tensor
    alive: Tensor

    @classmethod
    def of(cls, partials: list[Partial], tokens: int) -> Rollouts:
        """Pad finished sequences; a padded step has one allowed token and counts nothing."""
        steps = max(1, *(len(partial.tokens) for partial in partials))
        shape = (len(partials), steps)
        made = np.zeros(shape, dtype=np.int64)
        around = np.zeros(shape, dtype=np.int64)
        masks = np.zeros((*shape, tokens), dtype=bool)
        masks[..., START] = True
        alive = np.zeros(shape, dtype=bool)
        for row, partial in enumerate(partials):
            length = len(partial.tokens)
            made[row, :length], around[row, :length], alive[row, :length] = partial.tokens, partial.parents, True
            if length:
                masks[row, :length] = np.stack(partial.masks)
        return cls(*map(torch.from_numpy, (made, around, masks, alive)))

    def take(self, rows: Tensor) -> Rollouts:
        """Some of the sequences."""
        return Rollouts(self.tokens[rows], self.parents[rows], self.masks[rows], self.alive[rows])


def evaluate(controller: Controller, rollouts: Rollouts) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities, values and entropies of every step, each ``(n, steps)``; 0 where padded."""
    count, steps = rollouts.tokens.shape
    last = torch.full((count,), START)
    state: tuple[Tensor, Tensor] | None = None
    columns: list[tuple[Tensor, Tensor, Tensor]] = []
    for step in range(steps):
        logits, values, state = controller.step(last, rollouts.parents[:, step], state)
        mask = rollouts.masks[:, step]
        logp = torch.log_softmax(logits.masked_fill(~mask, -torch.inf), -1)
        chosen = rollouts.tokens[:, step]
        entropy = -(logp.exp() * logp.masked_fill(~mask, 0.0)).sum(-1)
        columns.append((logp.gather(1, chosen[:, None]).squeeze(1), values, entropy))
        last = chosen
    alive = rollouts.alive
    stacked = [torch.stack(part, 1).masked_fill(~alive, 0.0) for part in zip(*columns, strict=True)]
    return stacked[0], stacked[1], stacked[2]


@torch.no_grad()
def sample(controller: Controller, actions: ActionSpace, count: int, generator: np.random.Generator) -> list[Partial]:
    """`count` finished sequences, drawn from the policy step by step in parallel."""
    partials = [actions.begin() for _ in range(count)]
    last = torch.full((count,), START)
    state: tuple[Tensor, Tensor] | None = None
    while any(not partial.finished for partial in partials):
        around = torch.tensor([actions.around(p) for p in partials])
        logits, _, state = controller.step(last, around, state)
        # Gumbel noise of the keyed generator: the draw is the largest noisy logit that is allowed.
        noisy = logits.double().numpy() + generator.gumbel(size=logits.shape)
        for row, partial in enumerate(partials):
            if not partial.finished:
                token = int(np.where(actions.mask(partial), noisy[row], -np.inf).argmax())
                actions.push(partial, token)
                last[row] = token
    return partials


def advantages(rewards: Tensor, values: Tensor, alive: Tensor, discount: float, trace: float) -> tuple[Tensor, Tensor]:
    """Generalized advantage estimation for a reward that comes with the last choice.

    A_t = sum_l (gamma lambda)^l delta_(t+l), delta_t = r_t + gamma V(s_(t+1)) - V(s_t)
    (Schulman et al. 2015, arXiv:1506.02438, equation 16).

    Args:
        rewards: one per sequence, ``(n,)``.
        values: ``(n, steps)``.
        alive: ``(n, steps)``.
        discount: gamma.
        trace: lambda.

    Returns:
        Advantages and value targets, ``(n, steps)``, 0 where padded.
    """
    count, steps = values.shape
    lengths = alive.sum(1)
    advantage = torch.zeros_like(values)
    running = torch.zeros(count, dtype=values.dtype)
    for step in reversed(range(steps)):
        final = lengths == step + 1
        following = values[:, step + 1] if step + 1 < steps else torch.zeros_like(running)
        following = torch.where(final, torch.zeros_like(following), following)
        reward = torch.where(final, rewards, torch.zeros_like(rewards))
        delta = reward + discount * following - values[:, step]
        running = torch.where(alive[:, step], delta + discount * trace * running, torch.zeros_like(running))
        advantage[:, step] = running
    return advantage, torch.where(alive, advantage + values, torch.zeros_like(values))


def ppo_loss(
    logp: Tensor,
    old_logp: Tensor,
    advantage: Tensor,
    values: Tensor,
    targets: Tensor,
    entropy: Tensor,
    *,
    clip: float,
    value_weight: float,
    entropy_weight: float,
) -> Tensor:
    """The clipped PPO objective as a loss, averaged over the entries given (all of one shape)."""
    ratio = (logp - old_logp).exp()
    gain = torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    return (-gain + value_weight * (values - targets) ** 2 - entropy_weight * entropy).mean()


def reinforce_loss(
    logp: Tensor,
    advantage: Tensor,
    values: Tensor,
    targets: Tensor,
    entropy: Tensor,
    *,
    value_weight: float,
    entropy_weight: float,
) -> Tensor:
    """REINFORCE with a learned baseline (Williams 1992), averaged over the entries given."""
    return (-logp * advantage + value_weight * (values - targets) ** 2 - entropy_weight * entropy).mean()
