"""Names that are imported when they are looked up: registries of classes, and packages with a lazy interface.

Listing names, and what each is in one line, imports none of them: `symact tasks` needs no torch.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from symact.errors import InputError


class UnknownNameError(InputError, KeyError):
    """A name that is not in a registry: an `InputError` for people, a `KeyError` for code."""

    __str__ = Exception.__str__


class Registry(Mapping[str, Any]):
    """Name -> class; reads like a dict, and imports on look-up.

    Args:
        kind: what the classes are, in one word, for messages.
        classes: name -> "module:Class".
        hint: what else a user may give instead of a name, for the message on an unknown one.
    """

    def __init__(self, kind: str, classes: Mapping[str, str], hint: str = ""):
        self.kind, self.hint, self._classes = kind, hint, dict(classes)

    def __getitem__(self, name: str) -> Any:
        """The class.

        Raises:
            UnknownNameError: there is no such name.
        """
        module, attribute = self._place(name)
        return getattr(importlib.import_module(module), attribute)

    def summary(self, name: str) -> str:
        """The first line of the class' docstring, read from its source.

        Raises:
            UnknownNameError: there is no such name.
        """
        found = _defined(*self._place(name))
        return ((ast.get_docstring(found[1]) if found else None) or "").split("\n")[0]

    def declared(self, name: str, attribute: str) -> Any:
        """The value of an attribute that the class, or one it inherits from, gives as a literal; or None.

        Raises:
            UnknownNameError: there is no such name.
        """
        return _literal(*self._place(name), attribute)

    def checked(self, name: str) -> str:
        """The name itself; imports nothing.

        Raises:
            UnknownNameError: there is no such name; the message lists those there are.
        """
        if name not in self:
            near = difflib.get_close_matches(str(name), self._classes, 1)
            guess = f"; did you mean {near[0]!r}?" if near else ";"
            known = ", ".join(self._classes) + (f", or {self.hint}" if self.hint else "")
            raise UnknownNameError(f"unknown {self.kind} {name!r}{guess} known are {known}")
        return name

    def _place(self, name: str) -> tuple[str, str]:
        module, _, attribute = self._classes[self.checked(name)].partition(":")
        return module, attribute

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._classes

    def __repr__(self) -> str:
        return f"{self.kind}s: {', '.join(self._classes)}"


def _defined(module: str, name: str) -> tuple[ast.Module, ast.ClassDef] | None:
    """The source of a module and that of a class in it; None where there is none."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.loader is None:
        return None
    source = _parsed(spec.loader.get_source(module) or "")  # type: ignore[attr-defined]
    classes = (node for node in source.body if isinstance(node, ast.ClassDef) and node.name == name)
    return next(((source, node) for node in classes), None)


@lru_cache(maxsize=32)
def _parsed(text: str) -> ast.Module:
    """Modules define many names, of which each is asked for several things."""
    return ast.parse(text)


def _literal(module: str, name: str, attribute: str) -> Any:
    found = _defined(module, name)
    if found is None:
        return None
    source, defined = found
    for node in defined.body:
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            pairs = [(node.target, node.value)]
        elif isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            both = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs = list(zip(target.elts, value.elts, strict=True)) if both else [(target, value)]  # type: ignore[attr-defined]
        for target, value in pairs:
            if isinstance(target, ast.Name) and target.id == attribute:
                return value.value if isinstance(value, ast.Constant) else None
    origin = {
        alias.asname or alias.name: node.module
        for node in source.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    for base in defined.bases:
        if isinstance(base, ast.Name):
            inherited = _literal(origin.get(base.id, module), base.id, attribute)
            if inherited is not None:
                return inherited
    return None


def lazy(
    package: str, names: Mapping[str, str], *own: str
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """The public interface of a package whose names are imported when they are first used.

    In its `__init__.py`: ``__all__, __getattr__, __dir__ = lazy(__name__, {"Name": "package.module"})``.

    Args:
        package: its name.
        names: public name -> the module that defines it.
        own: public names that the package defines itself.

    Returns:
        its `__all__`, `__getattr__` and `__dir__`.
    """
    public = sorted([*names, *own])

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(names[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return public, get, lambda: public
