"""Tabular benchmarks: building resumes, import reads the published format, replay reads from the table."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pytest

from symact.bench import Table, build, compare, import_act_bench, replay, summarize
from symact.bench.building import partial
from symact.bench.replaying import Replay, Search, baseline_rows
from symact.bench.statistics import document as describe
from symact.bench.statistics import evaluations_to_top, interval, regret
from symact.errors import InputError
from symact.expr.grammar import load_grammar, parse_grammar
from symact.expr.tree import parse

GRAMMAR = """
name = "small"
[unary]
relu = "max(x, 0)"
tanh = "tanh(x)"
sin = "sin(x)"
sigmoid = "sigmoid(x)"
softplus = "softplus(x)"
elu = "elu(x)"
[binary]
add = "a + b"
max = "max(a, b)"
[spaces]
pairs = ["binary(unary(x), unary(x))", "unary(x)"]
"""
TASK = """
import pathlib, numpy, symact, torch
class Mine:
    name, sites = "mine", 1
    def __init__(self, data=None):
        self.log = pathlib.Path(data)
    def evaluate(self, make_activation, seed, budget=1.0):
        with self.log.open("a") as file:
            file.write("x")
        if len(self.log.read_text()) == 7:
            raise KeyboardInterrupt
        value = float(make_activation()(torch.linspace(-2, 2, 5)).sum().detach()) + seed / 100
        if abs(value - seed / 100) < 1e-6:
            return symact.Outcome.failed("diverged", "no")
        return symact.Outcome.finished(value, curve=[0.1, value])
    def features(self, make_activation):
        return {"fisher": numpy.linspace(0, 1, 200).reshape(2, 100), "fisher_weights": numpy.ones(2), "finite": True}
"""


def table(seeds: int = 4) -> Table:
    """Scores that grow with the row, and a little noise per seed; a tenth fails."""
    grammar = parse_grammar(GRAMMAR)
    expressions = [str(expression) for expression in grammar.space()]
    generator = np.random.default_rng(0)
    scores = np.linspace(0, 1, len(expressions))[:, None] + 0.01 * generator.standard_normal((len(expressions), seeds))
    scores[::10] = np.nan
    statuses = [["finished" if math.isfinite(s) else "diverged" for s in row] for row in scores]
    about = {"grammar": grammar.text, "space": "pairs", "task": "made up"}
    return Table(expressions, scores, statuses, {}, None, None, about, "made-up.parquet")


@pytest.fixture(scope="module")
def made() -> Table:
    return table()


def test_a_table_survives_the_file(tmp_path, made):
    fisher = np.random.default_rng(0).random((len(made), 2, 100)).cumsum(2)
    fisher[3] = np.nan
    finite = np.isfinite(fisher).all((1, 2))
    whole = Table(made.expressions, made.scores, made.statuses, {"loss": [1] * len(made)}, fisher, finite, made.about)
    whole.write(tmp_path / "t.parquet")
    read = Table.read(tmp_path / "t.parquet")
    assert read.expressions == made.expressions
    assert np.array_equal(read.scores, made.scores, equal_nan=True)
    assert read.finite.tolist() == finite.tolist()
    assert np.allclose(read.fisher[4], fisher[4], rtol=1e-3)
    assert np.isnan(read.fisher[3]).all()
    assert read.metrics["loss"] == [1] * len(made)


def test_a_file_that_is_no_table_is_one_clear_line(tmp_path):
    for name, content in (("a.parquet", b"text"), ("b.parquet", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            Table.read(tmp_path / name)
    with pytest.raises(InputError, match="no such table"):
        Table.read(tmp_path / "none.parquet")


def test_an_equal_function_meets_its_row(made):
    row = made.row_of(parse("add(relu(x),tanh(x))", made.grammar))
    assert row is not None
    assert made.row_of(parse("tanh(x) + relu(x)", made.grammar)) == row
    assert made.row_of(parse("tanh(x) - relu(x)", made.grammar)) is None


def test_of_several_rows_of_one_function_the_first_counts(made):
    first = made.expressions.index("add(relu(x),tanh(x))")
    second = made.expressions.index("add(tanh(x),relu(x))")
    assert made.row_of(parse("add(tanh(x),relu(x))", made.grammar)) == min(first, second)
    assert max(first, second) not in made.representatives


@pytest.mark.parametrize("start", ["baselines", "random"])
@pytest.mark.parametrize("optimizer", ["random", "evolution", "rl", "surrogate"])
def test_every_score_is_read_from_the_table(made, optimizer, start):
    document = describe(replay(optimizer, made, 20, 2, seed=1, start=start))
    json.dumps(document, allow_nan=False)
    assert [document[key] for key in ("optimizer", "table", "evaluations")] == [optimizer, "made-up.parquet", 20]
    for search in document["repeats"]:
        assert len(search["expressions"]) == len(search["scores"]) == 20
        assert len(set(search["expressions"])) == 20
        (seed,) = search["seen_seeds"]
        for text, score in zip(search["expressions"], search["scores"], strict=True):
            cell = made.scores[made.expressions.index(text), seed]
            assert (score is None) == bool(np.isnan(cell))
            assert score is None or score == cell


def test_baselines_come_first_in_the_words_of_the_table(made):
    document = describe(replay("random", made, 8, 1))
    expected = [made.expressions[row] for row in baseline_rows(made)]
    assert "elu" in expected[0]
    assert document["repeats"][0]["expressions"][: len(expected)] == expected
    assert document["repeats"][0]["start"] == len(expected)


def test_a_replay_is_the_same_twice_and_another_with_another_seed(made):
    first, again, other = (describe(replay("evolution", made, 25, 2, seed=s))["repeats"] for s in (1, 1, 2))
    assert first == again
    assert first != other
    assert first[0] != first[1]


def test_what_is_not_in_the_table_is_rejected_and_not_counted(made):
    few = Table(made.expressions[10:30], made.scores[10:30], made.statuses[10:30], about=made.about)
    search = replay("random", few, 12, 1).searches[0]
    assert len(search.rows) == 12
    assert search.rejected > 0


def test_a_search_ends_when_the_table_is_used_up(made):
    search = replay("random", made, 10_000, 1).searches[0]
    assert 0 < len(search.rows) <= len(made.representatives)


def test_a_mixture_cannot_replay(made):
    with pytest.raises(InputError, match="cannot replay"):
        replay("mixture", made)


def test_wrong_arguments_of_a_replay_are_named(made):
    with pytest.raises(InputError, match="annealing"):
        replay("annealing", made)
    with pytest.raises(InputError, match="nonsense"):
        replay("random", made, start="nonsense")
    with pytest.raises(InputError, match="colour"):
        replay("random", made, settings={"colour": 3})


def search_of(rows: list[int], made: Table, seen: int = 0, start: int = 2) -> Search:
    at = np.array(rows)
    return Search(at, made.scores[at, seen], made.scores[at][:, [1, 2, 3]].mean(1), start, (seen,), 0)


def test_regret_is_that_of_the_named_best_on_unseen_seeds(made):
    unseen = np.where(np.isfinite(made.scores).all(1), made.scores[:, [1, 2, 3]].mean(1), -np.inf)
    best = unseen[made.representatives].max()
    row = int(made.representatives[unseen[made.representatives].argmax()])
    values = regret(made, search_of([1, 2, 5, row], made))
    assert values == pytest.approx([best - unseen[2], best - unseen[5], 0.0])


def test_a_given_best_does_not_count_as_found(made):
    unseen = np.where(np.isfinite(made.scores).all(1), made.scores[:, [1, 2, 3]].mean(1), -np.inf)
    order = made.representatives[np.argsort(-unseen[made.representatives])].tolist()
    assert evaluations_to_top(made, search_of([order[0], 1, 2], made), 0.01) == math.inf
    assert evaluations_to_top(made, search_of([1, 2, 3, order[0]], made), 0.01) == 2


def test_every_seed_of_a_table_is_seen_equally_often(made):
    seen = [search.seen for search in replay("random", made, 9, 8, seed=3).searches]
    assert sorted(seen) == sorted([(0,), (1,), (2,), (3,)] * 2)
    assert seen[:4] != seen[4:] or seen != sorted(seen)
    pairs = [search.seen for search in replay("random", made, 9, 4, seen=2).searches]
    assert sorted(sum(pairs, ())) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_searches_that_share_what_they_see_are_no_independent_draws():
    values, groups = [1.0] * 10 + [9.0] * 10, [0] * 10 + [1] * 10
    _, low, high = interval(values, np.mean)
    _, wide_low, wide_high = interval(values, np.mean, groups=groups)
    assert low > 2.0
    assert high < 8.0
    assert (wide_low, wide_high) == (1.0, 9.0)
    # Groups of one are the ordinary bootstrap.
    assert interval(values, np.mean, groups=range(20)) == interval(values, np.mean)


def test_intervals_hold_the_statistic():
    value, low, high = interval([1, 2, 3, 4, 100.0])
    assert (value, low <= 3 <= high) == (3.0, True)
    assert interval([math.inf] * 5) == (math.inf, math.inf, math.inf)


def test_a_paired_difference_of_a_search_with_itself_is_nothing(made):
    one = replay("random", made, 20, 3)
    found = compare(one, one)
    assert found["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert isinstance(replay("random", made, 20, 3), Replay)
    assert summarize(one)["searches"] == 3


def test_random_starts_are_the_same_for_every_optimizer(made):
    one, two = (replay(name, made, 10, 3, start="random").searches for name in ("random", "surrogate"))
    assert all(a.rows[: a.start].tolist() == b.rows[: b.start].tolist() for a, b in zip(one, two, strict=True))
    assert [a.seen for a in one] == [b.seen for b in two]


CDF = np.linspace(0, 1, 200).tolist()
RECORDS = {
    "max(relu(x),cosh(elu(x)))": {"Validation Accuracy": 0.7, "Fisher log eigenvalue CDF": CDF, "Runtime (s)": 3.5},
    "add(relu(x),zero(x))": {"Validation Accuracy": 0.9, "Fisher log eigenvalue CDF": CDF},
    "sub(zero(x),tanh(x))": {"Validation Accuracy": None, "Fisher log eigenvalue CDF": []},
    "mul(erf(x),elu(x))": {"Validation Accuracy": 0.1, "Fisher log eigenvalue CDF": None},
}


@pytest.mark.parametrize("zipped", [False, True])
def test_the_published_format_is_read(tmp_path, zipped):
    path = tmp_path / ("act.json.gz" if zipped else "act.json")
    text = json.dumps(RECORDS).encode()
    path.write_bytes(gzip.compress(text) if zipped else text)
    imported = import_act_bench(path, tmp_path / "t.parquet", [64, 10])
    read = Table.read(tmp_path / "t.parquet")
    assert read.expressions == imported.expressions == list(RECORDS)
    assert read.scores[:2, 0].tolist() == [0.7, 0.9]
    assert np.isnan(read.scores[2, 0])
    assert read.finite.tolist() == [True, True, False, False]
    assert read.fisher.shape == (4, 2, 100)
    assert np.allclose(read.fisher[0].ravel(), CDF, atol=1e-3)
    assert read.about["fisher_weights"] == [64, 10]
    assert read.metrics["Runtime (s)"][0] == [3.5]


def test_an_imported_table_replays(tmp_path):
    path = tmp_path / "act.json"
    path.write_text(json.dumps(RECORDS))
    import_act_bench(path, tmp_path / "t.parquet")
    document = describe(replay("random", str(tmp_path / "t.parquet"), 3, 1))
    assert document["repeats"][0]["expressions"][0] == "add(relu(x),zero(x))"
    assert document["repeats"][0]["scores"][0] == 0.9


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "object of records"),
        ('{"sin(": {"Validation Accuracy": 1}}', "not an expression"),
        ('{"relu(x)": {"Validation Accuracy": "high"}}', "expected a number"),
        (
            '{"add(relu(x),swish(x))": {"val_accuracy": 0.7}}',
            "no key 'Validation Accuracy'; its keys are 'val_accuracy'",
        ),
        ('{"relu(x)": {}}', "no key 'Validation Accuracy'; its keys are none"),
        ('{"relu(x)": {"Validation Accuracy": 1}, "tanh(x)": {"validation accuracy": 1}}', "'tanh.x.': it has no key"),
        (
            '{"x": {"Validation Accuracy": 1, "Fisher log eigenvalue CDF": []}, "tanh(x)": {"Validation Accuracy": 1}}',
            "no key 'Fisher log eigenvalue CDF'",
        ),
        ('{"relu(x)": {"Validation Accuracy": 1, "Fisher log eigenvalue CDF": [1, 2]}}', "100 bins"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, content, message):
    path = tmp_path / "act.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        import_act_bench(path)
    assert "act.json" in str(caught.value)


def test_layer_weights_must_fit(tmp_path):
    path = tmp_path / "act.json"
    path.write_text(json.dumps(RECORDS))
    with pytest.raises(InputError, match="3 layer weights for 2 layers"):
        import_act_bench(path, layer_weights=[1, 2, 3])


def test_a_build_goes_on_where_it_stopped(tmp_path):
    task, log, output = tmp_path / "mine.py", tmp_path / "log", tmp_path / "t.parquet"
    task.write_text(TASK)
    grammar = parse_grammar(GRAMMAR)
    with pytest.raises(KeyboardInterrupt):
        build(f"{task}:Mine", grammar, None, output, 2, data=str(log), limit=5)
    assert not output.exists()
    assert len(partial(output)) == 5
    finished = build(f"{task}:Mine", grammar, None, output, 2, data=str(log), limit=5)
    assert len(log.read_text()) == 11
    assert finished.scores.shape == (5, 2)
    assert not (tmp_path / "t.parquet.journal").exists()
    read = Table.read(output)
    assert np.allclose(read.scores[:, 1] - read.scores[:, 0], 0.01, equal_nan=True)
    assert read.metrics["curve"][0][0][0] == 0.1
    assert read.finite.all()
    assert read.about["fisher_weights"] == [1.0, 1.0]


def test_a_journal_of_another_build_is_refused(tmp_path):
    output = tmp_path / "t.parquet"
    (tmp_path / "t.parquet.journal").write_text('{"task": "another"}\n')
    with pytest.raises(InputError, match="another build"):
        build("digits-deep", load_grammar("first"), "small", output, 1, limit=1)
