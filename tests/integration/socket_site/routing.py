"""The consumers, each under the path that it is named by."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path
from typing import Any

from txchannels.django import Group, route
from txchannels.django.exceptions import DenyConnection

urlpatterns: list[Any] = []

PARALLEL = 20

_pause = threading.Event()
_connected: set[str] = set()
_running = threading.Condition()
_counts = {"now": 0, "most": 0}


def connect(message: Any) -> None:
    message.reply_channel.send({"accept": True})


def echo(message: Any) -> None:
    content = message.content
    if content["text"] is not None:
        message.reply_channel.send({"text": content["text"]})
    else:
        message.reply_channel.send({"bytes": content["bytes"]})


def echo_after_a_while(message: Any) -> None:
    _pause.wait(random.random() / 1000)
    echo(message)


def connect_slowly(message: Any) -> None:
    message.reply_channel.send({"accept": True}, immediately=True)
    _pause.wait(0.3)
    _connected.add(message.reply_channel.name)


def is_connected(message: Any) -> None:
    is_done = message.reply_channel.name in _connected
    message.reply_channel.send({"text": str(is_done)})


def count_others(message: Any) -> None:
    """Wait until so many run at once; answer how many did."""
    with _running:
        _counts["now"] += 1
        _counts["most"] = max(_counts["most"], _counts["now"])
        _running.notify_all()
        _running.wait_for(lambda: _counts["most"] >= PARALLEL, 20)
        _counts["now"] -= 1
    message.reply_channel.send({"text": str(_counts["most"])})


def fail(message: Any) -> None:
    if message.content["text"] == "exit":
        raise SystemExit(3)
    if message.content["text"] == "fail":
        raise ValueError("boom")
    echo(message)


def deny(message: Any) -> None:
    raise DenyConnection


def fail_to_connect(message: Any) -> None:
    message.reply_channel.send({"accept": True})
    raise ValueError("cannot connect")


def choose(message: Any) -> None:
    message.reply_channel.send({"accept": True, "subprotocol": "v2"})


def join(message: Any) -> None:
    message.reply_channel.send({"accept": True})
    Group("room").add(message.reply_channel)


def tell_room(message: Any) -> None:
    Group("room").send({"text": message.content["text"]})


def close(message: Any) -> None:
    text = message.content["text"]
    message.reply_channel.send({"text": "bye", "close": int(text) if text else True})


def disconnect(message: Any) -> None:
    told = os.environ.get("DISCONNECTS")
    if told:
        with Path(told).open("a") as lines:
            lines.write(f"{message.content['path']} {message.content['code']}\n")


PATHS = {
    "/echo": (connect, echo),
    "/order": (connect, echo_after_a_while),
    "/slow": (connect_slowly, is_connected),
    "/parallel": (connect, count_others),
    "/fail": (connect, fail),
    "/deny": (deny, echo),
    "/broken": (fail_to_connect, echo),
    "/protocol": (choose, echo),
    "/room": (join, tell_room),
    "/close": (connect, close),
}

routing = [route("websocket.disconnect", disconnect)]
for path, (connected, received) in PATHS.items():
    routing.append(route("websocket.connect", connected, path=f"^{path}$"))
    routing.append(route("websocket.receive", received, path=f"^{path}$"))
