"""Event streams and polls; its layer is what the environment's ``LAYER`` says, as JSON."""

from __future__ import annotations

import json
import os

SECRET_KEY = "for tests alone"
DEBUG = True  # it serves the static files
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["txchannels.django", "django.contrib.sessions", "django.contrib.staticfiles"]
MIDDLEWARE = [
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
ROOT_URLCONF = "tests.integration.events_site.routing"
STATIC_URL = "/static/"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        "ROUTING": "tests.integration.events_site.routing.channel_routing",
        **json.loads(os.environ.get("LAYER", "{}")),
    }
}
USE_TZ = True
