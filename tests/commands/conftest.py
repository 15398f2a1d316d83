"""What the tests of the subcommands share: a tiny search."""

from __future__ import annotations

import pytest

from tests.execute import stub_tasks


@pytest.fixture
def tiny(tmp_path):
    """A grammar of three functions, none of them a baseline."""
    path = tmp_path / "tiny.toml"
    path.write_text(
        'name = "tiny"\n[unary]\nsine = "sin(x)"\ncube = "x**3"\narc = "atan(x)"\n[spaces]\nall = ["unary(x)"]\n'
    )
    return str(path)


@pytest.fixture
def task():
    """A task that scores at once."""
    return stub_tasks.named("Quick")
