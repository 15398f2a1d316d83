"""How many sites a training used is compared with what its task says, and only what is wrong is refused."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from symact.execute.job import Job, perform, unable
from symact.expr.tree import NO_GRAMMAR, parse, to_document
from symact.records import Outcome, Status


class Net(nn.Module):
    def __init__(self, make, depth):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(depth))
        self.acts = nn.ModuleList(make() for _ in range(depth))

    def forward(self, x):
        for layer, act in zip(self.layers, self.acts, strict=True):
            x = act(layer(x))
        return x


class Task:
    """Trains one step of `depth` sites, in a way that `build` chooses, and says that it has `sites`."""

    def __init__(self, sites, depth, build="once"):
        self.sites, self.depth, self.build = sites, depth, build

    def evaluate(self, make_activation, seed, budget=1.0):
        net, x = Net(make_activation, self.depth), torch.randn(3, 4)
        with torch.no_grad():
            net(x)
        loss = (Net(make_activation, self.depth)(net(x)) if self.build == "joined" else net(x)).sum()
        if self.build == "ema":
            other = Net(make_activation, self.depth)
            other.load_state_dict(net.state_dict())
            other.eval()(x)
        elif self.build == "mean teacher":
            teacher = Net(make_activation, self.depth)
            loss = loss + (net(x) - teacher(x)).square().sum()
        elif self.build == "ends early":
            return Outcome.failed(Status.diverged, "the loss became non-finite before any update")
        elif self.build == "copies":
            loss = loss + copy.deepcopy(net)(x).sum()
            torch.save(net, io.BytesIO())
            assert pickle.loads(pickle.dumps(net))(x).shape == x.shape
        loss.backward()
        return Outcome.finished(loss.item())


def done(task, text="relu(x)", own_sites=True):
    expressions = tuple(parse(part) for part in text.split(";"))
    candidate = expressions if len(expressions) > 1 else expressions[0]
    return perform(task, NO_GRAMMAR, Job(0, 0, 0, to_document(candidate, NO_GRAMMAR), own_sites=own_sites))


@pytest.mark.parametrize(
    ("sites", "depth", "build", "called"),
    [
        (3, 2, "once", "2 times"),
        (2, 1, "once", "once"),
        (2, 3, "once", "3 times"),
        (3, 2, "ema", "4 times"),
        (1, 2, "once", "2 times for one network"),
        (1, 2, "mean teacher", "4 times for one network"),
        (2, 4, "ema", "8 times for one network"),
        (2, 2, "joined", "4 times for one network"),
    ],
)
def test_another_number_of_sites_is_told_by_the_first_training(sites, depth, build, called):
    found = done(Task(sites, depth, build))
    assert found.status is Status.crashed
    assert f"task Task says sites = {sites}, but its training called make_activation {called};" in found.reason


@pytest.mark.parametrize("build", ["once", "ema", "mean teacher", "copies"])
@pytest.mark.parametrize("sites", [1, 2, 3])
def test_a_network_that_is_built_twice_is_no_network_of_twice_the_sites(sites, build):
    assert done(Task(sites, sites, build)).status is Status.finished
    if sites > 1:
        text = ";".join(["tanh(x)", "relu(x)", "sin(x)"][:sites])
        assert done(Task(sites, sites, build), text, own_sites=False).status is Status.finished


def test_networks_that_feed_one_another_count_as_one_and_the_message_says_so():
    assert "(networks that feed one another" in done(Task(2, 2, "joined")).reason
    both = Task(4, 2, "joined")
    assert done(both).status is Status.finished
    assert done(both, "tanh(x);relu(x);sin(x);x", own_sites=False).status is Status.finished


@pytest.mark.parametrize("own_sites", [True, False])
def test_a_training_that_ends_early_says_nothing_of_the_sites(own_sites):
    assert done(Task(4, 2, "ends early"), "tanh(x);relu(x);sin(x);x", own_sites).status is Status.diverged


def test_only_the_first_training_ends_a_study():
    found = done(Task(3, 2), "tanh(x);relu(x);sin(x)", own_sites=False)
    assert found.status is Status.rejected
    assert not unable(found)
    assert found.reason.startswith("task Task says sites = 3, but its training called make_activation 2 times;")
    assert unable(done(Task(3, 2)))


@pytest.mark.parametrize("depth", [1, 3, 4])
def test_functions_of_sites_that_were_not_trained_have_no_score(depth):
    found = done(Task(2, depth), "tanh(x);relu(x)", own_sites=False)
    assert (found.score is None) == (depth % 2 == 1)


@pytest.mark.parametrize("depth", [1, 3])
def test_a_task_that_does_not_say_its_sites_rejects_functions_for_others(depth):
    assert done(Task(None, depth), "tanh(x);relu(x)", own_sites=False).status is Status.rejected
    assert done(Task(None, 2), "tanh(x);relu(x)", own_sites=False).status is Status.finished


def test_one_function_for_all_sites_stands_wherever_the_task_puts_it():
    assert done(Task(3, 2), own_sites=False).status is Status.finished


def test_a_task_that_makes_no_module_is_believed():
    class Looked:
        sites = 3

        def evaluate(self, make_activation, seed, budget=1.0):
            return Outcome.finished(len(str(make_activation.candidate)))

    assert done(Looked()).status is Status.finished
