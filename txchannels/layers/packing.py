"""Values as msgpack and back, whatever the bytes are.

To unpack takes memory that grows with the bytes and not with what they claim.

Source: msgpack specification.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NoReturn

from msgpack import OutOfData, StackError, Unpacker, packb, unpackb

from txchannels.errors import LayerError

__all__ = [
    "GARBAGE",
    "NOT_AUTHENTIC",
    "TOO_DEEP",
    "TOO_LARGE",
    "ElementError",
    "pack",
    "unpack",
]

Reason = Literal["garbage", "too large", "too deep", "not authentic"]

GARBAGE: Final = "garbage"
TOO_LARGE: Final = "too large"
TOO_DEEP: Final = "too deep"
NOT_AUTHENTIC: Final = "not authentic"


class ElementError(LayerError):
    """The bytes are no element; whoever put them there, nobody can act on them.

    Args:
        reason: What the operator counts them under.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


def pack(value: Any) -> bytes:
    """*value* as msgpack.

    Raises: TypeError: It holds what no layer carries.
    """
    try:
        try:
            return packb(value)
        except UnicodeEncodeError:
            # A message may hold lone surrogates. Always to allow for them takes a third longer.
            return packb(value, unicode_errors="surrogatepass")
    except (ValueError, OverflowError, BufferError) as error:
        raise TypeError(f"A message holds what no layer carries: {error}") from error


def unpack(payload: bytes) -> Any:
    """What *payload* is the msgpack of.

    Raises: ElementError: It is none, or more than one, or more deeply nested than C allows.
    """
    try:
        if b"\xdc" in payload or b"\xdd" in payload:
            _check_claims(payload)
        # Their maximum keeps timestamps out, which the hook does not see.
        return unpackb(
            payload, unicode_errors="surrogatepass", max_ext_len=0, ext_hook=_refuse_extension
        )
    except StackError:
        raise ElementError(TOO_DEEP) from None
    except ValueError:
        raise ElementError(GARBAGE) from None


def _check_claims(payload: bytes) -> None:
    """Make sure that the long lists in *payload* (array 16, array 32) have all their items.

    The C unpacker allocates a list at once at the length that its header claims, up to 1024
    of them nested in one another. To skip allocates nothing.

    Raises: ValueError: They have not, or it is no msgpack.
    """
    unpacker = Unpacker(read_size=len(payload), max_buffer_size=0)
    unpacker.feed(payload)
    try:
        unpacker.skip()
    except OutOfData:
        raise ValueError("it ends early") from None


def _refuse_extension(_code: int, _data: bytes) -> NoReturn:
    raise ElementError(GARBAGE)
