"""A site that hangs below a path: its routes and its URLs are written without that."""

from __future__ import annotations

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.integration.daemon import Daemon

pytestmark = pytest.mark.slow

WAIT = 90.0

SETTINGS = """
SECRET_KEY = "for tests alone"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["txchannels.django"]
ROOT_URLCONF = "hanging"
CHANNEL_LAYERS = {
    "default": {"BACKEND": "txchannels.layers.memory.MemoryLayer", "ROUTING": "hanging.routing"}
}
"""

CODE = """
from django.http import HttpResponse
from django.urls import path, reverse

from txchannels.django import route
from txchannels.django.exceptions import DenyConnection
from txchannels.django.handler import AsgiHandler


def view(request):
    return HttpResponse(f"view {request.path_info} {request.path} {reverse('view')}")


def answer(message, name):
    response = HttpResponse(f"consumer {name} {message['path']} {reverse('view')}")
    for part in AsgiHandler.encode_response(response):
        message.reply_channel.send(part)


def accept(message, name):
    message.reply_channel.send({"accept": True})


def deny(message):
    raise DenyConnection("no such socket")


def receive(message, name):
    message.reply_channel.send({"text": f"{name} {message['path']} {reverse('view')}"})


urlpatterns = [path("view/", view, name="view")]
routing = [
    route("http.request", answer, path=r"^/consumer/(?P<name>\\w+)/$"),
    route("websocket.connect", accept, path=r"^/chat/(?P<name>\\w+)/$"),
    route("websocket.connect", deny),
    route("websocket.receive", receive, path=r"^/chat/(?P<name>\\w+)/$"),
]
"""


@pytest.fixture(scope="module", params=["--root-path", "FORCE_SCRIPT_NAME", "--processes"])
def daemon(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    forced = request.param == "FORCE_SCRIPT_NAME"
    own = "FORCE_SCRIPT_NAME = '/shop/'\n" if forced else ""
    (folder / "hanging_settings.py").write_text(SETTINGS + own)
    (folder / "hanging.py").write_text(CODE)
    options = [] if forced else ["--root-path=/shop"]
    if request.param == "--processes":
        options.append("--processes=1")
    with Daemon("hanging_settings", *options, folder=folder, paths=[folder]) as daemon:
        if request.param == "--processes":
            daemon.wait_for("is ready, after", WAIT)
        yield daemon


def get(daemon, path):
    return httpx.get(f"{daemon.url}{path}", timeout=WAIT).text


@pytest.mark.parametrize("prefix", ["/shop", ""], ids=["proxy leaves it", "proxy cuts it off"])
def test_views_consumers_of_requests_and_sockets_are_found_alike(daemon, prefix):
    assert get(daemon, f"{prefix}/view/") == "view /view/ /shop/view/ /shop/view/"
    assert get(daemon, f"{prefix}/consumer/a/") == f"consumer a {prefix}/consumer/a/ /shop/view/"
    path = f"{prefix}/chat/lobby/"
    with connect(f"ws://127.0.0.1:{daemon.port}{path}", open_timeout=WAIT, proxy=None) as socket:
        socket.send("hello")
        assert socket.recv(WAIT) == f"lobby {path} /shop/view/"


@pytest.mark.parametrize("path", ["/shopping/chat/lobby/", "/shop/shop/chat/lobby/", "/shop/"])
def test_other_paths_are_not(daemon, path):
    with pytest.raises(InvalidStatus) as caught:
        connect(f"ws://127.0.0.1:{daemon.port}{path}", open_timeout=WAIT, proxy=None)
    assert caught.value.response.status_code == 403
