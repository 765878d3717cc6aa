"""Each worker thread's database connections, kept clean around every message.

Django closes connections that are broken or too old when its request signals are sent,
and looks for them in every alias, through a context-local store, four times a request.
The daemon's worker threads know which connections they have made: `ThreadConnections`
takes the work over from those receivers, with the same effect and next to no cost for a
thread without connections.
"""

from __future__ import annotations

import threading
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections, reset_queries
from django.dispatch import Signal

from txchannels.django.signals import (
    CLOSE_AFTER,
    CLOSE_BEFORE,
    consumer_finished,
    consumer_started,
)

__all__ = ["ThreadConnections"]


class _Made(threading.local):
    """The connections that this thread has made."""

    def __init__(self) -> None:
        self.connections: list[Any] = []


class ThreadConnections:
    """See the module. A receiver that the site has disconnected itself is not replaced.

    Thread: `take_over` before there are workers; the rest in a worker's thread.
    """

    def __init__(self) -> None:
        self._made = _Made()
        self._resets_queries = False
        self._closes_before = False
        self._closes_after = False

    def take_over(self) -> None:
        """Do from now on what Django's and our own receivers did."""
        create = connections.create_connection

        def create_connection(alias: str) -> Any:
            connection = create(alias)
            self._made.connections.append(connection)
            return connection

        connections.create_connection = create_connection
        self._resets_queries = request_started.disconnect(reset_queries)
        self._closes_before = _disconnect(request_started, consumer_started, CLOSE_BEFORE)
        self._closes_after = _disconnect(request_finished, consumer_finished, CLOSE_AFTER)

    def before_message(self) -> None:
        """Close what has become too old while the thread was idle."""
        made = self._made.connections
        if made:
            for connection in made:
                if self._resets_queries:
                    connection.queries_log.clear()
                if self._closes_before:
                    connection.close_if_unusable_or_obsolete()

    def after_message(self) -> None:
        """Close what is broken, or is not to be kept (CONN_MAX_AGE)."""
        made = self._made.connections
        if made and self._closes_after:
            for connection in made:
                connection.close_if_unusable_or_obsolete()

    def thread_ended(self) -> None:
        """Close all: the thread ends."""
        for connection in self._made.connections:
            connection.close()
        connections.close_all()


def _disconnect(request: Signal, consumer: Signal, uid: str) -> bool:
    consumer.disconnect(dispatch_uid=uid)
    return request.disconnect(close_old_connections)
