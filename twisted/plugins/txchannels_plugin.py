"""What makes ``twistd channels`` exist; imports nothing of ours, as any twistd reads it."""

from twisted.application.service import ServiceMaker

channels = ServiceMaker(
    "txchannels",
    "txchannels.tap",
    "Serve a Django site over HTTP and WebSocket.",
    "channels",
)
