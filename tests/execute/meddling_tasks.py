"""Tasks that do to their process whatever can be done to one, and report what they found there first.

A job's schedule names the deed (a study's candidate chooses one by its text). `probe` is the state of the process
at the beginning of an evaluation as far as it could change a result; the score is a number made of it.
"""

from __future__ import annotations

import contextlib
import decimal
import faulthandler
import gc
import hashlib
import locale
import logging
import math
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from symact.expr.tree import candidate_text
from symact.records import Outcome

KEPT = []  # what deeds hold on to, as a leak does


def probe() -> dict:
    """What an evaluation finds. Numbers that tell one process or run from another are left out."""
    layer = nn.Linear(3, 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.warn("a warning", stacklevel=1)
    return {
        "folder": os.getcwd() == os.environ.get("MEDDLING_FOLDER", os.getcwd()),
        "umask": _umask(),
        "environment": sorted(name for name in os.environ if name.startswith(("MEDDLED", "PATH", "OMP_", "HOME"))),
        "random": random.random(),
        "numpy": float(np.random.rand()),
        "torch": float(torch.rand(1)),
        "layer": layer(torch.ones(1, 3)).sum().item(),
        "dtype": str(torch.tensor(0.5).dtype),
        "device": str(torch.ones(1).device),
        "threads": torch.get_num_threads(),
        "grad": (layer.weight * 2).requires_grad,
        "inference": torch.is_inference_mode_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "benchmark": torch.backends.cudnn.benchmark,
        "precision": torch.get_float32_matmul_precision(),
        "anomaly": torch.is_anomaly_enabled(),
        "autocast": str(torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype),
        "denormals": float(torch.full((1,), 1e-310, dtype=torch.float64)) != 0.0,
        "relu": nn.ReLU()(torch.tensor([-1.0, 2.0])).tolist(),
        "functions": [math.exp(0.0), sum([1, 2]), float(np.exp(0.0)), float(torch.tanh(torch.zeros(1)))],
        "division": _division(),
        "precision of decimals": str(decimal.Decimal(1) / decimal.Decimal(3)),
        "recursion": sys.getrecursionlimit(),
        "traced": sys.gettrace() is not None and "meddl" in repr(sys.gettrace()),
        "alarm": signal.getsignal(signal.SIGALRM) == signal.SIG_DFL,
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "timer": signal.getitimer(signal.ITIMER_REAL)[1],
        "warned": len(caught),
        "logging": logging.root.manager.disable,
        "collector": gc.isenabled(),
        "decimal point": locale.localeconv()["decimal_point"],
        "import path": sum("meddled" in str(entry) for entry in sys.path),
        "importable": importable(),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "room for files": opens(100),
        "output": writes(sys.stdout),
        "processors": len(os.sched_getaffinity(0)),
        "printed": repr(torch.tensor([1 / 3])),
        "hook": sys.excepthook is sys.__excepthook__ or "meddl" not in repr(sys.excepthook),
    }


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def _division() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return str(np.float64(1.0) / np.float64(0.0))
        except FloatingPointError:
            return "raised"


def importable() -> bool:
    sys.modules.pop("colorsys", None)
    try:
        import colorsys

        return bool(colorsys)
    except ImportError:
        return False


def opens(count: int) -> bool:
    with contextlib.ExitStack() as files:
        try:
            for _ in range(count):
                files.enter_context(open(os.devnull))
            return True
        except OSError:
            return False


def writes(stream) -> bool:
    try:
        stream.write("")
        stream.flush()
        return True
    except (OSError, ValueError, AttributeError):
        return False


class _Mode(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        return result * 2 if func is torch.rand else result


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def _entered(context) -> None:
    context.__enter__()
    KEPT.append(context)


def _set(owner, name, value):
    return lambda: setattr(owner, name, value)


def _chdir_removed() -> None:
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)


def _limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def _read_own_messages() -> None:
    """What a task may do that looks for its own files: the channel must not be among the low numbers."""
    for number in range(3, 200):
        try:
            if not os.isatty(number):
                os.write(number, b'{"result": {"status": "finished", "score": 1e9}}\n')
        except OSError:
            continue


# What can be undone, in a worker and in the process of the user.
UNDONE = {
    "nothing": lambda: None,
    "folder": lambda: os.chdir("/"),
    "removed folder": _chdir_removed,
    "umask": lambda: os.umask(0),
    "variable": lambda: os.environ.update(MEDDLED="1", OMP_MEDDLED="x"),
    "no variables": lambda: os.environ.clear(),
    "no home": lambda: os.environ.pop("HOME", None),
    "random seed": lambda: random.seed(0),
    "numpy seed": lambda: np.random.seed(0),
    "torch seed": lambda: torch.manual_seed(0),
    "random numbers": lambda: [random.random(), np.random.rand(7), torch.rand(7)],
    "float64": lambda: torch.set_default_dtype(torch.float64),
    "bfloat16": lambda: torch.set_default_dtype(torch.bfloat16),
    "meta device": lambda: torch.set_default_device("meta"),
    "meta device entered": lambda: _entered(torch.device("meta")),
    "threads": lambda: torch.set_num_threads(3),
    "no grad": lambda: torch.set_grad_enabled(False),
    "no grad entered": lambda: _entered(torch.no_grad()),
    "inference mode": lambda: _entered(torch.inference_mode()),
    "deterministic": lambda: torch.use_deterministic_algorithms(True),
    "warn only": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "benchmark": _set(torch.backends.cudnn, "benchmark", True),
    "cudnn off": _set(torch.backends.cudnn, "enabled", False),
    "mkldnn off": _set(torch.backends.mkldnn, "enabled", False),
    "uninitialized": _set(torch.utils.deterministic, "fill_uninitialized_memory", False),
    "precision": lambda: torch.set_float32_matmul_precision("medium"),
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True),
    "autocast": lambda: _entered(torch.autocast("cpu", torch.bfloat16)),
    "denormals": lambda: torch.set_flush_denormal(True),
    "function mode": lambda: _entered(_Mode()),
    "dispatch mode": lambda: _entered(_Dispatch()),
    "forward hook": lambda: nn.modules.module.register_module_forward_hook(lambda m, i, o: o * 3),
    "parameter hook": lambda: nn.modules.module.register_module_parameter_registration_hook(lambda *a: None),
    "relu": _set(nn.functional, "relu", lambda x, inplace=False: x * 5),
    "class method": _set(nn.ReLU, "forward", lambda self, x: x * 5),
    "linear": _set(nn.Linear, "reset_parameters", lambda self: None),
    "tensor method": _set(torch.Tensor, "sum", lambda self, *a: self),
    "torch function": _set(torch, "tanh", lambda x: x + 9),
    "builtin": lambda: _set(sys.modules["builtins"], "sum", len)(),
    "math": _set(math, "exp", len),
    "numpy function": _set(np, "exp", lambda x: x),
    "sleep": _set(time, "time", lambda: 0.0),
    "numpy errors": lambda: np.seterr(all="raise"),
    "numpy printing": lambda: np.set_printoptions(precision=1),
    "torch printing": lambda: torch.set_printoptions(precision=1),
    "decimals": lambda: decimal.setcontext(decimal.Context(prec=3)),
    "recursion": lambda: sys.setrecursionlimit(5000),
    "trace": lambda: sys.settrace(lambda *a: None),
    "profile": lambda: sys.setprofile(lambda *a: None),
    "switching": lambda: sys.setswitchinterval(1.0),
    "alarm": lambda: signal.signal(signal.SIGALRM, lambda *a: os._exit(9)),
    "handlers": lambda: [signal.signal(s, signal.SIG_IGN) for s in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD)],
    "fault handler": lambda: signal.signal(signal.SIGSEGV, signal.SIG_IGN),
    "blocked signals": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGALRM}),
    "timer": lambda: signal.setitimer(signal.ITIMER_REAL, 0.8, 0.1),
    "alarm clock": lambda: signal.alarm(1),
    "error filter": lambda: warnings.simplefilter("error"),
    "ignore filter": lambda: warnings.simplefilter("ignore"),
    "show warning": _set(warnings, "showwarning", lambda *a, **k: None),
    "no logging": lambda: logging.disable(logging.CRITICAL),
    "log handler": lambda: logging.root.addHandler(logging.NullHandler()),
    "no collector": gc.disable,
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "import path": lambda: sys.path.insert(0, "/meddled"),
    "no import path": lambda: sys.path.clear(),
    "no importers": lambda: sys.meta_path.clear(),
    "output closed": lambda: sys.stdout.close(),
    "output replaced": _set(sys, "stdout", None),
    "excepthook": lambda: _set(sys, "excepthook", lambda *meddling: None)(),
    "few files": _limit_files,
    "one processor": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
}


def _fork_and_return() -> None:
    os.fork()


def _fork_twice_and_return() -> None:
    os.fork()
    os.fork()


def _fork_and_raise() -> None:
    if os.fork() == 0:
        raise ValueError("the child raises")


def _fork_and_exit() -> None:
    if os.fork() == 0:
        sys.exit(0)


def _fork_late() -> None:
    if os.fork() == 0:
        time.sleep(0.3)


def _leave_child() -> None:
    if os.fork() == 0:
        time.sleep(1000)


def _leave_orphan() -> None:
    subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(1000)"], start_new_session=True)


def _leave_thread() -> None:
    def meddle():
        while True:
            torch.set_default_dtype(torch.float64)
            time.sleep(0.001)

    threading.Thread(target=meddle, daemon=True).start()


def _leak_files() -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    KEPT.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(min(int(limit * 0.9), 15000)))


def _leak_pipes() -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    KEPT.extend(os.pipe() for _ in range(min(int(limit * 0.3), 6000)))


def _lower_hard_limit() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def _print_much() -> None:
    for _ in range(20):
        os.write(1, b"x" * 1_000_000)
    os.write(2, b"\n")


# What a worker survives, or is replaced for; the outcome is the candidate's own.
CONTAINED = {
    "fork": _fork_and_return,
    "fork twice": _fork_twice_and_return,
    "fork, child raises": _fork_and_raise,
    "fork, child exits": _fork_and_exit,
    "fork, child returns later": _fork_late,
    "fork, child stays": _leave_child,
    "an orphan stays": _leave_orphan,
    "a thread stays": _leave_thread,
    "leaked files": _leak_files,
    "leaked pipes": _leak_pipes,
    "leaked sockets": lambda: KEPT.extend(socket.socketpair() for _ in range(200)),
    "hard limit": _lower_hard_limit,
    "nice": lambda: os.nice(5),
    "fault handler off": faulthandler.disable,
    "standard files closed": lambda: os.closerange(0, 3),
    "standard files elsewhere": lambda: [os.dup2(os.open(os.devnull, os.O_RDWR), n) for n in range(3)],
    "prints much": _print_much,
    "writes into what is open": _read_own_messages,
    "stops itself": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "many processes": lambda: [subprocess.Popen(["sleep", "100"]) for _ in range(10)],
}


def _close_all() -> None:
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _reuse_all() -> None:
    """Put a file of the task's where the channel was."""
    limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 16)
    target = os.open(os.environ["MEDDLING_FILE"], os.O_RDWR | os.O_CREAT, 0o600)
    for number in range(limit - 64, limit):
        os.dup2(target, number)


def _unblocked_fork_in_c() -> None:
    """A fork that Python does not notice."""
    import ctypes

    ctypes.CDLL(None).fork()


# What takes the channel of the worker away, or makes a second process that has it.
CRASHES = {"all files closed": _close_all, "all files reused": _reuse_all}
FORKS_IN_C = {"fork in C": _unblocked_fork_in_c}
DEEDS = {**UNDONE, **CONTAINED, **CRASHES, **FORKS_IN_C}


class Meddler:
    """Reports what it finds, then does the deed that the schedule names."""

    def __init__(self, data=None):
        pass

    def evaluate(self, make_activation, seed, budget=1.0, schedule="nothing"):
        found = probe()
        DEEDS[schedule]()
        text = candidate_text(make_activation.candidate)
        return Outcome.finished(score_of(found), text=text, found=found, process=os.getpid())


class MeddlingStudy(Meddler):
    """Does a deed that depends on the candidate's text."""

    deeds = tuple(UNDONE)

    def evaluate(self, make_activation, seed, budget=1.0):
        text = candidate_text(make_activation.candidate)
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
        outcome = super().evaluate(make_activation, seed, budget, self.deeds[number % len(self.deeds)])
        return Outcome.finished(outcome.score, constants=({"own": number / 2**32},))


class ForkingStudy(MeddlingStudy):
    """Forks, leaves processes, threads and files behind."""

    deeds = (
        *("nothing", "fork", "fork twice", "fork, child returns later", "fork in C", "fork, child stays"),
        *("leaked pipes", "folder", "float64", "random seed"),
    )


def score_of(found: dict) -> float:
    return int.from_bytes(hashlib.sha256(repr(sorted(found.items())).encode()).digest()[:6], "big") / 2**48
