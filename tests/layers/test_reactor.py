"""The face for the reactor."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txchannels.errors import ChannelFull
from txchannels.layers.interfaces import IInbox, IReactorLayer, ISubscription
from txchannels.layers.reactor import RECEIVE_SECONDS

result_of = SynchronousTestCase().successResultOf
no_result_of = SynchronousTestCase().assertNoResult


@pytest.fixture
def calls():
    return []


@pytest.fixture
def layer(make_layer, calls, clock):
    return make_layer().reactor(calls.append, clock)


def turn(calls):
    while calls:
        calls.pop(0)()


def test_it_is_what_the_interfaces_say(layer):
    assert verifyObject(IReactorLayer, layer)
    assert verifyObject(IInbox, layer.open_inbox("sockets!", print))
    assert verifyObject(ISubscription, layer.subscribe(["chat"], print))


def test_a_send_that_finds_no_room_is_booked_and_an_offer_is_not(layer):
    for _ in range(10):
        layer.send("chat", {})
    assert not layer.offer("chat", {})
    with pytest.raises(ChannelFull):
        layer.send("chat", {})
    assert layer.hub.accounts()["chat"].dropped["full"] == 1


def test_room_is_told_in_the_reactors_thread(layer, calls):
    told = []
    for _ in range(10):
        layer.send("chat", {})
    layer.when_room("chat", lambda: told.append(1))
    layer.drop_channel("chat")
    assert told == []
    turn(calls)
    assert told == [1]


def test_an_inbox_wakes_the_reactor(layer, calls):
    batches = []
    channel = layer.open_inbox("sockets!", batches.append).open("a")
    layer.send(channel, {})
    turn(calls)
    assert batches == [[(channel, {})]]


def test_a_message_that_waits_is_received_at_once(layer, clock):
    layer.send("chat", {"n": 0})
    assert result_of(layer.receive_twisted(["other", "chat"])) == ("chat", {"n": 0})
    assert clock.getDelayedCalls() == []


def test_a_message_that_comes_later_is_received_in_the_reactors_thread(layer, calls, clock):
    received = layer.receive_twisted(["chat"])
    layer.send("chat", {"n": 0})
    no_result_of(received)
    turn(calls)
    assert result_of(received) == ("chat", {"n": 0})
    assert clock.getDelayedCalls() == []
    assert not layer.is_wanted("chat")


def test_only_one_message_is_taken(layer, calls):
    received = layer.receive_twisted(["chat"])
    layer.send("chat", {"n": 0})
    layer.send("chat", {"n": 1})
    turn(calls)
    assert result_of(received)[1] == {"n": 0}
    assert result_of(layer.receive_twisted(["chat"]))[1] == {"n": 1}


def test_nothing_is_received_after_a_timeout(layer, calls, clock):
    received = layer.receive_twisted(["chat"])
    clock.advance(RECEIVE_SECONDS)
    assert result_of(received) == (None, None)
    assert not layer.is_wanted("chat")
    layer.send("chat", {"n": 0})
    assert calls == []


def test_a_message_on_its_way_at_the_timeout_is_received(layer, calls, clock):
    received = layer.receive_twisted(["chat"])
    layer.send("chat", {"n": 0})
    clock.advance(RECEIVE_SECONDS)
    no_result_of(received)
    turn(calls)
    assert result_of(received) == ("chat", {"n": 0})


def test_a_cancelled_receive_takes_nothing(layer, calls, clock):
    received = layer.receive_twisted(["chat"])
    received.cancel()
    SynchronousTestCase().failureResultOf(received, CancelledError)
    layer.send("chat", {"n": 0})
    assert layer.hub.take(["chat"]) == ("chat", {"n": 0})
    assert clock.getDelayedCalls() == []


def test_cancelling_does_not_lose_a_message_on_its_way(layer, calls, clock):
    received = layer.receive_twisted(["chat"])
    layer.send("chat", {"n": 0})
    received.cancel()
    assert result_of(received) == ("chat", {"n": 0})
    turn(calls)
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("channels", ["chat", [], ["sockets!a"]])
def test_what_cannot_be_received_from_is_refused(layer, channels):
    with pytest.raises(TypeError):
        layer.receive_twisted(channels)


def test_without_a_clock_there_is_no_twisted_extension(make_layer, layer):
    assert layer.extensions == ["twisted"]
    bare = make_layer().reactor(print)
    assert bare.extensions == []
    with pytest.raises(RuntimeError, match="clock"):
        bare.receive_twisted(["chat"])
