"""A peer that says what it should not: dropped, or answered, and others are not disturbed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.layers.ipc.acting import DEAD, Stage, books
from txchannels.layers.interfaces import CHANNEL, GROUP
from txchannels.layers.ipc import calls, server
from txchannels.layers.ipc.frames import VERSION, Word, encode


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    books(stage.hub)


def is_unharmed(stage):
    """Whether another peer is served."""
    return stage.actor().call("group_channels", "room")[0] == Word.RESULT


# Greetings


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\xff" * 100,
        b"\0\0\0\0",
        encode(Word.CALL, 1, "flush", []),
        encode(Word.WELCOME, VERSION, {}),
        encode(Word.HELLO),
        encode(Word.HELLO, VERSION),
        encode(Word.HELLO, VERSION, "me"),
        encode(Word.HELLO, VERSION, 1, 2),
    ],
)
def test_whoever_does_not_greet_is_dropped(stage, data):
    actor = stage.actor(0)
    actor.say_bytes(data)
    assert actor.wire.is_dropped
    assert actor.heard() == []
    assert actor.lost == []
    assert is_unharmed(stage)


@pytest.mark.parametrize("greeting", [(VERSION + 1, 5), (0, 5), ("1", 5), (VERSION + 1, 5, "more")])
def test_another_version_is_told_what_to_do(stage, greeting):
    actor = stage.actor(0)
    actor.say(Word.HELLO, *greeting)
    [[word, number, kind, text]] = actor.heard()
    assert (word, number, kind) == (Word.ERROR, 0, "unavailable")
    assert "same release" in text
    assert actor.wire.is_finished
    assert not actor.wire.is_dropped


def test_a_second_greeting_is_no_word(stage):
    actor = stage.actor()
    actor.say(Word.HELLO, VERSION, DEAD)
    assert actor.wire.is_dropped


# Garbage after it


@pytest.mark.parametrize("word", [-1, 17, 2**60, *range(Word.WELCOME, Word.TELL, -1), Word.PING])
def test_words_that_a_client_does_not_say_drop_it(stage, word):
    actor = stage.actor()
    actor.say(word)
    assert actor.wire.is_dropped
    assert is_unharmed(stage)


@pytest.mark.parametrize(
    "fields",
    [
        (Word.CALL,),
        (Word.CALL, 1),
        (Word.CALL, 1, "flush"),
        (Word.CALL, 1, "flush", [], []),
        (Word.CALL, 1, ["flush"], []),
        (Word.SEND, 1, 0.0),
        (Word.SEND, 1, "soon", []),
        (Word.SEND, 1, None, []),
        (Word.SEND, 1, 0.0, 5),
        (Word.SEND, 1, 0.0, [5]),
        (Word.SUBSCRIBE, 1),
        (Word.SUBSCRIBE, 1, "a"),
        (Word.SUBSCRIBE, 1, []),
        (Word.SUBSCRIBE, 1, ["a b"]),
        (Word.SUBSCRIBE, [], ["a"]),
        (Word.REQUEST, 1),
        (Word.REQUEST, 1, "many", []),
        (Word.REQUEST, 1, 1, 5),
        (Word.REQUEST, {}, 1, []),
        (Word.CANCEL,),
        (Word.CANCEL, []),
        (Word.TELL,),
        (Word.TELL, 1, 2, 3),
    ],
)
def test_words_with_the_wrong_fields_drop_the_peer(stage, fields):
    actor = stage.actor()
    actor.say(Word.SUBSCRIBE, 1 if fields[0] == Word.REQUEST else 9, ["c"])
    actor.say(*fields)
    assert actor.wire.is_dropped
    assert actor.lost == []
    assert is_unharmed(stage)


def test_a_second_subscription_of_one_number_drops_the_peer(stage):
    actor = stage.actor()
    actor.say(Word.SUBSCRIBE, 1, ["a"])
    actor.say(Word.SUBSCRIBE, 1, ["b"])
    assert actor.wire.is_dropped
    assert not stage.hub.is_wanted("a")
    assert not stage.hub.is_wanted("b")


words = st.integers(-1, 18) | st.sampled_from(list(Word))
names = st.sampled_from(["a", "b", "c?x", "mine!x", "mine!", "no name", "room"])
methods = st.sampled_from(
    [
        "new_channel",
        "is_wanted",
        "offer",
        "send",
        "drop_channel",
        "when_room",
        "open_inbox",
        "inbox",
        *calls._BLOCKING,
        "receive",
        "__class__",
        "shutdown",
    ]
)
scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | names | st.binary()
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=6,
)
said = st.lists(
    st.one_of(
        st.tuples(words, anything, anything),
        st.tuples(st.just(Word.CALL), st.integers(0, 3), methods, st.lists(anything, max_size=4)),
        st.tuples(st.just(Word.SUBSCRIBE), st.integers(0, 3), st.lists(names, min_size=1)),
        st.tuples(st.just(Word.REQUEST), st.integers(0, 3), anything, st.lists(st.integers(0, 4))),
        st.tuples(st.just(Word.CANCEL), st.integers(0, 3)),
        st.tuples(
            st.just(Word.SEND),
            st.integers(0, 3),
            st.floats(),
            st.lists(
                st.tuples(
                    st.sampled_from([CHANNEL, GROUP, "other"]),
                    names,
                    st.just({"n": 1}) | anything,
                ),
                max_size=4,
            ),
        ),
    ),
    max_size=12,
)


@given(said, st.integers(0, 50))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_whatever_a_peer_says_the_books_balance_and_others_are_served(frames, seconds):
    stage = Stage()
    worker = stage.actor()
    worker.say(Word.SUBSCRIBE, 1, ["a", "b"])
    worker.say(Word.REQUEST, 1, 2, [])
    actor = stage.actor()
    for fields in frames:
        if actor.lost is None:
            actor.say(*fields)
    stage.turn(float(seconds))
    assert not worker.wire.is_dropped
    books(stage.hub)
    if actor.lost is None:
        actor.die()
    stage.turn(4000.0)
    assert not stage.clock.getDelayedCalls()
    books(stage.hub)
    assert is_unharmed(stage)


# Calls


@pytest.mark.parametrize(
    ("method", "arguments", "kind"),
    [
        ("no such", [], "type"),
        ("__init__", [], "type"),
        ("flush", [1], "type"),
        ("offer", ["a"], "type"),
        ("offer", ["a b", {}], "type"),
        ("offer", [5, {}], "type"),
        ("offer", [["a"], {}], "type"),
        ("offer", ["a", "text"], "type"),
        ("send", ["a", None], "type"),
        ("send", ["a b", {}], "type"),
        ("group_add", ["room"], "type"),
        ("group_add", ["a b", "a"], "type"),
        ("group_add", [["a"], "a"], "type"),
        ("send_group", ["room", 5], "type"),
        ("new_channel", ["a"], "type"),
        ("new_channel", [5], "type"),
        ("is_wanted", [["a"]], "type"),
        ("drop_channel", [{}], "type"),
        ("channel_statistics", [5], "type"),
        ("receive", [[], False, 0.0], "type"),
        ("receive", [["a"]], "type"),
        ("receive", [["a"], True, "soon"], "value"),
        ("receive", [["a!b"], True, 1.0], "type"),
        ("when_room", ["a b", 1], "type"),
        ("open_inbox", ["a"], "type"),
        ("open_inbox", [5], "type"),
        ("inbox", ["nobody!", "open", "a"], "value"),
    ],
)
def test_a_wrong_argument_is_answered_to_that_call_only(stage, method, arguments, kind):
    actor = stage.actor()
    frame = actor.call(method, *arguments)
    assert frame[0] == Word.ERROR
    assert frame[2] == kind
    assert frame[3]
    assert not actor.wire.is_dropped
    assert actor.call("group_channels", "room")[0] == Word.RESULT
    actor.die()
    assert not stage.clock.getDelayedCalls()


def test_a_prefix_has_one_owner_who_has_only_some_verbs(stage):
    first, second = stage.actor(), stage.actor()
    assert first.call("open_inbox", "mine!")[0] == Word.RESULT
    assert second.call("open_inbox", "mine!")[2] == "value"
    assert first.call("inbox", "mine!", "close_all", "")[2] == "value"
    assert first.call("inbox", "mine!", "open", 5)[2] == "type"
    first.die()
    assert second.call("open_inbox", "mine!")[0] == Word.RESULT


def test_a_call_that_nobody_waits_for_is_not_answered(stage):
    actor = stage.actor()
    actor.say(Word.CALL, 0, "group_add", ["room", "a"])
    actor.say(Word.CALL, 0, "no such", [])
    assert actor.heard() == []
    assert stage.layer.group_channels("room") == ["a"]


# Peers that do not read


def test_a_peer_that_does_not_read_is_dropped_and_others_are_not(stage):
    stage.layer.send("a", {"n": 0})
    slow, other = stage.actor(), stage.actor()
    slow.wire.unsent_bytes = server.MAX_UNSENT_BYTES + 1
    slow.say(Word.SUBSCRIBE, 1, ["a"])
    slow.say(Word.REQUEST, 1, 1, [])
    assert slow.wire.is_dropped
    assert slow.lost == []
    other.say(Word.SUBSCRIBE, 1, ["a"])
    other.say(Word.REQUEST, 1, 1, [])
    stage.layer.send("a", {"n": 1})
    assert other.delivered() == [1]


# What cannot be sent on


def test_a_message_that_cannot_be_carried_is_lost_and_the_next_comes(stage):
    actor = stage.actor()
    actor.say(Word.SUBSCRIBE, 1, ["a"])
    actor.say(Word.REQUEST, 1, 2, [])
    for message in ({"n": object()}, {"n": b"x" * 2**21}, {"n": 3}, {"n": 4}, {"n": 5}):
        stage.hub.send("a", message)  # as a part of the daemon does, which copies nothing
        stage.turn()
    assert actor.delivered() == [3, 4]
    assert books(stage.hub).lost == 2
    assert actor.peer.requested == 0
    assert stage.take_all("a") == [5]


@pytest.mark.parametrize("block", [False, True])
def test_a_receive_of_what_cannot_be_carried_finds_nothing(stage, block):
    actor = stage.actor()
    stage.hub.send("a", {"n": object()})
    assert actor.call("receive", ["a"], block, 1.0) == [Word.RESULT, 77, [None, None]]
    assert books(stage.hub).lost == 1
    stage.hub.send("a", {"n": 1})
    assert actor.call("receive", ["a"], block, 1.0) == [Word.RESULT, 77, ["a", {"n": 1}]]


def test_an_inbox_gets_the_rest_of_a_batch_of_which_one_cannot_be_carried(stage):
    actor = stage.actor()
    actor.call("open_inbox", "mine!")
    for name in "ab":
        actor.call("inbox", "mine!", "open", name)
        stage.layer.group_add("room", f"mine!{name}")
    stage.hub.send("mine!a", {"n": object()})
    stage.hub.send_group("room", {"n": object()})
    stage.hub.send("mine!b", {"n": 1})
    assert actor.heard() == [[Word.BATCH, "mine!", "mine!b", {"n": 1}]]
    assert books(stage.hub).lost == 3


def test_a_group_of_more_members_than_a_frame_can_name_gets_its_message(stage, monkeypatch):
    actor = stage.actor()
    actor.call("open_inbox", "mine!")
    members = {f"mine!{n:090}" for n in range(20_000)}
    inbox = actor.peer._calls._inboxes["mine!"]
    for member in members:
        inbox.open(member.removeprefix("mine!"))
        stage.hub.group_add("room", member)
    assert stage.hub.send_group("room", {"n": 1}) == 0
    batches = actor.heard()
    assert len(batches) == 2
    assert {one for batch in batches for one in batch[2]} == members
    assert books(stage.hub).lost == 0


# Receiving


def test_a_receive_that_waits_gets_what_comes(stage):
    actor = stage.actor()
    actor.say(Word.CALL, 1, "receive", [["a"], True, 5.0])
    stage.turn(4.9)
    assert actor.heard() == []
    stage.layer.send("a", {"n": 1})
    assert actor.heard() == [[Word.RESULT, 1, ["a", {"n": 1}]]]
    assert not stage.clock.getDelayedCalls()
    assert not stage.hub.is_wanted("a")


def test_a_receive_that_waits_in_vain_is_told_so(stage):
    actor = stage.actor()
    actor.say(Word.CALL, 1, "receive", [["a"], True, 5.0])
    stage.turn(5.0)
    assert actor.heard() == [[Word.RESULT, 1, [None, None]]]
    assert not stage.hub.is_wanted("a")


@pytest.mark.parametrize("seconds", [float("nan"), float("-inf"), -1.0, 0.0])
def test_a_receive_may_have_no_time(stage, seconds):
    assert stage.actor().call("receive", ["a"], True, seconds)[2] == [None, None]


def test_a_receive_waits_for_an_hour_at_most(stage):
    actor = stage.actor()
    actor.say(Word.CALL, 1, "receive", [["a"], True, float("inf")])
    stage.turn(calls.MAX_RECEIVE_SECONDS)
    assert actor.heard() == [[Word.RESULT, 1, [None, None]]]


def test_a_busy_channel_does_not_starve_a_quiet_one(stage):
    actor = stage.actor()
    stage.layer.send("quiet", {"n": 0})
    for _ in range(60):
        stage.layer.send("busy", {"n": 1})
        channel, _ = actor.call("receive", ["quiet", "busy"], True, 1.0)[2]
        if channel == "quiet":
            break
        stage.layer.receive(["nothing"])
    assert channel == "quiet"


def test_what_a_dying_peer_was_about_to_receive_is_the_next_again(stage):
    stage.layer.send("a", {"n": 1})
    stage.layer.send("a", {"n": 2})
    actor = stage.actor()
    actor.peer.received(encode(Word.CALL, 1, "receive", [["a"], True, 5.0]))
    actor.die()  # in the same turn
    assert actor.heard() == []
    assert stage.take_all("a") == [1, 2]
    assert not stage.clock.getDelayedCalls()


def test_what_a_thread_has_received_for_a_dead_peer_is_the_next_again(stage):
    calls = []
    stage.served.in_thread = lambda *call: calls.append(call)
    stage.layer.send("a", {"n": 1})
    actor = stage.actor()
    actor.say(Word.CALL, 1, "receive", [["a"], False, 0.0])
    [(call, tell)] = calls
    taken = call()
    actor.die()
    tell(taken)
    assert stage.take_all("a") == [1]


def test_a_subscription_is_cancelled_after_all_that_was_delivered(stage):
    actor = stage.actor()
    actor.say(Word.SUBSCRIBE, 1, ["a"])
    actor.say(Word.REQUEST, 1, 3, [])
    stage.layer.send("a", {"n": 1})
    actor.say(Word.CANCEL, 1)
    assert [frame[0] for frame in actor.heard()] == [Word.DELIVER, Word.CANCELLED]
    stage.layer.send("a", {"n": 2})
    assert actor.heard() == []
    actor.say(Word.CANCEL, 1)
    assert actor.heard() == [[Word.CANCELLED, 1, 0]]


def test_a_peer_that_is_retired_is_handed_nothing_though_it_goes_on_asking(stage):
    old, new = stage.actor(), stage.actor()
    for actor in (old, new):
        actor.say(Word.SUBSCRIBE, 1, ["a"])
    old.say(Word.REQUEST, 1, 3, [])
    old.peer.retire()
    stage.layer.send("a", {"n": 1})
    old.say(Word.REQUEST, 1, 2, [])
    assert old.heard() == []
    new.say(Word.REQUEST, 1, 1, [])
    assert [frame[0] for frame in new.heard()] == [Word.DELIVER]
    old.say(Word.CANCEL, 1)
    assert old.heard() == [[Word.CANCELLED, 1, 0]]


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_peer_may_disconnect_at_every_moment(data):
    stage = Stage()
    whole = [
        encode(Word.SUBSCRIBE, 1, ["a", "b"]),
        encode(Word.REQUEST, 1, 3, []),
        encode(Word.CALL, 1, "receive", [["a"], True, 5.0]),
        encode(Word.SEND, 0, 5.0, [[CHANNEL, "c", {"n": n}] for n in range(6)]),
        encode(Word.CALL, 2, "open_inbox", ["mine!"]),
        encode(Word.CALL, 3, "inbox", ["mine!", "open", "a"]),
        encode(Word.SEND, 1, 1.0, [[CHANNEL, "mine!a", {"n": n}] for n in range(200)]),
        encode(Word.CALL, 4, "receive", [["b"], False, 0.0]),
        encode(Word.CANCEL, 1),
    ]
    stream = b"".join(whole)
    stop = data.draw(st.integers(0, len(stream)))
    turns = data.draw(st.lists(st.integers(0, stop), max_size=4))
    for n in range(data.draw(st.integers(0, 5))):
        stage.hub.offer("a", {"n": n})
    actor = stage.actor()
    for a, b in zip([0, *sorted(turns)], [*sorted(turns), stop], strict=True):
        actor.peer.received(stream[a:b])
        if data.draw(st.booleans()):
            stage.turn()
        stage.hub.offer("b", {"n": 0})
    actor.peer.lost()
    books(stage.hub)
    stage.turn(10.0)
    books(stage.hub)
    assert not stage.clock.getDelayedCalls()
    assert not any(stage.hub.is_wanted(name) for name in "abc")
