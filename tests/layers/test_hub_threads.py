"""The hub under threads: everything that was sent is somewhere, once. Bounded by counts."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from queue import SimpleQueue

import pytest

from txchannels.errors import ChannelClosed, ChannelFull
from txchannels.layers.memory import MemoryLayer

GUARD_SECONDS = 60
SENDERS = 4
MESSAGES = 1500
CHANNELS = ("a", "b", "local!x", "local!y")


@pytest.fixture(autouse=True)
def short_turns():
    """Threads interrupt each other as often as the interpreter lets them."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def run_together(*targets):
    """Run all, each in a thread of its own, from one start; what one raises is raised."""
    start, failures = threading.Barrier(len(targets)), []

    def run(target):
        start.wait(GUARD_SECONDS)
        try:
            target()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(target,), daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD_SECONDS)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


class Senders:
    """Threads that call *send* with (sender, n); the last one tells that all is sent.

    `outcomes` counts what *send* returned.
    """

    def __init__(self, send):
        self.outcomes = Counter()
        self.is_over = False
        self._send = send
        self._left = SENDERS
        self._lock = threading.Lock()

    def targets(self, tell=lambda: None):
        return [lambda sender=sender: self._run(sender, tell) for sender in range(SENDERS)]

    def _run(self, sender, tell):
        mine = Counter(self._send(sender, n) for n in range(MESSAGES))
        with self._lock:
            self.outcomes.update(mine)
            self._left -= 1
            self.is_over = not self._left
        tell()


def test_whatever_threads_do_every_message_is_accounted_for():
    hub = MemoryLayer(capacity=20).hub
    received = []

    def deliver(channel, message):
        received.append((channel, *message["id"]))  # with the hub's lock held: in order

    def send(sender, n):
        channel = CHANNELS[n % len(CHANNELS)]
        try:
            hub.send(channel, {"id": (sender, n)})
        except ChannelFull:
            return channel, "full"
        return channel, "sent"

    def read():
        while not senders.is_over:
            subscription = hub.subscribe(["a", "b", "local!"], deliver)
            for _ in range(20):
                subscription.request(3)
            subscription.cancel()
            taken = hub.take(["b", "local!"])
            assert taken is None or received.append((taken[0], *taken[1]["id"])) is None

    senders = Senders(send)
    run_together(*senders.targets(), read, read)
    hub.subscribe(["a", "b", "local!"], deliver).request(10**6)

    assert len(received) == len(set(received)), "a message came twice"
    books = hub.accounts()
    for family, channels in (("a", ["a"]), ("b", ["b"]), ("local!", ["local!x", "local!y"])):
        sent = sum(senders.outcomes[channel, "sent"] for channel in channels)
        full = sum(senders.outcomes[channel, "full"] for channel in channels)
        account = books[family]
        assert (account.sent, account.delivered) == (sent + full, sent)
        assert (account.dropped["full"], account.pending) == (full, 0)
        assert sent == sum(channel in channels for channel, _, _ in received)


def test_no_thread_sees_a_senders_messages_in_another_order():
    hub = MemoryLayer(capacity=10**6).hub
    received = []

    def read():
        subscription = hub.subscribe(
            CHANNELS[:2], lambda channel, message: received.append((channel, *message["id"]))
        )
        while not senders.is_over:
            subscription.request(2)
        subscription.request(10**6)

    def send(sender, n):
        hub.send(CHANNELS[n % 2], {"id": (sender, n)})

    senders = Senders(send)
    run_together(*senders.targets(), read, read)
    assert len(received) == SENDERS * MESSAGES
    for which in {(channel, sender) for channel, sender, _ in received}:
        numbers = [n for channel, sender, n in received if (channel, sender) == which]
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("capacity", [1, 50])
def test_an_inbox_under_threads_loses_and_invents_nothing(capacity):
    hub = MemoryLayer(capacity=capacity).hub
    calls, batches = SimpleQueue(), []
    inbox = hub.open_inbox("own!", batches.extend, calls.put)
    channels = [inbox.open(str(n)) for n in range(8)]
    for channel in channels:
        hub.group_add("room", channel)

    def send(sender, n):
        channel = channels[n % len(channels)]
        if n % 50 == 0:
            hub.send_group("room", {"id": (sender, n)})
        if n % 51 == 0:
            hub.book_full(channel)
            return "booked full"
        try:
            return "taken" if hub.offer(channel, {"id": (sender, n)}) else "no room"
        except ChannelClosed:
            return "closed"

    def drain():
        closing = iter(channels[::2])
        while not senders.is_over or not calls.empty():
            calls.get(timeout=GUARD_SECONDS)()
            inbox.close(next(closing, "own!none"))

    senders = Senders(send)
    run_together(*senders.targets(lambda: calls.put(int)), drain)

    outcomes = senders.outcomes
    account = hub.accounts()["own!"]
    singles = [(one, message["id"]) for one, message in batches if isinstance(one, str)]
    to_groups = sum(len(one) for one, _ in batches if not isinstance(one, str))
    assert len(singles) == len(set(singles))
    assert outcomes.total() == SENDERS * MESSAGES
    assert account.pending == 0
    assert account.delivered == len(singles) + to_groups
    assert account.dropped["full"] == outcomes["booked full"]
    assert account.dropped["closed"] == outcomes["closed"] + outcomes["taken"] - len(singles)


def test_a_wait_for_room_is_told_once_and_in_time():
    """Senders that wait, a reader that is slow to ask: all is sent, nobody waits in vain."""
    layer = MemoryLayer(capacity=2)
    received = []

    def send(sender):
        for n in range(300):
            layer.blocking.send("a", {"id": (sender, n)}, wait=GUARD_SECONDS)

    def receive():
        while len(received) < 3 * 300:
            _, message = layer.blocking.receive(["a"], block=True, timeout=GUARD_SECONDS)
            received.append(tuple(message["id"]))

    run_together(*[lambda n=n: send(n) for n in range(3)], receive)
    assert len(set(received)) == 900
    assert layer.hub._by_name["a"].waiting_for_room == []
    account = layer.hub.accounts()["a"]
    assert (account.sent, account.delivered, account.dropped.total()) == (900, 900, 0)
