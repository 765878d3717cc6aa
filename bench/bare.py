"""The yardstick of the group send: one ready frame to each of N sockets, with `socket.send`.

No server in Python that sends frames one by one can be faster by much: there is no queue,
no back-pressure and no thread here, and a frame is built once. A text message from the
publisher's socket (path ``/pub``) is what is sent to every other socket.

Usage: ``python bare.py PORT``.
"""

from __future__ import annotations

import base64
import hashlib
import resource
import select
import socket
import sys

WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


def accept_header(head: bytes) -> bytes:
    """The value of Sec-WebSocket-Accept for a request's head (RFC 6455, section 4.2.2)."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"sec-websocket-key":
            digest = hashlib.sha1(value.strip() + WEBSOCKET_GUID, usedforsecurity=False).digest()
            return base64.b64encode(digest)
    raise ValueError(f"no Sec-WebSocket-Key in {head!r}")


def text_frame(payload: bytes) -> bytes:
    """One unmasked text frame of less than 126 bytes (RFC 6455, section 5.2)."""
    return bytes([0x81, len(payload)]) + payload


def take_payloads(received: bytearray) -> list[bytes]:
    """Remove the whole masked frames of less than 126 bytes from *received*; their payloads."""
    payloads = []
    while len(received) >= 6:
        length = received[1] & 0x7F
        if len(received) < 6 + length:
            break
        mask, masked = received[2:6], received[6 : 6 + length]
        if received[0] & 0x0F == 1:
            payloads.append(bytes(byte ^ mask[at & 3] for at, byte in enumerate(masked)))
        del received[: 6 + length]
    return payloads


class Broadcaster:
    """All sockets of the process, and the loop that serves them."""

    def __init__(self, port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.listener.setblocking(False)
        self.poll = select.epoll()
        self.poll.register(self.listener, select.EPOLLIN)
        self.waiting: dict[int, socket.socket] = {}
        self.subscribers: dict[int, socket.socket] = {}
        self.publishers: dict[int, tuple[socket.socket, bytearray]] = {}

    def run(self) -> None:
        """Serve until killed."""
        while True:
            for number, _ in self.poll.poll():
                if number == self.listener.fileno():
                    self.take_connections()
                elif number in self.waiting:
                    self.take_handshake(number)
                elif number in self.publishers:
                    self.take_messages(number)
                else:
                    self.forget(number, self.subscribers[number])

    def take_connections(self) -> None:
        """Accept all that wait."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except BlockingIOError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.waiting[connection.fileno()] = connection
            self.poll.register(connection, select.EPOLLIN)

    def take_handshake(self, number: int) -> None:
        """Answer a handshake, which is taken to come in one piece: the client is ours."""
        connection = self.waiting.pop(number)
        head = connection.recv(65536)
        if not head:
            self.forget(number, connection)
            return
        connection.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_header(head) + b"\r\n\r\n"
        )
        if head.startswith(b"GET /pub "):
            self.publishers[number] = (connection, bytearray())
        else:
            self.subscribers[number] = connection

    def take_messages(self, number: int) -> None:
        """Broadcast what a publisher has sent."""
        connection, received = self.publishers[number]
        piece = connection.recv(65536)
        if not piece:
            self.forget(number, connection)
            return
        received += piece
        for payload in take_payloads(received):
            frame = text_frame(payload)
            for subscriber in self.subscribers.values():
                subscriber.send(frame)

    def forget(self, number: int, connection: socket.socket) -> None:
        """Close a connection whose client has gone."""
        self.subscribers.pop(number, None)
        self.publishers.pop(number, None)
        connection.close()


def main() -> None:
    """Listen on the port that the command line names."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Broadcaster(int(sys.argv[1])).run()


if __name__ == "__main__":
    main()
