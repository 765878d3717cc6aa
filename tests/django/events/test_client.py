"""`EventClient`: event streams and polls in the test's own thread."""

from __future__ import annotations

import pytest
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import path

from txchannels.django import Group
from txchannels.django.events import EventStreamResponse, LongPollResponse
from txchannels.django.test import EventClient, WSClient
from txchannels.django.test.layers import layers_for_tests

HISTORY = [{"text": "a", "id": "1"}, {"text": "b", "id": "2"}]


def missed(last):
    return [event for event in HISTORY if event["id"] > last]


def stream(request):
    return EventStreamResponse(request, "prices", replay=missed)


def poll(request):
    return LongPollResponse(request, "prices")


def plain(request):
    return HttpResponse("plain")


urlpatterns = [
    path("stream/", stream),
    path("poll/", poll),
    path("plain/", plain),
    path("mine/", login_required(poll)),
]


@pytest.fixture(autouse=True)
def site():
    middleware = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    with (
        layers_for_tests(),
        override_settings(
            ROOT_URLCONF=__name__, MIDDLEWARE=middleware, ALLOWED_HOSTS=["testserver"]
        ),
    ):
        yield


def test_a_stream_has_what_was_missed_and_what_is_sent_to_its_group():
    client = EventClient()
    response = client.get("/stream/", headers={"Last-Event-ID": "1"})
    assert response.status_code == 200
    assert response["Content-Type"] == "text/event-stream"
    Group("prices").send({"text": "b", "id": 2})
    Group("prices").send({"text": "c", "id": 3})
    assert client.receive(response) == {"text": "b", "id": "2"}
    assert client.receive(response) == {"text": "c", "id": 3}
    assert client.receive(response) is None


def test_several_clients_and_sockets_are_told_apart():
    client, socket = EventClient(), WSClient()
    socket.join_group("prices")
    one, other = client.get("/poll/"), client.get("/poll/")
    Group("prices").send({"text": "all"})
    one.reply_channel.send({"text": "one"})
    assert client.receive_all(one) == [{"text": "all"}, {"text": "one"}]
    assert client.receive_all(other) == [{"text": "all"}]
    assert socket.receive(json=False) == "all"


def test_who_leaves_gets_nothing_more():
    client = EventClient()
    response = client.get("/poll/")
    client.leave(response)
    Group("prices").send({"text": "late"})
    assert client.receive(response) is None


def test_ordinary_responses_are_as_ever():
    client = EventClient()
    response = client.get("/plain/")
    assert response.content == b"plain"
    with pytest.raises(AssertionError, match="no event stream"):
        client.receive(response)


def test_who_is_not_let_in_is_in_no_group(database):
    client = EventClient()
    assert client.get("/mine/").status_code == 302
    client.force_login(User.objects.create_user("ann"))
    response = client.get("/mine/")
    Group("prices").send({"text": "for ann"})
    assert client.receive(response) == {"text": "for ann"}


def test_django_s_own_client_is_told_which_to_use():
    with pytest.raises(Exception, match="EventClient"):
        Client().get("/stream/")
