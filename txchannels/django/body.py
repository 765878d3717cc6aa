"""A request's body as a file: what came with the request, then what its channel brings."""

from __future__ import annotations

import io
import time
from typing import Any

from txchannels.django.exceptions import RequestAborted, RequestTimeout

__all__ = ["BodyStream"]


class BodyStream(io.RawIOBase):
    """A readable stream over a body channel.

    Args:
        channel_layer: Where the channel is.
        channel: The body channel's name.
        start: The first bytes of the body.
        timeout: Seconds for which the next piece is waited for.

    Raises: RequestAborted, RequestTimeout: From every method that reads.
    """

    def __init__(self, channel_layer: Any, channel: str, start: bytes, timeout: float) -> None:
        self._layer = channel_layer
        self._channel = channel
        self._timeout = timeout
        self._piece = memoryview(start)
        self._received_bytes = len(start)
        self._is_complete = False
        self._failure: tuple[type[OSError], str] | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Up to *size* bytes: fewer only at the end; all that is left without a size."""
        pieces: list[bytes | memoryview] = []
        wanted = -1 if size is None else size
        while wanted and (self._piece or self._receive()):
            piece = self._piece if wanted < 0 else self._piece[:wanted]
            self._piece = self._piece[len(piece) :]
            wanted = max(-1, wanted - len(piece)) if wanted > 0 else wanted
            pieces.append(piece)
        return b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1) -> bytes:
        """One line with its end, or up to *size* bytes of it."""
        line = bytearray()
        limit = -1 if size is None else size
        while (limit < 0 or len(line) < limit) and (self._piece or self._receive()):
            piece = bytes(self._piece if limit < 0 else self._piece[: limit - len(line)])
            end = piece.find(b"\n") + 1
            piece = piece[:end] if end else piece
            self._piece = self._piece[len(piece) :]
            line += piece
            if end:
                break
        return bytes(line)

    def _receive(self) -> bool:
        """Get the next piece; False at the end. What has failed once fails ever after."""
        until = time.monotonic() + self._timeout
        while not self._is_complete and not self._piece:
            if self._failure is not None:
                # made anew: one that is kept has a traceback, and so this stream, for ever
                failure, text = self._failure
                raise failure(text)
            left = until - time.monotonic()
            if left <= 0:
                self._failure = RequestTimeout, "The request's body came too slowly"
                continue
            _, chunk = self._layer.receive([self._channel], block=True, timeout=left)
            if chunk is None:
                continue
            if chunk.get("closed"):
                self._failure = (
                    RequestAborted,
                    "The client went away before its request's end",
                )
                continue
            content = chunk.get("content") or b""
            if chunk.get("offset", self._received_bytes) != self._received_bytes:
                self._failure = RequestAborted, "Part of the body expired before it was read"
                continue
            self._received_bytes += len(content)
            self._piece = memoryview(content)
            self._is_complete = not chunk.get("more_content")
        return bool(self._piece)
