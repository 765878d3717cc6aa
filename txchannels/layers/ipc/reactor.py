"""The face of a daemon's hub for another process's reactor.

What needs an answer is a round trip to a daemon on this host, in bounded time; what is
called back is called in the reactor's thread.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from txchannels.errors import LayerError, LayerUnavailable
from txchannels.layers.interfaces import (
    Deliver,
    IInbox,
    IReactorLayer,
    ISubscription,
    Message,
    Targets,
)
from txchannels.layers.names import check_channel, check_channels
from txchannels.layers.reactor import CallFromThread, Receiver

if TYPE_CHECKING:
    from txchannels.layers.ipc.blocking import IPCBlocking
    from txchannels.layers.ipc.link import Link

__all__ = ["IPCReactor"]

log = Logger()

RETRY_SECONDS = 0.5


@implementer(ISubscription)
class _Subscription:
    """A subscription that is made anew when the daemon has come back."""

    def __init__(self, owner: IPCReactor, channels: list[str], deliver: Deliver) -> None:
        self._owner = owner
        self._channels = channels
        self._deliver_on = deliver
        self._lock = threading.Lock()
        self._requested = 0
        self._is_cancelled = False
        self._inner: Any = None

    def connect(self, link: Link) -> None:
        """Begin, or begin anew, at the daemon.

        Raises: LayerUnavailable.
        """
        inner = link.subscribe(self._channels, self._deliver)
        with self._lock:
            self._inner = inner
            requested = self._requested
        if requested:
            inner.request(requested)

    def lose(self) -> None:
        """The daemon is gone."""
        with self._lock:
            self._inner = None

    def _deliver(self, _number: int, channel: str, message: Message) -> None:
        with self._lock:
            self._requested -= 1
        self._deliver_on(channel, message)

    def request(self, count: int) -> None:
        with self._lock:
            if self._is_cancelled:
                return
            self._requested += count
            inner = self._inner
        if inner is not None:
            inner.request(count)

    def cancel(self) -> int:
        with self._lock:
            if self._is_cancelled:
                return 0
            self._is_cancelled = True
            inner = self._inner
        self._owner.forget(self)
        if inner is not None:
            inner.cancel()
        return self._requested  # whatever the daemon says, if it still does


@implementer(IInbox)
class _Inbox:
    """The channels of one prefix, which the daemon's hub keeps."""

    def __init__(
        self, owner: IPCReactor, prefix: str, deliver: Callable[[list[Any]], None]
    ) -> None:
        self.prefix = prefix
        self._owner = owner
        self._deliver_on = deliver
        self._open: dict[str, None] = {}
        self._paused: set[str] = set()

    def connect(self, link: Link) -> None:
        """Own the prefix, and all that is open.

        Raises: LayerUnavailable; ValueError: Another has it, or has had it until now.
        """
        link.open_inbox(self.prefix, self._came)
        for channel in self._open:
            link.cast("inbox", self.prefix, "open", channel.removeprefix(self.prefix))
        for channel in self._paused:
            link.cast("inbox", self.prefix, "pause", channel)

    def _came(self, targets: Targets, message: Message) -> None:
        whom = targets if isinstance(targets, str) else tuple(targets)
        self._owner.soon(partial(self._deliver, whom, message))

    def _deliver(self, targets: Targets, message: Message) -> None:
        if not isinstance(targets, str) or targets in self._open:
            self._deliver_on([(targets, message)])

    def _cast(self, verb: str, name: str) -> None:
        link = self._owner.open_link
        try:
            if link is not None:
                link.cast("inbox", self.prefix, verb, name)
        except LayerUnavailable:
            pass  # all is told anew when the daemon is back

    def open(self, local: str) -> str:
        channel = self.prefix + local
        self._open[channel] = None
        self._cast("open", local)
        return channel

    def close(self, channel: str) -> None:
        self._open.pop(channel, None)
        self._paused.discard(channel)
        self._cast("close", channel)

    def leave_groups(self, channel: str) -> None:
        self._cast("leave_groups", channel)

    def pause(self, channel: str) -> None:
        if channel in self._open:
            self._paused.add(channel)
        self._cast("pause", channel)

    def resume(self, channel: str) -> None:
        self._paused.discard(channel)
        self._cast("resume", channel)


@implementer(IReactorLayer)
class IPCReactor:
    """See `IReactorLayer`.

    Args:
        blocking: The blocking face, which keeps the connection.
        call_from_thread: Runs a callable in the reactor's thread; callable from any.
        clock: The reactor; without it there is no `receive_twisted`, and no daemon is waited for.

    Attributes:
        open_link: The connection that all is read over; None while there is none.
    """

    def __init__(
        self, blocking: IPCBlocking, call_from_thread: CallFromThread, clock: Any = None
    ) -> None:
        self.blocking = blocking
        self.soon = call_from_thread
        self.open_link: Link | None = None
        self.extensions = [] if clock is None else ["twisted"]
        self._clock = clock
        self._kept: list[_Subscription | _Inbox] = []
        self._gap_watchers: list[Callable[[float, float], None]] = []
        self._retry: Any = None
        self._is_away = False
        self._lost_at: float | None = None
        self._is_stopped = False

    # Its life

    def start(self) -> None:
        self._connect()

    def stop(self) -> Deferred[None]:
        self._is_stopped = True
        retry, self._retry = self._retry, None
        if retry is not None and retry.active():
            retry.cancel()
        if self.open_link is not None:
            self.open_link.close()
        return succeed(None)

    def _connect(self) -> None:
        """Begin at the daemon, or try again later."""
        if self._is_stopped or self.open_link is not None:
            return
        try:
            link = self.blocking.link()
            self._join(link)
        except (LayerError, ValueError) as error:
            for one in self._kept:
                if isinstance(one, _Subscription):
                    one.lose()
            if self._clock is None:
                raise
            if not self._is_away:
                log.warn("{error}; trying again until it answers", error=error)
            self._is_away = True
            self._retry = self._clock.callLater(RETRY_SECONDS, self._try_again)
            return
        if self._is_away:
            self._is_away = False
            log.info("{name} answers", name=link.name)
        since, self._lost_at = self._lost_at, None
        if since is not None:
            for callback in self._gap_watchers:
                callback(since, _wall_clock())

    def _join(self, link: Link) -> None:
        """Use *link* for all that is kept, or for nothing.

        Raises: LayerUnavailable; ValueError: The daemon has not let go of our former link yet.
        """
        link.ended = partial(self._lost_soon, link)
        try:
            for one in list(self._kept):
                one.connect(link)
            if not link.is_open:  # perhaps before it could say so
                raise LayerUnavailable(f"{link.name} is gone")
        except BaseException:
            link.ended = _ignore
            link.close()
            raise
        self.open_link = link

    def _try_again(self) -> None:
        self._retry = None
        self._connect()

    def _lost_soon(self, link: Link) -> None:
        self.soon(partial(self._lost, link))

    def _lost(self, link: Link) -> None:
        if link is not self.open_link:
            return
        self.open_link = None
        self._lost_at = self._lost_at or _wall_clock()
        for one in self._kept:
            if isinstance(one, _Subscription):
                one.lose()
        if self._clock is not None:
            self._connect()

    def _keep(self, one: _Subscription | _Inbox) -> None:
        """Connect it now, or when the daemon is back.

        Raises: LayerUnavailable: Without a clock, that is never. ValueError: It cannot be.
        """
        link = self.open_link
        if link is not None:
            try:
                one.connect(link)
            except LayerUnavailable:
                if self._clock is None:
                    raise
        self._kept.append(one)
        if link is None and self._retry is None:
            self._connect()

    def forget(self, one: _Subscription) -> None:
        """It is cancelled."""
        if one in self._kept:
            self._kept.remove(one)

    def is_here(self, channel: str) -> bool:
        """Never: all goes to the daemon."""
        return False

    def can_answer(self, prefix: str) -> bool:
        """Always: without the daemon, nothing can be sent that would be answered."""
        return True

    def drain(self) -> None:
        """Nothing to do: what comes was asked for."""

    def when_gap(self, callback: Callable[[float, float], None]) -> None:
        self._gap_watchers.append(callback)

    # Sending

    def send(self, channel: str, message: Message) -> None:
        self.blocking.link().call("send", channel, message)

    def offer(self, channel: str, message: Message) -> bool:
        return bool(self.blocking.link().call("offer", channel, message))

    def is_wanted(self, channel: str) -> bool:
        try:
            return bool(self.blocking.link().call("is_wanted", channel))
        except LayerUnavailable:
            return False

    def when_room(self, channel: str, callback: Callable[[], None]) -> None:
        check_channel(channel)

        def told() -> None:
            self.soon(callback)

        self.blocking.link().when_room(channel, told)

    def when_expired(self, callback: Callable[[str, Message], None]) -> None:
        """Nobody here is told: whoever sent through the daemon has a timeout."""

    def new_channel(self, pattern: str) -> str:
        return self.blocking.new_channel(pattern)

    def drop_channel(self, channel: str) -> None:
        self.blocking.link().call("drop_channel", channel)

    # Reading

    def subscribe(self, channels: Collection[str], deliver: Deliver) -> ISubscription:
        subscription = _Subscription(self, check_channels(channels), deliver)
        self._keep(subscription)
        return subscription

    def receive_twisted(self, channels: Sequence[str]) -> Deferred[Any]:
        if self._clock is None:
            raise RuntimeError("receive_twisted needs the reactor's clock: reactor(..., clock)")
        names = check_channels(channels)
        random.shuffle(names)  # a busy channel must not starve a quiet one
        receiver = Receiver(self.soon)
        receiver.start(self.subscribe(names, receiver.deliver), self._clock)
        return receiver.received

    def open_inbox(self, prefix: str, deliver: Callable[[list[Any]], None]) -> IInbox:
        inbox = _Inbox(self, prefix, deliver)
        self._keep(inbox)
        return inbox


def _wall_clock() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)


def _ignore() -> None:
    """Nobody listens."""
