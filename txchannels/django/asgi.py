"""The layers of ``CHANNEL_LAYERS``, made when they are first asked for.

Without the setting, or without a ``"default"`` in it, the default layer is the memory
layer with no routes of its own: any Django project runs unchanged.

Source: Channels 1, ``channels.asgi``.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any

from django.conf import settings

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.dotted import DottedPathError, import_dotted
from txchannels.django.legacy import LegacyLayer
from txchannels.django.routing import Router
from txchannels.django.utils import name_that_thing

__all__ = [
    "ChannelLayerManager",
    "ChannelLayerWrapper",
    "InvalidChannelLayerError",
    "channel_layers",
    "get_channel_layer",
]

MEMORY_BACKEND = "txchannels.layers.memory.MemoryLayer"

_ENTRY_KEYS = {"BACKEND", "CONFIG", "ROUTING", "TEST_CONFIG"}

#: What the wrapper binds once, so that a call on it costs no more than one on the layer.
_BOUND = (
    "send",
    "send_many",
    "send_group",
    "receive",
    "new_channel",
    "group_add",
    "group_discard",
    "group_channels",
    "flush",
    "ChannelFull",
    "MessageTooLarge",
)


class InvalidChannelLayerError(ValueError):
    """``CHANNEL_LAYERS`` cannot work; the text names the layer and the key."""


class ChannelLayerManager:
    """The layers by alias. Thread: any."""

    def __init__(self) -> None:
        self._wrappers: dict[str, ChannelLayerWrapper] = {}
        # A backend's module may itself ask for a layer while it is imported.
        self._lock = threading.RLock()

    @property
    def configs(self) -> dict[str, Any]:
        """The setting as it is now, with a default layer in any case."""
        configured = getattr(settings, "CHANNEL_LAYERS", None) or {}
        return {DEFAULT_CHANNEL_LAYER: {"BACKEND": MEMORY_BACKEND, "ROUTING": []}, **configured}

    def make_backend(self, name: str) -> ChannelLayerWrapper:
        """A new layer as the settings describe it; not kept."""
        return self._make(name, self._entry(name).get("CONFIG") or {})

    def put_in_place(self, name: str, layer: Any) -> None:
        """Use *layer*, not one that the settings' ``BACKEND`` makes, with the settings' routing."""
        self.set(name, ChannelLayerWrapper(layer, name, self._entry(name).get("ROUTING", [])))

    def make_test_backend(self, name: str) -> ChannelLayerWrapper:
        """A new layer with ``TEST_CONFIG`` instead of ``CONFIG``; not kept."""
        config = self._entry(name).get("TEST_CONFIG")
        if config is None:
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{name!r}] has no TEST_CONFIG")
        return self._make(name, config)

    def _entry(self, name: str) -> dict[str, Any]:
        try:
            entry = self.configs[name]
        except KeyError:
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS has no layer {name!r}") from None
        unknown = sorted(set(entry) - _ENTRY_KEYS)
        if unknown:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{name!r}] has the unknown key {', '.join(map(repr, unknown))}; "
                f"known are {', '.join(sorted(_ENTRY_KEYS))}"
            )
        if "BACKEND" not in entry:
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{name!r}] has no BACKEND")
        return dict(entry)

    def _make(self, name: str, config: dict[str, Any]) -> ChannelLayerWrapper:
        entry = self._entry(name)
        try:
            backend = import_dotted(entry["BACKEND"])
        except DottedPathError as error:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{name!r}]: cannot import BACKEND {error}"
            ) from error
        _check_config(name, entry["BACKEND"], backend, config)
        return ChannelLayerWrapper(backend(**config), name, entry.get("ROUTING", []))

    def __getitem__(self, name: str) -> ChannelLayerWrapper:
        try:
            return self._wrappers[name]
        except KeyError:
            pass
        with self._lock:
            if name not in self._wrappers:
                self._wrappers[name] = self.make_backend(name)
            return self._wrappers[name]

    def __contains__(self, name: object) -> bool:
        return name in self._wrappers or name in self.configs

    def set(self, name: str, layer: ChannelLayerWrapper | None) -> ChannelLayerWrapper | None:
        """Put *layer* in the place of the one that was made for *name*, if any; that is returned.

        With None, the next access makes a new one.
        """
        with self._lock:
            old = self._wrappers.pop(name, None)
            if layer is not None:
                self._wrappers[name] = layer
            return old


class ChannelLayerWrapper:
    """A layer, its alias and its routing; what is not here is the layer's blocking face.

    Args:
        channel_layer: The layer as its backend's class made it.
        alias: Its key in ``CHANNEL_LAYERS``.
        routing: A list of routes, a dict of channel to consumer, or the dotted path of one.
    """

    send: Callable[..., bool]
    send_many: Callable[..., list[Any]]
    send_group: Callable[..., int]
    receive: Callable[..., tuple[Any, Any]]
    new_channel: Callable[[str], str]
    group_add: Callable[[str, str], None]
    group_discard: Callable[[str, str], None]
    group_channels: Callable[[str], list[str]]
    flush: Callable[[], None]
    ChannelFull: type[Exception]
    MessageTooLarge: type[Exception]

    def __init__(self, channel_layer: Any, alias: str, routing: Any) -> None:
        self.channel_layer = channel_layer
        self.alias = alias
        self.routing = routing
        self._router: Router | None = None
        self._lock = threading.RLock()
        self.rebind()

    def rebind(self) -> None:
        """Use the layer's blocking face as it is now: it may be another once a reactor runs."""
        self.blocking = _blocking_face(self.channel_layer)
        for name in _BOUND:
            self.__dict__.pop(name, None)
            if hasattr(self.blocking, name):
                setattr(self, name, getattr(self.blocking, name))

    @property
    def router(self) -> Router:
        """The routing, imported at the first access; without the default routes."""
        if self._router is None:
            with self._lock:
                if self._router is None:
                    self._router = Router(self.routing)
        return self._router

    @router.setter
    def router(self, router: Router) -> None:
        self._router = router

    def local_only(self) -> bool:
        """Whether no other process can reach the layer."""
        module = type(self.channel_layer).__module__
        return module == MEMORY_BACKEND.rpartition(".")[0] or "inmemory" in module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "blocking":
            raise AttributeError(name)
        return getattr(self.blocking, name)

    def __str__(self) -> str:
        return f"{self.alias} ({name_that_thing(self.channel_layer)})"


def get_channel_layer(alias: str = DEFAULT_CHANNEL_LAYER) -> Any:
    """Set Django up and return the raw layer: what a project's ``asgi.py`` calls."""
    import django

    django.setup(set_prefix=False)
    return channel_layers[alias].channel_layer


def _blocking_face(channel_layer: Any) -> Any:
    face = getattr(channel_layer, "blocking", channel_layer)
    return face if hasattr(face, "send_many") else LegacyLayer(face)


def _check_config(name: str, path: str, backend: Any, config: dict[str, Any]) -> None:
    """Say which key of ``CONFIG`` the backend does not take, or lacks."""
    try:
        parameters = inspect.signature(backend).parameters.values()
    except (TypeError, ValueError):
        return
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    known = {parameter.name for parameter in parameters if parameter.kind in kinds}
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    unknown = set() if takes_any else set(config) - known
    missing = {
        parameter.name
        for parameter in parameters
        if parameter.kind in kinds and parameter.default is inspect.Parameter.empty
    } - set(config)
    for keys, fault in ((unknown, "takes no CONFIG key"), (missing, "needs the CONFIG key")):
        if keys:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{name!r}]: {path} {fault} "
                f"{', '.join(map(repr, sorted(keys)))} (it knows: {', '.join(sorted(known))})"
            )


channel_layers = ChannelLayerManager()
