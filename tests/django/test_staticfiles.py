from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path

from txchannels.django.asgi import channel_layers
from txchannels.django.message import Message
from txchannels.django.staticfiles import StaticFilesConsumer, StaticFilesHandler

urlpatterns = [path("hello/", lambda request: HttpResponse("hello"))]


@pytest.fixture
def site(tmp_path):
    (tmp_path / "a b.txt").write_text("a file")
    (tmp_path.parent / "secret.txt").write_text("no file of the site")
    with override_settings(
        ROOT_URLCONF=__name__,
        DEBUG=True,
        STATIC_URL="/static/",
        STATICFILES_DIRS=[str(tmp_path)],
        STATICFILES_FINDERS=["django.contrib.staticfiles.finders.FileSystemFinder"],
    ):
        yield


@pytest.fixture
def ask(layer, site):
    def ask(path):
        content = {
            "reply_channel": "http!a",
            "method": "GET",
            "path": path,
            "headers": [[b"host", b"example.com"]],
        }
        message = Message(content, "http.request", channel_layers["default"])
        messages = [dict(one) for one in StaticFilesHandler()(message)]
        return messages[0]["status"], b"".join(one["content"] for one in messages)

    return ask


def test_a_static_file_is_served(ask):
    assert ask("/static/a b.txt") == (200, b"a file")


def test_another_path_is_the_views(ask):
    assert ask("/hello/") == (200, b"hello")


def test_a_file_that_is_not_there_is_404_with_the_debug_page(ask):
    status, page = ask("/static/nothing.txt")
    assert status == 404
    assert b"nothing.txt" in page


@pytest.mark.parametrize("path", ["/static/../secret.txt", "/static//etc/passwd", "/static/x\0y"])
def test_a_path_that_leads_out_is_no_file_and_no_crash(ask, path):
    status, page = ask(path)
    assert status in (400, 404)
    assert b"no file of the site" not in page
    assert b"root:" not in page


def test_the_consumer_serves_files_too(layer, site):
    content = {"reply_channel": "http!a", "method": "GET", "path": "/static/a b.txt"}
    StaticFilesConsumer()(Message(content, "http.request", channel_layers["default"]))
    assert b"".join(one["content"] for one in layer.on("http!a")) == b"a file"
