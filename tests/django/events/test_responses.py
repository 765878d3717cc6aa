"""Responses that join groups, as the messages that the daemon is sent."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.test import RequestFactory, override_settings
from django.urls import path

from txchannels.django import Channel, Group, channel_layers
from txchannels.django.events import EventStreamResponse, LongPollResponse, last_event_id
from txchannels.django.handler import AsgiHandler, ViewConsumer
from txchannels.django.message import Message, pending_message_store
from txchannels.django.request import AsgiRequest
from txchannels.django.test.layers import layers_for_tests, next_message

NAME = "daemon!1"

#: What `view` does, in this test.
VIEWS: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def layers():
    with layers_for_tests() as layers:
        yield layers


def make_message(target: str = "/", *headers: tuple[str, str]) -> Message:
    at, _, query = target.partition("?")
    content = {
        "reply_channel": NAME,
        "http_version": "1.1",
        "method": "GET",
        "path": at,
        "query_string": query.encode(),
        "headers": [
            [b"host", b"example.com"],
            *([name.encode(), value.encode()] for name, value in headers),
        ],
        "body": b"",
    }
    return Message(content, "http.request", channel_layers["default"])


def make_request(*given: Any) -> AsgiRequest:
    return AsgiRequest(make_message(*given))


def view(request: HttpRequest) -> HttpResponse:
    return VIEWS["view"](request)


urlpatterns = [path("", view)]


def run_view(answer: Any, *given: Any, middleware: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """What the daemon is sent when the view is *answer*."""
    VIEWS["view"] = answer
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=list(middleware)):
        ViewConsumer()(make_message(*given))
    return sent()


def sent() -> list[dict[str, Any]]:
    found = []
    while (message := next_message(NAME)) is not None:
        found.append(message.content)
    return found


def headers_of(message: dict[str, Any]) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in message["headers"]}


def members(group: str) -> list[str]:
    return channel_layers["default"].group_channels(group)


def test_a_view_s_event_stream_is_one_message_and_a_membership():
    [message] = run_view(lambda request: EventStreamResponse(request, "prices"))
    assert message["status"] == 200
    assert message["events"] == {"heartbeat": 15.0, "retry": 3.0}
    assert (message["replay"], message["more_content"]) == ([], False)
    headers = headers_of(message)
    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-store, private"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-content-type-options"] == "nosniff"
    assert members("prices") == [NAME]


def test_a_view_s_poll_is_one_too():
    [message] = run_view(lambda request: LongPollResponse(request, "prices", timeout=5))
    assert message["poll"] == {"timeout": 5}
    assert "events" not in message
    headers = headers_of(message)
    assert headers["content-type"] == "application/json"
    assert "x-accel-buffering" not in headers
    assert members("prices") == [NAME]


@pytest.mark.parametrize("kind", [EventStreamResponse, LongPollResponse])
def test_it_joins_several_groups_however_they_are_named(kind):
    run_view(lambda request: kind(request, ["a", Group("b")]))
    assert members("a") == members("b") == [NAME]
    run_view(lambda request: kind(request, Group("c")))
    assert members("c") == [NAME]


def test_the_history_is_read_when_it_is_a_member():
    asked = []

    def replay(last):
        asked.append((last, members("prices")))
        return [{"text": "a", "id": 8}, "b", {"id": "9", "text": None}]

    [message] = run_view(
        lambda request: EventStreamResponse(request, "prices", replay=replay),
        "/",
        ("last-event-id", "7"),
    )
    assert asked == [("7", [NAME])]
    assert message["replay"] == [{"text": "a", "id": "8"}, {"text": "b"}, {"id": "9"}]
    assert message["more_content"] is False


def test_a_long_history_goes_in_several_messages_as_it_is_read():
    def replay(last):
        for number in range(1_200):
            yield {"text": "x" * 10, "id": number}

    messages = run_view(lambda request: EventStreamResponse(request, "prices", replay=replay))
    assert [len(one["replay"]) for one in messages] == [500, 500, 200]
    assert [one["more_content"] for one in messages] == [True, True, False]
    assert ["status" in one for one in messages] == [True, False, False]
    ids = [event["id"] for one in messages for event in one["replay"]]
    assert ids == [str(number) for number in range(1_200)]


def test_messages_of_a_history_are_bounded_in_size_too():
    events = ["\xe9" * 20_000] * 5
    messages = run_view(
        lambda request: EventStreamResponse(request, "prices", replay=lambda last: events)
    )
    assert [len(one["replay"]) for one in messages] == [1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (5, "a text, or a dict"),
        ({"bytes": b"a"}, "no keys but"),
        ({"text": 5}, "'text' of a missed event must be text"),
        ({"text": "a", "id": 1.5}, "'id' of a missed event must be text"),
        ({"text": "a", "id": True}, "'id' of a missed event must be text"),
        ({"text": "a", "event": "b\nc"}, "'event' of a missed event must be one line"),
    ],
)
def test_a_history_that_cannot_be_sent_is_the_view_s_error(event, said):
    with pytest.raises((TypeError, ValueError), match=said):
        run_view(lambda request: EventStreamResponse(request, "a", replay=lambda last: [event]))
    assert sent() == []


def test_an_error_in_the_history_is_one_before_anything_is_sent():
    def replay(last):
        raise LookupError("no history")

    with pytest.raises(LookupError):
        run_view(lambda request: EventStreamResponse(request, "a", replay=replay))
    assert sent() == []


def test_without_a_client_any_more_the_history_is_not_read_on():
    read = []

    def replay(last):
        for number in range(10_000):
            read.append(number)
            yield str(number)

    message = make_message()
    message.channel_layer.send_many = lambda sends, wait: [(sends[0], _gone())]
    VIEWS["view"] = lambda request: EventStreamResponse(request, "a", replay=replay)
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]):
        ViewConsumer()(message)
    assert 500 <= len(read) < 1_100


def _gone():
    from txchannels.errors import ChannelClosed

    return ChannelClosed("gone")


# Middleware

ALL = (
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
)


@pytest.mark.parametrize("kind", [EventStreamResponse, LongPollResponse])
def test_all_of_django_s_middleware_lets_it_pass_again_and_again(kind, database):
    def answer(request):
        request.session["seen"] = True
        get_token(request)
        return kind(request, "prices")

    accepts = (("accept-encoding", "gzip"), ("if-none-match", "*"))
    for _ in range(2):  # the second time, a cache could answer
        [message] = run_view(answer, "/", *accepts, middleware=ALL)
        names = [name.lower() for name, _ in message["headers"]]
        assert message["status"] == 200
        assert message["content"] == b""
        assert names.count(b"set-cookie") == 2
        assert b"content-encoding" not in names
        assert b"etag" not in names
        assert headers_of(message)["x-frame-options"] == "DENY"
        assert members("prices") == [NAME]


def test_another_status_makes_it_an_ordinary_response_in_no_group():
    def answer(request):
        response = EventStreamResponse(request, "prices")
        response.status_code = 403
        return response

    [message] = run_view(answer)
    assert message["status"] == 403
    assert "events" not in message
    assert members("prices") == []


def test_a_view_that_fails_after_it_has_made_one_is_in_no_group():
    def answer(request):
        EventStreamResponse(request, "prices")
        raise PermissionError

    [message] = run_view(answer)
    assert message["status"] == 500
    assert members("prices") == []


# Consumers


def test_a_consumer_sends_it_by_itself_and_it_goes_out_when_that_ends():
    message = make_message("/", ("last-event-id", "3"))
    pending_message_store.prepare()
    EventStreamResponse(message, "prices", replay=lambda last: [{"text": last}]).send()
    assert members("prices") == [NAME]
    assert sent() == []
    pending_message_store.send_all()
    [found] = sent()
    assert found["replay"] == [{"text": "3"}]
    assert found["events"]


# Where it cannot work


@pytest.mark.parametrize("kind", [EventStreamResponse, LongPollResponse])
def test_other_servers_and_plain_test_clients_are_told_what_is_missing(kind):
    with pytest.raises(ImproperlyConfigured, match=r"twistd channels.*EventClient"):
        kind(RequestFactory().get("/"), "prices")
    with pytest.raises(ImproperlyConfigured, match="no reply channel"):
        kind(HttpRequest(), "prices")


@pytest.mark.parametrize("value", [-1, "5", True, None, float("nan"), 1e9])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (EventStreamResponse, "heartbeat"),
        (EventStreamResponse, "retry"),
        (LongPollResponse, "timeout"),
    ],
)
def test_times_that_are_none_are_refused_by_name(kind, name, value):
    with pytest.raises(ValueError, match=name):
        kind(make_request(), "prices", **{name: value})


def test_names_that_no_group_may_have_are_refused():
    with pytest.raises(TypeError):
        EventStreamResponse(make_request(), "a b")


# What the client has had last


@pytest.mark.parametrize(
    ("target", "header", "wanted"),
    [
        ("/", None, ""),
        ("/", "5", "5"),
        ("/?last_event_id=4", None, "4"),
        ("/?last_event_id=4", "5", "5"),
        ("/?last_event_id=4", "", "4"),
        ("/?last_event_id=%C3%A9", None, "\xe9"),
        ("/", "\xe9", "\xe9"),
    ],
)
def test_it_is_in_the_header_or_else_in_the_query(target, header, wanted):
    given = () if header is None else (("last-event-id", header),)
    assert last_event_id(make_request(target, *given)) == wanted


def test_it_is_read_of_any_request():
    assert last_event_id(RequestFactory().get("/?last_event_id=4")) == "4"
    request = RequestFactory().get("/", headers={"Last-Event-ID": "5"})
    assert last_event_id(request) == "5"


def test_a_subclass_of_the_handler_makes_the_same_messages():
    class Own(AsgiHandler):
        pass

    response = EventStreamResponse(make_request(), "prices")
    [message] = Own.encode_response(response)
    assert message["events"]
    assert isinstance(response.reply_channel, Channel)
