"""Work that nobody waits for."""

# ruff: noqa: RUF012, UP031 - as they were written

from django.http import HttpResponse

from board.models import Notice
from txchannels.django import Channel, Group
from txchannels.django.exceptions import ConsumeLater
from txchannels.django.generic import BaseConsumer
from txchannels.django.handler import AsgiHandler

tries = {}


def notify(message):
    """The first try is always too early."""
    notice = message["notice"]
    tries[notice] = tries.get(notice, 0) + 1
    if tries[notice] < 2:
        raise ConsumeLater
    room = Notice.objects.get(pk=notice).room
    Group("board-" + room).send({"text": "notified after %d tries" % tries.pop(notice)})


def answer(message):
    """Answers a request whose view has not."""
    channel = Channel(message["to"])
    for chunk in AsgiHandler.encode_response(HttpResponse("at last: " + message["what"])):
        channel.send(chunk)


def later(message):
    Group("board-" + message["room"]).send({"text": "later"})


def pass_on(message):
    """From one layer to another."""
    Channel("mail.send", alias="mail").send({"text": message["text"].upper()})


def send_mail(message):
    Group("mailed", alias="mail").send({"text": message["text"]})


class Batch(BaseConsumer):
    """Several channels, and a session for the one that they answer to."""

    method_mapping = {"batch.add": "add", "batch.end": "end"}
    channel_session = True

    def add(self, message, **kwargs):
        message.channel_session["sum"] = message.channel_session.get("sum", 0) + message["number"]

    def end(self, message, **kwargs):
        message.reply_channel.send({"sum": message.channel_session["sum"]})
