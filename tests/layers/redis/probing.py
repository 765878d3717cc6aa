"""What `probe` says of a URL, and a server that is no Redis."""

from __future__ import annotations

import socket
import threading

import pytest

from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.redis import dial
from txchannels.layers.redis.config import Host, read_hosts

__all__ = ["Answering", "away", "read_host", "wrong"]


def read_host(url, **others) -> Host:
    (host,) = read_hosts([url], **others)
    return host


def wrong(url, **others) -> ConfigurationError:
    """What `probe` says of a URL that can never work; it has the URL without secrets."""
    host = read_host(url, **others)
    with pytest.raises(ConfigurationError) as caught:
        dial.probe(host)
    assert caught.value.setting == "CONFIG['hosts']"
    assert caught.value.value == str(host)
    assert "s3cret" not in str(caught.value)
    return caught.value


def away(url, **others) -> str:
    host = read_host(url, **others)
    with pytest.raises(LayerUnavailable) as caught:
        dial.probe(host)
    assert str(caught.value).startswith(f"{host}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Answering:
    """A server that says *answer* to whatever it reads; and counts the connections it read from.

    Args:
        answer: None to close the connection instead.
    """

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.read: list[bytes] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _run(self):
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line:
                line.settimeout(10)
                try:
                    while data := line.recv(65_536):
                        self.read.append(data)
                        if self._answer is None:
                            break
                        line.sendall(self._answer)
                except OSError:
                    pass
