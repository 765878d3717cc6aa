"""A site whose sockets do what the tests of WebSockets ask for, path by path."""

from __future__ import annotations

SECRET_KEY = "for tests alone"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["txchannels.django"]
ROOT_URLCONF = "tests.integration.socket_site.routing"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        "ROUTING": "tests.integration.socket_site.routing.routing",
    }
}
USE_TZ = True
