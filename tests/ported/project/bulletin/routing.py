"""Sockets, HTTP that is no view's, and work behind the scenes."""

from board.consumers import background, classes, plain, web
from board.routes import Weekdays

from txchannels.django import include, route, route_class

http_routing = [
    route("http.request", web.ping, path=r"^/ping/$", method=r"^GET$"),
    route("http.request", "board.consumers.web.who_am_i", path=r"^/who-am-i/$"),
    route("http.request", web.drip, path=r"^/drip/(?P<drops>\d+)/$"),
    route("http.disconnect", web.gone),
]

room_routing = [
    route("websocket.connect", plain.enter, path=r"^(?P<room>[a-z]+)/$"),
    route("websocket.receive", plain.say, path=r"^(?P<room>[a-z]+)/$"),
    route("websocket.disconnect", plain.leave, path=r"^(?P<room>[a-z]+)/$"),
    # an inner group wins over the outer one of the same name
    route("websocket.connect", plain.tell_language, path=r"^(?P<language>de)/language/$"),
]

channel_routing = [
    include(http_routing),
    include(room_routing, path=r"^/(?:(?P<language>en|de)/)?rooms/"),
    include("board.routing.session_routing", path=r"^/sessions"),
    include("board.routing.door_routing", path=b"^/doors"),
    Weekdays("websocket.connect", plain.tell_day),
    route_class(classes.Echo, path=r"^/classes/echo/$"),
    route_class(classes.Room, path=r"^/classes/rooms/(?P<room>[a-z]+)/$"),
    classes.Account.as_route(path=r"^/classes/account/$"),
    classes.Ordered.as_route(path=r"^/classes/ordered/$"),
    classes.Greeter.as_route(path=r"^/classes/hello/$"),
    classes.Greeter.as_route(attrs={"greeting": "bye"}, path=r"^/classes/bye/$"),
    classes.Streams.as_route(path=r"^/classes/streams/$"),
    classes.Rows.as_route(path=r"^/classes/rows/$"),
    classes.Guarded.as_route(path=r"^/classes/guarded/$"),
    route_class(background.Batch),
    route(["board.notify", b"board.renotify"], background.notify),
    route("board.answer", background.answer),
    route("board.later", background.later),
    route("board.mail", background.pass_on),
]
