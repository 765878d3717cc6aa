# ruff: noqa: PT009, PT027 - as unittest's users write them
"""Rooms, sessions, doors: consumers that are functions."""

import json

from django.contrib.auth.models import User

from board.models import Notice
from txchannels.django import Channel, Group, channel_layers
from txchannels.django.message import Message
from txchannels.django.sessions import session_for_reply_channel, wait_channel_name
from txchannels.django.test import ChannelTestCase, HttpClient, TransactionChannelTestCase, WSClient


class RoomTests(ChannelTestCase):
    def enter(self, path="/rooms/attic/", **options):
        client = WSClient(ordered=True, **options)
        client.send_and_consume("websocket.connect", path=path)
        return client

    def test_what_is_said_reaches_the_room(self):
        User.objects.create_user("ann", password="pw")
        ann = WSClient(ordered=True)
        self.assertTrue(ann.login(username="ann", password="pw"))
        ann.send_and_consume("websocket.connect", {}, None, "/rooms/attic/")
        bob, elsewhere = self.enter(), self.enter("/rooms/cellar/")
        ann.send_and_consume("websocket.receive", {}, "hi", "/rooms/attic/")
        ann.send_and_consume("websocket.receive", text="again", path="/rooms/attic/")
        for client in (ann, bob):
            self.assertEqual(client.receive(json=False), "ann says hi (1)")
            self.assertEqual(client.receive(json=False), "ann says again (2)")
            self.assertIsNone(client.receive())
        self.assertIsNone(elsewhere.receive())
        ann.send_and_consume("websocket.disconnect", path="/rooms/attic/")
        bob.send_and_consume("websocket.receive", text="gone?", path="/rooms/attic/")
        self.assertEqual(bob.receive(json=False), "nobody says gone? (1)")
        self.assertIsNone(ann.receive())

    def test_included_groups_are_merged_and_inner_ones_win(self):
        client = self.enter("/de/rooms/attic/")
        session = session_for_reply_channel(client.reply_channel)
        self.assertEqual((session["room"], session["language"]), ("attic", "de"))
        client = WSClient()
        client.send_and_consume(
            "websocket.connect", path="/en/rooms/de/language/", check_accept=False
        )
        self.assertEqual(client.receive(json=False), "de")

    def test_a_message_that_comes_too_early_waits(self):
        client = WSClient()
        for order, channel in ((1, "websocket.receive"), (0, "websocket.connect")):
            client.send_and_consume(
                channel, {"order": order, "text": "hi", "path": "/rooms/attic/"}, check_accept=False
            )
        self.assertEqual(client.receive(), {"accept": True})
        self.assertIsNone(self.get_next_message(wait_channel_name(client.reply_channel)))
        client.consume("websocket.receive")
        self.assertEqual(client.receive(json=False), "nobody says hi (1)")

    def test_saving_tells_the_room(self):
        client = self.enter()
        Notice.objects.create(room="attic", text="swept")
        self.assertEqual(client.receive(json=False), "posted: swept")
        client.send_and_consume("websocket.receive", text="post", path="/rooms/attic/")
        self.assertEqual(client.receive(json=False), "posted: by hand")

    def test_a_weekday_has_a_route_of_its_own_kind(self):
        client = WSClient()
        client.send_and_consume("websocket.connect", path="/monday/")
        self.assertEqual(client.receive(json=False), "monday")
        self.assertEqual(client.receive(), {"close": 4000})


class SessionTests(ChannelTestCase):
    def connect(self, path, client=None, **options):
        client = client or WSClient()
        client.send_and_consume("websocket.connect", path=path, **options)
        return client

    def test_a_socket_counts(self):
        one, other = self.connect("/sessions/channel/"), self.connect("/sessions/channel/")
        for client, said in ((one, "1"), (one, "2"), (other, "1"), (one, "3")):
            client.send_and_consume("websocket.receive", text="", path="/sessions/channel/")
            self.assertEqual(client.receive(json=False), said)
        self.assertEqual(one.channel_session["count"], 3)

    def test_the_browsers_session(self):
        client = WSClient()
        client.session["visits"] = 7
        client.session.save()
        self.connect("/sessions/http/", client)
        self.assertEqual(client.receive(json=False), {"text": "7"}["text"])
        self.assertEqual(self.connect("/sessions/http/").receive(json=False), "no session")
        # by the query, as pages without cookies do
        other = self.connect("/sessions/http/?session_key=" + client.session.session_key)
        self.assertEqual(other.receive(json=False), "7")

    def test_both_sessions_on_every_message(self):
        client = WSClient()
        client.session["visits"] = 1
        client.session.save()
        self.connect("/sessions/both/", client)
        client.session["visits"] = 2
        client.session.save()
        client.send_and_consume("websocket.receive", text="", path="/sessions/both/")
        self.assertEqual(client.receive(json=False), "1 2")

    def test_users(self):
        user = User.objects.create_user("ann")
        for path, known, unknown in (
            ("/sessions/user/", "hello ann", "hello stranger"),
            ("/sessions/users/", "ann 3 True", "stranger 0 False"),
        ):
            for name, said in ((user, known), (None, unknown)):
                client = WSClient()
                if name:
                    client.force_login(name)
                self.connect(path, client, check_accept=False)
                if path == "/sessions/users/":
                    self.assertEqual(client.receive(), {"accept": True})
                    client.send_and_consume("websocket.receive", text="", path=path)
                self.assertEqual(client.receive(json=False), said)


class DoorTests(ChannelTestCase):
    def knock(self, path, origin=None):
        client = WSClient()
        if origin:
            client.set_header("origin", origin)
        client.send_and_consume("websocket.connect", path=path, check_accept=False)
        return client.receive()

    def test_who_may_come_in(self):
        accepted, denied = {"accept": True}, {"close": True}
        for path, origin, answer in (
            ("/doors/closed/", None, denied),
            ("/doors/own/", "http://localhost", accepted),
            ("/doors/own/", "http://evil.example", denied),
            ("/doors/own/", None, denied),
            ("/doors/friends/", "http://friends.example", accepted),
            ("/doors/friends/", "http://localhost", denied),
        ):
            self.assertEqual(self.knock(path, origin), answer, (path, origin))

    def test_a_refused_client_fails_the_test(self):
        with self.assertRaises(AssertionError):
            WSClient().send_and_consume("websocket.connect", path="/doors/closed/")

    def test_thrown_out(self):
        client = WSClient()
        client.send_and_consume("websocket.connect", path="/doors/revolving/")
        for text, answer in (
            ("plain", {"close": True}),
            ("4001", {"close": 4001}),
        ):
            client.send_and_consume("websocket.receive", text=text, path="/doors/revolving/")
            self.assertEqual(client.receive(), answer)
        client.send_and_consume("websocket.receive", text="last word", path="/doors/revolving/")
        self.assertEqual(client.receive(json=False), "and stay out")
        with self.assertRaises(ValueError):
            client.send_and_consume("websocket.receive", text="17", path="/doors/revolving/")


class ToolTests(TransactionChannelTestCase):
    test_channel_aliases = ("default", "mail")

    def test_what_was_sent_can_be_looked_at(self):
        Channel("anything").send({"a": 1, "raw": b"\x00"})
        message = self.get_next_message("anything", require=True)
        self.assertIsInstance(message, Message)
        self.assertEqual(message["a"], 1)
        self.assertEqual(message.get("b", 2), 2)
        self.assertIn("raw", message)
        self.assertEqual(dict(message.items()), message.content)
        self.assertEqual(message.copy().content, message.content)
        self.assertIsNone(self.get_next_message("anything"))
        with self.assertRaises(AssertionError):
            self.get_next_message("anything", require=True)

    def test_a_client_in_a_group(self):
        client = WSClient()
        client.join_group("friends")
        Group("friends").send({"text": json.dumps({"hi": [1, 2]})})
        self.assertEqual(client.receive(), {"hi": [1, 2]})

    def test_the_old_name_of_the_client(self):
        with self.assertWarns(DeprecationWarning):
            client = HttpClient()
        client.set_cookie("a", "b")
        self.assertEqual(client.get_cookies()["a"], "b")
        with self.assertRaises(ValueError):
            client.set_header("cookie", "a=b")

    def test_layers(self):
        self.assertIn("mail", channel_layers)
        self.assertNotIn("post", channel_layers)
        for alias in ("default", "mail"):
            layer = channel_layers[alias]
            self.assertEqual(layer.alias, alias)
            self.assertTrue(layer.local_only())
            self.assertIn(alias, str(layer))
        self.assertIn("mail.send", channel_layers["mail"].router.channels)
