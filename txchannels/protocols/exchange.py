"""One request and its response, whichever HTTP carries them.

A request becomes an ``http.request`` message (`Incoming`); what is sent to its reply
channel becomes the response, and what is sent to groups goes into it if it is a feed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from txchannels.protocols.feeds import Feed, Held, is_feed, open_feed
from txchannels.protocols.incoming import Incoming
from txchannels.protocols.replies import KNOWN_KEYS, IllegalReply, check_order
from txchannels.protocols.responses import IllegalResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from txchannels.layers.interfaces import Message
    from txchannels.protocols.carrier import Carrier
    from txchannels.protocols.eventstream import Event
    from txchannels.protocols.request import Head
    from txchannels.protocols.site import Site

__all__ = ["Exchange"]

log = Logger()


class Exchange(Incoming):
    """See the module, and `Incoming` for what is the request's.

    Attributes:
        status: The response's status; 0 until it has one.
        left: How many bytes of the declared response are missing; None if none was declared.
        sent_bytes: How many bytes of content were sent.
        is_chunked: Whether the content goes in chunks (RFC 9112, section 7.1).

    Thread: the reactor's.
    """

    __slots__ = (
        "_feed",
        "_held",
        "_is_answered",
        "is_chunked",
        "left",
        "sent_bytes",
        "status",
    )

    def __init__(self, site: Site, carrier: Carrier, head: Head) -> None:
        super().__init__(site, carrier, head)
        self._is_answered = False
        self._feed: Feed | None = None
        self._held: Held | None = None
        self.status = 0
        self.left: int | None = None
        self.sent_bytes = 0
        self.is_chunked = False

    @property
    def is_live(self) -> bool:
        """Whether it is an event stream or poll that only waits for what there is to send."""
        return self._feed is not None and self._feed.is_live

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
        self._note_live(feed)

    def _feed_received(self, feed: Feed, message: Message) -> None:
        try:
            feed.message_received(message)
        except IllegalResponse as error:
            self.response_failed(error)
        self._note_live(feed)

    def _note_live(self, feed: Feed) -> None:
        """The view is done as soon as *feed* is live: it reads no more of a body."""
        self._is_answered = feed.is_live
        if feed.is_live and not (self.is_body_complete or self._is_body_unwanted or self.is_over):
            self._refuse_body()

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
            self._drop_body_channel(is_read=not self._is_answered)
        self._body.clear()
        if not self.is_body_complete:
            site.leave_stream(self)


def _as_bytes(content: Any) -> bytes:
    if not isinstance(content, bytes | bytearray | memoryview):
        raise IllegalResponse(f"Content must be bytes, not {type(content).__name__}")
    return bytes(content)
