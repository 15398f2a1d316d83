"""`Table`: one Parquet file with what every function of a space scored, and how it was made.

A row is a function: its expression in the words of whoever made the table, its score per training
seed (null where the training failed, with the status), curves per epoch, whether its features are
finite and, if so, its Fisher CDF per layer. Provenance and the grammar's text stand in the file's
metadata under `symact`. Function outputs are not stored; they follow from the expression.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from symact.equivalence.index.function_index import FunctionIndex
from symact.errors import InputError
from symact.expr.grammar import Grammar
from symact.expr.space import Space
from symact.expr.tree import Expr, parse
from symact.optimize.pool import Pool
from symact.program.loading import parse_grammar

FORMAT = 1
_KEY = b"symact"


@dataclass(frozen=True, eq=False)
class Table:
    """Every function of a space with its scores.

    Attributes:
        expressions: one text per row, as the author of the table wrote it.
        scores: ``(rows, seeds)``, NaN where a training failed.
        statuses: one list of status names per row, one per seed.
        metrics: further columns, name -> list with one JSON value per row.
        fisher: ``(rows, layers, bins)`` CDFs, NaN where not finite; None if the table has none.
        finite: ``(rows,)``, whether the features at initialization are finite.
        about: provenance: `task`, `grammar` (its text), `space`, `seeds`, `fisher_weights`, ...
        path: the file, for messages.
    """

    expressions: list[str]
    scores: np.ndarray
    statuses: list[list[str]]
    metrics: Mapping[str, list[Any]] = field(default_factory=dict)
    fisher: np.ndarray | None = None
    finite: np.ndarray | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""

    def __len__(self) -> int:
        return len(self.expressions)

    @property
    def seeds(self) -> int:
        """Trainings per function."""
        return int(self.scores.shape[1])

    @cached_property
    def grammar(self) -> Grammar:
        """The grammar that the table was made with."""
        return parse_grammar(self.about["grammar"])

    @cached_property
    def space(self) -> Space:
        """The space that the table covers."""
        return self.grammar.space(self.about.get("space")).keeping_affine(bool(self.about.get("affine", False)))

    @cached_property
    def parsed(self) -> list[Expr]:
        """The expressions of all rows."""
        return [parse(text, self.grammar) for text in self.expressions]

    @cached_property
    def _rows(self) -> dict[Any, int]:
        rows: dict[Any, int] = {}
        for row, expression in enumerate(self.parsed):
            rows.setdefault(self._index.key(expression), row)
        return rows

    @property
    def _index(self) -> FunctionIndex:
        return Pool.of(self.space).index

    def row_of(self, expression: Expr) -> int | None:
        """The first row that is the same function; None if there is none."""
        return self._rows.get(self._index.key(expression))

    @cached_property
    def representatives(self) -> np.ndarray:
        """The rows that are the first of their function, ``(functions,)``."""
        return np.array(sorted(self._rows.values()), dtype=int)

    @cached_property
    def noise(self) -> float:
        """Standard deviation of a score between seeds: root mean variance over the functions that always finished."""
        whole = self.scores[np.isfinite(self.scores).all(1)]
        return float(np.sqrt(whole.var(1, ddof=1).mean())) if self.seeds > 1 and len(whole) else float("nan")

    def features(self, expressions: list[Expr]) -> dict[str, np.ndarray]:
        """What the table knows of functions before they are trained; rows align.

        `finite` is False, and `fisher` NaN, where a function is not in the table.
        """
        rows = [self.row_of(expression) for expression in expressions]
        known = np.array([row is not None for row in rows])
        at = np.array([row or 0 for row in rows], dtype=int)
        found: dict[str, np.ndarray] = {}
        if self.finite is not None:
            found["finite"] = self.finite[at] & known
        if self.fisher is not None:
            fisher = self.fisher[at].astype(np.float32)
            fisher[~known] = np.nan
            found["fisher"] = fisher
            weights = self.about.get("fisher_weights")
            found["fisher_weights"] = np.asarray(weights if weights else np.ones(fisher.shape[1]), dtype=float)
        return found

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write one Parquet file, whole or not at all.

        Raises:
            InputError: the place cannot be written.
        """
        columns: dict[str, Any] = {
            "expression": self.expressions,
            "scores": pa.array(
                [[None if np.isnan(s) else float(s) for s in row] for row in self.scores], pa.list_(pa.float64())
            ),
            "statuses": pa.array(self.statuses, pa.list_(pa.string())),
        }
        if self.finite is not None:
            columns["finite"] = pa.array(self.finite.tolist(), pa.bool_())
        if self.fisher is not None:
            flat = [None if not np.isfinite(row).all() else row.astype(np.float16).ravel() for row in self.fisher]
            columns["fisher"] = pa.array(flat, pa.list_(pa.float16()))
        columns |= {f"metric.{name}": [json.dumps(value) for value in values] for name, values in self.metrics.items()}
        about = {**self.about, "format": FORMAT, "columns": sorted(columns)}
        if self.fisher is not None:
            about["fisher_shape"] = list(self.fisher.shape[1:])
        table = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(about).encode()})
        target = Path(path)
        partial = target.with_name(target.name + ".writing")
        try:
            pq.write_table(table, partial, compression="zstd")
            partial.replace(target)
        except OSError as error:
            raise InputError(f"{target}: cannot be written: {error.strerror or error}") from None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Table:
        """Read a table.

        Raises:
            InputError: there is no such file, or it is not a table of symact.
        """
        try:
            table = pq.read_table(path)
        except FileNotFoundError:
            raise InputError(f"{path}: no such table; make one with `symact bench build` or `bench import`") from None
        except (OSError, pa.ArrowInvalid) as error:
            raise InputError(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from None
        try:
            about = json.loads((table.schema.metadata or {})[_KEY])
            columns = table.to_pydict()
            scores = np.array(
                [[np.nan if s is None else s for s in row] for row in columns["scores"]], dtype=float
            ).reshape(len(table), -1)
            metrics = {
                name.removeprefix("metric."): [json.loads(value) for value in values]
                for name, values in columns.items()
                if name.startswith("metric.")
            }
            fisher = None
            if "fisher" in columns:
                shape = tuple(about["fisher_shape"])
                empty = np.full(int(np.prod(shape)), np.nan, dtype=np.float16)
                fisher = np.stack([empty if r is None else np.array(r, np.float16) for r in columns["fisher"]])
                fisher = fisher.reshape(len(table), *shape)
            finite = np.array(columns["finite"], dtype=bool) if "finite" in columns else None
            return cls(
                columns["expression"], scores, columns["statuses"], metrics, fisher, finite, about, str(path)
            )  # fmt: skip
        except (KeyError, ValueError, TypeError):
            raise InputError(f"{path}: not a table that `symact bench build` or `bench import` wrote") from None
