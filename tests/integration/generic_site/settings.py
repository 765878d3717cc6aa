"""A site whose sockets are classes; sessions live in the daemon's memory."""

from __future__ import annotations

SECRET_KEY = "for tests alone"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["txchannels.django"]
ROOT_URLCONF = "tests.integration.generic_site.routing"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CHANNEL_SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        "ROUTING": "tests.integration.generic_site.routing.routing",
    }
}
USE_TZ = True
