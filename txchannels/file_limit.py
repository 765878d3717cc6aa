"""How many files the system lets the daemon open, and so how many connections fit."""

from __future__ import annotations

import resource
from dataclasses import replace

from twisted.logger import Logger

from txchannels.errors import ConfigurationError
from txchannels.settings import HttpSettings, Settings

__all__ = ["fit_to_file_limit", "raise_file_limit"]

log = Logger()

#: Files that are kept for others than connections: a quarter of all, within these bounds.
MIN_RESERVE_FILES = 32
MAX_RESERVE_FILES = 512

#: Fewer connections than that are little for a site.
FEW_CONNECTIONS = 1000

DEFAULT_CONNECTIONS = HttpSettings().max_connections


def raise_file_limit() -> None:
    """Each connection is a file: take as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            log.warn("Only {soft} files, and so connections, can be open", soft=soft)


def fit_to_file_limit(settings: Settings) -> Settings:
    """No more connections than files can be open, less what all else needs of these.

    Without a descriptor left, a connection could be neither answered nor refused. That is
    a warning where the operator has asked for more, or where few are left.

    Raises: ConfigurationError: Nothing is left for connections.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.http.max_connections
    if files == resource.RLIM_INFINITY:
        return settings
    reserve = min(MAX_RESERVE_FILES, max(MIN_RESERVE_FILES, files // 4))
    allowed = files - reserve
    if allowed >= wanted:
        return settings
    if allowed < 1:
        raise ConfigurationError(
            "--max-connections",
            wanted,
            f"only {files} files can be open, and {reserve} are needed for others than "
            "connections; raise the limit (ulimit -n, LimitNOFILE)",
        )
    is_usual = wanted == DEFAULT_CONNECTIONS and allowed >= FEW_CONNECTIONS
    tell = log.info if is_usual else log.warn
    tell(
        "--max-connections is {allowed} instead of {wanted}: only {files} files can be open, "
        "and {reserve} are for others",
        allowed=allowed,
        wanted=wanted,
        files=files,
        reserve=reserve,
    )
    return replace(settings, http=replace(settings.http, max_connections=allowed))
