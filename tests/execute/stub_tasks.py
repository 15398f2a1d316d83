"""Tasks that train nothing: a score from the text of a candidate, and every way to misbehave.

An operator of the grammar below whose name is that of a misbehaviour makes every candidate that
uses it misbehave.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from symact.errors import InputError
from symact.expr.tree import candidate_text
from symact.records import Outcome, Status

GRAMMAR = """
name = "stub"
[unary]
identity = "x"
sine = "sin(x)"
square = "x**2"
tanh = "tanh(x)"
exponential = "exp(x)"
cube = "x**3"
arc = "atan(x)"
bell = "exp(-x**2)"
{extra}
[binary]
add = "a + b"
multiply = "a*b"
[spaces]
main = ["binary(unary(x), unary(x))"]
wide = ["binary(binary(unary(unary(x)), unary(x)), unary(unary(x)))"]
"""

PAIRS = """
name = "pairs"
[unary]
tanh = "tanh(x)"
sin = "sin(x)"
relu = "relu(x)"
swish = "swish(x)"
erf = "erf(x)"
[binary]
add = "a + b"
mul = "a*b"
[spaces]
pair = ["binary(unary(x), unary(x))"]
"""

MODES = ("hang", "segfault", "exit", "raises", "memory", "memoryerror", "killed", "bomb", "quits", "garbage", "nan")


def named(task: str) -> str:
    """A class of this file as a task is named on the command line."""
    return f"{Path(__file__).resolve()}:{task}"


def grammar_text(*modes: str) -> str:
    """The grammar above, with a harmless-looking operator for each misbehaviour."""
    return GRAMMAR.format(extra="\n".join(f'{mode} = "x + {i + 2}"' for i, mode in enumerate(modes)))


def score_of(text: str, seed: int) -> float:
    """A number in [0, 1) that depends on the candidate, and a little on the seed."""
    draw = hashlib.sha256(text.encode()).digest()
    noise = hashlib.sha256(f"{text}{seed}".encode()).digest()
    return int.from_bytes(draw[:6], "big") / 2**48 * 0.9 + int.from_bytes(noise[:6], "big") / 2**48 * 0.1


class Quick:
    """Gives a score at once."""

    name = "quick"
    sites = 1
    seconds = 0.0

    def __init__(self, data: str | None = None):
        self.data = data

    def evaluate(self, make_activation, seed, budget=1.0):
        text = candidate_text(make_activation.candidate)
        if self.seconds:
            time.sleep(self.seconds * (0.5 + score_of(text, seed)))
        return Outcome.finished(score_of(text, seed) * budget, seed=seed, budget=budget, process=os.getpid())


class Slow(Quick):
    """Takes about 0.05 s."""

    seconds = 0.05


class Reporting(Quick):
    """Reports four steps that rise to its score."""

    def evaluate(self, make_activation, seed, budget=1.0, report=None):
        score = score_of(candidate_text(make_activation.candidate), seed)
        for step in range(1, 5):
            time.sleep(self.seconds)
            if report is not None:
                report(step, score * step / 4)
        return Outcome.finished(score)


class SlowReporting(Reporting):
    """Takes 0.02 s a step."""

    seconds = 0.02


class Long:
    """What is tried before the run folder is made ends at once; the rest goes on for longer than any test."""

    def evaluate(self, make_activation, seed, budget=1.0, report=None):
        steps = 4 if str(make_activation.candidate) in ("elu(x)", "relu(x)") else 10_000
        for step in range(1, steps + 1):
            time.sleep(0.05)
            report(step, step / 10_000, of=steps)
        return Outcome.finished(0.5)


class Tunable(Quick):
    """Scores best at a rate of its own for each candidate; ReLU far from the rate that the task has."""

    tunable = {"rate": "0.001:10.0:log"}
    rate = 1.0

    def configure(self, settings):
        if set(settings) - {"rate"} or not isinstance(settings["rate"], float):
            raise InputError("it has one setting, rate, a number")
        self.rate = settings["rate"]

    def evaluate(self, make_activation, seed, budget=1.0):
        time.sleep(self.seconds)
        text = candidate_text(make_activation.candidate)
        best = -2 if text == "relu(x)" else 0
        bottom = 0.95 if text == "relu(x)" else 0.5 if text.count("(") > 1 else 0.0
        top = bottom + score_of(text, seed) / 100
        return Outcome.finished(top - 0.2 * (math.log10(self.rate) - best) ** 2)


class SlowTunable(Tunable):
    """Takes 0.02 s."""

    seconds = 0.02


class Scheduled(Quick):
    """Knows schedules, and reports what the parameters of each site have learned."""

    def evaluate(self, make_activation, seed, budget=1.0, schedule="joint"):
        outcome = super().evaluate(make_activation, seed, budget)
        candidate = make_activation.candidate
        sites = candidate if isinstance(candidate, tuple) else (candidate,)
        constants = tuple({p.name: score_of(p.name, seed) for p in site.parameters} for site in sites)
        return Outcome.finished(outcome.score, constants=constants, schedule=schedule, **outcome.metrics)


class SlowScheduled(Scheduled):
    """Takes about 0.05 s."""

    seconds = 0.05


class Timed(Quick):
    """Takes 0.4 s, and reports when and on which device it was."""

    def evaluate(self, make_activation, seed, budget=1.0):
        began = time.time()
        time.sleep(0.4)
        score = score_of(candidate_text(make_activation.candidate), seed)
        device = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        return Outcome.finished(score, began=began, ended=time.time(), device=device)


class KilledWhenPromoted(Quick):
    """Its process is killed from outside the first time that a promoted candidate is trained; `data` is the sign."""

    def evaluate(self, make_activation, seed, budget=1.0):
        if budget > 0.3 and self.data:
            with contextlib.suppress(FileExistsError), open(self.data, "x") as file:  # of two workers one is first
                file.write(candidate_text(make_activation.candidate))
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(10)
        return super().evaluate(make_activation, seed, budget)


class Counting(Quick):
    """Writes a line per training into the file `data`."""

    seconds = 0.02

    def evaluate(self, make_activation, seed, budget=1.0):
        with open(self.data, "a") as file:
            file.write(f"{candidate_text(make_activation.candidate)}\t{seed}\t{budget}\n")
        return super().evaluate(make_activation, seed, budget)


class Featured(Quick):
    """Has features, too."""

    def features(self, make_activation):
        import numpy as np

        value = score_of(candidate_text(make_activation.candidate), 0)
        return {"outputs": np.full(3, value), "fisher_weights": np.ones(2), "finite": np.array(True)}


class WithoutData(Quick):
    """Says when it is used that its data is missing."""

    def evaluate(self, make_activation, seed, budget=1.0):
        raise InputError("the data set is not there; give --data DIR")


class Wild(Quick):
    """Misbehaves in the way that the candidate names."""

    def evaluate(self, make_activation, seed, budget=1.0):
        text = candidate_text(make_activation.candidate)
        for mode in MODES:
            if mode + "(" in text:
                found = getattr(self, mode)()
                if found is not None:
                    return found
        return super().evaluate(make_activation, seed, budget)

    def hang(self):
        while True:
            time.sleep(3600)

    def segfault(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def exit(self):
        os._exit(3)

    def raises(self):
        raise ValueError("this candidate raises")

    def memory(self):
        held = []
        while True:
            held.append(bytearray(os.urandom(1024)) * 20_000)
            time.sleep(0.01)

    def memoryerror(self):
        return bytearray(1 << 60)

    def killed(self):
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(10)

    def bomb(self):
        code = "import time; time.sleep(3600)"
        for _ in range(100):
            subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True)
            if os.fork() == 0:
                time.sleep(3600)
        Path(self.data).write_text("bomb") if self.data else None
        time.sleep(3600)

    def quits(self):
        sys.exit("enough")

    def garbage(self):
        return {"score": 1.0}

    def nan(self):
        return Outcome.finished(float("nan"))


class Diverging(Quick):
    """Fails half of all candidates."""

    def evaluate(self, make_activation, seed, budget=1.0):
        outcome = super().evaluate(make_activation, seed, budget)
        if outcome.score > 0.5:
            return Outcome.failed(Status.diverged, "too good")
        return outcome
