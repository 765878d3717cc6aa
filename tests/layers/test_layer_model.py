"""Every backend against one simple model: whatever is asked of its blocking face, in any order.

Nothing comes twice, nothing is lost, nothing exceeds a capacity, what waits is what the
model says waits, and it comes in order: of all that one list holds, or of one sender.

Source: ASGI draft version 1: "Capacity", "Groups", "Ordering".
"""

from __future__ import annotations

import itertools
import socket
import sys
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from threading import Event

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.layers.ipc.hosting import Daemon
from tests.layers.redis.hubs import Site
from tests.layers.redis.reactors import ReactorThread
from tests.servers import RedisServer, wait_until
from txchannels.errors import ChannelFull
from txchannels.layers.ipc import blocking
from txchannels.layers.ipc.layer import AttachedLayer
from txchannels.layers.ipc.link import Link
from txchannels.layers.memory import MemoryLayer
from txchannels.layers.names import owner_of
from txchannels.layers.redis import RedisLayer
from txchannels.workers.board import Board

CAPACITY = 3
MADE = "made"  # stands for the channel that `new_channel` has made

SENDABLE = ["a", "b", "c?x", "local!x", "local!y", MADE]
READABLE = ["a", "b", "c?x", "local!", MADE]
MEMBERS = ["a", "b", "c?x", "local!x", MADE]
GROUPS = ["room", "hall"]

faces = st.integers(0, 2)
channels = st.sampled_from(SENDABLE)
members = st.sampled_from(MEMBERS)
groups = st.sampled_from(GROUPS)
sends = st.lists(
    st.one_of(st.tuples(st.just("channel"), channels), st.tuples(st.just("group"), groups)),
    min_size=1,
    max_size=8,
)

_numbers = itertools.count(1)


class Memory:
    """One process.

    Attributes:
        faces: Those that the machine chooses from.
        lists: Of how many lists, each with the capacity, a channel with many readers is made.
        patience: Seconds in which what was sent is found.
    """

    lists = 1
    patience = 0.0

    def __init__(self):
        self.faces = [MemoryLayer(capacity=CAPACITY).blocking]

    def is_asynchronous(self, face):
        """Whether group operations of *face* are only ordered, not done when they return."""
        return False

    def is_kept_by(self, face):
        """Whether messages of channels that *face* makes wait with it until they are asked for."""
        return False

    def flushed(self):
        """Wait until everybody has heard of it."""

    def close(self):
        pass


class Direct(Memory):
    """A program that is not the daemon."""

    servers: list[RedisServer]
    keys: list[str] | None = None

    def __init__(self):
        layer = RedisLayer(
            hosts=[server.url for server in self.servers[: self.lists]],
            prefix=f"model{next(_numbers)}:",
            capacity=CAPACITY,
            symmetric_encryption_keys=self.keys,
        )
        self.faces = [layer.blocking]


class Encrypted(Direct):
    keys = ("new", "old")


class Sharded(Direct):
    lists = 2


class Joined(Memory):
    """Two daemons, of which the first has a worker, and a program."""

    turning: ReactorThread
    server: RedisServer
    patience = 30.0

    def __init__(self):
        self._site = Site(self.server, self.turning)
        self._hosts = [self._site.host(capacity=CAPACITY) for _ in range(2)]
        self._probes = [host.open("probe") for host in self._hosts]
        self._hosts[0].read("work")
        self._program = self._site.program(capacity=CAPACITY)
        self.faces = [*(host.threads for host in self._hosts), self._program]

    def is_asynchronous(self, face):
        return face is not self._program

    def is_kept_by(self, face):
        return face is self.faces[0]

    def flushed(self):
        n = next(_numbers)
        for host, probe in zip(self._hosts, self._probes, strict=True):
            self._program.send(probe, {"n": n})
            wait_until(lambda: n in host.numbers(probe), "the host has heard of it")  # noqa: B023

    def close(self):
        self._site.close()


class Served(Memory):
    """A daemon, of whose hub nothing is known but what three others see.

    They are two programs, and a worker with the connection that it was started with. They
    wait for all that they send to clients, so that the model knows what found no room.
    """

    turning: ReactorThread

    def __init__(self):
        self._daemon = Daemon(self.turning, capacity=CAPACITY)
        self._daemon.open()
        ours, theirs = socket.socketpair()
        self.turning.call(self._daemon.server.adopt, ours, "worker").board = Board()
        link = Link(theirs)
        link.start()
        programs = [self._daemon.program(capacity=CAPACITY) for _ in range(2)]
        worker = AttachedLayer(link, 86_400.0, self._daemon.path)
        self.faces = [layer.blocking for layer in (*programs, worker)]

    def is_asynchronous(self, face):
        return True

    def close(self):
        for face in self.faces:
            face.link().close()
        self._daemon.__exit__()


@dataclass
class Waiting:
    """A message that waits; if it is not certain, it may have found no room."""

    n: int
    channel: str
    sender: int
    is_certain: bool = True


def body(n):
    """A message of all kinds of values."""
    return {"n": n, "text": "ä\u2028", "bytes": b"\xff\n", "list": [None, True, 1.5, {"a": -1}]}


class LayerMachine(RuleBasedStateMachine):
    """The model: what waits in which channel, and who is in which group."""

    make_backend: type[Memory]

    def __init__(self):
        super().__init__()
        self.backend = self.make_backend()
        self.waiting = defaultdict(deque)
        self.members = {group: set() for group in GROUPS}
        self.n = 0
        self.unsettled = None
        self.maker = self.made = None
        self.has_left = False

    @initialize()
    def make_channel(self):
        self.maker = self.face(0)
        self.made = self.maker.new_channel("made?")

    def teardown(self):
        try:
            if sys.exc_info()[0] is None:  # else it would hide what has failed
                self.nothing_is_lost()
        finally:
            self.backend.close()

    def nothing_is_lost(self):
        for name in READABLE:
            while self.count(self.name(name))[0]:
                self.receive(1, [name])
        for name in READABLE:
            self.receive(1, [name])

    # What the model knows

    def face(self, who, *, settled=False):
        """One of the faces, for which the group operations of the others are done."""
        face = self.backend.faces[who % len(self.backend.faces)]
        if self.unsettled is not None and (settled or self.unsettled is not face):
            self.unsettled.group_channels("room")
            self.unsettled = None
        return face

    def will_be_done(self, face):
        if self.backend.is_asynchronous(face):
            self.unsettled = face

    def name(self, name):
        return self.made if name == MADE else name

    @property
    def is_kept(self):
        return self.backend.is_kept_by(self.maker)

    def lists(self, name):
        """In how many lists messages of *name* may wait."""
        if name == self.made:
            return 2 if self.is_kept else 1
        return 1 if "?" in name or "!" in name else self.backend.lists

    def count(self, name):
        """The least and the most messages that may wait in *name*."""
        waiting = self.waiting[name]
        return sum(one.is_certain for one in waiting), len(waiting)

    def sent(self, who, channel, n, *, found_room):
        """A send has ended so: it could."""
        name = owner_of(channel)
        least, most = self.count(name)
        if found_room:
            assert least < CAPACITY * self.lists(name)
            self.waiting[name].append(Waiting(n, channel, who))
        else:
            assert most >= CAPACITY

    def sent_to_group(self, who, group, n):
        """A group send has ended. Returns: the least and the most members without room."""
        certainly = possibly = 0
        for channel in self.members[group]:
            name = owner_of(channel)
            least, most = self.count(name)
            has_room = most < CAPACITY
            if not has_room:
                possibly += 1
            if least >= CAPACITY * self.lists(name):
                certainly += 1
            else:
                self.waiting[name].append(Waiting(n, channel, who, has_room))
        return certainly, possibly

    def received(self, names, channel, message):
        """A message came out: it was sent there, has not come before, and is next."""
        name = owner_of(channel)
        assert name in names
        assert message == body(message["n"])
        n = message["n"]
        taken = next(
            (one for one in self.waiting[name] if (one.n, one.channel) == (n, channel)), None
        )
        assert taken is not None, f"{n} in {channel} was not sent there, or comes again"
        self.waiting[name].remove(taken)
        older = [one for one in self.waiting[name] if one.is_certain and one.n < n]
        if name == self.made and self.is_kept:
            older = [one for one in older if one.sender == taken.sender]
            assert not older, f"{n} of sender {taken.sender} has overtaken {older}"
        else:
            most = CAPACITY * (self.lists(name) - 1)
            assert len(older) <= most, f"{n} in {channel} has overtaken {older}"

    # Sending

    @rule(who=faces, channel=channels)
    def send(self, who, channel):
        self.n += 1
        face, channel, message = self.face(who), self.name(channel), body(self.n)
        try:
            assert face.send(channel, message) is True
        except ChannelFull:
            self.sent(who, channel, self.n, found_room=False)
        else:
            message["list"].append("changed afterwards")
            self.sent(who, channel, self.n, found_room=True)

    @rule(who=faces, sends=sends)
    def send_many(self, who, sends):
        face = self.face(who)
        batch = [
            (kind, self.name(name), body(self.n + at)) for at, (kind, name) in enumerate(sends, 1)
        ]
        failed = face.send_many(batch)
        assert all(isinstance(error, ChannelFull) for _, error in failed)
        full = [message["n"] for (_, _, message), _ in failed]
        for kind, name, _ in batch:
            self.n += 1
            if kind == "group":
                self.sent_to_group(who, name, self.n)
            else:
                self.sent(who, name, self.n, found_room=self.n not in full)
        assert len(full) == len(set(full))
        self.will_be_done(face)

    # Receiving

    @rule(who=faces, names=st.lists(st.sampled_from(READABLE), min_size=1, unique=True))
    def receive(self, who, names):
        if self.is_kept and MADE in names:
            who %= 2  # only a host asks another for what it keeps
            self.has_left = self.has_left or who == 1
        names = [self.name(name) for name in names]
        face = self.face(who, settled=True)
        is_expected = any(self.count(name)[0] for name in names)
        until = time.monotonic() + self.backend.patience
        channel, message = face.receive(names)
        while channel is None and is_expected and time.monotonic() < until:
            Event().wait(0.01)
            channel, message = face.receive(names)
        if channel is not None:
            self.received(names, channel, message)
            return
        assert message is None
        assert not is_expected, f"nothing came of {[self.waiting[name] for name in names]}"
        if not self.backend.patience:
            for name in names:
                self.waiting[name].clear()  # of what was not certain

    # Groups

    @rule(who=faces, group=groups, channel=members)
    def group_add(self, who, group, channel):
        face = self.face(who)
        face.group_add(group, self.name(channel))
        self.members[group].add(self.name(channel))
        self.will_be_done(face)

    @rule(who=faces, group=groups, channel=members)
    def group_discard(self, who, group, channel):
        face = self.face(who)
        face.group_discard(group, self.name(channel))
        self.members[group].discard(self.name(channel))
        self.will_be_done(face)

    @rule(who=faces, group=groups)
    def group_channels(self, who, group):
        assert sorted(self.face(who).group_channels(group)) == sorted(self.members[group])

    @rule(who=faces, group=groups)
    def send_group(self, who, group):
        self.n += 1
        face = self.face(who)
        full = face.send_group(group, body(self.n))
        least, most = self.sent_to_group(who, group, self.n)
        if self.backend.is_asynchronous(face):
            least = 0  # it answers before Redis does
        assert least <= full <= most
        self.will_be_done(face)

    # The rest

    @rule(who=faces)
    def flush(self, who):
        self.face(who, settled=True).flush()
        self.backend.flushed()
        for name, waiting in self.waiting.items():
            if name == self.made and self.has_left:
                for one in waiting:
                    one.is_certain = False  # it may have been on its way to its reader
            else:
                waiting.clear()
        for members in self.members.values():
            members.clear()

    @rule(who=faces, name=st.sampled_from([*READABLE, None]))
    def statistics(self, who, name):
        """What waits in one channel, or in all."""
        names = [self.name(one) for one in (READABLE if name is None else [name])]
        face = self.face(0 if self.is_kept and self.made in names else who, settled=True)
        least, most = map(sum, zip(*map(self.count, names), strict=True))
        if self.has_left and self.made in names:
            least -= self.count(self.made)[0]  # what is on its way to its reader
        until = time.monotonic() + self.backend.patience
        while True:
            found = face.global_statistics() if name is None else face.channel_statistics(*names)
            pending = found["messages_pending"]
            if least <= pending <= most or time.monotonic() >= until:
                break
        assert least <= pending <= most


LIMITS = settings(max_examples=25, stateful_step_count=25, deadline=None)


class MemoryMachine(LayerMachine):
    make_backend = Memory


class DirectMachine(LayerMachine):
    make_backend = Direct


class EncryptedMachine(LayerMachine):
    make_backend = Encrypted


class ShardedMachine(LayerMachine):
    make_backend = Sharded


class JoinedMachine(LayerMachine):
    make_backend = Joined


class ServedMachine(LayerMachine):
    make_backend = Served


TestMemory = MemoryMachine.TestCase
TestDirect = DirectMachine.TestCase
TestEncrypted = EncryptedMachine.TestCase
TestSharded = ShardedMachine.TestCase
TestJoined = JoinedMachine.TestCase
TestServed = ServedMachine.TestCase
TestMemory.settings = TestDirect.settings = TestEncrypted.settings = LIMITS
TestSharded.settings = TestJoined.settings = TestServed.settings = LIMITS


@pytest.fixture(scope="module", autouse=True)
def servers():
    """Two servers and a reactor for all runs; each run has a prefix of its own."""
    with (
        RedisServer() as first,
        RedisServer() as second,
        ReactorThread() as turning,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(blocking, "MAX_UNAWAITED", 0)
        Direct.servers = [first, second]
        Joined.server, Joined.turning = first, turning
        Served.turning = turning
        yield
