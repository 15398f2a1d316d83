"""The surrogate: what describes a function, who predicts, and that prediction finds what sampling does not."""

from __future__ import annotations

import numpy as np
import pytest

from symact.errors import InputError
from symact.optimize.function_features import outputs
from symact.optimize.pool import Pool
from symact.optimize.surrogate import CHUNK, Surrogate
from symact.records import Outcome, Trial
from tests.optimize.described import GRAMMAR, SPACE, expressions, likeness


@pytest.mark.parametrize("regressor", ["gp", "knn", "svr"])
def test_a_hidden_function_is_found_within_a_tenth_of_the_space(regressor):
    """Each of four; random search finds all four within that with a probability of 1 in 10,000."""
    members = Pool.of(SPACE).members
    for hidden in np.random.default_rng(0).choice(len(members), 4, replace=False):
        target = outputs([members[hidden]]).clip(-5, 5)
        optimizer, tried = Surrogate(SPACE, 1, regressor=regressor), []
        while members[hidden] not in tried:
            asked = optimizer.ask(8)
            tried += asked
            assert len(tried) <= len(members) / 10, f"{members[hidden]} was not found"
            optimizer.tell([Trial(e, (Outcome.finished(likeness(e, target)),)) for e in asked])


@pytest.mark.parametrize("hidden", ["add(tanh(x),bessel_i1e(x))", "mul(erf(x),elu(x))", "min(swish(x),tanh(x))"])
def test_a_batch_is_less_alike_than_the_best_predictions(hidden):
    """Alike as the regressor sees it: by the kernel that says how much one function tells about another."""
    target = outputs(expressions(hidden)).clip(-5, 5)
    optimizer = Surrogate(SPACE, 1)
    optimizer.tell([Trial(e, (Outcome.finished(likeness(e, target)),)) for e in optimizer.ask(12)])
    model, used = optimizer._fitted()
    candidates, rows = optimizer._candidates(used)
    best = np.argsort(-model.predict(rows)[0], kind="stable")[:8]
    asked = optimizer.ask(8)
    assert asked[0] == candidates[best[0]]

    def alikeness(chosen):
        return np.exp(-rows.take(chosen).distances(rows.take(chosen)) / optimizer.length).sum()

    assert alikeness(np.array([candidates.index(e) for e in asked])) < alikeness(best)


def test_a_warm_start_without_noise_proposes_first_what_the_same_trials_would_make_it_propose():
    target = outputs(expressions("add(tanh(x),bessel_i1e(x))")).clip(-5, 5)
    members = [SPACE.sample(np.random.default_rng(n)) for n in range(60)]
    scores = {e: likeness(e, target) for e in members if np.isfinite(outputs([e])).all()}
    warm = Surrogate(SPACE, 0, warm_start=[(str(e), score) for e, score in scores.items()], warm_noise=0.0)
    told = Surrogate(SPACE, 0)
    told.tell([Trial(e, (Outcome.finished(score),)) for e, score in scores.items()])
    known = {told.key(e) for e in scores}
    assert next(e for e in warm.ask(60) if warm.key(e) not in known) == told.ask(1)[0]


def test_umap_embeds_a_sample_of_a_space_too_large_to_list():
    space = GRAMMAR.space("large")
    functions = Pool.of(space)
    assert functions.members is None
    shown = [e for e, _ in zip(functions.draws(0), range(60), strict=False)]
    target = outputs([shown[7]]).clip(-5, 5)
    optimizer, trials = Surrogate(space, 1, embedding="umap", embedded=60), []
    for _ in range(3):
        asked = optimizer.ask(6)
        assert set(asked) <= set(shown)
        trials += [Trial(e, (Outcome.finished(likeness(e, target)),)) for e in asked]
        optimizer.tell(trials[-len(asked) :])
    assert optimizer._fitted() is not None
    again = Surrogate(space, 1, embedding="umap", embedded=60)
    again.tell(trials)
    assert again.ask(4) == optimizer.ask(4)
    assert Surrogate(space, 2, embedding="umap", embedded=60).members == shown


def test_of_a_space_too_large_to_describe_only_what_is_promising_is_described(monkeypatch):
    members = Pool.of(SPACE).members
    monkeypatch.setattr("symact.optimize.feature_space.LISTED", len(members) - 1)
    monkeypatch.setattr("symact.optimize.surrogate.REFERENCE", 20)
    described: set[str] = set()

    def features(listed):
        described.update(map(str, listed))
        return {"fisher": np.zeros((len(listed), 1, 100)), "fisher_weights": np.ones(1), "finite": np.ones(len(listed))}

    optimizer, target, told = Surrogate(SPACE, 1, features=features), outputs([members[5]]).clip(-5, 5), 0
    for _ in range(4):
        asked = optimizer.ask(4)
        assert {optimizer.key(e) for e in asked} <= {optimizer.key(e) for e in members}
        told += len(asked)
        optimizer.tell([Trial(e, (Outcome.finished(likeness(e, target)),)) for e in asked])
    assert len(described) <= 20 + told + 4 * CHUNK < len(members)


def test_neighbours_in_a_pool_begin_with_another_study_whose_functions_join_it():
    space = GRAMMAR.space("large")
    known = [space.sample(np.random.default_rng(n)) for n in range(300, 340)]
    known = [e for e in known if np.isfinite(outputs([e])).all()]
    target = outputs([known[3]]).clip(-5, 5)
    warm = [(str(e), likeness(e, target)) for e in known]
    settings = {"regressor": "knn", "embedding": "umap", "embedded": 40, "warm_start": warm}
    optimizer = Surrogate(space, 1, **settings)
    asked = optimizer.ask(5)
    assert optimizer.members[40:] == [e for e in dict.fromkeys(known) if e not in optimizer.members[:40]]
    assert all("predicted" in note for note in optimizer.explain(asked)), "nothing is drawn blindly"
    assert known[3] in asked, "the best of the other study"


def test_wrong_settings_are_named():
    with pytest.raises(InputError, match="embedded is a number from 16 to 20,000"):
        Surrogate(SPACE, 0, embedded=3)
    with pytest.raises(InputError, match="for other sites"):
        Surrogate(SPACE, 0, warm_start=[("relu(x) ; tanh(x)", 1.0)])
    with pytest.raises(InputError, match="colour"):
        Surrogate(SPACE, 0, views={"colour": 1.0})
    with pytest.raises(InputError, match="oracle"):
        Surrogate(SPACE, 0, regressor="oracle")
