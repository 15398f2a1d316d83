"""`StudyView`: what a report knows of one study, read from its run folder, which may still be written to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symact.errors import counted
from symact.program.loading import shipped
from symact.records import Metric, Trial
from symact.report.leaderboard import is_relu
from symact.report.panel import Panel
from symact.store import Settings, Store
from symact.store.running import Running, read_running


@dataclass(frozen=True)
class StudyView:
    """What is shown of one study.

    Attributes:
        label: its name, from optimizer, task and folder.
        trials: in ask order.
        confirmations: the best few, the best found ones and the baselines beside them on fresh seeds.
        facts: (name, value) pairs: task, optimizer, grammar, seeds, versions, ...
        optimizer: its name; `""` where unknown.
        task: its name.
        grammar: what `load_grammar` takes for it: the name if symact ships it, else that of a file.
        functions: what a `sum` of the mixture optimizer mixed first; empty for its own choice.
        seed: of the study.
        notes: number of a trial -> what its optimizer said when it asked for it; `settings` is shown with the trial.
        metric: what its scores are.
        goal: how many functions it is to evaluate; 0 where unknown.
        panels: what is to be shown beside what its optimizer learned.
        running: what is in training now; None where no search is running.
    """

    label: str
    trials: Sequence[Trial]
    confirmations: Sequence[Trial]
    facts: Sequence[tuple[str, str]]
    optimizer: str = ""
    task: str = ""
    grammar: str = ""
    functions: Sequence[str] = ()
    seed: int = 0
    notes: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    metric: Metric = field(default_factory=Metric)
    goal: int = 0
    panels: Sequence[Panel] = ()
    running: Sequence[Running] | None = None


def read_view(run: Path) -> StudyView:
    """The study in a run folder as it stands.

    Raises:
        InputError: there is none, or its file is damaged.
    """
    running = read_running(run)  # first: what ends meanwhile is then among the trials
    with Store.open(run) as store:
        settings, trials, confirmations = store.settings, store.trials(), store.confirmations()
        grammar = str(getattr(store.grammar, "name", ""))
        facts = [
            *_facts(settings, grammar, confirmation_text(confirmations, settings.confirm)),
            ("time in training", f"{sum(t.seconds for t in trials):.0f} s of one worker"),
        ]
        mixed = settings.optimizer_settings.get("functions")
        return StudyView(
            label=f"{settings.optimizer} on {settings.task.shown} ({Path(run).resolve().name})",
            trials=trials,
            confirmations=confirmations,
            facts=facts,
            optimizer=settings.optimizer,
            task=settings.task.shown,
            grammar=grammar_file(store.grammar),
            functions=tuple(map(str, mixed)) if isinstance(mixed, list) else (),
            seed=settings.seed,
            metric=settings.metric,
            notes=store.notes(),
            goal=store.goal(),
            running=running,
        )


def grammar_file(grammar: Any) -> str:
    """What `load_grammar` takes for a grammar: its name if symact ships it as it is, else that of a file."""
    name, text = str(getattr(grammar, "name", "")), getattr(grammar, "text", "")
    own = shipped().get(name)
    return name if own is not None and own.read_text(encoding="utf-8") == text else f"{name or 'grammar'}.toml"


def confirmation_text(confirmations: Sequence[Trial], seeds: int) -> str:
    """What was trained on fresh seeds, in words; it was asked for so many `seeds`."""
    if not confirmations:
        return f"none so far; {seeds} further common seeds at the end" if seeds else "none was asked for"
    known = sum(trial.origin == "baseline" for trial in confirmations)
    relu = " (ReLU among them)" if any(map(is_relu, confirmations)) else ""
    parts = [f"{len(confirmations) - known} found or given", f"{known} known{relu}"]
    done = sorted({len(trial.outcomes) for trial in confirmations})
    on = f"{done[0]} to {done[-1]}" if len(done) > 1 else str(done[0])
    return f"{' and '.join(parts)} functions on {on} further common seed{'s' * (on != '1')}"


def _short(value: Any) -> str:
    """A setting as it may stand in a line; of a long list how long it is."""
    text = str(value)
    return text if len(text) <= 200 or not isinstance(value, list | tuple) else counted(len(value), "value")


def _facts(settings: Settings, grammar: str, confirmed: str) -> list[tuple[str, str]]:
    task = settings.task.shown + (f" (file, SHA-256 {settings.task.sha256})" if settings.task.sha256 else "")
    chosen = ", ".join(f"{key} = {_short(value)}" for key, value in settings.optimizer_settings.items()) or "defaults"
    halving = ", ".join(f"{budget:.2g}" for budget in settings.budgets)
    return [
        ("task", task),
        ("metric", f"{settings.metric.heading}, {settings.metric.direction}"),
        ("optimizer", settings.optimizer),
        ("optimizer settings", chosen),
        ("grammar, space", f"{grammar}, {settings.space}"),
        ("study seed", str(settings.seed)),
        ("trainings per function", f"{settings.repeats} (seeds shared by all functions)"),
        ("confirmation", confirmed),
        *([("budgets of the rungs", halving)] if halving else []),
        ("batch", "asynchronous" if settings.asynchronous else str(settings.batch)),
        ("machine", ", ".join(f"{key} {value}" for key, value in settings.machine.items())),
        ("versions", ", ".join(f"{key} {value}" for key, value in settings.versions.items())),
        ("started", settings.created),
    ]
