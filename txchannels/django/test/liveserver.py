"""A test case with a real daemon: browsers and WebSocket clients can be let loose on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from django.test import TransactionTestCase

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.test.cases import AroundEachTest
from txchannels.django.test.live import LiveServer, Serving

__all__ = ["ChannelLiveServerTestCase"]


class ChannelLiveServerTestCase(AroundEachTest, TransactionTestCase):
    """Runs ``twistd channels`` on a free port for each test, on the test database.

    It runs from before ``setUp`` until after all cleanups, in a process of its own, with the
    settings that the class has. See `LiveServer` for what it shares with the test.

    Attributes:
        host: The name or address on which it listens.
        port: The port; a free one if 0.
        worker_threads: How many consumers and views run at a time.
        serve_static: Whether static files are served, without ``collectstatic``.
        channel_alias: The layer that it serves.
        daemon_options: More options of ``twistd channels``.
    """

    host: str = "localhost"
    port: int = 0
    worker_threads: int = 1
    serve_static: bool = True
    channel_alias: str = DEFAULT_CHANNEL_LAYER
    daemon_options: Sequence[str] = ()

    _server: LiveServer | None = None

    def around_test(self) -> AbstractContextManager[object]:
        return self._served()

    @contextmanager
    def _served(self) -> Iterator[None]:
        serving = Serving(
            host=self.host,
            port=self.port,
            alias=self.channel_alias,
            threads=self.worker_threads,
            serve_static=self.serve_static,
            options=self.daemon_options,
        )
        with LiveServer(self.databases, serving) as self._server:
            try:
                yield
            finally:
                self._server = None

    @property
    def live_server_url(self) -> str:
        """The site's URL, without a slash at the end. The daemon runs while a test does."""
        return self._running().url

    @property
    def live_server_ws_url(self) -> str:
        """The same for WebSockets."""
        return self._running().ws_url

    @property
    def daemon_log(self) -> str:
        """All that the daemon has printed so far."""
        return self._running().log

    def _running(self) -> LiveServer:
        if self._server is None:
            raise RuntimeError("The live server runs only while a test of its class does")
        return self._server
