"""Kill -9, again and again: `python -m tests.study.drill [--kills 500] [--seed 0] [--folder DIR]`.

One study is run by two workers while this script kills, at random moments, a worker, a supervisor, the
driver, driver and workers, or everything at once; it starts a new driver whenever that is gone. Its task forks,
leaks, leaves processes and threads behind, changes global state and raises. A kill counts only if a candidate
was running when it landed (its sign is left behind), and there is progress between any two. No candidate is struck so
often that the study would hold it to be the cause. After each kill the store is read and compared row by row with
three witnesses: the rows that were there after the kill before (wall times included, so a training done again is
seen), the trials that the driver had told before it died, and the task's own list of what was trained, by which
nothing that was stored is ever trained again. At the end the study must hold exactly the trials of one that was
never disturbed, and no process may be left. With `--folder` the drill itself can be stopped and goes on from its
last kill. Counts go to `runs/fault_drill/results.json` with `--record`.
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

from symact.execute.local import TRIES
from symact.execute.processes import die_with_parent
from symact.expr.tree import candidate_text
from symact.program.loading import load_grammar
from symact.store import Store
from symact.study import Study

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "runs" / "fault_drill"
TASK = f"{ROOT / 'tests' / 'study' / 'sleeper.py'}:Misbehaving"
VICTIMS = ("worker", "supervisor", "driver", "driver and workers", "everything")
WEIGHTS = (8, 4, 2, 1, 1)
WORKERS = 2
LIST = "trained"  # the task's list, beside the signs


def drive(run: str, signs: str, evaluations: int) -> None:
    """The driver: begin the study, or go on with it; tells every trial that finished."""
    die_with_parent(signal.SIGKILL)  # a drill that is killed itself leaves nobody in its study
    if Path(run, "study.db").exists():
        study = Study.resume(run, task=TASK, workers=WORKERS)
    else:
        study = new_study(run, signs, WORKERS)

    def tell(progress) -> None:
        trial = progress.trial
        row = (
            None if trial is None else [trial.number, candidate_text(trial.candidate), trial.status.value, trial.score]
        )
        print(json.dumps([progress.evaluations, row]), flush=True)

    study.run(evaluations, tell)
    study.close()


def new_study(run: str | None, signs: str | None, workers: int) -> Study:
    space = load_grammar("pangaea").space()
    return Study(space, TASK, "random", run=run, data=signs, workers=workers, seed=5, confirm=0)


class Drill:
    """One study and what was done to it.

    Args:
        folder: of the study and of what the drill remembers; a drill that was stopped there goes on.
        kills: how many are to land.
        seed: of the choice of victims and moments.
        minutes: to stop after, with the kills done by then.
    """

    def __init__(self, folder: Path, kills: int, seed: int, minutes: float):
        self.run, self.signs, self.memory = folder / "run", folder / "signs", folder / "drill.json"
        self.signs.mkdir(parents=True, exist_ok=True)
        self.kills, self.evaluations, self.minutes = kills, 10**6, minutes
        self.seen: dict[tuple[int, int], tuple] = {}  # (trial, repeat) -> what was stored, and how often it was trained
        self.told: dict[int, tuple] = {}  # trial -> what a driver told of it
        self.counts: Counter[str] = Counter()
        self.strikes: Counter[str] = Counter()  # candidates that were running when something was killed
        self.drivers: list[int] = []
        self.missed, self.rows_compared, self.reported, self.seconds = 0, 0, 0, 0.0
        self.driver: subprocess.Popen | None = None
        if self.memory.exists():
            self.remember()
        self.random = random.Random(f"{seed} {self.done}")

    @property
    def done(self) -> int:
        return sum(self.counts.values())

    def go(self) -> dict:
        before, began = self.seconds, time.monotonic()
        try:
            while self.done < self.kills and time.monotonic() - began < 60 * self.minutes:
                if self.driver is None:
                    self.start()
                self.wait_for_progress()
                self.kill()
                self.seconds = before + time.monotonic() - began
                self.save()
                print(f"{self.done} kills, {len(self.seen)} evaluations", file=sys.stderr, flush=True)
            self.finish()
        finally:
            if self.driver is not None:
                self.driver.kill()
        trained = self.trained()
        return {
            "kills": self.done,
            "by victim": dict(self.counts),
            "kills that met no running candidate (not counted)": self.missed,
            "drivers started": len(self.drivers),
            "evaluations": self.evaluations,
            "rows compared after kills": self.rows_compared,
            "trials told by drivers and compared": len(self.told),
            "evaluations lost or changed": 0,
            "stored evaluations trained again": 0,
            "trained, but killed before the result was stored, and trained again": sum(trained.values()) - len(trained),
            "trials unlike those of an undisturbed study": 0,
            "processes left behind": 0,
            "seconds": round(before + time.monotonic() - began),
        }

    def save(self) -> None:
        """Remember everything, so that a later drill goes on from here."""
        document = {
            "seen": [[*key, *row] for key, row in self.seen.items()],
            "told": [list(row) for row in self.told.values()],
            "counts": self.counts,
            "drivers": self.drivers,
            "numbers": [self.missed, self.rows_compared, self.reported, self.seconds],
        }
        part = self.memory.with_suffix(".part")
        part.write_text(json.dumps(document))
        part.rename(self.memory)

    def remember(self) -> None:
        document = json.loads(self.memory.read_text())
        self.seen = {(number, repeat): tuple(row) for number, repeat, *row in document["seen"]}
        self.told = {row[0]: tuple(row) for row in document["told"]}
        self.counts, self.drivers = Counter(document["counts"]), document["drivers"]
        self.missed, self.rows_compared, self.reported, self.seconds = document["numbers"]

    def start(self) -> None:
        arguments = map(str, ("--drive", self.run.resolve(), self.signs.resolve(), self.evaluations))
        command = [sys.executable, "-m", "tests.study.drill", *arguments]
        self.driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.drivers.append(self.driver.pid)

    def hear(self, line: str) -> None:
        """A line of the driver: so many trials are finished, and this one has just been."""
        count, row = json.loads(line)
        self.reported = max(self.reported, count)
        if row is not None:
            self.told[row[0]] = tuple(row)

    def wait_for_progress(self) -> None:
        """Read on until something new has finished, then a moment more."""
        goal = self.reported + self.random.randint(1, 2)
        while self.reported < goal:
            line = self.driver.stdout.readline()
            assert line, f"the driver ended by itself with {self.driver.wait()} after {self.reported} evaluations"
            self.hear(line)

    def kill(self) -> None:
        victim = self.random.choices(VICTIMS, WEIGHTS)[0]
        family = psutil.Process(self.driver.pid).children(recursive=True)
        supervisors = [p for p in family if "execute.supervisor" in " ".join(command(p))]
        workers = [p for p in family if "execute.worker" in " ".join(command(p))]
        running = [p for p in self.wait_for_signs(workers) if self.strikes[self.candidate(p)] < TRIES - 1]
        if not running:
            return
        target = self.random.choice(running)
        self.strikes.update(map(self.candidate, workers))
        chosen = {
            "worker": [target],
            "supervisor": [p for p in supervisors if p.pid == parent(target)],
            "driver": [self.driver],
            "driver and workers": [self.driver, *workers],
            "everything": [self.driver, *supervisors, *workers],
        }[victim]
        if not chosen:
            return
        for process in chosen:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        struck = [target]
        if self.driver in chosen:
            for line in self.driver.stdout.read().splitlines():
                self.hear(line)
            self.driver.wait()
            self.driver, struck = None, workers
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

    def candidate(self, process) -> str:
        """What a worker is training, by its sign."""
        try:
            return (self.signs / str(process.pid)).read_text()
        except OSError:
            return ""

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

    def trained(self) -> Counter[str]:
        """How often each function was trained to its end, by the task's own list."""
        return Counter((self.signs / LIST).read_text().splitlines())

    def compare(self) -> None:
        """Every evaluation that was seen or told before is there, unchanged, and was not trained again."""
        with Store.open(self.run) as store:
            rows, trials = store.evaluations(), store.trials()
        trained, stored = self.trained(), {t.number: t for t in trials}
        found = {}
        for e in rows:
            times = trained[candidate_text(stored[e.number].candidate)]
            assert times > 0, f"evaluation {e.number} is stored and was never trained"
            found[e.number, e.repeat] = (e.seed, e.outcome.status.value, e.outcome.score, e.seconds, times)
        for key, row in self.seen.items():
            assert found.get(key) == row, f"evaluation {key} was {row}, is {found.get(key)}"
        for number, row in self.told.items():
            assert number in stored, f"trial {number} was told and is not stored"
            t = stored[number]
            assert row == (number, candidate_text(t.candidate), t.status.value, t.score), f"trial {number} was {row}"
        assert len(trials) >= self.reported, f"{self.reported} trials were reported, {len(trials)} are stored"
        self.rows_compared += len(self.seen)
        self.seen, self.reported = found, len(trials)

    def finish(self) -> None:
        if self.driver is not None:
            self.driver.kill()
            self.driver.wait()
        self.evaluations = len(self.seen) + 10
        self.start()
        for line in self.driver.stdout.read().splitlines():
            self.hear(line)
        assert self.driver.wait() == 0
        self.compare()
        with Store.open(self.run) as store:
            found = trace(store.trials())
        undisturbed = new_study(None, None, 0)
        expected = trace(undisturbed.run(self.evaluations))
        assert found == expected, "the trials are not those of an undisturbed study"
        marks = tuple(f"SYMACT_DRIVER={pid}:" for pid in self.drivers)
        left = [p for p in psutil.process_iter() if any(mark in environment(p) for mark in marks)]
        assert not left, f"left behind: {[command(p) for p in left]}"


def trace(trials) -> list:
    return [(t.number, t.batch, candidate_text(t.candidate), t.status.value, t.scores) for t in trials]


def command(process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def parent(process) -> int:
    try:
        return process.ppid()
    except psutil.Error:
        return 0


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
    parser.add_argument("--folder", type=Path, help="keep the study there; a drill that was stopped goes on")
    parser.add_argument("--record", action="store_true", help="write the counts to results.json")
    parser.add_argument("--drive", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive:
        drive(arguments.drive[0], arguments.drive[1], int(arguments.drive[2]))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        counts = Drill(folder, arguments.kills, arguments.seed, arguments.minutes).go()
    counts["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(json.dumps(counts, indent=2))
    if arguments.record:
        (RECORDS / "results.json").write_text(json.dumps(counts, indent=2) + "\n")


if __name__ == "__main__":
    main()
