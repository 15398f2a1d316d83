"""`symact doctor` says what a machine has, finds what is wrong on it, and says it with exit code 1."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from symact.activation import examination
from symact.backends.cpu.kernel import NativeKernel
from symact.commands import doctor
from symact.errors import InputError, SymactError
from symact.expr.functions import FUNCTIONS

FEW = ["tanh(x)", "gelu(x)", "x/(1 + abs(x))"]


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "expressions", lambda: FEW)
    monkeypatch.setattr(doctor, "_SIZES", {"cpu": 1000, "cuda": 1000})
    monkeypatch.setattr(doctor, "_COMPILING", {"cpu": 0.0, "cuda": 0.0})


def test_every_function_of_one_argument_and_fifty_compositions_are_examined() -> None:
    texts = examination.expressions()
    single = {f"{name}(x)" for name, row in FUNCTIONS.items() if row.arity == 1}
    assert single <= set(texts)
    assert len(set(texts) - single) >= 50
    assert len(texts) == len(set(texts))


def test_nothing_is_wrong_on_this_machine() -> None:
    assert list(examination.faults("cpu", examination.expressions()[::4])) == []


@pytest.mark.usefixtures("_few")
def test_the_document_says_what_the_machine_has_and_how_fast_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    doctor.examine("cpu", None, "float32", True)
    found = json.loads(capsys.readouterr().out)
    assert found["wrong"] == []
    assert found["machine"]["packages"]["torch"] == torch.__version__ or found["machine"]["packages"]["torch"]
    assert found["machine"]["threads"] == torch.get_num_threads()
    rows = found["devices"]["cpu"]
    assert rows["functions"] == len(FEW)
    assert [row["expression"] for row in rows["speeds"]] == list(examination.TIMED)
    assert all(row["of_copy"] > 0 and row["of_eager"] > 0 and row["of_compile"] is None for row in rows["speeds"])


@pytest.mark.usefixtures("_few")
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_kernel_that_is_wrong_is_named_with_the_input(
    direction: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    method = getattr(NativeKernel, direction)

    def wrong(self: NativeKernel, *tensors: object) -> object:
        result = method(self, *tensors)
        (result if direction == "forward" else result[0])[5] += 0.01
        return result

    monkeypatch.setattr(NativeKernel, direction, wrong)
    monkeypatch.setattr("symact.activation.runner._SMALL", 0)
    what = "value" if direction == "forward" else "slope"
    with pytest.raises(SymactError, match=rf"tanh\(x\) on cpu in float32: the {what} at -8\.9"):
        doctor.examine("cpu", None, "float32", True)
    assert json.loads(capsys.readouterr().out)["devices"]["cpu"]["faults"][0]["what"] == what


def test_an_error_of_a_kernel_is_a_fault_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("no such instruction\nmore")

    monkeypatch.setattr(examination, "shared_runner", lambda program: broken)
    assert [fault.what for fault in examination.faults("cpu", FEW[:1])] == ["no such instruction"] * 4


@pytest.mark.parametrize(("device", "dtype"), [("tpu", "float32"), ("cpu", "int8")])
def test_a_device_that_is_not_there_and_other_dtypes_are_refused(device: str, dtype: str) -> None:
    with pytest.raises(InputError, match="--d"):
        doctor.examine(device, None, dtype, False)


def test_the_command_line_refuses_with_one_line() -> None:
    done = subprocess.run([sys.executable, "-m", "symact", "doctor", "--device", "tpu"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("symact: ")
    assert "Traceback" not in done.stderr
