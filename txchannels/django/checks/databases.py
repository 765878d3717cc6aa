"""Each worker thread has connections of its own: are there as many?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import Error, connections

from txchannels.django.checks.reports import Findings, warning
from txchannels.django.checks.site import daemon_settings

__all__ = ["check", "check_limits"]

#: psycopg's own, where ``OPTIONS['pool']`` does not say.
DEFAULT_POOL = 4

#: What a server answers to, about the most connections that it takes, and what it keeps back.
_QUESTIONS = {
    "postgresql": ("SHOW max_connections", "SHOW superuser_reserved_connections"),
    "mysql": ("SELECT @@max_connections",),
}


def check() -> Findings:
    """What can be known without a connection."""
    threads = daemon_settings().workers.threads
    found: Findings = []
    for alias, database in settings.DATABASES.items():
        most = _pool_of(database)
        if most is not None and threads > most:
            found.append(
                warning(
                    "W003",
                    f"Up to {threads} threads of a process share a pool of {most} connections to "
                    f"the database {alias!r}: the others wait, and fail at the pool's timeout.",
                    f"Set DATABASES[{alias!r}]['OPTIONS']['pool'] = {{'max_size': {threads}}}, "
                    "or lower TXCHANNELS['THREADS'].",
                )
            )
    return found


def check_limits(aliases: Sequence[str]) -> Findings:
    """``manage.py check --database default``: what the server itself says."""
    return [finding for alias in aliases for finding in _check_limit(alias)]


def _check_limit(alias: str) -> Iterator[Any]:
    connection = connections[alias]
    if connection.vendor not in _QUESTIONS:
        return
    try:
        allowed = _ask(connection)
    except Error:
        return  # Django's own checks tell that it cannot be reached
    daemon = daemon_settings()
    count = daemon.processes.count or 1
    threads = daemon.workers.threads
    each = min(threads, _pool_of(connection.settings_dict) or threads)
    # During a reload, two generations of workers are there.
    generations = 1 if daemon.processes.count is None else 2
    wanted = each * count * generations
    if wanted > allowed:
        during = " (twice that of one, for a reload)" if generations > 1 else ""
        yield warning(
            "W015",
            f"The workers of one daemon may open {wanted} connections{during} to the database "
            f"{alias!r}, which allows {allowed}.",
            "Lower TXCHANNELS['THREADS'] or ['PROCESSES'], raise the server's max_connections, "
            "or put a pool in between.",
        )


def _ask(connection: Any) -> int:
    limit, *kept = _QUESTIONS[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(limit)
        allowed = int(cursor.fetchone()[0])
        for question in kept:
            cursor.execute(question)
            allowed -= int(cursor.fetchone()[0])
    return allowed


def _pool_of(database: Mapping[str, Any]) -> int | None:
    """How many connections the pool of a process has at most; None without a pool."""
    pool = (database.get("OPTIONS") or {}).get("pool")
    if not pool or "postgresql" not in str(database.get("ENGINE", "")):
        return None
    if not isinstance(pool, Mapping):
        return DEFAULT_POOL
    least = pool.get("min_size", DEFAULT_POOL)
    return int(pool.get("max_size") or least)
