"""Routings that are included by name."""

from board.consumers import doors, sessions
from txchannels.django import route

session_routing = [
    route("websocket.connect", sessions.start_count, path=r"^/channel/$"),
    route("websocket.receive", sessions.count, path=r"^/channel/$"),
    route("websocket.connect", sessions.show_browser, path=r"^/http/$"),
    route("websocket.connect", sessions.start_both, path=r"^/both/$"),
    route("websocket.receive", sessions.show_both, path=r"^/both/$"),
    route("websocket.connect", sessions.greet, path=r"^/user/$"),
    route("websocket.connect", sessions.remember, path=r"^/users/$"),
    route("websocket.receive", sessions.recall, path=r"^/users/$"),
    route("websocket.disconnect", sessions.forget),
]

door_routing = [
    route("websocket.connect", doors.closed, path=r"^/closed/$"),
    route("websocket.connect", doors.own, path=r"^/own/$"),
    route("websocket.connect", doors.friends, path=r"^/friends/$"),
    route("websocket.connect", doors.accept, path=r"^/revolving/$"),
    route("websocket.receive", doors.throw_out, path=r"^/revolving/$"),
]
