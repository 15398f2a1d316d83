"""Two Ray nodes, one killed in the middle: `python -m tests.study.ray_drill [--record]`.

A real cluster of two nodes on this machine runs a study; when 40 of 120 functions are evaluated, the raylet of
the second node is killed with everything on it. The study must end with exactly the trials of one
that ran in a single process. Counts go to `runs/fault_drill/ray_results.json` with `--record`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import threading
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from symact.program.loading import load_grammar
from symact.study import Study
from tests.study.drill import RECORDS, TASK, trace

EVALUATIONS, KILL_AT = 120, 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write the counts to ray_results.json")
    arguments = parser.parse_args()
    space = load_grammar("pangaea").space()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    seen: list[tuple[float, int]] = []
    removing = threading.Thread(target=cluster.remove_node, args=(second,), kwargs={"allow_graceful": False})

    def watch(progress) -> None:
        if progress.trial is not None:
            seen.append((time.monotonic(), progress.evaluations))
        if progress.evaluations == KILL_AT and not removing.ident:
            removing.start()

    with tempfile.TemporaryDirectory() as folder:
        signs = Path(folder) / "signs"
        signs.mkdir()
        options = {"executor": "ray", "ray_address": cluster.address, "data": signs, "seed": 5, "confirm": 0}
        with Study(space, TASK, "random", run=Path(folder) / "run", **options) as study:
            found = trace(study.run(EVALUATIONS, watch))
        removing.join()
        left = sum(path.name.isdigit() for path in signs.iterdir())
    expected = trace(Study(space, TASK, "random", seed=5, confirm=0).run(EVALUATIONS))
    assert found == expected, "the trials are not those of an undisturbed study"
    pauses = [later[0] - earlier[0] for earlier, later in itertools.pairwise(seen)]
    counts = {
        "nodes": 2,
        "nodes killed": 1,
        "evaluations": EVALUATIONS,
        "evaluated when the node was killed": KILL_AT,
        "candidates that were running on the lost node": left,
        "evaluations lost": 0,
        "trials unlike those of an undisturbed study": 0,
        "longest pause in seconds": round(max(pauses), 1),
        "ray": ray.__version__,
    }
    cluster.shutdown()
    print(json.dumps(counts, indent=2))
    if arguments.record:
        (RECORDS / "ray_results.json").write_text(json.dumps(counts, indent=2) + "\n")


if __name__ == "__main__":
    main()
