"""Work that waits here while another host could run it goes to Redis.

So do the messages of a single-reader channel that was made here, once a reader elsewhere
has asked for them.
"""

from __future__ import annotations

import math
import sys
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from txchannels.errors import LayerError, LayerUnavailable
from txchannels.layers.redis.operations import FULL
from txchannels.layers.redis.outbox import Unanswered
from txchannels.layers.redis.places import address_of, home_of

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.layers.queues import Queue, Queues
    from txchannels.layers.redis.hub import JoinedHub
    from txchannels.layers.redis.link import Link
    from txchannels.layers.redis.whereabouts import Whereabouts

    Entry = tuple[float, str, Message]

__all__ = ["Spill"]

#: How long a message waits here before it is offered to other hosts.
WAIT_SECONDS = 0.02
MAX_AT_ONCE = 100


class Spill:
    """See the module.

    Args:
        hub: Whose messages they are.
        queues: Where they wait.
        lock: To be held to look there.
        known: What is known of the other hubs.

    Thread: the reactor's.
    """

    def __init__(self, hub: JoinedHub, queues: Queues, lock: Lock, known: Whereabouts) -> None:
        self._hub = hub
        self._queues = queues
        self._lock = lock
        self._known = known

    def __call__(self, wait_seconds: float = WAIT_SECONDS) -> None:
        """Give away what has waited for so long; to be called often."""
        if self._known.read_elsewhere:
            for link in self._hub.links:
                link.reader.end_vain_wait()
        if self._queues.waiting:
            for queue, entries in self._take_out(self._hub.seconds() - wait_seconds):
                for entry in entries:
                    self._send(queue, entry)
            for name in self._stragglers():
                self.let_go(name)

    def let_go(self, channel: str) -> None:
        """Have a single-reader channel's messages go to Redis, those first that wait at its home.

        All in one: who sees that it has left finds these on their way. Thread: any.
        """
        if home_of(channel) != self._hub.address:
            self._known.note_away(channel)
            return
        link = self._hub.routes.to_channel(channel)
        refused: list[tuple[Queue, Entry, LayerError]] = []
        with self._lock:
            queue = self._queues.by_name.get(channel)
            if queue is not None and queue.waiting:
                for entry in self._queues.take_out(queue, math.inf, sys.maxsize):
                    try:
                        self._submit(link, queue, entry)
                    except LayerError as error:
                        refused.append((queue, entry, error))
            self._known.note_away(channel)
        for back in refused:
            self._sent(*back)

    def _stragglers(self) -> list[str]:
        """The channels that have left, and in which something waits here all the same."""
        with self._lock:
            return [
                name
                for name, queue in self._queues.by_name.items()
                if queue.waiting
                and "?" in name
                and home_of(name) == self._hub.address
                and self._known.has_left(name)
            ]

    def _take_out(self, before: float) -> list[tuple[Queue, list[Entry]]]:
        with self._lock:
            return [
                (queue, self._queues.take_out(queue, before, MAX_AT_ONCE))
                for name, queue in list(self._queues.by_name.items())
                if queue.waiting and self._may_go(name, queue)
            ]

    def _may_go(self, name: str, queue: Queue) -> bool:
        """Whether any hub may have what waits in *queue*."""
        if "?" in name or "!" in name:
            return False
        return not queue.readers or name in self._known.read_elsewhere

    def _send(self, queue: Queue, entry: Entry) -> None:
        try:
            self._check_way_back(entry[2])
            self._submit(self._hub.link_for(entry[1]), queue, entry)
        except LayerError as error:
            self._sent(queue, entry, error)

    def _check_way_back(self, message: Message) -> None:
        """Keep here what others could run but not answer.

        Raises: LayerUnavailable: The server that the answer would come by is away.
        """
        reply_channel = message.get("reply_channel")
        address = address_of(reply_channel) if isinstance(reply_channel, str) else None
        if address is not None and not self._hub.routes.to_inbox(address).is_up:
            raise LayerUnavailable(f"No answer can come to {reply_channel} now")

    def _submit(self, link: Link, queue: Queue, entry: Entry) -> None:
        expires, channel, message = entry
        left = max(1, int((expires - self._hub.seconds()) * 1000))
        operation = self._hub.writer.message(channel, message, link.time, left)
        line = channel if "?" in channel else None
        link.submit(operation, partial(self._sent, queue, entry), line)

    def _sent(self, queue: Queue, entry: Entry, outcome: int | LayerError) -> bool:
        """Book what has left, or take it back. Returns: whether it is to go again."""
        if outcome == FULL and "?" in queue.name:
            return True
        with self._lock:
            if outcome != 0 and not isinstance(outcome, Unanswered):
                queue = self._queues.open(queue.name)  # it may have been swept meanwhile
                self._queues.put_back(queue, entry)
                reader = queue.ready_reader()
                if reader is not None:
                    self._queues.hand_over(reader)
                return False
            queue.account.forwarded += 1
        if outcome != 0:
            self._hub.given_up(entry[1], entry[2])
        return False
