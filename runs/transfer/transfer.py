"""Do functions that searches found carry over to other tasks? AquaSurF's winners and ours, against five known ones.

    python runs/transfer/transfer.py --output OUT --data DIR [--tasks TASK,...] [--seeds 10] [--workers 2]

Every task is one `symact.compare` of all functions on common seeds, a run folder under OUT, which goes on where it
stopped. At the end, and with `--table` alone at any time, `results.json` and `results.md` under OUT have the mean of
every function on every task and its paired differences to ReLU, ELU, Swish, GELU and Mish, all p values corrected
together by Holm's method.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from symact.files import write_text
from symact.program.loading import parse_grammar
from symact.records import Direction
from symact.report.comparison import Comparison
from symact.report.leaderboard import paired_difference
from symact.report.paired import SIGNIFICANCE, holm, paired_p
from symact.store import Store
from symact.study import Study
from symact.study.comparing import begin, goal

HERE = Path(__file__).parent
AQUASURF = "Bingham & Miikkulainen 2023, arXiv:2301.05785"
REFERENCES = {"ReLU": "relu(x)", "ELU": "elu(x)", "Swish": "x*sigmoid(x)", "GELU": "gelu(x)", "Mish": "mish(x)"}
# Where a function was found, and its formula. `beta` and `sigma` are learned in every layer.
FOUND = {
    "All-CNN-C on CIFAR-100": (
        AQUASURF,
        ("hard_sigmoid(hard_sigmoid(x))*elu(x)", "sigmoid(softsign(x))*elu(x)", "swish(x)/selu(1)"),
    ),
    "ResNet-56 on CIFAR-100": (AQUASURF, ("swish(-2*x)", "selu(sinh(exp(atan(x)) - 1))", "x*erfc(elu(x))")),
    "MobileViTv2-0.5 on ImageNet": (
        AQUASURF,
        ("-x*sigmoid(x)*hard_sigmoid(x)", "elu(swish(-x))", "swish(x)*erfc(i0e(x))"),
    ),
    "CoAtNet on Imagenette": (AQUASURF, ("erfc(softplus(x))**2", "min(softplus(x)**2, -x)", "asinh(elu(swish(x)))")),
    "the rival of CoAtNet's table": (
        "ELiSH, Basirat & Roth 2018, arXiv:1808.00783",
        ("where(x > 0, x*sigmoid(x), (exp(x) - 1)*sigmoid(x))",),
    ),
    "image-fit": ("symact, runs/discovery", ("4.5*x*exp(-(1.5*sigma*x)**2)",)),
    "ood-polynomial": ("symact, runs/discovery", ("(1.5*beta*x + (1.5*x)**2)/2", "elu(x/2 + x**2)")),
    "ood-harmonic": ("symact, runs/discovery", ("x*sigmoid(x)*sigmoid(x*sigmoid(x)) + x**2",)),
    "ood-feynman": ("symact, runs/discovery", ("x + x*sigmoid(x)", "(swish(elu(x)) + hardswish(x))/2")),
    "fashion14-deep": ("symact, runs/arena", ("max(erf(x), selu(x))",)),
    "mnist14-deep": ("symact, runs/arena", ("max(tanh(x), selu(x))",)),
    "digits-deep": ("symact, runs/mixtures", ("softplus(x) + asinh(x)", "max(elu(x), selu(x))")),
}
GRAMMAR = """
name = "transfer"
[parameters]
beta = { init = 1.0 }
sigma = { init = 4.0, positive = true, range = [0.5, 30.0] }
[unary]
identity = "x"
[spaces]
given = ["unary(x)"]
"""
NARROW = f"{HERE / 'narrow_cifar.py'}:NarrowAllCNNC"
TASKS = (
    "digits-shifted", "digits-deep", "fashion14-deep", "mnist14-deep", "table-diabetes", "table-housing",
    "ood-polynomial", "ood-harmonic", "ood-feynman", "image-fit", "image-fit-siren", "pinn-convection", "pinn-burgers",
    "pinn-allen-cahn", "pinn-helmholtz", "char-lm", "fashion-cnn", "mnist-cnn", "kmnist-cnn", "cifar10-allcnnc-narrow",
)  # fmt: skip
# Kind of task -> its tasks.
KINDS = {
    "images, classes": (
        *("digits-shifted", "digits-deep", "fashion14-deep", "mnist14-deep"),
        *("fashion-cnn", "mnist-cnn", "kmnist-cnn", "cifar10-allcnnc-narrow"),
    ),
    "tables": ("table-diabetes", "table-housing"),
    "out of distribution": ("ood-polynomial", "ood-harmonic", "ood-feynman"),
    "images as fields": ("image-fit", "image-fit-siren"),
    "equations": ("pinn-convection", "pinn-burgers", "pinn-allen-cahn", "pinn-helmholtz"),
    "text": ("char-lm",),
}


def functions() -> list[str]:
    """The references, then all that was found."""
    return [*REFERENCES.values(), *(text for _, texts in FOUND.values() for text in texts)]


def compare(task: str, output: Path, seeds: int, train: dict[str, Any], **options: Any) -> None:
    """Compare all functions on one task, or go on with that comparison."""
    run, named = output / task, NARROW if task == "cifar10-allcnnc-narrow" else task
    if run.exists():
        study = Study.resume(run, task=named, **options)
    else:
        listed, grammar = functions(), parse_grammar(GRAMMAR)
        study = begin(listed, named, seeds, listed[0], grammar=grammar, run=run, train=train or None, **options)
    started, cpu = time.monotonic(), time.process_time()
    with study:
        study.run(goal(study))
    print(f"{task}: {time.monotonic() - started:.0f} s, {time.process_time() - cpu:.0f} s of CPU here", flush=True)


def found_on(text: str, task: str) -> bool:
    """Whether a search found the function on this task."""
    return text in FOUND.get(task, ("", ()))[1]


def tested(output: Path, tasks: Sequence[str]) -> dict[str, Any]:
    """What is there of every task that is done: all scores, and the differences to every reference."""
    found: dict[str, Any] = {}
    every: list[dict[str, Any]] = []
    for task in tasks:
        if not (output / task).exists():
            continue
        with Store.open(output / task) as store:
            table = Comparison.of(store)
        rows = {row.expression: row for row in table.rows}
        if any(row.status == "waiting" for row in rows.values()):
            continue
        direction = Direction(table.metric.direction)
        found[task] = {"metric": table.metric.name, "direction": str(direction), "seeds": table.seeds, "functions": {}}
        for text, row in rows.items():
            document = {"status": row.status, "mean": row.mean, "sd": row.sd, "scores": list(row.scores), "versus": {}}
            found[task]["functions"][text] = document
            for name, reference in REFERENCES.items():
                other = rows.get(reference)
                if text == reference or other is None or row.mean is None or other.mean is None or row.same_as:
                    continue
                if found_on(text, task):
                    continue
                difference = paired_difference(row.scores, other.scores, direction)
                if difference is None:
                    continue
                sign = 1.0 if direction is Direction.maximize else -1.0
                low, high = sorted((sign * difference.low, sign * difference.high))
                test = {"gain": sign * difference.difference, "low": low, "high": high}
                document["versus"][name] = test | {"p": paired_p(row.scores, other.scores)}
                if text not in REFERENCES.values():
                    every.append(document["versus"][name])
    for test, p in zip(every, holm([test["p"] for test in every]), strict=True):
        test["p_holm"] = p
        test["verdict"] = "tie" if p >= SIGNIFICANCE else "better" if test["gain"] > 0 else "worse"
    return {"tests": len(every), "tasks": found}


def markdown(results: dict[str, Any]) -> str:
    """Verdicts by function and task: against which of the references it is better (+) or worse (-)."""
    tasks = list(results["tasks"])
    lines = [
        f"Better (+) or worse (-) than ReLU, ELU, Swish, GELU, Mish, in this order; . is a tie; a task that a function "
        f"was found on does not count. Holm's correction for all {results['tests']} tests.",
        "",
        "| found on | function | " + " | ".join(tasks) + " | better | worse |",
        "|---|---|" + "---|" * (len(tasks) + 2),
    ]
    marks = {"better": "+", "worse": "-", "tie": "."}
    for where, (_, texts) in FOUND.items():
        for text in texts:
            cells, counts = [], {"better": 0, "worse": 0, "tie": 0}
            for task in tasks:
                row = results["tasks"][task]["functions"].get(text)
                verdicts = [row["versus"].get(name, {}).get("verdict", "") for name in REFERENCES] if row else []
                for verdict in filter(None, verdicts):
                    counts[verdict] += 1
                failed = "found here" if found_on(text, task) else "" if row is None else row["status"]
                cells.append("".join(marks.get(v, " ") for v in verdicts) if any(verdicts) else failed)
            shown = text.replace("|", "\\|")
            lines.append(f"| {where} | `{shown}` | {' | '.join(cells)} | {counts['better']} | {counts['worse']} |")
    return "\n".join(lines) + "\n"


def by_kind(results: dict[str, Any]) -> str:
    """How many of the tests found a function better, and how many worse, by kind of task."""
    kinds = {kind: [t for t in tasks if t in results["tasks"]] for kind, tasks in KINDS.items()}
    kinds = {kind: tasks for kind, tasks in kinds.items() if tasks}
    lines = [f"| found on | function | {' | '.join(kinds)} |", "|---|---|" + "---|" * len(kinds)]
    for where, (_, texts) in FOUND.items():
        for text in texts:
            cells = []
            for tasks in kinds.values():
                rows = [results["tasks"][task]["functions"][text] for task in tasks if not found_on(text, task)]
                verdicts = [test["verdict"] for row in rows for test in row["versus"].values()]
                failed = sum(row["status"] != "finished" for row in rows)
                cell = f"{verdicts.count('better')} / {verdicts.count('worse')} of {len(verdicts)}"
                cells.append(cell + (f", {failed} failed" if failed else ""))
            lines.append(f"| {where} | `{text}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Compare on each task, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--tasks", default=",".join(TASKS), help="separated by commas")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--data")
    parser.add_argument("--train", default="{}", help='settings of the training as JSON, such as {"epochs": 1}')
    parser.add_argument("--table", action="store_true", help="train nothing, write the table of what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    tasks = arguments.tasks.split(",")
    for task in () if arguments.table else tasks:
        train = json.loads(arguments.train)
        compare(task, arguments.output, arguments.seeds, train, workers=arguments.workers, data=arguments.data)
    results = tested(arguments.output, TASKS)
    write_text(arguments.output / "results.json", json.dumps(results) + "\n")
    write_text(arguments.output / "results.md", markdown(results) + "\n" + by_kind(results))
    print(f"wrote {arguments.output / 'results.md'}")


if __name__ == "__main__":
    main()
