"""Databases in memory, or in files where $LIVE_FILES names a folder.

The layer of live tests is the daemon's own, or the Redis of $LIVE_REDIS.
"""

import os
import secrets

FILES = os.environ.get("LIVE_FILES")
REDIS = os.environ.get("LIVE_REDIS")

# Another one in each process, as a careless site may have it.
SECRET_KEY = secrets.token_hex()
DEBUG = True
ALLOWED_HOSTS = []
USE_TZ = True
ROOT_URLCONF = "liveproject.urls"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
GREETING = "hello"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "txchannels.django",
    "liveproject",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]


def _database(name):
    return {
        "ENGINE": "django.db.backends.sqlite3",
        # What must never be touched by a test.
        "NAME": f"/nonexistent/{name}",
        "TEST": {"NAME": f"{FILES}/{name}.sqlite3"} if FILES else {},
    }


DATABASES = {"default": _database("site"), "archive": _database("archive")}

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.redis.RedisLayer",
        "CONFIG": {"hosts": ["redis://nowhere.invalid"]},
        "ROUTING": "liveproject.routing.channel_routing",
    },
}
if REDIS:
    CHANNEL_LAYERS["default"]["TEST_CONFIG"] = {"hosts": [REDIS], "prefix": "live"}

# How it runs elsewhere.
TXCHANNELS = {"NO_WORKERS": True, "PORT": 80, "WS_MAX_MESSAGE": 5000}
