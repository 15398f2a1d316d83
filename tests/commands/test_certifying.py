"""`symact compile EXPRESSION --certify`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symact.commands.certifying import show_certificate
from symact.errors import InputError


def test_a_certificate_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "relu.json"
    show_certificate("relu(x)", None, None, "cpu", output, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(output.read_text())
    assert printed["dtypes"]["float16"]["worst_value_ulp"] == 0.0
    assert printed["seconds"] > 0


def test_another_suffix_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.json or \.txt or \.html"):
        show_certificate("relu(x)", None, None, "cpu", tmp_path / "relu.py", as_json=False)
