"""What the tests of studies share: the stub tasks of tests/execute, and spaces to search."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "execute"
sys.path += [str(FOLDER), str(Path(__file__).parent)]


@pytest.fixture
def stub():
    """Name of a class in the stub tasks -> the task as named on the command line."""
    return lambda name: f"{FOLDER / 'stub_tasks.py'}:{name}"


@pytest.fixture(scope="session")
def space():
    """A space of 128 expressions, without misbehaviour."""
    import stub_tasks

    from symact.expr.grammar import parse_grammar

    return parse_grammar(stub_tasks.grammar_text()).space("main")


@pytest.fixture(scope="session")
def wide():
    """A space that is too large to be used up."""
    import stub_tasks

    from symact.expr.grammar import parse_grammar

    return parse_grammar(stub_tasks.grammar_text()).space("wide")
