"""What happens around consumers and workers, as Django signals.

- `consumer_started`, `consumer_finished`: before and after each message, in its thread;
- `worker_ready`: a worker is about to take messages; `worker_process_ready`: a worker
  process is;
- `gap`: the layer's server was away, and messages of other hosts may have been missed:
  ``since``, ``until`` (seconds since the epoch), ``channel_layer`` (the layer's alias).

Both of the former see to the thread's database connections: those that are too old or
broken are closed, also after a long time without messages.

Source: Channels 1, ``channels.signals``.
"""

from __future__ import annotations

from typing import Any

from django.db import close_old_connections
from django.dispatch import Signal

__all__ = [
    "CLOSE_AFTER",
    "CLOSE_BEFORE",
    "consumer_finished",
    "consumer_started",
    "gap",
    "send_gap",
    "worker_process_ready",
    "worker_ready",
]

#: The ``dispatch_uid`` under which a test can disconnect what closes connections.
CLOSE_BEFORE = "txchannels.close_old_connections.before"
CLOSE_AFTER = "txchannels.close_old_connections.after"

consumer_started = Signal()
consumer_finished = Signal()
worker_ready = Signal()
worker_process_ready = Signal()
gap = Signal()

consumer_started.connect(close_old_connections, dispatch_uid=CLOSE_BEFORE)
consumer_finished.connect(close_old_connections, dispatch_uid=CLOSE_AFTER)


def send_gap(message: Any) -> None:
    """The consumer of ``txchannels.gap`` of every site that routes it to none of its own.

    A receiver that fails is logged by Django; the others are told all the same.
    """
    gap.send_robust(
        sender=None,
        since=message["since"],
        until=message["until"],
        channel_layer=message.channel_layer.alias,
    )
