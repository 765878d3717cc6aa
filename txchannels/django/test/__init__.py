"""Tools for testing a site: consumers in the test's own thread, or a real daemon.

- `ChannelTestCase`, `TransactionChannelTestCase`: Django's, with empty layers in memory;
- `Client`, `WSClient`: send messages, run their consumers, read what these reply;
- `EventClient`: ask views for event streams and long polls, and read their events;
- `apply_routes`: other routes for a while;
- `ChannelLiveServerTestCase`: a daemon on a free port, for browsers and WebSocket clients.

For pytest, `txchannels.django.test.fixtures` is a plugin. See ``docs/testing.md``.
"""

from txchannels.django.test.cases import ChannelTestCase, TransactionChannelTestCase
from txchannels.django.test.client import Client
from txchannels.django.test.events import EventClient
from txchannels.django.test.http import HttpClient
from txchannels.django.test.liveserver import ChannelLiveServerTestCase
from txchannels.django.test.routes import apply_routes
from txchannels.django.test.websocket import WSClient

__all__ = [
    "ChannelLiveServerTestCase",
    "ChannelTestCase",
    "Client",
    "EventClient",
    "HttpClient",
    "TransactionChannelTestCase",
    "WSClient",
    "apply_routes",
]
