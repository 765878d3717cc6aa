"""The name that `txchannels.django.test` had once; deprecated."""

from __future__ import annotations

import warnings

from txchannels.django.test import (
    ChannelLiveServerTestCase,
    ChannelTestCase,
    Client,
    HttpClient,
    TransactionChannelTestCase,
    WSClient,
    apply_routes,
)

__all__ = [
    "ChannelLiveServerTestCase",
    "ChannelTestCase",
    "Client",
    "HttpClient",
    "TransactionChannelTestCase",
    "WSClient",
    "apply_routes",
]

warnings.warn(
    "txchannels.django.tests is called txchannels.django.test", DeprecationWarning, stacklevel=2
)
