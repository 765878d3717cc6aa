"""The books of a layer: every message that was sent is delivered, dropped, lost or still waits.

Where hubs are joined, a message that leaves one of them is booked there as forwarded and
where it comes in as arrived; over all hubs, what was forwarded and did not arrive waits on
the server or was lost there.

Counts are kept by channel; the channels of one pattern (``name?...``) or one prefix
(``prefix!...``) share an account, so that the books do not grow with the clients.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

__all__ = [
    "CLOSED",
    "EXPIRED",
    "FLUSHED",
    "FULL",
    "LOST",
    "REFUSED",
    "UNAVAILABLE",
    "Account",
    "Accounts",
    "family_of",
]

#: Why a message was dropped.
FULL = "full"
EXPIRED = "expired"
CLOSED = "closed"
FLUSHED = "flushed"
LOST = "lost"
REFUSED = "refused"
UNAVAILABLE = "unavailable"

MAX_ACCOUNTS = 10_000
OTHERS = "#others"


@dataclass(slots=True)
class Account:
    """What became of the messages of one channel.

    ``sent + arrived`` is always the sum of the rest and of what waits.

    Attributes:
        sent: How many were sent, those that found no room included.
        delivered: How many were handed to a reader.
        dropped: How many were not, by reason.
        lost: How many died with the worker that was running them.
        forwarded: How many went on to another hub, or may have.
        arrived: How many came from another hub.
    """

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    forwarded: int = 0
    arrived: int = 0

    @property
    def pending(self) -> int:
        """How many wait now."""
        came = self.sent + self.arrived
        return came - self.forwarded - self.delivered - self.lost - self.dropped.total()

    def add(self, other: Account) -> None:
        """Add what *other* has booked."""
        self.sent += other.sent
        self.delivered += other.delivered
        self.lost += other.lost
        self.dropped.update(other.dropped)
        self.forwarded += other.forwarded
        self.arrived += other.arrived

    def copy(self) -> Account:
        """What is booked until now."""
        return replace(self, dropped=Counter(self.dropped))


class Accounts:
    """The accounts of all channels; those past a bound share one.

    Thread: whoever holds the layer's lock.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    def open(self, channel: str) -> Account:
        """The account of *channel*'s family."""
        family = family_of(channel)
        account = self._accounts.get(family)
        if account is None:
            if len(self._accounts) >= MAX_ACCOUNTS:
                family = OTHERS
            account = self._accounts.setdefault(family, Account())
        return account

    def of(self, channel: str) -> Account:
        """A copy of the account of *channel*'s family; an empty one if it has none."""
        account = self._accounts.get(family_of(channel))
        return Account() if account is None else account.copy()

    def read(self) -> dict[str, Account]:
        """A copy of all accounts, by family."""
        return {name: one.copy() for name, one in self._accounts.items()}

    def total(self) -> Account:
        """All accounts added up."""
        total = Account()
        for one in self._accounts.values():
            total.add(one)
        return total


def family_of(channel: str) -> str:
    """The name under which *channel* is booked: itself, or its part up to ``?`` or ``!``."""
    for mark in "!?":
        at = channel.find(mark)
        if at >= 0:
            return channel[: at + 1]
    return channel
