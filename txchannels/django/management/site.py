"""What the settings say of the layer that a command uses; nothing is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from django.conf import ENVIRONMENT_VARIABLE, settings

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.asgi import MEMORY_BACKEND, channel_layers

__all__ = ["is_process_local", "layer_alias", "layer_backend", "settings_module"]


def settings_module() -> str:
    """The module of the settings, for another process; empty if they are in none."""
    module = getattr(settings, "SETTINGS_MODULE", None)
    return str(module or os.environ.get(ENVIRONMENT_VARIABLE) or "")


def layer_alias() -> str:
    """The alias of the layer that the daemon uses."""
    own = getattr(settings, "TXCHANNELS", None)
    alias: Any = own.get("LAYER") if isinstance(own, Mapping) else None
    return str(alias or DEFAULT_CHANNEL_LAYER)


def layer_backend(alias: str = "") -> str:
    """The dotted name of a layer's class; of that of `layer_alias`, if none is given."""
    entry: Any = channel_layers.configs.get(alias or layer_alias())
    backend = entry.get("BACKEND") if isinstance(entry, Mapping) else None
    return str(backend or "no such layer")


def is_process_local(alias: str = "") -> bool:
    """Whether no other process can reach the layer."""
    backend = layer_backend(alias)
    return backend == MEMORY_BACKEND or "inmemory" in backend
