"""The chat in a container: what it keeps is in CHAT_DATA, and CHAT_REDIS names a layer to share."""

from __future__ import annotations

import os
from pathlib import Path

from chat import secret_key

DATA = Path(os.environ.get("CHAT_DATA", "/data"))
os.environ.setdefault("CHAT_DATABASE", str(DATA / "chat.sqlite3"))
if "CHAT_SECRET_KEY" not in os.environ:
    os.environ["CHAT_SECRET_KEY"] = secret_key.read_or_make(DATA / ".secret_key")

from chat.settings import *  # noqa: E402, F403 - its settings are read from what is set above

if "CHAT_REDIS" in os.environ:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "txchannels.layers.redis.RedisLayer",
            "ROUTING": "chat.routing.channel_routing",
            "CONFIG": {"hosts": [os.environ["CHAT_REDIS"]]},
        },
    }
