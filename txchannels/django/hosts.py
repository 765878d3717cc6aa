"""Which hosts the site serves, as Django decides it for views."""

from __future__ import annotations

from django.conf import settings
from django.http.request import split_domain_port, validate_host

__all__ = ["is_host_allowed"]

#: What Django allows under DEBUG when ALLOWED_HOSTS is empty.
_LOCAL_HOSTS = [".localhost", "127.0.0.1", "[::1]"]


def is_host_allowed(host: str) -> bool:
    """Whether ``ALLOWED_HOSTS`` has *host*, which may have a port.

    Source: Django, ``HttpRequest.get_host``.
    """
    allowed = settings.ALLOWED_HOSTS
    if settings.DEBUG and not allowed:
        allowed = _LOCAL_HOSTS
    domain, _ = split_domain_port(host)
    return bool(domain) and bool(validate_host(domain, allowed))
