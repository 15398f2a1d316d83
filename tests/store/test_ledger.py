"""The ledger: a cache of the store that says the same after it is rebuilt from disk."""

from __future__ import annotations

import numpy as np

from symact.expr.tree import parse
from symact.program.loading import parse_grammar
from symact.records import Outcome
from symact.store import Evaluation, Settings, Store, TaskSettings
from symact.store.ledger import Ledger, Request

GRAMMAR = """
name = "tiny"
[unary]
identity = "x"
tanh = "tanh(x)"
twice = "2*x"
[binary]
add = "a + b"
[spaces]
main = ["binary(unary(x), unary(x))"]
"""


def new(tmp_path, **changes):
    task = TaskSettings(kind="name", name="digits-deep")
    settings = Settings.build(**{"grammar": GRAMMAR, "space": "main", "task": task, "optimizer": "random", **changes})
    return Store.create(tmp_path / "run", settings)


def wanted(text, **changes):
    return Request(parse(text, parse_grammar(GRAMMAR)), "random", **{"budget": 1.0, "repeats": 1, **changes})


def state(ledger):
    return (
        ledger.rows,
        ledger.counted,
        dict(ledger.counts),
        ledger.cached_in_a_row,
        ledger.last_batch,
        ledger.champion,
        ledger.open(),
        ledger.best(9),
        ledger.trials(),
        list(ledger.turns()),
    )


def test_the_same_function_in_other_words_is_known(tmp_path):
    with new(tmp_path) as store:
        ledger = Ledger(store)
        texts = ("add(identity(x),tanh(x))", "add(tanh(x),identity(x))", "add(tanh(x),tanh(x))", "x + tanh(x)")
        ledger.ask(0, [wanted(text) for text in texts])
        assert [row.known for row in ledger.rows] == [None, 0, None, 0]
        assert not ledger.is_new(parse("tanh(x) + x"))
        assert ledger.is_new(parse("tanh(x) - x"))
        assert ledger.is_new(parse("tanh(x) - x")), "asking whether it is new made it known"


def test_a_rebuilt_ledger_says_the_same(tmp_path):
    generator = np.random.default_rng(3)
    space = parse_grammar(GRAMMAR).space()
    with new(tmp_path, repeats=2) as store:
        ledger = Ledger(store)
        for batch in range(6):
            numbers = ledger.ask(batch, [Request(space.sample(generator), "random", 1.0, 2) for _ in range(4)])
            for number in numbers:
                while not ledger.is_complete(number) and ledger.rows[number].known is None:
                    repeat = ledger.next_repeat(number)
                    outcome = Outcome.finished(generator.random()) if batch != 3 else Outcome.failed("crashed", "boom")
                    ledger.finish(Evaluation(number, repeat, 1, outcome, 0.5))
            if batch < 5:
                ledger.tell(numbers)
        ledger.is_new(parse("sin(x)"))
        before = state(ledger)
        assert before[6], "nothing was open"
    with Store.open(tmp_path / "run", readonly=False) as store:
        assert state(Ledger(store)) == before


def test_a_promoted_trial_keeps_what_it_has_at_the_same_budget(tmp_path):
    with new(tmp_path, repeats=3) as store:
        ledger = Ledger(store)
        ledger.ask(0, [wanted("tanh(x)")])
        ledger.finish(Evaluation(0, 0, 11, Outcome.finished(0.5), 1.0))
        ledger.ask(1, [wanted("tanh(x)", repeats=3, promoted=0)])
        assert ledger.next_repeat(1) == 1
        ledger.finish(Evaluation(1, 1, 12, Outcome.finished(0.7), 1.0))
        ledger.finish(Evaluation(1, 2, 13, Outcome.finished(0.9), 1.0))
        assert ledger.trial(1).scores == (0.5, 0.7, 0.9)
        assert ledger.counted == 1, "a promotion was counted as another function"
        before = state(ledger)
    with Store.open(tmp_path / "run", readonly=False) as store:
        assert state(Ledger(store)) == before
