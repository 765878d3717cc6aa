"""What is due is sent in batches, each message once, and what cannot be sent harms no other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from tests.django.delay.test_models import received
from txchannels.django.delay import patience, sending
from txchannels.django.delay.sending import look_after, send_due
from txchannels.errors import ChannelClosed, ChannelFull, LayerError, LayerUnavailable, Unanswered


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(sending, "BATCH", 3)
    monkeypatch.setattr(sending, "_away", patience.Seldom())
    monkeypatch.setattr(patience, "PAUSES", (0.0, 0.0))


@pytest.fixture
def refuse(bus, monkeypatch):
    """Makes the layer refuse what goes to some channels; `tried` are all that were sent."""
    errors = {}
    monkeypatch.setattr(bus, "tried", [], raising=False)
    send_many = bus.send_many

    def refusing(sends, *, wait=0.0):
        sends = list(sends)
        bus.tried.append([send[1] for send in sends])
        failed = [(send, errors[send[1]]) for send in sends if send[1] in errors]
        return failed + list(send_many([send for send in sends if send[1] not in errors]))

    monkeypatch.setattr(bus, "send_many", refusing)

    def refuse(**more):
        errors.clear()
        errors.update(more)

    return refuse


def test_what_is_due_goes_in_the_order_of_its_time(rows, put, bus):
    for n in (3, 1, 4, 2, 5):
        put(message={"n": n}, ago=10 - n)
    put(message={"n": 6}, ago=-60)
    outcome = send_due(bus)
    assert [message["n"] for message in received(bus)] == [1, 2, 3, 4, 5]
    assert (outcome.sent, outcome.lost, outcome.postponed) == (5, 0, 0)
    assert outcome.due_in is None
    assert rows.objects.count() == 1


def test_an_empty_table_costs_one_statement(rows, bus, django_assert):
    with django_assert(1):
        assert send_due(bus).sent == 0


def test_a_batch_costs_five_statements(rows, put, bus, django_assert):
    for _ in range(3):
        put()
    with django_assert(5):  # with the look that finds no more
        assert send_due(bus).sent == 3


@pytest.fixture
def django_assert():
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    class Exactly(CaptureQueriesContext):
        def __init__(self, count):
            super().__init__(connection)
            self._count = count

        def __exit__(self, *exc_info):
            super().__exit__(*exc_info)
            queries = [one["sql"] for one in self.captured_queries]
            statements = [one for one in queries if one not in ("BEGIN", "COMMIT")]
            assert len(statements) == self._count, statements

    return Exactly


def test_the_next_is_told_if_it_is_due_soon(rows, put, bus):
    put(ago=-0.8)
    assert 0 < send_due(bus).due_in <= 0.8
    put()
    outcome = send_due(bus)
    assert outcome.sent == 1
    assert 0 < outcome.due_in <= 0.8


def test_a_round_ends_though_more_is_due(rows, put, bus):
    for _ in range(7):
        put()
    outcome = send_due(bus, seconds=0.0)
    assert (outcome.sent, outcome.due_in) == (3, 0.0)
    assert rows.objects.count() == 4


def test_large_contents_go_in_smaller_batches(rows, put, bus, refuse, monkeypatch):
    monkeypatch.setattr(sending, "BATCH_CHARACTERS", 1000)
    refuse()
    for at, size in enumerate((300, 300, 5000, 10)):
        put(message={"text": "x" * size}, ago=100 - at)
    assert send_due(bus).sent == 4
    assert [len(batch) for batch in bus.tried] == [2, 1, 1]


def test_another_layers_messages_are_left_alone(rows, put, bus):
    put(layer="other")
    put()
    assert send_due(bus).sent == 1
    assert rows.objects.get().layer == "other"


def test_what_another_worker_has_claimed_meanwhile_is_left_to_it(rows, put, bus, monkeypatch):
    mine, others = put(message={"n": 1}), put(message={"n": 2})
    look = sending._look

    def late(alias):
        found = look(alias)
        rows.objects.filter(pk=others.pk, claim="").update(claim="other", claimed_at=timezone.now())
        return found

    monkeypatch.setattr(sending, "_look", late)
    assert send_due(bus).sent == 1
    assert received(bus) == [{"n": 1}]
    assert rows.objects.get().claim == "other"
    assert mine.pk != others.pk


def test_who_comes_too_late_for_all_of_a_batch_goes_home(rows, put, bus, monkeypatch):
    put()
    monkeypatch.setattr(sending, "_look", lambda alias: ([-1], None))
    outcome = send_due(bus)
    assert (outcome.sent, outcome.due_in) == (0, None)
    assert rows.objects.is_due().count() == 1


def test_what_was_postponed_since_it_was_seen_is_not_claimed(rows, put, bus, monkeypatch):
    row = put()
    later = timezone.now() + timedelta(seconds=60)
    look = sending._look

    def late(alias):
        found = look(alias)
        rows.objects.filter(pk=row.pk).update(due_date=later)
        return found

    monkeypatch.setattr(sending, "_look", late)
    assert send_due(bus).sent == 0
    assert received(bus) == []
    assert rows.objects.unclaimed().get().due_date == later


# What cannot be sent


def test_a_full_channel_is_postponed_with_all_that_is_due_for_it(
    rows, put, bus, refuse, complaints
):
    for _ in range(8):
        put("full")
    put("out", {"n": 1}, ago=0.5)
    far = put("full", ago=-60)
    refuse(full=ChannelFull("full"))
    outcome = send_due(bus)
    assert bus.tried == [["full"] * 3, ["out"]]
    assert received(bus) == [{"n": 1}]
    assert (outcome.sent, outcome.postponed, outcome.lost) == (1, 3, 0)
    assert 0 < outcome.due_in <= 1.0
    waiting = rows.objects.unclaimed().exclude(pk=far.pk)
    assert waiting.count() == 8
    for row in waiting:
        assert timedelta(0) < row.due_date - timezone.now() <= timedelta(seconds=1)
    assert rows.objects.get(pk=far.pk).due_date == far.due_date
    assert complaints() == []


def test_what_was_postponed_is_sent_when_there_is_room(rows, put, bus, refuse):
    put("full")
    refuse(full=ChannelFull("full"))
    send_due(bus)
    refuse()
    rows.objects.update(due_date=timezone.now())
    assert send_due(bus).sent == 1
    assert len(received(bus, "full")) == 1
    assert not rows.objects.exists()


def test_a_layer_that_is_away_postpones_and_is_logged_once(rows, put, bus, refuse, complaints):
    put("far")
    put("near", ago=0.5)
    refuse(far=LayerUnavailable("redis is away"))
    assert (send_due(bus).sent, rows.objects.unclaimed().count()) == (1, 1)
    rows.objects.update(due_date=timezone.now())
    assert send_due(bus).postponed == 1
    assert complaints() == ["The layer takes no delayed messages now, they wait: redis is away"]


@pytest.mark.parametrize(
    ("error", "trusts"),
    [
        (Unanswered("no answer"), True),
        (LayerUnavailable("away"), False),
        (LayerError("whatever"), True),
    ],
)
def test_what_may_have_been_sent_is_logged_and_not_sent_again(
    rows, put, bus, refuse, complaints, error, trusts
):
    put("far")
    refuse(far=error)
    outcome = send_due(bus, trusts_refusals=trusts)
    assert (outcome.sent, outcome.lost, outcome.postponed) == (0, 1, 0)
    assert not rows.objects.exists()
    [said] = complaints()
    assert "(far at " in said
    assert repr(error) in said


def test_a_client_that_is_gone_gets_nothing_and_nobody_hears_of_it(
    rows, put, bus, refuse, complaints
):
    put("gone")
    refuse(gone=ChannelClosed("gone"))
    outcome = send_due(bus)
    assert (outcome.sent, outcome.lost) == (0, 0)
    assert not rows.objects.exists()
    assert complaints() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "no JSON"},
        {"content": "[1]"},
        {"content": '{"n": {"$bytes": "!"}}'},
        {"content": f'{{"n": {2**70}}}'},
        {"channel": "no channel"},
        {"channel": "x" * 512},
    ],
)
def test_a_row_that_can_never_be_sent_harms_no_other(rows, put, bus, complaints, fields):
    put(ago=2, **fields)
    put(message={"n": 1})
    outcome = send_due(bus)
    assert (outcome.sent, outcome.lost) == (1, 1)
    assert received(bus) == [{"n": 1}]
    assert not rows.objects.exists()
    [said] = complaints()
    assert "cannot be sent" in said


def test_a_layer_that_fails_altogether_loses_the_batch_and_no_more(
    rows, put, bus, monkeypatch, complaints
):
    for _ in range(4):
        put()
    send_many = bus.send_many
    monkeypatch.setattr(bus, "send_many", lambda sends, wait: sends[99])
    outcome = send_due(bus, seconds=0.0)
    assert (outcome.sent, outcome.lost) == (0, 3)
    assert "3 delayed messages are lost, or were sent:" in complaints()
    monkeypatch.setattr(bus, "send_many", send_many)
    assert send_due(bus).sent == 1
    assert not rows.objects.exists()


# The database


def failing_once(function, error, times=1):
    calls = []

    def called(*args):
        calls.append(args)
        if len(calls) <= times:
            raise error
        return function(*args)

    return called


def test_a_database_that_comes_back_to_delete_what_was_sent(rows, put, bus, monkeypatch):
    put()
    settle = failing_once(sending._settle, OperationalError("away"), times=2)
    monkeypatch.setattr(sending, "_settle", settle)
    assert send_due(bus).sent == 1
    assert not rows.objects.exists()


def test_what_was_sent_and_cannot_be_deleted_is_not_sent_again(rows, put, bus, monkeypatch):
    put()
    with monkeypatch.context() as patch:
        patch.setattr(sending, "_settle", failing_once(None, OperationalError("away"), 10))
        with pytest.raises(OperationalError):
            send_due(bus)
    assert send_due(bus).sent == 0
    assert len(received(bus)) == 1
    assert rows.objects.count() == 1


def test_what_was_claimed_and_cannot_be_read_is_given_free(rows, put, bus, monkeypatch):
    put()
    with monkeypatch.context() as patch:
        patch.setattr(sending.DelayedMessage, "from_db", classmethod(_unreadable))
        with pytest.raises(OperationalError):
            send_due(bus)
    assert received(bus) == []
    assert send_due(bus).sent == 1


def _unreadable(cls, db, field_names, values, *, fetch_mode=None):
    raise OperationalError("away")


# The dead


def test_a_claim_that_stays_is_given_up_and_logged_once(rows, put, bus, complaints):
    long_ago = timezone.now() - timedelta(seconds=sending.CLAIM_SECONDS + 1)
    put(claim="a dead worker's", claimed_at=long_ago)
    young = put(claim="a living worker's", claimed_at=timezone.now())
    other = put(claim="x", claimed_at=long_ago, layer="other")
    waiting = put(ago=10**6)
    assert look_after(bus) == 1
    [said] = complaints()
    assert "(out at " in said
    assert "is lost, or was sent" in said
    assert set(rows.objects.values_list("pk", flat=True)) == {young.pk, other.pk, waiting.pk}
    assert received(bus) == []
    assert look_after(bus) == 0
