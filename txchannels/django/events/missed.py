"""What a client has had last, and what it has missed since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.http import HttpRequest

from txchannels.messages import copy_message

__all__ = ["QUERY_PARAMETER", "in_batches", "last_event_id"]

#: What a client puts the id into that cannot set the header.
QUERY_PARAMETER = "last_event_id"

_KEYS = frozenset(("text", "id", "event"))

#: Of one message of missed events.
_BATCH_BYTES = 65_536
_BATCH_EVENTS = 500


def last_event_id(request: HttpRequest) -> str:
    """The id of the last event that the client has had; empty if it says none.

    A browser's ``EventSource`` says it in the header ``Last-Event-ID`` when it comes back.
    That wins over the query, which is the same whenever it comes back.
    """
    given = request.headers.get("Last-Event-ID")
    if given:
        return given.encode("latin-1", "replace").decode("utf-8", "replace")
    asked: str = request.GET.get(QUERY_PARAMETER, "")
    return asked


def in_batches(events: Iterable[Any]) -> Iterator[list[dict[str, Any]]]:
    """*events*, checked, as lists each of which goes into one message.

    Raises: TypeError, ValueError: One of them cannot be sent.
    """
    batch: list[dict[str, Any]] = []
    size = 0
    for event in events:
        checked = _check(event)
        added = sum(len(one.encode()) for one in checked.values())
        if batch and (size + added > _BATCH_BYTES or len(batch) >= _BATCH_EVENTS):
            yield batch
            batch, size = [], 0
        batch.append(checked)
        size += added
    if batch:
        yield batch


def _check(event: Any) -> dict[str, str]:
    """*event* as a message to a group, without what says nothing."""
    if isinstance(event, str):
        event = {"text": event}
    if not isinstance(event, dict) or not event.keys() <= _KEYS:
        raise TypeError(
            f"A missed event must be a text, or a dict with no keys but text, id and event: "
            f"{event!r:.80}"
        )
    checked = {}
    for key, value in copy_message(event).items():
        if value is None:
            continue
        text = str(value) if key == "id" and type(value) is int else value
        if not isinstance(text, str):
            raise TypeError(f"{key!r} of a missed event must be text: {event!r:.80}")
        if key != "text" and any(mark in text for mark in "\r\n\0"):
            raise ValueError(f"{key!r} of a missed event must be one line: {event!r:.80}")
        checked[key] = text
    return checked
