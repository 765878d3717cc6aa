"""Rows that browsers see change, and change."""

from board.models import Notice
from txchannels.django.binding.base import CREATE, Binding
from txchannels.django.binding.websockets import WebsocketBinding, WebsocketBindingWithMembers


class NoticeBinding(WebsocketBinding):
    model = Notice
    stream = "notices"
    fields = ["room", "text"]  # noqa: RUF012

    @classmethod
    def group_names(cls, instance):
        return ["notices-" + instance.room]

    def has_permission(self, user, action, pk):
        return user.is_authenticated


class LoudBinding(WebsocketBindingWithMembers):
    model = "board.Notice"
    stream = "loud"
    fields = "__all__"
    send_members = ["shout", "text"]  # noqa: RUF012

    @classmethod
    def group_names(cls, instance):
        return ["loud"]


class LogBinding(Binding):
    """A form of one's own."""

    model = Notice
    fields = ["text"]  # noqa: RUF012

    @classmethod
    def group_names(cls, instance):
        return ["log"]

    def serialize(self, instance, action):
        return {"new": instance.text} if action == CREATE else {}

    @classmethod
    def encode(cls, stream, payload):
        return {"text": "log: " + payload["new"]}
