"""The controller: what it may emit, its losses, its advantages, and that it learns."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from symact.expr.grammar import load_grammar, parse_grammar
from symact.expr.tree import Expr
from symact.optimize.actions import ActionSpace
from symact.optimize.policy import Controller, Rollouts, advantages, evaluate, ppo_loss, reinforce_loss, sample
from symact.optimize.reinforcement import Reinforcement
from symact.records import Outcome, Trial

FORBIDDING = """
name = "forbidding"
[unary]
exp = "exp(x)"
tanh = "tanh(x)"
[binary]
add = "a + b"
mul = "a*b"
[spaces]
mixed = ["unary(unary(x))", "binary(unary(x), unary(unary(x)))"]
open = ["tree(x)"]
[limits]
max_depth = 4
max_size = 6
forbid = ["exp(exp)", "mul(tanh)"]
"""


def planted(expression: Expr) -> float:
    """Every `tanh` helps, and `max` at the root."""
    return sum(node.operator.name == "tanh" for node in expression.walk()) + (expression.operator.name == "max")


@pytest.mark.parametrize(
    ("grammar", "space"), [("aquasurf", "bench"), ("aquasurf", "large"), ("pangaea", "open"), ("pangaea", "start")]
)
def test_every_emitted_sequence_is_a_member_and_reads_back(grammar, space):
    members = load_grammar(grammar).space(space)
    actions = ActionSpace(members)
    for partial in sample(Controller(actions.tokens, 8), actions, 60, np.random.default_rng(0)):
        expression = actions.expression(partial)
        assert expression in members
        again = actions.sequence(expression)
        assert again is not None
        assert (again.tokens, again.parents) == (partial.tokens, partial.parents)
        assert all((a == b).all() for a, b in zip(again.masks, partial.masks, strict=True))


@pytest.mark.parametrize("space", ["mixed", "open"])
def test_limits_hold_and_every_member_can_be_emitted(space):
    members = parse_grammar(FORBIDDING).space(space)
    actions = ActionSpace(members)
    generator = np.random.default_rng(0)
    for _ in range(50):
        partial = actions.sequence(members.sample(generator))
        assert partial is not None
        assert all(mask[token] for mask, token in zip(partial.masks, partial.tokens, strict=True))
    emitted = sample(Controller(actions.tokens, 8), actions, 100, generator)
    assert all(actions.expression(partial) in members for partial in emitted)


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


@pytest.mark.parametrize("algorithm", ["ppo", "reinforce"])
def test_the_controller_moves_to_a_planted_optimum(algorithm):
    space = load_grammar("aquasurf").space("bench")
    optimizer = Reinforcement(space, 0, algorithm=algorithm)

    def average() -> float:
        emitted = map(optimizer.actions.expression, islice(optimizer._rollouts(), 200))
        return float(np.mean([planted(expression) for expression in emitted]))

    before = average()
    for _ in range(25):
        optimizer.tell([Trial(e, (Outcome.finished(planted(e)),)) for e in optimizer.ask(8)])
    assert average() > 2 * before


def test_a_cached_candidate_counts_again():
    space = load_grammar("aquasurf").space("bench")
    asked = Reinforcement(space, 0).ask(8)
    trials = [Trial(e, (Outcome.finished(n),)) for n, e in enumerate(asked)]
    once, twice = Reinforcement(space, 0), Reinforcement(space, 0)
    once.tell(trials)
    twice.tell(trials)
    twice.tell([Trial(asked[7], (Outcome.finished(7),), cached=True)] * 8)
    weights = [next(iter(o.controller.policy.parameters())).detach().clone() for o in (once, twice)]
    assert not torch.equal(*weights)


def test_what_is_not_finite_is_never_asked():
    space = load_grammar("aquasurf").space("bench")
    asked = Reinforcement(space, 0, features=lambda e: {"finite": np.array(["tanh" in str(one) for one in e])}).ask(8)
    assert all("tanh" in str(expression) for expression in asked)
