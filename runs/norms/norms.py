"""Can a function take the place of LayerNorm? Every function of `grammars/norms.toml`, on `char-lm`.

    python runs/norms/norms.py --output OUT

All nine normalizations of the transformer of `char-lm`, whose activation is GELU here, are replaced by
`weight*f(x) + bias`. The first value of alpha is one of `ALPHAS`, the best of them on `TUNING` seeds. Then every
function and LayerNorm are trained on fresh seeds. Differences are paired by seed; p values are corrected by Holm's
method for the functions, against LayerNorm and against DyT. Every training is a file in OUT, which is read where it is
there. Writes `results.json` beside this file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from symact import Activation, load_grammar, parse_grammar, replace_norms
from symact.files import write_text
from symact.report.leaderboard import paired_difference
from symact.report.paired import holm, paired_p
from symact.study.evaluating import training_seed
from symact.tasks.char_lm import CharLM
from symact.tasks.networks import MakeActivation

HERE, NORMS = Path(__file__).parent, load_grammar("norms")
FORMS = {operator.name: operator.text for operator in NORMS.of_kind("unary")}
ALPHAS, TUNING, TUNING_STUDY, FINAL_STUDY = (0.5, 1.0, 2.0), 1, 0, 2000
LAYER_NORM, DYT = "LayerNorm", "dyt"


class WithoutNorms(CharLM):
    """`char-lm` with a function in the place of every normalization."""

    def __init__(self, form: str, alpha: float):
        super().__init__()
        self.form = form
        self.grammar = parse_grammar(NORMS.text.replace("alpha = { init = 0.5 }", f"alpha = {{ init = {alpha} }}"))

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """The transformer, its normalizations replaced."""
        model = super().network(make_activation)
        if self.form != LAYER_NORM:
            report = replace_norms(model, f"{self.form}(x)", grammar=self.grammar)
            assert len(report) == 9, report
        return model


def trained(folder: Path, form: str, alpha: float, study: int, repeat: int) -> dict[str, Any]:
    """One training, read if it was done."""
    path = folder / f"{form}-{alpha:g}-{study}-{repeat}.json"
    if not path.exists():
        task = WithoutNorms(form, alpha)
        outcome = task.final_test(lambda: Activation("gelu(x)"), training_seed(study, repeat))
        row = {"form": form, "alpha": alpha, "study": study, "repeat": repeat, "score": outcome.score}
        row |= {"status": outcome.status.value, "reason": outcome.reason}
        row |= {key: outcome.metrics.get(key) for key in ("test_score", "cpu_seconds")}
        write_text(path, json.dumps(row))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def tuned(folder: Path, form: str) -> dict[float, float]:
    """First value of alpha -> mean loss; infinite where a training failed."""
    losses = {}
    for alpha in ALPHAS:
        scores = [trained(folder, form, alpha, TUNING_STUDY, repeat)["score"] for repeat in range(TUNING)]
        losses[alpha] = float("inf") if None in scores else sum(scores) / len(scores)
    return losses


def against(scores: dict[str, list[float]], reference: str) -> dict[str, Any]:
    """Difference to a reference, its interval and p value, of every other function."""
    others = [form for form in scores if form != reference]
    p = dict(zip(others, holm([paired_p(scores[f], scores[reference]) for f in others]), strict=True))
    found = {form: paired_difference(scores[form], scores[reference]) for form in others}
    return {f: {"difference": d.difference, "low": d.low, "high": d.high, "p": p[f]} for f, d in found.items() if d}


def main() -> None:
    """Train what is missing, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of the trainings")
    parser.add_argument("--seeds", type=int, default=10, help="fresh ones")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    alphas, tuning = {LAYER_NORM: 0.0}, dict[str, dict[float, float]]()
    rows: dict[str, list[dict[str, Any]]] = {}
    for form in (LAYER_NORM, *FORMS):
        if form != LAYER_NORM:
            tuning[form] = tuned(options.output, form)
            alphas[form] = min(tuning[form], key=tuning[form].__getitem__)
        own = [trained(options.output, form, alphas[form], FINAL_STUDY, repeat) for repeat in range(options.seeds)]
        rows[form] = own
        print(form, alphas[form], [row["score"] for row in own], flush=True)
        document = document_of(options.seeds, tuning, alphas, rows)
        write_text(HERE / "results.json", json.dumps(document, indent=1) + "\n")


def document_of(
    seeds: int, tuning: dict[str, dict[float, float]], alphas: dict[str, float], rows: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    """What came out so far: of every function that was trained on all seeds."""
    document: dict[str, Any] = {"task": CharLM.name, "metric": "bits per character", "seeds": seeds}
    document |= {"formulas": FORMS, "alphas": alphas, "tuning": tuning}
    document["cpu_seconds"] = {form: [row["cpu_seconds"] for row in own] for form, own in rows.items()}
    for problem, key in (("validation", "score"), ("test", "test_score")):
        scores = {form: [row[key] for row in own] for form, own in rows.items()}
        whole = {form: values for form, values in scores.items() if None not in values}
        means = {form: sum(values) / len(values) for form, values in whole.items()}
        document[problem] = {"scores": scores, "means": means}
        document[problem] |= {f"against {name}": against(whole, name) for name in (LAYER_NORM, DYT) if name in whole}
    return document


if __name__ == "__main__":
    main()
