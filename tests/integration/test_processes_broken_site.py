"""A site that cannot be imported when the daemon starts: 503, and a reload when it is mended."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.integration.supervised import WAIT, Site, Supervised, wait, workers_of
from tests.servers import RedisServer

pytestmark = pytest.mark.slow

#: The file, what it says, and what the log must have of the traceback.
BROKEN = {
    "settings": ("settings.py", "SECRET_KEY = (\n", ("settings.py", "SyntaxError")),
    "models": ("models.py", "raise RuntimeError('no models')\n", ("models.py", "no models")),
    "routing": ("routing.py", "routing = [1 / 0]\n", ("routing.py", "ZeroDivisionError")),
}


def answers(daemon: Supervised) -> None:
    assert daemon.get("hello").status_code == 200
    with daemon.connect("echo") as socket:
        socket.send("hello")
        assert socket.recv(WAIT) == "hello"


def refuses(daemon: Supervised) -> None:
    """Every request and handshake is answered 503 at once."""
    answer = wait(lambda: _is_503(daemon), "it is answered 503")
    assert int(answer.headers["Retry-After"]) > 0
    with pytest.raises(InvalidStatus) as caught:
        daemon.connect("echo")
    assert caught.value.response.status_code == 503
    assert int(caught.value.response.headers["Retry-After"]) > 0


def _is_503(daemon: Supervised):
    answer = daemon.get("hello")
    return answer if answer.status_code == 503 else None


@pytest.mark.parametrize(
    ("where", "by"), [("settings", "signal"), ("models", "order"), ("routing", "signal")]
)
def test_it_answers_503_until_a_reload_finds_it_mended(tmp_path: Path, where: str, by: str) -> None:
    site = Site(tmp_path)
    name, text, told = BROKEN[where]
    site.edit(name, text)
    daemon = Supervised(site, "--start-timeout=60", processes=2)
    daemon.start()
    try:
        refuses(daemon)
        assert "Traceback" in daemon.log
        for part in told:
            assert part in daemon.log
        assert daemon.tells()["is_broken"]
        failed = site.order("reload")
        assert failed.returncode == 1, "it is still broken"
        refuses(daemon)
        site.mend(name)
        if by == "order":
            assert site.order("reload").returncode == 0
        else:
            daemon.signal(signal.SIGHUP)
            daemon.all_ready()
        answers(daemon)
        daemon.all_ready()
        assert not daemon.tells()["is_broken"]
        assert daemon.stop() == 0, daemon.log
    finally:
        daemon.kill()
    assert not workers_of(site)


def test_the_options_of_settings_that_are_mended_are_used(tmp_path: Path) -> None:
    site = Site(tmp_path)
    good = (site.package / "settings.py").read_text()
    site.edit("settings.py", "SECRET_KEY = (\n")
    daemon = Supervised(site, processes=1).start()
    try:
        refuses(daemon)
        options = {"INLINE_BODY": 1000, "MAX_BODY": 5000, "WS_MAX_MESSAGE": 1000, "THREADS": 1}
        site.edit("settings.py", f"{good}\nTXCHANNELS = {options}\n")
        daemon.reload()
        answers(daemon)
        with daemon.connect("echo") as socket:
            socket.send("x" * 1001)
            with pytest.raises(Exception, match="1009"):
                socket.recv(WAIT)
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def test_the_layer_of_settings_that_are_mended_is_used(tmp_path: Path) -> None:
    """The sockets of two hosts are in one room, though one has learned late which it is."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    late, other = Site(tmp_path / "one"), Site(tmp_path / "two")
    late.edit("settings.py", "SECRET_KEY = (\n")
    with RedisServer() as server:
        layer = json.dumps(
            {"BACKEND": "txchannels.layers.redis.RedisLayer", "CONFIG": {"hosts": [server.url]}}
        )
        daemon = Supervised(late, processes=1, environment={"LAYER": layer})
        with Supervised(other, processes=1, environment={"LAYER": layer}) as second:
            daemon.start()
            try:
                refuses(daemon)
                late.mend("settings.py")
                daemon.reload()
                answers(daemon)
                daemon.wait_for("is connected")
                with daemon.connect("room") as here, second.connect("room") as there:
                    here.send("hello")
                    assert str(here.recv(WAIT)).split()[0] == "hello"
                    assert str(there.recv(WAIT)).split()[0] == "hello"
                    there.send("hello yourself")
                    assert str(here.recv(WAIT)).startswith("hello yourself")
                assert daemon.stop() == 0
            finally:
                daemon.kill()
            assert second.stop() == 0


def test_who_asks_while_mended_settings_are_loaded_is_answered(tmp_path: Path) -> None:
    """What waits in the layer that is given up would wait for ever."""
    site = Site(tmp_path)
    site.edit("settings.py", "SECRET_KEY = (\n")
    daemon = Supervised(site, "--response-timeout=600", processes=1).start()
    try:
        refuses(daemon)
        site.mend("settings.py")
        daemon.signal(signal.SIGHUP)
        wait(lambda: not daemon.tells()["is_broken"], "a reload has begun")
        with ThreadPoolExecutor(20) as threads:
            answers_to = [threads.submit(daemon.get, "hello") for _ in range(20)]
            while "Reload: generation 2 runs" not in daemon.log:
                answers_to.append(threads.submit(daemon.get, "hello"))
                answers_to[-20].result(WAIT)
            statuses = {one.result(WAIT).status_code for one in answers_to}
        assert statuses <= {200, 503}
        assert daemon.get("hello").status_code == 200
        assert daemon.stop() == 0
    finally:
        daemon.kill()


#: What the daemon could not read when it started: another layer, and how the workers are to be.
MENDED = """
CHANNEL_LAYERS = {
    %s
    "other": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        "ROUTING": "supervised_site.routing.routing",
        "CONFIG": {"channel_capacity": {"http.*": 7}},
    },
}
TXCHANNELS = {
    "LAYER": "other",
    "ROOT_PATH": "/shop",
    "EXCLUDE_CHANNELS": ["websocket.disconnect"],
    "DRAIN_TIMEOUT": 20,
}
"""
UNUSED = '"default": {"BACKEND": "txchannels.layers.memory.MemoryLayer", "ROUTING": []},'
TELL_PREFIX = """
from django.urls import get_script_prefix


def tell_prefix(message):
    message.reply_channel.send({"text": get_script_prefix()})


routing.insert(0, route("websocket.receive", tell_prefix, path="^/version$"))
"""


@pytest.mark.parametrize("default", ["", UNUSED], ids=["alone", "beside another"])
def test_all_that_mended_settings_say_of_workers_is_used_at_once(
    tmp_path: Path, default: str
) -> None:
    site = Site(tmp_path)
    good = (site.package / "settings.py").read_text()
    site.append("routing.py", TELL_PREFIX)
    site.edit("settings.py", "SECRET_KEY = (\n")
    daemon = Supervised(site, processes=1).start()
    try:
        refuses(daemon)
        site.edit("settings.py", f"{good}\n{MENDED % default}")
        for generation in (2, 3):
            daemon.reload()
            answers(daemon)
            with daemon.connect("version") as socket:
                socket.send("")
                assert socket.recv(WAIT) == "/shop/"
            assert daemon.serving()[:2] == (1, generation)
        assert not site.notes["disconnects"], "the workers were told not to run these"
        assert "changed: CHANNEL_LAYERS" not in daemon.log
        assert "says of DRAIN_TIMEOUT is used when it is restarted" in daemon.log
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def test_the_command_line_wins_over_mended_settings(tmp_path: Path) -> None:
    site = Site(tmp_path)
    good = (site.package / "settings.py").read_text()
    site.append("routing.py", TELL_PREFIX)
    site.edit("settings.py", "SECRET_KEY = (\n")
    daemon = Supervised(site, "--layer=default", "--root-path=/mine", processes=1).start()
    try:
        refuses(daemon)
        layers = "CHANNEL_LAYERS['other'] = {**CHANNEL_LAYERS['default'], 'ROUTING': []}"
        own = {"LAYER": "other", "ROOT_PATH": "/shop"}
        site.edit("settings.py", f"{good}\n{layers}\nTXCHANNELS = {own}\n")
        daemon.reload()
        answers(daemon)
        with daemon.connect("version") as socket:
            socket.send("")
            assert socket.recv(WAIT) == "/mine/"
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def test_options_that_cannot_work_are_mended_by_a_reload_too(tmp_path: Path) -> None:
    site = Site(tmp_path)
    good = (site.package / "settings.py").read_text()
    site.edit("settings.py", "SECRET_KEY = (\n")
    daemon = Supervised(site, processes=1).start()
    try:
        refuses(daemon)
        site.edit("settings.py", f"{good}\nTXCHANNELS = {{'THREADS': 'many'}}\n")
        failed = site.order("reload")
        assert failed.returncode == 1
        assert "TXCHANNELS['THREADS'] 'many'" in failed.stderr
        site.edit("settings.py", f"{good}\nTXCHANNELS = {{'THREADS': 2}}\n")
        daemon.reload()
        answers(daemon)
        assert daemon.stop() == 0
    finally:
        daemon.kill()
