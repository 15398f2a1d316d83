"""The published format is read, and what is wrong with a file is named."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.bench import Table, import_act_bench, replay
from symact.bench.statistics import document as describe
from symact.commands.benches import import_table
from symact.errors import InputError
from symact.program.loading import load_grammar

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


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(
        st.sampled_from([None, 0, 1, 99, 100, 101, 199, 200, 201, 250, 300, 400]), min_size=5, max_size=30
    ),
    layers=st.integers(1, 4),
)
def test_a_record_of_another_length_counts_as_not_finite_and_the_others_are_read(tmp_path_factory, lengths, layers):
    expressions = [str(e) for e, _ in zip(load_grammar("aquasurf").space("bench"), lengths, strict=False)]
    lengths = [100 * layers] * (len(lengths) + 1) + lengths
    expressions = [*(f"relu({e})" for e in expressions), "tanh(x)", *expressions]
    records = {
        e: {"Validation Accuracy": 0.5, "Fisher log eigenvalue CDF": None if n is None else [0.25] * n}
        for e, n in zip(expressions, lengths, strict=True)
    }
    path = tmp_path_factory.mktemp("odd") / "act.json"
    path.write_text(json.dumps(records))
    table = import_act_bench(path)
    assert table.finite.tolist() == [n == 100 * layers for n in lengths]
    assert table.fisher.shape == (len(lengths), layers, 100)
    assert np.isfinite(table.fisher).all((1, 2)).tolist() == table.finite.tolist()
    assert table.about["odd_fisher"] == sum(n not in (None, 0, 100 * layers) for n in lengths)
    assert table.statuses == [["finished"]] * len(lengths), "its score counts all the same"


def test_layer_weights_say_which_length_is_meant(tmp_path):
    path = tmp_path / "act.json"
    rows = {f"relu({name}(x))": 300 for name in ("tanh", "erf", "sinh")} | {"tanh(x)": 200}
    path.write_text(
        json.dumps({e: {"Validation Accuracy": 1, "Fisher log eigenvalue CDF": [0.5] * n} for e, n in rows.items()})
    )
    assert import_act_bench(path).finite.tolist() == [True, True, True, False]
    assert import_act_bench(path, layer_weights=[3, 4]).finite.tolist() == [False, False, False, True]


def test_the_count_stands_at_the_end(tmp_path, capsys):
    path = tmp_path / "act.json"
    odd = {"mul(erf(x),tanh(x))": {"Validation Accuracy": 0.3, "Fisher log eigenvalue CDF": CDF[:-1]}}
    path.write_text(json.dumps(RECORDS | odd))
    import_table(path, None, tmp_path / "t.parquet")
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith("5 functions; 1 with a Fisher CDF of another length count as not finite")
    assert Table.read(tmp_path / "t.parquet").finite.tolist() == [True, True, False, False, False]
