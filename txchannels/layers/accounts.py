"""The books of a layer: every message that was sent is delivered, dropped, lost or still waits.

Counts are kept by channel; the channels of one pattern (``name?...``) or one prefix
(``prefix!...``) share an account, so that the books do not grow with the clients.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["CLOSED", "EXPIRED", "FLUSHED", "FULL", "LOST", "Account", "Accounts", "family_of"]

#: Why a message was dropped.
FULL = "full"
EXPIRED = "expired"
CLOSED = "closed"
FLUSHED = "flushed"
LOST = "lost"

MAX_ACCOUNTS = 10_000
OTHERS = "#others"


@dataclass(slots=True)
class Account:
    """What became of the messages of one channel; ``sent`` is always the sum of the rest.

    Attributes:
        sent: How many were sent, those that found no room included.
        delivered: How many were handed to a reader.
        dropped: How many were not, by reason.
        lost: How many died with the worker that was running them.
    """

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def pending(self) -> int:
        """How many wait now."""
        return self.sent - self.delivered - self.lost - self.dropped.total()

    def add(self, other: Account) -> None:
        """Add what *other* has booked."""
        self.sent += other.sent
        self.delivered += other.delivered
        self.lost += other.lost
        self.dropped.update(other.dropped)

    def copy(self) -> Account:
        """What is booked until now."""
        return Account(self.sent, self.delivered, self.lost, Counter(self.dropped))


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
