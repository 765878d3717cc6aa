from __future__ import annotations

from unittest import mock

import pytest
from django.apps import apps
from django.db import close_old_connections, connections

from txchannels.django.signals import (
    CLOSE_AFTER,
    CLOSE_BEFORE,
    consumer_finished,
    consumer_started,
    gap,
    send_gap,
)


@pytest.mark.parametrize("signal", [consumer_started, consumer_finished])
def test_around_a_consumer_old_connections_are_closed(signal, database):
    connections["default"].ensure_connection()
    with mock.patch.object(connections["default"], "close_if_unusable_or_obsolete") as close:
        signal.send(sender=None)
    close.assert_called_once_with()


@pytest.mark.parametrize(
    ("signal", "uid"), [(consumer_started, CLOSE_BEFORE), (consumer_finished, CLOSE_AFTER)]
)
def test_a_test_can_keep_its_connections(signal, uid, database):
    connections["default"].ensure_connection()
    assert signal.disconnect(dispatch_uid=uid)
    try:
        with mock.patch.object(connections["default"], "close_if_unusable_or_obsolete") as close:
            signal.send(sender=None)
        close.assert_not_called()
    finally:
        signal.connect(close_old_connections, dispatch_uid=uid)


def test_a_receiver_that_fails_keeps_a_gap_from_no_other(make_message, caplog):
    told = []

    def fail(**more):
        raise ValueError("not today")

    def receiver(since, until, channel_layer, **more):
        told.append((since, until, channel_layer))

    for one in (fail, receiver):
        gap.connect(one)
    send_gap(make_message("txchannels.gap", None, since=1.0, until=2.0))
    for one in (fail, receiver):
        gap.disconnect(one)
    assert told == [(1.0, 2.0, "default")]
    assert "not today" in caplog.text


def test_the_app_has_the_label_of_the_package():
    config = apps.get_app_config("txchannels")
    assert config.name == "txchannels.django"
    assert list(config.get_models()) == []
