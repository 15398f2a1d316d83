"""Every example that a `--help` gives can be typed: it parses, and names what is there."""

from __future__ import annotations

import shlex

import pytest
from typer.main import get_command

from symact.cli import app
from symact.expr.tree import parse
from symact.optimize import OPTIMIZERS
from symact.program.loading import load_grammar
from symact.tasks import TASKS


def commands(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


KNOWN = dict(commands(get_command(app)))


def examples():
    for path, command in KNOWN.items():
        _, found, text = (command.epilog or "").partition(":")
        for example in text.split(";  ") if found else ():
            yield pytest.param(path, example.strip(), id=example.strip())


@pytest.mark.parametrize(("path", "example"), [*examples()])
def test_an_example_parses_and_names_what_is_there(path, example):
    words = shlex.split(example.partition(">")[0])
    assert tuple(words[: len(path) + 1]) == ("symact", *path)
    given = KNOWN[path].make_context("symact", words[len(path) + 1 :]).params
    if path != ("compile",) or not given["target"].endswith(".toml"):
        grammar = load_grammar(given["grammar"]) if given.get("grammar") else None
        written = [given.get("target"), given.get("expression"), given.get("against"), *(given.get("functions") or ())]
        for text in written:
            if text is not None and "(" in text:
                parse(text, grammar)
        if given.get("space") and grammar is not None:
            assert given["space"] in grammar.spaces
    if "optimizer" in given:
        assert given["optimizer"] in OPTIMIZERS
    if given.get("task") and ".py:" not in given["task"]:
        assert given["task"] in TASKS


def test_every_command_that_takes_arguments_gives_an_example():
    bare = {" ".join(path) for path, command in KNOWN.items() if not (command.epilog or "").startswith("Example")}
    assert bare == {"tasks", "grammars"}
