"""One request and its response, whichever HTTP carries them.

A request becomes an ``http.request`` message; what is sent to its reply channel
becomes the response. A body that is longer than what goes with that message follows
on a body channel, as fast as the application reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote_to_bytes

from twisted.logger import Logger

from txchannels.errors import ChannelFull, LayerError, PeerError
from txchannels.protocols.feeds import Feed, Held, is_feed, open_feed
from txchannels.protocols.replies import KNOWN_KEYS, IllegalReply, check_order
from txchannels.protocols.request import HOST
from txchannels.protocols.responses import IllegalResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from txchannels.layers.interfaces import Message
    from txchannels.protocols.eventstream import Event
    from txchannels.protocols.request import Head
    from txchannels.protocols.site import Site

__all__ = ["Exchange", "decode_path", "split_target"]

log = Logger()

BODY_PATTERN = "http.request.body?"


class Carrier(Protocol):
    """The connection or stream that carries an exchange."""

    def write_response(
        self, exchange: Exchange, status: int, fields: Any, content: bytes, more: bool
    ) -> None: ...

    def write_chunk(self, exchange: Exchange, content: bytes, more: bool) -> None: ...

    def write_error(self, exchange: Exchange, status: int, reason: str) -> None: ...

    def exchange_broken(self, exchange: Exchange) -> None: ...

    def pause_body(self) -> None: ...

    def resume_body(self) -> None: ...

    def start_body(self, exchange: Exchange) -> None: ...

    def unsent_bytes(self, exchange: Exchange) -> int:
        """How many bytes of the response wait for the client to take them."""

    def watch_client(self, exchange: Exchange) -> None:
        """Notice when the client vanishes, though nothing more is expected of it."""


class Exchange:
    """See the module.

    Attributes:
        head: The request's head.
        status: The response's status; 0 until it has one.
        left: How many bytes of the declared response are missing; None if none was declared.
        sent_bytes: How many bytes of content were sent.
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
        "_feed",
        "_held",
        "_is_answered",
        "_is_waiting_for_room",
        "_received_bytes",
        "_site",
        "head",
        "is_body_complete",
        "is_chunked",
        "is_over",
        "is_started",
        "is_waiting",
        "left",
        "moved_at",
        "path",
        "reply_channel",
        "sent_bytes",
        "status",
    )

    def __init__(self, site: Site, carrier: Carrier, head: Head) -> None:
        self._site = site
        self._carrier = carrier
        self.head = head
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._body_channel: str | None = None
        self._received_bytes = 0
        self._is_waiting_for_room = False
        self._is_answered = False
        self._feed: Feed | None = None
        self._held: Held | None = None
        self.is_body_complete = False
        self.reply_channel = ""
        self.path = ""
        self.status = 0
        self.left: int | None = None
        self.sent_bytes = 0
        self.moved_at = 0.0
        self.is_started = False
        self.is_chunked = False
        self.is_over = False
        self.is_waiting = False

    @property
    def is_live(self) -> bool:
        """Whether it is an event stream or poll that only waits for what there is to send."""
        return self._feed is not None and self._feed.is_live

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

    # The request

    def body_received(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._received_bytes += len(data)
        if self.is_over:
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
        self._carrier.start_body(self)

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
            return
        self._is_waiting_for_room = False
        self.moved_at = self._site.clock()
        self._send_body()
        if not self._is_waiting_for_room and not self.is_over:
            self._carrier.resume_body()

    # What is sent to groups

    def group_message_received(self, message: Message) -> None:
        """Take what was sent to a group that the reply channel is in.

        It is no response: until the application's own first message, it waits for that.

        Raises: IllegalReply: It cannot be sent, and is dropped.
        """
        if self.is_over:
            return
        if self._feed is not None:
            self._feed.event_received(message)
        elif self.status:
            self._refuse_event()
        else:
            self._hold(message)

    def push_to_member(
        self, messages: Sequence[Message], events: Sequence[Event], lines: bytes
    ) -> None:
        """Take *messages* of a group: what of them are *events* was read, and encoded, before.

        Raises: IllegalReply: They cannot be sent, and are dropped.
        """
        if self._feed is None:
            for message in messages:
                self.group_message_received(message)
        elif not self.is_over:
            if len(events) < len(messages):
                self._feed.refuse(len(messages) - len(events))
            if events:
                self._feed.push(events, lines)

    def _hold(self, message: Message) -> None:
        if self._held is None:
            self._held = Held(self._site.websocket.max_unsent_bytes)
        if not self._held.add(message):
            self._site.count("events.held_too_much")

    def _drop_held(self, held: Held) -> None:
        """The response is an ordinary one, after all."""
        self._held = None
        self._site.counters["http.group_message"] += len(held.messages)
        log.info(
            "Dropped {count} messages to the response to {method} {path}: it is no event stream",
            count=len(held.messages),
            method=self.head.method,
            path=self.path,
        )

    def _refuse_event(self) -> None:
        self._site.count("http.group_message")
        raise IllegalReply("it is for sockets and event streams, not for an ordinary response")

    def _open_feed(self, message: Message) -> None:
        """The first message makes it an event stream or a poll."""
        self._feed = feed = open_feed(self._site, self._carrier, self, message)
        held, self._held = self._held, None
        if held is None:
            feed.start(message, (), is_overfull=False)
        else:
            feed.start(message, held.messages, is_overfull=held.is_overfull)
        self._is_answered = feed.is_live

    def _feed_received(self, feed: Feed, message: Message) -> None:
        try:
            feed.message_received(message)
        except IllegalResponse as error:
            self.response_failed(error)
        self._is_answered = feed.is_live

    # The response

    def message_received(self, message: Message) -> None:
        """Take what was sent to the reply channel.

        Raises: IllegalReply: It is none of a response's; it is dropped.
        """
        if self.is_over:
            return
        lost = message.get("lost")
        if lost is not None:
            check_order(lost)
            self._worker_lost()
        elif self._feed is None:
            self._response_received(message)
        elif "status" not in message:
            self._feed_received(self._feed, message)
        else:
            if self.status == 0:  # a poll is answered in another way, after all
                self._site.feeds.discard(self._feed)
                self._feed = None
            self._response_received(message)

    def _response_received(self, message: Message) -> None:
        more = bool(message.get("more_content"))
        if self.status and not message.keys().isdisjoint(KNOWN_KEYS):
            self._refuse_event()
        self._is_answered = not more
        try:
            content = message.get("content") or b""
            if content.__class__ is not bytes:
                content = _as_bytes(content)
            if self.status == 0:
                status = message.get("status")
                if status is None:
                    raise IllegalResponse("The first message of a response needs a status")
                if is_feed(message):
                    self._open_feed(message)
                    return
                if self._held is not None:
                    self._drop_held(self._held)
                self._carrier.write_response(
                    self, status, message.get("headers") or (), content, more
                )
            elif "status" in message:
                self._begin_again()
            else:
                self._carrier.write_chunk(self, content, more)
        except (IllegalResponse, TypeError, AttributeError, ValueError) as error:
            if self.is_over:
                raise  # it was sent: what failed came after it
            self.response_failed(error)

    def message_expired(self, channel: str, message: Message) -> None:
        """No worker has taken the request, or read its body, in time."""
        if self.is_live:
            return  # answered without its body
        self.fail(503, "The server is busy; try again soon")

    def _worker_lost(self) -> None:
        """The worker has died that ran the request: nobody answers it, or goes on to."""
        if self._is_answered:
            return  # it has failed already, and its connection is on its way out
        self._is_answered = True  # nobody reads its body any more
        self._site.count("http.worker_lost")
        self.fail(502, "The server's work on this request broke off.")

    def _begin_again(self) -> None:
        """The application failed after the head was sent; what it answers instead is too late."""
        log.info(
            "Broke off the response to {method} {path}: it began for a second time",
            method=self.head.method,
            path=self.path,
        )
        self.fail(500, "The application's answer broke off.")

    def response_failed(self, error: Exception) -> None:
        """What the application answered cannot be sent, or not any further."""
        log.error(
            "Bad response to {method} {path}: {error}",
            method=self.head.method,
            path=self.path,
            error=error,
        )
        self._site.count("http.bad_response")
        self.fail(500, "The application's answer cannot be sent.")

    def fail(self, status: int, reason: str) -> None:
        """Answer in the application's place, or break off what it has begun."""
        if self.is_over:
            return
        self._site.count(f"http.{status}")
        if self.status == 0:
            self._carrier.write_error(self, status, reason)
        else:
            self._carrier.exchange_broken(self)

    def end(self) -> None:
        """The response is complete, or the client gone: let go of the channels."""
        if self.is_over:
            return
        self.is_over = True
        site = self._site
        if self._feed is not None:
            site.feeds.discard(self._feed)
        if self.reply_channel:
            site.close_channel(self.reply_channel)
            if site.layer.is_wanted("http.disconnect"):
                gone: Message = {"reply_channel": self.reply_channel, "path": self.path}
                site.send_later("http.disconnect", gone)
        if self._body_channel is not None:
            self._end_body()
        self._body.clear()
        if not self.is_body_complete:
            site.leave_stream(self)

    def _end_body(self) -> None:
        """Forget what the application has not read, and wake it if it may still be reading."""
        layer = self._site.layer
        assert self._body_channel is not None
        layer.drop_channel(self._body_channel)
        if not self._is_answered:
            gone: Message = {"content": b"", "closed": True, "more_content": False}
            self._site.send_later(self._body_channel, gone)


def _excuse(error: LayerError) -> str:
    if isinstance(error, ChannelFull):
        return "The server is busy; try again soon"
    return "The server cannot reach the application now"


def _as_bytes(content: Any) -> bytes:
    if not isinstance(content, bytes | bytearray | memoryview):
        raise IllegalResponse(f"Content must be bytes, not {type(content).__name__}")
    return bytes(content)


def split_target(head: Head) -> tuple[str, bytes]:
    """The decoded path and the raw query string of a request (RFC 9112, section 3.2).

    For an absolute-form target, the Host field is replaced by the target's authority.

    Raises: PeerError: The target has none of the forms that an origin server serves.
    """
    target = head.target
    if not target.startswith(b"/"):
        target = _origin_form(head, target)
    path, _, query_string = target.partition(b"?")
    return decode_path(path), query_string


def decode_path(path: bytes) -> str:
    """*path* without percent-encoding; invalid UTF-8 becomes U+FFFD."""
    if b"%" in path:
        return unquote_to_bytes(path).decode("utf-8", "replace")
    return path.decode("ascii")


def _origin_form(head: Head, target: bytes) -> bytes:
    scheme, found, rest = target.partition(b"://")
    if not found or scheme.lower() not in (b"http", b"https"):
        raise PeerError("Invalid request target")
    end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:]
    if not authority or HOST.fullmatch(authority) is None:
        raise PeerError("Invalid authority in the request target")
    head.host = authority
    head.fields = [field for field in head.fields if field[0] != b"host"]
    head.fields.insert(0, [b"host", authority])
    return path if path.startswith(b"/") else b"/" + path
