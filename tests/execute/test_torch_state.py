"""Every piece of PyTorch's state that a task can change is seen to have changed, and put back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from symact.execute.torch_state import PIECES

CHANGES = {
    "random numbers of PyTorch": lambda: torch.manual_seed(123456),
    "the default dtype": lambda: torch.set_default_dtype(torch.float64),
    "the default device, and torch function modes": lambda: torch.set_default_device("meta"),
    "grad mode": lambda: torch._C._set_grad_enabled(False),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "warnings of PyTorch": lambda: torch.set_warn_always(True),
    "float32 matrix products": lambda: torch.set_float32_matmul_precision("medium"),
    "autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "hooks of all modules": lambda: nn.modules.module.register_module_forward_hook(print),
    "names of torch": lambda: setattr(torch, "add", None),
    "printing of tensors": lambda: torch.set_printoptions(precision=11),
    "filling of new memory": lambda: setattr(torch.utils.deterministic, "fill_uninitialized_memory", False),
    "cuDNN": lambda: setattr(torch.backends.cudnn, "enabled", False),
    "oneDNN": lambda: setattr(torch.backends.mkldnn, "enabled", False),
}
NAMED = {piece.name: piece for piece in PIECES}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_and_put_back(name):
    piece = NAMED[name]
    before = piece.read()
    assert piece.same(before, piece.read())
    try:
        CHANGES[name]()
        assert not piece.same(before, piece.read())
    finally:
        piece.write(before)
    assert piece.same(before, piece.read())


def test_a_new_name_that_hides_an_inherited_method_is_taken_away():
    piece = NAMED["names of torch"]
    before, inherited = piece.read(), nn.ReLU.__call__
    assert "__call__" not in vars(nn.ReLU)
    try:
        nn.ReLU.__call__ = lambda self, x: x
        assert not piece.same(before, piece.read())
    finally:
        piece.write(before)
    assert nn.ReLU.__call__ is inherited
    assert "__call__" not in vars(nn.ReLU)


def test_a_new_name_that_hides_nothing_may_stay():
    piece = NAMED["names of torch"]
    before = piece.read()
    nn.ReLU.own_note = 1
    try:
        assert piece.same(before, piece.read())
    finally:
        del nn.ReLU.own_note
