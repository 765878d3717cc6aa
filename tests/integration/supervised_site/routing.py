"""The consumers, each under the path that it is named by."""

from __future__ import annotations

import os
import random
from typing import Any

from supervised_site import doing
from supervised_site.version import VERSION
from txchannels.django import Group, route

BUSY_SECONDS = float(os.environ.get("BUSY_SECONDS", "0"))


def accept(message: Any) -> None:
    message.reply_channel.send({"accept": True})


def echo(message: Any) -> None:
    message.reply_channel.send({"text": message.content["text"]})


def count(message: Any) -> None:
    """Note that it was begun, work a while, send it back."""
    text = message.content["text"]
    os.write(_begun(), f"{os.getpid()} {text}\n".encode())
    doing.pause(random.random() * BUSY_SECONDS)
    message.reply_channel.send({"text": text})


def _begun() -> int:
    if not _files:
        path = os.path.join(os.environ["NOTES"], "begun")  # noqa: PTH118 - it is opened as a number
        _files.append(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    return _files[0]


_files: list[int] = []


def tell_version(message: Any) -> None:
    message.reply_channel.send({"text": f"{VERSION} {os.getpid()}"})


def wait(message: Any) -> None:
    """The text is a gate, or is sent back at once."""
    if message.content["text"].startswith("/"):
        doing.wait_for(message.content["text"])
    message.reply_channel.send({"text": f"{message.content['text']} {VERSION}"})


def die(message: Any) -> None:
    """The text says how, or is sent back."""
    if message.content["text"].startswith("die "):
        doing.die(message.content["text"].removeprefix("die "))
    echo(message)


def die_at_once(message: Any) -> None:
    doing.die("SIGKILL")


def join(message: Any) -> None:
    Group("room").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def tell_room(message: Any) -> None:
    Group("room").send({"text": f"{message.content['text']} {os.getpid()}"})


def disconnect(message: Any) -> None:
    doing.note("disconnects", message.content["path"], message.content["code"])


PATHS = {
    "/echo": (accept, echo),
    "/count": (accept, count),
    "/version": (accept, tell_version),
    "/wait": (accept, wait),
    "/die": (accept, die),
    "/dead": (die_at_once, echo),
    "/room": (join, tell_room),
}

routing = [route("websocket.disconnect", disconnect)]
for path, (connected, received) in PATHS.items():
    routing.append(route("websocket.connect", connected, path=f"^{path}$"))
    routing.append(route("websocket.receive", received, path=f"^{path}$"))
