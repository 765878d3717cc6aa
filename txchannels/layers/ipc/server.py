"""A hub, served to other processes of its host: frames in, calls of the hub, frames out.

Each peer is sent only what it has asked for. What a peer that runs messages has not
finished when it dies is booked as lost if it had begun, and given back if it had not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from twisted.logger import Logger

from txchannels.errors import LayerError, MessageTooLarge
from txchannels.layers.interfaces import IBlockingLayer, IReactorLayer, Message
from txchannels.layers.ipc.calls import Calls
from txchannels.layers.ipc.frames import VERSION, Decoder, FrameError, Word, encode
from txchannels.layers.ipc.lines import Failure, Lines
from txchannels.layers.names import check_channels

if TYPE_CHECKING:
    from txchannels.layers.hub import Hub
    from txchannels.layers.ipc.wire import Wire

__all__ = ["Board", "Peer", "Served"]

log = Logger()

#: A peer that lets so much wait is of no use to anybody.
MAX_UNSENT_BYTES = 64 * 2**20


#: The numbers of messages go round, and a board has a place for each: none is given to two
#: messages at a time.
MAX_NUMBER = 65_535

#: The kernel's flag for a process that runs no code any more (include/linux/sched.h).
_EXITING = 0x4


class Board(Protocol):
    """Where a peer notes which of its messages it has begun, so that its death hides nothing."""

    def assign(self, number: int) -> None: ...

    def has_begun(self, number: int) -> bool: ...

    def is_finished(self, number: int) -> bool: ...


@dataclass
class Served:
    """What all peers of a hub share.

    Attributes:
        hub: Where the channels are.
        layer: Its face for the reactor's thread.
        blocking: Its face for threads.
        reactor: The reactor.
        in_thread: Runs a callable that may block, then tells of its result or exception in
            the reactor's thread. A hub that never waits needs none.
        is_reading: Whether frames of some peer are being done.
        written: The peers that something is to be sent to when that is over.
    """

    hub: Hub
    layer: IReactorLayer
    blocking: IBlockingLayer
    reactor: Any
    in_thread: Callable[[Callable[[], Any], Callable[[Any], None]], None]
    is_reading: bool = False
    written: list[Peer] = field(default_factory=list)


class Peer:
    """One process that is served.

    Args:
        served: The hub.
        wire: The connection.

    Attributes:
        name: For the log.
        board: Set for a process whose messages are accounted for until they are finished.
        told: Called with what the peer tells that is not for the layer: topic, value.
        ended: Called once, after the connection's end, with the messages that were lost.
        running: The messages that it has not finished, by number: (channel, message).
        done: How many it has finished.
        last_done: When one was last finished.
        last_heard: When anything last came.

    Thread: the reactor's, but for what the hub calls.
    """

    def __init__(self, served: Served, wire: Wire, name: str = "a program") -> None:
        self.name = name
        self.board: Board | None = None
        self.told: Callable[[str, Any], None] = _ignore
        self.ended: Callable[[list[tuple[int, str, Message]]], None] = _ignore
        self.running: dict[int, tuple[str, Message]] = {}
        self.done = 0
        self.last_done = self.last_heard = served.reactor.seconds()
        self.process_id = 0
        self._served = served
        self._wire = wire
        self._decoder = Decoder()
        self._lines = Lines(served)
        self._subscriptions: dict[int, Any] = {}
        self._calls = Calls(self, served)
        self._is_welcome = False
        self.is_open = True
        self._count = 0
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._out: list[bytes] = []
        self._is_flushing = False
        self._words: dict[int, Callable[..., None]] = {
            Word.CALL: self._calls.received,
            Word.SEND: self._send_received,
            Word.SUBSCRIBE: self._subscribe_received,
            Word.REQUEST: self._request_received,
            Word.CANCEL: self._cancel_received,
            Word.PONG: _ignore,
            Word.TELL: self._tell_received,
        }
        wire.received = self.received
        wire.lost = self.lost

    def __str__(self) -> str:
        return self.name

    @property
    def requested(self) -> int:
        """How many messages it may still be sent."""
        return sum(one.requested for one in self._subscriptions.values())

    # Out

    def put(self, *fields: Any) -> None:
        """Send a frame, with the others of this turn. Thread: any; it calls nothing of the hub."""
        data = encode(*fields)
        with self._lock:
            self._out.append(data)
            if self._is_flushing:
                return
            self._is_flushing = True
        served = self._served
        if served.is_reading and threading.get_ident() == self._thread:
            served.written.append(self)  # goes out when all that was read is done
        else:
            self.soon(self.flush)

    def soon(self, call: Callable[[], None]) -> None:
        """Call it in the reactor's thread, in its next turn. Thread: any."""
        reactor = self._served.reactor
        if threading.get_ident() == self._thread:
            reactor.callLater(0, call)
        else:
            reactor.callFromThread(call)

    def flush(self) -> None:
        """Write what is to be sent."""
        with self._lock:
            out, self._out = self._out, []
            self._is_flushing = False
        if not out:
            return
        self._wire.write(b"".join(out) if len(out) > 1 else out[0])
        if self._wire.unsent_bytes > MAX_UNSENT_BYTES:
            self.drop("it does not read what it has asked for")

    def tell(self, topic: str, value: Any = None) -> None:
        """Tell the peer what is not for the layer."""
        self.put(Word.TELL, topic, value)

    def ping(self) -> None:
        """Ask for a sign of life."""
        self.put(Word.PING)

    def drop(self, reason: str) -> None:
        """End the connection."""
        if self.is_open:
            log.warn("The connection of {peer} is dropped: {reason}", peer=self, reason=reason)
            self._wire.drop()

    def close(self) -> None:
        """End the connection when all is sent."""
        if self._is_flushing:
            self.flush()
        self._wire.finish()

    # In

    def received(self, data: bytes) -> None:
        """Do what the frames in *data* ask for."""
        served = self._served
        self.last_heard = served.reactor.seconds()
        served.is_reading = True
        try:
            for word, *fields in self._decoder.feed(data):
                if not self._is_welcome:
                    self._hello_received(word, fields)
                    continue
                do = self._words.get(word)
                if do is None:
                    raise FrameError(f"no word has the number {word}")
                do(*fields)
                if not self.is_open:
                    return
        except (LayerError, TypeError, ValueError, KeyError) as error:
            # A mistake in one call is answered there; this is no client of ours.
            self.drop(f"it sent {error}")
        finally:
            served.is_reading = False
            written, served.written = served.written, []
            for peer in written:
                peer.flush()

    def _hello_received(self, word: int, fields: list[Any]) -> None:
        if word != Word.HELLO or not fields:
            raise FrameError("something else than a greeting")
        if fields[0] != VERSION:  # whatever else that one says
            self.put(Word.ERROR, 0, "unavailable", _other_version(fields[0]))
            self.close()
            return
        if len(fields) != 2 or type(fields[1]) is not int:
            raise FrameError("a greeting without a process")
        self.process_id = fields[1]
        self._is_welcome = True
        info = {
            "extensions": list(self._served.blocking.extensions),
            "group_expiry": self._served.blocking.group_expiry,
        }
        self.put(Word.WELCOME, VERSION, info)

    def _tell_received(self, topic: str, value: Any = None) -> None:
        self.told(topic, value)

    def _send_received(self, number: int, wait: float, sends: list[Any]) -> None:
        settled = partial(self._settled, number) if number else self._settled_unasked
        self._lines.send(sends, float(wait), settled)

    def _settled(self, number: int, failures: list[Failure]) -> None:
        self.put(Word.SENT, number, failures)

    def _settled_unasked(self, failures: list[Failure]) -> None:
        if failures:
            self.put(Word.SENT, 0, failures)

    # Reading

    def _subscribe_received(self, at: int, channels: list[str]) -> None:
        if at in self._subscriptions:
            raise FrameError(f"a second subscription {at!r}")
        deliver = partial(self._deliver, at)
        self._subscriptions[at] = self._served.layer.subscribe(check_channels(channels), deliver)

    def _deliver(self, at: int, channel: str, message: Message) -> None:
        """Send a message on. Thread: whoever's; the hub's lock is held."""
        board = self.board
        number = 0
        if board is not None:
            number = self._count % MAX_NUMBER + 1
            while number in self.running:
                number = number % MAX_NUMBER + 1
            self._count = number
            board.assign(number)
            self.running[number] = channel, message
        try:
            self.put(Word.DELIVER, at, number, channel, message)
        except (TypeError, MessageTooLarge) as error:
            self.running.pop(number, None)
            self.soon(partial(self.lose, channel, error))
            self.soon(partial(self._request_received, at, 1, ()))

    def lose(self, channel: str, error: Exception) -> None:
        """A message that was taken for this peer cannot be sent to it."""
        log.error("A message on {channel} is lost: {error}", channel=channel, error=error)
        self._served.hub.book_lost(channel)

    def _request_received(self, at: int, count: int, finished: Iterable[int] = ()) -> None:
        for number in finished:
            if self.running.pop(number, None) is not None:
                self.done += 1
                self.last_done = self.last_heard
        subscription = self._subscriptions.get(at)
        if subscription is not None and count > 0:
            subscription.request(count)

    def _cancel_received(self, at: int) -> None:
        subscription = self._subscriptions.pop(at, None)
        self.put(Word.CANCELLED, at, 0 if subscription is None else subscription.cancel())

    def retire(self) -> None:
        """Hand it no more messages, though it may not know that yet."""
        for subscription in self._subscriptions.values():
            subscription.retire()

    # The end

    def lost(self) -> None:
        """The connection has ended: the process is dead, or as good as dead to the hub."""
        self.is_open = False
        for subscription in self._subscriptions.values():
            subscription.cancel()
        self._subscriptions.clear()
        self._calls.end()
        self.ended(self._settle_running())

    def _settle_running(self) -> list[tuple[int, str, Message]]:
        """Book what was begun as lost, give the rest back. Returns: what is lost."""
        lost: list[tuple[int, str, Message]] = []
        untouched: list[tuple[str, Message]] = []
        running, self.running = self.running, {}
        is_gone = bool(running) and _is_gone(self.process_id)
        for number, (channel, message) in running.items():
            if self.board is not None and self.board.is_finished(number):
                self.done += 1
            # One that lives on without its connection may begin them yet.
            elif self.board is None or not is_gone or self.board.has_begun(number):
                self._served.hub.book_lost(channel)
                lost.append((number, channel, message))
            else:
                untouched.append((channel, message))
        self._served.hub.take_back(untouched)
        return lost


def _is_gone(process_id: int) -> bool:
    """Whether a process is dead, or about to be and runs no code any more."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii", errors="replace")
        state, *others = status.rpartition(")")[2].split()
        return state in "ZX" or bool(int(others[5]) & _EXITING)
    except (OSError, ValueError, IndexError):
        return True


def _other_version(version: Any) -> str:
    return (
        f"the daemon speaks version {VERSION} of txchannels' frames, this program {version!r:.20}: "
        "install the same release for both, and restart what runs the older one"
    )


def _ignore(*_: Any) -> None:
    """Nobody listens."""
