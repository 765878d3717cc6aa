"""Settings of the measured project; `bench.servers` chooses the variant by environment variables.

- ``BENCH_STACK``: ``wsgi``, ``channels4`` or ``txchannels``, what carries the sockets;
- ``BENCH_MIDDLEWARE``: ``none``, or ``default`` for that of ``startproject``;
- ``BENCH_CONN_MAX_AGE``: seconds, or empty to leave the setting absent;
- ``BENCH_DATABASE``: the SQLite file;
- ``BENCH_REDIS``: the URL of the layer's server, or empty for a layer in memory;
- ``BENCH_SOCKET``: the path of the daemon's Unix socket, for a layer of one host;
- ``BENCH_THREADS``: the most threads of txchannels, if not its default.
"""

from __future__ import annotations

import os
from typing import Any

STACK = os.environ.get("BENCH_STACK", "wsgi")

SECRET_KEY = "not a secret: this project exists to be measured"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchsite.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "benchsite",
]

_STARTPROJECT_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
MIDDLEWARE = _STARTPROJECT_MIDDLEWARE if os.environ.get("BENCH_MIDDLEWARE") == "default" else []

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("BENCH_DATABASE", ":memory:"),
    }
}
if os.environ.get("BENCH_CONN_MAX_AGE"):
    DATABASES["default"]["CONN_MAX_AGE"] = int(os.environ["BENCH_CONN_MAX_AGE"])

STATIC_URL = "static/"

_BACKENDS = {
    ("channels4", False): "channels.layers.InMemoryChannelLayer",
    ("channels4", True): "channels_redis.core.RedisChannelLayer",
    ("txchannels", False): "txchannels.layers.memory.MemoryLayer",
    ("txchannels", True): "txchannels.layers.redis.RedisLayer",
}
REDIS = os.environ.get("BENCH_REDIS", "")
if STACK != "wsgi":
    CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
        "default": {"BACKEND": _BACKENDS[STACK, bool(REDIS)]}
    }
    if REDIS:
        # redis-py 8 gives up reading after 5 s, just as long as channels_redis waits for a
        # message: with that timeout, it closes idle sockets.
        host = {"address": REDIS, "socket_timeout": None} if STACK == "channels4" else REDIS
        CHANNEL_LAYERS["default"]["CONFIG"] = {"hosts": [host]}

SOCKET = os.environ.get("BENCH_SOCKET", "")
if SOCKET:
    CHANNEL_LAYERS["default"] = {
        "BACKEND": "txchannels.layers.ipc.IPCLayer",
        "CONFIG": {"path": SOCKET},
    }
if threads := os.environ.get("BENCH_THREADS"):
    TXCHANNELS = {"THREADS": int(threads)}

if STACK == "channels4":
    INSTALLED_APPS.append("channels")
elif STACK == "txchannels":
    INSTALLED_APPS.append("txchannels.django")
    CHANNEL_LAYERS["default"]["ROUTING"] = "benchsite.routing.channel_routing"
