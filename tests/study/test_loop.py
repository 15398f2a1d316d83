"""The study: baselines first, nothing twice, paired seeds, batches, confirmation, stop and go on."""

from __future__ import annotations

import numpy as np
import pytest

from symact.errors import InputError
from symact.expr.tree import candidate_text, parse
from symact.program.loading import parse_grammar
from symact.records import Outcome, Status, Trial
from symact.store import Store, holds_study
from symact.study import BASELINES, Study
from symact.study.evaluating import training_seed
from symact.study.proposer import PATIENCE
from tests.execute import stub_tasks


class Wanderer:
    """Draws from the space without looking, so it repeats functions; a function of (seed, trials told)."""

    name = "wanderer"

    def __init__(self, space, seed, *, features=None, stubborn=False):
        self.space, self.seed, self.trials, self.stubborn = space, seed, [], stubborn

    def ask(self, count):
        generator = np.random.default_rng([self.seed, 0 if self.stubborn else len(self.trials)])
        return [self.space.sample(generator) for _ in range(count)]

    def tell(self, trials):
        self.trials += trials


def trace(trials):
    return [(t.number, t.batch, t.origin, candidate_text(t.candidate), t.status, t.scores) for t in trials]


def test_baselines_come_first_and_count(space, stub):
    trials = Study(space, stub("Quick"), "random").run(20)
    assert [candidate_text(t.candidate) for t in trials[:9]] == list(BASELINES)
    assert "identity(x)" in BASELINES, "how far a linear network comes"
    assert [t.origin for t in trials[:9]] == ["baseline"] * 9
    assert [t.origin for t in trials[9:]] == ["random"] * 11
    assert [t.batch for t in trials] == [-1] * 9 + [0] * 8 + [1] * 3


def test_no_baseline_is_told_where_none_is_in_the_space(space, stub):
    study = Study(space, stub("Quick"), Wanderer, confirm=0)
    study.run(len(BASELINES))
    assert len(study.trials) == len(BASELINES)
    assert study.optimizer.trials == []


def test_baselines_are_told_if_they_are_in_the_space_as_the_space_writes_them(stub):
    extra = 'rectified = "max(x, 0)"\nnothing = "0*x"\nlogistic = "1/(1 + exp(-x))"'
    grammar = parse_grammar(stub_tasks.GRAMMAR.format(extra=extra))
    study = Study(grammar.space("main"), stub("Quick"), Wanderer, confirm=0)
    study.run(len(BASELINES))
    told = [trial.candidate for trial in study.optimizer.trials]
    assert all(candidate in study.space for candidate in told)
    baselines = ("relu(x)", "sigmoid(x)", "swish(x)", "tanh(x)")
    key = study._ledger.key
    assert [key(candidate) for candidate in told] == [key(parse(text)) for text in baselines]


def test_a_baseline_means_the_usual_function_whatever_the_grammar_calls_by_its_name(stub, tmp_path):
    grammar = parse_grammar(
        'name = "odd"\n[unary]\nrelu = "x**2"\nsine = "sin(x)"\n[spaces]\nmain = ["unary(unary(x))"]'
    )
    with Study(grammar.space(), stub("Quick"), "random", run=tmp_path / "run", confirm=0) as study:
        study.run(9)
        known = study._ledger
        relu = next(t for t in study.trials if candidate_text(t.candidate) == "relu(x)")
        assert relu.candidate == parse("relu(x)")
        assert not known.is_new(parse("max(x, 0)"))
    with Store.open(tmp_path / "run") as store:
        assert store.trials()[1].candidate == parse("relu(x)")


def test_no_function_is_trained_twice(space, tmp_path):
    trained = tmp_path / "trained"
    task = stub_tasks.Counting(str(trained))
    study = Study(space, task, Wanderer, confirm=0)
    study.run(60)
    lines = trained.read_text().splitlines()
    assert len(lines) == len(set(lines)) == 60
    cached = [t for t in study.store.trials(cached=True) if t.cached]
    assert cached, "the wanderer repeated nothing, so this test shows nothing"
    for trial in cached:
        original = next(t for t in study.trials if study._ledger.key(t.candidate) == study._ledger.key(trial.candidate))
        assert trial.outcomes == original.outcomes
    assert len(study.trials) == 60


def test_an_optimizer_that_only_repeats_itself_is_filled_up_from_random_search(space, stub):
    study = Study(space, stub("Quick"), Wanderer, stubborn=True, confirm=0)
    trials = study.run(40)
    assert len(trials) == 40
    rows = study._ledger.rows
    first = next(row.number for row in rows if row.origin == "random")
    assert sum(row.known is not None for row in rows[:first]) >= PATIENCE


def test_a_space_that_is_used_up_ends_the_study(space, stub):
    study = Study(space, stub("Quick"), "random", confirm=0)
    trials = study.run(10_000)
    assert 50 < len(trials) < 140
    assert len({study._ledger.key(t.candidate) for t in trials}) == len(trials)
    assert study.exhausted


def test_training_seeds_come_from_study_seed_and_repeat_alone(wide, stub):
    trials = Study(wide, stub("Quick"), "random", seed=3, repeats=3).run(12)
    seeds = {tuple(o.metrics["seed"] for o in t.outcomes) for t in trials}
    assert seeds == {tuple(training_seed(3, repeat) for repeat in range(3))}
    assert len({*seeds.pop(), *(training_seed(3, r, True) for r in range(3)), training_seed(4, 0)}) == 7


def test_a_failed_repeat_ends_the_training_of_a_function(wide, stub):
    trials = Study(wide, stub("Diverging"), "random", repeats=2, confirm=0).run(30)
    failed = [t for t in trials if t.status is Status.diverged]
    assert failed
    assert all(t.outcomes[-1].status is Status.diverged and t.score is None for t in failed)
    assert all(len(t.outcomes) == 2 for t in trials if t.status is Status.finished)


def test_failures_count_and_never_win(wide, stub):
    study = Study(wide, stub("Diverging"), "random")
    trials = study.run(30)
    assert len(trials) == 30
    assert study.best(30) == sorted(study.best(30), key=lambda t: -t.score)
    assert all(t.status is Status.finished for t in study.best(30))
    assert {t.number for t in study.confirmations} <= {t.number for t in study.best(5)} | {1}


def test_the_best_two_the_best_baseline_and_relu_are_confirmed_on_common_fresh_seeds(wide, stub, tmp_path):
    with Study(wide, stub("Quick"), "random", run=tmp_path / "run", seed=1, confirm_best=2) as study:
        study.run(130)
        best = [t.number for t in study.best(2)]
        baseline = next(t.number for t in study.best(130) if t.origin == "baseline")
        before = trace(study.trials)
    with Store.open(tmp_path / "run") as store:
        confirmed = store.confirmations()
        assert trace(store.trials()) == before
    relu = next(t for t in confirmed if candidate_text(t.candidate) == "relu(x)")
    assert {t.number for t in confirmed} == {*best, baseline, relu.number}
    assert baseline not in best, "the best baseline is among the best, so this test shows nothing of it"
    seeds = [training_seed(1, repeat, confirmation=True) for repeat in range(5)]
    assert all([o.metrics["seed"] for o in t.outcomes] == seeds for t in confirmed)


def test_confirming_again_trains_only_what_is_new(wide, tmp_path):
    trained = tmp_path / "trained"
    study = Study(wide, stub_tasks.Counting(str(trained)), "random")
    study.run(20)
    study.run(20)
    assert len(trained.read_text().splitlines()) == 20 + 5 * len(study.confirmations)
    study.run(24)
    lines = trained.read_text().splitlines()
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize("repeats", [1, 2])
def test_a_study_in_steps_makes_the_trials_of_one_in_one_go(wide, stub, tmp_path, repeats):
    whole = trace(Study(wide, stub("Quick"), "random", repeats=repeats, confirm=0).run(37))
    study = Study(wide, stub("Quick"), "random", run=tmp_path / "run", repeats=repeats, confirm=0)
    for total in (3, 9, 20, 21):
        study.run(total)
        assert len(study.trials) == total
    study.close()
    for total in (22, 37):
        with Study.resume(tmp_path / "run", total, task=stub("Quick")) as study:
            found = trace(study.trials)
    assert found == whole


def test_the_same_study_object_and_a_resume_take_turns_but_never_both(wide, stub, tmp_path):
    first = Study(wide, stub("Quick"), "random", run=tmp_path / "run", confirm=0)
    first.run(10)
    with Study.resume(tmp_path / "run", 12, task=stub("Quick")) as second:
        assert len(second.trials) == 12
        second.ask(1)
        with pytest.raises(InputError, match="is running this study"):
            first.run(20)
    with pytest.raises(InputError, match="continued elsewhere"):
        first.run(20)


def test_progress_is_reported(wide, stub):
    seen = []
    Study(wide, stub("Diverging"), "random", repeats=2, confirm=2).run(20, seen.append)
    search = [p for p in seen if p.phase == "search"]
    assert [p.evaluations for p in search] == list(range(21))
    assert search[-1].remaining > 0, "the confirmation is to come"
    assert all(sum(p.counts.values()) == p.evaluations for p in search)
    scores = [p.best.score for p in search if p.best is not None]
    assert scores == sorted(scores)
    confirmation = [p for p in seen if p.phase == "confirmation"]
    assert confirmation[-1].evaluations == confirmation[-1].total > 0
    assert confirmation[-1].remaining == 0


def test_ask_and_tell_by_hand(wide, stub, tmp_path):
    with Study(wide, stub("Quick"), "random", run=tmp_path / "run") as study:
        candidates = study.ask(4)
        assert len(candidates) == 4
        assert all(c in wide for c in candidates)
        assert study.ask(4) == candidates, "what was asked and not told comes again"
        study.tell([Trial(c, (Outcome.finished(0.5),)) for c in candidates[:3]])
        assert study.ask(2)[0] == candidates[3]
        assert [t.score for t in study.trials] == [0.5] * 3
        with pytest.raises(InputError, match="was not asked for"):
            study.tell([Trial(candidates[0], (Outcome.finished(0.9),))])
        with pytest.raises(InputError, match="was not asked for"):
            study.tell([Trial(parse("sin(x)**3"), (Outcome.finished(0.9),))])
    with Study.resume(tmp_path / "run", task=stub("Quick")) as study:
        assert study.optimizer.told == 3
        assert study.ask(1)[0] == candidates[3]
        trials = study.run(16)
    assert len(trials) == 16
    assert [t.score for t in trials[:3]] == [0.5] * 3


def test_a_candidate_may_have_one_function_per_site(space, stub, tmp_path):
    class Pairs(Wanderer):
        name = "pairs"

        def ask(self, count):
            generator = np.random.default_rng([self.seed, len(self.trials)])
            return [(self.space.sample(generator), self.space.sample(generator)) for _ in range(count)]

    with Study(space, stub("Quick"), Pairs, run=tmp_path / "run", confirm=0) as study:
        trials = trace(study.run(20))
    with Study.resume(tmp_path / "run", 30, stub("Quick"), optimizer=Pairs) as study:
        assert trace(study.trials)[:20] == trials
        assert isinstance(study.trials[-1].candidate, tuple)


# What can be wrong: one line, and nothing half-made.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "no-such-task"}, "unknown task 'no-such-task'"),
        ({"task": "missing.py:Task"}, "missing.py: cannot be read"),
        ({"task": "stub_tasks.py"}, "name the class"),
        ({"task": 3}, "is not a task"),
        ({"optimizer": "gradient"}, "unknown optimizer 'gradient'"),
        ({"nonsense": 3}, "has no setting 'nonsense'"),
        ({"seed": -1}, "seed"),
        ({"batch": 0}, "batch"),
        ({"repeats": 0}, "repeats"),
        ({"budgets": (0.5, 0.2, 1.0)}, "budgets"),
        ({"budgets": (0.5,)}, "budgets"),
        ({"timeout": 3.0}, "need worker processes"),
        ({"memory": 1.0}, "need worker processes"),
        ({"executor": "cloud"}, "unknown executor"),
        ({"workers": -1}, "cannot be negative"),
    ],
)
def test_a_wrong_argument_is_one_clear_line_and_leaves_nothing(space, stub, tmp_path, changes, message):
    arguments = {"task": stub("Quick"), "optimizer": "random", "run": tmp_path / "run", **changes}
    with pytest.raises(InputError, match=message):
        Study(space, **arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class Task\n", "cannot be imported: SyntaxError"),
        ("import no_such_module\n", "cannot be imported: ModuleNotFoundError"),
        ("class Other: pass\n", "has no class 'Task'"),
        ("class Task: pass\n", "has no method `evaluate"),
        ("class Task:\n    def __init__(self):\n        1/0\n", "cannot be made: ZeroDivisionError"),
        ("Task = 3\n", "has no class 'Task'"),
    ],
)
def test_a_task_file_that_is_wrong_is_one_clear_line_and_leaves_nothing(space, tmp_path, text, message):
    (tmp_path / "task.py").write_text(text)
    with pytest.raises(InputError, match=message):
        Study(space, f"{tmp_path / 'task.py'}:Task", "random", run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_task_object_lives_in_this_process_alone_and_says_so(space, tmp_path):
    with pytest.raises(InputError, match="lives in this process alone"):
        Study(space, stub_tasks.Quick(), "random", run=tmp_path / "run", workers=2)
    assert not holds_study(tmp_path / "run")


def test_a_resume_never_runs_code_that_its_caller_did_not_name(space, tmp_path):
    file, sign = tmp_path / "task.py", tmp_path / "sign"
    text = f"open({str(sign)!r}, 'a').write('run')\nfrom {stub_tasks.__name__} import Quick as Task\n"
    file.write_text(text)
    Study(space, f"{file}:Task", "random", run=tmp_path / "run", confirm=0).run(10)
    sign.unlink()
    with pytest.raises(InputError, match=r"--task FILE\.py:Task"):
        Study.resume(tmp_path / "run")
    file.write_text(text + "# changed\n")
    with pytest.raises(InputError, match="has changed since"):
        Study.resume(tmp_path / "run", task=f"{file}:Task")
    with pytest.raises(InputError, match="not 'digits-deep'"):
        Study.resume(tmp_path / "run", task="digits-deep")
    assert not sign.exists(), "a task file was run although it does not match"
    file.write_text(text)
    with Study.resume(tmp_path / "run", 11, task=f"{file}:Task") as study:
        assert len(study.trials) == 11


def test_an_error_that_the_task_declares_its_own_stops_the_study_and_stores_nothing(space, stub, tmp_path):
    for workers in (0, 1):
        run = tmp_path / f"run{workers}"
        with Study(space, stub("WithoutData"), "random", run=run, workers=workers) as study:
            with pytest.raises(InputError, match="give --data DIR"):
                study.run(10)
            assert study.trials == []


def test_an_optimizer_that_needs_a_schedule_refuses_a_task_without(space, stub):
    class Scheduled(Wanderer):
        schedule = "three-cycle"

    with pytest.raises(InputError, match="`schedule` argument"):
        Study(space, stub("Quick"), Scheduled)


def test_a_schedule_reaches_the_task_for_candidates_with_mixture_weights_alone(space):
    from symact.expr.tree import from_document

    weight = {"name": "alpha", "init": 0.5, "per": "layer", "positive": False, "share": True}
    document = {
        "expressions": ["alpha*x + tanh(x)"],
        "parameters": [{**weight, "range": [-3.0, 3.0], "mixture": True}],
    }

    class Mixing(Wanderer):
        schedule = "bilevel"

        def ask(self, count):
            return [from_document(document, self.space.grammar)]

    seen = {}

    class Task:
        def evaluate(self, make_activation, seed, budget=1.0, schedule="joint"):
            seen[candidate_text(make_activation.candidate)] = schedule
            return Outcome.finished(0.5)

    Study(space, Task(), Mixing, confirm=0).run(len(BASELINES) + 1)
    assert seen["alpha*x + tanh(x)"] == "bilevel"
    assert {schedule for text, schedule in seen.items() if "alpha" not in text} == {"joint"}


def test_features_are_measured_once_per_function_and_kept(space, tmp_path):
    measured = []

    class Task(stub_tasks.Featured):
        def features(self, make_activation):
            measured.append(candidate_text(make_activation.candidate))
            if "cube" in measured[-1]:
                raise ValueError("cubes cannot be measured")
            return super().features(make_activation)

    class Curious(Wanderer):
        def __init__(self, space, seed, *, features=None):
            super().__init__(space, seed)
            self.features = features

        def ask(self, count):
            self.seen = self.features([self.space.sample(np.random.default_rng(n)) for n in range(12)])
            return super().ask(count)

    with Study(space, Task(), Curious, run=tmp_path / "run", confirm=0) as study:
        study.run(20)
        seen = study.optimizer.seen
    assert len(measured) == len(set(measured))
    assert seen["outputs"].shape == (12, 3)
    assert seen["fisher_weights"].shape == (2,)
    assert 0 < seen["finite"].sum() < 12
    assert np.isnan(seen["outputs"][~seen["finite"]]).all()
    with Study.resume(tmp_path / "run", 30, Task(), optimizer=Curious) as study:
        assert np.array_equal(study.optimizer.seen["outputs"], seen["outputs"], equal_nan=True)
    assert len(measured) == len(set(measured)), "a resume measured again"


def test_the_surrogate_measures_features_when_its_study_is_open(space, stub, tmp_path):
    with Study(space, stub("Featured"), "surrogate", run=tmp_path / "run", confirm=0) as study:
        assert study.store.features() == {}, "features cannot be stored before there is a store"
        study.run(16)
        assert study.store.features()


# Without batches.


def test_a_study_without_batches_evaluates_as_many_distinct_functions(wide, stub, tmp_path):
    with Study(wide, stub("Slow"), "random", tmp_path / "run", asynchronous=True, workers=2, confirm=0) as study:
        assert len(study.run(25)) == 25
    with Study.resume(tmp_path / "run", 32, stub("Slow")) as study:
        trials = study.trials
        assert study.optimizer.told == sum(t.origin == "random" for t in trials)
    assert len(trials) == 32
    assert len({study._ledger.key(t.candidate) for t in trials}) == 32


# Budgets.


def test_bad_candidates_stop_early_and_only_the_promising_get_all_seeds(wide, tmp_path):
    trained = tmp_path / "trained"
    study = Study(
        wide, stub_tasks.Counting(str(trained)), "random", run=tmp_path / "run", repeats=3, halving=True, confirm=0
    )
    study.run(80)
    lines = trained.read_text().splitlines()
    assert len(lines) == len(set(lines)), "a training was repeated"
    trials = [t for t in study.trials if t.origin != "baseline"]
    rungs = [(1 / 9, 1), (1 / 3, 1), (1.0, 1), (1.0, 3)]
    sizes = [sum((t.budget, len(t.outcomes)) == rung for t in trials) for rung in rungs]
    assert sizes[0] == 80 - len(BASELINES)
    assert sizes[0] / 3 * 0.5 <= sizes[1] <= sizes[0] / 3 * 1.5
    assert sizes[1] > sizes[2] > sizes[3] >= 1


def test_what_is_promoted_is_the_best_of_its_rung(wide, stub):
    study = Study(wide, stub("Quick"), "random", halving=True, confirm=0)
    trials = study.run(60)
    low = [t for t in trials if t.budget == 1 / 9 and t.origin != "baseline"]
    promoted = {candidate_text(t.candidate) for t in trials if t.budget == 1 / 3}
    ranked = sorted(low, key=lambda t: -t.score)
    assert candidate_text(ranked[0].candidate) in promoted
    assert not {candidate_text(t.candidate) for t in ranked[-20:]} & promoted


def test_every_baseline_is_measured_in_full(wide, stub):
    trials = Study(wide, stub("Quick"), "random", halving=True, repeats=2, confirm=0).run(20)
    full = [
        candidate_text(t.candidate) for t in trials if t.origin == "baseline" and (t.budget, len(t.outcomes)) == (1, 2)
    ]
    assert sorted(full) == sorted(BASELINES)


def test_only_full_measure_is_the_best_and_is_confirmed(wide, stub):
    study = Study(wide, stub("Quick"), "random", halving=True)
    study.run(40)
    assert {t.budget for t in study.best(40)} == {1.0}
    assert {t.budget for t in study.confirmations} == {1.0}


def test_an_optimizer_is_told_one_rung_only(wide, stub):
    study = Study(wide, stub("Quick"), Wanderer, halving=True, confirm=0)
    study.run(40)
    assert {t.budget for t in study.optimizer.trials} == {1 / 9}
