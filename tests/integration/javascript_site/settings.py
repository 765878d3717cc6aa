"""A site for WebSocketBridge to talk to; its files come from django.contrib.staticfiles."""

from __future__ import annotations

from pathlib import Path

SECRET_KEY = "for tests alone"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.staticfiles", "txchannels.django"]
MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware"]
ROOT_URLCONF = "tests.integration.javascript_site.routing"
STATIC_URL = "/static/"
STATICFILES_DIRS = [Path(__file__).parent / "static"]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        "ROUTING": "tests.integration.javascript_site.routing.channel_routing",
    }
}
USE_TZ = True
