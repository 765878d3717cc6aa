"""How the project's sources read in 2017: the names of Channels 1 by module, and the one rename.

Knows texts; imports nothing of the project.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["BACKENDS", "CHANNELS_1", "NOT_PORTED", "imports", "translate_back"]

#: What a Channels 1 project may import, and from where; only what is documented or was used.
CHANNELS_1 = {
    "channels": "Channel DEFAULT_CHANNEL_LAYER Group channel_layers include route route_class",
    "channels.asgi": "InvalidChannelLayerError channel_layers get_channel_layer",
    "channels.auth": (
        "channel_and_http_session_user_from_http channel_session_user "
        "channel_session_user_from_http http_session_user transfer_user"
    ),
    "channels.binding.base": "Binding BindingMetaclass CREATE DELETE UPDATE",
    "channels.binding.websockets": "WebsocketBinding WebsocketBindingWithMembers",
    "channels.delay.models": "DelayedMessage",
    "channels.exceptions": (
        "ChannelSocketException ConsumeLater DenyConnection RequestAborted RequestTimeout "
        "ResponseLater SendNotAvailableOnDemultiplexer WebsocketCloseException"
    ),
    "channels.generic": "BaseConsumer",
    "channels.generic.base": "BaseConsumer",
    "channels.generic.websockets": (
        "JsonWebsocketConsumer WebsocketConsumer WebsocketDemultiplexer WebsocketMultiplexer"
    ),
    "channels.handler": "AsgiHandler AsgiRequest ViewConsumer",
    "channels.message": "Message PendingMessageStore pending_message_store",
    "channels.routing": "Include Route RouteClass Router include route route_class",
    "channels.security.websockets": (
        "AllowedHostsOnlyOriginValidator BaseOriginValidator allowed_hosts_only"
    ),
    "channels.sessions": (
        "channel_and_http_session channel_session enforce_ordering http_session "
        "requeue_messages session_for_reply_channel wait_channel_name"
    ),
    "channels.signals": "consumer_finished consumer_started worker_process_ready worker_ready",
    "channels.staticfiles": "StaticFilesConsumer StaticFilesHandler",
    "channels.test": (
        "ChannelLiveServerTestCase ChannelTestCase Client HttpClient TransactionChannelTestCase "
        "WSClient apply_routes"
    ),
    "channels.utils": "name_that_thing",
}

#: Of these, what the project has no use for; each is tested elsewhere.
NOT_PORTED = {
    "channels": "DEFAULT_CHANNEL_LAYER",
    "channels.asgi": "InvalidChannelLayerError get_channel_layer",
    "channels.binding.base": "BindingMetaclass DELETE UPDATE",
    "channels.exceptions": "RequestAborted RequestTimeout",
    "channels.generic.base": "BaseConsumer",
    "channels.message": "PendingMessageStore pending_message_store",
    "channels.routing": "Include Route RouteClass Router include route route_class",
    "channels.security.websockets": "AllowedHostsOnlyOriginValidator",
    "channels.sessions": "requeue_messages",
    "channels.staticfiles": "StaticFilesConsumer StaticFilesHandler",
}

#: The settings' layers: their classes had other homes.
BACKENDS = {"txchannels.layers.memory.MemoryLayer": "asgiref.inmemory.ChannelLayer"}


def translate_back(source: str) -> str:
    """The source as it was before it was ported."""
    for ours, theirs in BACKENDS.items():
        source = source.replace(f'"{ours}"', f'"{theirs}"')
    return re.sub(r"\btxchannels\.django\b", "channels", source)


def imports(folder: Path) -> Iterator[tuple[str, str]]:
    """What the sources below *folder* import from Channels 1: pairs of module and name."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(translate_back(path.read_text()))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("channels"):
                yield from ((str(node.module), alias.name) for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from ((one.name, "*") for one in node.names if "channels" in one.name)
