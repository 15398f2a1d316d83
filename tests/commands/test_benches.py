"""`symact bench`: build, import and replay, from file to file."""

from __future__ import annotations

import json

import pytest

from symact.bench import Table


@pytest.fixture
def published(tmp_path):
    cdf = [number / 200 for number in range(200)]
    records = {
        f"add({name}(x),zero(x))": {"Validation Accuracy": accuracy, "Fisher log eigenvalue CDF": cdf}
        for name, accuracy in (("relu", 0.5), ("tanh", 0.7), ("elu", 0.9), ("swish", None))
    }
    (tmp_path / "act.json").write_text(json.dumps(records))


@pytest.mark.usefixtures("published")
def test_a_published_file_becomes_a_table_that_replays(symact):
    code, out, _ = symact("bench", "import", "act.json", "--output", "t.parquet", "--layer-weights", "64,10")
    assert (code, out) == (0, "wrote t.parquet: 4 functions\n")
    assert Table.read("t.parquet").about["fisher_weights"] == [64, 10]
    code, out, _ = symact("bench", "replay", "random", "--table", "t.parquet", "--evaluations", "3", "--json")
    assert code == 0
    document = json.loads(out)
    assert (document["optimizer"], document["evaluations"], len(document["repeats"])) == ("random", 3, 1)
    code, out, _ = symact("bench", "replay", "random", "--table", "t.parquet", "--evaluations", "3", "--repeats", "2")
    assert code == 0
    assert "2 searches of 3 evaluations, from baselines" in out
    assert "best found: add(elu(x),zero(x)) with 0.9000" in out


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("import", "act.json", "--output", "t.csv"), ".parquet"),
        (("import", "act.json", "--output", "t.parquet", "--layer-weights", "1;2"), "numbers separated by commas"),
        (("import", "missing.json", "--output", "t.parquet"), "missing.json"),
        (("replay", "mixture", "--table", "t.parquet"), "mixture|t.parquet"),
        (
            ("build", "--task", "nothing", "--grammar", "first", "--space", "small", "--output", "t.parquet"),
            "unknown task",
        ),
    ],
)
def test_a_wrong_argument_is_one_line_and_writes_nothing(symact, tmp_path, arguments, message):
    import re

    code, out, err = symact("bench", *arguments)
    assert (code, out) == (2, "")
    assert re.search(message, err.splitlines()[0])
    assert not (tmp_path / "t.parquet").exists()


def test_a_table_is_built_from_a_task_of_ones_own(symact, tiny, task):
    code, out, _ = symact(
        "bench", "build", "--task", task, "--grammar", tiny, "--space", "all", "--seeds", "2", "--output", "t.parquet"
    )
    assert (code, out) == (0, "wrote t.parquet: 3 functions, 2 seeds each\n")
    assert Table.read("t.parquet").scores.shape == (3, 2)
