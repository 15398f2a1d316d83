"""Import AQuaSurF's published benchmark (Bingham & Miikkulainen 2023, arXiv:2301.05785): JSON to a table.

One record per function: accuracies and losses, equivalent functions, and the CDF of the Fisher
matrix's log-eigenvalues as one flat list, which is cut into layers of 100 bins; an empty list or
null means that the matrix was not finite. So does a list that is shorter or longer than those of the
other records: real files have such rows, and they are counted.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symact.bench.table import Table
from symact.errors import FormulaError, InputError
from symact.expr.tree import parse
from symact.program.loading import load_grammar

BINS = 100
SCORE = "Validation Accuracy"
FISHER = "Fisher log eigenvalue CDF"


def import_act_bench(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    layer_weights: Sequence[float] | None = None,
) -> Table:
    """Read a JSON or JSON.gz file of the published format.

    Args:
        source: the file.
        output: the Parquet file to write; None writes nothing.
        layer_weights: number of weights of each layer, for the distance between Fisher CDFs; None means equal.

    Returns:
        The table; `about["odd_fisher"]` counts the records whose CDF has another length than the file's.

    Raises:
        InputError: naming the file, the record and what was expected.
    """
    records = _read(source)
    grammar = load_grammar("aquasurf")
    expressions, scores, statuses, cdfs = [], [], [], []
    rest: dict[str, list[Any]] = {}
    found = {name for record in records.values() for name in record}
    names, wanted = sorted(found - {FISHER}), {SCORE, FISHER} & (found | {SCORE})
    for text, record in records.items():
        where = f"{source}: record {text!r}"
        for name in sorted(wanted - record.keys()):
            has = ", ".join(map(repr, list(record)[:5])) or "none"
            raise InputError(f"{where}: it has no key {name!r}; its keys are {has}; null means not finite")
        try:
            parse(text, grammar)
        except FormulaError as error:
            raise InputError(f"{where}: not an expression: {error.reason}") from None
        score = _number(record.get(SCORE), f"{where}: {SCORE!r}")
        expressions.append(text)
        scores.append([score])
        statuses.append(["nonfinite" if math.isnan(score) else "finished"])
        cdfs.append(_numbers(record.get(FISHER), where))
        for name in names:
            rest.setdefault(name, []).append([_plain(record.get(name))])
    length = _length(cdfs, layer_weights, source)
    odd = sum(cdf is not None and len(cdf) != length for cdf in cdfs)
    fits = [cdf if cdf is not None and len(cdf) == length and np.isfinite(cdf).all() else None for cdf in cdfs]
    fisher: np.ndarray | None = None
    if length:
        fisher = np.stack([np.full((length // BINS, BINS), np.nan) if c is None else c.reshape(-1, BINS) for c in fits])
    about = {
        "task": f"act-bench {Path(source).name}",
        "grammar": grammar.text,
        "grammar_sha256": grammar.sha256,
        "space": "bench",
        "seeds": [0],
        "fisher_weights": _weights(layer_weights, fisher),
        "odd_fisher": odd,
    }
    finite = None if fisher is None else np.array([cdf is not None for cdf in fits])
    table = Table(expressions, np.array(scores, dtype=float), statuses, rest, fisher, finite, about, str(output or ""))
    if output is not None:
        table.write(output)
    return table


def _read(source: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    try:
        raw = Path(source).read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
        records = json.loads(text)
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{source}: cannot be read: {error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: not UTF-8 text (byte {error.start})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: not JSON: {error}") from None
    if not isinstance(records, dict) or not records or not all(isinstance(r, dict) for r in records.values()):
        raise InputError(f"{source}: expected an object of records, {{expression: {{{SCORE!r}: ...}}}}")
    return records


def _number(value: Any, where: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{where}: expected a number or null, got {value!r:.60}")
    return float(value) if math.isfinite(value) else math.nan


def _numbers(value: Any, where: str) -> np.ndarray | None:
    """The flat CDF of a record, or None where the record says that there is none."""
    if value is None or value == []:
        return None
    try:
        return np.asarray(value, dtype=float).ravel()
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{where}: {FISHER!r}: expected a list of numbers") from None


def _length(cdfs: Sequence[np.ndarray | None], layer_weights: Sequence[float] | None, source: object) -> int:
    """How many numbers a CDF of this file has: as the layer weights say, else as most records have it.

    Raises:
        InputError: no record has whole layers, or none as many as there are weights.
    """
    lengths = Counter(len(cdf) for cdf in cdfs if cdf is not None)
    whole = {length: count for length, count in lengths.items() if length and length % BINS == 0}
    if lengths and not whole:
        raise InputError(
            f"{source}: {FISHER!r}: no record has whole layers of {BINS} bins; the first has {next(iter(lengths))}"
        )
    given = BINS * len(layer_weights or ())
    return given if given in whole else max(whole, key=lambda length: (whole[length], length), default=0)


def _weights(layer_weights: Sequence[float] | None, fisher: np.ndarray | None) -> list[float] | None:
    if layer_weights is None:
        return None if fisher is None else [1.0] * fisher.shape[1]
    weights = [float(weight) for weight in layer_weights]
    if fisher is None or len(weights) != fisher.shape[1]:
        raise InputError(f"{len(weights)} layer weights for {0 if fisher is None else fisher.shape[1]} layers")
    if not all(math.isfinite(weight) and weight > 0 for weight in weights):
        raise InputError("layer weights are positive numbers")
    return weights


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
