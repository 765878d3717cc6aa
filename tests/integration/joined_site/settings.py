"""A site whose layer is what the environment's ``LAYER_CONFIG`` says, as JSON."""

from __future__ import annotations

import json
import os

SECRET_KEY = "for tests alone"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["txchannels.django"]
ROOT_URLCONF = "tests.integration.joined_site.routing"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.redis.RedisLayer",
        "ROUTING": "tests.integration.joined_site.routing.routing",
        "CONFIG": json.loads(os.environ["LAYER_CONFIG"]),
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2**20
USE_TZ = True
