# ruff: noqa: PT009 - as unittest's users write them
"""Consumers in the test's own thread."""

from django.contrib.auth.models import User

from txchannels.django import Group
from txchannels.django.test import ChannelTestCase, TransactionChannelTestCase, WSClient


class Plain(ChannelTestCase):
    def setUp(self):
        self.alice = User.objects.create(username="alice")

    def test_a_conversation(self):
        client, other = WSClient(), WSClient()
        client.force_login(self.alice)
        client.send_and_consume("websocket.connect", path="/ws/")
        other.send_and_consume("websocket.connect", path="/ws/")
        self.assertEqual(client.receive(json=False), "hello alice")
        self.assertEqual(other.receive(json=False), "hello ")
        client.send_and_consume("websocket.receive", text="bob", path="/ws/")
        self.assertTrue(User.objects.filter(username="bob").exists())
        self.assertEqual(other.receive(json=False), "alice adds bob")
        client.send_and_consume("websocket.disconnect", path="/ws/")
        Group("all").send({"text": "more"})
        self.assertEqual(client.receive(json=False), "alice adds bob")
        self.assertIsNone(client.receive())

    def test_nothing_is_left(self):
        self.assertEqual(User.objects.count(), 1)
        self.assertNoMessages()


class Committed(TransactionChannelTestCase):
    def test_a_connect(self):
        WSClient().send_and_consume("websocket.connect", path="/ws/")
