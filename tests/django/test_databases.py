"""Worker threads' connections: what Django's receivers did is still done."""

from collections.abc import Iterator
from threading import Thread

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, connections, reset_queries
from django.test.utils import override_settings

from txchannels.django.databases import ThreadConnections
from txchannels.django.signals import CLOSE_AFTER, CLOSE_BEFORE, consumer_finished, consumer_started


@pytest.fixture(autouse=True)
def _receivers_come_back() -> Iterator[None]:
    create = connections.create_connection
    yield
    connections.create_connection = create
    request_started.connect(reset_queries)
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)
    consumer_started.connect(close_old_connections, dispatch_uid=CLOSE_BEFORE)
    consumer_finished.connect(close_old_connections, dispatch_uid=CLOSE_AFTER)


def in_thread(work: object) -> object:
    """What *work* returns, called in a thread of its own, which leaves nothing open."""
    found: list[object] = []

    def life() -> None:
        found.append(work())  # type: ignore[operator]
        if connection.connection is not None:
            connection.connection.close()

    thread = Thread(target=life)
    thread.start()
    thread.join()
    return found[0]


def taken_over() -> ThreadConnections:
    databases = ThreadConnections()
    databases.take_over()
    return databases


def connect() -> None:
    """Connect, and note when `close` is called: SQLite keeps a database in memory open."""
    connection.ensure_connection()
    connection.is_closed = False
    connection.close = lambda: setattr(connection, "is_closed", True)


def is_open() -> bool:
    return not connection.is_closed


def receivers(signal: object) -> list[object]:
    return [entry[1]() for entry in signal.receivers]  # type: ignore[attr-defined]


def test_djangos_and_our_receivers_are_replaced() -> None:
    taken_over()
    for signal in (request_started, request_finished, consumer_started, consumer_finished):
        assert close_old_connections not in receivers(signal)
    assert reset_queries not in receivers(request_started)


def test_a_connection_that_is_not_to_be_kept_is_closed_after_the_message() -> None:
    databases = taken_over()

    def message() -> tuple[bool, bool]:
        databases.before_message()
        connect()
        connection.close_at = 0.0
        before = is_open()
        databases.after_message()
        return before, is_open()

    assert in_thread(message) == (True, False)


def test_a_connection_that_became_too_old_is_closed_before_the_next_message() -> None:
    databases = taken_over()

    def messages() -> tuple[bool, bool]:
        connect()
        connection.close_at = None
        databases.after_message()
        kept = is_open()
        connection.close_at = 0.0
        databases.before_message()
        return kept, is_open()

    assert in_thread(messages) == (True, False)


def test_a_broken_connection_is_closed() -> None:
    databases = taken_over()

    def message() -> bool:
        connect()
        connection.close_at = None
        connection.errors_occurred = True
        connection.is_usable = lambda: False
        databases.after_message()
        return is_open()

    assert in_thread(message) is False


def test_the_query_log_starts_anew_with_each_message() -> None:
    databases = taken_over()

    def message() -> int:
        with override_settings(DEBUG=True), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        databases.before_message()
        return len(connection.queries_log)

    assert in_thread(message) == 0


def test_a_site_that_disconnected_the_receivers_keeps_its_connections() -> None:
    request_finished.disconnect(close_old_connections)
    databases = taken_over()

    def message() -> bool:
        connect()
        connection.close_at = 0.0
        databases.after_message()
        return is_open()

    assert in_thread(message) is True


def test_a_thread_closes_its_connections_when_it_ends() -> None:
    databases = taken_over()

    def life() -> bool:
        connect()
        databases.thread_ended()
        return is_open()

    assert in_thread(life) is False
