"""What crosses from hub to hub as values: bytes of an element in, its fields out.

An element is its deadline, 13 ASCII digits of milliseconds since the epoch that Lua reads
too, and a payload: the fields as msgpack, or a Fernet token of them and of the deadline.
A list of four begins with 0x94 and a token with ``g``: neither is ever taken for the other.

Knows no server, socket or clock. Whatever the bytes, decoding gives a legal element or
raises `ElementError`, in memory that grows with the bytes and not with what they claim.

Source: msgpack specification; Fernet specification, "Token Format".
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from txchannels.errors import ConfigurationError, MessageTooLarge
from txchannels.layers.names import MAX_NAME_CHARACTERS, check_channel, check_group
from txchannels.layers.packing import (
    GARBAGE,
    NOT_AUTHENTIC,
    TOO_DEEP,
    TOO_LARGE,
    ElementError,
    pack,
    unpack,
)
from txchannels.messages import MAX_DEPTH, MAX_MESSAGE_BYTES

__all__ = [
    "GARBAGE",
    "MAX_PAYLOAD_BYTES",
    "NOT_AUTHENTIC",
    "TOO_DEEP",
    "TOO_LARGE",
    "Codec",
    "Element",
    "ElementError",
    "Kind",
    "deadline_of",
]

#: A message's bound counts an item as one byte; this leaves room for msgpack's headers.
MAX_PAYLOAD_BYTES: Final = MAX_MESSAGE_BYTES + 2**16

DEADLINE_DIGITS: Final = 13

#: Fernet adds version, time, IV, padding and HMAC (at most 73 bytes); we, the deadline (9).
_SEAL_BYTES: Final = 82


class Kind(IntEnum):
    """What an element asks of the hub that reads it."""

    MESSAGE = 0
    GROUP = 1
    ADD = 2
    DISCARD = 3
    CLOSED = 4
    FLUSH = 5
    WANT = 6


class Element(NamedTuple):
    """One thing that a hub tells another.

    Attributes:
        target: A channel (message, closed, want), a group (group, add, discard), or "" (flush).
        content: A message (message, group), a channel's name (add, discard), or None.
        sender: The address of the hub that sent it, a legal channel name; "" if it has none.
    """

    kind: Kind
    target: str
    content: Any
    sender: str


def deadline_of(data: bytes) -> int:
    """When the element expires, in milliseconds since the epoch.

    Raises: ElementError: It does not begin with a deadline.
    """
    digits = data[:DEADLINE_DIGITS]
    if len(digits) != DEADLINE_DIGITS or not digits.isdigit():
        raise ElementError(GARBAGE)
    return int(digits)


class Codec:
    """Elements to bytes and back, encrypted if there are *keys*.

    Args:
        keys: Any texts. The first one encrypts, each of them decrypts: a new key is first
            added last everywhere, then moved to the front, and the old one removed.
        max_bytes: How large the fields of an element may be, as msgpack.

    Raises: ConfigurationError: The keys are no list of texts; it shows none of them.
    Thread: any; it keeps no state.
    """

    def __init__(self, keys: Sequence[str] = (), *, max_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        _check_keys(keys)
        self.max_bytes = max_bytes
        self._fernet = MultiFernet([Fernet(_fernet_key(key)) for key in keys]) if keys else None
        # A token is base64: four bytes for each three, the last three perhaps incomplete.
        payload = 4 * ((max_bytes + _SEAL_BYTES) // 3 + 1) if keys else max_bytes
        self._max_element_bytes = DEADLINE_DIGITS + payload

    def __repr__(self) -> str:
        how = "plain" if self._fernet is None else "encrypted"
        return f"<Codec {how}, at most {self.max_bytes} bytes>"

    def encode(
        self,
        kind: int,
        target: str,
        content: Any,
        sender: str = "",
        *,
        deadline: int,
    ) -> bytes:
        """The element as bytes; the arguments are the fields of an `Element`.

        Names, kinds and nesting are the caller's care: what is not legal is not decoded.

        Args:
            deadline: When it expires, in milliseconds since the epoch.

        Raises:
            TypeError: The content holds what no layer carries.
            MessageTooLarge: The content is larger than ``max_bytes`` allow.
        """
        fields = [kind, target, content, sender]
        if self._fernet is not None:
            fields.append(deadline)
        payload = pack(fields)
        if len(payload) > self.max_bytes:
            raise MessageTooLarge(f"A message may take {self.max_bytes} bytes on the layer")
        if self._fernet is not None:
            payload = self._fernet.encrypt(payload)
        return b"%013d%b" % (deadline, payload)

    def decode(self, data: bytes) -> Element:
        """The element that *data* is.

        Raises: ElementError: It is none, or not one of ours.
        """
        if len(data) > self._max_element_bytes:
            raise ElementError(TOO_LARGE)
        deadline = deadline_of(data)
        payload = data[DEADLINE_DIGITS:]
        if self._fernet is None:
            return _element(unpack(payload))
        fields = unpack(_decrypt(self._fernet, payload))
        # The clear deadline could be put off by whoever writes to the server.
        if type(fields) is not list or not fields or fields.pop() != deadline:
            raise ElementError(NOT_AUTHENTIC)
        return _element(fields)


def _check_keys(keys: object) -> None:
    if not isinstance(keys, list | tuple) or not all(
        isinstance(key, str) and key.strip() for key in keys
    ):
        raise ConfigurationError(
            "CONFIG['symmetric_encryption_keys']",
            None,
            "must be a list of non-empty texts; the first encrypts, all of them decrypt",
        )


def _fernet_key(key: str) -> bytes:
    return urlsafe_b64encode(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest())


def _decrypt(fernet: MultiFernet, token: bytes) -> bytes:
    try:
        return fernet.decrypt(token)
    except InvalidToken:
        raise ElementError(NOT_AUTHENTIC) from None


def _element(fields: Any) -> Element:
    """The element that has *fields*.

    Raises: ElementError: There are others than four, or one of them is not legal.
    """
    if type(fields) is not list or len(fields) != 4:
        raise ElementError(GARBAGE)
    number, target, content, sender = fields
    if (
        type(number) is not int
        or not 0 <= number < len(_KINDS)
        or not _FITS[number](target, content)
        or not (sender == "" or _is_name(sender, check_channel))
    ):
        raise ElementError(GARBAGE)
    return Element(_KINDS[number], target, content, sender)


def _is_name(name: Any, check: Callable[[str], str]) -> bool:
    if type(name) is not str or len(name) > MAX_NAME_CHARACTERS:
        return False
    try:
        check(name)
    except TypeError:
        return False
    return True


def _fits_message(target: Any, content: Any) -> bool:
    return _is_name(target, check_channel) and _is_message(content)


def _fits_group(target: Any, content: Any) -> bool:
    return _is_name(target, check_group) and _is_message(content)


def _fits_membership(target: Any, content: Any) -> bool:
    return _is_name(target, check_group) and _is_name(content, check_channel)


def _fits_closed(target: Any, content: Any) -> bool:
    return _is_name(target, check_channel) and content is None


def _fits_flush(target: Any, content: Any) -> bool:
    return bool(target == "") and content is None


_KINDS: Final = tuple(Kind)

#: Whether a target and a content are what a kind has, in the order of the kinds.
_FITS: Final[tuple[Callable[[Any, Any], bool], ...]] = (
    _fits_message,
    _fits_group,
    _fits_membership,
    _fits_membership,
    _fits_closed,
    _fits_flush,
    _fits_closed,
)


# Depth and keys are looked at in one walk; most of what it meets are bytes and short lists.


def _is_message(content: Any) -> bool:
    return type(content) is dict and _fits_dict(content, MAX_DEPTH)


def _fits_dict(value: dict[Any, Any], levels: int) -> bool:
    """Whether it, and each dict inside, has only texts as keys.

    Raises: ElementError: It is nested deeper than *levels*, its own included.
    """
    if levels == 0:
        raise ElementError(TOO_DEEP)
    for key, item in value.items():
        if type(key) is not str:
            return False
        kind = type(item)
        if kind is list:
            if not _fits_list(item, levels - 1):
                return False
        elif kind is dict and not _fits_dict(item, levels - 1):
            return False
    return True


def _fits_list(value: list[Any], levels: int) -> bool:
    if levels == 0:
        raise ElementError(TOO_DEEP)
    for item in value:
        kind = type(item)
        if kind is bytes:
            continue
        if kind is list:
            if not _fits_list(item, levels - 1):
                return False
        elif kind is dict and not _fits_dict(item, levels - 1):
            return False
    return True
