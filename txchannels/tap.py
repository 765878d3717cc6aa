"""``twistd channels``: the command line into a service. The only file that says ``reactor``."""

from __future__ import annotations

import sys
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from txchannels.errors import ConfigurationError
from txchannels.options import OPTIONS

__all__ = ["Options", "makeService"]


class Options(usage.Options):
    """The command line's options; each but the first three is also a key of TXCHANNELS."""

    synopsis = "[options] --settings=mysite.settings"
    longdesc = (
        "Serves a Django site: HTTP and WebSocket, views and consumers in worker threads. "
        "Seconds may have fractions; sizes are bytes. Each option is also a key of the "
        "settings' TXCHANNELS, as in TXCHANNELS = {'KEEP_ALIVE': 30}; the command line wins."
    )
    optFlags = [["check", None, "validate everything, say what would be done, and exit"]] + [
        [option.name, None, option.help] for option in OPTIONS if option.kind == "flag"
    ]
    optParameters = [
        ["settings", None, None, "the site's settings module [DJANGO_SETTINGS_MODULE]"],
    ] + [
        [option.name, None, None, option.help]
        for option in OPTIONS
        if option.kind not in ("flag", "list")
    ]

    def __init__(self) -> None:
        super().__init__()
        self["pythonpath"] = []
        for option in OPTIONS:
            if option.kind == "list":
                self[option.name] = []

    def opt_pythonpath(self, path: str) -> None:
        """folder to find the settings module in; repeatable"""
        self["pythonpath"].append(path)

    def opt_endpoint(self, description: str) -> None:
        """Twisted endpoint to listen on, as tcp:8000 or unix:/run/site.sock; repeatable"""
        self["endpoint"].append(description)

    def opt_ws_protocol(self, name: str) -> None:
        """WebSocket subprotocol that may be chosen; repeatable"""
        self["ws-protocol"].append(name)

    def opt_ws_origin(self, origin: str) -> None:
        """further origin whose pages may open WebSockets, * for any; repeatable"""
        self["ws-origin"].append(origin)


def makeService(options: Options) -> IService:
    """The daemon as a service; ends the program where it cannot work."""
    from twisted.internet import reactor

    from txchannels.service import build

    if "" not in sys.path and "." not in sys.path:
        sys.path.insert(0, "")
    given: dict[str, Any] = {name: value for name, value in options.items() if value}
    try:
        settings, loaded, daemon = build(given, reactor)
    except ConfigurationError as error:
        raise SystemExit(f"txchannels: {error}") from None
    if options["check"]:
        print(f"Settings are right: would serve {loaded.layer_name} on:")
        for endpoint in settings.endpoints:
            print(f"  {endpoint}")
        raise SystemExit(0)
    return daemon
