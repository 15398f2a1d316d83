"""Tasks by name, from a file, as an object: described as text, and loaded from that text alone."""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from symact.errors import InputError
from symact.execute.task_loading import MAXIMUM_BYTES, configured, describe, load, opened, takes_schedule
from symact.tasks.declaration import task_name
from tests.execute import stub_tasks as stubs

TEXT = "class Mine:\n    def evaluate(self, make_activation, seed, budget=1.0):\n        return {number}\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(TEXT.format(number=1))
    return path


def test_a_file_is_described_by_its_text_and_hash(file):
    settings, path = describe(f"{file}:Mine")
    assert (settings.kind, settings.name, path) == ("file", "Mine", str(file))
    assert settings.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_is_loaded_is_the_text_that_was_described(file):
    settings, path = describe(f"{file}:Mine")
    file.write_text(TEXT.format(number=2))
    assert load(settings, path, None).evaluate(None, 0) == 1
    file.unlink()
    assert load(settings, path, None).evaluate(None, 0) == 1


def test_a_named_task_and_an_object_are_described_without_a_text():
    settings, path = describe("digits-deep")
    assert (settings.kind, settings.name, settings.text, path) == ("name", "digits-deep", "", "")
    settings, _ = describe(stubs.Quick())
    assert (settings.kind, settings.name) == ("object", "tests.execute.stub_tasks.Quick")


def test_settings_of_the_training_are_described_and_reach_the_task():
    settings, path = describe("digits-deep", {"epochs": 2, "weight_decay": 1})
    assert settings.shown == "digits-deep (epochs=2, weight_decay=1)"
    config = load(settings, path, None).config
    assert (config.epochs, config.weight_decay) == (2, 1)
    assert load(describe("digits-deep")[0], "", None).config != config


def test_a_task_of_the_users_takes_settings_by_its_method_configure(tmp_path):
    text = (
        TEXT.format(number="self.depth")
        + "    def configure(self, settings):\n        self.depth = settings['depth']\n"
    )
    (tmp_path / "mine.py").write_text(text)
    settings, path = describe(f"{tmp_path / 'mine.py'}:Mine", {"depth": 7})
    assert load(settings, path, None).evaluate(None, 0) == 7
    with pytest.raises(InputError, match="task 'Mine' cannot be configured: KeyError: 'depth'"):
        load(settings.model_copy(update={"train": {"width": 1}}), path, None)


def test_settings_that_nothing_takes_are_refused(file):
    settings, path = describe(f"{file}:Mine", {"epochs": 2})
    with pytest.raises(InputError, match=r"task 'Mine' takes no settings \(epochs\): it has no method `configure"):
        load(settings, path, None)
    with pytest.raises(InputError, match="set its training on the object itself"):
        describe(stubs.Quick(), {"epochs": 2})


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (stubs.Quick, "is not a task"),
        (3, "is not a task"),
        ("nothing", "unknown task 'nothing'"),
        ("mine.py", "mine.py:MyTask"),
        ("mine.txt:Mine", "expected the name"),
        ("mine.py:not a name", "expected the name"),
        ("missing.py:Mine", "cannot be read"),
    ],
)
def test_what_is_no_task_is_told_how_to_name_one(task, message):
    with pytest.raises(InputError, match=message):
        describe(task)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "UTF-8"),
        (b"#" * (MAXIMUM_BYTES + 1), "larger than"),
        (b"class Mine: ...", "has no method `evaluate"),
        (b"class Other: ...", "no class 'Mine'"),
        (b"Mine = 3", "no class 'Mine'"),
        (b"1/0", "ZeroDivisionError"),
        (b"class Mine(:", "SyntaxError.*line 1"),
        (b"class Mine:\n    def __init__(self):\n        raise ValueError('no')", "cannot be made: ValueError"),
    ],
)
def test_a_file_without_a_task_is_told_what_is_missing(file, content, message):
    file.write_bytes(content)

    def attempt():
        return load(*describe(f"{file}:Mine"), None)

    with pytest.raises(InputError, match=message):
        attempt()


def test_data_goes_to_a_class_that_takes_it(file):
    assert load(*describe(stubs.named("Quick")), "folder").data == "folder"
    load(*describe(f"{file}:Mine"), "folder")


def test_neighbours_are_imported_last(file, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (file.parent / "json.py").write_text("raise RuntimeError('took the place of a library')")
    (file.parent / "beside_mine.py").write_text("number = 5")
    file.write_text("import json\nfrom beside_mine import number\n" + TEXT.format(number="number"))
    assert load(*describe(f"{file}:Mine"), None).evaluate(None, 0) == 5


def test_a_schedule_is_taken_where_evaluate_names_it():
    assert takes_schedule(stubs.Scheduled())
    assert not takes_schedule(stubs.Quick())


@dataclass
class Config:
    rate: float = 0.1
    more: dict = field(default_factory=lambda: {"decay": [0.1]})


@dataclass(frozen=True)
class Frozen:
    rates: dict = field(default_factory=lambda: {"rate": 0.1})


class Bare:
    """What a task may hold beside its settings, and is shared."""


class Kept:
    """Holds settings in every way that `configure` may change in place."""

    def __init__(self):
        self.table, self.rows, self.names = {"rate": 0.1, "deep": {"rate": 0.1}}, [0.1, [0.1]], {0.1}
        self.config, self.frozen, self.space = Config(), Frozen(), SimpleNamespace(rate=0.1, rates=[0.1])
        self.pair, self.again, self.own, self.data = ({"rate": 0.1},), self.table, self, Bare()
        self.counts = defaultdict(list, rate=[0.1])

    def evaluate(self, make_activation, seed, budget=1.0):
        raise NotImplementedError

    def configure(self, settings):
        rate = settings["rate"]
        self.again["rate"] = self.table["deep"]["rate"] = self.rows[0] = self.rows[1][0] = rate
        self.names.add(rate)
        self.config.rate = self.config.more["decay"][0] = self.frozen.rates["rate"] = rate
        self.space.rate = self.space.rates[0] = self.pair[0]["rate"] = self.counts["rate"][0] = rate


def test_settings_of_one_training_do_not_reach_the_task_they_are_taken_from():
    task = Kept()
    shown = [repr(value) for name, value in vars(task).items() if name != "own"]
    first, second = configured(task, {"rate": 1.0}), configured(task, {"rate": 2.0})
    assert [repr(value) for name, value in vars(task).items() if name != "own"] == shown
    for copied, rate in ((first, 1.0), (second, 2.0)):
        assert copied.table == {"rate": rate, "deep": {"rate": rate}}
        assert copied.rows == [rate, [rate]]
        assert copied.names == {0.1, rate}
        assert (copied.config, copied.frozen) == (Config(rate, {"decay": [rate]}), Frozen({"rate": rate}))
        assert (copied.space, copied.pair) == (SimpleNamespace(rate=rate, rates=[rate]), ({"rate": rate},))
        assert copied.counts == {"rate": [rate]}
        assert copied.again is copied.table
        assert copied.own is copied
        assert copied.data is task.data
    assert configured(task, {}) is task


def test_a_task_whose_name_raises_is_called_by_its_class(tmp_path):
    text = TEXT.format(number=1) + "    @property\n    def name(self):\n        raise RuntimeError('not yet')\n"
    (tmp_path / "mine.py").write_text(text)
    found = opened(f"{tmp_path / 'mine.py'}:Mine")
    assert (found.settings.title, found.settings.shown) == ("", "Mine")
    assert task_name(found.task) == "task Mine"
    with pytest.raises(InputError, match="task 'Mine' takes no settings"):
        configured(found.task, {"rate": 1})
