"""Tables: written and read again, and which row a function has."""

from __future__ import annotations

import numpy as np
import pytest

from symact.bench import Table
from symact.errors import InputError
from symact.expr.tree import parse


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
