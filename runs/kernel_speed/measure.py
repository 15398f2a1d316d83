"""Time activations forward and backward on CPU: ours against ATen, eager torch, torch.compile, timm and sympytorch.

All columns of a row are timed in turn in one process, so that a busy machine slows them alike. The clock is
the CPU time of the thread; the wall clock where threads are compared. Each section writes one JSON
document, `results/SECTION.json`: medians and quartiles in nanoseconds per element. The C library is told to keep
freed memory: otherwise it depends on the luck of the heap whether a column gets warm memory or new pages each time,
which costs 2 ns per element, more than most functions.

    python runs/kernel_speed/measure.py                      # every section that has no result yet
    python runs/kernel_speed/measure.py --section functions  # one section again
    python runs/kernel_speed/measure.py --tables             # results/TABLES.md, from the results that are there
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import itertools
import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import symact

Function = Callable[[Tensor], Tensor]


def hard_sigmoid(x: Tensor) -> Tensor:
    return torch.clamp(0.2 * x + 0.5, 0, 1)


# Text -> (plain torch, ATen's own or None); the first nine are the ones whose geometric mean is told.
FUNCTIONS: dict[str, tuple[Function, Function | None]] = {
    "x*sigmoid(x)": (lambda x: x * torch.sigmoid(x), F.silu),
    "x*tanh(softplus(x))": (lambda x: x * torch.tanh(F.softplus(x)), F.mish),
    "gelu(x)": (F.gelu, F.gelu),
    "erfc(softplus(x))**2": (lambda x: torch.erfc(F.softplus(x)) ** 2, None),
    "-x*sigmoid(x)*hard_sigmoid(x)": (lambda x: -x * torch.sigmoid(x) * hard_sigmoid(x), None),
    "asinh(elu(swish(x)))": (lambda x: torch.asinh(F.elu(F.silu(x))), None),
    "selu(sinh(exp(atan(x))-1))": (lambda x: F.selu(torch.sinh(torch.exp(torch.atan(x)) - 1)), None),
    "swish(x)*erfc(i0e(x))": (lambda x: F.silu(x) * torch.erfc(torch.special.i0e(x)), None),
    "x*erfc(elu(x))": (lambda x: x * torch.erfc(F.elu(x)), None),
    "elu(x)": (F.elu, F.elu),
    "softplus(x)": (F.softplus, F.softplus),
    "tanh(x)": (torch.tanh, torch.tanh),
}


def others(text: str) -> dict[str, Function]:
    """Columns of other libraries for a function, where they are installed and have it."""
    found: dict[str, Function] = {}
    try:
        from timm.layers.activations_me import mish_me, swish_me

        if text in ("x*sigmoid(x)", "x*tanh(softplus(x))"):
            found["timm"] = swish_me if text == "x*sigmoid(x)" else mish_me
    except ImportError:
        pass
    try:
        import sympy
        import sympytorch

        x = sympy.Symbol("x")
        if text == "x*sigmoid(x)":
            module = sympytorch.SymPyModule(expressions=[x / (1 + sympy.exp(-x))])
            found["sympytorch"] = lambda t: module(x=t)[..., 0]
    except ImportError:
        pass
    return found


def summary(samples: list[float], scale: float) -> dict[str, float]:
    low, middle, high = statistics.quantiles([s * scale for s in samples], n=4)
    best = round(min(samples) * scale, 3)
    return {"median": round(middle, 3), "low": round(low, 3), "high": round(high, 3), "best": best}


def rounds(columns: dict[str, Callable[[], None]], count: int, threads: int) -> dict[str, list[float]]:
    """Seconds per call of each column, taken in turn; with `threads` 0 of one thread's CPU time, else of the wall."""
    clock = time.thread_time if threads == 0 else time.perf_counter
    draw = random.Random(0)  # what ran before leaves warm or cold caches, so the order changes every round
    times: dict[str, list[float]] = {name: [] for name in columns}
    for call in columns.values():
        call()
        call()
    for _ in range(count):
        for name, call in draw.sample(list(columns.items()), len(columns)):
            start = clock()
            call()
            times[name].append(clock() - start)
    return times


def both_ways(function: Function, x: Tensor, g: Tensor, repeat: int = 1) -> Callable[[], None]:
    def call() -> None:
        for _ in range(repeat):
            x.grad = None
            function(x).backward(g)

    return call


def measure(texts: list[str], size: int, dtype: torch.dtype, threads: int, compiled: bool, count: int) -> dict:
    """Rows of one size and dtype."""
    torch.set_num_threads(max(threads, 1))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(size, generator=generator).to(dtype).requires_grad_()
    g = torch.randn(size, generator=generator).to(dtype)
    repeat = max(1, 20000 // size)
    rows = {}
    for text in texts:
        plain, native = FUNCTIONS[text]
        functions: dict[str, Function] = {"ours": symact.compile(text)}
        if native is not None:
            functions["native"] = native
        if plain is not native:
            functions["eager"] = plain
        if compiled:
            torch._dynamo.reset()
            functions["compile"] = torch.compile(plain)
        if dtype == torch.float32:
            functions.update(others(text))
        times = rounds({n: both_ways(f, x, g, repeat) for n, f in functions.items()}, count, threads)
        rows[text] = {name: summary(samples, 1e9 / size / repeat) for name, samples in times.items()}
        print(text, {name: cell["median"] for name, cell in rows[text].items()}, file=sys.stderr, flush=True)
    return rows


def functions() -> dict:
    rows = measure(list(FUNCTIONS), 1_000_000, torch.float32, 0, True, 45)
    ratios = [row["ours"]["median"] / row["compile"]["median"] for row in list(rows.values())[:9]]
    return {"rows": rows, "geometric_mean_of_compile": round(statistics.geometric_mean(ratios), 3)}


# Text -> plain torch, and the |x| at which the angle has a size.
FREQUENCIES: dict[str, tuple[Function, Callable[[float], float]]] = {
    "sin(30*x)": (lambda x: torch.sin(30 * x), lambda size: size / 30),
    "sin(10*(abs(x)+1)*x)": (
        lambda x: torch.sin(10 * (torch.abs(x) + 1) * x),
        lambda s: ((1 + 0.4 * s) ** 0.5 - 1) / 2,
    ),
    "sinc(10*x)": (lambda x: torch.sinc(10 * x / torch.pi), lambda size: size / 10),
}


def high_frequency() -> dict:
    """SIREN, FINER and sinc, whose angles are up to 30 and up to 1e5, on 10^5 and 10^6 elements."""
    torch.set_num_threads(1)
    found: dict = {}
    generator = torch.Generator().manual_seed(0)
    for text, (plain, reach) in FREQUENCIES.items():
        torch._dynamo.reset()
        functions = {"ours": symact.compile(text), "eager": plain, "compile": torch.compile(plain)}
        for size, largest in itertools.product((10**5, 10**6), (30.0, 1e5)):
            x = (torch.rand(size, generator=generator) * 2 - 1) * reach(largest)
            x, g, repeat = x.requires_grad_(), torch.randn(size, generator=generator), 10**6 // size
            times = rounds({n: both_ways(f, x, g, repeat) for n, f in functions.items()}, 45, 0)
            ratios = [a / b for a, b in zip(times["ours"], times["compile"], strict=True)]
            row = {name: summary(samples, 1e9 / size / repeat) for name, samples in times.items()}
            row["ours / compile"] = summary(ratios, 1.0)
            found.setdefault(str(size), {}).setdefault(f"{largest:g}", {})[text] = row
            print(
                size, largest, text, {name: cell["median"] for name, cell in row.items()}, file=sys.stderr, flush=True
            )
    return found


def halves() -> dict:
    texts = [t for t, (_, native) in FUNCTIONS.items() if native is not None]
    return {"bfloat16": measure(texts, 1_000_000, torch.bfloat16, 0, False, 60)}


def sizes() -> dict:
    texts = ["x*sigmoid(x)", "x*tanh(softplus(x))", "x*erfc(elu(x))"]
    return {
        str(size): measure(texts, size, torch.float32, 0, False, 15 if size < 10**7 else 5)
        for size in (10**3, 10**4, 10**5, 10**6, 10**7)
    }


def calls() -> dict:
    """Calls on 1,000 elements, forward and backward, in microseconds, modules against modules and functions alike."""
    torch.set_num_threads(1)
    x, g = torch.randn(1000, requires_grad=True), torch.randn(1000)
    text = "x*sigmoid(x)"
    functions: dict[str, Function] = {"native": F.silu, "native module": nn.SiLU(), "ours": symact.compile(text)}
    functions |= {"our module": symact.Activation(text), "eager": FUNCTIONS[text][0]}
    times = rounds({name: both_ways(f, x, g, 100) for name, f in functions.items()}, 60, 0)
    found = {name: summary(samples, 1e4) for name, samples in times.items()}
    for ours, native in (("ours", "native"), ("our module", "native module")):
        differences = [a - b for a, b in zip(times[ours], times[native], strict=True)]
        found[f"{ours} above {native}"] = summary(differences, 1e4)
    return found


def threads() -> dict:
    """Wall clock with one thread and with two, and how many times as fast two are."""
    texts = ["x*sigmoid(x)", "x*tanh(softplus(x))", "x*erfc(elu(x))"]
    found: dict = {}
    for size in (10**6, 10**7):
        times = {c: measure(texts, size, torch.float32, c, False, 25 if size < 10**7 else 7) for c in (1, 2)}
        found[str(size)] = {
            text: {
                name: {
                    "one": cell["median"],
                    "two": times[2][text][name]["median"],
                    "ratio": ratio(cell, times[2][text][name]),
                }
                for name, cell in row.items()
            }
            for text, row in times[1].items()
        }
    return found


def ratio(first: dict[str, float], second: dict[str, float]) -> float:
    return round(first["median"] / second["median"], 2)


def latency() -> dict:
    """1,000 new functions from text to their first value and gradient."""
    names = ["sigmoid", "tanh", "erf", "exp", "atan", "softplus", "elu", "swish", "sin", "cosh"]
    texts = [f"{a}({b}(x))*{c}(x)" for a in names for b in names for c in names]
    symact.compile("x*sigmoid(x)")(torch.ones(1))
    clock = time.thread_time
    expressions = [symact.parse(text) for text in texts]
    gc.collect()
    gc.freeze()  # a full collection of all that torch has loaded takes 0.2 s and would fall anywhere
    start = clock()
    made = symact.compile_many(expressions)
    compiled = clock() - start
    kernels = [function._runner.plan("cpu").narrow for function in made]
    return {
        "functions": len(texts),
        "seconds_from_expression_to_callable": round(compiled, 3),
        "seconds_to_bytecode": round(clock() - start - compiled, 3),
        "fused": sum(kernel is not None for kernel in kernels),
    }


def network(activation: Callable[[], nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), activation()]
        if before != after and before != 3:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Plain(nn.Module):
    """A plain torch function as a module."""

    def __init__(self, function: Function):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def step() -> dict:
    """A training step of a small CNN, and how much of it is more than the same step with no activation."""
    torch.set_num_threads(1)
    images, labels = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
    result = {}
    for text in ("x*sigmoid(x)", "x*tanh(softplus(x))", "x*erfc(elu(x))", "swish(x)*erfc(i0e(x))"):
        plain, native = FUNCTIONS[text]
        makers: dict[str, Callable[[], nn.Module]] = {"none": nn.Identity}
        makers["ours"] = lambda text=text: symact.Activation(text)
        makers["native" if native else "eager"] = lambda f=native or plain: Plain(f)
        calls = {}
        for name, maker in makers.items():
            torch.manual_seed(0)
            model = network(maker)
            optimizer = torch.optim.SGD(model.parameters(), 0.01)

            def call(model: nn.Module = model, optimizer: torch.optim.Optimizer = optimizer) -> None:
                optimizer.zero_grad()
                F.cross_entropy(model(images), labels).backward()
                optimizer.step()

            calls[name] = call
        times = {name: statistics.median(samples) for name, samples in rounds(calls, 7, 0).items()}
        result[text] = {
            name: {"milliseconds": round(1e3 * t, 1), "share": round(max(0.0, 1 - times["none"] / t), 3)}
            for name, t in times.items()
        }
        print(text, result[text], file=sys.stderr, flush=True)
    return result


def physics_step(model: nn.Module, points: Tensor) -> Tensor:
    """Burgers' equation, u_t + u*u_x = 0.01*u_xx, as a loss, forward and backward."""
    points = points.clone().requires_grad_()
    u = model(points)
    first = torch.autograd.grad(u.sum(), points, create_graph=True)[0]
    second = torch.autograd.grad(first[:, 1].sum(), points, create_graph=True)[0]
    loss = ((first[:, 0] + u[:, 0] * first[:, 1] - 0.01 * second[:, 1]) ** 2).mean()
    model.zero_grad()
    loss.backward()
    return loss


class Free(torch.autograd.Function):
    """Passes on what comes last, in as many derivatives as somebody asks for: a step with it does all the rest."""

    @staticmethod
    def forward(ctx, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors)
        return tensors[-1].view_as(tensors[-1])

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, ...]:
        passed = Free.apply(*ctx.saved_tensors, grad) if torch.is_grad_enabled() else grad
        return (passed,) * len(ctx.saved_tensors)


def higher() -> dict:
    """A step of a physics-informed network, 2-64-64-64-1, with u_t, u_x and u_xx in its loss: ours, PyTorch's, none."""
    torch.set_num_threads(1)
    found: dict = {}
    for size in (1024, 4096, 16384):
        points = torch.rand(size, 2, generator=torch.Generator().manual_seed(0))
        for text, native in {
            "tanh(x)": torch.tanh,
            "sin(x)": torch.sin,
            "x*sigmoid(x)": F.silu,
            "gelu(x)": F.gelu,
        }.items():
            calls = {}
            for name, maker in {
                "ours": lambda t=text: symact.Activation(t),
                "native": lambda f=native: Plain(f),
                "none": lambda: Plain(Free.apply),
            }.items():
                torch.manual_seed(0)
                layers: list[nn.Module] = [nn.Linear(2, 64), maker()]
                for _ in range(2):
                    layers += [nn.Linear(64, 64), maker()]
                model = nn.Sequential(*layers, nn.Linear(64, 1))
                calls[name] = lambda m=model, p=points: physics_step(m, p)
            times = rounds(calls, 25 if size < 10000 else 9, 0)
            ratios = [a / b for a, b in zip(times["ours"], times["native"], strict=True)]
            row = {name: summary(samples, 1e3) for name, samples in times.items()}
            row["ours / native"] = summary(ratios, 1.0)
            triples = zip(times["ours"], times["native"], times["none"], strict=True)
            # What the activations take of a step, by medians of differences: those of single rounds may be nothing.
            above = [statistics.median(d) for d in zip(*[(a - n, b - n) for a, b, n in triples], strict=True)]
            row["activations, ours / native"] = round(above[0] / above[1], 3)
            found.setdefault(str(size), {})[text] = row
            print(size, text, found[str(size)][text]["ours / native"], file=sys.stderr, flush=True)
    return found


def first_call() -> dict:
    """1,000 drawn functions of `large`, from text to the end of the first forward and backward on 10^4 elements."""
    import numpy as np

    torch.set_num_threads(1)
    grammar = symact.load_grammar("aquasurf")
    generator, space = np.random.default_rng(0), grammar.space("large")
    texts = [str(space.sample(generator)) for _ in range(1000)]
    x, g = torch.randn(10**4, requires_grad=True), torch.randn(10**4)
    both_ways(symact.compile("x*sigmoid(x)"), x, g)()
    gc.collect()
    gc.freeze()
    start = time.thread_time()
    made = symact.compile_many(texts, grammar)
    callable_ = time.thread_time() - start
    for function in made:
        both_ways(function, x, g)()
    return {
        "functions": len(texts),
        "seconds_from_text_to_callable": round(callable_, 3),
        "seconds_of_first_forward_and_backward": round(time.thread_time() - start - callable_, 3),
    }


SECTIONS = {
    f.__name__: f for f in (functions, halves, calls, sizes, threads, latency, step, higher, high_frequency, first_call)
}
RESULTS = Path(__file__).parent / "results"


def lines(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)] + [""]


def shown(cell: dict[str, float] | None) -> str:
    return "" if cell is None else f"{cell['median']:.2f} ({cell['low']:.2f}-{cell['high']:.2f})"


def quotient(row: dict, below: str) -> str:
    return f"{row['ours']['median'] / row[below]['median']:.2f}" if below in row else ""


def tables() -> str:
    """The tables of the README, in Markdown, of the sections that were measured."""
    found = {
        name: json.loads(path.read_text())["result"] for name in SECTIONS if (path := RESULTS / f"{name}.json").exists()
    }
    text: list[str] = []
    for section, rows in (
        ("functions", found.get("functions", {}).get("rows")),
        ("halves", found.get("halves", {}).get("bfloat16")),
    ):
        if rows:
            columns = ["ours", "native", "eager", "compile"] if section == "functions" else ["ours", "native"]
            below = [c for c in ("native", "compile") if c in columns]
            head = ["function", *columns, *[f"ours / {c}" for c in below]]
            body = [
                [f"`{f}`", *[shown(row.get(c)) for c in columns], *[quotient(row, c) for c in below]]
                for f, row in rows.items()
            ]
            text += [f"## {section}", "", *lines(head, body)]
    if "functions" in found:
        text += [
            f"Geometric mean of ours / compile over the first nine: {found['functions']['geometric_mean_of_compile']}",
            "",
        ]
    if "calls" in found:
        text += ["## calls", "", *lines(["call", "microseconds"], [[n, shown(c)] for n, c in found["calls"].items()])]
    if "sizes" in found:
        counts = list(found["sizes"])
        body = [
            [f"`{f}`", column, *[f"{found['sizes'][n][f][column]['median']:.2f}" for n in counts]]
            for f, row in found["sizes"][counts[0]].items()
            for column in row
            if column in ("ours", "native", "eager")
        ]
        text += ["## sizes", "", *lines(["function", "column", *counts], body)]
    if "threads" in found:
        body = [
            [size, f"`{f}`", name, *[f"{cell[k]:.2f}" for k in ("one", "two", "ratio")]]
            for size, rows in found["threads"].items()
            for f, row in rows.items()
            for name, cell in row.items()
            if name in ("ours", "native", "eager")
        ]
        text += ["## threads", "", *lines(["size", "function", "column", "one", "two", "one / two"], body)]
    if "high_frequency" in found:
        body = [
            [
                size,
                largest,
                f"`{f}`",
                *[f"{row[c]['median']:.2f}" for c in ("ours", "eager", "compile")],
                shown(row["ours / compile"]),
            ]
            for size, reaches in found["high_frequency"].items()
            for largest, rows in reaches.items()
            for f, row in rows.items()
        ]
        head = ["elements", "angles up to", "function", "ours", "eager", "torch.compile", "ours / compile"]
        text += ["## high_frequency", "", *lines(head, body)]
    if "higher" in found:
        body = [
            [
                size,
                f"`{f}`",
                *[f"{row[c]['median']:.2f}" for c in ("ours", "native", "none")],
                shown(row["ours / native"]),
                f"{row['activations, ours / native']:.2f}",
            ]
            for size, rows in found["higher"].items()
            for f, row in rows.items()
        ]
        text += [
            "## higher",
            "",
            *lines(["points", "function", "ours, ms", "native, ms", "none, ms", "ours / native", "activations"], body),
        ]
    if "step" in found:
        body = [
            [f"`{f}`", name, f"{cell['milliseconds']:.1f}", f"{100 * cell['share']:.0f} %"]
            for f, row in found["step"].items()
            for name, cell in row.items()
        ]
        text += ["## step", "", *lines(["function", "column", "ms per step", "share of the activation"], body)]
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--section", choices=SECTIONS, help="measure this one, again if need be")
    parser.add_argument("--tables", action="store_true", help="write the tables of the results that are there")
    arguments = parser.parse_args()
    if arguments.tables:
        (RESULTS / "TABLES.md").write_text(tables())
        return
    from symact.backends.cpu import library as cpu_library

    keep_freed_memory()
    about = {"machine": platform.machine(), "processor": processor(), "instruction_set": cpu_library.isa()}
    about |= {"torch": torch.__version__, "python": platform.python_version()}
    for name in (
        [arguments.section] if arguments.section else [n for n in SECTIONS if not (RESULTS / f"{n}.json").exists()]
    ):
        text = json.dumps({"section": name, **about, "result": SECTIONS[name]()}, indent=1)
        (RESULTS / f"{name}.json").write_text(text + "\n")


def keep_freed_memory() -> None:
    """glibc's M_TRIM_THRESHOLD (-1) and M_MMAP_THRESHOLD (-3); nothing where there is no `mallopt`."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(-1, 2**30)
        mallopt(-3, 2**30)


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


if __name__ == "__main__":
    main()
