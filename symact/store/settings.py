"""What a study was set up with: the one document that its store keeps and that a resume obeys.

It is read back from files of strangers, so every field is checked. It holds text alone: the
grammar's text, never its path; a file task's text and SHA-256, which a resume compares with the file
that its caller names and never imports by itself.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from importlib import metadata
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from symact.errors import InputError, printable
from symact.records import Metric

Text = Annotated[str, Field(max_length=4_000_000)]
Name = Annotated[str, Field(min_length=1, max_length=500)]
Budget = Annotated[float, Field(gt=0, le=1)]

PACKAGES = ("symact", "torch", "numpy", "scipy", "sympy", "deap", "scikit-learn", "umap-learn")


class Document(BaseModel):
    """A frozen document without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TaskSettings(Document):
    """Which task a study trains.

    Attributes:
        kind: `name` (one of `symact.TASKS`), `file` (a class in a file of the user) or `object` (given
            from Python; lives in the process of the study alone).
        name: the task's name, the class name in the file, or the qualified name of the object's class.
        text: the text of the file, `""` otherwise.
        sha256: of that text, in hex, `""` otherwise.
        train: settings of its training that differ from its own.
        title: what a task of the user calls itself, its attribute `name`; `""` where it has none.
    """

    kind: Literal["name", "file", "object"]
    name: Name
    text: Text = ""
    sha256: str = ""
    train: dict[str, JsonValue] = {}
    title: Annotated[str, Field(max_length=200)] = ""

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells tasks apart: classes of one name in two files, or in a file and its edited self, are two tasks."""
        return self.kind, self.name, self.sha256

    @property
    def shown(self) -> str:
        """What the task is called, with the settings that differ."""
        own = ", ".join(f"{key}={value}" for key, value in self.train.items())
        called = self.title or self.name
        return f"{called} ({own})" if own else called

    @model_validator(mode="after")
    def _hash_matches(self) -> TaskSettings:
        expected = hashlib.sha256(self.text.encode()).hexdigest() if self.kind == "file" else ""
        if self.sha256 != expected or (self.kind != "file" and self.text):
            raise ValueError("the SHA-256 of the task is not that of its text")
        return self


class Settings(Document):
    """Everything that decides which trials a study makes, and on what it was made.

    Attributes:
        grammar: the text of the grammar file.
        space: name of the space in it.
        shapes: the shapes of the space, as text.
        affine: functions of the form a*x + b are kept.
        task: which task.
        metric: what its scores are.
        baselines: expressions that are trained first; empty for the usual ones.
        given: documents of the candidates that are compared, for a comparison instead of a search; the first baseline
            is then the reference.
        each_site: each of them has one function at one activation site, and the reference at the others.
        optimizer: its name in `symact.OPTIMIZERS`, or of the class that was given.
        optimizer_settings: its keyword arguments.
        seed: of the study.
        repeats: trainings per function at full measure.
        batch: candidates that are asked for at a time.
        budgets: rungs of successive halving, ascending and ending at 1; empty for none.
        eta: one in `eta` is promoted from a rung to the next.
        prune: percent of earlier trainings that one must be among at each step that it reports; None stops none.
        schedule: handed to the task, `""` for its own default.
        asynchronous: no batches; not reproducible.
        confirm: further seeds on which the best functions, found ones among them, and ReLU are trained at the end.
        confirm_best: how many of the best functions are confirmed, besides ReLU, and at most how many found ones.
        timeout: seconds per training, or None.
        memory: bytes of resident memory per training, or None.
        data: root folder of the data sets, or None.
        versions: package -> version.
        machine: what it ran on.
        created: when, ISO 8601, UTC.
    """

    grammar: Text
    space: Name
    shapes: tuple[Annotated[str, Field(max_length=10_000)], ...] = Field(default=(), max_length=1000)
    affine: bool = False
    task: TaskSettings
    metric: Metric = Metric()
    baselines: tuple[Annotated[str, Field(max_length=10_000)], ...] = Field(default=(), max_length=100)
    given: tuple[dict[str, JsonValue], ...] = Field(default=(), max_length=100_000)
    each_site: bool = False
    optimizer: Name
    optimizer_settings: dict[str, JsonValue] = {}
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    batch: Annotated[int, Field(ge=1, le=100_000)] = 8
    budgets: tuple[Budget, ...] = Field(default=(), max_length=20)
    eta: Annotated[int, Field(ge=2, le=100)] = 3
    prune: Annotated[float, Field(gt=0, lt=100)] | None = None
    schedule: Annotated[str, Field(max_length=50)] = ""
    asynchronous: bool = False
    confirm: Annotated[int, Field(ge=0, le=1000)] = 5
    confirm_best: Annotated[int, Field(ge=0, le=1000)] = 5
    timeout: Annotated[float, Field(gt=0)] | None = None
    memory: Annotated[int, Field(gt=0)] | None = None
    data: Annotated[str, Field(max_length=5000)] | None = None
    versions: dict[str, str] = {}
    machine: dict[str, str | int] = {}
    created: Annotated[str, Field(max_length=60)] = ""

    @model_validator(mode="after")
    def _rungs_ascend(self) -> Settings:
        if self.budgets and (list(self.budgets) != sorted(set(self.budgets)) or self.budgets[-1] != 1):
            raise ValueError("budgets must ascend and end at 1, such as 0.1, 0.3, 1")
        return self

    @classmethod
    def build(cls, **fields: Any) -> Settings:
        """Settings from arguments of a user.

        Raises:
            InputError: naming the argument that is wrong.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            raise InputError(f"study settings: {first_problem(error)}") from None


def first_problem(error: ValidationError) -> str:
    """The first complaint of pydantic as one line: place and reason."""
    problem = error.errors(include_url=False)[0]
    place = ".".join(map(str, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    return printable(f"{place}: {message}" if place else message)[:1000]


def versions() -> dict[str, str]:
    """Version of Python and of the packages that decide results, without importing them."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str | int]:
    """A few words on this machine; no host name, since run folders are shared."""
    import os

    return {"system": sys.platform, "processor": platform.machine(), "cores": os.cpu_count() or 1}
