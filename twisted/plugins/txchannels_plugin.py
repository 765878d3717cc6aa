"""What makes ``twistd channels`` and ``twistd channels-worker`` exist.

Imports nothing of ours, as any twistd reads it.
"""

from twisted.application.service import ServiceMaker

channels = ServiceMaker(
    "txchannels",
    "txchannels.tap",
    "Serve a Django site over HTTP and WebSocket.",
    "channels",
)

channels_worker = ServiceMaker(
    "txchannels worker",
    "txchannels.tap_worker",
    "Run the views and consumers of a Django site that other hosts serve.",
    "channels-worker",
)
