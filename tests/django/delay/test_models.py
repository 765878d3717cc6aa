"""The model has the names of Channels 1, and sends each message once at most."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from txchannels.errors import ChannelFull, LayerUnavailable, MessageTooLarge, Unanswered


def received(bus, channel="out"):
    """All that waits in *channel*, which it then does no more."""
    found = []
    while (message := bus.receive([channel])[1]) is not None:
        found.append(message)
    return found


def failing(bus, error):
    """The layer, whose sends fail."""

    def send(*args, **kwargs):
        raise error

    bus.send = send
    return bus


def test_the_delay_sets_when_it_is_due(rows):
    before = timezone.now()
    row = rows(channel_name="out", delay=2500, content="{}")
    due_in = row.due_date - before
    assert timedelta(milliseconds=2500) <= due_in <= timezone.now() - before + due_in
    assert row.due_date - timezone.now() <= timedelta(milliseconds=2500)
    assert row.delay == 2500
    row.save()
    assert rows.objects.get().delay is None


@pytest.mark.parametrize("delay", [-1, 1.5, "5", None, 10**15])
def test_a_delay_that_cannot_be_is_refused(rows, delay):
    with pytest.raises(ValueError, match="'delay' must be"):
        rows(channel_name="out", delay=delay, content="{}")


def test_what_is_due_is_found(rows, put):
    due = put()
    put(ago=-5)
    put(claim="somebody's")
    assert [row.pk for row in rows.objects.is_due()] == [due.pk]
    assert [row.pk for row in rows.objects.filter(channel_name="out").is_due()] == [due.pk]


def test_a_message_is_sent_and_deleted(rows, put, bus):
    row = put(message={"text": "later", "data": b"\xff"})
    assert row.send()
    assert received(bus) == [{"text": "later", "data": b"\xff"}]
    assert not rows.objects.exists()


def test_rows_of_channels_1_are_read(rows, put, bus):
    assert put(content='{"text": "of old"}').send(channel_layer=bus)
    assert received(bus) == [{"text": "of old"}]


def test_two_who_have_the_same_row_send_it_once(rows, put, bus):
    row = put()
    other = rows.objects.get()
    assert [row.send(), other.send()] == [True, False]
    assert len(received(bus)) == 1


def test_a_message_that_somebody_is_sending_is_left_to_him(rows, put, bus):
    row = put(claim="somebody's")
    assert not row.send()
    assert received(bus) == []
    assert rows.objects.get().claim == "somebody's"


def test_a_full_channel_postpones_it(rows, put, bus):
    row = put()
    assert not row.send(failing(bus, ChannelFull("out")))
    stored = rows.objects.get()
    assert stored.claim == ""
    assert stored.due_date == row.due_date
    assert timedelta(0) < stored.due_date - timezone.now() <= timedelta(seconds=1)
    assert not row.send(failing(bus, ChannelFull("out")), requeue_delay=60_000)
    assert rows.objects.get().due_date - timezone.now() > timedelta(seconds=50)


def test_a_layer_that_is_away_keeps_it(rows, put, bus):
    row = put()
    with pytest.raises(LayerUnavailable):
        row.send(failing(bus, LayerUnavailable("away")))
    assert rows.objects.is_due().count() == 1


def test_what_may_have_been_sent_is_not_sent_again(rows, put, bus):
    with pytest.raises(Unanswered):
        put().send(failing(bus, Unanswered("lost")))
    assert not rows.objects.exists()


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"content": "no JSON"}, ValueError),
        ({"content": "[]"}, ValueError),
        ({"content": '{"n": 100000000000000000000}'}, TypeError),
        ({"channel": "no channel"}, TypeError),
        ({"content": f'{{"n": "{"x" * 2**21}"}}'}, MessageTooLarge),
    ],
)
def test_what_can_never_be_sent_is_deleted_and_said(rows, put, bus, fields, error):
    with pytest.raises(error):
        put(**fields).send()
    assert not rows.objects.exists()


def test_a_row_that_is_not_stored_cannot_be_claimed(rows, bus):
    with pytest.raises(ValueError, match="save it first"):
        rows(channel_name="out", delay=0, content="{}").send()


def test_postponing_gives_a_claim_up(rows, put):
    put(claim="mine", claimed_at=timezone.now())
    until = timezone.now() + timedelta(seconds=5)
    assert rows.objects.filter(claim="mine").postpone(until) == 1
    row = rows.objects.get()
    assert (row.claim, row.claimed_at, row.due_date) == ("", None, until)


def test_the_longest_channel_of_channels_1_fits(rows):
    assert rows._meta.get_field("channel_name").max_length == 512
    assert rows._meta.get_field("due_date").db_index
    assert rows._meta.label == "txchannels_delay.DelayedMessage"


def test_the_migrations_are_complete(rows):
    from django.core.management import call_command

    call_command("makemigrations", "txchannels_delay", check=True, dry_run=True, verbosity=0)
