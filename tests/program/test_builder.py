"""Programs fold as they are built: comparisons of constants choose their branch at once."""

from __future__ import annotations

import itertools

import pytest
import torch

from symact.activation.module import Activation
from symact.expr.tree import parse
from symact.program.loading import parse_grammar
from symact.program.pipeline import lower

COMPARED = ("<", "<=", ">", ">=", "==", "!=")


@pytest.mark.parametrize(("sign", "constant"), list(itertools.product(COMPARED, (-0.5, 0.0, 0.5))))
def test_a_branch_that_a_constant_decides_is_taken_while_building(sign: str, constant: float) -> None:
    text = f"where(al {sign} 0, sin(x), where(0 {sign} al, cos(x), al + x))"
    grammar = parse_grammar(f'name = "m"\n[constants]\nal = {constant}\n[unary]\nf = "{text}"\n')
    program = lower(parse("f(x)", grammar))
    assert not {"where", "lt", "le", "eq"} & {operation.name for operation in program.operations}
    holds = {"<": constant < 0, "<=": constant <= 0, ">": constant > 0, ">=": constant >= 0}
    holds |= {"==": constant == 0, "!=": constant != 0}
    other = {"<": constant > 0, "<=": constant >= 0, ">": constant < 0, ">=": constant <= 0}
    other |= {"==": constant == 0, "!=": constant != 0}
    x = torch.randn(5)
    wanted = x.sin() if holds[sign] else x.cos() if other[sign] else x + constant
    module = Activation("f(x)", grammar)
    torch.testing.assert_close(torch.func.vmap(module)(x), wanted)
    torch.testing.assert_close(torch.export.export(module, (x,)).module()(x), wanted)
