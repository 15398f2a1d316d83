"""Any text whatever is read or refused in one clear line, within a second; run.py does the same for longer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import targets

ROOT = Path(__file__).parents[2]
NAMES = sorted(targets.TARGETS)


def texts(name):
    """Words of the target's language, any text, and seeds with a piece exchanged."""
    words = st.lists(st.sampled_from(targets.WORDS[name]), max_size=30).map("".join)
    spliced = st.tuples(st.sampled_from(targets.seeds(name)), st.integers(0, 400), st.integers(0, 20), words).map(
        lambda parts: parts[0][: parts[1]] + parts[3] + parts[0][parts[1] + parts[2] :]
    )
    return st.one_of(spliced, words, st.text(max_size=60))


@pytest.mark.parametrize("name", NAMES)
def test_any_text_is_read_or_refused_in_one_line_within_a_second(name):
    target = targets.TARGETS[name]

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(texts(name))
    def run(text):
        began = time.process_time()
        target(text)
        assert time.process_time() - began < 1.0, "processor time of this process, whatever else is running"

    run()


@pytest.mark.parametrize("name", NAMES)
def test_the_seeds_are_read_and_not_merely_refused(name, monkeypatch):
    """Else the fuzzer would try the error messages alone."""
    refused = []
    monkeypatch.setattr(targets, "refuse", refused.append)
    for text in targets.seeds(name):
        targets.TARGETS[name](text)
    assert len(refused) < len(targets.seeds(name)) * (3 if name == "formula" else 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("candidate", '{"expressi5ns": ["relu(x)"], "parameters": [], "grammar": false}'),
        ("candidate", '{"expressions": [1], "parameters": 3}'),
        ("candidate", '{"expressions": ["x"], "parameters": [{"name": "\\u001b[2J"}]}'),
        ("settings", '{"task":{"\\n[p": 1}}'),
        ("outcome", '{"status":"finished","score":0.5,"reason":"","metrics":{},"constants":[{"beta":1.1e4000}]}'),
        ("outcome", '{"status":"finished","score":' + "9" * 400 + ',"reason":"","metrics":{},"constants":[]}'),
        ("grammar", '[unary]\n"\\u001b[2J" = "x"'),
    ],
)
def test_what_the_fuzzer_found_stays_found(name, text):
    targets.TARGETS[name](text)


def test_a_message_that_a_terminal_would_obey_fails_the_fuzzer():
    with pytest.raises(AssertionError, match="control characters"):
        targets.refuse("\x1b[2J")
    with pytest.raises(AssertionError, match="more than a line"):
        targets.refuse("one\ntwo")


def test_the_fuzzer_says_clearly_that_it_needs_atheris(tmp_path):
    (tmp_path / "atheris.py").write_text("raise ImportError\n")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", "shape"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "pip install atheris" in done.stderr


@pytest.mark.slow
def test_the_fuzzer_runs_and_counts_where_atheris_is_installed():
    pytest.importorskip("atheris", reason="ATHERIS IS NOT INSTALLED: the coverage-guided fuzzer did not run")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", "shape", "--seconds", "4"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    name, counts = done.stdout.split(" ", 1)
    assert name == "shape"
    assert json.loads(counts)["executions"] > 100
