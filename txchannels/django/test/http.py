"""`HttpClient`: the name that `WSClient` had once."""

from __future__ import annotations

import warnings
from typing import Any

from txchannels.django.test.websocket import WSClient

__all__ = ["HttpClient"]


class HttpClient(WSClient):
    """Deprecated: use `WSClient`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            "txchannels.django.test.HttpClient is called WSClient", DeprecationWarning, stacklevel=2
        )
        super().__init__(*args, **kwargs)
