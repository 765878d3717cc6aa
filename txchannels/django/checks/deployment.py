"""``manage.py check --deploy``: what is good at a desk, and not on the Internet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.files.storage import FileSystemStorage
from django.db.models import FileField

from txchannels.django.checks.reports import Findings, warning
from txchannels.django.checks.site import daemon_layer, daemon_settings, routed

__all__ = ["check"]


def check() -> Findings:
    """The findings about a site in production."""
    return [*_check_development(), *_check_static(), *_check_uploads(), *_check_hosts()]


def _check_development() -> Iterator[Any]:
    if settings.DEBUG:
        yield warning(
            "W101",
            "DEBUG is on: the daemon serves static files from the source folders, shows "
            "strangers the site's code and settings, and threads keep each query they make.",
            "Set DEBUG = False.",
        )
    if daemon_settings().processes.reload:
        yield warning(
            "W102",
            "TXCHANNELS['RELOAD'] is on: an edit of a file, or half a deploy, is served at once.",
            "Take it away, and deploy with python -m txchannels reload.",
        )


def _check_static() -> Iterator[Any]:
    """The daemon serves static files under DEBUG alone."""
    if not apps.is_installed("django.contrib.staticfiles") or not settings.STATIC_URL:
        return
    is_elsewhere = bool(urlsplit(str(settings.STATIC_URL)).netloc)
    has_middleware = any("whitenoise" in one.lower() for one in settings.MIDDLEWARE)
    if not (is_elsewhere or has_middleware or settings.STATIC_ROOT):
        yield warning(
            "W103",
            f"Static files below {settings.STATIC_URL} are answered 404: the daemon serves them "
            "under DEBUG alone, and STATIC_ROOT is not set.",
            "Set STATIC_ROOT, run manage.py collectstatic and let a proxy serve that folder, or "
            "use WhiteNoise.",
        )


def _check_uploads() -> Iterator[Any]:
    """An empty MEDIA_ROOT is the folder that the daemon happens to be started in."""
    if settings.MEDIA_ROOT:
        return
    fields = [
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, FileField) and _is_below_media_root(field.storage)
    ]
    if fields:
        yield warning(
            "W104",
            f"{', '.join(fields)}: what is uploaded is written to the folder that the daemon is "
            "started in, beside the code, because MEDIA_ROOT is not set.",
            "Set MEDIA_ROOT, and let a proxy serve that folder.",
        )


def _is_below_media_root(storage: Any) -> bool:
    return isinstance(storage, FileSystemStorage) and not getattr(storage, "_location", None)


def _check_hosts() -> Iterator[Any]:
    if "*" not in settings.ALLOWED_HOSTS:
        return
    alias = daemon_layer()
    if any(one.alias == alias and one.channel.startswith("websocket.") for one in routed()):
        yield warning(
            "W105",
            "ALLOWED_HOSTS has '*': a page whose name was pointed to this server counts as the "
            "site's own, and may open WebSockets.",
            "Name the site's hosts.",
        )
