"""Hosts and programs that share one Redis layer, all in one process, for tests that block.

A `Host` is what a daemon holds: a hub with its links, in a reactor that turns in a thread.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection
from queue import SimpleQueue
from typing import Any

from tests.layers.redis.reactors import ReactorThread
from tests.servers import RedisServer, wait_until
from txchannels.layers.redis import RedisLayer
from txchannels.layers.redis.places import inbox_key, list_key

__all__ = ["Host", "Reader", "Site", "Worker", "run_threads"]

_numbers = itertools.count(1)


class Reader:
    """A subscription that keeps all that it was given."""

    def __init__(self, host: Host, channels: Collection[str]) -> None:
        self.got: list[tuple[str, Any]] = []
        self.subscription = host.call(host.face.subscribe, channels, self._deliver)
        self.request = self.subscription.request
        self.cancel = self.subscription.cancel

    def _deliver(self, channel: str, message: Any) -> None:
        self.got.append((channel, message))

    def numbers(self) -> list[int]:
        """The ``n`` of each message, in the order in which they came."""
        return [message["n"] for _, message in self.got]


class Worker:
    """A thread that asks for one message at a time, as a pool does.

    Args:
        work: Called with each message in the thread, before it asks for the next.
    """

    def __init__(
        self, host: Host, channels: Collection[str], work: Callable[[Any], object] = id
    ) -> None:
        self.got: list[tuple[str, Any]] = []
        self._work = work
        self._handed: SimpleQueue[Any] = SimpleQueue()
        self._subscription = host.call(
            host.face.subscribe, channels, lambda *taken: self._handed.put(taken)
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._subscription.request(1)
        while (taken := self._handed.get()) is not None:
            self._work(taken[1])
            self.got.append(taken)
            self._subscription.request(1)

    def numbers(self) -> list[int]:
        """The ``n`` of each message, in the order in which they were worked on."""
        return [message["n"] for _, message in self.got]

    def stop(self) -> None:
        self._subscription.cancel()
        self._handed.put(None)
        self._thread.join()


class Host:
    """One daemon of the site: a hub, and an inbox whose channels are as sockets.

    Attributes:
        face: The reactor's.
        threads: The worker threads'.
        got: What came for each channel of the inbox.
    """

    def __init__(self, turning: ReactorThread, layer: RedisLayer, prefix: str) -> None:
        self.call = turning.call
        self.prefix = prefix
        self.got: dict[str, list[Any]] = {}
        self.face = self.call(layer.reactor, turning.reactor.callFromThread, turning.reactor)
        self.threads: Any = layer.blocking
        self.hub: Any = self.face.hub
        self.inbox = self.call(self.face.open_inbox, prefix, self._deliver)
        self.call(self.face.start)
        self.is_running = True
        wait_until(lambda: all(link.is_up for link in self.hub.links), "the links are up")

    def _deliver(self, batch: list[tuple[Any, Any]]) -> None:
        for targets, message in batch:
            for channel in [targets] if isinstance(targets, str) else targets:
                self.got.setdefault(channel, []).append(message)

    def open(self, local: str) -> str:
        channel: str = self.call(self.inbox.open, local)
        return channel

    def close(self, channel: str) -> None:
        self.call(self.inbox.close, channel)

    def numbers(self, channel: str) -> list[int]:
        """The ``n`` of each message that came for *channel*."""
        return [message["n"] for message in self.got.get(channel, [])]

    def read(self, *channels: str) -> Reader:
        return Reader(self, channels)

    def is_covered(self, reader: Reader) -> bool:
        """Whether Redis has been asked to hand over what *reader* asks for."""
        return all(reader.subscription in link.reader._covered for link in self.hub.links)

    def spoiled(self) -> dict[str, int]:
        return dict(self.hub.incoming.spoiled)

    def stop(self) -> None:
        """End in good order."""
        if self.is_running:
            self.is_running = False
            self.call(self.face.stop)

    def kill(self) -> None:
        """Fall silent: nobody is told, the lease runs out."""
        self.is_running = False
        self.call(self._kill)

    def _kill(self) -> None:
        self.face._spill.stop()
        for link in self.hub.links:
            link._is_stopped = True
            link._close()

    def sleep(self) -> None:
        """Renew no lease and take nothing, as a process that is stopped; see `wake`."""
        self.call(self._sleep)

    def _sleep(self) -> None:
        for link in self.hub.links:
            link.lease.stop()

    def wake(self) -> None:
        self.call(self._wake)

    def _wake(self) -> None:
        for link in self.hub.links:
            link.lease.start(now=True)


class Site:
    """The hosts and programs of one test; `close` ends them."""

    def __init__(self, server: RedisServer, turning: ReactorThread) -> None:
        self.prefix = f"site{next(_numbers)}:"
        self.server = server
        self.redis = server.client()
        self._turning = turning
        self._hosts: list[Host] = []

    def layer(self, **config: Any) -> RedisLayer:
        return RedisLayer(hosts=[self.server.url], prefix=self.prefix, **config)

    def host(self, **config: Any) -> Host:
        """One more daemon; it knows what those before it read, they will."""
        prefix = f"txchannels.host{next(_numbers)}!"
        self._hosts.append(Host(self._turning, self.layer(**config), prefix))
        return self._hosts[-1]

    def program(self, **config: Any) -> Any:
        """A program that is not the daemon."""
        return self.layer(**config).blocking

    def list_of(self, channel: str) -> str:
        """The key of what waits in *channel*."""
        return list_key(self.prefix, channel)

    def inbox_of(self, address: str) -> str:
        return inbox_key(self.prefix, address)

    def close(self) -> None:
        for host in self._hosts:
            host.stop()
        self.redis.close()


def run_threads(*functions: Callable[[], object]) -> None:
    """Call all at the same time, each in a thread; what one raises is raised here."""
    errors: list[BaseException] = []
    together = threading.Barrier(len(functions))

    def run(function: Callable[[], object]) -> None:
        try:
            together.wait()
            function()
        except BaseException as error:  # raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=[function]) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
