"""An Optuna study whose function is chosen by an optimizer of symact."""

from __future__ import annotations

import pytest

from symact.errors import InputError
from symact.program.loading import parse_grammar
from tests.execute.stub_tasks import grammar_text, score_of

optuna = pytest.importorskip("optuna")

from symact.integrations.optuna import (  # noqa: E402
    SymactSampler,
    function_choices,
    function_distribution,
    suggest_function,
)

optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture(scope="module")
def space():
    return parse_grammar(grammar_text()).space("main")


def test_choices_are_distinct_functions(space):
    choices = function_choices(space)
    assert 30 < len(choices) < space.count()
    assert function_distribution(space).choices == choices


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("optimizer", ["evolution", "surrogate"])
def test_a_study_of_optuna_asks_the_optimizer(space, direction, optimizer):
    seen = []

    def objective(trial):
        function, rate = suggest_function(trial, space), trial.suggest_float("rate", 0.1, 1.0)
        seen.append(str(function))
        if len(seen) == 4:
            raise optuna.TrialPruned
        return score_of(str(function), 0) * rate

    study = optuna.create_study(direction=direction, sampler=SymactSampler(space, optimizer, seed=1))
    study.optimize(objective, 20)
    assert len(set(seen)) == 20, "a function was proposed twice"
    assert study.best_params["activation"] in function_choices(space)
    assert 0.1 <= study.best_params["rate"] <= 1.0


def test_a_space_that_is_used_up_does_not_end_the_study(space):
    small = parse_grammar(
        'name="s"\n[unary]\nsine="sin(x)"\narc="atan(x)"\ncube="x**3"\n[spaces]\nall=["unary(x)"]\n'
    ).space("all")
    study = optuna.create_study(sampler=SymactSampler(small, "random"))
    study.optimize(lambda trial: len(str(suggest_function(trial, small))), 6)
    assert len(study.trials) == 6
    assert {t.params["activation"] for t in study.trials[:3]} == set(function_choices(small))


def test_mixtures_are_no_choice(space):
    with pytest.raises(InputError, match="weighted sums"):
        SymactSampler(space, "mixture")
