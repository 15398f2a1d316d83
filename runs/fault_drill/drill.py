"""Kill -9, again and again: `python runs/fault_drill/drill.py [--kills 500] [--seed 0]`.

One study is run by two workers while this script kills, at random moments, a worker, a keeper, the
driver, driver and workers, or everything at once; it starts a new driver whenever that is gone. A kill
counts only if a candidate was running when it landed (its sign is left behind), and there is progress
between any two. After each kill the store is read and compared row by row with all that was seen
before. At the end the study must hold exactly the trials of one that was never disturbed, and no
process may be left. Counts go to `results.json` beside this file with `--record`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from symact.expr.grammar import load_grammar
from symact.expr.tree import candidate_text
from symact.store import Store
from symact.study import Study

FOLDER = Path(__file__).resolve().parent
TASK = f"{FOLDER / 'task.py'}:Sleeper"
VICTIMS = ("worker", "keeper", "driver", "driver and workers", "everything")
WEIGHTS = (8, 4, 2, 1, 1)
WORKERS = 2


def drive(run: str, signs: str, evaluations: int) -> None:
    """The driver: begin the study, or go on with it."""
    if Path(run, "study.db").exists():
        study = Study.resume(run, task=TASK, workers=WORKERS)
    else:
        study = new_study(run, signs, WORKERS)
    study.run(evaluations, lambda progress: print(progress.evaluations, flush=True))
    study.close()


def new_study(run: str | None, signs: str | None, workers: int) -> Study:
    space = load_grammar("pangaea").space()
    return Study(space, TASK, "random", run=run, data=signs, workers=workers, seed=5, confirm=0)


class Drill:
    """One study and what was done to it."""

    def __init__(self, folder: Path, kills: int, seed: int, minutes: float):
        self.run, self.signs = folder / "run", folder / "signs"
        self.signs.mkdir()
        self.kills, self.evaluations, self.minutes = kills, 10**6, minutes
        self.random = random.Random(seed)
        self.seen: dict[tuple[int, int], tuple] = {}
        self.counts: Counter[str] = Counter()
        self.started, self.missed, self.rows_compared, self.reported = 0, 0, 0, 0
        self.driver: subprocess.Popen | None = None

    def go(self) -> dict:
        began = time.monotonic()
        while sum(self.counts.values()) < self.kills and time.monotonic() - began < 60 * self.minutes:
            if self.driver is None:
                self.start()
            self.wait_for_progress()
            self.kill()
            print(f"{sum(self.counts.values())} kills, {len(self.seen)} evaluations", file=sys.stderr, flush=True)
        self.finish()
        return {
            "kills": sum(self.counts.values()),
            "by victim": dict(self.counts),
            "kills that met no running candidate (not counted)": self.missed,
            "drivers started": self.started,
            "evaluations": self.evaluations,
            "rows compared after kills": self.rows_compared,
            "evaluations lost or changed": 0,
            "trials unlike those of an undisturbed study": 0,
            "processes left behind": 0,
            "seconds": round(time.monotonic() - began),
        }

    def start(self) -> None:
        command = [sys.executable, __file__, "--drive", str(self.run), str(self.signs), str(self.evaluations)]
        self.driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.started += 1

    def wait_for_progress(self) -> None:
        """Read on until something new has finished, then a moment more."""
        goal = self.reported + self.random.randint(1, 2)
        while self.reported < goal:
            line = self.driver.stdout.readline()
            assert line, f"the driver ended by itself with {self.driver.wait()} after {self.reported} evaluations"
            self.reported = max(self.reported, int(line))

    def kill(self) -> None:
        victim = self.random.choices(VICTIMS, WEIGHTS)[0]
        family = psutil.Process(self.driver.pid).children(recursive=True)
        keepers = [p for p in family if "execute.keeper" in " ".join(command(p))]
        workers = [p for p in family if "execute.worker" in " ".join(command(p))]
        running = self.wait_for_signs(workers)
        if not running:
            return
        target = self.random.choice(running)
        chosen = {
            "worker": [target],
            "keeper": [p for p in keepers if p.pid == target.ppid()],
            "driver": [self.driver],
            "driver and workers": [self.driver, *workers],
            "everything": [self.driver, *keepers, *workers],
        }[victim]
        if not chosen:
            return
        for process in chosen:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self.driver in chosen:
            self.driver.stdout.close()
            self.driver.wait()
            self.driver = None
        struck = [target] if self.driver is not None else workers
        _, living = psutil.wait_procs(struck if self.driver is not None else family, timeout=20)
        assert not living, f"left behind after {victim}: {[command(p) for p in living]}"
        landed = [p for p in struck if (self.signs / str(p.pid)).exists()]
        for process in struck:
            (self.signs / str(process.pid)).unlink(missing_ok=True)
        if landed:
            self.counts[victim] += 1
        else:
            self.missed += 1
        self.compare()

    def wait_for_signs(self, workers: list) -> list:
        """The workers that have been running a candidate for a random moment."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            running = [p for p in workers if (self.signs / str(p.pid)).exists()]
            if running:
                time.sleep(self.random.random() * 0.05)
                return running
            time.sleep(0.002)
        return []

    def compare(self) -> None:
        """Every evaluation that was seen before is there, unchanged; so is all that was reported."""
        with Store.open(self.run) as store:
            rows = store.evaluations()
            found = {(e.number, e.repeat): (e.seed, e.outcome.status, e.outcome.score, e.seconds) for e in rows}
            trials = len(store.trials())
        for key, row in self.seen.items():
            assert found.get(key) == row, f"evaluation {key} was {row}, is {found.get(key)}"
        assert trials >= self.reported, f"{self.reported} trials were reported, {trials} are stored"
        self.rows_compared += len(self.seen)
        self.seen, self.reported = found, trials

    def finish(self) -> None:
        if self.driver is not None:
            self.driver.kill()
            self.driver.wait()
        self.evaluations = len(self.seen) + 10
        self.start()
        self.driver.stdout.read()
        assert self.driver.wait() == 0
        with Store.open(self.run) as store:
            found = trace(store.trials())
        undisturbed = new_study(None, None, 0)
        expected = trace(undisturbed.run(self.evaluations))
        assert found == expected, "the trials are not those of an undisturbed study"
        left = [p for p in psutil.process_iter() if f"SYMACT_DRIVER={self.driver.pid}:" in environment(p)]
        assert not left, f"left behind: {[command(p) for p in left]}"


def trace(trials) -> list:
    return [(t.number, t.batch, candidate_text(t.candidate), t.status.value, t.scores) for t in trials]


def command(process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def environment(process) -> str:
    try:
        return "\n".join(f"{name}={value}" for name, value in process.environ().items())
    except psutil.Error:
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=240, help="stop earlier, with the kills done by then")
    parser.add_argument("--record", action="store_true", help="write the counts to results.json")
    parser.add_argument("--drive", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive:
        drive(arguments.drive[0], arguments.drive[1], int(arguments.drive[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        counts = Drill(Path(folder), arguments.kills, arguments.seed, arguments.minutes).go()
    counts["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(json.dumps(counts, indent=2))
    if arguments.record:
        (FOLDER / "results.json").write_text(json.dumps(counts, indent=2) + "\n")


if __name__ == "__main__":
    main()
