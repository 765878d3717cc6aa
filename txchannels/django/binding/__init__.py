"""Data binding: rows of models go to browsers when they change, and come back changed.

- `Binding`: what all have in common; `CREATE`, `UPDATE` and `DELETE` are its actions;
- `txchannels.django.binding.websockets`: bindings whose messages are JSON on a WebSocket.

Source: Channels 1, ``channels.binding``.
"""

from txchannels.django.binding.actions import CREATE, DELETE, UPDATE
from txchannels.django.binding.base import Binding, BindingMetaclass

__all__ = ["CREATE", "DELETE", "UPDATE", "Binding", "BindingMetaclass"]
