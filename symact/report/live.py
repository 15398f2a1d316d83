"""`symact report --live`: the page of studies that are still running, served to browsers on this machine alone.

The server listens on the loopback address, answers two addresses, reads the run folders and writes nothing. It answers
only where it was asked for by the name of this machine to itself, so that no site of strangers can read it through a
browser (DNS rebinding).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from symact.errors import InputError, SymactError
from symact.expr.tree import Expr
from symact.report.document import document
from symact.report.function_map import places
from symact.report.page import data, page
from symact.report.running import running_documents
from symact.report.view import StudyView, read_view
from symact.store.running import read_running

ADDRESS = "127.0.0.1"
FILES = ("study.db", "study.db-wal", "tuning.jsonl")  # of a run folder, that change when there is news
GROWTH = 1.25  # the map is drawn again when there are so many times as many functions on it


class LiveMap:
    """Places of functions that stay where they are while a study grows, until the map is drawn again."""

    def __init__(self) -> None:
        self._known: dict[Expr, np.ndarray] = {}

    def __call__(self, expressions: Sequence[Expr], seed: int = 0) -> np.ndarray:
        """The places, NaN for what has none yet."""
        if len(expressions) > GROWTH * len(self._known):
            self._known = dict(zip(expressions, places(expressions, seed), strict=True))
        nowhere = np.full(2, np.nan)
        return np.array([self._known.get(expression, nowhere) for expression in expressions]).reshape(-1, 2)


class Live:
    """The document of some run folders, made again when their files have changed.

    Args:
        runs: the folders.
        read: what reads one.
    """

    def __init__(self, runs: Sequence[Path], read: Callable[[Path], StudyView] = read_view):
        self.runs, self._read = [Path(run) for run in runs], read
        self._maps = [LiveMap() for _ in self.runs]
        self._lock = threading.Lock()
        self._made: tuple[str, dict[str, Any]] | None = None

    def stamp(self) -> str:
        """Another text whenever anything was stored."""
        parts = []
        for run in self.runs:
            for name in FILES:
                try:
                    found = (run / name).stat()
                    parts.append(f"{found.st_mtime_ns}-{found.st_size}")
                except OSError:
                    parts.append("none")
        return "_".join(parts)

    def running(self) -> list[list[dict[str, Any]] | None]:
        """What is in training now, in each of the folders."""
        return [running_documents(read_running(run)) for run in self.runs]

    def document(self) -> dict[str, Any]:
        """What the page shows now.

        Raises:
            SymactError: a run folder cannot be read.
        """
        with self._lock:
            stamp = self.stamp()
            if self._made is None or self._made[0] != stamp:
                shown = document([self._read(run) for run in self.runs], self._maps)
                self._made = stamp, shown | {"stamp": stamp, "live": True}
            shown = self._made[1]
        studies = zip(shown["studies"], self.running(), strict=True)
        return shown | {"studies": [study | {"running": running} for study, running in studies]}


def server(runs: Sequence[Path], port: int = 0, read: Callable[[Path], StudyView] = read_view) -> ThreadingHTTPServer:
    """A server of the live page; the caller runs it.

    Args:
        runs: run folders.
        port: to listen at; 0 for any that is free.
        read: what reads a run folder.

    Raises:
        InputError: a run folder cannot be read, or the port is taken.
    """
    live = Live(runs, read)
    live.document()

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "symact", ""

        def do_GET(self) -> None:
            """Answer with the page, with its data if anything was stored since, or with what is in training."""
            own = {f"{name}:{serving.server_port}" for name in (ADDRESS, "localhost")}
            asked = urlsplit(self.path)
            if self.headers.get("Host") not in own:
                self._answer(403, "text/plain", "this page is for this machine alone")
            elif asked.path not in ("/", "/data.json"):
                self._answer(404, "text/plain", "there is nothing here")
            elif asked.path == "/data.json" and parse_qs(asked.query).get("since") == [live.stamp()]:
                self._answer(200, "application/json", json.dumps({"running": live.running()}))
            else:
                self._answer_with(asked.path)

        def _answer_with(self, path: str) -> None:
            try:
                shown = live.document()
            except SymactError as error:
                self._answer(503, "text/plain", str(error))
                return
            if path == "/":
                self._answer(200, "text/html", page(shown, live=True))
            else:
                self._answer(200, "application/json", data(shown))

        def _answer(self, status: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is logged: the terminal may show a search."""

    try:
        serving = ThreadingHTTPServer((ADDRESS, port), Handler)
    except OSError as error:
        raise InputError(f"port {port} cannot be used ({error.strerror}); choose another --port") from None
    return serving
