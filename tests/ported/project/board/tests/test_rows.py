# ruff: noqa: PT009 - as unittest's users write them
"""Rows that change, and messages for later."""

import json

from django.contrib.auth.models import User

from board.models import Notice
from txchannels.django.delay.models import DelayedMessage
from txchannels.django.test import ChannelTestCase, Client, WSClient

PATH = "/classes/rows/"


class RowTests(ChannelTestCase):
    def connect(self, user=None):
        client = WSClient()
        if user:
            client.force_login(user)
        client.send_and_consume("websocket.connect", path=PATH)
        return client

    def heard(self, client):
        """What has come, by stream."""
        frames = []
        while frame := client.receive(json=False):
            frames.append(frame if frame.startswith("log") else json.loads(frame))
        return frames

    def test_rows_go_out(self):
        client = self.connect()
        notice = Notice.objects.create(room="attic", text="swept")
        model = {"model": "board.notice", "pk": notice.pk}
        data = {"room": "attic", "text": "swept"}
        created, loud = (
            {
                "stream": "notices",
                "payload": {
                    "action": "create",
                    "data": {"room": "attic", "text": "swept"},
                    **model,
                },
            },
            {
                "stream": "loud",
                "payload": {
                    "action": "create",
                    "data": {**data, "shout": "SWEPT!"},
                    **model,
                },
            },
        )
        heard = self.heard(client)
        self.assertEqual(len(heard), 3)
        for frame in (created, loud, "log: swept"):
            self.assertIn(frame, heard)
        notice.room = "cellar"
        notice.save()
        actions = [(one["stream"], one["payload"]["action"]) for one in self.heard(client)]
        self.assertEqual(sorted(actions), [("loud", "update"), ("notices", "delete")])
        notice.delete()
        actions = [(one["stream"], one["payload"]["action"]) for one in self.heard(client)]
        self.assertEqual(actions, [("loud", "delete")])

    def change(self, client, action, pk=None, **data):
        payload = {"action": action, "pk": pk, "data": data}
        frame = {"stream": "notices", "payload": payload}
        client.send_and_consume("websocket.receive", text=frame, path=PATH)

    def test_rows_come_in_from_those_who_may(self):
        client = self.connect(User.objects.create_user("ann"))
        self.change(client, "create", room="attic", text="by ann")
        notice = Notice.objects.get()
        self.assertEqual(str(notice), "by ann")
        self.change(client, "update", notice.pk, text="by her")
        notice.refresh_from_db()
        self.assertEqual((notice.room, notice.text), ("attic", "by her"))
        self.change(self.connect(), "delete", notice.pk)
        self.assertEqual(Notice.objects.count(), 1)
        self.change(client, "delete", notice.pk)
        self.assertEqual(Notice.objects.count(), 0)


class LaterTests(ChannelTestCase):
    def test_a_message_for_later(self):
        content = {"room": "attic"}
        message = DelayedMessage(channel_name="board.later", content=json.dumps(content))
        message.delay = 0
        message.save()
        due = DelayedMessage.objects.is_due().get()
        due.send()
        client = Client()
        client.join_group("board-attic")
        client.consume("board.later")
        self.assertEqual(client.receive(), {"text": "later"})
        self.assertFalse(DelayedMessage.objects.exists())
        message = DelayedMessage(channel_name="board.later", content="{}")
        message.delay = 3_600_000
        message.save()
        self.assertFalse(DelayedMessage.objects.is_due().exists())
