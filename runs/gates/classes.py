"""How long the spaces of `gates.toml` take to their classes, with and without exchange of the inputs.

Each is classified several times in a process of its own; the table says the median and the range.

    python runs/gates/classes.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ONE = """
import json, sys, time
from symact import parse_grammar
from symact.equivalence import enumerate_classes
text, space = sys.stdin.read(), sys.argv[1]
grammar = parse_grammar(text)
begun = time.perf_counter()
table = enumerate_classes(grammar, space)
seconds = time.perf_counter() - begun
print(json.dumps([len(table), len(set(table["class_id"].to_pylist())), seconds]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    text = (HERE.parents[1] / "grammars" / "gates.toml").read_text()
    found = []
    for symmetric in (False, True):
        own = text.replace("[identity]\n", "[identity]\nsymmetric_inputs = true\n") if symmetric else text
        for space in ("published", "gates", "large"):
            runs = []
            for _ in range(options.repeats):
                run = [sys.executable, "-c", ONE, space]
                answer = subprocess.run(run, input=own, capture_output=True, text=True, check=True).stdout
                runs.append(json.loads(answer))
            seconds = sorted(run[2] for run in runs)
            row = {
                "space": space,
                "symmetric_inputs": symmetric,
                "expressions": runs[0][0],
                "classes": runs[0][1],
                "seconds": [round(s, 3) for s in (seconds[0], statistics.median(seconds), seconds[-1])],
            }
            found.append(row)
            print(row)
    (HERE / "classes.json").write_text(json.dumps({"repeats": options.repeats, "rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
