"""A runner obeys its plan: the same bits at every call, kept in step with the back ends, one for everybody."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest
import torch

from symact.activation.module import Activation
from symact.activation.module import compile as compile_expression
from symact.activation.runner import Runner, shared_runner
from symact.backends.cpu import library as cpu_library
from symact.backends.select import SELECTOR
from symact.expr.tree import parse
from symact.program.pipeline import lower

TEXTS = ("x*sigmoid(x)", "x**2/(1 + x**2)", "(x - sin(x))/x**3", "min(cosh(x), i0e(x))", "x*tanh(exp(x))", "1/x")


def bits(runner: Runner, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.clone().requires_grad_()
    y = runner(x)
    (slope,) = torch.autograd.grad(y, x, torch.ones_like(y))
    return y.detach(), slope


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_first_call_gives_the_bits_of_every_other(text: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.cat([torch.randn(10_000) * 3, torch.logspace(-30, 30, 400), -torch.logspace(-30, 30, 400)]).to(dtype)
    runner = Runner(lower(parse(text)))
    first = bits(runner, x)
    for size in (len(x), 7, len(x)):
        for before, now in zip(first, bits(runner, x[:size]), strict=True):
            assert torch.equal(before[:size].nan_to_num(), now.nan_to_num())


def test_nor_does_it_matter_what_ran_before_in_the_process() -> None:
    script = (
        "import sys, torch, symact, hashlib\n"
        "f = symact.compile('x**2/(1 + x**2)')\n"
        "for size in map(int, sys.argv[1:]): f(torch.full((size,), 1e25))\n"
        "y = f(torch.linspace(-9, 9, 10_000))\n"
        "print(hashlib.sha256(y.numpy().tobytes()).hexdigest())\n"
    )
    runs = [[], ["1"], ["40000", "1"]]
    printed = [
        subprocess.run([sys.executable, "-c", script, *run], capture_output=True, text=True, check=True).stdout
        for run in runs
    ]
    assert printed[0].strip()
    assert len(set(printed)) == 1


@pytest.mark.skipif(cpu_library.load() is None, reason="no C++ compiler here")
def test_it_follows_the_choice_of_back_ends() -> None:
    runner = Runner(lower(parse("x*sigmoid(x)")))
    x = torch.randn(5, requires_grad=True)
    names = [type(runner(x).grad_fn).__name__]
    with SELECTOR.only_plain():
        names.append(type(runner(x).grad_fn).__name__)
    names.append(type(runner(x).grad_fn).__name__)
    names.append(type(runner(x).grad_fn).__name__)
    assert names == ["_FusedBackward", "_PlainBackward", "_FusedBackward", "_SmallBackward"]


def test_functions_modules_and_copies_share_one_runner() -> None:
    module, function = Activation("x*tanh(x)"), compile_expression("x*tanh(x)")
    runner = shared_runner(lower(parse("x*tanh(x)")))
    shared = (module, function, copy.deepcopy(module), pickle.loads(pickle.dumps(module)))
    assert all(each._runner is runner for each in shared)
