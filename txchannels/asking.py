"""What the daemon knows of a site whose code it does not load: asked of another process."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from msgpack import unpackb

from txchannels.errors import ConfigurationError
from txchannels.layers.ipc.layer import IPCLayer, own_path
from txchannels.layers.ipc.sockets import default_path
from txchannels.options import DAEMON
from txchannels.plain import from_plain

__all__ = [
    "ASK_SECONDS",
    "Facts",
    "SiteFault",
    "ask_site",
    "make_layer",
    "socket_name",
    "socket_path",
]

MEMORY_BACKEND = "txchannels.layers.memory.MemoryLayer"

#: How long the settings may take to be imported.
ASK_SECONDS = 60.0

#: After its answer, what its threads and its exit may take.
EXIT_SECONDS = 5.0

#: How often it is seen whether it has died without an answer.
_LOOK_SECONDS = 0.1

#: See `txchannels.django.facts`, whose constant this is; that loads nothing of the daemon's.
_LENGTH_BYTES = 8

#: What Django allows under DEBUG when ALLOWED_HOSTS is empty.
_LOCAL_HOSTS = (".localhost", "127.0.0.1", "[::1]")

#: A host and its port, in lower case.
_HOST = re.compile(r"([a-z0-9.-]+|\[[a-f0-9]*:[a-f0-9.:]+\])(?::([0-9]+))?")


class SiteFault(ConfigurationError):
    """The settings cannot be read now: the daemon can go on without, until they are mended.

    Attributes:
        files: What was imported until then.
    """

    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What a site's settings say.

    Attributes:
        settings_module: Their module.
        backend: The dotted name of the layer's class.
        config: What that is made with.
        options: ``TXCHANNELS``.
        allowed_hosts: ``ALLOWED_HOSTS``.
        is_debug: ``DEBUG``.
        root_path: ``FORCE_SCRIPT_NAME``.
        channels: Those that the site's code consumes; nothing before it was imported.
        files: What was imported.
    """

    settings_module: str
    backend: str = MEMORY_BACKEND
    config: Mapping[str, Any] | None = None
    options: Mapping[str, Any] | None = None
    allowed_hosts: tuple[str, ...] = ()
    is_debug: bool = False
    root_path: str = ""
    channels: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Facts:
        """From what a process of the site has written."""
        return cls(
            settings_module=found["settings_module"],
            backend=found["backend"],
            config=from_plain(found["config"]),
            options=from_plain(found["options"]),
            allowed_hosts=tuple(found["allowed_hosts"]),
            is_debug=found["debug"],
            root_path=found["root_path"],
            channels=tuple(found.get("channels", ())),
            files=tuple(found.get("files", ())),
        )

    def is_host_allowed(self, host: str) -> bool:
        """Whether ``ALLOWED_HOSTS`` has *host*, which may have a port.

        Source: Django, "Settings", ALLOWED_HOSTS.
        """
        match = _HOST.fullmatch(host.lower())
        if match is None:
            return False
        name = match[1].removesuffix(".")
        allowed = self.allowed_hosts or (_LOCAL_HOSTS if self.is_debug else ())
        return bool(name) and any(_is_same(name, pattern.lower()) for pattern in allowed)


def _is_same(name: str, pattern: str) -> bool:
    if pattern == "*":
        return True
    if pattern.startswith("."):
        return name.endswith(pattern) or name == pattern[1:]
    return name == pattern


def ask_site(
    settings_module: str,
    alias: str,
    folders: Sequence[str],
    seconds: float,
    named_by: str = "--settings",
) -> Facts:
    """The facts of a site, from a process that imports its settings and ends.

    Args:
        alias: Of its layer; empty: the one that ``TXCHANNELS`` names, or the default.
        folders: Where its modules may be, too.
        seconds: How long that may take.
        named_by: Who has named the module, for errors.

    Raises: SiteFault: They cannot be read; what a traceback tells is on standard error.
    """
    ours, theirs = os.pipe()
    command = [sys.executable, "-m", "txchannels.django.facts", str(theirs)]
    try:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*command, settings_module, alias, *folders],
            pass_fds=[theirs],
            stdin=subprocess.DEVNULL,
            stdout=2 if _has_file(2) else subprocess.DEVNULL,
        )
    except OSError as error:
        os.close(ours)
        raise SiteFault(named_by, settings_module, f"cannot be read: {error}") from None
    finally:
        os.close(theirs)
    try:
        data = _read_answer(ours, process, time.monotonic() + seconds)
    finally:
        os.close(ours)
        _end(process, EXIT_SECONDS)
    if data is None:
        how = f"its import did not end by itself (exit code {process.returncode})"
        raise SiteFault(named_by, settings_module, how)
    found = unpackb(data)
    if "error" in found:
        setting, remedy = found["error"]
        fault = SiteFault(setting or f"{named_by} {settings_module}", None, remedy)
        fault.files = tuple(found["files"])
        raise fault
    return Facts.read(found["facts"] | {"files": found["files"]})


def _read_answer(pipe: int, process: subprocess.Popen[bytes], until: float) -> bytes | None:
    """What *process* writes; None if it ends, or is ended, before all is there.

    The end of the pipe may never come: what the settings have started may hold it, too.
    """
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    data = bytearray()
    while len(data) < _LENGTH_BYTES or len(data) < _LENGTH_BYTES + _length(data):
        has_ended = process.poll() is not None  # looked at first: it may just have written
        seconds = min(_LOOK_SECONDS, until - time.monotonic())
        if seconds <= 0:
            _end(process, 0.0)
            return None
        if poll.poll(0 if has_ended else 1000 * seconds):
            piece = os.read(pipe, 65_536)
            if not piece:
                _end(process, until - time.monotonic())
                return None
            data += piece
        elif has_ended:
            return None
    return bytes(data[_LENGTH_BYTES : _LENGTH_BYTES + _length(data)])


def _length(data: bytearray) -> int:
    return int.from_bytes(data[:_LENGTH_BYTES])


def _end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait for its end; make it, after *seconds*."""
    try:
        process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _has_file(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def make_layer(facts: Facts, alias: str, place: str) -> Any:
    """The layer, made here as the site's settings describe it.

    Args:
        place: Where those settings are; see `places.module_place`.

    Raises: ConfigurationError: It cannot be made.
    """
    where = f"CHANNEL_LAYERS[{alias!r}]"
    module, _, name = facts.backend.rpartition(".")
    try:
        backend = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{where}['BACKEND']", facts.backend, str(error)) from None
    try:
        layer = backend(**_config(backend, facts, place))
    except ConfigurationError as error:
        raise ConfigurationError(where, None, str(error)) from None
    except TypeError as error:
        raise ConfigurationError(f"{where}['CONFIG']", None, str(error)) from None
    if not hasattr(layer, "reactor"):
        raise ConfigurationError(where, facts.backend, "cannot be used by the daemon itself")
    return layer


def _config(backend: Any, facts: Facts, place: str) -> Mapping[str, Any]:
    """What the layer is made with. Its programs find its socket by their settings, too."""
    config = dict(facts.config or {})
    is_ipc = getattr(backend, "__init__", None) is IPCLayer.__init__  # or takes the same
    if is_ipc and config.get("path", "") == "":
        config["path"] = own_path(place)
    return config


def socket_name(module: str, command: str) -> str:
    """What the socket of *command* with the settings *module* is called: both may run here."""
    return module if command == DAEMON else f"{module}-worker"


def socket_path(layer: Any, own: str, name: str, place: str) -> tuple[str, str | None]:
    """Where a daemon with worker processes has its Unix socket, and who has named that place.

    Args:
        own: What ``--socket`` or ``TXCHANNELS['SOCKET']`` says, if anything.
        name: As `socket_name` gives it, for a path that nobody has named.
        place: Where its settings are, for the same; see `places.module_place`.

    Raises: ConfigurationError: The layer and *own* name two places.
    """
    if isinstance(layer, IPCLayer):
        if own and own != layer.path:
            raise ConfigurationError(
                "--socket", own, f"the layer's CONFIG has another path: {layer.path}"
            )
        return layer.path, "CONFIG['path']"
    return (own, "--socket") if own else (default_path(name, place), None)
