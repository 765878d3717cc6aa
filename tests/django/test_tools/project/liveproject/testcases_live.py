# ruff: noqa: PT009, PT027 - as unittest's users write them
"""A real daemon."""

import json
import sys
import threading
import unittest
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client as DjangoClient
from django.test import override_settings
from websockets.sync.client import connect

from txchannels.django import Group
from txchannels.django.test import ChannelLiveServerTestCase


class Case(ChannelLiveServerTestCase):
    def get(self, path, data=None, headers=None):
        sent = None if data is None else urlencode(data).encode()
        request = Request(self.live_server_url + path, sent, headers or {})
        with urlopen(request, timeout=20) as response:
            return response.read().decode()

    def socket(self, **more):
        return connect(f"{self.live_server_ws_url}/ws/", open_timeout=20, **more)

    def logged_in(self, user):
        """The cookie of a browser in which *user* is logged in."""
        client = DjangoClient()
        client.force_login(user)
        return {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}


class Live(Case):
    def setUp(self):
        self.alice = User.objects.create(username="alice")

    def test_rows_of_the_test_and_of_the_daemon_are_seen_by_both(self):
        self.assertEqual(json.loads(self.get("/users/")), ["alice"])
        self.assertEqual(json.loads(self.get("/users/", {"name": "bob"})), ["alice", "bob"])
        self.assertTrue(User.objects.filter(username="bob").exists())
        # and in other threads of the test
        counts = []

        def count():
            counts.append(User.objects.count())
            connection.close()

        thread = threading.Thread(target=count)
        thread.start()
        thread.join()
        self.assertEqual(counts, [2])

    def test_the_daemon_is_the_tests_own(self):
        self.assertRegex(self.live_server_url, r"^http://localhost:\d+$")
        self.assertRegex(self.live_server_ws_url, r"^ws://localhost:\d+$")
        self.assertEqual(self.get("/host/"), self.live_server_url.removeprefix("http://"))
        # each test begins with its own rows
        self.assertEqual(json.loads(self.get("/users/")), ["alice"])
        self.assertEqual(self.get("/static/file.txt"), "a static file\n")
        self.assertEqual(self.get("/setting/DEBUG/"), "false")
        self.assertIn("locmem", self.get("/setting/EMAIL_BACKEND/"))
        self.assertEqual(self.get("/setting/GREETING/"), '"hello"')
        self.assertEqual(json.loads(self.get("/setting/TXCHANNELS/")), {"WS_MAX_MESSAGE": 5000})
        self.assertIn("localhost", json.loads(self.get("/setting/ALLOWED_HOSTS/")))
        # databases that the test does not name cannot be used
        self.assertIn("ImproperlyConfigured: unknown", self.get("/archive/"))

    def test_sockets_with_a_login(self):
        with (
            self.socket(additional_headers=self.logged_in(self.alice)) as first,
            self.socket() as other,
        ):
            self.assertEqual(first.recv(20), "hello alice")
            self.assertEqual(other.recv(20), "hello ")
            first.send("bob")
            self.assertEqual(other.recv(20), "alice adds bob")
        self.assertEqual(User.objects.count(), 2)

    def test_the_test_sends_to_a_group_of_sockets(self):
        # left open, which holds nothing up
        client = self.socket()
        self.addCleanup(client.__exit__, None, None, None)
        client.recv(20)
        Group("all").send({"text": "from the test"})
        self.assertEqual(client.recv(20), "from the test")

    def test_what_the_daemon_logs_can_be_read(self):
        with self.assertRaisesRegex(OSError, "500"):
            self.get("/fail/")
        self.assertIn("this view fails", self.logged("this view fails"))

    def logged(self, text):
        """The log, at the latest after 20 s with *text* in it."""
        pause = threading.Event()
        for _ in range(2000):
            if text in self.daemon_log:
                break
            pause.wait(0.01)
        return self.daemon_log


@override_settings(GREETING="good day")
class Changed(Case):
    databases = ("default", "archive")
    serve_static = False
    worker_threads = 3
    host = "127.0.0.1"

    def test_what_the_class_has_changed(self):
        self.assertEqual(self.get("/setting/GREETING/"), '"good day"')
        self.assertRegex(self.live_server_url, r"^http://127.0.0.1:\d+$")
        User.objects.using("archive").create(username="old")
        self.assertEqual(self.get("/archive/"), "1")
        self.assertEqual(self.get("/users/"), "[]")
        with self.assertRaisesRegex(OSError, "404"):
            self.get("/static/file.txt")


class Processes(Case):
    daemon_options = ("--processes=2",)

    def test_workers_in_processes(self):
        with self.socket() as client:
            self.assertEqual(client.recv(20), "hello ")
            client.send("bob")
            self.assertEqual(client.recv(20), " adds bob")
        self.assertEqual(json.loads(self.get("/users/")), ["bob"])


class AsItWas(Case):
    """Nothing of the above is left in the database in memory, or in the file."""

    def test_it_is_empty(self):
        self.assertEqual(User.objects.count(), 0)
        self.assertNotIn("twisted", sys.modules)

    @unittest.skip("not now")
    def test_skipped(self):
        raise AssertionError
