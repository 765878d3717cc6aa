"""The composition root: which command it is to be, and how its workers run.

With threads (`threaded`), the daemon loads the site and runs it; with ``--processes``
(`supervised`), it loads none of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from txchannels.options import DAEMON

if TYPE_CHECKING:
    from txchannels.command import Command
    from txchannels.settings import Settings

__all__ = ["build", "check"]


def build(given: Mapping[str, Any], reactor: Any, command: str = DAEMON) -> Command:
    """*command*, from the options that were given by name.

    Raises: ConfigurationError: It cannot work so.
    """
    if given.get("processes") or given.get("reload"):
        from txchannels import supervised

        return supervised.build(given, reactor, command)
    from txchannels import threaded

    settings, loaded = threaded.load(given, command)
    if settings.processes.count is not None:
        _start_again(settings)
        from txchannels import supervised

        return supervised.build(given, reactor, command)
    return threaded.build(settings, loaded, reactor, command)


def check(given: Mapping[str, Any], reactor: Any, command: str = DAEMON) -> str:
    """Try everything but to listen and to work; returns what would be done, in a few lines.

    Raises: ConfigurationError: It cannot work so.
    """
    from txchannels import threaded

    return threaded.check(given, reactor, command)


def _start_again(settings: Settings) -> None:
    """``TXCHANNELS`` asks for processes: be a daemon that has not loaded the site to learn so."""
    if Path(sys.argv[0]).name != "twistd":
        return
    wanted = [f"--processes={settings.processes.count}"]
    if settings.processes.reload:
        wanted.append("--reload")
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], *wanted])  # noqa: S606
