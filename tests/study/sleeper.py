"""A task for the drill: takes 60 to 140 ms, leaves a sign while a candidate is running, lists what was trained."""

import hashlib
import os
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
            sign.touch()
            time.sleep(0.06 + 0.08 * digest[6] / 255)
            # One write appends one whole line, whoever else writes; and a line written is there after kill -9.
            with open(self.signs / "trained", "ab", buffering=0) as trained:
                trained.write(f"{text}\n".encode())
            sign.unlink()
        return Outcome.finished(int.from_bytes(digest[:6], "big") / 2**48)
