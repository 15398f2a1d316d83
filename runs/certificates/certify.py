"""Certify the standard functions: one JSON document and one page each, and the table of this folder's README.

python runs/certificates/certify.py [FOLDER]
python runs/certificates/certify.py float32 [FOLDER]     # all 2^32 inputs; goes on where it was stopped
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from symact import parse
from symact.certify import certify
from symact.certify.page import page
from symact.certify.reference import Reference
from symact.certify.singles import Singles

FUNCTIONS = {
    "relu": "max(x, 0)",
    "leaky_relu": "where(x > 0, x, 0.01*x)",
    "elu": "elu(x)",
    "selu": "selu(x)",
    "silu": "x*sigmoid(x)",
    "gelu": "gelu(x)",
    "mish": "mish(x)",
    "softplus": "softplus(x)",
    "softsign": "softsign(x)",
    "sigmoid": "sigmoid(x)",
    "tanh": "tanh(x)",
    "hardswish": "hardswish(x)",
    "logsigmoid": "logsigmoid(x)",
    "erf": "erf(x)",
}


def main(folder: Path) -> None:
    """Write everything to a folder, and a row per function and type to standard output."""
    for name, formula in FUNCTIONS.items():
        start = time.process_time()
        found = certify(parse(formula))
        seconds = time.process_time() - start
        document = {**found.document, "cpu_seconds": round(seconds, 1)}
        (folder / f"{name}.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
        (folder / f"{name}.txt").write_text(page(document) + "\n")
        for kind, each in document["dtypes"].items():
            torch = each["other_backends"].get("torch", each)
            beyond = each["values"]["beyond"], each["slopes"]["beyond"]
            cells = [
                *(f"{float(each[key]):.4f}" for key in ("worst_value_ulp", "worst_slope_ulp")),
                f"{beyond[0]}, {beyond[1]}",
                *(f"{float(torch[key]):.4f}" for key in ("worst_value_ulp", "worst_slope_ulp")),
                f"{torch['values']['beyond']}, {torch['slopes']['beyond']}",
            ]
            print(f"| {name} | {kind} | {' | '.join(cells)} | {seconds:.1f} |", flush=True)


def every_float(folder: Path) -> None:
    """The same for all numbers of float32: one document each."""
    for name, formula in FUNCTIONS.items():
        expr = parse(formula)
        singles = Singles(expr, Reference(expr))
        found = singles.run(folder / f"{name}.float32.state")
        (folder / f"{name}.float32.json").write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
        cells = [
            *(f"{float(found[key]):.4g}" for key in ("worst_value_ulp", "worst_slope_ulp")),
            *(
                f"{found[which]['further_than_ulp'][step] / found[which]['counted']:.3%}"
                for which in ("values", "slopes")
                for step in ("1", "4")
            ),
            f"{found['values']['beyond']}, {found['slopes']['beyond']}",
            f"{found['coverage']['polynomials']:,}, {found['coverage']['truth_by_balls']:,}",
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["float32"]:
        every_float(Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent)
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
