"""What a peer sends, into the hub: in order, and again while there is no room.

Nothing here blocks: what has to wait for room waits in its channel's line, and the sender
is told when all of its batch is settled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from txchannels.errors import ChannelFull, LayerError
from txchannels.layers.interfaces import CHANNEL, GROUP, Message, Send
from txchannels.layers.ipc.frames import kind_of
from txchannels.layers.names import check_channel, check_group

if TYPE_CHECKING:
    from txchannels.layers.ipc.server import Served

__all__ = ["Batch", "Lines"]

#: What may wait in one line: messages whose senders do not wait for them.
MAX_LINE = 256

MAX_WAIT_SECONDS = 3600.0

#: Which send of a batch failed, the error's kind, its text, the channel's name.
Failure = tuple[int, str, str, str]


class Batch:
    """The sends of one frame; *settled* is told when each has come to something."""

    __slots__ = ("_left", "_settled", "failures")

    def __init__(self, count: int, settled: Callable[[list[Failure]], None]) -> None:
        self._left = count
        self._settled = settled
        self.failures: list[Failure] = []

    def done(self, count: int = 1) -> None:
        """So many more of them were taken."""
        self._left -= count
        if not self._left:
            self._settled(self.failures)

    def fail(self, at: int, name: str, error: BaseException) -> None:
        """One of them was not."""
        self.failures.append((at, kind_of(error), str(error), name))
        self.done()


class _Waiting:
    """One message in a line."""

    __slots__ = ("at", "batch", "message", "until")

    def __init__(self, batch: Batch, at: int, message: Message, until: float) -> None:
        self.batch = batch
        self.at = at
        self.message = message
        self.until = until


class _Line:
    """What waits for room in one channel.

    Attributes:
        waiting: The messages, in order.
        is_called: Whether it will be called when there is room; it is kept until then.
        timeout: When the first of them has waited for long enough.
    """

    __slots__ = ("is_called", "timeout", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()
        self.is_called = False
        self.timeout: Any = None


class Lines:
    """See the module.

    Args:
        served: The hub and the reactor.

    Thread: the reactor's.
    """

    def __init__(self, served: Served) -> None:
        self._served = served
        self._lines: dict[str, _Line] = {}

    def __len__(self) -> int:
        return sum(len(line.waiting) for line in self._lines.values())

    def send(
        self, sends: Sequence[Any], wait: float, settled: Callable[[list[Failure]], None]
    ) -> None:
        """Send all, each waiting for room up to *wait* seconds."""
        began = 0 if self._lines else self._send_replies(sends)
        if began == len(sends):
            settled([])
            return
        batch = Batch(len(sends) - began, settled)
        away: list[tuple[int, Send]] = []
        until = self._served.reactor.seconds() + min(wait, MAX_WAIT_SECONDS)
        for at in range(began, len(sends)):
            send = sends[at]
            try:
                kind, name, message = _check(send)
                if kind == GROUP:
                    self._served.hub.send_group(name, message)
                elif not ("!" in name or self._served.layer.is_here(name)):
                    away.append((at, (kind, name, message)))
                    continue
                elif not self._offer(name, _Waiting(batch, at, message, until)):
                    continue
            except (LayerError, TypeError) as error:
                batch.fail(at, str(send[1] if len(send) > 1 else ""), error)
            else:
                batch.done()
        if away:
            self._send_away(batch, away, wait)

    def _send_replies(self, sends: Sequence[Any]) -> int:
        """Send what are replies to clients of this process, as nearly all sends are.

        Returns: How many were sent: until one is something else, or cannot be taken now.
        """
        inbox_of = self._served.hub.inbox_of
        for at, send in enumerate(sends):
            if type(send) is not list or len(send) != 3 or send[0] != CHANNEL:
                return at
            _, name, message = send
            if type(name) is not str or type(message) is not dict:
                return at
            inbox = inbox_of(name)
            if inbox is None or name not in inbox or not inbox.offer(name, message):
                return at
        return len(sends)

    def _offer(self, name: str, waiting: _Waiting) -> bool:
        """Whether the message was taken; else it stands in line.

        Raises: ChannelFull: It may not wait, or no more may: it is booked.
        """
        line = self._lines.get(name)
        may_wait = waiting.until > self._served.reactor.seconds()
        if line is None or not line.waiting:
            if self._served.layer.offer(name, waiting.message):
                return True
            if not may_wait:
                self._served.layer.send(name, waiting.message)  # or it is booked, and raised
                return True
            if line is None:
                line = self._lines[name] = _Line()
        elif not may_wait or len(line.waiting) >= MAX_LINE:
            raise self._full(name)
        line.waiting.append(waiting)
        self._wait(name, line)
        return False

    def _full(self, name: str) -> ChannelFull:
        self._served.hub.book_full(name)
        return ChannelFull(f"Channel {name} is full")

    def _wait(self, name: str, line: _Line) -> None:
        """Go on when there is room, or when one of *line* has waited for long enough."""
        reactor = self._served.reactor
        seconds = max(0.0, min(one.until for one in line.waiting) - reactor.seconds())
        if line.timeout is not None and line.timeout.active():
            line.timeout.reset(seconds)
        else:
            line.timeout = reactor.callLater(seconds, self._go_on, name, line)
        if not line.is_called:
            line.is_called = True
            self._served.layer.when_room(name, partial(self._room_made, name, line))

    def _room_made(self, name: str, line: _Line) -> None:
        line.is_called = False
        self._go_on(name, line)

    def _go_on(self, name: str, line: _Line) -> None:
        while line.waiting:
            first = line.waiting[0]
            try:
                if not self._served.layer.offer(name, first.message):
                    if self._give_up_late(name, line):
                        continue
                    self._wait(name, line)
                    return
            except LayerError as error:
                line.waiting.popleft()
                first.batch.fail(first.at, name, error)
            else:
                line.waiting.popleft()
                first.batch.done()
        if line.timeout is not None and line.timeout.active():
            line.timeout.cancel()
        if not line.is_called:
            self._lines.pop(name, None)

    def _give_up_late(self, name: str, line: _Line) -> bool:
        """Give up what has waited for long enough; returns whether the first has."""
        now, first = self._served.reactor.seconds(), line.waiting[0]
        late = [one for one in line.waiting if one.until <= now]
        for one in late:
            line.waiting.remove(one)
            one.batch.fail(one.at, name, self._full(name))
        return first in late

    def _send_away(self, batch: Batch, away: list[tuple[int, Send]], wait: float) -> None:
        """What goes to other hosts, and is waited for: by a thread."""
        sends = [send for _, send in away]
        call = partial(self._served.blocking.send_many, sends, wait=wait)
        self._served.in_thread(call, partial(_sent_away, batch, away))


def _sent_away(batch: Batch, away: list[tuple[int, Send]], outcome: Any) -> None:
    if isinstance(outcome, BaseException):
        for at, send in away:
            batch.fail(at, send[1], outcome)
        return
    failed = {id(send): error for send, error in outcome}
    for at, send in away:
        if id(send) in failed:
            batch.fail(at, send[1], failed[id(send)])
        else:
            batch.done()


def _check(send: Any) -> tuple[Any, str, Message]:
    """What a peer wants to have sent.

    Raises: TypeError: It is nothing that can be sent.
    """
    if type(send) is not list or len(send) != 3 or type(send[2]) is not dict:
        raise TypeError(f"A send is a kind, a name and a message, not {send!r:.80}")
    kind, name, message = send
    if kind == GROUP:
        return GROUP, check_group(name), message
    if kind != CHANNEL:
        raise TypeError(f"A send is to a channel or a group, not to a {kind!r:.80}")
    return CHANNEL, check_channel(name), message
