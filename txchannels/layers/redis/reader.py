"""Takes from Redis what is meant for a hub, and what it has asked for.

One connection waits, always, for the hub's inboxes, and for the channels of those
subscriptions whose demand was open when it began to wait: these are *covered*. What asks
for more meanwhile is fetched by a command first; when nothing is there, the wait is ended
and begun anew with all that is asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from txchannels.layers.redis.mistyped import Mistyped, is_mistyped
from txchannels.layers.redis.operations import Script
from txchannels.layers.redis.places import inbox_key, list_key, name_in

if TYPE_CHECKING:
    from txchannels.layers.queues import Subscription
    from txchannels.layers.redis.connection import Connection
    from txchannels.layers.redis.link import Link

__all__ = ["Reader"]

EMPTY = Script("empty")

#: How long a wait is before it is begun anew; a server that is gone is noticed by that.
WAIT_SECONDS = 5
WAIT_ANSWER_SECONDS = 8.0

MAX_INBOX = 10_000
MAX_TAKEN = 8
MAX_FETCHED = 64


class Reader:
    """See the module. Thread: the reactor's, unless a method says otherwise."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._mistyped = Mistyped(link)
        self._connection: Connection | None = None
        self._identity = 0
        self._covered: frozenset[Subscription] = frozenset()
        self._count = 0
        self._is_asked = False
        self._fetching: Subscription | None = None
        self._is_ending_wait = False
        self._is_idle_noticed = False

    def start(self, connection: Connection, identity: int) -> None:
        """Wait on *connection*, which the server knows as *identity*."""
        self._connection = connection
        self._identity = identity
        self._is_asked = self._is_ending_wait = False
        self._fetching = None
        self._wait()

    def stop(self) -> None:
        """Take nothing more."""
        connection, self._connection = self._connection, None
        self._covered = frozenset()
        if connection is not None:
            connection.on_lost = None
            connection.close()

    @property
    def is_working(self) -> bool:
        """Whether messages of channels may still come that others read too."""
        return bool(self._covered) or self._fetching is not None

    # Demand

    def ask(self, subscription: Subscription) -> None:
        """Note that *subscription* has asked for messages. Thread: any."""
        if subscription in self._covered or self._is_asked or self._connection is None:
            return
        self._is_asked = True
        self._link.call_from_thread(self._fetch)

    def forget(self, subscription: Subscription) -> None:
        """Note that *subscription* asks for nothing any more. Thread: any."""
        if subscription in self._covered:
            self._link.call_from_thread(self._end_wait)

    def begin_anew(self) -> None:
        """Wait for what is asked for now, and for nothing else."""
        self._end_wait()

    def end_vain_wait(self) -> None:
        """Stop waiting for those who have been busy since the last call.

        What comes would wait here while others are idle.
        """
        if self._covered and not any(one.requested > 0 for one in self._covered):
            if self._is_idle_noticed:
                self._end_wait()
            self._is_idle_noticed = True
        else:
            self._is_idle_noticed = False

    # Waiting

    def _wait(self) -> None:
        connection, link = self._connection, self._link
        if connection is None:
            return
        self._is_ending_wait = self._is_idle_noticed = False
        asking = [one for one in link.owner.demanding(link) if one is not self._fetching]
        keys = [inbox_key(link.prefix, address) for address in link.owner.addresses()]
        lists: list[str] = []
        self._count = MAX_INBOX
        if asking:
            lists = self._keys_of(asking)
            keys += lists
            self._count = max(1, min(MAX_TAKEN, *(one.requested for one in asking)))
        self._covered = frozenset(asking)
        options = ("LEFT", "COUNT", self._count)
        waited = connection.call(
            "BLMPOP", WAIT_SECONDS, len(keys), *keys, *options, timeout=WAIT_ANSWER_SECONDS
        )
        waited.addCallbacks(self._waited, self._not_waited, errbackArgs=(lists,))

    def _keys_of(self, asking: list[Subscription]) -> list[str]:
        names = list({queue.name for one in asking for queue in one.queues})
        random.shuffle(names)  # a busy channel must not starve a quiet one
        return self._mistyped.without(list_key(self._link.prefix, name) for name in names)

    def _not_waited(self, failure: Any, keys: list[str]) -> None:
        self._covered = frozenset()
        self._refused(failure, keys, self._wait)

    def _waited(self, reply: Any) -> None:
        self._covered = frozenset()
        if self._connection is None:
            return
        if reply is None:
            self._wait()
            return
        key, elements = reply
        kind, name = name_in(self._link.prefix, key)
        is_more = kind == "i" and len(elements) >= self._count
        self._link.owner.took(self._link, key, elements)
        if is_more and self._connection is not None:
            emptied = self._link.run(EMPTY, self._link.prefix, name)
            emptied.addCallbacks(self._emptied, self._failed, callbackArgs=(key,))
        else:
            self._wait()

    def _emptied(self, elements: list[bytes], key: bytes) -> None:
        if elements:
            self._link.owner.took(self._link, key, elements)
        self._wait()

    def _end_wait(self) -> None:
        """Begin the wait anew, with all that is asked for now."""
        if self._connection is None or self._is_ending_wait:
            return
        self._is_ending_wait = True
        ended = self._link.call("CLIENT", "UNBLOCK", self._identity)
        ended.addCallbacks(self._ended_wait, self._failed)

    def _ended_wait(self, was_waiting: int) -> None:
        """Try again, if the server had not read of the wait yet and it is not over either."""
        if not was_waiting and self._is_ending_wait:
            self._is_ending_wait = False
            self._end_wait()

    # Fetching

    def _fetch(self) -> None:
        self._is_asked = False
        if self._connection is None or self._fetching is not None or self._is_ending_wait:
            return
        link = self._link
        asking = [one for one in link.owner.demanding(link) if one not in self._covered]
        if not asking:
            return
        first = asking[0]
        keys = self._keys_of([first])
        count = max(1, min(MAX_FETCHED, first.requested))
        if not keys:
            self._end_wait()
            return
        self._fetching = first
        fetched = link.call("LMPOP", len(keys), *keys, "LEFT", "COUNT", count)
        fetched.addCallbacks(self._fetched, self._not_fetched, errbackArgs=(keys,))

    def _fetched(self, reply: Any) -> None:
        self._fetching = None
        if reply is None:
            self._end_wait()
        elif self._connection is not None:
            self._link.owner.took(self._link, *reply)
            self._fetch()

    def _not_fetched(self, failure: Any, keys: list[str]) -> None:
        self._fetching = None
        self._refused(failure, keys, self._fetch)

    # What goes wrong

    def _refused(self, failure: Any, keys: list[str], go_on: Callable[[], None]) -> None:
        """Find out which of *keys* cannot be read, and go on without."""
        if self._connection is None or not is_mistyped(failure):
            self._failed(failure)
            return

        def found(is_any: bool) -> None:
            if is_any:
                go_on()
            else:
                self._failed(failure)

        self._mistyped.find(keys).addCallback(found)

    def _failed(self, failure: Any) -> None:
        """The server refuses what must work, or is lost."""
        if self._connection is not None:
            self._link.lose(str(failure.value).removeprefix(f"{self._link.name}: "))
