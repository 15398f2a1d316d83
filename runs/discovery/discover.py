"""Search for functions on one task, tune its known champions on as many trainings, and compare both on fresh seeds.

    python runs/discovery/discover.py pinn-convection --output OUT
    python runs/discovery/discover.py pinn-convection --output OUT --stage report

The stages, each of which goes on where it was stopped:

1. `tune`: every member of every family of champions, a formula with a frequency or slope, is trained on `TUNING`
   seeds. Where the best value lies at the edge of what was tried, the next one beyond is tried, up to `WIDER` times.
2. `search`: each optimizer, with each of the seeds of the searches, as many evaluations; the baselines of the task
   count.
3. `select`: the best of each optimizer are trained on `SELECTION` further seeds, then the best of those with other
   frequencies, as the champions had; so what a search found by luck falls out before the finals.
4. `finals`: those that are left, and the best member of each family, on fresh seeds, on the problem of the search
   and on the test problem. The rival is the baseline with the best mean in these finals; `published` has the same
   against the best that others published, without the formulas of `OWN`. Differences are paired by seed; p values are
   corrected by Holm's method for the functions found, against each rival.

Writes `FOLDER/trials.parquet` (every training) and `FOLDER/results.json` beside this file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from families import FAMILIES, GRAMMARS, OWN

from symact.equivalence.index.function_index import FunctionIndex
from symact.execute.job import MakeActivation
from symact.expr.tree import candidate_text, parse
from symact.files import write_text
from symact.program.loading import load_grammar
from symact.records import Direction
from symact.report.leaderboard import paired_difference
from symact.report.paired import holm, paired_p
from symact.store import Store
from symact.study import Study
from symact.study.evaluating import training_seed
from symact.tasks import TASKS
from symact.tasks.declaration import is_gated, metric_of

HERE = Path(__file__).parent
OPTIMIZERS = ("random", "evolution", "surrogate")
TUNING, WIDER, SELECTION, SCALES = 3, 4, 3, ("0.5", "1.5", "2", "3")
SELECTED, SCALED = 4, 3  # of each optimizer, trained on further seeds; of those, with other frequencies
FINALISTS, RIVALS = 3, 6  # in the finals: ours and theirs
SELECTION_STUDY, FINAL_STUDY, REGRET_STUDY = 1000, 2000, 3000  # the seeds of studies that no search has


def compared(
    scores: dict[str, list[float]],
    means: dict[str, float],
    origin: dict[str, str],
    direction: Direction,
    without: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The best baseline, those of some families left out, and how the functions found differ from it."""
    rivals = [text for text in means if origin[text].startswith("baseline") and origin[text][10:] not in without]
    rival = max(rivals, key=lambda text: direction.merit(means[text]))
    ours = [text for text in means if origin[text].startswith("found")]
    p = holm([paired_p(scores[text], scores[rival]) for text in ours])
    differences = {text: paired_difference(scores[text], scores[rival], direction) for text in ours}
    return {
        "rival": rival,
        "differences": {t: d and [d.difference, d.low, d.high, d.pairs] for t, d in differences.items()},
        "p": dict(zip(ours, p, strict=True)),
    }


def widened(tried: list[list[float]], best: tuple[float, ...]) -> bool:
    """Add the next value beyond the edge to every list in which the best one lies at it; whether there was one."""
    wider = False
    for values, value in zip(tried, best, strict=True):
        if len(values) > 1 and value in (values[0], values[-1]):
            first = value == values[0]
            values.sort(reverse=first)
            values.append(float(f"{values[-1] ** 2 / values[-2]:.2g}"))
            values.sort()
            wider = True
    return wider


class Family:
    """One task: its trainings, each a file, and what they say."""

    def __init__(self, name: str, folder: Path, evaluations: int = 50):
        self.evaluations = evaluations
        self.name, self.task, self.folder = name, TASKS[name](), folder / name
        kind = max((start for start in GRAMMARS if name.startswith(start)), key=len)
        self.metric, self.grammar, self.champions = metric_of(self.task), load_grammar(GRAMMARS[kind]), FAMILIES[kind]
        self.index = FunctionIndex(self.grammar)
        (self.folder / "trainings").mkdir(parents=True, exist_ok=True)

    def train(self, text: str, study: int, repeat: int, test: bool = False) -> dict[str, Any]:
        """One training, read if it was done; with `test` one more on the test problem."""
        key = hashlib.sha256(f"{text}|{study}|{repeat}|{test}".encode()).hexdigest()[:20]
        path = self.folder / "trainings" / f"{key}.json"
        if not path.exists():
            call = self.task.final_test if test else self.task.evaluate
            make = MakeActivation(parse(text, self.grammar), self.grammar, gated=is_gated(self.task))
            outcome = call(make, training_seed(study, repeat))
            row = {"function": text, "study": study, "repeat": repeat, "score": outcome.score}
            row |= {"status": outcome.status.value, "reason": outcome.reason}
            row |= {key: outcome.metrics.get(key) for key in ("test_score", "cpu_seconds", "test_failure")}
            write_text(path, json.dumps(row))
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def merit(self, text: str, study: int, repeats: int) -> float:
        """The mean score on these seeds, higher is better; minus infinity where a training failed."""
        total = 0.0
        for repeat in range(repeats):
            score = self.train(text, study, repeat)["score"]
            if score is None:
                return -float("inf")
            total += self.metric.merit(score)
        return total / repeats

    # The stages.

    def tune(self) -> dict[str, str]:
        """Family -> its best member, best family first."""
        best = {}
        for family, (formula, gaps) in self.champions.items():
            tried = [[float(value) for value in gap] for gap in gaps]
            merits: dict[tuple[float, ...], tuple[float, str]] = {}
            for _ in range(WIDER + 1):
                for values in product(*tried):
                    text = formula.format(*(f"{value:g}" for value in values))
                    merits[values] = sum(self.merit(text, seed, 1) for seed in range(TUNING)) / TUNING, text
                values = max(merits, key=lambda values: merits[values][0])
                merit, text = merits[values]
                if merit == -float("inf") or not widened(tried, values):
                    break
            if merit > -float("inf"):
                best[family] = merit, text
            print("tuned", family, text, f"{self.metric.merit(merit):.4f}", flush=True)
        return {family: text for family, (_, text) in sorted(best.items(), key=lambda item: -item[1][0])}

    def search(self, seeds: int) -> None:
        """All searches, to `evaluations` each."""
        for seed, optimizer in product(range(seeds), OPTIMIZERS):
            run = self.folder / "searches" / f"{optimizer}-{seed}"
            if run.exists():
                study = Study.resume(run)
            else:
                space = self.grammar.space("large")
                study = Study(space, self.name, optimizer, run=run, seed=seed, confirm=0, confirm_best=0)
            with study:
                study.run(self.evaluations)
                best = study.best()[0]
            print("searched", run.name, candidate_text(best.candidate), best.score, flush=True)

    def found(self) -> dict[str, list[str]]:
        """Optimizer -> the best functions of its searches that are no baselines, best first, each once."""
        trials: dict[str, list[Any]] = defaultdict(list)
        for run in sorted((self.folder / "searches").iterdir()):
            own = Store.open(run).trials()
            trials[run.name.rsplit("-", 1)[0]] += [trial for trial in own if trial.number < self.evaluations]
        chosen: dict[str, list[str]] = {}
        for optimizer in (name for name in OPTIMIZERS if name in trials):
            known: dict[Any, str] = {}
            ranked = sorted((t for t in trials[optimizer] if t.merit is not None), key=lambda t: -t.merit)
            for trial in ranked:
                if trial.origin != "baseline" and len(known) < SELECTED:
                    known.setdefault(self.index.key(trial.candidate), candidate_text(trial.candidate))
            chosen[optimizer] = list(known.values())
        return chosen

    def select(self) -> dict[str, str]:
        """The finalists among what was found -> the optimizers that found them."""
        origin: dict[str, str] = {}
        for optimizer, texts in self.found().items():
            for text in texts:
                origin[text] = f"{origin[text]}, {optimizer}" if text in origin else optimizer
        merits = {text: self.merit(text, SELECTION_STUDY, SELECTION) for text in origin}
        for text in sorted(merits, key=lambda text: -merits[text])[:SCALED]:
            for scale in SCALES:
                scaled = re.sub(r"\bx\b", f"({scale}*x)", text)
                merits[scaled] = self.merit(scaled, SELECTION_STUDY, SELECTION)
                origin[scaled] = f"{origin[text]}, frequency tuned"
        chosen: dict[str, str] = {}  # one member of what differs in frequency alone
        for text in sorted(merits, key=lambda text: -merits[text]):
            plain = re.sub(r"\([\d.]+\*x\)", "x", text)
            if plain not in {re.sub(r"\([\d.]+\*x\)", "x", other) for other in chosen} and len(chosen) < FINALISTS:
                chosen[text] = origin[text]
        print("selected", {text: round(merits[text], 4) for text in chosen}, flush=True)
        return chosen

    def finals(self, seeds: int) -> dict[str, str]:
        """Train all finalists on fresh seeds; function -> where it comes from."""
        origin = {text: family for family, text in list(self.tune().items())[:RIVALS]}
        rivals = set(origin)
        origin |= {text: how for text, how in self.select().items() if text not in rivals}
        for repeat, text in product(range(seeds), origin):
            self.train(text, FINAL_STUDY, repeat, test=True)
        return {text: ("baseline: " if text in rivals else "found: ") + how for text, how in origin.items()}

    # What came out.

    def report(self, seeds: int) -> dict[str, Any]:
        """The finals as a document: per function scores, means, differences to the best baseline, p values."""
        origin = self.finals(seeds)
        rows = {text: [self.train(text, FINAL_STUDY, r, test=True) for r in range(seeds)] for text in origin}
        document: dict[str, Any] = {"task": self.name, "metric": self.metric.heading, "seeds": seeds}
        document |= {"direction": self.metric.direction.value, "origin": origin}
        for problem, key in (("search", "score"), ("test", "test_score")):
            scores = {text: [row[key] for row in own] for text, own in rows.items()}
            whole = {t: v for t, v in scores.items() if None not in v}
            means = {text: sum(values) / len(values) for text, values in whole.items()}
            document[problem] = {
                "scores": scores,
                "means": means,
                **compared(scores, means, origin, self.metric.direction),
                "published": compared(scores, means, origin, self.metric.direction, OWN),
            }
        return document

    def write_trials(self) -> None:
        """Every training, those of the searches included, as one Parquet file."""
        rows = []
        for path in sorted((self.folder / "trainings").glob("*.json")):
            row = json.loads(path.read_text())
            stage = {SELECTION_STUDY: "select", FINAL_STUDY: "finals", REGRET_STUDY: "regret"}.get(row["study"], "tune")
            rows.append({"stage": stage, "optimizer": "", **row})
        for run in sorted((self.folder / "searches").iterdir()):
            optimizer, seed = run.name.rsplit("-", 1)
            for trial in Store.open(run).trials():
                for repeat, outcome in enumerate(trial.outcomes):
                    row = {"stage": "search", "optimizer": optimizer, "function": candidate_text(trial.candidate)}
                    row |= {"study": int(seed), "repeat": repeat, "score": outcome.score, "number": trial.number}
                    row |= {"status": outcome.status.value, "reason": outcome.reason, "origin": trial.origin}
                    rows.append(row | {"cpu_seconds": outcome.metrics.get("cpu_seconds")})
        names = list(dict.fromkeys(name for row in rows for name in row))
        target = HERE / self.name
        target.mkdir(exist_ok=True)
        pq.write_table(
            pa.Table.from_pylist([{n: row.get(n) for n in names} for row in rows]), target / "trials.parquet"
        )


def main() -> None:
    """Do one stage, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("--output", type=Path, required=True, help="folder of the searches and the trainings")
    parser.add_argument("--evaluations", type=int, default=50, help="of each search")
    parser.add_argument("--search-seeds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=20, help="fresh ones, of the finals")
    parser.add_argument("--stage", choices=("tune", "search", "select", "finals", "report", "all"), default="all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    family, stage = Family(arguments.task, arguments.output, arguments.evaluations), arguments.stage
    if stage in ("tune", "all"):
        family.tune()
    if stage in ("search", "all"):
        family.search(arguments.search_seeds)
    if stage == "select":
        family.select()
    if stage == "finals":
        family.finals(arguments.seeds)
    if stage in ("report", "all"):
        document = family.report(arguments.seeds)
        document |= {"evaluations": arguments.evaluations, "search_seeds": arguments.search_seeds}
        family.write_trials()
        write_text(HERE / family.name / "results.json", json.dumps(document, indent=1) + "\n")
        print(json.dumps({key: document[key]["differences"] for key in ("search", "test")}, indent=1))


if __name__ == "__main__":
    main()
