"""Reinforcement learning: a recurrent controller spells candidates slot by slot, trained by PPO.

After Ramachandran, Zoph & Le 2017 (arXiv:1710.05941). Its public replication ended at constants; so
the reward here is a rank among everything told, which no outlier and no scale can bend, failures
have the lowest rank, an entropy bonus keeps the policy open, and a candidate that the controller
repeats is not trained again but its known reward still counts.

Everything is replayed from the trials told: a policy update follows every `actors` trials, and its
old log-probabilities are recomputed by the policy that stood before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from symact.expr.space import Space
from symact.expr.tree import Candidate
from symact.expr.tree import sites as expressions_of
from symact.optimize.actions import ActionSpace, Partial
from symact.optimize.base import Features, Optimizer, check_settings, rank_values, score_of
from symact.optimize.policy import Controller, Rollouts, advantages, evaluate, ppo_loss, reinforce_loss, sample
from symact.optimize.site_groups import SiteGroups
from symact.records import Trial


class Reinforcement(Optimizer):
    """A recurrent controller under PPO or REINFORCE.

    Args:
        space: where candidates come from; any shapes.
        seed: of the controller's weights and draws.
        features: not used.
        algorithm: `ppo` or `reinforce`.
        reward: `rank`, the rank among all trials in [-1, 1], or `score`, the score less the mean of
            all scores, in their standard deviations.
        actors: candidates between two policy updates.
        epochs: passes over a batch (PPO).
        minibatch: sequences in one gradient step.
        clip: PPO's clipping distance of the probability ratio.
        learning_rate: of Adam.
        hidden: width of the controller.
        entropy: weight of the entropy bonus.
        value: weight of the value loss.
        discount: gamma.
        trace: lambda of generalized advantage estimation.
        finite: what is not finite at initialization, by `features`, is not asked but has the lowest reward at once.
        elite: so many of the best known candidates join every batch (priority queue training,
            Abolafia et al. 2018, arXiv:1801.03526); 0 for plain PPO.
        sites: how many activation sites have a function of their own, or which share one (`[[1, 2], [3]]`); 1 for one
            function everywhere. The controller spells one function after another, and is told which group it is at.
    """

    name = "rl"

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        *,
        features: Features | None = None,
        algorithm: str = "ppo",
        reward: str = "rank",
        actors: int = 8,
        epochs: int = 4,
        minibatch: int = 8,
        clip: float = 0.2,
        learning_rate: float = 1e-2,
        hidden: int = 64,
        entropy: float = 0.01,
        value: float = 0.5,
        discount: float = 1.0,
        trace: float = 0.95,
        finite: bool = True,
        elite: int = 0,
        sites: int | Sequence[Sequence[int]] = 1,
    ):
        super().__init__(space, seed, features=features)
        self.settings: dict[str, Any] = {
            "algorithm": algorithm, "reward": reward, "actors": actors, "epochs": epochs, "minibatch": minibatch,
            "clip": clip, "learning_rate": learning_rate, "hidden": hidden, "entropy": entropy, "value": value,
            "discount": discount, "trace": trace, "finite": finite, "elite": elite,
        }  # fmt: skip
        check_settings(self.name, self.settings, {"algorithm": ("ppo", "reinforce"), "reward": ("rank", "score")})
        self.actions = ActionSpace(space, SiteGroups.read(self.name, sites))
        self.controller = Controller(self.actions.tokens, hidden, self.seed)
        self._adam = torch.optim.Adam(self.controller.parameters(), lr=learning_rate)
        self._scores: list[float | None] = []  # one per trial told
        self._first: dict[Any, int] = {}  # key of a function -> its first trial
        self._sequences: dict[Any, Partial] = {}
        self._batch: list[tuple[Partial, int | None]] = []  # (sequence, trial)
        self._since = 0  # trials told when the batch began
        # The policy's sequences since its last update, and the generator that draws more of them.
        self._drawn: tuple[list[Partial], np.random.Generator] | None = None

    # Proposing.

    def _propose(self) -> Iterator[Candidate]:
        spelled = map(self.actions.expression, self._rollouts())
        yield from self.finite_only(spelled) if self.settings["finite"] else spelled

    def _rollouts(self) -> Iterator[Partial]:
        """Endless sequences of the policy as it stands, keyed by (seed, trials told at its last update)."""
        if self._drawn is None:
            self._drawn = ([], self.generator(1, self._since))
        drawn, generator = self._drawn
        position = 0
        while True:
            if position == len(drawn):
                drawn.extend(sample(self.controller, self.actions, 4 * self.settings["actors"], generator))
            yield drawn[position]
            position += 1

    def explain(self, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
        """Log-`probability` and mean `entropy` of each candidate; with the first also the shares of all `operators`."""
        notes: list[dict[str, Any]] = [{} for _ in candidates]
        spelled = [self.actions.sequence(candidate) for candidate in candidates]
        known = [(note, partial) for note, partial in zip(notes, spelled, strict=True) if partial is not None]
        if known:
            rollouts = Rollouts.of([partial for _, partial in known], self.actions.tokens)
            with torch.no_grad():
                logp, _, entropy = evaluate(self.controller, rollouts)
            steps = rollouts.alive.sum(1).clamp_min(1)
            for row, (note, _) in enumerate(known):
                note["probability"] = round(float(logp[row].sum()), 4)
                note["entropy"] = round(float(entropy[row].sum() / steps[row]), 4)
        if notes and self._drawn is not None and self._drawn[0]:
            names = Counter(
                part.operator.name
                for partial in self._drawn[0]
                for expression in expressions_of(self.actions.expression(partial))
                for part in expression.walk()
                if not part.operator.is_variable
            )
            notes[0]["operators"] = {name: round(count / names.total(), 4) for name, count in names.most_common()}
        return notes

    # Learning.

    def _learn(self, trial: Trial) -> None:
        self._scores.append(score_of(trial))
        key = self.key(trial.candidate)
        self._first.setdefault(key, self.told)
        sequence = self.actions.sequence(trial.candidate)
        if sequence is None:
            return
        self._sequences.setdefault(key, sequence)
        self._batch.append((sequence, self._first[key]))
        if len(self._batch) >= self.settings["actors"]:
            self._update(self._batch + self._repeats() + self._elite())
            self._batch = []
            self._since = self.told + 1
            self._drawn = None

    def _repeats(self) -> list[tuple[Partial, int | None]]:
        """The rollouts of this batch that needed no training, but have a reward: known, or not finite."""
        asked = {trial for _, trial in self._batch}
        repeats: list[tuple[Partial, int | None]] = []
        stream = self._rollouts()
        for _ in range(4 * self.settings["actors"]):
            partial = next(stream)
            expression = self.actions.expression(partial)
            trial = self._first.get(self.key(expression))
            if not asked:
                break
            if trial in asked:
                asked.discard(trial)
            elif trial is not None and trial < self._since:
                repeats.append((partial, trial))
            elif trial is None and not self._trainable(expression):
                repeats.append((partial, None))
        return repeats

    def _trainable(self, candidate: Candidate) -> bool:
        return not self.settings["finite"] or (self.is_usable(candidate) and self.is_finite(candidate))

    def _elite(self) -> list[tuple[Partial, int | None]]:
        if not self.settings["elite"]:
            return []
        good = [(self._scores[self._first[key]], key) for key in self._sequences]
        best = sorted((s, -self._first[k]) for s, k in good if s is not None)[-self.settings["elite"] :]
        keys = {self._first[key]: key for key in self._sequences}
        return [(self._sequences[keys[-trial]], -trial) for _, trial in best]

    def _rewards(self) -> torch.Tensor:
        """The reward of every trial told, against all of them."""
        if self.settings["reward"] == "rank":
            return torch.tensor(rank_values(self._scores), dtype=torch.float32)
        finite = torch.tensor([s for s in self._scores if s is not None] or [0.0])
        lowest, spread = finite.min(), finite.std(correction=0).clamp_min(1e-8)
        scores = torch.tensor([float(lowest) if s is None else s for s in self._scores])
        return ((scores - scores.mean()) / spread).clamp(-3, 3)

    def _update(self, batch: list[tuple[Partial, int | None]]) -> None:
        settings = self.settings
        rollouts = Rollouts.of([partial for partial, _ in batch], self.actions.tokens)
        if not rollouts.alive.any():
            return
        told = self._rewards()
        lowest = told.min()
        rewards = torch.stack([lowest if trial is None else told[trial] for _, trial in batch])
        with torch.no_grad():
            old_logp, values, _ = evaluate(self.controller, rollouts)
            advantage, targets = advantages(rewards, values, rollouts.alive, settings["discount"], settings["trace"])
            live = advantage[rollouts.alive]
            if len(live) > 1:
                advantage = (advantage - live.mean()) / live.std().clamp_min(1e-6)
        generator = self.generator(2, self.told)
        epochs = settings["epochs"] if settings["algorithm"] == "ppo" else 1
        for _ in range(epochs):
            order = torch.from_numpy(generator.permutation(len(batch)))
            for rows in order.split(settings["minibatch"]):
                part = rollouts.take(rows)
                alive = part.alive
                logp, now, entropy = (quantity[alive] for quantity in evaluate(self.controller, part))
                weights = {"value_weight": settings["value"], "entropy_weight": settings["entropy"]}
                if settings["algorithm"] == "ppo":
                    loss = ppo_loss(
                        logp, old_logp[rows][alive], advantage[rows][alive], now, targets[rows][alive], entropy,
                        clip=settings["clip"], **weights,
                    )  # fmt: skip
                else:
                    loss = reinforce_loss(logp, advantage[rows][alive], now, targets[rows][alive], entropy, **weights)
                self._adam.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.controller.parameters(), 0.5)
                self._adam.step()
