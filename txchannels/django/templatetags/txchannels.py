"""``{% load txchannels %}``: where the page's WebSockets are, and the script that opens them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import template
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import get_script_prefix
from django.utils.encoding import iri_to_uri
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

__all__ = ["register", "websocket_bridge", "websocket_url"]

register = template.Library()

SCRIPT = "txchannels/websocketbridge.min.js"


@register.simple_tag(takes_context=True)
def websocket_url(context: template.Context, path: Any, **query: Any) -> str:
    """The URL of a WebSocket of this site: ``{% websocket_url '/chat/' room=room.pk %}``.

    It is ``wss:`` where the request is secure by Django's rules, has the host that the
    client has asked for, and begins with where the site hangs, unless *path* does. Without a
    request in the context it is that URL's path, which a page completes by itself.

    Args:
        path: From the site's root on; it may have a query.
        query: More of the query.

    Raises:
        TemplateSyntaxError: *path* is no such path.
        DisallowedHost: As of ``request.get_host()``.
    """
    found = _under_prefix(_checked(str(path)))
    if query:
        found += ("&" if "?" in found else "?") + urlencode(query, doseq=True)
    request = getattr(context, "request", None) or context.get("request")
    if request is None:
        return found
    return f"{'wss' if request.is_secure() else 'ws'}://{request.get_host()}{found}"


@register.simple_tag
def websocket_bridge(**attributes: Any) -> SafeString:
    """The script tag of the JavaScript client: ``{% websocket_bridge nonce=nonce defer=True %}``.

    Args:
        attributes: Of the tag; True is one without a value, False and None are left out.

    Raises:
        TemplateSyntaxError: The source is given, which is the client's.
        ImproperlyConfigured: The site has no STATIC_URL.
    """
    if "src" in attributes:
        raise template.TemplateSyntaxError("websocket_bridge has a src of its own")
    if not settings.STATIC_URL:
        raise ImproperlyConfigured("websocket_bridge is a static file: set STATIC_URL")
    given = [(name, value) for name, value in attributes.items() if value not in (None, False)]
    bare = format_html_join("", " {}", ((name,) for name, value in given if value is True))
    valued = format_html_join("", ' {}="{}"', (one for one in given if one[1] is not True))
    return format_html('<script src="{}"{}{}></script>', static(SCRIPT), valued, bare)


def _checked(path: str) -> str:
    r"""*path*, percent-encoded where it has to be.

    Two slashes would be another host to a browser, and ``\`` one of them: it is encoded.
    """
    fault = ""
    if not path.startswith("/"):
        fault = "begin with '/'"
    elif path.startswith("//"):
        fault = "begin with one '/' alone: after two comes a host"
    elif "#" in path:
        fault = "have no '#': a WebSocket's URL has no fragment"
    if fault:
        raise template.TemplateSyntaxError(
            f"The path of websocket_url must {fault}; it is {path!r}"
        )
    return str(iri_to_uri(path))


def _under_prefix(path: str) -> str:
    """*path* below where the site hangs, as a URL that ``{% url %}`` has made is already."""
    prefix = str(get_script_prefix())
    is_below = path.startswith(prefix) or path.partition("?")[0] == prefix.rstrip("/")
    return path if is_below else prefix + path[1:]
