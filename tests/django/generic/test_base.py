# Consumers are written here as their users write them.
# ruff: noqa: RUF012

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from txchannels.django import route_class
from txchannels.django.generic import BaseConsumer
from txchannels.django.generic.base import BaseConsumer as SameConsumer
from txchannels.django.sessions import channel_session, session_for_reply_channel
from txchannels.django.utils import name_that_thing


class Clock(BaseConsumer):
    method_mapping = {"clock.tick": "tick", "clock.stop": "stop"}
    sound = "tick"

    def tick(self, message, **kwargs):
        self.heard = (self.sound, message, kwargs)

    def stop(self, message, **kwargs):
        self.heard = ("stop", message, kwargs)


class Visits(BaseConsumer):
    method_mapping = {"websocket.receive": "count"}
    channel_session = True

    def count(self, message, **kwargs):
        session = message.channel_session
        session["visits"] = session.get("visits", 0) + 1
        self.user = getattr(message, "user", None)


class UserVisits(Visits):
    channel_session = False
    channel_session_user = True


def visits():
    return session_for_reply_channel("sockets!a").get("visits", 0)


def test_it_has_both_of_its_names():
    assert BaseConsumer is SameConsumer


# A message makes an instance


def test_each_message_makes_an_instance_and_calls_the_method_of_its_channel(make_message):
    message = make_message("clock.tick")
    consumer = Clock(message, room="x")
    assert consumer.message is message
    assert consumer.kwargs == {"room": "x"}
    assert consumer.heard == ("tick", message, {"room": "x"})
    assert Clock(make_message("clock.stop")).heard[0] == "stop"


def test_a_message_of_a_channel_without_a_method_is_refused_by_name(make_message):
    with pytest.raises(ValueError, match=r"Clock takes no messages of 'clock\.wind'.*clock\.stop"):
        Clock(make_message("clock.wind"))


def test_a_handler_may_be_decorated_where_it_is_got(make_message):
    class Loud(Clock):
        def get_handler(self, message, **kwargs):
            handler = super().get_handler(message, **kwargs)
            return lambda message, **given: handler(message, loud=True, **given)

    assert Loud(make_message("clock.tick"), room="x").heard[2] == {"loud": True, "room": "x"}


def test_methods_may_be_decorated_where_they_stand(make_message, database):
    class Decorated(BaseConsumer):
        method_mapping = {"websocket.receive": "count"}
        count = channel_session(Visits.count)

    Decorated(make_message())
    assert visits() == 1


# Sessions and users


@pytest.mark.parametrize("consumer", [Visits, UserVisits])
def test_a_channel_session_is_given_and_kept(make_message, database, consumer):
    consumer(make_message())
    consumer(make_message())
    assert visits() == 2


def test_a_channel_session_comes_with_a_user_if_asked_for(make_message, database):
    assert Visits(make_message()).user is None
    assert UserVisits(make_message()).user.is_anonymous


# Routes


def test_its_channels_are_those_that_have_a_method():
    assert Clock.channel_names() == {"clock.tick", "clock.stop"}
    assert BaseConsumer.channel_names() == set()


def test_a_method_that_is_not_there_is_found_when_the_class_is_routed():
    class Wrong(BaseConsumer):
        method_mapping = {"clock.tick": "tock"}

    for make_route in (route_class, BaseConsumer.as_route.__func__):
        with pytest.raises(ImproperlyConfigured, match=r"Wrong has no method 'tock'.*'clock.tick'"):
            make_route(Wrong)


def test_a_route_takes_filters(make_message):
    route = Clock.as_route(room=r"^(?P<room>\w+)$")
    assert route.match(make_message("clock.tick", room="lobby")) == (Clock, {"room": "lobby"})
    assert route.match(make_message("clock.tick", room="?")) is None
    assert route.channel_names() == Clock.channel_names()


def test_a_route_may_change_attributes_and_the_class_keeps_its_own(make_message):
    consumer, _ = Clock.as_route({"sound": "tock"}).match(make_message("clock.tick"))
    assert consumer(make_message("clock.tick")).heard[0] == "tock"
    assert issubclass(consumer, Clock)
    assert Clock(make_message("clock.tick")).heard[0] == "tick"
    assert name_that_thing(consumer) == name_that_thing(Clock)


def test_attributes_that_are_no_dict_are_refused_by_name():
    with pytest.raises(TypeError, match=r"attrs of .*Clock.as_route\(\) must be a dict.*not list"):
        Clock.as_route(attrs=["sound"])
