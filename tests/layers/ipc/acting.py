"""A served hub on a clock that is turned by hand, and peers that say what a test wants them to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock

from tests.layers.ipc.hosting import run_now
from txchannels.layers.accounts import Account
from txchannels.layers.ipc.frames import VERSION, Decoder, Word, encode
from txchannels.layers.ipc.server import Peer, Served
from txchannels.layers.memory import MemoryLayer

__all__ = ["DEAD", "Actor", "Stage", "books"]

#: No process has this number.
DEAD = 2**22 + 1


class Turning(Clock):
    """A clock with what the hub's faces need of a reactor."""

    def callFromThread(self, call: Callable[[], None]) -> None:
        self.callLater(0, call)


class FakeWire:
    """A connection's daemon's end; what is written can be looked at."""

    def __init__(self, clock: Turning) -> None:
        self.received: Callable[[bytes], None] = None
        self.lost: Callable[[], None] = None
        self.unsent_bytes = 0
        self.is_dropped = self.is_finished = self.is_over = False
        self.frames: list[list[Any]] = []
        self._decoder = Decoder()
        self._clock = clock

    def write(self, data: bytes) -> None:
        if not self.is_over:
            self.frames += self._decoder.feed(data)

    def drop(self) -> None:
        if not self.is_dropped:
            self.is_dropped = True
            self._clock.callLater(0, self.lost)

    def finish(self) -> None:
        self.is_finished = True


class Actor:
    """A peer, and the process at its other end.

    Attributes:
        peer: The daemon's side.
        lost: What the daemon was told to be lost, when the connection has ended.
    """

    def __init__(self, stage: Stage, process_id: int) -> None:
        self._stage = stage
        self.wire = FakeWire(stage.clock)
        self.peer = Peer(stage.served, self.wire)
        self.lost: list[Any] | None = None
        self.told: list[Any] = []
        self.peer.ended = self._ended
        self.peer.told = lambda *what: self.told.append(what)
        if process_id:
            self.say(Word.HELLO, VERSION, process_id)
            assert self.heard() == [[Word.WELCOME, VERSION, self.wire_info()]]

    def wire_info(self) -> dict[str, Any]:
        return {"extensions": ["groups", "flush", "statistics"], "group_expiry": 86_400.0}

    def _ended(self, lost: list[Any]) -> None:
        assert self.lost is None, "it ends once"
        self.lost = lost
        self.wire.is_over = True

    def say(self, *fields: Any) -> None:
        self.say_bytes(encode(*fields))

    def say_bytes(self, data: bytes) -> None:
        self.peer.received(data)
        self._stage.turn()

    def heard(self) -> list[list[Any]]:
        """What the daemon has said since this was asked last."""
        self._stage.turn()
        frames, self.wire.frames = self.wire.frames, []
        return frames

    def delivered(self) -> list[Any]:
        """The ``n`` of each message that was delivered since."""
        return [frame[4]["n"] for frame in self.heard() if frame[0] == Word.DELIVER]

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """The frame that answers a call."""
        self.say(Word.CALL, 77, method, arguments)
        [frame] = self.heard()
        assert frame[1] == 77
        return frame

    def send(self, *sends: Any, number: int = 0, wait: float = 5.0) -> list[list[Any]]:
        """What is answered at once to a batch."""
        self.say(Word.SEND, number, wait, [list(send) for send in sends])
        return self.heard()

    def die(self) -> None:
        """The connection ends."""
        self.peer.lost()
        self._stage.turn()


class Stage:
    """A hub, its clock, and whoever is connected."""

    def __init__(self, **config: Any) -> None:
        self.clock = Turning()
        layer = MemoryLayer(**{"capacity": 4, "clock": self.clock.seconds, **config})
        self.hub = layer.hub
        self.layer = layer.blocking
        self.face = layer.reactor(self.clock.callFromThread, self.clock)
        self.served = Served(self.hub, self.face, layer.blocking, self.clock, run_now)

    def actor(self, process_id: int = DEAD) -> Actor:
        return Actor(self, process_id)

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass, and all that is due happen."""
        self.clock.advance(seconds)
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)

    def take_all(self, channel: str) -> list[Any]:
        """The ``n`` of each message that waits in *channel*."""
        taken = []
        while (message := self.layer.receive([channel])[1]) is not None:
            taken.append(message["n"])
        return taken


def books(hub: Any) -> Account:
    """The books of a hub, which balance."""
    total = Account()
    for account in hub.accounts().values():
        total.add(account)
    waiting = hub.statistics()["messages_pending"]
    assert total.sent == total.delivered + total.dropped.total() + total.lost + waiting
    return total
