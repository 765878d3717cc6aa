"""What the workers do, with the tools that users test with: in a plain transaction."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError, ProgrammingError
from django.utils import timezone

from txchannels.django import Channel, Group, route
from txchannels.django.delay import consumers, patience, sending
from txchannels.django.delay.models import DelayedMessage
from txchannels.django.delay.routing import delay_routing
from txchannels.django.dispatch import Dispatcher
from txchannels.django.exceptions import ConsumeLater
from txchannels.django.routing import Router
from txchannels.django.test import ChannelTestCase, Client, apply_routes
from txchannels.messages import DELAY_CLOCKS

TABLE = "txchannels_delay_delayedmessage"
GOOD = {"channel": "out", "delay": 60_000, "content": {"text": "later"}}


def ask(message):
    Channel("asgi.delay").send(
        {
            "channel": message.reply_channel.name,
            "delay": 60_000,
            "content": {"text": message["text"]},
        }
    )


@pytest.mark.usefixtures("tables")
@apply_routes([*delay_routing, route("websocket.receive", ask)])
class TestAReplyForLater(ChannelTestCase):
    """As a user writes it."""

    def test_it_is_stored_sent_when_it_is_due_and_gone(self):
        client = Client()
        client.send_and_consume("websocket.receive", {"text": "hello"})
        client.consume("asgi.delay")
        row = DelayedMessage.objects.get()
        assert row.channel_name == client.reply_channel
        assert timedelta(seconds=50) < row.due_date - timezone.now() <= timedelta(seconds=60)

        client.send_and_consume("txchannels.delay", {"order": 1})
        assert client.receive() == {"order": 1, "sent": 0, "given_up": 0}

        row.delay = 0
        row.save()
        client.send_and_consume("txchannels.delay", {"order": 2})
        assert client.receive() == {"text": "hello"}
        assert client.receive() == {"order": 2, "sent": 1, "given_up": 0}
        assert not DelayedMessage.objects.exists()

    def test_the_clocks_hear_of_what_is_due_soon(self):
        client = Client()
        client.send_and_consume("txchannels.delay", {"order": 1, "is_first": True})
        assert client.channel_layer.group_channels(DELAY_CLOCKS) == [client.reply_channel]
        assert client.receive()["order"] == 1
        for delay, told in ((250, {"due_in": 0.25}), (0, {"due_in": 0.0}), (1000, None)):
            client.send_and_consume("asgi.delay", GOOD | {"delay": delay})
            assert client.receive() == told

    def test_the_report_says_when_the_next_is_due(self):
        client = Client()
        client.send_and_consume("asgi.delay", GOOD | {"delay": 900})
        client.send_and_consume("txchannels.delay", {"order": 1})
        assert 0 < client.receive()["due_in"] <= 0.9


@pytest.fixture
def dispatch(bus):
    """Handles a message as a worker does; a site's own routes come first."""

    def dispatch(channel, content, *own):
        router = Router([*own])
        router.check_default()
        Dispatcher(bus, router)(channel, content)

    return dispatch


@pytest.fixture
def broken(monkeypatch, rows):
    """Makes the database fail; the pauses between tries are none."""
    monkeypatch.setattr(patience, "PAUSES", (0.0, 0.0))
    calls = []

    def broken(error, *, times=10**6, after=None):
        def call(original):
            def called(*args, **kwargs):
                calls.append(original.__name__)
                if len(calls) <= times:
                    if after:
                        original(*args, **kwargs)
                    raise error
                return original(*args, **kwargs)

            return called

        monkeypatch.setattr(rows, "save", call(rows.save))
        monkeypatch.setattr(sending, "_look", call(sending._look))
        return calls

    monkeypatch.setattr(consumers, "_away", patience.Seldom())
    return broken


def test_both_channels_are_routed_where_the_app_is_installed(dispatch, rows):
    router = Router([])
    router.check_default()
    assert {"asgi.delay", "txchannels.delay"} <= router.channels
    dispatch("asgi.delay", dict(GOOD))
    assert rows.objects.get().message == {"text": "later"}


def test_neither_is_routed_where_it_is_not(settings_without_delay):
    router = Router([])
    router.check_default()
    assert not {"asgi.delay", "txchannels.delay"} & router.channels


@pytest.fixture
def settings_without_delay():
    from django.test import modify_settings

    with modify_settings(INSTALLED_APPS={"remove": "txchannels.django.delay"}):
        yield


def test_a_route_of_the_sites_own_wins(dispatch, rows):
    taken = []
    dispatch("asgi.delay", dict(GOOD), route("asgi.delay", taken.append, channel="^o"))
    assert len(taken) == 1
    assert not rows.objects.exists()
    dispatch(
        "asgi.delay", GOOD | {"channel": "in"}, route("asgi.delay", taken.append, channel="^o")
    )
    assert [row.channel_name for row in rows.objects.all()] == ["in"]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"delay": 5},
        GOOD | {"channel": "no channel"},
        GOOD | {"delay": -5},
        GOOD | {"delay": "soon"},
        GOOD | {"content": [1]},
        GOOD | {"__delay_key__": "no key"},
        GOOD | {"__delay_key__": 5},
    ],
)
def test_a_bad_message_is_logged_and_skipped(dispatch, rows, complaints, content):
    dispatch("asgi.delay", content)
    [said] = complaints()
    assert said.startswith("A message of asgi.delay is skipped: ")
    dispatch("asgi.delay", dict(GOOD))
    assert rows.objects.count() == 1


def test_a_layers_alias_is_kept(dispatch, rows, bus):
    bus.alias = "other"
    dispatch("asgi.delay", dict(GOOD))
    assert rows.objects.get().layer == "other"


# A database that is away


def test_a_database_that_is_away_for_a_moment_is_waited_for(dispatch, rows, broken, complaints):
    calls = broken(OperationalError("away"), times=2)
    dispatch("asgi.delay", dict(GOOD))
    assert (rows.objects.count(), len(calls)) == (1, 3)
    assert complaints() == []


def test_what_is_stored_and_not_answered_is_stored_once(dispatch, rows, broken):
    calls = broken(OperationalError("the answer was lost"), times=2, after=True)
    dispatch("asgi.delay", dict(GOOD))
    assert (rows.objects.count(), len(calls)) == (1, 3)


def test_while_the_database_is_away_messages_go_back(dispatch, rows, broken, bus, complaints):
    calls = broken(OperationalError("away"))
    dispatch("asgi.delay", dict(GOOD))
    dispatch("asgi.delay", GOOD | {"channel": "other"})
    assert len(complaints()) == 1
    assert "they wait: away" in complaints()[0]
    del calls[:]
    calls.extend(["in the past"] * 10**6)  # it is back
    for _ in range(2):
        channel, content = bus.receive(["asgi.delay"])
        assert content["__retries__"] == 1
        dispatch(channel, content)
    assert sorted(row.channel_name for row in rows.objects.all()) == ["other", "out"]
    assert bus.receive(["asgi.delay"]) == (None, None)


def test_what_went_back_too_often_is_logged_as_lost(dispatch, rows, broken, bus, complaints):
    broken(OperationalError("away"))
    dispatch("asgi.delay", GOOD | {"__retries__": 10})
    assert complaints() == [
        "A message of asgi.delay for out is lost: the database does not take it: away"
    ]
    assert bus.receive(["asgi.delay"]) == (None, None)


@pytest.mark.usefixtures("tables", "broken")
class TestInATransaction(ChannelTestCase):
    def test_it_is_not_tried_again(self):
        calls = []

        def save(row):
            calls.append(row)
            raise OperationalError("locked")

        with pytest.MonkeyPatch.context() as patch, apply_routes(delay_routing):
            patch.setattr(DelayedMessage, "save", save)
            with pytest.raises(ConsumeLater):
                Client().send_and_consume("asgi.delay", dict(GOOD))
        assert len(calls) == 1


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OperationalError("gone\naway"), "OperationalError: gone away"),
        (
            OperationalError(f"no such table: {TABLE}"),
            f"OperationalError: no such table: {TABLE}; run manage.py migrate",
        ),
        (
            ProgrammingError(f'relation "{TABLE}" does not exist'),
            f'ProgrammingError: relation "{TABLE}" does not exist; run manage.py migrate',
        ),
    ],
)
def test_the_clock_is_told_what_is_wrong_with_the_database(
    dispatch, broken, bus, complaints, error, says
):
    broken(error)
    dispatch("txchannels.delay", {"reply_channel": "clocks!a", "order": 7})
    assert bus.receive(["clocks!"])[1] == {"order": 7, "failed": says}
    assert bus.receive(["clocks!"])[1] == {"consumed": 7}
    assert complaints() == []


def test_a_tick_of_nobody_does_nothing(dispatch, put, rows, complaints):
    put()
    dispatch("txchannels.delay", {"order": 1})
    assert rows.objects.count() == 1
    assert complaints() == []


def test_a_program_may_send_without_any_consumer(rows, bus, dispatch):
    Channel("asgi.delay").send(GOOD | {"delay": 0})
    Group(DELAY_CLOCKS).add("clocks!a")
    dispatch(*bus.receive(["asgi.delay"]))
    assert bus.receive(["clocks!"])[1] == {"due_in": 0.0}
    assert rows.objects.is_due().count() == 1
