"""What a hub has taken from Redis: elements into deliveries, and what is no element counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from twisted.logger import Logger

from txchannels.errors import LayerUnavailable
from txchannels.layers.codec import GARBAGE, Codec, Element, ElementError, Kind, deadline_of
from txchannels.layers.redis import operations
from txchannels.layers.redis.places import address_of, name_in
from txchannels.layers.redis.reading import read_stamp, read_waiting
from txchannels.layers.redis.writer import OVER

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.layers.redis.hub import JoinedHub
    from txchannels.layers.redis.link import Link

__all__ = ["Incoming"]

log = Logger()

LOG_SECONDS = 10.0


class Incoming:
    """See the module.

    Args:
        hub: Where the deliveries go.
        codec: What an element looks like.
        clock: The time in seconds; only differences count.

    Attributes:
        spoiled: How many elements were skipped, by reason.

    Thread: the reactor's.
    """

    def __init__(self, hub: JoinedHub, codec: Codec, clock: Callable[[], float]) -> None:
        self._hub = hub
        self._codec = codec
        self._clock = clock
        self.spoiled: Counter[str] = Counter()
        self._logged = -LOG_SECONDS
        self._added: int | None = None

    def took(self, link: Link, key: bytes, elements: Sequence[bytes]) -> None:
        """Deliver what was taken from the list *key*."""
        kind, name = name_in(link.prefix, key)
        take = self._take_mail if kind == "i" else self._take_message
        for data in elements:
            try:
                take(link, name, data)
            except ElementError as error:
                self._skip(link, name, error.reason)
        if self._added is not None:
            self._tell_taken(link, name, self._added)
            self._added = None

    def _tell_taken(self, link: Link, address: str, moment: int) -> None:
        """Tell who has added members that they are known here: somebody may wait for that."""
        try:
            link.submit(operations.taken(address, moment))
        except LayerUnavailable:
            pass

    def receive(self, link: Link, key: bytes, data: bytes) -> tuple[str, Message] | None:
        """Take in what was taken from the list *key* for one who waits. Returns: what is next."""
        name, now = name_in(link.prefix, key)[1], link.time.now()
        try:
            read = read_waiting(self._codec, name, data, now)
        except ElementError as error:
            self._skip(link, name, error.reason)
            return None
        if read is None:
            self._hub.book_expired(name)
            return None
        return self._hub.pass_on(*read, (deadline_of(data) - now) / 1000)

    def _take_message(self, link: Link, name: str, data: bytes) -> None:
        now = link.time.now()
        read = read_waiting(self._codec, name, data, now)
        if read is None:
            self._hub.book_expired(name)
        else:
            self._hub.arrived(*read, (deadline_of(data) - now) / 1000)

    def _take_mail(self, link: Link, address: str, data: bytes) -> None:
        stamp, data = read_stamp(data)
        if deadline_of(data) <= link.time.now():
            self._hub.book_expired(address)
            return
        element = self._codec.decode(data)
        hub, target, content = self._hub, element.target, element.content
        if element.kind == Kind.MESSAGE:
            self._take_reply(link, address, element)
        elif element.kind == Kind.GROUP:
            hub.send_here(target, content)
        elif element.kind == Kind.ADD:
            hub.memberships.add_here(link, target, content, stamp)
            self._added = stamp
        elif element.kind == Kind.DISCARD:
            hub.memberships.discard_here(link, target, content, stamp)
        elif element.kind == Kind.CLOSED:
            hub.note_closed(target)
        elif element.kind == Kind.WANT:
            if hub.homes.is_home_of(target):
                hub.spill.let_go(target)
        elif element.sender == OVER:
            link.register()
        elif element.sender != hub.address:
            hub.flush()

    def _take_reply(self, link: Link, address: str, element: Element) -> None:
        """A message for one owned channel; its sender is told if that is closed."""
        if address_of(element.target) != address:
            raise ElementError(GARBAGE)
        if self._hub.accept(address, element.target, element.content) or not element.sender:
            return
        try:
            link.submit(self._hub.writer.closed(element.sender, element.target, link.time))
        except LayerUnavailable:
            pass

    def _skip(self, link: Link, name: str, reason: str) -> None:
        self.spoiled[reason] += 1
        if self._clock() - self._logged >= LOG_SECONDS:
            self._logged = self._clock()
            log.error(
                "{link}: an element of {name} is skipped: {reason} ({count} so far)",
                link=link.name,
                name=name,
                reason=reason,
                count=self.spoiled.total(),
            )
