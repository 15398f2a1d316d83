"""Nothing on the way of a CUDA tensor waits for its values, so that CUDA graphs capture models with activations.

No GPU is needed: fake tensors have a device and no values, and refuse every operation that would bring one to the host
(`item`, `bool`, `nonzero`). The launch alone is replaced, which passes pointers on.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

pytest.importorskip("triton", reason="triton is not installed: that CUDA graphs capture is NOT tested")
from symact.activation import higher, plan
from symact.activation.runner import Runner, _Fused
from symact.backends.select import BACKENDS, Selector
from symact.backends.triton import kernel, launch
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse
from symact.program.pipeline import lower

LEARNED = Vocabulary(parameters={"beta": Parameter("beta", 0.7), "alpha": Parameter("alpha", 0.3)})
# One kernel; learned; by series near 0; in two words; float64 for the whole tensor.
FORMULAS = (
    "x*sigmoid(x)",
    "alpha*x*sigmoid(beta*x)",
    "(x - sin(x))/x**3",
    "sin(30*x)",
    "x**3 - (x - 1)**3",
    "x*sigmoid(x)/max(x, 0)",
)


@pytest.fixture(autouse=True)
def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the kernels that would run, as on a machine with a GPU."""
    selector, names = Selector(BACKENDS), list[str]()
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    monkeypatch.setattr(kernel, "_runs", lambda: True)
    for module in (plan, higher):
        monkeypatch.setattr(module, "SELECTOR", selector)
    monkeypatch.setattr(launch.Launch, "__call__", lambda self, *arguments: names.append(self._function.__name__))
    return names


@pytest.fixture
def fake() -> Iterator[None]:
    with FakeTensorMode():
        yield


def test_a_fake_tensor_refuses_to_give_its_value(fake: None) -> None:
    x = torch.empty(3, device="cuda")
    for read in (lambda: x.sum().item(), lambda: bool(x.max() > 1), lambda: float(x[0])):
        with pytest.raises(DataDependentOutputException):
            read()


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("channels", [None, 5])
def test_forward_and_backward_of_a_cuda_tensor_wait_for_nothing(
    text: str, channels: int | None, launched: list[str], fake: None
) -> None:
    program = lower(parse(text, LEARNED))
    shape = () if channels is None else (channels,)
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.empty(4, 5, 3, 3, device="cuda", dtype=dtype, requires_grad=True)
        parameters = tuple(torch.empty(shape, device="cuda", requires_grad=True) for _ in program.inputs[1:])
        runner = Runner(program)
        y = runner._by_kernel(x, parameters, 1)
        assert (y.device.type, y.dtype, y.shape) == ("cuda", dtype, x.shape)
        assert y.requires_grad
        # Autograd's engine would ask CUDA for a context; what it calls is called here.
        chosen = runner.plan("cuda")
        given = SimpleNamespace(
            arguments=(runner, chosen, chosen.exceeds(x, parameters)), saved_tensors=(x, *parameters)
        )
        with torch.no_grad():
            slopes = _Fused.backward(given, torch.empty_like(y))[3:]
        assert [(s.shape, s.dtype) for s in slopes] == [(t.shape, t.dtype) for t in (x, *parameters)]
    kinds = ("forward_channels_kernel", "backward_channels_kernel") if parameters and channels else None
    assert tuple(launched) == 2 * (kinds or ("forward_kernel", "backward_kernel"))


@pytest.mark.parametrize("text", FORMULAS[:2])
def test_a_later_call_reads_no_environment_and_makes_no_kernel(
    text: str, launched: list[str], fake: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = lower(parse(text, LEARNED))
    x = torch.empty(4, 5, device="cuda")
    parameters = tuple(torch.empty((), device="cuda") for _ in program.inputs[1:])
    chosen = Runner(program).plan("cuda").narrow
    assert chosen is not None

    def call() -> None:
        chosen.forward(x, parameters)
        chosen.backward(x, x, parameters)

    call()
    for name in ("interpreted", "source", "loaded"):
        monkeypatch.setattr(kernel, name, None)  # Who calls it fails.
    call()
    assert launched == 2 * ["forward_kernel", "backward_kernel"]
