"""Consumers as classes; those for WebSockets are in `txchannels.django.generic.websockets`.

Source: Channels 1, ``channels.generic``.
"""

from txchannels.django.generic.base import BaseConsumer

__all__ = ["BaseConsumer"]
