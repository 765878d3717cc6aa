"""HTTP/1.0 and HTTP/1.1 connections (RFC 9112): requests in, responses out in order.

Requests that a client sends before the answer to the last one wait in the connection;
while any waits, or the client has not taken the last answer, nothing more is read.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from txchannels.errors import PeerError
from txchannels.protocols.backpressure import Outlet
from txchannels.protocols.exchange import Exchange
from txchannels.protocols.rate import BodyRate
from txchannels.protocols.request import Head, RequestParser
from txchannels.protocols.responses import (
    IllegalResponse,
    encode_error,
    encode_response,
    error_body,
    error_fields,
)

if TYPE_CHECKING:
    from txchannels.protocols.site import Site

__all__ = ["HttpConnection"]

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

#: What a client may still send when it has been answered for the last time, and how long:
#: closing at once would make its system forget an answer that it has not read.
_LINGER_SECONDS = 5.0
_LINGER_BYTES = 2**26

#: At a stop, a client whose answer is so old has read it: no need to wait for its close.
_JUST_NOW_SECONDS = 1.0

#: Statuses of responses that end with their heads, as all to HEAD do (RFC 9112, section 6.3).
_NO_BODY = (204, 304)

#: What may still come of a body that nobody reads, for the connection to be kept.
_DRAIN_BYTES = 2**20


class HttpConnection(Protocol):
    """One connection, from accept to close or to its hand-over to a WebSocket.

    Thread: the reactor's.
    """

    transport: Any

    def __init__(self, site: Site) -> None:
        http = site.http
        self._site = site
        self._exchanges: deque[Exchange] = deque()
        self._parser = RequestParser(self, site.head_limits, http.max_body_bytes)
        self._rate = BodyRate(http.min_body_bytes_per_second, http.body_grace_seconds)
        self._upgrade: tuple[Head, bytes] | None = None
        self._failure: PeerError | None = None
        self._is_parsing = True
        self._is_paused = False
        self._is_closing = False
        self._is_starting = False
        self._has_answered = False
        self._linger_bytes = 0

    def connectionMade(self) -> None:
        site = self._site
        transport = self.transport
        self._outlet = Outlet(transport, site.clock, self._drained)
        self._since = site.clock()
        self._scheme = site.scheme_of(transport)
        self._client = site.address_of(transport.getPeer())
        self._server = site.address_of(transport.getHost())
        if not site.add_connection(self):
            self._refuse(503, "Too many connections")
            self._outlet.drop()  # it must not keep its descriptor while a client lingers

    # Bytes in

    def dataReceived(self, data: bytes) -> None:
        if not self._is_parsing:
            self._keep_unparsed(data)
            return
        parser = self._parser
        was_in_head = parser.in_head
        try:
            parser.feed(data)
        except PeerError as error:
            if not self._is_closing:
                self._peer_failed(error)
            return
        if parser.in_head and not was_in_head:
            self._since = self._site.clock()

    def _keep_unparsed(self, data: bytes) -> None:
        """Bytes for the WebSocket to come, or of a client that does not see its failure."""
        if self._upgrade is not None:
            head, rest = self._upgrade
            self._upgrade = (head, rest + data)
        elif self._is_closing:
            self._linger_bytes += len(data)
            if self._linger_bytes > _LINGER_BYTES:
                self._outlet.drop()

    def head_received(self, head: Head) -> None:
        if self._is_closing:
            return
        if head.method == "CONNECT":
            raise PeerError("CONNECT is not implemented", status=501)
        exchanges = self._exchanges
        exchange = Exchange(self._site, self, head)
        exchanges.append(exchange)
        if len(exchanges) > 1:
            self._pause()
        elif head.has_body:
            self._expect_body(head)

    def _expect_body(self, head: Head) -> None:
        """It is the turn of a request whose body has not come."""
        self._rate.reset()
        if head.expects_continue:
            self._outlet.write(_CONTINUE)

    def body_received(self, data: bytes) -> None:
        if self._is_closing:
            return
        exchange = self._exchanges[-1]
        self._rate.received(len(data))
        exchange.body_received(data)
        if not exchange.is_started:
            if exchange is self._exchanges[0] and exchange.should_start():
                self._start_streamed(exchange)
        elif exchange.is_over and not exchange.can_drain(_DRAIN_BYTES):
            self._close()

    def request_received(self) -> None:
        if self._is_closing:
            return
        exchange = self._exchanges[-1]
        exchange.request_received()
        if exchange is self._exchanges[0]:
            if not exchange.is_started:
                self._start(exchange)
                if self._is_paused and len(self._exchanges) == 1 and not exchange.is_over:
                    self._resume()  # it has waited for its turn, and its body was here already
            elif exchange.is_over:
                self._next()

    def upgrade_received(self, rest: bytes) -> None:
        if self._is_closing:
            return
        self._is_parsing = False
        self._upgrade = (self._exchanges.pop().head, rest)
        if self._exchanges:
            self._pause()
        else:
            self._hand_over()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._site.remove_connection(self)
        self._is_parsing = False
        self._is_closing = True
        self._outlet.stopProducing()
        exchanges, self._exchanges = self._exchanges, deque()
        for exchange in exchanges:
            if exchange.is_waiting:
                self._site.leave_stream(exchange)
            elif exchange.is_started and not exchange.is_over:
                exchange.end()
                self._site.log_access(exchange, self._client)

    def _peer_failed(self, error: PeerError) -> None:
        """The client broke a rule: answer what came before it, then say so and close."""
        self._is_parsing = False
        exchanges = self._exchanges
        if exchanges and not exchanges[-1].is_body_complete:
            exchange = exchanges[-1]
            if exchange.is_started:
                self._fail_body(exchange, error.status, error.reason)
                return
            exchanges.pop()
            self._site.leave_stream(exchange)
        if exchanges:
            self._failure = error
            self._pause()
        else:
            self._refuse(error.status, error.reason)

    def _fail_body(self, exchange: Exchange, status: int, reason: str) -> None:
        if exchange.is_over:
            self._site.count(f"http.{status}")
            self._close()
        else:
            exchange.fail(status, reason)

    # Turns

    def _start(self, exchange: Exchange) -> None:
        if exchange.head.target == b"*":
            self._answer_for_server(exchange)
            return
        client, server, scheme = self._client, self._server, self._scheme
        if self._site.http.proxy_hops:
            client, server, scheme = self._site.forwarded(exchange.head, client, server, scheme)
        try:
            exchange.start(client, server, scheme)
        except PeerError as error:
            exchange.fail(error.status, error.reason)

    def _start_streamed(self, exchange: Exchange) -> None:
        """Start a request whose body may come later, or let it wait until one may."""
        if exchange.is_body_complete or exchange.may_stream():
            self._start(exchange)
        else:
            self._pause()

    def start_body(self) -> None:
        """The turn of the first exchange, which has waited, has come."""
        exchange = self._exchanges[0]
        self._start(exchange)
        if not exchange.is_over:
            self._resume()

    def _answer_for_server(self, exchange: Exchange) -> None:
        """RFC 9110, section 9.3.7: ``OPTIONS *`` asks about the server, not a resource."""
        exchange.is_started = True
        exchange.path = "*"
        if exchange.head.method != "OPTIONS":
            exchange.fail(400, "Invalid request target")
            return
        allow = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
        self.write_response(exchange, 200, [[b"Allow", allow]], b"", False)

    def _next(self) -> None:
        """The first exchange is over and its request read: the next one's turn."""
        if self._outlet.stalled_since is not None:
            return  # `_drained` calls again: its answer is to be taken first
        self._exchanges.popleft()
        self._since = self._site.clock()
        self._has_answered = True
        if self._exchanges:
            self._start_waiting()
        elif self._failure is not None:
            self._refuse(self._failure.status, self._failure.reason)
        elif self._upgrade is not None:
            self._hand_over()
        elif self._site.is_stopping:
            self._close()
        elif self._is_paused:
            self._resume()

    def _start_waiting(self) -> None:
        """Start what has waited for its turn; those that end at once make room for the next."""
        if self._is_starting:
            return
        self._is_starting = True
        while self._exchanges and not self._is_closing:
            exchange = self._exchanges[0]
            if not exchange.is_started and exchange.should_start():
                self._start_streamed(exchange)
                if exchange.is_waiting:
                    break
                continue
            if not exchange.is_started:
                self._expect_body(exchange.head)
            if len(self._exchanges) == 1 and self._upgrade is None and self._failure is None:
                self._resume()
            break
        self._is_starting = False

    def _hand_over(self) -> None:
        assert self._upgrade is not None
        head, rest = self._upgrade
        client, server, scheme = self._client, self._server, self._scheme
        if self._site.http.proxy_hops:
            client, server, scheme = self._site.forwarded(head, client, server, scheme)
        self._resume()
        self._is_closing = True  # nothing more is this connection's
        self._site.remove_connection(self)
        self._site.open_socket(self._outlet, head, rest, client, server, scheme)

    def _pause(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self.transport.pauseProducing()

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self.transport.resumeProducing()

    pause_body = _pause
    resume_body = _resume

    # Responses

    def write_response(
        self, exchange: Exchange, status: int, fields: Any, content: bytes, more: bool
    ) -> None:
        """Write the head and the first content of a response.

        Raises: IllegalResponse, TypeError, ValueError: It cannot be sent; nothing was.
        """
        site = self._site
        head = exchange.head
        is_last = not more or head.method == "HEAD" or status in _NO_BODY
        if site.is_stopping or (
            is_last and not (exchange.is_body_complete or exchange.can_drain(_DRAIN_BYTES))
        ):
            head.keep_alive = False
        encoded, has_body, left, exchange.is_chunked = encode_response(
            head, status, fields, len(content), more, site.date_line()
        )
        exchange.status = status
        if not is_last:
            exchange.left = left
            self._write_content(exchange, content, True, encoded)
            return
        if has_body and content:
            encoded += content
            exchange.sent_bytes = len(content)
        self._outlet.write(encoded)
        self._finish(exchange)

    def write_chunk(self, exchange: Exchange, content: bytes, more: bool) -> None:
        """Write more content of a response."""
        self._write_content(exchange, content, more, b"")

    def _write_content(self, exchange: Exchange, content: bytes, more: bool, before: bytes) -> None:
        left = exchange.left
        if left is not None:
            content = content[:left]  # RFC 9112, section 6.3: more would be the next response
            exchange.left = left = left - len(content)
        exchange.sent_bytes += len(content)
        if exchange.is_chunked:
            if content:
                content = b"%x\r\n%b\r\n" % (len(content), content)
            if not more:
                content += b"0\r\n\r\n"
        if before or content:
            self._outlet.write(before + content)
        if more:
            if self._outlet.stalled_since is not None and not exchange.is_live:
                self._site.inbox.pause(exchange.reply_channel)
        elif left:
            raise IllegalResponse(f"{left} bytes of the declared Content-Length are missing")
        else:
            self._finish(exchange)

    def unsent_bytes(self, exchange: Exchange) -> int:
        """How many bytes wait for the client to take them."""
        return self._outlet.unsent_bytes

    def watch_client(self, exchange: Exchange) -> None:
        """Notice when the client vanishes, though nothing more is expected of it."""
        self._outlet.limit_silence(self._site.http.send_timeout_seconds)

    def write_error(self, exchange: Exchange, status: int, reason: str) -> None:
        """Answer in the application's place."""
        if not exchange.is_body_complete:
            exchange.head.keep_alive = False
        fields = error_fields(status, self._site.retry_after_seconds)
        self.write_response(exchange, status, fields, error_body(status, reason), False)

    def exchange_broken(self, exchange: Exchange) -> None:
        """The response cannot be completed: the client must see that it is cut off."""
        self._outlet.abort()

    def _finish(self, exchange: Exchange) -> None:
        exchange.end()
        self._site.log_access(exchange, self._client)
        if not exchange.head.keep_alive:
            self._close()
        elif exchange.is_body_complete:
            self._next()
        elif exchange.can_drain(_DRAIN_BYTES):
            self._resume()  # the rest is read and dropped; then it is the next one's turn
        else:
            self._close()

    def _refuse(self, status: int, reason: str) -> None:
        """Answer a request that never became one, and close."""
        site = self._site
        site.count(f"http.{status}")
        self._outlet.write(encode_error(status, reason, site.date_line(), site.retry_after_seconds))
        self._close()

    def _close(self) -> None:
        """End the connection so that the client can still read what was sent last."""
        self._is_closing = True
        self._is_parsing = False
        self._exchanges.clear()
        self._since = self._site.clock()
        self._resume()
        self._outlet.finish()

    def _drained(self) -> None:
        if self._exchanges:
            exchange = self._exchanges[0]
            if not exchange.is_over:
                self._site.inbox.resume(exchange.reply_channel)
            elif exchange.is_body_complete:
                self._next()

    # Time

    def check(self, now: float, elapsed: float) -> None:
        """Hold the connection to its time limits; called again and again."""
        stalled_since = self._outlet.stalled_since
        http = self._site.http
        if self._is_paused and self._outlet.has_hung_up():
            self._outlet.abort()
        elif stalled_since is not None and now - stalled_since > http.send_timeout_seconds:
            self._site.count("http.send_timeout")
            self._outlet.abort()
        elif self._is_closing:
            self._check_closing(now)
        elif self._exchanges:
            self._check_exchange(self._exchanges[0], now, elapsed)
        else:
            self._check_idle(now)

    def _check_closing(self, now: float) -> None:
        if self._outlet.is_blocked:
            self._since = now
        elif now - self._since > _LINGER_SECONDS + self._site.http.send_timeout_seconds:
            self._outlet.abort()
        elif now - self._since > (_JUST_NOW_SECONDS if self._site.is_stopping else _LINGER_SECONDS):
            self._outlet.drop()

    def _check_exchange(self, exchange: Exchange, now: float, elapsed: float) -> None:
        if exchange.waits_for_body:
            if self._rate.is_too_slow(elapsed):
                self._fail_body(exchange, 408, "The request's body came too slowly")
            return
        is_waited_for = exchange.is_started or exchange.is_waiting
        waited = now - exchange.moved_at if is_waited_for else 0.0
        if exchange.status or exchange.is_live:
            return
        if waited > self._site.http.response_timeout_seconds:
            exchange.is_started = True  # and if it is by this answer: it is logged
            exchange.fail(503, "The application did not answer in time.")

    def _check_idle(self, now: float) -> None:
        http = self._site.http
        waited = now - self._since
        if self._parser.in_head:
            if waited > http.header_timeout_seconds:
                self._refuse(408, "The request's head came too slowly")
        elif waited > (
            http.keep_alive_seconds if self._has_answered else http.header_timeout_seconds
        ):
            self._close()

    def stop(self) -> None:
        """Serve the request that is running, and no further one."""
        if self._exchanges or self._is_closing or self._parser.in_head:
            return
        if self._site.clock() - self._since < _JUST_NOW_SECONDS:
            self._close()  # the client may still be reading its last answer
        else:
            self._is_closing = True
            self._is_parsing = False
            self._outlet.close()

    def abort(self) -> None:
        """Drop the connection now."""
        self._outlet.abort()
