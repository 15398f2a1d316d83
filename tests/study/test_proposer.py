"""What a study asks for next: baselines, what the optimizer proposes, and random search where that is not enough."""

from __future__ import annotations

import numpy as np
import pytest

from symact.optimize import OPTIMIZERS
from symact.records import Outcome
from symact.store import Evaluation, Settings, Store, TaskSettings
from symact.store.ledger import Ledger
from symact.study.baselines import BASELINES
from symact.study.proposer import BASELINE_BATCH, PATIENCE, Proposer


class Scripted:
    """Asks for what it is given, and notes what it is told."""

    def __init__(self, expressions):
        self.expressions, self.told = expressions, []

    def ask(self, count):
        return self.expressions[:count]

    def tell(self, trials):
        self.told += trials


@pytest.fixture
def begun(wide, tmp_path):
    """A proposer over a new store, and its ledger: `begun(expressions)`."""
    opened = []

    def begin(expressions, batch=4):
        task = TaskSettings(kind="name", name="digits-deep")
        made = Settings.build(
            grammar=wide.grammar.text, space="wide", task=task, optimizer="scripted", batch=batch, confirm=0
        )
        store = Store.create(tmp_path / f"run{len(opened)}", made)
        opened.append(store)
        ledger, optimizer = Ledger(store), Scripted(expressions)
        random = OPTIMIZERS["random"]
        proposer = Proposer(wide, made, ledger, optimizer, lambda: random(wide, 0), lambda expression: None)
        return proposer, ledger, optimizer

    yield begin
    for store in opened:
        store.close()


def finish(ledger, numbers):
    for number in numbers:
        if not ledger.is_complete(number):
            ledger.finish(Evaluation(number, 0, 7, Outcome.finished(number / 100), 0.1))


def drawn(space, count, seed=1):
    generator = np.random.default_rng(seed)
    return [space.sample(generator) for _ in range(count)]


def test_baselines_come_first_and_are_no_batch_of_the_optimizer(begun):
    proposer, ledger, optimizer = begun([])
    numbers = proposer.next_batch(100)
    assert len(numbers) == len(BASELINES)
    assert {ledger.rows[number].batch for number in numbers} == {BASELINE_BATCH}
    finish(ledger, numbers)
    proposer.tell(numbers)
    assert optimizer.told == [], "none of them is in the space"


def test_without_room_nothing_new_is_asked(begun):
    proposer, _, _ = begun([])
    assert proposer.next_batch(0) == []


def test_a_batch_has_its_size_whatever_the_room(begun, wide):
    proposer, ledger, _ = begun(drawn(wide, 50), batch=4)
    finish(ledger, proposer.next_batch(100))
    numbers = proposer.next_batch(1)
    assert len(numbers) == 4
    assert {ledger.rows[number].origin for number in numbers} == {"scripted"}


def test_random_search_fills_what_the_optimizer_leaves_and_repeats_nothing_of_it(begun, wide):
    first = next(iter(OPTIMIZERS["random"](wide, 0).ask(1)))
    proposer, ledger, _ = begun([first], batch=5)
    finish(ledger, proposer.next_batch(100))
    rows = [ledger.rows[number] for number in proposer.next_batch(100)]
    assert [row.origin for row in rows] == ["scripted"] + ["random"] * 4
    assert len({row.function for row in rows}) == 5


def test_after_its_patience_with_known_functions_only_random_search_is_asked(begun, wide):
    proposer, ledger, _ = begun(drawn(wide, 1) * 4, batch=4)
    origins = []
    for _ in range(PATIENCE // 4 + 4):
        numbers = proposer.next_batch(10**6)
        finish(ledger, [number for number in numbers if ledger.rows[number].known is None])
        proposer.tell(numbers)
        origins.append({ledger.rows[number].origin for number in numbers})
    assert origins[1] == {"scripted"}
    assert origins[-1] in ({"random"}, {"scripted"})
    assert {"random"} in origins
    cached = [row.number for row in ledger.rows if row.known is not None]
    assert len(cached) >= PATIENCE


def test_a_proposer_that_is_made_again_tells_its_optimizer_the_same(begun, wide):
    proposer, ledger, optimizer = begun(drawn(wide, 8), batch=4)
    for _ in range(3):
        numbers = proposer.next_batch(100)
        finish(ledger, [number for number in numbers if ledger.rows[number].known is None])
        proposer.tell(numbers)
    again = Scripted([])
    Proposer(wide, proposer._settings, ledger, again, lambda: None, lambda expression: None)
    assert [trial.number for trial in again.told] == [trial.number for trial in optimizer.told]
    assert [trial.scores for trial in again.told] == [trial.scores for trial in optimizer.told]
    assert optimizer.told


def test_by_hand_what_waits_is_not_given_twice(begun, wide):
    proposer, ledger, _ = begun(drawn(wide, 9), batch=4)
    first = proposer.ask_by_hand(3, 0)
    second = proposer.ask_by_hand(3, 3)
    functions = [ledger.rows[number].function for number in (*first, *second)]
    assert len(functions) == len(set(functions)) == 6
