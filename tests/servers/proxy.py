"""A line to a server that a test can cut and mend."""

from __future__ import annotations

import selectors
import socket
import threading
from typing import Self

__all__ = ["Cuttable"]

_TURN_SECONDS = 0.05


class Cuttable:
    """A TCP proxy on localhost in front of the server on *target_port*.

    Attributes:
        port: Where clients connect, the same before and after a cut.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._lock = threading.Lock()
        self._ends: dict[socket.socket, socket.socket] = {}
        self._silent = False
        self._stopped = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self.port = 0
        self._thread = threading.Thread(target=self._run, name="cuttable")

    def __enter__(self) -> Self:
        self.mend()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self.cut()
        self._selector.close()

    def cut(self) -> None:
        """Drop all connections and refuse new ones."""
        with self._lock:
            if self._listener is not None:
                self._forget(self._listener)
                self._listener = None
            for end in list(self._ends):
                self._forget(end)
            self._ends.clear()

    def silence(self) -> None:
        """Carry nothing and close nothing, as a network that is away."""
        self._silent = True

    def mend(self) -> None:
        """Carry again; what a silence held back arrives now, as TCP sends it again."""
        with self._lock:
            self._silent = False
            if self._listener is None:
                self._listener = socket.create_server(("127.0.0.1", self.port))
                self._listener.setblocking(False)
                self.port = self._listener.getsockname()[1]
                self._selector.register(self._listener, selectors.EVENT_READ)

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self._silent:
                self._stopped.wait(_TURN_SECONDS)
                continue
            ready = self._selector.select(_TURN_SECONDS)
            with self._lock:
                for key, _ in [] if self._silent else ready:
                    self._serve(key.fileobj)

    def _serve(self, end) -> None:
        try:
            if end is self._listener:
                self._accept()
            elif end in self._ends:
                self._carry(end)
        except BlockingIOError:  # it was ready before a cut, and is another one now
            pass

    def _accept(self) -> None:
        assert self._listener is not None
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            client.close()
            return
        client.settimeout(5)
        for end, other in ((client, server), (server, client)):
            self._ends[end] = other
            self._selector.register(end, selectors.EVENT_READ)

    def _carry(self, end: socket.socket) -> None:
        other = self._ends[end]
        try:
            data = end.recv(65_536, socket.MSG_DONTWAIT)
            other.sendall(data)
        except BlockingIOError:
            raise
        except OSError:
            data = b""
        if not data:
            for one in (end, other):
                self._forget(one)
                self._ends.pop(one, None)

    def _forget(self, end: socket.socket) -> None:
        self._selector.unregister(end)
        end.close()
