"""When a message about a row goes out: as soon as the row is sure to stay as it says.

In a transaction that is when it is committed; what is rolled back, to a savepoint or
altogether, is told to nobody.

The transactions around a Django `TestCase` are never committed, so they do not count:
there, a change outside of the test's own ``atomic()`` is told of at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from django.db import transaction

from txchannels.django.channel import Group
from txchannels.errors import LayerError

__all__ = ["atomic_change", "send_to_groups", "when_committed"]

logger = logging.getLogger("django.channels")


def when_committed(call: Callable[[], None], using: str | None) -> None:
    """Call *call* when the running transaction of the database *using* is committed.

    Without a transaction, now. Where the transaction is rolled back, never.
    """
    connection = transaction.get_connection(using)
    if connection.in_atomic_block and not _is_around_a_test(connection):
        transaction.on_commit(call, using=using)
    else:
        call()


def atomic_change(using: str | None) -> AbstractContextManager[Any]:
    """A transaction around one change, which does not keep a test from hearing of it."""
    block = transaction.atomic(using=using)
    block.is_one_change = True
    return block


def _is_around_a_test(connection: Any) -> bool:
    """Whether every block of the transaction is a `TestCase`'s, or of one change.

    Django itself deletes within ``atomic(savepoint=False)``; sites rarely say that.
    """
    blocks = connection.atomic_blocks
    return bool(blocks) and _is_of_a_test(blocks[0]) and not any(map(_counts, blocks))


def _is_of_a_test(block: Any) -> bool:
    # It is what Django's own check of `durable` looks at.
    return getattr(block, "_from_testcase", False)


def _counts(block: Any) -> bool:
    is_one_change = getattr(block, "is_one_change", False)
    return block.savepoint and not is_one_change and not _is_of_a_test(block)


def send_to_groups(groups: list[Group], message: dict[str, Any], about: str) -> None:
    """Send *message* to each of *groups*. Raises nothing: the row is saved already.

    Args:
        about: What the message is about, for the log.
    """
    for group in groups:
        try:
            group.send(message)
        except LayerError as error:
            logger.error("Could not tell group %s of %s: %r", group, about, error)
        except Exception:
            logger.exception("Could not tell group %s of %s:", group, about)
