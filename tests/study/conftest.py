"""What the tests of studies share: the stub tasks of tests/execute, and spaces to search."""

from __future__ import annotations

import pytest

from symact.program.loading import parse_grammar
from tests.execute import stub_tasks


@pytest.fixture
def stub():
    """Name of a class in the stub tasks -> the task as named on the command line."""
    return stub_tasks.named


@pytest.fixture(scope="session")
def space():
    """A space of 128 expressions, without misbehaviour."""
    return parse_grammar(stub_tasks.grammar_text()).space("main")


@pytest.fixture(scope="session")
def wide():
    """A space that is too large to be used up."""
    return parse_grammar(stub_tasks.grammar_text()).space("wide")
