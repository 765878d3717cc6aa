from __future__ import annotations

import asyncio
import logging
import threading
import warnings
from pathlib import Path

import pytest
from django.core.signals import request_finished, request_started
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path, reverse
from django.utils.decorators import async_only_middleware

from txchannels.django import handler as handler_module
from txchannels.django.asgi import channel_layers
from txchannels.django.exceptions import RequestAborted, RequestTimeout
from txchannels.django.exceptions import ResponseLater as Later
from txchannels.django.handler import AsgiHandler, AsgiRequest, ViewConsumer
from txchannels.django.message import Message
from txchannels.django.unsent import unsent
from txchannels.errors import ChannelClosed, LayerUnavailable, MessageTooLarge

RESPONSES: list[Noting] = []


class Noting(HttpResponse):
    """Counts how often it is closed."""

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.closings = 0
        RESPONSES.append(self)

    def close(self):
        self.closings += 1
        super().close()


class NotingStream(StreamingHttpResponse):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.closings = 0
        RESPONSES.append(self)

    def close(self):
        self.closings += 1
        super().close()


STREAMS = {
    "parts": [b"a", "b", b"", b"c"],
    "none": [],
    "long": [b"x" * 150_000],
}


def hello(request):
    return Noting("hello", content_type="text/plain")


def long(request):
    return Noting(b"x" * 150_000)


def stream(request, name):
    return NotingStream(iter(STREAMS[name]))


def two_cookies(request):
    response = Noting(headers={"X-MiXed": "é", "Content-Type": "text/plain"})
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", secure=True)
    return response


def later(request):
    raise Later


def later_by_class(request):
    raise AsgiRequest.ResponseLater


def reads(request):
    return Noting(request.body)


def slow(request):
    raise RequestTimeout


def gone(request):
    raise RequestAborted


def broken(request):
    raise RuntimeError("the view broke")


def badly_decoded(request):
    return b"\xff".decode()


def where(request):
    return Noting(reverse("where"))


def file(request):
    return FileResponse(Path(__file__).open("rb"))


async def asynchronous(request):
    await asyncio.sleep(0)
    return Noting("asynchronous")


async def parts():
    for part in ("one ", "two"):
        await asyncio.sleep(0)
        yield part


def asynchronous_stream(request):
    return NotingStream(parts())


async def asynchronous_later(request):
    raise Later


def break_again(request):
    raise RuntimeError("the page for broken views broke")


handler500 = f"{__name__}.break_again"

urlpatterns = [
    path("hello/", hello),
    path("long/", long),
    path("stream/<str:name>/", stream),
    path("cookies/", two_cookies),
    path("later/", later),
    path("later/class/", later_by_class),
    path("later/async/", asynchronous_later),
    path("reads/", reads),
    path("slow/", slow),
    path("gone/", gone),
    path("broken/", broken),
    path("badly-decoded/", badly_decoded),
    path("where/", where, name="where"),
    path("file/", file),
    path("async/", asynchronous),
    path("async/stream/", asynchronous_stream),
]

SEEN: list[str] = []


def noting_middleware(get_response):
    def middleware(request):
        response = get_response(request)
        SEEN.append(f"{request.path} {response.status_code}")
        return response

    return middleware


@async_only_middleware
def asynchronous_middleware(get_response):
    async def middleware(request):
        response = await get_response(request)
        response["X-Async"] = "yes"
        return response

    return middleware


@pytest.fixture(autouse=True)
def site():
    RESPONSES.clear()
    SEEN.clear()
    middleware = [f"{__name__}.noting_middleware"]
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=middleware):
        yield


@pytest.fixture
def message_of(layer):
    def message_of(path, **fields):
        content = {
            "reply_channel": "http!a",
            "method": "GET",
            "path": path,
            "headers": [[b"host", b"example.com"]],
            **fields,
        }
        return Message(content, "http.request", channel_layers["default"])

    return message_of


@pytest.fixture
def answers(message_of):
    """All messages that answer a request."""

    def answers(path, handler=AsgiHandler, **fields):
        return [dict(one) for one in handler()(message_of(path, **fields))]

    return answers


def field(message, name):
    return [value for key, value in message["headers"] if key == name]


# Responses as messages


def test_a_response_is_one_message(answers):
    assert answers("/hello/") == [
        {
            "status": 200,
            "headers": [[b"Content-Type", b"text/plain"]],
            "content": b"hello",
            "more_content": False,
        }
    ]
    assert [one.closings for one in RESPONSES] == [1]


def test_a_long_response_is_several(answers):
    first, *rest = answers("/long/")
    assert first["status"] == 200
    assert all(set(one) == {"content", "more_content"} for one in rest)
    pieces = [first, *rest]
    assert [one["more_content"] for one in pieces] == [True] * (len(pieces) - 1) + [False]
    assert max(len(one["content"]) for one in pieces) == AsgiHandler.chunk_size
    assert b"".join(one["content"] for one in pieces) == b"x" * 150_000


def test_each_part_of_a_stream_is_a_message_and_the_last_is_empty(answers):
    messages = answers("/stream/parts/")
    assert [one["content"] for one in messages] == [b"a", b"b", b"", b"c", b""]
    assert [one["more_content"] for one in messages] == [True] * 4 + [False]
    assert [("status" in one) for one in messages] == [True] + [False] * 4
    assert [one.closings for one in RESPONSES] == [1]


def test_an_empty_stream_has_status_and_headers(answers):
    (message,) = answers("/stream/none/")
    assert message["status"] == 200
    assert (message["content"], message["more_content"]) == (b"", False)
    assert field(message, b"Content-Type") == [b"text/html; charset=utf-8"]


def test_a_long_part_of_a_stream_is_split(answers):
    messages = answers("/stream/long/")
    sizes = [len(one["content"]) for one in messages]
    assert sizes == [65_536, 65_536, 150_000 - 131_072, 0]


def test_header_names_keep_their_case_and_each_cookie_is_a_field(answers):
    (message,) = answers("/cookies/")
    assert [b"X-MiXed", b"\xe9"] in message["headers"]
    assert field(message, b"Set-Cookie") == [b"a=1; Path=/", b"b=2; Path=/; Secure"]


def test_a_file_is_read_in_pieces_and_closed(answers):
    messages = answers("/file/")
    content = b"".join(one["content"] for one in messages)
    assert content == Path(__file__).read_bytes()


def test_encode_response_is_for_consumers_too():
    first, *rest = AsgiHandler.encode_response(HttpResponse("x", status=201))
    assert (first["status"], first["content"], rest) == (201, b"x", [])


@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        (0, [(0, True)]),
        (1, [(1, True)]),
        (65_536, [(65_536, True)]),
        (65_537, [(65_536, False), (1, True)]),
    ],
)
def test_chunk_bytes_tells_which_is_the_last(size, pieces):
    found = [(len(chunk), last) for chunk, last in AsgiHandler.chunk_bytes(b"x" * size)]
    assert found == pieces


# Around a view


def test_djangos_signals_are_sent_once_and_the_first_has_the_message(message_of):
    heard = []

    def started(sender, **more):
        heard.append((sender, more["message"].content["path"]))

    def finished(sender, **more):
        heard.append(sender)

    request_started.connect(started)
    request_finished.connect(finished)
    list(AsgiHandler()(message_of("/hello/")))
    request_started.disconnect(started)
    request_finished.disconnect(finished)
    assert heard == [(AsgiHandler, "/hello/"), AsgiHandler]


def test_the_root_path_is_the_prefix_of_links(answers):
    assert answers("/shop/where/", root_path="/shop")[0]["content"] == b"/shop/where/"
    assert answers("/where/")[0]["content"] == b"/where/"
    with override_settings(FORCE_SCRIPT_NAME="/forced"):
        assert answers("/where/")[0]["content"] == b"/forced/where/"


def test_middleware_is_loaded_once(message_of):
    made = []

    class Handler(AsgiHandler):
        def load_middleware(self, is_async=False):
            made.append(self)
            super().load_middleware(is_async)

    handler = Handler()
    for _ in range(3):
        list(handler(message_of("/hello/")))
    assert made == [handler]


def test_an_asynchronous_view_runs(answers):
    assert answers("/async/")[0]["content"] == b"asynchronous"


def test_an_asynchronous_view_runs_in_many_threads_at_once(message_of):
    handler, found = AsgiHandler(), []

    def run():
        found.append(b"".join(one["content"] for one in handler(message_of("/async/"))))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"asynchronous"] * 8


def test_an_asynchronous_stream_is_consumed_as_in_wsgi(answers):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        messages = answers("/async/stream/")
    assert b"".join(one["content"] for one in messages) == b"one two"
    assert any("asynchronous iterators" in str(one.message) for one in caught)


def test_middleware_that_is_only_asynchronous_runs(answers):
    middleware = [f"{__name__}.asynchronous_middleware", f"{__name__}.noting_middleware"]
    with override_settings(MIDDLEWARE=middleware):
        assert field(answers("/hello/")[0], b"X-Async") == [b"yes"]
        assert answers("/async/")[0]["content"] == b"asynchronous"
    assert SEEN == ["/hello/ 200", "/async/ 200"]


# No answer, or another


@pytest.mark.parametrize("path", ["/later/", "/later/class/", "/later/async/"])
def test_a_view_that_answers_later_sends_nothing(answers, caplog, path):
    assert answers(path) == []
    assert list(SEEN) == [f"{path} 200"]
    assert caplog.records == []


def test_a_client_that_is_gone_is_sent_nothing_and_no_error_is_logged(answers, layer, caplog):
    assert answers("/gone/") == []
    layer.send("body?a", {"closed": True})
    assert answers("/reads/", method="POST", body_channel="body?a") == []
    assert caplog.records == []


def test_a_body_that_comes_too_slowly_is_408(answers, caplog, monkeypatch):
    monkeypatch.setattr(AsgiRequest, "body_receive_timeout", 0.01)
    for view in ("/slow/", "/reads/"):
        (message,) = answers(view, method="POST", body_channel="body?a")
        assert message["status"] == 408
        assert message["content"] == b"408 Request Timeout (upload too slow)"
        assert field(message, b"Content-Type") == [b"text/plain"]
    assert {record.levelno for record in caplog.records} <= {logging.WARNING}


def test_a_request_that_cannot_be_decoded_is_400(answers, caplog):
    class Request(AsgiRequest):
        def __init__(self, message):
            b"\xff".decode()

    class Handler(AsgiHandler):
        request_class = Request

    (message,) = answers("/hello/", Handler)
    assert message["status"] == 400
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_view_that_cannot_decode_is_500_as_in_django(answers):
    with override_settings(DEBUG=True):
        assert answers("/badly-decoded/")[0]["status"] == 500


def test_an_unknown_path_is_404(answers):
    assert answers("/nothing/")[0]["status"] == 404


def test_a_broken_view_is_500_with_the_debug_page(answers):
    with override_settings(DEBUG=True):
        (message, *_) = answers("/broken/")
    assert message["status"] == 500
    assert b"the view broke" in message["content"]


@pytest.mark.parametrize("debug", [False, True])
def test_where_the_error_page_breaks_too_there_is_a_last_resort(
    answers, caplog, debug, monkeypatch
):
    def fail(*arguments):
        raise RuntimeError("the debug page broke")

    monkeypatch.setattr("django.views.debug.technical_500_response", fail)
    with override_settings(DEBUG=debug, DEBUG_PROPAGATE_EXCEPTIONS=False):
        (message,) = answers("/broken/")
    assert message["status"] == 500
    assert field(message, b"Content-Type")[0].startswith(b"text/plain")
    assert (message["content"] == b"Internal Server Error") is not debug
    if debug:
        assert b"the debug page broke" in message["content"]
    assert caplog.records[-1].getMessage() == "Internal Server Error"


def test_the_request_is_closed_though_django_failed(message_of, monkeypatch):
    closed = []

    class Request(AsgiRequest):
        def close(self):
            closed.append(self.path)
            super().close()

    class Handler(AsgiHandler):
        request_class = Request

    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True):
        (message,) = Handler()(message_of("/broken/"))
    assert message["status"] == 500
    assert closed == ["/broken/"]


# The consumer


def test_the_consumer_sends_the_answer_at_once(message_of, layer):
    ViewConsumer()(message_of("/stream/parts/"))
    assert [one["content"] for one in layer.on("http!a")] == [b"a", b"b", b"", b"c", b""]
    assert len(layer.batches) == 5


def failing_layer(layer, error, after=1):
    """From the message number *after* on, sends fail."""
    send_many, count = layer.send_many, []

    def fail(sends, *, wait=0.0):
        assert wait == handler_module.SEND_WAIT_SECONDS
        count.append(1)
        return send_many(sends) if len(count) < after else [(sends[0], error)]

    channel_layers["default"].send_many = fail
    return count


@pytest.mark.parametrize("after", [1, 2])
def test_a_stream_whose_client_is_gone_is_closed_once(message_of, layer, after):
    count = failing_layer(layer, ChannelClosed("gone"), after)
    ViewConsumer()(message_of("/stream/parts/"))
    assert len(count) == after
    assert [one.closings for one in RESPONSES] == [1]


def test_a_layer_that_fails_is_an_error_and_the_response_is_closed(message_of, layer):
    failing_layer(layer, MessageTooLarge("by far"))
    with pytest.raises(MessageTooLarge):
        ViewConsumer()(message_of("/hello/"))
    assert [one.closings for one in RESPONSES] == [1]


def test_a_layer_that_is_away_is_no_fault_of_the_view_and_the_response_is_closed(message_of, layer):
    before = unsent.count
    sends = failing_layer(layer, LayerUnavailable("down"))
    ViewConsumer()(message_of("/stream/parts/"))
    assert sends == [1], "nothing more of it is sent"
    assert unsent.count == before + 1
    assert [one.closings for one in RESPONSES] == [1]


def test_answers_that_nobody_wants_any_more_close_the_response(message_of):
    messages = AsgiHandler()(message_of("/stream/parts/"))
    next(messages)
    messages.close()
    assert [one.closings for one in RESPONSES] == [1]


def test_a_consumer_may_have_a_handler_of_its_own(message_of, layer):
    class Handler(AsgiHandler):
        chunk_size = 2

    class Consumer(ViewConsumer):
        handler_class = Handler

    Consumer()(message_of("/hello/"))
    assert [one["content"] for one in layer.on("http!a")] == [b"he", b"ll", b"o"]


def local(layer):
    """The default layer, as one that no other process reaches."""
    channel_layers["default"].local_only = lambda: True
    return layer


def test_a_long_content_goes_whole_through_a_layer_of_this_process(message_of, layer):
    ViewConsumer()(message_of("/long/"))
    assert len(layer.on("http!a")) == 3
    local(layer)
    ViewConsumer()(message_of("/long/"))
    *_, whole = layer.on("http!a")
    assert (whole["status"], whole["more_content"]) == (200, False)
    assert whole["content"] == b"x" * 150_000
    assert [one.closings for one in RESPONSES] == [1, 1]


def test_a_huge_content_goes_in_pieces(message_of, layer, monkeypatch):
    monkeypatch.setattr(handler_module, "MAX_WHOLE_BYTES", 149_999)
    local(layer)
    ViewConsumer()(message_of("/long/"))
    assert len(layer.on("http!a")) == 3


def test_a_handler_that_encodes_in_its_own_way_does_so_always(message_of, layer):
    class Handler(AsgiHandler):
        @classmethod
        def encode_response(cls, response):
            yield {"status": 299, "content": b"own", "more_content": False}

    class Consumer(ViewConsumer):
        handler_class = Handler

    local(layer)
    Consumer()(message_of("/long/"))
    assert [one["status"] for one in layer.on("http!a")] == [299]
