"""txchannels without its bus: the view is called at once, in the reactor's thread.

The protocols are those of the daemon, the request handler is that of its workers; between
them stands a layer that is none. No service for a site: one view that waits stops it.

Run by twistd: ``BENCH_PORT=8000 twistd -ny inline.py`` with Django's settings in the environment.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Collection
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
    """Answers a request within its `send`."""

    def __init__(self, handler: AsgiHandler) -> None:
        self._handler = handler
        self._deliver: DeliverBatch | None = None

    def send(self, channel: str, message: Message) -> None:
        if channel == "http.request" and self._deliver is not None:
            for response in self._handler(Request(message, channel, self)):
                self._deliver([(message["reply_channel"], response)])

    def is_wanted(self, channel: str) -> bool:
        return channel == "http.request"

    def when_room(self, channel: str, callback: Callable[[], None]) -> None:
        raise NotImplementedError("no request of the benchmark has a body")

    def new_channel(self, pattern: str) -> str:
        raise NotImplementedError("no request of the benchmark has a body")

    def drop_channel(self, channel: str) -> None:
        pass

    def subscribe(self, channels: Collection[str], deliver: Deliver) -> ISubscription:
        raise NotImplementedError("nobody reads this layer")

    def open_inbox(self, prefix: str, deliver: DeliverBatch) -> StraightInbox:
        self._deliver = deliver
        return StraightInbox(prefix)


def make_application(port: int) -> Any:
    """The protocols of the daemon on *port*, on top of a `StraightLayer`."""
    site = Site(
        HttpSettings(),
        WebSocketSettings(),
        StraightLayer(AsgiHandler()),
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
