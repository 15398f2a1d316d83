"""An operator is its meaning: two grammars of one process may use one name for two functions, everywhere."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
import torch
from torch import Tensor

import symact
from symact.backends.triton.source import source as triton_source
from symact.export.files import write_standalone
from symact.program.gradient import backward
from symact.program.pipeline import lower

X = torch.linspace(-3, 3, 41, dtype=torch.float64) + 0.01

BODIES = {
    "tanh(x)": lambda x, eps, beta: torch.tanh(x),
    "sin(x)": lambda x, eps, beta: torch.sin(x),
    "x/(abs(x) + eps)": lambda x, eps, beta: x / (x.abs() + eps),
    "max(x, eps)": lambda x, eps, beta: x.clamp(min=eps),
    "x*sigmoid(eps*x)": lambda x, eps, beta: x * torch.sigmoid(eps * x),
    "x*sigmoid(beta*x)": lambda x, eps, beta: x * torch.sigmoid(beta * x),
    "where(x > eps, x, beta*x)": lambda x, eps, beta: torch.where(x > eps, x, beta * x),
    "atan(eps*x + beta)": lambda x, eps, beta: torch.atan(eps * x + beta),
}
OUTER = {
    "1 + act(x)": lambda act: 1 + act(X),
    "x*act(x)": lambda act: X * act(X),
    "exp(-act(x))": lambda act: torch.exp(-act(X)),
    "act(2*x) - 3": lambda act: act(2 * X) - 3,
    "act(act(x))": lambda act: act(act(X)),
}
MEANINGS = list(itertools.product(BODIES, (0.25, 1.5, 3.0), (0.5, 1.0)))


def grammar(body: str, eps: float, beta: float) -> symact.Grammar:
    """Differs from its siblings in what `act` means, and in nothing else."""
    return symact.parse_grammar(
        f'name = "m"\n[constants]\neps = {eps}\n[parameters]\nbeta = {{ init = {beta} }}\n'
        f'[unary]\nidentity = "x"\nact = "{body}"\n[binary]\nadd = "a + b"\n'
        '[spaces]\nall = ["binary(unary(x), unary(x))"]\n'
    )


def pairs() -> list[tuple[tuple[str, float, float], tuple[str, float, float], str]]:
    """200 pairs of meanings that give two functions, each with a formula round them."""
    draw, found = random.Random(1), []
    while len(found) < 200:
        first, second = draw.sample(MEANINGS, 2)
        outer = draw.choice(list(OUTER))
        if not torch.allclose(truth(*first, outer), truth(*second, outer), atol=1e-3):
            found.append((first, second, outer))
    return found


def truth(body: str, eps: float, beta: float, outer: str) -> Tensor:
    return OUTER[outer](lambda x: BODIES[body](x, eps, beta))


def standalone(expr: symact.Expr, path: Path) -> Tensor:
    """What the exported file computes."""
    write_standalone(expr, path)
    names: dict[str, object] = {"__name__": "taken_home"}
    exec(compile(path.read_text(), str(path), "exec"), names)
    (module,) = [v for v in names.values() if isinstance(v, type) and issubclass(v, torch.nn.Module)]
    return module().double()(X)


@pytest.mark.parametrize("part", range(4))
def test_two_grammars_of_one_process_keep_their_meanings(part: int, tmp_path: Path) -> None:
    for number, (first, second, outer) in list(enumerate(pairs()))[part::4]:
        sources, classes = [], []
        for meaning in (first, second):
            own = grammar(*meaning)
            expr, expected = symact.parse(outer, own), truth(*meaning, outer)
            message = f"pair {number}: {meaning} in {outer}"
            for found in (
                symact.compile(expr)(X),
                symact.compile_many([outer], own)[0](X),
                symact.Activation(outer, own).double()(X),
                standalone(expr, tmp_path / "act.py"),
            ):
                torch.testing.assert_close(found.detach(), expected, atol=1e-9, rtol=1e-9, msg=message)
            forward = lower(expr)
            sources.append(triton_source(forward, backward(forward)))
            index = symact.FunctionIndex(own)
            same = symact.parse("add(act(x),identity(x))", own), symact.parse("x + act(x)", own)
            classes.append(len({index.add(e) for e in same}))
            assert index.find(symact.parse("x + sinh(x)", own)) is None, message
            table = symact.enumerate_classes(own, own.space("all"))
            # The four sums x+x, x+act(x), act(x)+x, act(x)+act(x) are three functions, whatever act is here.
            assert len(set(table["class_id"].to_pylist())) == 3, message
        formulas = [(body, eps if "eps" in body else None) for body, eps, _ in (first, second)]
        # Initial values are no part of a kernel.
        assert (sources[0] == sources[1]) == (formulas[0] == formulas[1]), f"pair {number}: {first}, {second}"
        assert classes == [1, 1]


def test_operators_are_equal_when_they_mean_the_same() -> None:
    same = [grammar("tanh(eps*x)", 1.5, 1.0).operators["act"] for _ in range(2)]
    other = grammar("tanh(eps*x)", 3.0, 1.0).operators["act"]
    assert same[0] == same[1]
    assert hash(same[0]) == hash(same[1])
    assert same[0] != other
    assert len({*same, other}) == 2
