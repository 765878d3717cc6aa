"""What leaves a hub for others, and what comes from them: booked, and let in."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING

from txchannels.errors import LayerError, LayerUnavailable
from txchannels.layers.accounts import CLOSED, EXPIRED, REFUSED, UNAVAILABLE
from txchannels.layers.codec import GARBAGE, ElementError
from txchannels.layers.names import owner_of
from txchannels.layers.redis.operations import FULL
from txchannels.layers.redis.outbox import Unanswered

if TYPE_CHECKING:
    from txchannels.layers.accounts import Account, Accounts
    from txchannels.layers.inbox import Inbox
    from txchannels.layers.interfaces import Message
    from txchannels.layers.queues import Queues

__all__ = ["Crossings"]


class Crossings:
    """See the module.

    Args:
        accounts: Where they are booked.
        queues: Where they wait.
        inboxes: What owns channels here, by prefix.
        lock: The hub's.

    Thread: any.
    """

    def __init__(
        self, accounts: Accounts, queues: Queues, inboxes: Mapping[str, Inbox], lock: Lock
    ) -> None:
        self._accounts = accounts
        self._queues = queues
        self._inboxes = inboxes
        self._lock = lock

    def book(self, channel: str, outcome: int | LayerError) -> None:
        """Book a message that was sent elsewhere, or could not be."""
        with self._lock:
            account = self._accounts.open(channel)
            account.sent += 1
            _book_outcome(account, outcome)

    def book_expired(self, name: str) -> None:
        """Book a message that expired on its way."""
        with self._lock:
            account = self._accounts.open(name)
            account.arrived += 1
            account.dropped[EXPIRED] += 1

    def accept(self, address: str, channel: str, message: Message) -> bool:
        """Take a message for an owned channel; False if that is closed."""
        inbox = self._inboxes.get(address)
        if inbox is None:
            raise ElementError(GARBAGE)
        return inbox.accept(channel, message)

    def arrived(self, channel: str, message: Message, seconds: float) -> None:
        """Take a message in that another hub has sent, and that has *seconds* left."""
        with self._lock:
            queue = self._queues.open(owner_of(channel))
            queue.account.arrived += 1
            reader = queue.ready_reader()
            if reader is None:
                self._queues.take_in(queue, channel, message, seconds)
                return
            reader.requested -= 1
            queue.account.delivered += 1
            reader.deliver(channel, message)

    def pass_on(self, channel: str, message: Message, seconds: float) -> tuple[str, Message] | None:
        """Take a message in as `arrived` does, for one who waits.

        Returns: What has waited longest there; that has come before, in vain for its reader.
        """
        with self._lock:
            queue = self._queues.open(owner_of(channel))
            queue.account.arrived += 1
            self._queues.take_in(queue, channel, message, seconds)
            return self._queues.take(queue)


def _book_outcome(account: Account, outcome: int | LayerError) -> None:
    if outcome == 0 or isinstance(outcome, Unanswered):
        account.forwarded += 1
    elif outcome == FULL:
        account.dropped[REFUSED] += 1
    elif isinstance(outcome, LayerUnavailable):
        account.dropped[UNAVAILABLE] += 1
    else:
        account.dropped[CLOSED] += 1
