"""Every message on the layer: its fields, and who sends it to whom (ASGI version 1).

A message's kind is implied by the channel that it is read from. Fields marked *ours*
are additions of txchannels; a program that does not know them may ignore them.
"""

from __future__ import annotations

from typing import Any, TypedDict

from txchannels.errors import MessageTooLarge

__all__ = [
    "DELAY_CHANNEL",
    "DELAY_CLOCKS",
    "DELAY_TICK_CHANNEL",
    "GAP_CHANNEL",
    "MAX_MESSAGE_BYTES",
    "Delay",
    "DelayReport",
    "DelayTick",
    "Gap",
    "HttpBodyChunk",
    "HttpDisconnect",
    "HttpRequest",
    "HttpResponse",
    "WebSocketConnect",
    "WebSocketDisconnect",
    "WebSocketReceive",
    "WebSocketReply",
    "copy_message",
]

Headers = list[list[bytes]]


class HttpRequest(TypedDict, total=False):
    """``http.request``: protocol server to application, one a request."""

    reply_channel: str
    http_version: str
    method: str
    scheme: str
    path: str
    query_string: bytes
    root_path: str
    headers: Headers
    body: bytes
    body_channel: str | None
    client: list[Any] | None
    server: list[Any] | None


class HttpBodyChunk(TypedDict, total=False):
    """On the request's ``body_channel``: protocol server to application.

    ``offset`` (*ours*): how many bytes of the body come before ``content``; a reader that
    misses some knows that they expired. ``reply_channel`` (*ours*): the request's.
    """

    reply_channel: str
    offset: int
    content: bytes
    closed: bool
    more_content: bool


class HttpResponse(TypedDict, total=False):
    """On the request's reply channel: application to protocol server.

    The first has a status; later ones have only content and more_content. ``lost``
    (*ours*), which stands alone: as in `WebSocketReply`; a request's order is 0.

    ``events`` or ``poll`` (*ours*, beside the status): the response is an event stream
    or a long poll, with these times in seconds; what follows has the form of
    `WebSocketReply`. ``replay`` (*ours*): events that the client has missed; with
    ``more_content``, further messages bring more of them.
    """

    status: int
    headers: Headers
    content: bytes
    more_content: bool
    lost: int
    events: dict[str, float]
    poll: dict[str, float]
    replay: list[dict[str, Any]]


class HttpDisconnect(TypedDict, total=False):
    """``http.disconnect``: protocol server to application, after every request."""

    reply_channel: str
    path: str


class WebSocketConnect(TypedDict, total=False):
    """``websocket.connect``: protocol server to application, while the handshake waits.

    ``subprotocols`` (*ours*): what the client offered, in its order of preference.
    """

    reply_channel: str
    scheme: str
    path: str
    query_string: bytes
    root_path: str
    headers: Headers
    client: list[Any] | None
    server: list[Any] | None
    order: int
    subprotocols: list[str]


class WebSocketReceive(TypedDict, total=False):
    """``websocket.receive``: protocol server to application; one of bytes and text is None."""

    reply_channel: str
    path: str
    bytes: bytes | None
    text: str | None
    order: int


class WebSocketDisconnect(TypedDict, total=False):
    """``websocket.disconnect``: protocol server to application, the socket's last message."""

    reply_channel: str
    path: str
    code: int
    order: int


class WebSocketReply(TypedDict, total=False):
    """On the socket's reply channel: application to protocol server.

    ``subprotocol`` (*ours*, beside ``accept``): the one of the offered ones to speak.
    ``consumed`` (*ours*): the order number of a message whose consumer has returned; the
    socket's next message is handed out then. ``lost`` (*ours*): the order number of a
    message whose worker has died while it ran; whoever supervises the worker sends it.
    ``id`` and ``event`` (*ours*): of an event stream's events; sockets are sent neither.
    """

    text: str | None
    bytes: bytes | None
    close: bool | int
    accept: bool
    subprotocol: str
    id: str | int
    event: str
    consumed: int
    lost: int


#: Where a `Gap` is sent.
GAP_CHANNEL = "txchannels.gap"


class Gap(TypedDict):
    """``txchannels.gap`` (*ours*): daemon to application, when the layer's server is back.

    Messages of other hosts may have been missed from ``since`` to ``until``, in seconds
    since the epoch.
    """

    since: float
    until: float


#: Where a `Delay` is sent.
DELAY_CHANNEL = "asgi.delay"

#: Where a `DelayTick` is sent.
DELAY_TICK_CHANNEL = "txchannels.delay"

#: The group of the daemons' clocks: they hear of what is due before their next tick.
DELAY_CLOCKS = "txchannels.delay"


class Delay(TypedDict):
    """``asgi.delay``: anybody to a worker. ``content`` goes to ``channel`` in ``delay`` ms."""

    channel: str
    delay: int
    content: dict[str, Any]


class DelayTick(TypedDict):
    """``txchannels.delay`` (*ours*): a daemon's clock to one of its workers: send what is due.

    ``order`` numbers the ticks. ``is_first``: look after what is seldom looked after.
    """

    reply_channel: str
    order: int
    is_first: bool


class DelayReport(TypedDict, total=False):
    """To a daemon's clock (*ours*): from a worker, before ``consumed`` or ``lost``.

    ``due_in``: seconds to the next message, if it is due before the next tick; also from who
    stores such a message. ``order``: the tick that was worked on, with how many messages were
    ``sent`` for it and how many ``given_up``; ``failed`` says why it could not be.
    """

    order: int
    due_in: float
    sent: int
    given_up: int
    failed: str


#: ASGI asks layers to carry 1 MiB; this leaves room for what goes with such a content.
MAX_MESSAGE_BYTES = 2**20 + 2**16

MAX_DEPTH = 32

#: ASGI's integers are signed 64 bit.
_MIN_INT, _MAX_INT = -(2**63), 2**63 - 1


def copy_message(message: Any, *, max_bytes: int = MAX_MESSAGE_BYTES) -> dict[str, Any]:
    """A copy of *message* that shares nothing changeable with it; tuples become lists.

    Its size is that of its texts (as UTF-8) and bytes, and one for each item.

    Raises:
        TypeError: It is no dict, or holds what no layer carries; says what and where.
        MessageTooLarge: It is larger than *max_bytes*.
    """
    if not isinstance(message, dict):
        raise TypeError(f"A message must be a dict, not {type(message).__name__}: {message!r:.80}")
    copier = _Copier(max_bytes)
    try:
        return copier.copy_dict(message, 1)
    except _Unfit as unfit:
        raise TypeError(unfit.explain()) from None


class _Unfit(Exception):
    """A part of a message that no layer carries.

    Attributes:
        keys: How it is reached, innermost first; filled in on the way out.
    """

    def __init__(self, reason: str, key: Any) -> None:
        super().__init__(reason)
        self.keys = [key]

    def explain(self) -> str:
        """Where it is, and what is wrong with it."""
        where = "".join(f"[{key!r}]" for key in reversed(self.keys))
        return f"message{where} {self}"


class _Copier:
    """One walk over a message; counts its bytes."""

    __slots__ = ("left", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.left = limit

    # A message is mostly texts, bytes and small numbers: those cost no call of their own.

    def copy_dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        size = len(value)
        copied = {}
        for key, item in value.items():
            if type(key) is not str and not isinstance(key, str):
                raise _Unfit("is no entry of a message: keys must be text", key)
            size += len(key)
            kind = type(item)
            if kind is bytes or (kind is str and item.isascii()):
                size += len(item)
                copied[key] = item
            elif item is None or kind is bool or (kind is int and _MIN_INT <= item <= _MAX_INT):
                copied[key] = item
            else:
                copied[key] = self.copy_other(item, key, depth)
        self.spend(size)
        return copied

    def copy_list(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        size = len(value)
        copied: list[Any] = []
        for item in value:
            kind = type(item)
            if kind is bytes or (kind is str and item.isascii()):
                size += len(item)
                copied.append(item)
            else:
                copied.append(self.copy_other(item, len(copied), depth))
        self.spend(size)
        return copied

    def copy_other(self, value: Any, key: str | int, depth: int) -> Any:
        """A copy of what stands at *key* of a list or dict."""
        if not isinstance(value, dict | list | tuple):
            return self.copy_scalar(value, key)
        if depth >= MAX_DEPTH:
            raise _Unfit(f"is nested deeper than {MAX_DEPTH} levels", key)
        try:
            if isinstance(value, dict):
                return self.copy_dict(value, depth + 1)
            return self.copy_list(value, depth + 1)
        except _Unfit as unfit:
            unfit.keys.append(key)
            raise

    def copy_scalar(self, value: Any, key: str | int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            self.spend(len(value.encode("utf-8", "surrogatepass")))
            return str.__str__(value)  # of SafeString and the like: the bare text
        if isinstance(value, bytes | bytearray | memoryview):
            copied = bytes(value)
            self.spend(len(copied))
            return copied
        if isinstance(value, int):
            if not _MIN_INT <= value <= _MAX_INT:
                raise _Unfit("is an integer of more than 64 bits", key)
            return int(value)
        if isinstance(value, float):
            return float(value)
        raise _Unfit(
            f"is a {type(value).__name__}; messages carry only "
            "bytes, str, int, float, bool, None, lists and dicts of them",
            key,
        )

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise MessageTooLarge(f"A message may hold {self.limit} bytes")
