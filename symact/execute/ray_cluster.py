"""Which Ray cluster: one of our own that nobody else can reach, or one whose address was given.

Whoever reaches a Ray cluster may run code on it, and what tasks are made of goes to it as text. So without an address
nothing is joined, whatever the environment or a file in a shared folder names: a cluster is started that
listens on the loopback interface alone, asks for a token (Ray 2.52 or later) and keeps its sockets in a folder of
this user's.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

from symact.errors import InputError

KNOCK_SECONDS = 10.0
LOG = logging.getLogger("symact")

# Ray has one switch that makes a node of its own listen on the loopback interface; it is named for two systems
# where that is the default.
_LOOPBACK_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


class RayCluster:
    """A connection to a cluster.

    Attributes:
        ray: the library.

    Args:
        address: such as `auto` or `host:6379`; None starts a cluster on this machine. A connection that this process
            has made before is used as it is.

    Raises:
        InputError: Ray is not installed, or the cluster cannot be reached.
    """

    def __init__(self, address: str | None):
        self._undo = contextlib.ExitStack()
        own = {} if address is not None else {_LOOPBACK_ONLY: "0"}
        with _environment(own):
            try:
                import ray
            except ImportError:
                raise InputError("--executor ray needs Ray: pip install 'symact[ray]'") from None
        self.ray: Any = ray
        if ray.is_initialized():
            return
        try:
            if address is None:
                self._start()
            else:
                self._join(address)
        except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
            self.close()
            raise InputError(f"the Ray cluster {address or 'here'} cannot be reached: {first_line(error)}") from None

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        self._undo.close()

    def _join(self, address: str) -> None:
        if os.environ.get("RAY_AUTH_MODE") != "token":
            LOG.warning(
                "the text of task and grammar goes to the Ray cluster at %s, which asks for no token: whoever reaches "
                "its ports may run code there; set RAY_AUTH_MODE=token on all its nodes and here",
                address,
            )
        _knock(address)
        self.ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        self._undo.callback(self.ray.shutdown)

    def _start(self) -> None:
        own = {_LOOPBACK_ONLY: "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self._undo.callback(_read_environment_again)  # after the environment has been put back
        self._undo.enter_context(_environment(own))
        _read_environment_again()
        # Ray makes its own folder one that all may write; this one around it lets nobody through. Its sockets bear
        # with short names only.
        root = "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else tempfile.gettempdir()
        folder = tempfile.mkdtemp(prefix="symact-ray-", dir=root)
        self._undo.callback(shutil.rmtree, folder, ignore_errors=True)
        self._undo.callback(self.ray.shutdown)
        constants = self.ray._private.ray_constants
        with _attribute(constants, "ENABLE_RAY_CLUSTER", False):
            self.ray.init(
                address="local",
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
                _temp_dir=str(Path(folder) / "r"),
            )
        where = {node["NodeManagerAddress"] for node in self.ray.nodes()}
        if not where <= {"127.0.0.1", "::1", "localhost"}:
            LOG.warning(
                "this version of Ray listens at %s and not on the loopback interface alone: whoever reaches its "
                "ports may run code here, unless it asks for a token (Ray 2.52 or later)",
                ", ".join(sorted(where)),
            )


def _read_environment_again() -> None:
    """Have Ray forget what it has remembered of the environment: the mode and the token."""
    with contextlib.suppress(ImportError, AttributeError):  # a Ray without tokens
        raylet: Any = importlib.import_module("ray._raylet")
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Any:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _attribute(owner: Any, name: str, value: Any) -> Any:
    before = getattr(owner, name, None)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _knock(address: str) -> None:
    """Whether anybody listens at `host:port`; Ray itself would try for minutes.

    Raises:
        OSError: nobody does.
    """
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS).close()


def first_line(error: Exception) -> str:
    """The first line of an error's text, for a message."""
    return str(error).strip().partition("\n")[0][:300]
