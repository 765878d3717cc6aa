"""The hub: queues, demand, groups and books."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from txchannels.errors import ChannelFull, ConfigurationError


def subscribe(hub, *channels, demand=0):
    """A subscription, and the list of (channel, message) that it is sent."""
    got = []
    subscription = hub.subscribe(channels, lambda *one: got.append(one))
    if demand:
        subscription.request(demand)
    return subscription, got


def send_numbers(hub, channel, count):
    for n in range(count):
        hub.send(channel, {"n": n})


def numbers(got):
    return [message["n"] for _, message in got]


# Queues


def test_messages_are_received_in_the_order_they_were_sent(hub):
    send_numbers(hub, "chat", 5)
    assert [hub.take(["chat"])[1]["n"] for _ in range(5)] == [0, 1, 2, 3, 4]
    assert hub.take(["chat"]) is None


def test_messages_of_a_prefix_wait_together_and_keep_their_channels(hub):
    hub.send("sockets!a", {"n": 0})
    hub.send("sockets!b", {"n": 1})
    assert hub.take(["sockets!"]) == ("sockets!a", {"n": 0})
    assert hub.take(["sockets!"]) == ("sockets!b", {"n": 1})


def test_a_channel_at_capacity_refuses_and_books_it(hub):
    send_numbers(hub, "chat", 10)
    with pytest.raises(ChannelFull, match="chat"):
        hub.send("chat", {})
    account = hub.accounts()["chat"]
    assert (account.sent, account.pending, account.dropped["full"]) == (11, 10, 1)


def test_an_offer_that_finds_no_room_is_not_booked(hub):
    send_numbers(hub, "chat", 10)
    assert not hub.offer("chat", {})
    assert hub.accounts()["chat"].sent == 10


def test_the_sites_capacities_win_over_the_defaults(make_layer):
    hub = make_layer(channel_capacity={re.compile("http.request$"): 1, "chat*": 2}).hub
    for channel, capacity in (("http.request", 1), ("chat.a", 2), ("other", 10)):
        send_numbers(hub, channel, capacity)
        assert not hub.offer(channel, {})
    send_numbers(hub, "http.disconnect", 11)


@pytest.mark.parametrize("setting", ["expiry", "group_expiry"])
@pytest.mark.parametrize("value", [0, -1, "60", None, float("nan"), True])
def test_times_must_be_positive(make_layer, setting, value):
    with pytest.raises(ConfigurationError, match=setting):
        make_layer(**{setting: value})


def test_an_expired_message_is_not_delivered(hub, clock):
    hub.send("chat", {"n": 0})
    clock.advance(30)
    hub.send("chat", {"n": 1})
    clock.advance(30)
    assert hub.take(["chat"]) == ("chat", {"n": 1})
    clock.advance(60)
    hub.send("chat", {"n": 2})
    clock.advance(60)
    _, got = subscribe(hub, "chat", demand=5)
    assert got == []
    assert hub.accounts()["chat"].dropped["expired"] == 2


def test_expired_messages_make_room(hub, clock):
    send_numbers(hub, "chat", 10)
    clock.advance(60)
    assert hub.offer("chat", {"n": 10})
    assert hub.take(["chat"]) == ("chat", {"n": 10})


def test_a_sweep_drops_the_expired_and_lets_go_of_empty_channels(hub, clock):
    hub.send("chat", {})
    subscription, _ = subscribe(hub, "read")
    clock.advance(60)
    hub.sweep()
    assert set(hub._by_name) == {"read"}
    assert hub.accounts()["chat"].dropped["expired"] == 1
    subscription.cancel()
    hub.sweep()
    assert not hub._by_name


# Demand


def test_a_reader_is_sent_only_what_it_has_requested(hub):
    subscription, got = subscribe(hub, "chat")
    send_numbers(hub, "chat", 5)
    assert got == []
    subscription.request(2)
    assert numbers(got) == [0, 1]
    subscription.request(4)
    assert numbers(got) == [0, 1, 2, 3, 4]
    hub.send("chat", {"n": 5})
    hub.send("chat", {"n": 6})
    assert numbers(got) == [0, 1, 2, 3, 4, 5]


def test_cancel_tells_what_was_not_delivered_and_nothing_comes_after(hub):
    subscription, got = subscribe(hub, "chat", demand=3)
    hub.send("chat", {"n": 0})
    assert subscription.cancel() == 2
    assert subscription.cancel() == 0
    send_numbers(hub, "chat", 3)
    subscription.request(5)
    assert numbers(got) == [0]
    assert subscription.cancel() == 0
    assert not hub.is_wanted("chat")
    assert hub.accounts()["chat"].pending == 3


def test_a_reader_that_is_retired_is_sent_nothing_and_still_counts_as_one(hub):
    subscription, got = subscribe(hub, "chat", demand=3)
    hub.send("chat", {"n": 0})
    subscription.retire()
    hub.send("chat", {"n": 1})
    subscription.request(5)
    assert numbers(got) == [0]
    assert hub.is_wanted("chat")
    _, others = subscribe(hub, "chat", demand=1)
    assert numbers(others) == [1]
    assert subscription.cancel() == 0


def test_the_reader_that_has_requested_most_gets_the_message(hub):
    _, few = subscribe(hub, "chat", demand=1)
    _, many = subscribe(hub, "chat", demand=3)
    send_numbers(hub, "chat", 4)
    assert len(few) == 1
    assert len(many) == 3


def test_a_busy_channel_does_not_starve_a_quiet_one(hub):
    subscription, got = subscribe(hub, "busy", "quiet")
    send_numbers(hub, "busy", 10)
    hub.send("quiet", {"n": 0})
    subscription.request(1)
    subscription.request(1)
    assert ("quiet", {"n": 0}) in got


def test_one_request_takes_from_all_channels_in_turn(hub):
    send_numbers(hub, "busy", 10)
    send_numbers(hub, "quiet", 2)
    _, got = subscribe(hub, "busy", "quiet", demand=4)
    assert [channel for channel, _ in got].count("quiet") == 2


def test_taking_from_several_channels_starves_none(hub):
    hub.send("quiet", {})
    for _ in range(200):  # any of them comes first: half of the time the quiet one
        hub.send("busy", {})
        if hub.take(["busy", "quiet"])[0] == "quiet":
            return
    pytest.fail("the quiet channel was never the first")


def test_a_channel_named_twice_is_read_once(hub):
    subscription, got = subscribe(hub, "chat", "chat", demand=2)
    hub.send("chat", {"n": 0})
    assert len(got) == 1
    subscription.cancel()
    assert not hub.is_wanted("chat")


def test_a_subscription_needs_a_legal_channel(hub):
    with pytest.raises(ValueError, match="at least one"):
        hub.subscribe([], print)
    with pytest.raises(TypeError):
        hub.subscribe(["sockets!a"], print)


def test_a_channel_is_wanted_while_somebody_reads_it(hub):
    assert not hub.is_wanted("chat")
    subscription, _ = subscribe(hub, "chat")
    assert hub.is_wanted("chat")
    subscription.cancel()
    assert not hub.is_wanted("chat")


# Room


def test_whoever_waits_for_room_is_called_once_when_half_is_free(hub):
    calls = []
    send_numbers(hub, "chat", 10)
    hub.when_room("chat", lambda: calls.append(1))
    subscription, _ = subscribe(hub, "chat", demand=4)
    assert calls == []
    subscription.request(1)
    assert calls == [1]
    subscription.request(5)
    send_numbers(hub, "chat", 10)
    subscription.request(10)
    assert calls == [1]


def test_where_there_is_room_already_the_call_comes_at_once(hub):
    calls = []
    hub.when_room("chat", lambda: calls.append(1))
    send_numbers(hub, "chat", 9)
    hub.when_room("chat", lambda: calls.append(2))
    assert calls == [1, 2]


@pytest.mark.parametrize("how", ["flush", "drop", "expire", "sweep"])
def test_room_that_is_made_otherwise_is_told_too(hub, clock, how):
    calls = []
    send_numbers(hub, "chat", 10)
    hub.when_room("chat", lambda: calls.append(1))
    if how == "flush":
        hub.flush()
    elif how == "drop":
        hub.drop_channel("chat")
    else:
        clock.advance(60)
        hub.take(["chat"]) if how == "expire" else hub.sweep()
    assert calls == [1]


def test_who_waits_for_room_no_more_is_not_called(hub):
    calls = []
    send_numbers(hub, "chat", 10)
    callback = calls.append
    hub.when_room("chat", callback)
    hub.forget_room("chat", callback)
    hub.forget_room("chat", callback)
    hub.forget_room("other", callback)
    hub.flush()
    assert calls == []


# Channels that come and go


def test_a_new_channel_is_one_that_is_not_in_use(hub):
    names = {hub.new_channel("body?") for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("body?") and len(name) > 10 for name in names)


@pytest.mark.parametrize("pattern", ["body", "body!", "body.x", "", None, b"body?", "a!b?", "?"])
def test_a_new_channel_needs_a_pattern_that_ends_in_a_question_mark(hub, pattern):
    with pytest.raises(TypeError):
        hub.new_channel(pattern)


def test_a_dropped_channel_is_empty_and_counted(hub):
    send_numbers(hub, "body?x", 3)
    hub.drop_channel("body?x")
    hub.drop_channel("body?never")
    assert hub.take(["body?x"]) is None
    assert hub.accounts()["body?"].dropped["flushed"] == 3


def test_who_reads_a_dropped_channel_gets_what_is_sent_after(hub):
    # A view waits for its request's body when the client goes: it must hear of it.
    _, got = subscribe(hub, "body?x", demand=1)
    hub.drop_channel("body?x")
    hub.send("body?x", {"closed": True})
    assert got == [("body?x", {"closed": True})]


def test_flush_forgets_messages_and_groups(hub):
    send_numbers(hub, "chat", 3)
    hub.group_add("room", "chat")
    subscription, got = subscribe(hub, "other")
    hub.flush()
    assert hub.take(["chat"]) is None
    assert hub.group_channels("room") == []
    assert hub.accounts()["chat"].dropped["flushed"] == 3
    subscription.request(1)
    hub.send("other", {"n": 1})
    assert numbers(got) == [1]


# Groups


def test_a_group_send_reaches_every_member_with_a_message_of_its_own(hub):
    for member in ("a", "b"):
        hub.group_add("room", member)
    assert hub.send_group("room", {"list": []}) == 0
    first, second = hub.take(["a"])[1], hub.take(["b"])[1]
    first["list"].append(1)
    assert second == {"list": []}


def test_a_group_send_skips_and_counts_full_members(hub):
    for member in ("a", "b"):
        hub.group_add("room", member)
    send_numbers(hub, "a", 10)
    assert hub.send_group("room", {}) == 1
    assert hub.take(["b"]) == ("b", {})
    assert hub.accounts()["a"].dropped["full"] == 1
    assert hub.send_group("nobody", {}) == 0


def test_an_unowned_member_leaves_after_the_group_expiry(make_layer, clock):
    hub = make_layer(group_expiry=100).hub
    hub.group_add("room", "a")
    clock.advance(100)
    assert hub.group_channels("room") == []


def test_a_channel_that_nobody_reads_leaves_its_groups(hub, clock):
    hub.group_add("room", "a")
    hub.group_add("room", "sockets!b")
    hub.send_group("room", {})
    clock.advance(60)
    hub.sweep()
    assert hub.group_channels("room") == []


# Statistics


def test_statistics_speak_asgi(hub, clock):
    send_numbers(hub, "chat", 10)
    hub.offer("chat", {})
    hub.book_full("chat")
    hub.send("other", {})
    clock.advance(5)
    hub.take(["other"])
    assert hub.statistics("chat") == {
        "messages_count": 10,
        "messages_pending": 10,
        "messages_max_age": 5,
        "channel_full_count": 1,
    }
    assert hub.statistics() == {
        "messages_count": 11,
        "messages_pending": 10,
        "messages_max_age": 5,
        "channel_full_count": 1,
    }
    assert set(hub.statistics("never").values()) == {0}
    assert "never" not in hub.accounts()


def test_statistics_count_what_is_on_its_way_in_an_inbox(hub):
    inbox = hub.open_inbox("sockets!", lambda batch: None, lambda call: None)
    hub.offer(inbox.open("a"), {})
    assert hub.statistics()["messages_pending"] == 1
    assert hub.statistics("sockets!a")["messages_count"] == 1


def test_a_program_that_is_no_daemon_needs_no_twisted():
    program = (
        "import sys; from txchannels.layers.memory import MemoryLayer;"
        "MemoryLayer().blocking.send('a', {}); print('twisted' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize("channel", ["chat", "local!a"])
def test_a_renewed_membership_outlives_what_had_expired_before(make_layer, clock, channel):
    hub = make_layer(expiry=10).hub
    hub.send(channel, {})
    hub.group_add("room", channel)
    clock.advance(11)
    hub.group_add("room", channel)
    assert hub.take([channel, "local!"]) is None
    assert hub.group_channels("room") == [channel]
