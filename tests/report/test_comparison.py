"""A comparison counts as statisticians do, and says so in 80 columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from symact.errors import InputError
from symact.records import Outcome, Status
from symact.report.comparison import Comparison
from symact.report.paired import holm, paired_p
from symact.study.comparing import begin, goal, read
from symact.study.comparing import finished as finished_table


class Planned:
    """The scores of the expressions are in the class; `None` is a failure."""

    metric, direction, number_format = "RMSE", "minimize", ".3f"
    plan: dict[str, list] = {}

    def evaluate(self, make_activation, seed, budget=1.0):
        text = str(make_activation.candidate)
        seen = self.seen.setdefault(text, [])
        seen.append(seed)
        score = self.plan[text][len(seen) - 1]
        return Outcome.failed("diverged", "too far") if score is None else Outcome.finished(score)


def compared(plan, seeds=5, **options) -> Comparison:
    task = Planned()
    task.plan, task.seen = plan, {}
    with begin(list(plan), task, seeds, **options) as study:
        study.run(goal(study))
        return Comparison.of(study.store)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=12))
def test_holm_is_the_step_down_of_its_definition(values):
    order = np.argsort(values, kind="stable")
    expected, so_far = np.empty(len(values)), 0.0
    for rank, position in enumerate(order):
        so_far = max(so_far, (len(values) - rank) * values[position])
        expected[position] = min(so_far, 1.0)
    assert holm(values) == pytest.approx(expected)


def test_holm_of_a_textbook():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("count", [3, 5, 20])
def test_the_p_value_is_that_of_scipy(count):
    generator = np.random.default_rng(count)
    a, b = generator.normal(0, 1, count), generator.normal(0.3, 1, count)
    assert paired_p(a, b) == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-9)


def test_pairs_that_do_not_differ_have_p_one_and_those_that_all_differ_alike_p_zero():
    assert paired_p([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == 1.0
    assert paired_p([1.5, 2.5, 3.5], [1.0, 2.0, 3.0]) == 0.0


PLAN = {
    "relu(x)": [0.50, 0.51, 0.52, 0.53, 0.54],
    "tanh(x)": [0.40, 0.412, 0.418, 0.431, 0.44],
    "sin(x)": [0.60, 0.612, 0.618, 0.631, 0.64],
    "atan(x)": [0.50, 0.49, 0.55, 0.52, 0.54],
    "cos(x)": [0.50, 0.51, 0.52, 0.53, 0.54],
    "exp(x)": [0.1, None],
}


def test_a_loss_is_ordered_from_the_lowest_with_places_and_verdicts():
    rows = compared(PLAN).rows
    assert [(row.expression, row.place, row.verdict) for row in rows] == [
        ("tanh(x)", 1, "better"),
        ("relu(x)", 2, "reference"),
        ("atan(x)", 2, "tie"),
        ("cos(x)", 2, "tie"),
        ("sin(x)", 5, "worse"),
        ("exp(x)", None, ""),
    ]
    assert rows[-1].status == Status.diverged
    assert rows[-1].mean is None


def test_differences_and_p_values_are_paired_and_corrected_for_all_tests():
    rows = {row.expression: row for row in compared(PLAN).rows}
    tested = ["tanh(x)", "sin(x)", "atan(x)", "cos(x)"]
    raw = [paired_p(PLAN[name], PLAN["relu(x)"]) for name in tested]
    assert [rows[name].p for name in tested] == pytest.approx(holm(raw))
    low, high = stats.ttest_rel(PLAN["tanh(x)"], PLAN["relu(x)"]).confidence_interval(0.95)
    assert (rows["tanh(x)"].difference.low, rows["tanh(x)"].difference.high) == pytest.approx((low, high))
    assert rows["relu(x)"].p is rows["exp(x)"].p is rows["relu(x)"].difference is None
    assert rows["tanh(x)"].sd == pytest.approx(np.std(PLAN["tanh(x)"], ddof=1))


def test_what_is_not_told_apart_from_the_first_place_is_named():
    plan = {"relu(x)": [0.5, 0.6, 0.7], "sin(x)": [0.4, 0.7, 0.6], "tanh(x)": [0.9, 1.0, 1.1001]}
    table = compared(plan, 3)
    assert [row.tied_with_best for row in table.rows] == [False, True, False]
    assert any(note.startswith("not told apart from the first place:") for note in table.notes())


def test_with_fewer_than_three_seeds_nothing_is_claimed():
    table = compared({"relu(x)": [0.5, 0.5], "sin(x)": [0.1, 0.1]}, 2)
    assert [(row.expression, row.p, row.verdict) for row in table.rows] == [
        ("sin(x)", None, ""),
        ("relu(x)", None, "reference"),
    ]
    assert "no intervals: they need at least 3 seeds" in table.notes()


def test_the_same_function_in_other_words_is_trained_once_and_shown_as_such():
    plan = {"relu(x)": [0.5] * 3, "swish(x)": [0.4, 0.5, 0.3], "x*sigmoid(x)": [], "max(x, 0)": []}
    table = compared(plan, 3)
    same = {row.expression: row.same_as for row in table.rows}
    assert same == {"relu(x)": None, "max(x, 0)": "relu(x)", "swish(x)": None, "x*sigmoid(x)": "swish(x)"}
    scores = {row.expression: row.scores for row in table.rows}
    assert scores["x*sigmoid(x)"] == scores["swish(x)"]
    assert "Holm's correction for 1;" in " ".join(table.notes())


def test_the_reference_is_compared_although_it_was_not_named():
    plan = {"sin(x)": [0.4, 0.5, 0.3]}
    task = Planned()
    task.plan, task.seen = {**plan, "tanh(x)": [0.6, 0.7, 0.1]}, {}
    with begin(["sin(x)"], task, 3, "tanh(x)") as study:
        study.run(goal(study))
        table = finished_table(study)
    assert {row.expression for row in table.rows} == {"sin(x)", "tanh(x)"}
    assert table.reference.expression == table.against == "tanh(x)"
    assert all(seeds == task.seen["sin(x)"] for seeds in task.seen.values()), "not the same seeds"


def test_a_document_has_the_cost_in_nanoseconds_and_that_of_the_table_by_its_side():
    table = compared({"relu(x)": [0.5], "sin(x)": [0.4]}, 1).with_costs([5.0, 2.0])
    assert [row.expression for row in table.rows] == ["sin(x)", "relu(x)"]
    costs = {row["expression"]: (row["cost"], row["relative_cost"]) for row in table.document()["functions"]}
    assert costs == {"relu(x)": (2.0, 1.0), "sin(x)": (5.0, 2.5)}
    assert [table.cells(row)["cost"] for row in table.rows] == ["2.5", "1.0"]


def test_the_table_is_html_without_markup_of_strangers():
    class Nasty(Planned):
        metric = "<script>"

    task = Nasty()
    task.plan, task.seen = {"relu(x)": [0.5] * 3, "sin(x)": [0.4, 0.3, 0.2]}, {}
    with begin(["sin(x)"], task, 3) as study:
        study.run(goal(study))
        table = Comparison.of(study.store)
    assert "<script>" not in table._repr_html_()
    assert "&lt;script&gt;" in table._repr_html_()
    assert "-0.200" in table._repr_html_()


def test_the_table_converts_to_pandas():
    table = compared({"relu(x)": [0.5] * 3, "sin(x)": [0.4, 0.3, 0.2]}, 3)
    try:
        import pandas  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match="pip install pandas"):
            table.to_pandas()
        return
    frame = table.to_pandas()
    assert list(frame["expression"]) == ["sin(x)", "relu(x)"]
    assert {"mean", "sd", "difference", "low", "high", "p", "status"} <= set(frame.columns)


def test_a_text_and_its_expression_are_read_alike():
    from symact.program.loading import load_grammar

    grammar = load_grammar("aquasurf")
    assert read("add(x,relu(x))", grammar, "functions") == read(
        read("add(x,relu(x))", grammar, ""), grammar, "functions"
    )
