"""What another study has learned, for a surrogate search that begins with it (`--warm-start RUN`)."""

from __future__ import annotations

from pathlib import Path

from symact.errors import FormulaError, InputError
from symact.expr.operators import Vocabulary
from symact.expr.per_site import parse_candidate
from symact.expr.tree import candidate_text
from symact.optimize.base import ranked
from symact.records import Trial
from symact.store import Store, holds_study

MOST = 1_000  # functions; of more every so-manieth of the ranking


def scored(run: str | Path, grammar: Vocabulary) -> list[list[str | float | None]]:
    """The functions of a study with their scores, higher is better, best first; None for what failed.

    Args:
        run: its folder; the study may be on another task, and may still run.
        grammar: of the search that is to begin.

    Raises:
        InputError: there is no study, its grammar is another one, or nothing was trained in full.
    """
    if not holds_study(run):
        raise InputError(f"--warm-start {run}: there is no study here; give a run folder of `symact search`")
    with Store.open(run) as store:
        if store.grammar.text != getattr(grammar, "text", None):
            raise InputError(
                f"--warm-start {run}: its grammar {store.grammar.name!r} is another than that of this search; "
                "operators of the same name may differ"
            )
        trials = [t.maximized() for t in store.trials() if t.budget == 1.0 and not t.cached and t.outcomes]
    known = [trial for trial in ranked(trials) if trial.status != "rejected" and _is_read_back(trial, grammar)]
    if all(trial.score is None for trial in known):
        raise InputError(f"--warm-start {run}: no function was trained in full")
    return [[candidate_text(trial.candidate), trial.score] for trial in known[:: -(-len(known) // MOST)]]


def _is_read_back(trial: Trial, grammar: Vocabulary) -> bool:
    """Whether its text means the same in the grammar; a baseline may be outside of it, a mixture has own parameters."""
    try:
        return bool(parse_candidate(candidate_text(trial.candidate), grammar) == trial.candidate)
    except FormulaError:
        return False
