"""Its layer is what the environment's ``LAYER`` says, as JSON; by itself, the memory layer."""

from __future__ import annotations

import json
import os
from pathlib import Path

FOLDER = Path(__file__).parent

SECRET_KEY = "for tests alone"
ALLOWED_HOSTS = ["*"]
DEBUG = "DEBUG" in os.environ
INSTALLED_APPS = ["txchannels.django", "django.contrib.staticfiles", "supervised_site"]
ROOT_URLCONF = "supervised_site.views"
STATIC_URL = "/static/"
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(FOLDER / "site.sqlite3")}
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        "ROUTING": "supervised_site.routing.routing",
        **json.loads(os.environ.get("LAYER", "{}")),
    }
}
USE_TZ = True
