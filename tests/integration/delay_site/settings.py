"""The layer is what the environment's ``LAYER`` says, as JSON; the database its ``DATABASE``."""

from __future__ import annotations

import json
import os

SECRET_KEY = "for tests alone"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
INSTALLED_APPS = ["txchannels.django"]
if not os.environ.get("WITHOUT_DELAY"):
    INSTALLED_APPS.append("txchannels.django.delay")
ROOT_URLCONF = "tests.integration.delay_site.routing"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["DATABASE"],
        "OPTIONS": {"timeout": 20},
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        **json.loads(os.environ.get("LAYER", "{}")),
        "ROUTING": "tests.integration.delay_site.routing.routing",
    }
}
