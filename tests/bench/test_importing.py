"""The published format is read, and what is wrong with a file is named."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from symact.bench import Table, import_act_bench, replay
from symact.bench.statistics import document as describe
from symact.errors import InputError

CDF = np.linspace(0, 1, 200).tolist()
RECORDS = {
    "max(relu(x),cosh(elu(x)))": {"Validation Accuracy": 0.7, "Fisher log eigenvalue CDF": CDF, "Runtime (s)": 3.5},
    "add(relu(x),zero(x))": {"Validation Accuracy": 0.9, "Fisher log eigenvalue CDF": CDF},
    "sub(zero(x),tanh(x))": {"Validation Accuracy": None, "Fisher log eigenvalue CDF": []},
    "mul(erf(x),elu(x))": {"Validation Accuracy": 0.1, "Fisher log eigenvalue CDF": None},
}


@pytest.mark.parametrize("zipped", [False, True])
def test_the_published_format_is_read(tmp_path, zipped):
    path = tmp_path / ("act.json.gz" if zipped else "act.json")
    text = json.dumps(RECORDS).encode()
    path.write_bytes(gzip.compress(text) if zipped else text)
    imported = import_act_bench(path, tmp_path / "t.parquet", [64, 10])
    read = Table.read(tmp_path / "t.parquet")
    assert read.expressions == imported.expressions == list(RECORDS)
    assert read.scores[:2, 0].tolist() == [0.7, 0.9]
    assert np.isnan(read.scores[2, 0])
    assert read.finite.tolist() == [True, True, False, False]
    assert read.fisher.shape == (4, 2, 100)
    assert np.allclose(read.fisher[0].ravel(), CDF, atol=1e-3)
    assert read.about["fisher_weights"] == [64, 10]
    assert read.metrics["Runtime (s)"][0] == [3.5]


def test_an_imported_table_replays(tmp_path):
    path = tmp_path / "act.json"
    path.write_text(json.dumps(RECORDS))
    import_act_bench(path, tmp_path / "t.parquet")
    document = describe(replay("random", str(tmp_path / "t.parquet"), 3, 1))
    assert document["repeats"][0]["expressions"][0] == "add(relu(x),zero(x))"
    assert document["repeats"][0]["scores"][0] == 0.9


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "object of records"),
        ('{"sin(": {"Validation Accuracy": 1}}', "not an expression"),
        ('{"relu(x)": {"Validation Accuracy": "high"}}', "expected a number"),
        (
            '{"add(relu(x),swish(x))": {"val_accuracy": 0.7}}',
            "no key 'Validation Accuracy'; its keys are 'val_accuracy'",
        ),
        ('{"relu(x)": {}}', "no key 'Validation Accuracy'; its keys are none"),
        ('{"relu(x)": {"Validation Accuracy": 1}, "tanh(x)": {"validation accuracy": 1}}', "'tanh.x.': it has no key"),
        (
            '{"x": {"Validation Accuracy": 1, "Fisher log eigenvalue CDF": []}, "tanh(x)": {"Validation Accuracy": 1}}',
            "no key 'Fisher log eigenvalue CDF'",
        ),
        ('{"relu(x)": {"Validation Accuracy": 1, "Fisher log eigenvalue CDF": [1, 2]}}', "100 bins"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, content, message):
    path = tmp_path / "act.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        import_act_bench(path)
    assert "act.json" in str(caught.value)


def test_layer_weights_must_fit(tmp_path):
    path = tmp_path / "act.json"
    path.write_text(json.dumps(RECORDS))
    with pytest.raises(InputError, match="3 layer weights for 2 layers"):
        import_act_bench(path, layer_weights=[1, 2, 3])
