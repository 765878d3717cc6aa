"""txchannels without its bus: the view is called at once, in the reactor's thread.

The protocols are those of the daemon, the request handler is that of its workers; between
them stands a layer that is none. The answers of one turn of the reactor are written together, as
in the daemon: written one by one, each wakes the client, which costs more than the bus does.
No service for a site: one view that waits stops it.

Run by twistd: ``BENCH_PORT=8000 twistd -ny inline.py`` with Django's settings in the environment.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import django
from twisted.application.internet import StreamServerEndpointService, TimerService
from twisted.application.service import Application, IServiceCollection
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from zope.interface import implementer

from txchannels.layers.interfaces import Deliver, IInbox, IReactorLayer, ISubscription, Message
from txchannels.protocols.factory import SiteFactory
from txchannels.protocols.site import Site
from txchannels.settings import HttpSettings, WebSocketSettings

django.setup()

from txchannels.django.databases import ThreadConnections  # noqa: E402
from txchannels.django.handler import AsgiHandler  # noqa: E402
from txchannels.django.message import Message as Request  # noqa: E402

DeliverBatch = Callable[[list[tuple[Any, Message]]], None]


@implementer(IInbox)
class StraightInbox:
    """Names reply channels; nothing waits in it."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def open(self, local: str) -> str:
        return self.prefix + local

    def close(self, channel: str) -> None:
        pass

    def leave_groups(self, channel: str) -> None:
        pass

    def pause(self, channel: str) -> None:
        pass

    def resume(self, channel: str) -> None:
        pass


@implementer(IReactorLayer)
class StraightLayer:
    """Calls the view within `send`; looks after the databases as the daemon does."""

    def __init__(self, handler: AsgiHandler, databases: ThreadConnections) -> None:
        self._handler = handler
        self._databases = databases
        self._deliver: DeliverBatch | None = None
        self._answers: list[tuple[str, Message]] = []
        self._is_flushing = False

    def start(self) -> None:
        """Nothing to begin."""

    def stop(self) -> None:
        """Nothing to end."""

    def is_here(self, channel: str) -> bool:
        """Always."""
        return True

    def drain(self) -> None:
        """No message comes from other hosts."""

    def when_gap(self, callback: Callable[[float, float], None]) -> None:
        """There are no other hosts, whose messages could be missed."""

    def send(self, channel: str, message: Message) -> None:
        if channel != "http.request":
            return
        self._databases.before_message()
        for response in self._handler(Request(message, channel, self)):
            self._answers.append((message["reply_channel"], response))
        self._databases.after_message()
        if not self._is_flushing:
            self._is_flushing = True
            reactor.callLater(0, self._flush)

    def offer(self, channel: str, message: Message) -> bool:
        self.send(channel, message)
        return True

    def _flush(self) -> None:
        answers, self._answers = self._answers, []
        self._is_flushing = False
        if self._deliver is not None:
            self._deliver(answers)

    def is_wanted(self, channel: str) -> bool:
        return channel == "http.request"

    def when_room(self, channel: str, callback: Callable[[], None]) -> None:
        raise NotImplementedError("no request of the benchmark has a body")

    def when_expired(self, callback: Callable[[str, Message], None]) -> None:
        """Nothing waits here, and so nothing expires."""

    def new_channel(self, pattern: str) -> str:
        raise NotImplementedError("no request of the benchmark has a body")

    def drop_channel(self, channel: str) -> None:
        pass

    def subscribe(self, channels: Collection[str], deliver: Deliver) -> ISubscription:
        raise NotImplementedError("nobody reads this layer")

    def receive_twisted(self, channels: Sequence[str]) -> Any:
        raise NotImplementedError("nobody reads this layer")

    def open_inbox(self, prefix: str, deliver: DeliverBatch) -> StraightInbox:
        self._deliver = deliver
        return StraightInbox(prefix)


def make_application(port: int) -> Any:
    """The protocols of the daemon on *port*, on top of a `StraightLayer`."""
    databases = ThreadConnections()
    databases.take_over()
    site = Site(
        HttpSettings(),
        WebSocketSettings(),
        StraightLayer(AsgiHandler(), databases),
        clock=reactor.seconds,
        wall_clock=time.time,
    )
    made = Application("straight call")
    services = IServiceCollection(made)
    TimerService(1.0, site.check).setServiceParent(services)
    endpoint = TCP4ServerEndpoint(reactor, port, interface="127.0.0.1")
    StreamServerEndpointService(endpoint, SiteFactory(site)).setServiceParent(services)
    gc.collect()
    gc.freeze()  # as the daemon does
    return made


application = make_application(int(os.environ["BENCH_PORT"]))
