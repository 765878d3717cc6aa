"""`Binding`: a model's rows, sent to groups when they change, and changed by clients.

Source: Channels 1, ``channels.binding.base``.
"""

from __future__ import annotations

from typing import Any

from txchannels.django.binding.actions import CREATE, DELETE, UPDATE
from txchannels.django.binding.inbound import Inbound
from txchannels.django.binding.outbound import Outbound
from txchannels.django.binding.registration import BindingMetaclass

__all__ = ["CREATE", "DELETE", "UPDATE", "Binding", "BindingMetaclass"]


class Binding(Outbound, Inbound, metaclass=BindingMetaclass):
    """Say in a subclass which model it is about, and define what the protocol needs.

    A class is abstract where its own body says ``model = None``; all others are registered.
    An instance is made for each group of messages, and for each request of a client.

    Raises: ValueError: A subclass declares what cannot work: see `register`.
    """

    model: Any = None
