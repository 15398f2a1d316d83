"""Time to describe and embed a pool of the large space of AquaSurF, as a search with the surrogate begins.

    python runs/feature_speed/pool.py [--functions 2000] [--workers 2] [--task digits-deep] [--data DIR]

Samples functions of the space `large` (a million expressions), has the worker processes measure Fisher eigenvalues and
outputs of each, and unites the two UMAP graphs. Prints and writes `pool.json`: wall time, and the CPU time of the study
and of its workers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from pathlib import Path

import torch

import symact
from symact.files import write_text
from symact.study import Study

HERE = Path(__file__).parent


def main() -> None:
    """Describe, embed, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--task", default="digits-deep")
    parser.add_argument("--data")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    space = symact.load_grammar("aquasurf").space("large")
    settings = {"regressor": "knn", "embedding": "umap", "embedded": arguments.functions}
    study = Study(space, arguments.task, "surrogate", workers=arguments.workers, data=arguments.data, **settings)
    steps, start = {}, (time.monotonic(), time.process_time())

    def step(name: str) -> None:
        nonlocal start
        now = time.monotonic(), time.process_time()
        steps[name] = {"wall": round(now[0] - start[0], 1), "cpu of the study": round(now[1] - start[1], 1)}
        start = now

    with study:
        members = study.optimizer.functions.draws(0)
        sample = [next(members) for _ in range(arguments.functions)]
        step("sample")
        landscape = study.optimizer.landscape
        step("describe")
        rows = landscape.embedded(sample, study.optimizer.features, study.optimizer.views)
        step("embed")
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    results = {
        "task": arguments.task, "functions": arguments.functions, "workers": arguments.workers,
        "finite": int(rows.description.finite.sum()), "seconds": steps,
        "cpu of the workers": round(workers.ru_utime + workers.ru_stime, 1), "load": os.getloadavg()[0],
        "machine": platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__,
    }  # fmt: skip
    write_text(HERE / "pool.json", json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
