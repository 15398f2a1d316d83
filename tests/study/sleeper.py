"""Tasks for the drill: each takes 60 to 140 ms, leaves a sign while a candidate is running, lists what was trained."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from symact import Outcome
from symact.expr.tree import candidate_text


class Sleeper:
    """Scores are a hash of candidate and seed; `data` is the folder of the signs and of the list `trained`."""

    sites = 1

    def __init__(self, data=None):
        self.signs = Path(data) if data else None

    def evaluate(self, make_activation, seed, budget=1.0):
        text = candidate_text(make_activation.candidate)
        digest = hashlib.sha256(f"{text} {seed} {budget}".encode()).digest()
        if self.signs is not None:
            sign = self.signs / str(os.getpid())
            part = sign.with_suffix(".part")
            part.write_text(text)
            part.rename(sign)
            time.sleep(0.06 + 0.08 * digest[6] / 255)
            # One write appends one whole line, whoever else writes; and a line written is there after kill -9.
            with open(self.signs / "trained", "ab", buffering=0) as trained:
                trained.write(f"{text}\n".encode())
            sign.unlink()
        return self.outcome(digest)

    def outcome(self, digest):
        return Outcome.finished(int.from_bytes(digest[:6], "big") / 2**48)


LEAKED = []


def fork():
    os.fork()


def fork_late():
    if os.fork() == 0:
        time.sleep(0.03)


def orphan():
    subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(1000)"], start_new_session=True)


def thread():
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()


def leak():
    LEAKED.extend(os.pipe() for _ in range(500))


def change():
    os.chdir("/")
    os.umask(0)
    os.environ.clear()
    random.seed(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.path.clear()


def stop():
    os.kill(os.getpid(), signal.SIGSTOP)


def surrogate():
    raise ValueError("\ud800")


def leave():
    sys.exit(0)


DEEDS = (fork, fork_late, orphan, thread, leak, change, stop, surrogate, leave)
EVERY = 24  # of 24 candidates each deed is done by one


class Misbehaving(Sleeper):
    """Forks, leaks, leaves processes and threads, changes what it can and raises; a score depends on random numbers."""

    def outcome(self, digest):
        drawn = random.random()
        number = digest[7] % EVERY
        deed = DEEDS[number] if number < len(DEEDS) else None
        # What an undisturbed study in one process must find as well is what changes an outcome.
        if deed is not None and (self.signs is not None or deed in (surrogate, leave)):
            deed()
        return Outcome.finished((int.from_bytes(digest[:6], "big") / 2**48 + drawn) / 2)
