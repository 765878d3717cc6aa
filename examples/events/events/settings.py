"""Settings of the live chart: plain Django, and the two lines that txchannels needs.

The environment may say: EVENTS_DATABASE (a file), EVENTS_HOSTS (separated by commas),
EVENTS_SECRET_KEY.
"""

from __future__ import annotations

import os
from pathlib import Path

import django

from events import secret_key

HERE = Path(__file__).resolve().parent.parent

DEBUG = True
ALLOWED_HOSTS = os.environ.get("EVENTS_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
SECRET_KEY = os.environ.get("EVENTS_SECRET_KEY") or secret_key.read_or_make(HERE / ".secret_key")

INSTALLED_APPS = [
    "txchannels.django",  # one of the two lines
    "django.contrib.staticfiles",
    "chart",
]

CHANNEL_LAYERS = {  # and the other
    "default": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        "ROUTING": "events.routing.channel_routing",
    },
}

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "events.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    },
]

# A write waits for the one before it; with a write-ahead log (which Django can ask for
# since 5.1) readers wait for nobody.
SQLITE_OPTIONS: dict[str, object] = {"timeout": 20}
if django.VERSION >= (5, 1):
    SQLITE_OPTIONS["transaction_mode"] = "IMMEDIATE"
    SQLITE_OPTIONS["init_command"] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("EVENTS_DATABASE") or HERE / "db.sqlite3",
        "CONN_MAX_AGE": None,
        "OPTIONS": SQLITE_OPTIONS,
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
