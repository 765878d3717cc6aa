"""The settings of a test, for a daemon in another process.

The daemon imports the site's settings module itself. It is handed what the test, or its
runner, has changed since: databases, layers, overridden settings. A settings module that
is written into a folder does that; its name is `MODULE`.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import global_settings, settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from msgpack import packb, unpackb

from txchannels.django.asgi import MEMORY_BACKEND, channel_layers
from txchannels.django.test.layers import is_in_memory
from txchannels.plain import from_plain, to_plain

__all__ = ["IPC_BACKEND", "MODULE", "settings_of", "write_settings"]

MODULE = "txchannels_live_settings"
IPC_BACKEND = "txchannels.layers.ipc.IPCLayer"

_FILE = "site.msgpack"
_SOURCE = """\
from txchannels.django.test.handover import settings_of

globals().update(settings_of(__file__))
"""

#: What is handed over in another way.
_NOT_COMPARED = {"DATABASES", "CHANNEL_LAYERS", "TXCHANNELS", "SETTINGS_MODULE", "SECRET_KEY"}

#: Of a database: where it is. The rest is the settings module's.
_DATABASE_KEYS = ("ENGINE", "NAME", "HOST", "PORT", "USER", "PASSWORD")

#: Keys of TXCHANNELS that say how the site runs elsewhere, not how it behaves.
_NOT_IN_TESTS = {
    *("ENDPOINT", "BIND", "PORT", "UNIX_SOCKET", "SOCKET", "LAYER", "ACCESS_LOG"),
    *("NO_WORKERS", "PROCESSES", "RELOAD", "ONLY_CHANNELS", "EXCLUDE_CHANNELS"),
}

_NO_DATABASE = {"ENGINE": "django.db.backends.dummy"}


def write_settings(
    folder: Path,
    *,
    alias: str,
    socket: Path,
    host: str,
    databases: Collection[str],
    serve_static: bool,
) -> None:
    """Write the settings module `MODULE` into *folder*.

    Args:
        alias: The layer that the daemon serves. Without ``TEST_CONFIG``, and in memory
            anyway, it is reached at *socket*.
        host: One more of ALLOWED_HOSTS.
        databases: The test's; the daemon can use no others.

    Raises: ImproperlyConfigured: A setting cannot be handed over; says which.
    """
    handed = {
        "module": _settings_module(),
        "changed": {
            **_changed(),
            "SECRET_KEY": settings.SECRET_KEY,
            "ALLOWED_HOSTS": [*settings.ALLOWED_HOSTS, host],
        },
        "databases": _databases(databases),
        "layers": {name: _layer(name, alias, socket) for name in channel_layers.configs},
        "static": serve_static,
    }
    (folder / _FILE).write_bytes(packb(_plain(handed)))
    (folder / f"{MODULE}.py").write_text(_SOURCE)


def _settings_module() -> str:
    holder = settings._wrapped  # noqa: SLF001 - overridden settings have no name of their own
    while "default_settings" in vars(holder):
        holder = holder.default_settings
    name = getattr(holder, "SETTINGS_MODULE", None)
    if not name:
        raise ImproperlyConfigured(
            "A live server needs a settings module, which its process can import: set "
            "DJANGO_SETTINGS_MODULE instead of calling settings.configure()"
        )
    return str(name)


def _changed() -> dict[str, Any]:
    """The settings that are not as their module says."""
    module = import_module(_settings_module())
    changed = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated settings are looked at, too
        for name in dir(settings):
            if not name.isupper() or name in _NOT_COMPARED:
                continue
            value = getattr(settings, name)
            said = getattr(module, name, getattr(global_settings, name, None))
            if value is not said and value != said:
                changed[name] = value
    return changed


def _databases(aliases: Collection[str]) -> dict[str, dict[str, Any]]:
    found = {}
    for alias in connections:
        if alias in aliases:
            where = connections[alias].settings_dict
            found[alias] = {key: where[key] for key in _DATABASE_KEYS if key in where}
        else:
            found[alias] = _NO_DATABASE
    return found


def _layer(name: str, alias: str, socket: Path) -> dict[str, Any]:
    """The entry of ``CHANNEL_LAYERS`` for the daemon, its routing only where that is a path."""
    entry = channel_layers.configs[name]
    config = entry.get("TEST_CONFIG")
    made = {"BACKEND": entry.get("BACKEND"), "CONFIG": config}
    if is_in_memory(entry) or config is None:
        own = (config or entry.get("CONFIG") or {}) if is_in_memory(entry) else {}
        made = {"BACKEND": MEMORY_BACKEND, "CONFIG": own}
        if name == alias:
            made = {"BACKEND": IPC_BACKEND, "CONFIG": {**own, "path": str(socket)}}
    if isinstance(entry.get("ROUTING"), str):
        made["ROUTING"] = entry["ROUTING"]
    return made


def _plain(handed: dict[str, Any]) -> Any:
    changed = handed["changed"]
    for name, value in changed.items():
        try:
            to_plain(value)
        except TypeError as error:
            raise ImproperlyConfigured(
                f"The setting {name} was changed for the test to {value!r}; {error}, the live "
                "server's. Change it in the settings module"
            ) from None
    try:
        return to_plain(handed)
    except TypeError as error:
        raise ImproperlyConfigured(
            f"DATABASES or CHANNEL_LAYERS: {error}, as a live server needs"
        ) from None


# In the daemon


def settings_of(file: str) -> dict[str, Any]:
    """The settings for the daemon whose settings module is *file*."""
    handed = from_plain(unpackb(Path(file).with_name(_FILE).read_bytes(), strict_map_key=False))
    module = import_module(handed["module"])
    found = {name: getattr(module, name) for name in dir(module) if name.isupper()}
    found.update(handed["changed"])
    found["DATABASES"] = {
        alias: {**_entry_of(found, "DATABASES", alias), **said}
        for alias, said in handed["databases"].items()
    }
    found["CHANNEL_LAYERS"] = {
        alias: {
            **said,
            "ROUTING": _routing(
                said.get("ROUTING", _entry_of(found, "CHANNEL_LAYERS", alias).get("ROUTING", [])),
                serve_static=handed["static"],
            ),
        }
        for alias, said in handed["layers"].items()
    }
    options = found.get("TXCHANNELS") or {}
    found["TXCHANNELS"] = {key: value for key, value in options.items() if key not in _NOT_IN_TESTS}
    return found


def _entry_of(found: dict[str, Any], setting: str, alias: str) -> dict[str, Any]:
    entry: dict[str, Any] = (found.get(setting) or {}).get(alias) or {}
    return entry


def _routing(routing: Any, *, serve_static: bool) -> Any:
    if not serve_static:
        return routing
    from txchannels.django.test.staticroutes import RoutesAndStaticFiles

    return [RoutesAndStaticFiles(routing)]
