"""HTTP/1.0 and HTTP/1.1 connections (RFC 9112): requests in, responses out in order.

Requests that a client sends before the answer to the last one wait in the connection;
while any waits, nothing more is read.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from txchannels.errors import PeerError
from txchannels.protocols.backpressure import Outlet
from txchannels.protocols.exchange import Exchange
from txchannels.protocols.request import Head, RequestParser
from txchannels.protocols.responses import encode_head, error_body

if TYPE_CHECKING:
    from txchannels.protocols.site import Site

__all__ = ["HttpConnection"]

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 2**20

#: Fields of a response that concern the connection and are the server's own to set.
_CONNECTION_FIELDS = frozenset(
    (b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"proxy-connection")
)
_WITHOUT_BODY = frozenset((204, 304))


class HttpConnection(Protocol):
    """One connection, from accept to close or to its hand-over to a WebSocket.

    Thread: the reactor's.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._exchanges: deque[Exchange] = deque()
        self._parser = RequestParser(self, site.head_limits, site.http.max_body_bytes)
        self._upgrade: tuple[Head, bytes] | None = None
        self._is_paused = False
        self._is_closing = False
        self._is_lingering = False
        self._linger_bytes = 0
        self._slow_seconds = 0.0
        self._body_bytes = 0
        self._answered = 0

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

    # Bytes in

    def dataReceived(self, data: bytes) -> None:
        if self._is_lingering:
            self._linger_bytes += len(data)
            if self._linger_bytes > _LINGER_BYTES:
                self._outlet.abort()
            return
        if self._is_closing:
            return
        was_in_head = self._parser.in_head
        try:
            self._parser.feed(data)
        except PeerError as error:
            self._peer_failed(error)
            return
        if not was_in_head and self._parser.in_head:
            self._since = self._site.clock()

    def head_received(self, head: Head) -> None:
        if self._is_closing:
            return
        exchange = Exchange(self._site, self, head)
        self._exchanges.append(exchange)
        if head.method == "CONNECT":
            raise PeerError("CONNECT is not implemented", status=501)
        if head.expects_continue and head.has_body and len(self._exchanges) == 1:
            self._outlet.write(_CONTINUE)
        if head.has_body:
            self._since = self._site.clock()
            self._slow_seconds = 0.0

    def body_received(self, data: bytes) -> None:
        if self._is_closing:
            return
        exchange = self._exchanges[-1]
        self._body_bytes += len(data)
        exchange.body_received(data)
        if not exchange.is_started and exchange is self._exchanges[0] and exchange.should_start():
            self._start(exchange)

    def request_received(self) -> None:
        if self._is_closing:
            return
        exchange = self._exchanges[-1]
        exchange.request_received()
        if exchange is not self._exchanges[0]:
            self._pause()
        elif not exchange.is_started:
            self._start(exchange)
        elif exchange.is_over:
            self._next()

    def upgrade_received(self, rest: bytes) -> None:
        if self._is_closing:
            return
        head = self._exchanges.pop().head
        self._upgrade = (head, rest)
        if self._exchanges:
            self._pause()
        else:
            self._hand_over()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._site.remove_connection(self)
        self._is_closing = True
        self._outlet.stopProducing()
        for exchange in self._exchanges:
            exchange.end()
            self._site.log_access(exchange, self._client)
        self._exchanges.clear()

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
        self._exchanges.popleft()
        self._since = self._site.clock()
        self._answered += 1
        if self._exchanges:
            exchange = self._exchanges[0]
            if exchange.should_start():
                self._start(exchange)
        elif self._upgrade is not None:
            self._hand_over()
        else:
            if self._is_paused:
                self._resume()
            if self._site.is_stopping:
                self._close()

    def _hand_over(self) -> None:
        assert self._upgrade is not None
        head, rest = self._upgrade
        client, server, scheme = self._client, self._server, self._scheme
        if self._site.http.proxy_hops:
            client, server, scheme = self._site.forwarded(head, client, server, scheme)
        self._resume()
        self._is_closing = True  # nothing more is this connection's
        self._site.remove_connection(self)
        self._site.open_socket(self, head, rest, client, server, scheme)

    def _pause(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self.transport.pauseProducing()

    def _resume(self) -> None:
        if self._is_paused and not self._is_closing:
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
        head = exchange.head
        lines, declared, closes = _field_lines(fields)
        if closes or self._site.is_stopping:
            head.keep_alive = False
        has_body = head.method != "HEAD" and status not in _WITHOUT_BODY
        is_chunked = False
        if status == 204:
            declared = None  # RFC 9110, section 8.6
        elif not more:
            if has_body or (head.method == "HEAD" and declared is None and status != 304):
                declared = len(content)
        elif has_body and declared is None:
            if head.version == "1.1":
                is_chunked = True
                lines.append(b"Transfer-Encoding: chunked")
            else:
                head.keep_alive = False
        if declared is not None:
            lines.append(b"Content-Length: %d" % declared)
        if not head.keep_alive:
            lines.append(b"Connection: close")
        elif head.version == "1.0":
            lines.append(b"Connection: keep-alive")
        lines.append(self._site.date_line())
        encoded = encode_head(status, lines)
        exchange.status = status
        exchange.is_chunked = is_chunked
        exchange.left = (declared if more else None) if has_body else 0
        if not more and has_body:
            exchange.sent_bytes = len(content)
            self._outlet.write(encoded + content if content else encoded)
            self._finish(exchange)
            return
        self._write_content(exchange, content if has_body else b"", more, encoded)

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
            if self._outlet.is_blocked:
                self._site.inbox.pause(exchange.reply_channel)
        elif left and exchange.head.method != "HEAD":
            self.exchange_broken(exchange)
        else:
            self._finish(exchange)

    def write_error(self, exchange: Exchange, status: int, reason: str) -> None:
        """Answer in the application's place."""
        fields = [[b"Content-Type", b"text/plain; charset=utf-8"]]
        if status == 503:
            fields.append([b"Retry-After", b"%d" % self._site.retry_after_seconds])
        if not exchange.is_body_complete:
            exchange.head.keep_alive = False
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
        elif exchange.head.expects_continue or not exchange.waits_for_body:
            self._close()
        # else: the rest of the body is read and dropped, then it is the next one's turn

    def _peer_failed(self, error: PeerError) -> None:
        """The client broke a rule: answer what came before it, then say so and close."""
        self._site.count(f"http.{error.status}")
        if self._exchanges and (self._exchanges[0].is_started or len(self._exchanges) > 1):
            exchange = self._exchanges[0]
            exchange.head.keep_alive = False  # its answer is the last
            if exchange.is_body_complete:
                self._pause()
            elif exchange.status == 0:
                self.write_error(exchange, error.status, error.reason)
            else:
                self._outlet.abort()
            return
        self._refuse(error.status, error.reason)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer a request that never became one, and close."""
        body = error_body(status, reason)
        lines = [
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Length: %d" % len(body),
            b"Connection: close",
            self._site.date_line(),
        ]
        if status == 503:
            lines.append(b"Retry-After: %d" % self._site.retry_after_seconds)
        self._exchanges.clear()
        self._outlet.write(encode_head(status, lines) + body)
        self._close()

    def _close(self) -> None:
        """End the connection so that the client can still read what was sent last."""
        self._is_closing = True
        if self._outlet.is_blocked:
            self._outlet.close()
            return
        self._is_lingering = True
        self._since = self._site.clock()
        if self._is_paused:
            self._is_paused = False
            self.transport.resumeProducing()
        self._outlet.finish()

    def _drained(self) -> None:
        if self._exchanges:
            self._site.inbox.resume(self._exchanges[0].reply_channel)

    # Time

    def check(self, now: float, elapsed: float) -> None:
        """Hold the connection to its time limits; called again and again."""
        http = self._site.http
        stalled_since = self._outlet.stalled_since
        if stalled_since is not None and now - stalled_since > http.send_timeout_seconds:
            self._site.count("http.send_timeout")
            self._outlet.abort()
        elif self._is_closing:
            if stalled_since is None and now - self._since > _LINGER_SECONDS:
                self._outlet.abort()
        elif self._exchanges:
            self._check_exchange(self._exchanges[0], now, elapsed)
        else:
            self._check_idle(now)

    def _check_exchange(self, exchange: Exchange, now: float, elapsed: float) -> None:
        http = self._site.http
        if exchange.waits_for_body and not exchange.is_over:
            is_slow = self._body_bytes < http.min_body_bytes_per_second * elapsed
            self._slow_seconds = self._slow_seconds + elapsed if is_slow else 0.0
            self._body_bytes = 0
            if self._slow_seconds > http.body_grace_seconds:
                exchange.fail(408, "The request's body came too slowly")
                return
        elif exchange.is_over and not exchange.is_body_complete:
            if now - exchange.started_at > http.response_timeout_seconds:
                self._outlet.abort()
            return
        if exchange.status == 0 and exchange.is_started and exchange.is_body_complete:
            if now - max(exchange.started_at, self._since) > http.response_timeout_seconds:
                exchange.fail(503, "The application did not answer in time.")

    def _check_idle(self, now: float) -> None:
        http = self._site.http
        waited = now - self._since
        if self._parser.in_head:
            if waited > http.header_timeout_seconds:
                self._site.count("http.408")
                self._refuse(408, "The request's head came too slowly")
        elif waited > (http.keep_alive_seconds if self._answered else http.header_timeout_seconds):
            self._outlet.close()

    def stop(self) -> None:
        """Serve the request that is running, and no further one."""
        if not self._exchanges and not self._is_closing and not self._parser.in_head:
            self._close()

    def abort(self) -> None:
        """Drop the connection now."""
        self._outlet.abort()


def _field_lines(fields: Any) -> tuple[list[bytes], int | None, bool]:
    """The application's fields as lines; its Content-Length; whether it asks to close."""
    lines = []
    declared = None
    closes = False
    for name, value in fields:
        if type(name) is not bytes:
            name = name.encode("latin-1")
        if type(value) is not bytes:
            value = value.encode("latin-1")
        lower = name.lower()
        if lower == b"content-length":
            declared = int(value)
        elif lower in _CONNECTION_FIELDS:
            closes = closes or (lower == b"connection" and value.lower() == b"close")
        elif lower != b"date":
            lines.append(b"%b: %b" % (name, value))
    return lines, declared, closes
