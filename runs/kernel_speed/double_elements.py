"""How long elements take that float32 is not enough for: functions of grammars `inr` and `pinn`, two checkouts in turn.

    python runs/kernel_speed/double_elements.py CHECKOUT_BEFORE CHECKOUT_AFTER --rounds 3

Each round starts one process per checkout, which takes the median CPU time of 15 calls, forward and backward, on
131,072 normal numbers; the table has the smallest of the rounds, in ns per element, and the CPU time of the first call
in ms.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

FUNCTIONS = {
    "inr": (
        *("sine(x)", "sine(sine(x))", "cosine(arcsinh(x))", "cosine(swish(x))", "max(tanh_step(x),relu(x))"),
        *("sine(sinc_wave(x))", "min(tanh_step(x),abs(x))", "mul(laplacian(x),sinh(x))", "gaussian(triple(x))"),
        "sinc_wave(sine(x))",
    ),
    "pinn": ("scale(arctan(x))",),
}
MEASURE = """
import json, sys, time, torch, symact
from symact.program.loading import load_grammar
torch.set_num_threads(1)
for name, texts in json.loads(sys.argv[1]).items():
    grammar = load_grammar(name)
    for text in texts:
        activation = symact.Activation(symact.parse(text, grammar), grammar)
        x = torch.randn(2048, 64, generator=torch.manual_seed(0), requires_grad=True)
        start = time.process_time()
        activation(x).sum().backward()
        first, times = time.process_time() - start, []
        for _ in range(15):
            start = time.process_time()
            activation(x).sum().backward()
            times.append(time.process_time() - start)
        print(json.dumps([text, sorted(times)[7] / x.numel() * 1e9, first * 1e3]), flush=True)
"""


def measured(checkout: str) -> dict[str, tuple[float, float]]:
    """Of each function the ns per element and the ms of the first call, in a process of its own."""
    command = [sys.executable, "-c", MEASURE, json.dumps(FUNCTIONS)]
    environment = {**os.environ, "PYTHONPATH": os.path.abspath(checkout), "OMP_NUM_THREADS": "1"}
    # With `-c`, the folder that a process runs in is the first that modules come from.
    found = subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True, check=True)
    return {text: (each, first) for text, each, first in map(json.loads, found.stdout.splitlines())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rounds = [[measured(checkout) for checkout in arguments.checkouts] for _ in range(arguments.rounds)]
    for text in rounds[0][0]:
        best = [[min(r[k][text][what] for r in rounds) for what in (0, 1)] for k in range(len(arguments.checkouts))]
        cells = [f"{each:.1f}" for each, _ in best] + [f"{best[0][0] / best[-1][0]:.1f}"]
        print(f"| `{text}` | {' | '.join([*cells, *[f'{first:.0f}' for _, first in best]])} |")


if __name__ == "__main__":
    main()
