"""A database in memory is a file for a while, and then as it was."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction

from txchannels.django.test.ondisk import databases_on_disk

pytestmark = pytest.mark.usefixtures("database")


def names():
    return list(User.objects.order_by("id").values_list("username", flat=True))


def test_rows_are_taken_along_and_new_ones_are_not_brought_back(tmp_path):
    User.objects.create(username="before")
    raw = connection.connection
    with databases_on_disk(["default"], tmp_path):
        assert names() == ["before"]
        User.objects.create(username="inside")
        User.objects.filter(username="before").delete()
        assert (tmp_path / "default.sqlite3").exists()
    assert names() == ["before"]
    assert connection.connection is raw
    assert connection.is_in_memory_db()


def test_other_threads_use_the_file_too(tmp_path):
    seen = []

    def look():
        seen.append(names())
        connections["default"].close()

    with databases_on_disk(["default"], tmp_path):
        User.objects.create(username="inside")
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [["inside"]]


def test_an_error_inside_puts_it_back(tmp_path):
    with pytest.raises(KeyError), databases_on_disk(["default"], tmp_path):
        raise KeyError
    assert connection.is_in_memory_db()


def test_other_databases_are_left_alone(tmp_path):
    with databases_on_disk([], tmp_path):
        assert connection.is_in_memory_db()


def test_a_transaction_is_refused_and_the_database_named(tmp_path):
    with (
        transaction.atomic(),
        pytest.raises(RuntimeError, match=r"'default' is in the test's transaction.*transactional"),
        databases_on_disk(["default"], tmp_path),
    ):
        pass
    assert connection.is_in_memory_db()
