"""What uvicorn and daphne serve: Django's ASGI handler, and Channels 4 for the sockets."""

from __future__ import annotations

import time

from asgiref.sync import async_to_sync
from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

# Channels wants Django to be set up before it is imported.
from channels.generic.websocket import WebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from benchsite.timing import BLOCK_SECONDS, GROUP, SLOW_SECONDS  # noqa: E402


class Echo(WebsocketConsumer):
    """Send each message back."""

    pause = 0.0

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer one message, after `pause`."""
        if self.pause:
            time.sleep(self.pause)
        self.send(text_data=text_data, bytes_data=bytes_data)


class SlowEcho(Echo):
    """An echo that asks something else first."""

    pause = SLOW_SECONDS


class BlockingEcho(Echo):
    """An echo that takes its time."""

    pause = BLOCK_SECONDS


class Subscriber(WebsocketConsumer):
    """A member of the group that the broadcasts go to."""

    def connect(self) -> None:
        """Join the group and accept."""
        async_to_sync(self.channel_layer.group_add)(GROUP, self.channel_name)
        self.accept()

    def disconnect(self, code: int) -> None:
        """Leave the group."""
        async_to_sync(self.channel_layer.group_discard)(GROUP, self.channel_name)

    def broadcast(self, event: dict[str, str]) -> None:
        """Pass a broadcast on to the client."""
        self.send(text_data=event["text"])


class Publisher(WebsocketConsumer):
    """Sends what it receives to the group."""

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Broadcast one message."""
        async_to_sync(self.channel_layer.group_send)(
            GROUP, {"type": "broadcast", "text": text_data}
        )


application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": URLRouter(
            [
                path("echo", Echo.as_asgi()),
                path("slow", SlowEcho.as_asgi()),
                path("block", BlockingEcho.as_asgi()),
                path("hold", Echo.as_asgi()),
                path("fan", Subscriber.as_asgi()),
                path("pub", Publisher.as_asgi()),
            ]
        ),
    }
)
