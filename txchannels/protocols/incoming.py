"""A request's way in: its head and first bytes as one message, the rest on a body channel.

A body that is longer than what goes with ``http.request`` follows as fast as the
application reads it; meanwhile the client is not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from txchannels.errors import ChannelFull, LayerError, PeerError
from txchannels.protocols.target import split_target

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.protocols.carrier import Carrier
    from txchannels.protocols.request import Head
    from txchannels.protocols.site import Site

__all__ = ["Incoming"]

BODY_PATTERN = "http.request.body?"


class Incoming:
    """The half of an exchange that is the client's: see the module.

    Attributes:
        head: The request's head.
        path: Its path, decoded; empty until it is started.
        reply_channel: Where its answer comes; empty while nobody is asked.
        is_started: Whether it was handed to the application, or answered for it.
        is_body_complete: Whether the request's last byte has come.
        moved_at: When it was started or began to wait, or the application last took of the body.
        is_over: Whether the response is complete or the client gone.
        is_waiting: Whether it is to be started when fewer bodies are on their way.

    Thread: the reactor's.
    """

    __slots__ = (
        "_body",
        "_body_bytes",
        "_body_channel",
        "_carrier",
        "_is_body_unwanted",
        "_is_waiting_for_room",
        "_received_bytes",
        "_site",
        "head",
        "is_body_complete",
        "is_over",
        "is_started",
        "is_waiting",
        "moved_at",
        "path",
        "reply_channel",
    )

    def __init__(self, site: Site, carrier: Carrier, head: Head) -> None:
        self._site = site
        self._carrier = carrier
        self.head = head
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._body_channel: str | None = None
        self._received_bytes = 0
        self._is_body_unwanted = False
        self._is_waiting_for_room = False
        self.is_body_complete = False
        self.reply_channel = ""
        self.path = ""
        self.moved_at = 0.0
        self.is_started = False
        self.is_over = False
        self.is_waiting = False

    @property
    def waits_for_body(self) -> bool:
        """Whether the client is to send more, and is not held up by us."""
        if self.is_body_complete or self.is_waiting:
            return False
        return self.is_over or not self._is_waiting_for_room

    def can_drain(self, limit: int) -> bool:
        """Whether what may still come of the body is at most *limit* bytes."""
        if self.is_body_complete:
            return True
        length = self.head.content_length
        if length is not None:
            return length - self._received_bytes <= limit
        return self._received_bytes <= limit

    def body_received(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._received_bytes += len(data)
        if self.is_over or self._is_body_unwanted:
            return
        self._body.append(data)
        self._body_bytes += len(data)
        if self._body_channel is not None and not self._is_waiting_for_room:
            self._send_body()

    def request_received(self) -> None:
        """The body is complete."""
        self.is_body_complete = True
        is_streamed = self.is_started
        if is_streamed:
            self.moved_at = self._site.clock()
        if self._body_channel is not None and not self._is_waiting_for_room and not self.is_over:
            self._send_body()
        if is_streamed or self.is_waiting:
            self._site.leave_stream(self)

    def may_stream(self) -> bool:
        """Whether it can be started before its body is complete; if not, it waits for that."""
        if not self.is_waiting and not self._site.enter_stream(self):
            self.is_waiting = True
            self.moved_at = self._site.clock()
        return not self.is_waiting

    def stop_waiting(self) -> None:
        """Fewer bodies are on their way: its turn has come."""
        self.is_waiting = False
        self._carrier.start_body()

    def start(self, client: Any, server: Any, scheme: str) -> None:
        """Hand the request to the application.

        Raises: PeerError: Its target is not legal, or there is no room for it (503).
        """
        site = self._site
        head = self.head
        self.is_started = True
        self.moved_at = site.clock()
        path, query_string = split_target(head)
        self.path = path
        self.reply_channel = reply_channel = site.open_channel(self)
        message: Message = {
            "reply_channel": reply_channel,
            "http_version": head.version,
            "method": head.method,
            "scheme": scheme,
            "path": path,
            "query_string": query_string,
            "root_path": site.http.root_path,
            "headers": head.fields,
            "body": b"",
            "body_channel": None,
            "client": client,
            "server": server,
        }
        if self._body_bytes:
            message["body"] = self._take_body()
        if not self.is_body_complete:
            self._body_channel = message["body_channel"] = site.layer.new_channel(BODY_PATTERN)
        try:
            site.send_first("http.request", message)
        except LayerError as error:
            self._take_back()
            raise PeerError(_excuse(error), status=503) from None

    def _take_back(self) -> None:
        """The application was never told of this request: it hears nothing more of it."""
        self._site.close_channel(self.reply_channel)
        self.reply_channel = ""
        self._body_channel = None

    def should_start(self) -> bool:
        """Whether enough of the body has come to hand the request over."""
        return self.is_body_complete or self._body_bytes >= self._site.http.inline_body_bytes

    def _take_body(self) -> bytes:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._body_bytes = 0
        return body

    def _send_body(self) -> None:
        """Send what has come of the body, or wait until its channel has room."""
        assert self._body_channel is not None
        content = self._take_body() if self._body else b""
        more = not self.is_body_complete
        chunk: Message = {
            "reply_channel": self.reply_channel,
            "offset": self._received_bytes - len(content),
            "content": content,
            "closed": False,
            "more_content": more,
        }
        try:
            is_taken = self._site.layer.offer(self._body_channel, chunk)
        except LayerError as error:
            self.fail(503, _excuse(error))
            return
        if not is_taken:
            self._body.append(content)
            self._body_bytes = len(content)
            self._is_waiting_for_room = True
            self._carrier.pause_body()
            self._site.layer.when_room(self._body_channel, self._room_made)

    def _room_made(self) -> None:
        if self.is_over or not self._is_waiting_for_room:
            return  # or nobody reads it any more
        self._is_waiting_for_room = False
        self.moved_at = self._site.clock()
        self._send_body()
        if not self._is_waiting_for_room and not self.is_over:
            self._carrier.resume_body()

    def _refuse_body(self) -> None:
        """Nobody reads it any more: what comes of it is dropped, and it is no view's turn."""
        is_paused, self._is_waiting_for_room = self._is_waiting_for_room, False
        self._is_body_unwanted = True
        self._body.clear()
        self._body_bytes = 0
        if self._body_channel is not None:
            self._drop_body_channel(is_read=False)
            self._body_channel = None
        self._site.leave_stream(self)
        if is_paused:
            self._carrier.resume_body()

    def _drop_body_channel(self, *, is_read: bool) -> None:
        """Forget what the application has not read, and wake it if it may still be reading."""
        assert self._body_channel is not None
        self._site.layer.drop_channel(self._body_channel)
        if is_read:
            gone: Message = {"content": b"", "closed": True, "more_content": False}
            self._site.send_later(self._body_channel, gone)

    # What the response's half does

    def message_received(self, message: Message) -> None:
        """Take what was sent to the reply channel."""
        raise NotImplementedError

    def message_expired(self, channel: str, message: Message) -> None:
        """Nobody has taken *message* of this request in time."""
        raise NotImplementedError

    def fail(self, status: int, reason: str) -> None:
        """Answer in the application's place, or break off what it has begun."""
        raise NotImplementedError


def _excuse(error: LayerError) -> str:
    if isinstance(error, ChannelFull):
        return "The server is busy; try again soon"
    return "The server cannot reach the application now"
