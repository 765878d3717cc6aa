"""A socket's messages to the application: one at a time, in order, the disconnect last.

The next message is handed out when the consumer of the one before has returned
(``consumed``), when its worker has died (``lost``), after a timeout, or when the layer may
have lost the receipt. What waits for that, or for room in its channel, is bounded: the
socket is not read in the meantime.

Source: DESIGN rule 6 in ``docs/architecture.md``.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from txchannels.errors import LayerError

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.protocols.site import Site

__all__ = ["Turns", "TurnsOwner"]

CONNECT = "websocket.connect"
RECEIVE = "websocket.receive"
DISCONNECT = "websocket.disconnect"

_NOBODY = -1


class TurnsOwner(Protocol):
    """The socket whose messages they are."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def turns_ended(self) -> None: ...


class Turns:
    """See the module.

    Args:
        site: Where the messages go.
        owner: Told to read or not, and when the disconnect was handed out.

    Attributes:
        reply_channel: Empty until `connect`.
        full_since: Since when the first that waits has found no room; None if it has not.

    Thread: the reactor's.
    """

    __slots__ = (
        "_backlog",
        "_backlog_bytes",
        "_busy_order",
        "_busy_since",
        "_code",
        "_is_over",
        "_next_order",
        "_owner",
        "_path",
        "_site",
        "_watched_order",
        "full_since",
        "reply_channel",
    )

    def __init__(self, site: Site, owner: TurnsOwner) -> None:
        self._site = site
        self._owner = owner
        self._path = ""
        self._backlog: deque[str | bytes] | None = None
        self._backlog_bytes = 0
        self._next_order = 0
        self._busy_order = self._watched_order = _NOBODY
        self._busy_since = 0.0
        self._code: int | None = None
        self._is_over = False
        self.full_since: float | None = None
        self.reply_channel = ""

    def connect(self, message: Message) -> None:
        """Hand out the first message; its reply channel and path are those of all.

        Raises: LayerError: It was not taken; there are no turns.
        """
        self._site.send_first(CONNECT, message)
        self.reply_channel = message["reply_channel"]
        self._path = message["path"]
        self._busy_order = _NOBODY if self._site.websocket.unordered else 0
        self._next_order = 1

    def submit(self, payload: str | bytes) -> None:
        """Hand out *payload* as ``websocket.receive``, now or in its turn."""
        if self._busy_order < 0 and self._backlog is None and self._hand_out(payload):
            return
        backlog = self._backlog
        if backlog is None:
            backlog = self._backlog = deque()
        backlog.append(payload)
        self._backlog_bytes += len(payload)
        if self._busy_order < 0 and self.full_since is None:
            self._wait_for_room()
        elif self._is_backlog_full():
            self._owner.pause_reading()

    def consumed(self, order: int) -> None:
        """The consumer of message *order* has returned."""
        if order == self._busy_order:
            self._busy_order = _NOBODY
            if self._backlog is not None or self._code is not None:
                self._hand_out_waiting()

    def lost(self, order: int) -> bool:
        """The worker of message *order* has died: it will never be consumed.

        Returns: Whether its turn was not over yet; where messages have no turns, whether it
            was handed out at all.
        """
        is_news = order == self._busy_order
        if self._site.websocket.unordered:
            is_news = order < self._next_order
        if is_news:
            self._site.count("websocket.worker_lost")
            self.consumed(order)
        return is_news

    def messages_lost(self) -> None:
        """The layer may have lost the message that was handed out, or its receipt.

        It is not waited for: the next may follow. A receipt that comes after all is one of
        an old order, and says nothing.
        """
        if self._busy_order >= 0:
            self._site.count("websocket.unsure_receipt")
            self.consumed(self._busy_order)

    def end(self, code: int) -> None:
        """The connection is lost: after all that waits comes the disconnect, with *code*."""
        if self._code is None:
            self._code = code
            self._hand_out_waiting()

    def give_up(self) -> None:
        """After `end`: drop what waits, and hand out the disconnect now."""
        if self._code is None or self._is_over:
            return
        if self._backlog:
            self._site.counters["websocket.dropped"] += len(self._backlog)
        self._backlog = None
        self.full_since = None
        self._busy_order = _NOBODY
        self._hand_out_waiting()

    def check(self, now: float) -> None:
        """Hold consumers and channels to their time limits; called again and again."""
        limits = self._site.websocket
        busy = self._busy_order
        if busy >= 0:
            if busy != self._watched_order:
                self._watched_order = busy
                self._busy_since = now
            elif now - self._busy_since > limits.serial_timeout_seconds:
                self._site.count("websocket.serial_timeout")
                self.consumed(busy)
        full_since = self.full_since
        is_lost = self._code is not None
        if is_lost and full_since is not None and now - full_since > limits.full_timeout_seconds:
            self.give_up()

    # What is handed out

    def _hand_out(self, payload: str | bytes) -> bool:
        """Send *payload* to the application; False if its channel is full."""
        order = self._next_order
        is_text = type(payload) is str
        message: Message = {
            "reply_channel": self.reply_channel,
            "path": self._path,
            "order": order,
            "text": payload if is_text else None,
            "bytes": None if is_text else payload,
        }
        site = self._site
        try:
            if not site.layer.offer(RECEIVE, message):
                return False
        except LayerError:
            site.count("layer.unavailable")  # nobody will say that it is consumed
        else:
            if not site.websocket.unordered:
                self._busy_order = order
        self._next_order = order + 1
        return True

    def _hand_out_waiting(self) -> None:
        """Hand out what waits, as far as order and room allow; at the end, the disconnect."""
        backlog = self._backlog
        if backlog is not None and self.full_since is None:
            while backlog and self._busy_order < 0:
                if not self._hand_out(backlog[0]):
                    self._wait_for_room()
                    return
                self._backlog_bytes -= len(backlog.popleft())
            if not backlog:
                self._backlog = backlog = None
        if self._code is None:
            if self.full_since is None and self._is_backlog_low():
                self._owner.resume_reading()
        elif backlog is None and self._busy_order < 0 and not self._is_over:
            self._is_over = True
            self._hand_out_disconnect(self._code)

    def _hand_out_disconnect(self, code: int) -> None:
        message: Message = {
            "reply_channel": self.reply_channel,
            "path": self._path,
            "code": code,
            "order": self._next_order,
        }
        self._site.send_later(DISCONNECT, message)
        self._owner.turns_ended()

    # Room

    def _wait_for_room(self) -> None:
        """The channel is full: read no more until it takes what waits."""
        self._site.count("websocket.full")
        self.full_since = self._site.clock()
        self._owner.pause_reading()
        self._site.layer.when_room(RECEIVE, self._room_made)

    def _room_made(self) -> None:
        if self.full_since is not None:
            self.full_since = None
            self._hand_out_waiting()

    def _is_backlog_full(self) -> bool:
        limits = self._site.websocket
        return self._backlog is not None and (
            len(self._backlog) >= limits.max_backlog_messages
            or self._backlog_bytes > limits.max_message_bytes
        )

    def _is_backlog_low(self) -> bool:
        """Whether it has room for several: reading is not to start and stop for each message."""
        limits = self._site.websocket
        return self._backlog is None or (
            len(self._backlog) <= limits.max_backlog_messages // 2
            and self._backlog_bytes <= limits.max_message_bytes // 2
        )
