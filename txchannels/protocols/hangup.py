"""Whether the other side of a socket has closed, where nothing of it is read.

A reactor learns of a close by reading; whoever has paused that must look for itself.
"""

from __future__ import annotations

import select
from socket import MSG_DONTWAIT, MSG_PEEK, socket

__all__ = ["has_hung_up"]

#: Linux tells of the close at once; elsewhere, bytes that wait before it hide it.
_CLOSED: int = getattr(select, "POLLRDHUP", 0)


def has_hung_up(sock: socket) -> bool:
    """Whether *sock*'s other side will send no more. Returns at once and takes nothing."""
    if _CLOSED:
        poll = select.poll()
        poll.register(sock, _CLOSED)  # errors and a full close are always told
        return bool(poll.poll(0))
    try:
        return not sock.recv(1, MSG_PEEK | MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
