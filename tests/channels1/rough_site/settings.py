"""One thread runs all; sessions live in its memory, and pickle what they hold."""

from __future__ import annotations

SECRET_KEY = "for tests alone"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["txchannels.django"]
MIDDLEWARE = ["tests.channels1.rough_site.views.fail_on_the_way"]
ROOT_URLCONF = "tests.channels1.rough_site.views"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        "ROUTING": "tests.channels1.rough_site.routing.routing",
    }
}
USE_TZ = True
