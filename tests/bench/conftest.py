"""What the tests of tables share: a small grammar and a made-up table."""

from __future__ import annotations

import math

import numpy as np
import pytest

from symact.bench import Table
from symact.program.loading import parse_grammar

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


@pytest.fixture(scope="session")
def small():
    """A grammar of pairs of usual functions."""
    return parse_grammar(GRAMMAR)


@pytest.fixture(scope="session")
def made(small) -> Table:
    """Scores of four seeds that grow with the row, and a little noise per seed; a tenth fails."""
    expressions = [str(expression) for expression in small.space()]
    generator = np.random.default_rng(0)
    scores = np.linspace(0, 1, len(expressions))[:, None] + 0.01 * generator.standard_normal((len(expressions), 4))
    scores[::10] = np.nan
    statuses = [["finished" if math.isfinite(s) else "diverged" for s in row] for row in scores]
    about = {"grammar": small.text, "space": "pairs", "task": "made up"}
    return Table(expressions, scores, statuses, {}, None, None, about, "made-up.parquet")
