# ruff: noqa: PT009, PT027, UP031 - as unittest's users write them
"""Classes, HTTP without views, work behind the scenes, routes for a test."""

import json

from django.contrib.auth.models import User
from django.urls import reverse

from board.consumers import background, classes
from board.models import Notice
from txchannels.django import Channel, Group, include, route
from txchannels.django.asgi import channel_layers
from txchannels.django.exceptions import ConsumeLater
from txchannels.django.generic.websockets import WebsocketMultiplexer
from txchannels.django.handler import ViewConsumer
from txchannels.django.test import ChannelTestCase, Client, WSClient, apply_routes


def connected(path, client=None):
    client = client or WSClient()
    client.send_and_consume("websocket.connect", path=path)
    return client


class ClassTests(ChannelTestCase):
    def test_texts_bytes_groups_and_the_end(self):
        path = "/classes/echo/"
        client, other = connected(path), connected(path)
        client.send_and_consume("websocket.receive", text="hi", path=path)
        self.assertEqual(client.receive(json=False), "hi")
        client.send_and_consume("websocket.receive", {"bytes": b"\x00"}, path=path)
        self.assertEqual(client.receive()["bytes"], b"\x00")
        client.send_and_consume("websocket.receive", text="name", path=path)
        self.assertEqual(client.receive(json=False), "board.consumers.classes.Echo")
        client.send_and_consume("websocket.receive", text="all", path=path)
        for one in (client, other):
            self.assertEqual(one.receive(json=False), "to all echoes")
        client.send_and_consume("websocket.receive", text="close", path=path)
        self.assertEqual(client.receive(), {"close": 4002})
        client.send_and_consume("websocket.disconnect", path=path)
        Group("echoes").send({"text": "still there?"})
        self.assertIsNone(client.receive())
        self.assertEqual(other.receive(json=False), "still there?")

    def test_rooms(self):
        path = "/classes/rooms/attic/"
        client, elsewhere = connected(path), connected("/classes/rooms/cellar/")
        client.send_and_consume("websocket.receive", text={"a": 1}, path=path)
        self.assertEqual(client.receive(), {"from": path, "content": {"a": 1}})
        self.assertIsNone(elsewhere.receive())

    def test_an_account(self):
        path = "/classes/account/"
        client = WSClient()
        client.force_login(User.objects.create_user("ann"))
        client.session["visits"] = 3
        client.session.save()
        connected(path, client)
        client.send_and_consume("websocket.receive", text=0, path=path)
        self.assertEqual(client.receive(), {"user": "ann", "visits": 3})
        stranger = WSClient()
        stranger.send_and_consume("websocket.connect", path=path, check_accept=False)
        self.assertEqual(stranger.receive(), {"close": True})

    def test_order(self):
        path = "/classes/ordered/"
        client = WSClient(ordered=True)
        client.force_login(User.objects.create_user("ann"))
        connected(path, client)
        for number in (1, 2):
            client.send_and_consume("websocket.receive", text=number, path=path)
        self.assertEqual(client.receive(), {"user": "ann", "numbers": [1]})
        self.assertEqual(client.receive(), {"user": "ann", "numbers": [1, 2]})

    def test_one_class_in_two_routes(self):
        for path, greeting in (("hello", "hello"), ("bye", "bye")):
            client = connected("/classes/%s/" % path)
            self.assertEqual(client.receive(json=False), greeting + " True")
        self.assertEqual(classes.Greeter.greeting, "hello")

    def test_a_guarded_class(self):
        client = WSClient()
        client.set_header("origin", "http://testserver")
        connected("/classes/guarded/", client)
        with self.assertRaises(AssertionError):
            connected("/classes/guarded/")

    def test_streams(self):
        path = "/classes/streams/"
        client = connected(path)
        self.assertEqual(client.receive(), {"stream": "sum", "payload": {"state": "open"}})
        # the stream that has no `connect` of its own has accepted the socket, too
        self.assertEqual(client.receive(), {"accept": True})
        self.assertIsNone(client.receive())

        def ask(stream, payload):
            frame = {"stream": stream, "payload": payload}
            client.send_and_consume("websocket.receive", text=frame, path=path)
            return client.receive()

        self.assertEqual(ask("sum", {"add": 2})["payload"], {"sum": 2})
        self.assertEqual(ask("sum", {"add": 3})["payload"], {"sum": 5})
        self.assertEqual(ask("count", {})["payload"], {"length": 2})
        told = {"stream": "shout", "payload": {"shout": "hey"}}
        self.assertEqual(ask("shout", {"text": "hey"}), told)
        other = connected(path)
        while other.receive():
            pass
        client.send_and_consume("websocket.disconnect", path=path)
        self.assertEqual(other.receive(), {"stream": "sum", "payload": {"left": 5}})

    def test_a_frame_for_a_stream(self):
        frame = WebsocketMultiplexer.encode("sum", {"a": 1})
        self.assertEqual(json.loads(frame["text"]), {"stream": "sum", "payload": {"a": 1}})

    def test_several_channels_and_a_session(self):
        client = Client()
        for number in (1, 2, 3):
            client.send_and_consume("batch.add", {"number": number})
        client.send_and_consume("batch.end")
        self.assertEqual(client.receive(), {"sum": 6})


class BehindTheScenesTests(ChannelTestCase):
    test_channel_aliases = ("default", "mail")

    def test_a_message_may_be_for_later(self):
        background.tries.clear()
        notice = Notice.objects.create(room="attic", text="swept")
        client = Client()
        client.join_group("board-attic")
        with self.assertRaises(ConsumeLater):
            client.send_and_consume("board.notify", {"notice": notice.pk})
        client.send_and_consume("board.renotify", {"notice": notice.pk})
        self.assertEqual(client.receive(), {"text": "notified after 2 tries"})

    def test_another_layer(self):
        Client().send_and_consume("board.mail", {"text": "hi"})
        reader = Client(alias="mail")
        reader.join_group("mailed")
        reader.consume("mail.send")
        self.assertEqual(reader.receive(), {"text": "HI"})
        self.assertIsNone(self.get_next_message("mail.send"))
        self.assertIsNone(reader.consume("mail.send", fail_on_none=False))

    def test_a_consumer_answers_a_request(self):
        client = Client()
        client.send_and_consume("board.answer", {"to": "web!a", "what": "this"})
        message = self.get_next_message("web!a", require=True)
        self.assertEqual(message["status"], 200)
        self.assertEqual(message["content"], b"at last: this")


class WebTests(ChannelTestCase):
    def request(self, path, **more):
        client = WSClient()
        content = {"method": "GET", "http_version": "1.1"}
        content.update(more)
        client.send_and_consume("http.request", content, path=path)
        return client

    def test_a_pong_for_a_ping(self):
        answer = self.request("/ping/").receive()
        self.assertEqual((answer["status"], answer["content"]), (200, b"pong"))
        with self.assertRaises(AssertionError):  # no route for that method
            self.request("/ping/", method="POST")

    def test_an_encoded_response(self):
        answer = self.request("/who-am-i/?q=1").receive()
        self.assertEqual(json.loads(answer["content"]), {"user": "", "query": "1"})
        self.assertIn("Set-Cookie", [bytes(name).decode() for name, _ in answer["headers"]])

    def test_pieces(self):
        client = self.request("/drip/2/")
        pieces = iter(client.receive, None)
        self.assertEqual(
            [(piece.get("content", b""), piece["more_content"]) for piece in pieces],
            [(b"", True), (b"0 ", True), (b"1 ", True), (b"done", False)],
        )

    @apply_routes(route("http.request", ViewConsumer()))
    def test_a_view(self):
        answer = self.request("/").receive()
        self.assertEqual((answer["status"], answer["content"]), (200, b"notices: 0"))
        answer = self.request(reverse("reversed"), method="POST", body=b"12345").receive()
        self.assertEqual(json.loads(answer["content"])["length"], 5)

    @apply_routes([route("http.request", ViewConsumer())])
    def test_a_view_that_lets_another_answer(self):
        for path in ("/wait/?what=a", "/wait/?what=b&own=1"):
            client = self.request(path)
            self.assertIsNone(client.receive())
            with apply_routes(route("board.answer", background.answer)):
                client.consume("board.answer")
            self.assertIn(b"at last", client.receive()["content"])


def double(message, **kwargs):
    message.reply_channel.send({"text": message["text"] * 2, "kwargs": kwargs})


class RouteTests(ChannelTestCase):
    def test_routes_for_a_while(self):
        client = Client()
        with apply_routes([[route("double", double)], [route("twice", double)]]):
            for channel in ("double", "twice"):
                client.send_and_consume(channel, {"text": "a"})
                self.assertEqual(client.receive()["text"], "aa")
        self.assertIsNone(client.get_consumer_by_channel("double"))

    @apply_routes([include([route("double", double, text="^(?P<rest>b)$")], text="^a")])
    def test_what_matched_is_cut_off_for_the_routes_alone(self):
        client = Client()
        client.send_and_consume("double", {"text": "ab"})
        self.assertEqual(client.receive(), {"text": "abab", "kwargs": {"rest": "b"}})
        client.send("double", {"text": "b"})
        self.assertIsNone(client.consume("double", fail_on_none=False))

    @apply_routes({"double": double}, aliases=["default"])
    def test_a_dict_of_routes(self):
        Channel("double").send({"text": "x", "reply_channel": "here"})
        Client().consume("double")
        self.assertEqual(self.get_next_message("here")["text"], "xx")

    def test_positional_groups_are_refused(self):
        with self.assertRaises(ValueError):
            route("double", double, text="^(a)$")

    def test_the_router(self):
        router = channel_layers["default"].router
        self.assertIn("websocket.connect", router.channels)
        self.assertIn("board.renotify", router.channels)
