"""Contract tests over the tasks with a loss of their own: what each keeps, and what `FitTask` promises."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from torch import nn

from symact.activation.gate import Gate
from symact.activation.module import Activation
from symact.expr.operators import INPUTS, Parameter, Vocabulary
from symact.expr.tree import parse
from symact.records import Direction, Status
from symact.tasks import TASKS, FitTask
from symact.tasks.declaration import baselines_of, metric_of

NAMED = [name for name in TASKS if issubclass(TASKS[name], FitTask)]
BRIEF = 3  # steps of a training in most of these tests


def made(task: FitTask, text: str, vocabulary: Vocabulary | None = None) -> nn.Module:
    """What the sites of a task take: an activation, or a gate."""
    return (Gate if task.gated else Activation)(text, vocabulary)


def swish(task: FitTask) -> Callable[[], nn.Module]:
    return lambda: made(task, "x*sigmoid(x)*g" if task.gated else "x*sigmoid(x)")


@pytest.fixture(scope="module", params=NAMED)
def task(request: pytest.FixtureRequest) -> FitTask:
    return TASKS[request.param]()


def test_make_activation_is_called_once_per_site_in_order(task: FitTask) -> None:
    given: list[nn.Module] = []

    def make() -> nn.Module:
        given.append(nn.Tanh())
        return given[-1]

    model, activations = task.build(make, 0)
    assert len(given) == task.sites
    assert activations == given
    assert [m for m in model.modules() if isinstance(m, nn.Tanh)] == given


def test_weights_come_from_the_seed_whatever_the_activation(task: FitTask) -> None:
    def noisy() -> nn.Module:
        torch.randn(100)
        return nn.Tanh()

    first, second = task.build(nn.SiLU, 3)[0], task.build(noisy, 3)[0]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_same_seed_same_outcome_and_nothing_leaks(task: FitTask) -> None:
    torch.manual_seed(123)
    state = torch.get_rng_state()
    first, second, other = (task.evaluate(swish(task), seed, BRIEF / task.steps) for seed in (7, 7, 8))
    reported: list[tuple[int, float, int]] = []
    told = task.evaluate(
        swish(task), 7, BRIEF / task.steps, report=lambda step, score, of: reported.append((step, score, of))
    )
    assert (told.score, reported[-1]) == (first.score, (BRIEF, first.score, BRIEF)), "a report changed the training"
    assert torch.equal(state, torch.get_rng_state())
    assert first.status is Status.finished
    assert first.metrics["steps"] == BRIEF
    assert first.metrics["curve"] == second.metrics["curve"] != other.metrics["curve"]
    assert first.score == second.score != other.score
    assert not any(key.startswith("test") for key in first.metrics)
    json.dumps(dict(first.metrics), allow_nan=False)


def test_the_test_is_another_problem_than_the_search_sees(task: FitTask) -> None:
    outcome = task.final_test(swish(task), 7, BRIEF / task.steps)
    assert outcome.score == task.evaluate(swish(task), 7, BRIEF / task.steps).score != outcome.metrics["test_score"]


def test_training_improves_the_score(task: FitTask) -> None:
    merit = Direction(task.direction).merit
    text = baselines_of(task)[-1]
    scores = [task.evaluate(lambda: made(task, text), 0, budget).score for budget in (1 / task.steps, 0.1)]
    assert merit(scores[1]) > merit(scores[0])


def test_the_metric_and_the_champions_are_declared(task: FitTask) -> None:
    assert metric_of(task).heading
    assert metric_of(task).number_format
    baselines = baselines_of(task)
    assert len(baselines) >= 5
    vocabulary = Vocabulary(inputs=INPUTS if task.gated else ("x",))
    assert len({parse(text, vocabulary) for text in baselines}) == len(baselines)


class Overflow(nn.Module):
    """Not finite from the start."""

    def forward(self, x: torch.Tensor, g: torch.Tensor | None = None) -> torch.Tensor:
        return torch.exp(1e4 * (1 + x * x))


def test_what_is_not_finite_is_a_failure_and_no_score(task: FitTask) -> None:
    outcome = task.evaluate(Overflow, 0)
    assert outcome.status in (Status.diverged, Status.rejected)
    assert outcome.score is None


def test_features_tell_what_is_finite_at_initialization(task: FitTask) -> None:
    found, again = task.features(swish(task)), task.features(swish(task))
    assert found["outputs"].shape == (1000,)
    assert (found["outputs"] == again["outputs"]).all()
    assert bool(found["finite"])
    assert not bool(task.features(Overflow)["finite"])


def test_learned_parameters_come_back_per_site(task: FitTask) -> None:
    vocabulary = Vocabulary(name="learned", parameters={"beta": Parameter("beta", 1.0, per="channel")})
    outcome = task.evaluate(lambda: made(task, "tanh(beta*x)", vocabulary), 0, BRIEF / task.steps)
    assert outcome.status is Status.finished, outcome.reason
    assert len(outcome.constants) == task.sites
    assert all(len(set(site["beta"])) > 1 for site in outcome.constants)


@pytest.mark.parametrize("budget", [0.0, -1.0, 1.1, float("nan")])
def test_a_budget_that_is_no_fraction_is_refused(budget: float) -> None:
    task = TASKS["image-fit"]()
    with pytest.raises(ValueError, match="budget"):
        task.evaluate(swish(task), 0, budget)


def test_a_candidate_of_several_sites_goes_through_every_network_of_a_task_in_order():
    """The equation's check, the search's network and that of the test: each begins with the first site."""
    from symact.execute.job import Job, perform
    from symact.expr.tree import to_document

    grammar = Vocabulary()
    texts = ["tanh(x)", "sin(x)", "exp(-x**2)"]
    task = TASKS["pinn-convection"]()
    task.configure({"steps": 2})

    def performed(texts):
        document = to_document(tuple(parse(text, grammar) for text in texts), grammar)
        return perform(task, grammar, Job(0, 0, 1, document))

    assert performed(texts).score != performed(texts[::-1]).score
    assert "and the equation needs its slope" in performed([*texts[:2], "floor(x)"]).reason
    assert performed(texts[:2]).reason == "it cannot be compiled: it has 2 expressions, and the task has 3 sites"
