"""CHANNEL_LAYERS: can each layer be made, has it its routing, is it fit for what it is used for?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.asgi import MEMORY_BACKEND, channel_layers
from txchannels.django.checks.reports import Findings, error, kind_of, warning
from txchannels.django.checks.site import (
    configured_layers,
    daemon_layer,
    daemon_options,
    daemon_settings,
)
from txchannels.errors import ConfigurationError
from txchannels.layers.capacities import site_capacities

__all__ = ["check"]

REDIS_BACKEND = "txchannels.layers.redis.RedisLayer"
IPC_BACKEND = "txchannels.layers.ipc.IPCLayer"

#: What stands for the layers of Channels 1 and later.
_SUCCESSORS = {
    "asgi_redis": REDIS_BACKEND,
    "channels_redis": REDIS_BACKEND,
    "asgi_rabbitmq": REDIS_BACKEND,
    "channels_rabbitmq": REDIS_BACKEND,
    "asgi_ipc": IPC_BACKEND,
    "asgiref": MEMORY_BACKEND,
    "channels": MEMORY_BACKEND,
}

#: Settings of programs that run code of the site beside the daemon, and their names.
_PROGRAMS = {
    "CELERY_BROKER_URL": "Celery",
    "BROKER_URL": "Celery",
    "RQ_QUEUES": "RQ",
    "HUEY": "Huey",
    "Q_CLUSTER": "Django Q",
    "DRAMATIQ_BROKER": "Dramatiq",
}


def check() -> Findings:
    """The findings about layers."""
    configured = getattr(settings, "CHANNEL_LAYERS", {})
    if not isinstance(configured, Mapping):
        return [_malformed("CHANNEL_LAYERS", f"is {kind_of(configured)}, not a dict")]
    found: Findings = []
    for alias, entry in configured.items():
        where = f"CHANNEL_LAYERS[{alias!r}]"
        if not isinstance(alias, str):
            found.append(_malformed(where, "is named by no text"))
            continue
        if not isinstance(entry, Mapping):
            found.append(_malformed(where, f"is {kind_of(entry)}, not a dict"))
            continue
        found += [*_check_made(alias, where, entry), *_check_keys(where, entry)]
        found += _check_capacities(where, alias, entry)
    return [*found, *_check_default(configured), *_check_reach()]


def _malformed(where: str, what: str) -> Any:
    return error(
        "E001",
        f"{where} {what}.",
        "Write CHANNEL_LAYERS = {'default': {'BACKEND': ..., 'ROUTING': ..., 'CONFIG': {...}}}.",
    )


def _check_made(alias: str, where: str, entry: Mapping[str, Any]) -> Iterator[Any]:
    """Make it as the daemon does: that connects to nothing."""
    backend = entry.get("BACKEND")
    hint = _hint_for(backend)
    if backend is not None and not isinstance(backend, str):
        yield error("E001", f"{where}['BACKEND'] is no text.", hint)
        return
    try:
        layer = channel_layers.make_backend(alias).channel_layer
    except ConfigurationError as fault:
        text = str(fault)
        yield error("E001", text if text.startswith(where) else f"{where}: {text}", hint)
    except Exception as fault:
        text = str(fault) or type(fault).__name__
        text = text if text.startswith("CHANNEL_LAYERS") else f"{where}: {_named(fault)}"
        yield error("E001", text, hint)
    else:
        if alias == daemon_layer() and not hasattr(layer, "reactor"):
            yield error("E001", f"{where}: {backend} cannot be used by the daemon itself.", hint)


def _named(fault: Exception) -> str:
    return f"{type(fault).__name__}: {fault}"


def _hint_for(backend: Any) -> str:
    package = backend.partition(".")[0] if isinstance(backend, str) else ""
    if package in _SUCCESSORS:
        return f"Its successor is {_SUCCESSORS[package]}; CONFIG has other keys: see the docs."
    return (
        f"BACKEND is the dotted name of a layer's class: {MEMORY_BACKEND}, {IPC_BACKEND} or "
        f"{REDIS_BACKEND}; CONFIG has the arguments that the class takes."
    )


def _check_keys(where: str, entry: Mapping[str, Any]) -> Iterator[Any]:
    """Whoever learns SECRET_KEY reads the messages, and whoever learns this key signs sessions."""
    config = entry.get("CONFIG")
    keys = config.get("symmetric_encryption_keys") if isinstance(config, Mapping) else None
    secrets = {settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS} - {""}
    if isinstance(keys, list | tuple) and any(key in secrets for key in keys):
        yield warning(
            "W008",
            f"{where} encrypts messages with SECRET_KEY.",
            "Use a key of its own, so that either can be changed alone: "
            "python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )


def _check_capacities(where: str, alias: str, entry: Mapping[str, Any]) -> Iterator[Any]:
    """Only what the site has set itself: the defaults are meant to be as they are."""
    config = entry.get("CONFIG")
    if alias != daemon_layer() or not isinstance(config, Mapping):
        return
    capacity, by_channel = config.get("capacity", 100), config.get("channel_capacity")
    if "capacity" not in config and not by_channel:
        return
    try:
        usual = site_capacities(100, None)
        own = site_capacities(capacity, by_channel)
    except Exception:
        return  # E001
    daemon = daemon_settings()
    threads = daemon.workers.threads * (daemon.processes.count or 1)
    for channel in ("http.request", "websocket.connect", "websocket.receive"):
        if own.of(channel) < threads and own.of(channel) != usual.of(channel):
            yield warning(
                "W002",
                f"{where}: {channel} holds {own.of(channel)} messages at most, and {threads} "
                "threads may work on them: what comes at once is refused while threads are idle.",
                "Raise its capacity in CONFIG, or lower TXCHANNELS['THREADS'].",
            )


def _check_default(configured: Mapping[str, Any]) -> Iterator[Any]:
    if configured and DEFAULT_CHANNEL_LAYER not in configured and "LAYER" not in daemon_options():
        yield warning(
            "W009",
            f"CHANNEL_LAYERS has no {DEFAULT_CHANNEL_LAYER!r}: the daemon, Channel and Group use "
            f"the memory layer, with no routing, and not {', '.join(map(repr, configured))}.",
            f"Name one {DEFAULT_CHANNEL_LAYER!r}, or name it in TXCHANNELS['LAYER'].",
        )


def _check_reach() -> Iterator[Any]:
    alias = daemon_layer()
    entry = configured_layers().get(alias)
    if entry is None or entry.get("BACKEND") != MEMORY_BACKEND:
        return
    for program in dict.fromkeys(
        name for setting, name in _PROGRAMS.items() if getattr(settings, setting, None)
    ):
        yield warning(
            "W004",
            f"The layer {alias!r} is the memory layer, and {program} is configured: what its "
            "tasks send to channels and groups reaches nobody.",
            f"Use {IPC_BACKEND} if all run on one host, or {REDIS_BACKEND}.",
        )
    daemon = daemon_settings()
    for key, is_set in (
        ("NO_WORKERS", daemon.no_workers),
        ("ONLY_CHANNELS", bool(daemon.workers.only_channels)),
        ("EXCLUDE_CHANNELS", bool(daemon.workers.exclude_channels)),
    ):
        if is_set:
            yield warning(
                "W004",
                f"The layer {alias!r} is the memory layer, and TXCHANNELS[{key!r}] leaves "
                "messages to other processes, which it does not reach.",
                f"Use {REDIS_BACKEND}, or take the key away.",
            )
