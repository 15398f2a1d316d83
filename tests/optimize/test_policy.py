"""The controller: uniform before it learns, and its losses and advantages are those of the papers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symact.optimize.actions import ActionSpace
from symact.optimize.policy import Controller, Rollouts, advantages, evaluate, ppo_loss, reinforce_loss, sample
from symact.program.loading import load_grammar


def test_the_ppo_loss_is_that_of_torchrl():
    torchrl = pytest.importorskip("torchrl.objectives")
    from tensordict import TensorDict
    from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential, TensorDictModule
    from torch import nn

    torch.manual_seed(0)
    actor = ProbabilisticTensorDictSequential(
        TensorDictModule(nn.Linear(3, 4), in_keys=["observation"], out_keys=["logits"]),
        ProbabilisticTensorDictModule(
            in_keys=["logits"], out_keys=["action"], distribution_class=torch.distributions.Categorical
        ),
    )
    critic = TensorDictModule(nn.Linear(3, 1), in_keys=["observation"], out_keys=["state_value"])
    observation, action = torch.randn(12, 3), torch.randint(4, (12,))
    old = torch.log_softmax(torch.randn(12, 4), -1).gather(1, action[:, None]).squeeze(1)
    advantage, target = torch.randn(12, 1), torch.randn(12, 1)
    reference = torchrl.ClipPPOLoss(
        actor, critic, clip_epsilon=0.2, entropy_coeff=0.03, critic_coeff=0.5, loss_critic_type="l2",
        normalize_advantage=False,
    )  # fmt: skip
    given = {"observation": observation, "action": action, "advantage": advantage, "value_target": target}
    parts = reference(TensorDict({**given, reference.tensor_keys.sample_log_prob: old}, [12]))
    logits, values = actor[0].module(observation), critic.module(observation).squeeze(1)
    distribution = torch.distributions.Categorical(logits=logits)
    loss = ppo_loss(
        distribution.log_prob(action), old, advantage.squeeze(1), values, target.squeeze(1), distribution.entropy(),
        clip=0.2, value_weight=0.5, entropy_weight=0.03,
    )  # fmt: skip
    expected = parts["loss_objective"] + parts["loss_critic"] + parts["loss_entropy"]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_clip_stops_a_ratio_that_went_far_enough():
    old, advantage = torch.zeros(2), torch.tensor([1.0, -1.0])
    logp = torch.tensor([1.0, -1.0], requires_grad=True)
    zero = torch.zeros(2)
    loss = ppo_loss(logp, old, advantage, zero, zero, zero, clip=0.2, value_weight=0.5, entropy_weight=0.0)
    loss.backward()
    assert loss.item() == pytest.approx(-(1.2 - 0.8) / 2)
    assert logp.grad.tolist() == [0.0, 0.0]


def test_reinforce_pushes_along_the_advantage():
    logp = torch.tensor([-1.0, -2.0], requires_grad=True)
    zero = torch.zeros(2)
    reinforce_loss(logp, torch.tensor([2.0, -1.0]), zero, zero, zero, value_weight=0.5, entropy_weight=0.0).backward()
    assert logp.grad.tolist() == [-1.0, 0.5]


def test_advantages_are_the_discounted_sums_of_the_paper():
    values = torch.tensor([[0.5, 0.2, 0.1], [0.4, 0.3, 9.0]])
    alive = torch.tensor([[True, True, True], [True, True, False]])
    advantage, target = advantages(torch.tensor([1.0, -1.0]), values, alive, 0.9, 0.8)
    last = 1.0 - 0.1
    middle = 0.9 * 0.1 - 0.2 + 0.72 * last
    assert advantage[0].tolist() == pytest.approx([0.9 * 0.2 - 0.5 + 0.72 * middle, middle, last])
    assert advantage[1].tolist() == pytest.approx([0.9 * 0.3 - 0.4 + 0.72 * (-1.0 - 0.3), -1.0 - 0.3, 0.0])
    assert target[0, 2] == pytest.approx(1.0)


def test_an_untrained_policy_is_nearly_uniform_and_padding_counts_nothing():
    actions = ActionSpace(load_grammar("aquasurf").space("large"))
    controller = Controller(actions.tokens, 16, 1)
    partials = sample(controller, actions, 20, np.random.default_rng(0))
    rollouts = Rollouts.of(partials, actions.tokens)
    logp, values, entropy = evaluate(controller, rollouts)
    allowed = rollouts.masks.sum(-1).float()
    assert torch.allclose(entropy[rollouts.alive], allowed[rollouts.alive].log(), atol=0.01)
    for padded in (logp, values, entropy):
        assert (padded[~rollouts.alive] == 0).all()


def test_the_generator_alone_decides_what_is_drawn():
    actions = ActionSpace(load_grammar("aquasurf").space("bench"))
    controller = Controller(actions.tokens, 8, 0)
    first, again, other = (sample(controller, actions, 20, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert [p.tokens for p in first] == [p.tokens for p in again] != [p.tokens for p in other]


def test_a_seed_fixes_the_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    one, two = Controller(5, 4, 1), Controller(5, 4, 1)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
