"""What only a GPU can show: parameters with gradients, CUDA graphs, two streams, torch.compile, higher derivatives,
the settings of large trainings.

    python runs/gpu/check.py --output runs/gpu/results

Each section writes `OUTPUT/SECTION.json`; one that fails writes its error there, and the others go on. Exit code 1 if
any failed. `tools/gpu_check.sh` runs this and `symact doctor`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import symact
from symact.execute import ranks
from symact.execute.job import Job
from symact.execute.task_loading import describe
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse, to_document
from symact.tasks import Dataset, ImageTask, Split, TrainConfig
from symact.tasks.networks import MakeActivation, resnet_cifar

LEARNED = Vocabulary(parameters={"beta": Parameter("beta", 0.7)})
FORMULAS: dict[str, Callable[[Tensor], Tensor]] = {
    "x*sigmoid(x)": F.silu,
    "gelu(x)": F.gelu,
    "x*tanh(softplus(x))": F.mish,
    "x*erfc(elu(x))": lambda x: x * torch.erfc(F.elu(x)),
}


def seconds(call: Callable[[], Any], rounds: int = 15) -> float:
    """The median time of a call on the GPU, by events."""
    times = []
    for number in range(rounds + 3):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        call()
        end.record()
        end.synchronize()
        if number >= 3:
            times.append(begin.elapsed_time(end) / 1e3)
    return statistics.median(times)


def copy_bandwidth(x: Tensor) -> float:
    """Bytes a second that a copy reads and writes."""
    y = torch.empty_like(x)
    return 2 * x.numel() * x.element_size() / seconds(lambda: y.copy_(x))


def bandwidth() -> dict[str, Any]:
    """Forward alone and backward alone as a part of a copy's bandwidth, by dtype and size; learnable ones, too."""
    found: dict[str, Any] = {}
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for power in (20, 24, 27):
            x = torch.randn(2 ** (power - 6), 64, device="cuda").to(dtype).requires_grad_()
            grad, copied = torch.randn_like(x), copy_bandwidth(x.detach())
            rows = {}
            functions: dict[str, Callable[[Tensor], Tensor]] = {text: symact.compile(text) for text in FORMULAS}
            functions["learned per layer"] = symact.Activation("x*sigmoid(beta*x)", LEARNED).cuda()
            functions["learned per channel"] = symact.Activation("x*sigmoid(beta*x)", LEARNED, channels=64).cuda()
            for name, function in functions.items():
                with torch.no_grad():
                    forward = seconds(lambda f=function, x=x: f(x))
                y = function(x)
                inputs = [x, *(function.parameters() if isinstance(function, nn.Module) else ())]
                backward = seconds(lambda y=y, i=inputs, g=grad: torch.autograd.grad(y, i, g, retain_graph=True))
                size = x.numel() * x.element_size()
                rows[name] = {
                    "forward": round(2 * size / forward / copied, 3),
                    "backward": round(3 * size / backward / copied, 3),
                }
            found[f"{dtype} 2**{power}"] = {"copy_gigabytes_a_second": round(copied / 1e9), **rows}
    return found


def graphs() -> dict[str, Any]:
    """A CUDA graph of a model's forward and backward gives, replayed on new inputs, what the model gives."""
    found = {}
    for text in (*FORMULAS, "x*sigmoid(beta*x)", "x*tanh(exp(x))"):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 64), symact.Activation(text, LEARNED), nn.Linear(64, 1)).cuda()
        x = torch.randn(512, 64, device="cuda")
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                model.zero_grad(set_to_none=True)
                model(x).sum().backward()
        torch.cuda.current_stream().wait_stream(side)
        model.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = model(x)
            y.sum().backward()
        x.copy_(torch.randn(512, 64, device="cuda") * 3)
        graph.replay()
        captured = [y.clone(), *(p.grad.clone() for p in model.parameters())]
        model.zero_grad(set_to_none=True)
        z = model(x)
        z.sum().backward()
        eager = [z, *(p.grad for p in model.parameters())]
        found[text] = max(float((a - b).abs().max()) for a, b in zip(captured, eager, strict=True))
        assert found[text] < 1e-3, f"{text}: {found[text]}"
    return found


def streams() -> dict[str, Any]:
    """Two streams at once give what one gives."""
    function = symact.compile("x*erfc(elu(x))")
    xs = [torch.randn(2**22, device="cuda") for _ in range(8)]
    wanted = [function(x) for x in xs]
    torch.cuda.synchronize()
    both = torch.cuda.Stream(), torch.cuda.Stream()
    found = []
    for number, x in enumerate(xs):
        with torch.cuda.stream(both[number % 2]):
            found.append(function(x))
    torch.cuda.synchronize()
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    return {"tensors": len(xs), "equal": True}


def compiled() -> dict[str, Any]:
    """Under torch.compile: right, and its time as a part of that of PyTorch's own operations, compiled as well."""
    found = {}
    x = torch.randn(2**24, device="cuda", requires_grad=True)
    grad = torch.randn_like(x)
    for text, native in FORMULAS.items():
        ours = symact.compile(text)
        calls = {"ours": torch.compile(lambda t, f=ours: f(t)), "native": torch.compile(native), "eager": ours}
        times = {name: seconds(lambda f=call: torch.autograd.grad(f(x), x, grad)) for name, call in calls.items()}
        error = float((calls["ours"](x) - ours(x)).abs().max())
        assert error < 1e-4, f"{text}: {error}"
        found[text] = {**{name: round(1e6 * t, 1) for name, t in times.items()}, "error": error}
    return found


def higher() -> dict[str, Any]:
    """Second and third derivatives beside PyTorch's own functions: the step of a physics-informed network."""
    found = {}
    points = torch.rand(65536, 2, device="cuda")
    for text, native in {"tanh(x)": nn.Tanh, "x*sigmoid(x)": nn.SiLU, "gelu(x)": nn.GELU}.items():
        times, gradients = {}, []
        for name, maker in (("ours", lambda t=text: symact.Activation(t)), ("native", native)):
            torch.manual_seed(0)
            layers: list[nn.Module] = [nn.Linear(2, 64), maker(), nn.Linear(64, 64), maker(), nn.Linear(64, 1)]
            model = nn.Sequential(*layers).cuda()

            def step(model: nn.Module = model) -> None:
                p = points.clone().requires_grad_()
                u = model(p)
                first = torch.autograd.grad(u.sum(), p, create_graph=True)[0]
                second = torch.autograd.grad(first[:, 1].sum(), p, create_graph=True)[0]
                model.zero_grad()
                ((first[:, 0] + u[:, 0] * first[:, 1] - 0.01 * second[:, 1]) ** 2).mean().backward()

            times[name] = seconds(step)
            gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
        error = float((gradients[0] - gradients[1]).abs().max() / gradients[1].abs().max())
        assert error < 1e-3, f"{text}: {error}"
        found[text] = {"ours / native": round(times["ours"] / times["native"], 3), "error": error}
    return found


class MadeUp(ImageTask):
    """ResNet-8 on made-up images of two classes, to try settings with."""

    name, sites = "made-up", 7
    config = TrainConfig(epochs=3, batch=128, optimizer="sgd", rate=0.05, evaluation_batch=256)

    def load(self) -> Dataset:
        generator = torch.Generator().manual_seed(0)
        y = torch.arange(2560) % 2
        x = torch.randn(2560, 3, 32, 32, generator=generator) + (y - 0.5)[:, None, None, None]
        pixels = torch.full((3,), 120.0), torch.full((3,), 60.0)
        cuts = slice(2048), slice(2048, 2304), slice(2304, None)
        return Dataset("made up", 2, *(Split(x[cut], y[cut], pixels) for cut in cuts))

    def network(self, make_activation: MakeActivation) -> nn.Module:
        return resnet_cifar(make_activation, 8, classes=2)


# Settings of a training, and how far its last validation loss may be from the plain one's; None for anywhere finite.
LARGE: dict[str, tuple[dict[str, Any], float | None]] = {
    "plain": ({}, 0.0),
    "channels_last": ({"channels_last": True}, 0.02),
    "mixed_precision": ({"mixed_precision": True}, 0.05),
    "augmented": ({"augment": True, "crop": 0.3, "randaugment": 2, "mixup": 0.2, "ema": 0.99}, None),
    "compile": ({"compile": True}, 0.02),
    "all": ({"mixed_precision": True, "channels_last": True, "compile": True, "augment": True, "ema": 0.99}, None),
}


def trainings() -> dict[str, Any]:
    """Large trainings' settings: the losses that they should give, and seconds of three epochs, the first among them.

    Two devices, where there are, train together as one does alone.
    """
    found: dict[str, Any] = {}
    plain = 0.0
    for name, (settings, tolerance) in LARGE.items():
        task = MadeUp()
        task.configure(settings)
        task.prepare()
        outcome = task.evaluate(lambda: symact.Activation("x*sigmoid(beta*x)", LEARNED), 0)
        assert outcome.status == "finished", f"{name}: {outcome.reason}"
        loss = outcome.metrics["curve"][-1]["loss"]
        plain = loss if name == "plain" else plain
        found[name] = {"loss": round(loss, 5), "seconds": round(outcome.metrics["train_seconds"], 2)}
        assert tolerance is None or abs(loss - plain) <= tolerance, f"{name}: {found}"
    return found | {"two devices": together() if torch.cuda.device_count() > 1 else "not tried: one device"}


def together() -> dict[str, list[float]]:
    """The training losses of two processes with a device each, and of one, which are the same up to rounding."""
    settings: dict[str, Any] = {"subset": 400, "epochs": 2.0, "mixup": 0.2, "ema": 0.9}
    job = Job(0, 0, 0, to_document(parse("x*sigmoid(x)"), Vocabulary()))
    losses = []
    for count in (1, 2):
        described, _ = describe("digits-deep", {**settings, "processes": count})
        known = {"grammar": '[unary]\nrelu = "max(x, 0)"\n', "task": described.model_dump(), "file": "", "data": None}
        outcome = ranks.evaluate(known, count, job, None)
        assert outcome.status == "finished", outcome.reason
        losses.append([row["train_loss"] for row in outcome.metrics["curve"]])
    assert all(abs(a - b) < 1e-3 for a, b in zip(*losses, strict=True)), losses
    return {"one": losses[0], "two": losses[1]}


SECTIONS = {f.__name__: f for f in (graphs, streams, higher, compiled, trainings, bandwidth)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--section", choices=SECTIONS, action="append")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("gpu/check.py: there is no GPU here; run it on a machine that has one", file=sys.stderr)
        return 2
    arguments.output.mkdir(parents=True, exist_ok=True)
    failed = 0
    about = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda}
    for name in arguments.section or SECTIONS:
        start = time.monotonic()
        try:
            document = {"section": name, **about, "result": SECTIONS[name]()}
        except Exception:
            failed += 1
            document = {"section": name, **about, "error": traceback.format_exc()}
        document["seconds"] = round(time.monotonic() - start, 1)
        (arguments.output / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
        print(name, "failed" if "error" in document else "done", document["seconds"], flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
