"""Layers for tests: one process, one thread, nothing lost and nobody waited for.

A layer stands in the place of each that `CHANNEL_LAYERS` names, as long as a test lasts.
What is on it can be looked at and taken; a send that finds no room is an error at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.asgi import (
    MEMORY_BACKEND,
    ChannelLayerWrapper,
    InvalidChannelLayerError,
    channel_layers,
)
from txchannels.django.dotted import import_dotted
from txchannels.django.message import Message
from txchannels.layers.interfaces import Send

__all__ = [
    "StrictLayer",
    "layers_for_tests",
    "make_layer_for_tests",
    "next_message",
    "raise_lost_sends",
    "waiting_messages",
]

#: Of a memory layer that the settings say nothing of: a test reads at its own pace.
IN_MEMORY = {"capacity": 10_000, "expiry": 86_400.0}

#: What consumers have sent and no `StrictLayer` had room for, since it was last looked at.
_lost: list[tuple[Send, Exception]] = []


class StrictLayer(ChannelLayerWrapper):
    """A layer on which no consumer's send waits for room: it is remembered as lost."""

    def rebind(self) -> None:
        super().rebind()
        self.send_many = self._send_many

    def _send_many(self, sends: Iterable[Send], *, wait: float = 0.0) -> list[Any]:
        failed = list(self.blocking.send_many(sends, wait=0.0))
        _lost.extend(failed)
        return failed


def raise_lost_sends() -> None:
    """Raise the first error of a consumer's sends since the last call.

    Raises: LayerError: The channel was full, for instance.
    """
    lost, _lost[:] = list(_lost), []
    if lost:
        raise lost[0][1]


@contextmanager
def layers_for_tests(
    aliases: Collection[str] | None = None, *, use_backends: bool = False
) -> Iterator[dict[str, ChannelLayerWrapper]]:
    """Put a new, empty layer in the place of each of *aliases*, and those back at the end.

    Args:
        aliases: Keys of ``CHANNEL_LAYERS``; all of them when None.
        use_backends: Use each ``BACKEND`` itself, with its ``TEST_CONFIG``, flushed before
            and after; otherwise all are in memory.

    Raises: InvalidChannelLayerError: There is no such layer, or it has no TEST_CONFIG.
    """
    made = {}
    for alias in channel_layers.configs if aliases is None else aliases:
        made[alias] = make_layer_for_tests(alias, use_backend=use_backends)
    flushed = [layer for layer in made.values() if use_backends]
    for layer in flushed:
        layer.flush()
    _lost.clear()
    old = {alias: channel_layers.set(alias, layer) for alias, layer in made.items()}
    try:
        yield made
    finally:
        for alias, before in old.items():
            channel_layers.set(alias, before)
        for layer in flushed:
            layer.flush()


def make_layer_for_tests(alias: str, *, use_backend: bool = False) -> ChannelLayerWrapper:
    """A new layer with the routing of *alias*; not put into its place.

    It is in memory, with ``TEST_CONFIG`` (or else ``CONFIG``) where the settings' layer is
    so, too.

    Args:
        use_backend: It is the layer's own ``BACKEND``, with its ``TEST_CONFIG``.

    Raises: InvalidChannelLayerError: As of `layers_for_tests`.
    """
    entry = channel_layers.configs.get(alias)
    if entry is None:
        known = ", ".join(sorted(channel_layers.configs))
        raise InvalidChannelLayerError(f"CHANNEL_LAYERS has no layer {alias!r}, only: {known}")
    if use_backend or (is_in_memory(entry) and entry.get("TEST_CONFIG") is not None):
        made = channel_layers.make_test_backend(alias).channel_layer
    elif is_in_memory(entry) and entry.get("CONFIG"):
        made = channel_layers.make_backend(alias).channel_layer
    else:
        made = import_dotted(MEMORY_BACKEND)(**IN_MEMORY)
    return StrictLayer(made, alias, entry.get("ROUTING", []))


def is_in_memory(entry: dict[str, Any]) -> bool:
    """Whether an entry of ``CHANNEL_LAYERS`` names the memory layer."""
    return entry.get("BACKEND") == MEMORY_BACKEND


def next_message(channel: str, alias: str = DEFAULT_CHANNEL_LAYER) -> Message | None:
    """Take the message from *channel* that has waited longest, if there is one.

    A reply channel (``prefix!local``) is one, too: only its own messages are taken.
    """
    layer = channel_layers[alias]
    prefix, mark, local = channel.partition("!")
    if not local:
        name, content = layer.receive([channel])
        return None if name is None else Message(content, name, layer)
    others = []
    found = None
    while found is None:
        name, content = layer.receive([prefix + mark])
        if name is None:
            break
        if name == channel:
            found = Message(content, name, layer)
        else:
            others.append((name, content))
    if others:
        _put_back(layer, prefix + mark, others)
    return found


def _put_back(layer: Any, prefix: str, others: list[tuple[str, Any]]) -> None:
    """Let *others* be the first again that wait for *prefix*."""
    while (later := layer.receive([prefix]))[0] is not None:
        others.append(later)
    for name, content in others:
        layer.send(name, content)


def waiting_messages(alias: str = DEFAULT_CHANNEL_LAYER) -> dict[str, int]:
    """How many messages wait on the channels of a layer in memory, where any do.

    Reply channels are counted together, by the part before what each has for its own.
    """
    hub = getattr(channel_layers[alias].channel_layer, "hub", None)
    if hub is None:
        return {}
    return {name: one.pending for name, one in sorted(hub.accounts().items()) if one.pending}
