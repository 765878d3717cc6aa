"""The hub against a simple model: whatever is done to it, in whatever order.

It never exceeds a capacity, never reorders, never duplicates, never delivers after
expiry, sends a reader no more than it asked for and no less, and its books balance.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.internet.task import Clock

from txchannels.errors import ChannelClosed, ChannelFull
from txchannels.layers.accounts import family_of
from txchannels.layers.memory import MemoryLayer
from txchannels.layers.names import owner_of

CAPACITIES = {"a": 1, "b": 3, "body?1": 2, "local!": 3, "own!": 2}
EXPIRY = 10.0
GROUP_EXPIRY = 25.0

UNOWNED = ["a", "b", "body?1", "local!x", "local!y"]
OWNED = ["own!1", "own!2", "own!3"]
READABLE = ["a", "b", "body?1", "local!"]
GROUPS = ["room", "hall"]

unowned = st.sampled_from(UNOWNED)
owned = st.sampled_from(OWNED)
readable = st.lists(st.sampled_from(READABLE), min_size=1, max_size=4, unique=True)
groups = st.sampled_from(GROUPS)


class Reader:
    """A subscription, and how much it may still be sent."""

    def __init__(self, machine, channels):
        self.channels = channels
        self.demand = 0
        self.subscription = machine.hub.subscribe(
            channels, lambda *message: machine.received(*message, reader=self)
        )


class HubMachine(RuleBasedStateMachine):
    """The model: what waits where until when, who wants how much, what became of the rest."""

    @initialize()
    def start(self):
        self.clock = Clock()
        layer = MemoryLayer(
            capacity=10,
            channel_capacity=CAPACITIES,
            expiry=EXPIRY,
            group_expiry=GROUP_EXPIRY,
            clock=self.clock.seconds,
        )
        self.hub = layer.hub
        self.calls = []
        self.batches = []
        self.inbox = self.hub.open_inbox("own!", self.batches.extend, self.calls.append)
        self.waiting = defaultdict(deque)  # by queue: (when it expires, channel, n)
        self.on_their_way = []  # to the inbox: (channels, n)
        self.paused = set()
        self.readers = []
        self.members = {group: {} for group in GROUPS}  # channel: when it lapses
        self.may_be_evicted = set()
        self.sent, self.delivered, self.full = Counter(), Counter(), Counter()
        self.room_asked = self.room_told = 0
        self.n = 0

    # What the model knows

    def forget_expired(self, name):
        waiting = self.waiting[name]
        while waiting and waiting[0][0] <= self.clock.seconds():
            _, channel, _ = waiting.popleft()
            self.may_be_evicted.add(channel)

    def received(self, channel, message, reader=None):
        """A message came out: it is the first of those that wait, and in time."""
        name = owner_of(channel)
        self.forget_expired(name)
        assert self.waiting[name].popleft()[1:] == (channel, message["n"])
        self.delivered[family_of(channel)] += 1
        if reader is not None:
            assert name in reader.channels
            reader.demand -= 1
            assert reader.demand >= 0

    def expect_room(self, channel):
        name = owner_of(channel)
        self.forget_expired(name)
        has_demand = any(name in one.channels and one.demand > 0 for one in self.readers)
        return has_demand or len(self.waiting[name]) < CAPACITIES[name]

    def expect_sent(self, channel, n):
        """Tell the model of a send that will succeed, before it is made."""
        entry = (self.clock.seconds() + EXPIRY, channel, n)
        self.waiting[owner_of(channel)].append(entry)

    # Sending

    @rule(channel=unowned, books=st.booleans())
    def send(self, channel, books):
        self.n += 1
        has_room = self.expect_room(channel)
        if has_room:
            self.expect_sent(channel, self.n)
        if not books:
            assert self.hub.offer(channel, {"n": self.n}) == has_room
            self.sent[family_of(channel)] += has_room
            return
        self.sent[family_of(channel)] += 1
        try:
            self.hub.send(channel, {"n": self.n})
        except ChannelFull:
            assert not has_room
            self.full[family_of(channel)] += 1
        else:
            assert has_room

    @rule(channel=owned)
    def send_to_owned(self, channel):
        self.n += 1
        count = sum(channels == channel for channels, _ in self.on_their_way)
        try:
            has_room = self.hub.offer(channel, {"n": self.n})
        except ChannelClosed:
            assert channel not in self.inbox
            self.sent["own!"] += 1
            return
        assert has_room == (count < CAPACITIES["own!"] and channel not in self.paused)
        if has_room:
            self.sent["own!"] += 1
            self.on_their_way.append((channel, self.n))

    @rule(channel=unowned)
    def wait_for_room(self, channel):
        def told():
            self.room_told += 1

        self.room_asked += 1
        self.hub.when_room(channel, told)

    # Reading

    @precondition(lambda self: len(self.readers) < 4)
    @rule(channels=readable)
    def subscribe(self, channels):
        self.readers.append(Reader(self, channels))

    @precondition(lambda self: self.readers)
    @rule(data=st.data(), count=st.integers(1, 4))
    def request(self, data, count):
        reader = data.draw(st.sampled_from(self.readers))
        reader.demand += count
        reader.subscription.request(count)

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def cancel(self, data):
        reader = data.draw(st.sampled_from(self.readers))
        self.readers.remove(reader)
        assert reader.subscription.cancel() == reader.demand
        reader.demand = 0
        reader.subscription.request(3)  # it would be seen in `received`

    @rule(channels=readable)
    def take(self, channels):
        taken = self.hub.take(channels)
        for name in channels:
            self.forget_expired(name)
        assert (taken is None) == (not any(self.waiting[name] for name in channels))
        if taken is not None:
            self.received(*taken)

    # The inbox

    @rule(channel=owned)
    def open(self, channel):
        if channel not in self.inbox:
            # the real owner never uses a name again: let go of what was for the old one
            self.drain()
            self.inbox.open(channel.removeprefix("own!"))

    @rule(channel=owned)
    def close(self, channel):
        self.inbox.close(channel)
        self.paused.discard(channel)
        for members in self.members.values():
            members.pop(channel, None)

    @rule(channel=owned)
    def pause(self, channel):
        self.inbox.pause(channel)
        if channel in self.inbox:
            self.paused.add(channel)

    @rule(channel=owned)
    def resume(self, channel):
        self.inbox.resume(channel)
        self.paused.discard(channel)

    @rule()
    def drain(self):
        assert len(self.calls) == bool(self.on_their_way)
        self.batches.clear()
        for call in self.calls:
            call()
        self.calls.clear()
        expected = [
            (channels, n)
            for channels, n in self.on_their_way
            if not isinstance(channels, str) or channels in self.inbox
        ]
        assert [(channels, message["n"]) for channels, message in self.batches] == expected
        for channels, _ in expected:
            self.delivered["own!"] += 1 if isinstance(channels, str) else len(channels)
        self.on_their_way.clear()

    # Groups

    @rule(group=groups, channel=st.sampled_from(UNOWNED + OWNED))
    def group_add(self, group, channel):
        self.hub.group_add(group, channel)
        if channel.startswith("own!"):
            if channel in self.inbox:
                self.members[group][channel] = float("inf")
        else:
            self.evict(channel)
            self.members[group][channel] = self.clock.seconds() + GROUP_EXPIRY

    def evict(self, channel):
        """A message that has expired unread ends the memberships that there were until now."""
        self.forget_expired(owner_of(channel))
        if channel in self.may_be_evicted:
            self.may_be_evicted.remove(channel)
            for members in self.members.values():
                members.pop(channel, None)

    @rule(group=groups, channel=st.sampled_from(UNOWNED + OWNED))
    def group_discard(self, group, channel):
        self.hub.group_discard(group, channel)
        self.members[group].pop(channel, None)

    @rule(group=groups)
    def send_group(self, group):
        self.n += 1
        members = self.check_members(group)
        full = 0
        owned_members = tuple(one for one in members if one in OWNED)
        if owned_members:
            self.sent["own!"] += len(owned_members)
            self.on_their_way.append((owned_members, self.n))
        for channel in members[len(owned_members) :]:
            self.sent[family_of(channel)] += 1
            if self.expect_room(channel):
                self.expect_sent(channel, self.n)
            else:
                self.full[family_of(channel)] += 1
                full += 1
        assert self.hub.send_group(group, {"n": self.n}) == full

    def check_members(self, group):
        """The members: those of the model, less those that let a message expire."""
        now = self.clock.seconds()
        members = self.hub.group_channels(group)
        expected = {one for one, until in self.members[group].items() if until > now}
        for name in READABLE:
            self.forget_expired(name)
        assert len(set(members)) == len(members)
        assert set(members) <= expected
        assert expected - set(members) <= self.may_be_evicted
        for channel in expected - set(members):
            del self.members[group][channel]
        return members

    # Time, and the end of things

    @rule(seconds=st.sampled_from([0.5, 4.0, EXPIRY, GROUP_EXPIRY]))
    def advance(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def sweep(self):
        self.hub.sweep()
        assert all(queue.waiting or queue.readers for queue in self.hub._by_name.values()), (
            "an empty channel that nobody reads was kept"
        )

    @rule(channel=st.sampled_from(["a", "body?1"]))
    def drop(self, channel):
        self.hub.drop_channel(channel)
        self.waiting[channel].clear()

    @rule()
    def flush(self):
        self.hub.flush()
        self.waiting.clear()
        for members in self.members.values():
            members.clear()

    # What always holds

    @invariant()
    def nothing_waits_for_which_somebody_has_asked(self):
        for reader in self.readers:
            for name in reader.channels if reader.demand else ():
                self.forget_expired(name)
                assert not self.waiting[name]

    @invariant()
    def capacities_are_kept(self):
        for name, queue in self.hub._by_name.items():
            assert len(queue.waiting) <= CAPACITIES[name]

    @invariant()
    def nobody_waits_for_room_who_has_it(self):
        queues = self.hub._by_name.values()
        assert self.room_asked - self.room_told == sum(len(one.waiting_for_room) for one in queues)
        for queue in queues:
            assert not queue.waiting_for_room or len(queue.waiting) > queue.capacity // 2

    @invariant()
    def the_books_balance(self):
        books = self.hub.accounts()
        pending = Counter()
        for name, queue in self.hub._by_name.items():
            pending[family_of(name)] += len(queue.waiting)
        for channels, _ in self.on_their_way:
            pending["own!"] += 1 if isinstance(channels, str) else len(channels)
        assert self.hub._queues.waiting + pending["own!"] == pending.total()
        for family in map(family_of, CAPACITIES):
            account = books.get(family)
            if account is not None:
                assert account.sent == self.sent[family]
                assert account.delivered == self.delivered[family]
                assert account.dropped["full"] == self.full[family]
                assert account.pending == pending[family]
                assert account.lost == 0


HubMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestHub = HubMachine.TestCase
