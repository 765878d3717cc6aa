"""WebSocket connections (RFC 6455): frames in, messages out, and the other way.

The handshake is held until a consumer answers ``websocket.connect``. After that the
socket's messages go out in turns (`txchannels.protocols.turns`), and what is sent to its
reply channel goes to the client. What a socket may make others wait for, or hold in
memory, is bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from txchannels.errors import LayerError, PeerError
from txchannels.protocols.frames import (
    PING,
    PONG,
    FrameReader,
    encode_close,
    encode_frame,
    is_close_code,
)
from txchannels.protocols.opening import Opening, refuse
from txchannels.protocols.replies import check_keys, check_order, encode_reply
from txchannels.protocols.turns import Turns

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.protocols.backpressure import Outlet
    from txchannels.protocols.request import Head
    from txchannels.protocols.site import Site

__all__ = ["Socket"]

log = Logger()

#: CLOSING: our close frame is sent, the client's awaited. ENDING: nothing is read any more,
#: REJECTED: and never was.
CONNECTING, OPEN, CLOSING, ENDING, REJECTED, LOST = range(6)

#: Frames that a client may send before it knows that the socket is open.
_MAX_EARLY_BYTES = 65_536

#: Pings and pongs between two checks, about a second: each costs as much as a message.
_MAX_CONTROL_FRAMES = 500

#: What a client may send after the end of its socket, until it sees that end.
_LINGER_BYTES = 2**20


@implementer(IProtocol)
class Socket:
    """One WebSocket, from its handshake to its last message.

    Thread: the reactor's.
    """

    __slots__ = (
        "_client",
        "_code",
        "_control_frames",
        "_early",
        "_held",
        "_is_heard",
        "_is_paused",
        "_is_pinged",
        "_linger_bytes",
        "_opening",
        "_outlet",
        "_ping",
        "_quiet_since",
        "_reader",
        "_since",
        "_site",
        "_state",
        "_target",
        "_turns",
        "transport",
    )

    def __init__(self, site: Site, outlet: Outlet, client: Any) -> None:
        self._site = site
        self._client = client
        self._outlet = outlet
        self._turns = Turns(site, self)
        self._reader: FrameReader | None = None
        self._opening: Opening | None = None
        self._target = b""
        self._early = self._held = b""
        self._ping: bytes | None = None
        self._control_frames = self._linger_bytes = 0
        self._state = CONNECTING
        self._code = 1006
        self._since = self._quiet_since = site.clock()
        self._is_heard = self._is_paused = self._is_pinged = False
        self.transport = transport = outlet.transport
        outlet.drained = _nothing_waits
        if isinstance(transport, ProtocolWrapper):
            transport.wrappedProtocol = self  # TLS
        else:
            transport.protocol = self

    # The handshake

    def handshake_received(self, head: Head, rest: bytes, server: Any, scheme: str) -> None:
        """Ask the application whether the socket may open."""
        self._early = rest
        self._target = head.target
        try:
            self._opening = opening = Opening(self._site, head)
            self._connect(opening.connect_message(head, self._client, server, scheme))
        except PeerError as error:
            self._reject(error.status, error.reason)

    def _connect(self, message: Message) -> None:
        site = self._site
        site.log_socket(self._client, "WSCONNECTING", self._target)
        channel = message["reply_channel"] = site.open_channel(self)
        try:
            self._turns.connect(message)
        except LayerError:
            site.close_channel(channel)
            raise PeerError("The server is busy; try again soon", status=503) from None

    def _answer_handshake(self, message: Message) -> None:
        accept = message.get("accept")
        if accept or (accept is None and (message.get("text") or message.get("bytes"))):
            encode_reply(message)  # what cannot be sent opens nothing
            self._open(message.get("subprotocol"))
            self._reply(message)
            held, self._held = self._held, b""
            if held:
                self.push(held)
            early, self._early = self._early, b""
            self.resume_reading()
            if early:
                self.dataReceived(early)
        elif accept is not None or message.get("close"):
            self._reject(403, "Access denied")

    def _open(self, protocol: str | None) -> None:
        opening, self._opening = self._opening, None
        assert opening is not None
        self._outlet.write(opening.response(protocol))
        self._set_state(OPEN)
        self._quiet_since = self._since
        self._site.log_socket(self._client, "WSCONNECT", self._target)

    def _reject(self, status: int, reason: str) -> None:
        """Answer the handshake with an HTTP error, and close."""
        self._site.log_socket(self._client, "WSREJECT", self._target)
        self._outlet.write(refuse(self._site, status, reason))
        self._set_state(REJECTED)
        self._finish()

    # Bytes in

    def makeConnection(self, transport: Any) -> None:
        """Never called: the transport was connected before."""

    def connectionMade(self) -> None:
        """Nor is this."""

    def dataReceived(self, data: bytes) -> None:
        state = self._state
        if OPEN <= state <= CLOSING:
            self._is_heard = True
            reader = self._reader
            if reader is None:
                reader = FrameReader(self, self._site.websocket.max_message_bytes)
                self._reader = reader
            try:
                reader.feed(data)
            except PeerError as error:
                self._peer_failed(error)
            if self._ping is not None:
                self._answer_ping()
        elif state == CONNECTING:
            self._early += data
            if len(self._early) > _MAX_EARLY_BYTES:
                self.pause_reading()
        else:
            self._linger_bytes += len(data)
            if self._linger_bytes > _LINGER_BYTES:
                self._site.count("websocket.linger_bytes")
                self._outlet.abort()

    def text_received(self, text: str) -> None:
        if self._state == OPEN:
            self._turns.submit(text)

    def binary_received(self, data: bytes) -> None:
        if self._state == OPEN:
            self._turns.submit(data)

    def ping_received(self, payload: bytes) -> None:
        # RFC 6455, section 5.5.3: of several pings, the last may be answered alone
        self._count_control_frame()
        self._ping = payload

    def pong_received(self, payload: bytes) -> None:
        """Any byte shows that the client lives; the pong says nothing more."""
        self._count_control_frame()

    def _count_control_frame(self) -> None:
        self._control_frames += 1
        if self._control_frames > _MAX_CONTROL_FRAMES:
            self._site.count("websocket.control_frames")
            raise PeerError("too many control frames", close_code=1008)

    def _answer_ping(self) -> None:
        payload, self._ping = self._ping, None
        if payload is not None and self._state == OPEN and not self._outlet.is_blocked:
            self._outlet.write(encode_frame(PONG, payload))

    def close_received(self, code: int) -> None:
        # RFC 6455, section 5.5.1: a close is answered by a close, then the server drops
        self._code = code
        self._answer_ping()
        if self._state == OPEN:
            self._outlet.write(encode_close(code))
        self._set_state(ENDING)
        self._outlet.close()

    def _peer_failed(self, error: PeerError) -> None:
        """RFC 6455, section 7.1.7: say why, and end the connection."""
        self._site.count(f"websocket.{error.close_code}")
        self._code = error.close_code
        self._answer_ping()
        if self._state == OPEN:
            self._outlet.write(encode_close(error.close_code, error.reason))
        self._set_state(ENDING)
        self._finish()

    def _finish(self) -> None:
        """Let the client read what was sent last: it is its turn to close."""
        self._reader = None
        self._early = self._held = b""
        self.resume_reading()  # or its close would not be seen
        self._outlet.finish()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        site = self._site
        turns = self._turns
        if self._state != REJECTED:
            site.log_socket(self._client, "WSDISCONNECT", self._target, self._code)
        self._set_state(LOST)
        self._outlet.stopProducing()
        self._reader = None
        self._early = self._held = b""
        if turns.reply_channel:
            site.leave_groups(turns.reply_channel)
            turns.end(self._code)
        else:
            site.remove_connection(self)

    # Turns asks this

    def pause_reading(self) -> None:
        if not self._is_paused and self._state <= OPEN:
            self._is_paused = True
            self.transport.pauseProducing()

    def resume_reading(self) -> None:
        if self._is_paused and self._state != LOST:
            self._is_paused = False
            self.transport.resumeProducing()

    def turns_ended(self) -> None:
        self._site.close_channel(self._turns.reply_channel)
        self._site.remove_connection(self)

    # Messages in: from the application

    def message_received(self, message: Message) -> None:
        """Take what was sent to the reply channel.

        Raises: IllegalReply: It cannot be sent, and is dropped.
        """
        order = message.get("consumed")
        if order is not None:
            self._turns.consumed(order)
            if len(message) == 1:
                return
        lost = message.get("lost")
        if lost is not None:
            check_order(lost)
            self._worker_lost(lost)
        check_keys(message)
        if self._state == OPEN:
            self._reply(message)
        elif self._state == CONNECTING:
            self._answer_handshake(message)

    def _worker_lost(self, order: int) -> None:
        """The worker has died that ran message *order*: nobody will answer the handshake."""
        if self._turns.lost(order) and self._state == CONNECTING:
            self._reject(502, "The server's work on this request broke off.")

    def message_expired(self, channel: str, message: Message) -> None:
        """No worker has taken one of this socket's messages in time."""
        if self._state == CONNECTING:
            self._reject(503, "The server is busy; try again soon")
        self._turns.consumed(message["order"])

    def messages_lost(self) -> None:
        """The layer may have lost messages of this socket.

        A handshake waits on, up to its own timeout: nothing may follow it before it is answered.
        """
        if self._state != CONNECTING:
            self._turns.messages_lost()

    def _reply(self, message: Message) -> None:
        frame = encode_reply(message)
        if frame:
            self.push(frame)
        close = message.get("close")
        if close is not None and close is not False:
            self.close(1000 if close is True else close)

    def group_message_received(self, message: Message) -> None:
        """Take what was sent to a group that the socket is in.

        It opens no socket: whether the client may see it is not decided before the answer.

        Raises: IllegalReply: It cannot be sent, and is dropped.
        """
        if self._state != CONNECTING:
            self.message_received(message)
            return
        check_keys(message)
        if message.get("close"):
            self._reject(403, "Access denied")
        else:
            self.push_to_member(encode_reply(message))

    def push_to_member(self, frames: bytes) -> None:
        """Send whole frames of a group's; they wait for the answer to the handshake."""
        if self.push(frames) or self._state != CONNECTING:
            return
        if len(self._held) + len(frames) > self._site.websocket.max_unsent_bytes:
            self._site.count("websocket.held_too_much")
        else:
            self._held += frames

    def push(self, frames: bytes) -> bool:
        """Send whole frames; False if the socket is not open.

        A client that does not take them is dropped when too much waits for it.
        """
        if self._state != OPEN:
            return False
        outlet = self._outlet
        if (
            outlet.stalled_since is not None
            and outlet.unsent_bytes + len(frames) > self._site.websocket.max_unsent_bytes
        ):
            self._drop("websocket.unsent_bytes")
        else:
            outlet.write(frames)
        return True

    def close(self, code: int, reason: str = "") -> None:
        """Start the closing handshake (RFC 6455, section 7.1.2)."""
        if self._state != OPEN:
            return
        if not isinstance(code, int) or not is_close_code(code):
            log.error("Close code {code!r} may not be sent; 1011 is", code=code)
            code = 1011
        self._outlet.write(encode_close(code, reason))
        self._set_state(CLOSING)
        self.resume_reading()

    # The end

    def _set_state(self, state: int) -> None:
        self._state = state
        self._since = self._site.clock()

    def _drop(self, why: str) -> None:
        self._site.count(why)
        self._set_state(ENDING)
        self._outlet.abort()

    @property
    def is_open(self) -> bool:
        """Whether the handshake is over and no close has begun."""
        return self._state == OPEN

    def stop(self) -> None:
        """The server is stopping: 1012 tells clients to come back soon."""
        if self._state == OPEN:
            self.close(1012, "The server restarts")
        elif self._state == CONNECTING:
            self._reject(503, "The server is stopping")

    def abort(self) -> None:
        """Drop the connection now; once it is lost, drop its messages but for the disconnect."""
        if self._state == LOST:
            self._turns.give_up()
        else:
            self._outlet.abort()

    # Time

    def check(self, now: float, elapsed: float) -> None:
        """Hold the socket to its time limits; called again and again."""
        limits = self._site.websocket
        state = self._state
        self._control_frames = 0
        stalled_since = self._outlet.stalled_since
        if stalled_since is not None and now - stalled_since > limits.send_timeout_seconds:
            self._drop("websocket.send_timeout")
        elif state == OPEN:
            self._check_open(now)
        elif state == CONNECTING:
            if now - self._since > limits.connect_timeout_seconds:
                self._site.count("websocket.connect_timeout")
                self._reject(403, "The application did not answer in time")
        elif state != LOST and now - self._since > limits.close_timeout_seconds:
            self._outlet.abort()
        self._turns.check(now)

    def _check_open(self, now: float) -> None:
        limits = self._site.websocket
        full_since = self._turns.full_since
        if limits.max_lifetime_seconds and now - self._since > limits.max_lifetime_seconds:
            self._site.count("websocket.lifetime")
            self.close(1001, "The connection is too old")
        elif full_since is not None and now - full_since > limits.full_timeout_seconds:
            self._site.count("websocket.1013")
            self.close(1013, "The server is busy")
        elif self._is_heard or self._is_paused:  # a paused one cannot be heard
            self._is_heard = self._is_pinged = False
            self._quiet_since = now
        elif self._is_pinged:
            if now - self._quiet_since > limits.ping_timeout_seconds:
                self._drop("websocket.ping_timeout")
        elif 0 < limits.ping_interval_seconds < now - self._quiet_since:
            self._is_pinged = True
            self._quiet_since = now
            self.push(encode_frame(PING, b""))


def _nothing_waits() -> None:
    """The client has taken all that waited for it: nobody waits for that."""
