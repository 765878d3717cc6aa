"""The options that ``manage.py runserver`` has chosen into a daemon that runs.

They are those of ``twistd channels``. What else it is told, a `Wishes`, stands as JSON in
the environment, and is taken out of it: the site's own processes need not see it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import globalLogBeginner

from txchannels.devserver.console import Console, RequestLog, Styles
from txchannels.errors import ConfigurationError
from txchannels.options import DAEMON
from txchannels.settings import ProcessSettings
from txchannels.tap import Options

__all__ = ["VARIABLE", "Wishes", "main"]

#: The environment variable that holds the wishes.
VARIABLE = "TXCHANNELS_RUNSERVER"


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the developer wants, beside the daemon's options.

    Attributes:
        reload: Whether the code runs in a worker process that follows its edits.
        verbosity: As of ``manage.py``.
        styles: What is written before and after a text, by Django's name of its style.
        worker: What the site's own code is told; see `txchannels.django.devserver`.
    """

    reload: bool
    verbosity: int
    styles: Mapping[str, tuple[str, str]]
    worker: Mapping[str, Any]


def main(arguments: Sequence[str]) -> None:
    """Serve until the developer ends it; then the process ends with 0."""
    wishes = _take_wishes()
    styles = Styles(wishes.styles)
    console = Console(sys.stderr, styles, wishes.verbosity)
    globalLogBeginner.beginLoggingTo([console], redirectStandardIO=False)
    options = Options()
    options.parseOptions(arguments)
    try:
        react(_serve, (options.given(), wishes, styles))
    except ConfigurationError as error:
        raise SystemExit(styles.paint("ERROR", f"Error: {error}")) from None
    except KeyboardInterrupt:  # before the daemon takes the signal
        raise SystemExit(0) from None


def _take_wishes() -> Wishes:
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        raise SystemExit("txchannels: this program is started by manage.py runserver")
    return Wishes(**json.loads(text))


def _serve(reactor: Any, given: Mapping[str, Any], wishes: Wishes, styles: Styles) -> Any:
    """Start the daemon. Returns: a Deferred that never fires; signals end it."""
    command = _build(reactor, given, wishes)
    for name in ("LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID"):  # the port is taken
        os.environ.pop(name, None)
    command.site.access_log = RequestLog(sys.stderr, styles, _local_time)
    command.privilegedStartService()
    command.startService()
    reactor.addSystemEventTrigger("before", "shutdown", command.stopService)
    return Deferred()


def _build(reactor: Any, given: Mapping[str, Any], wishes: Wishes) -> Any:
    if wishes.reload:
        from txchannels import supervised

        daemon: Any = supervised.build(given, reactor, DAEMON)
        daemon.fleet.order(development=dict(wishes.worker))
        return daemon
    from txchannels import threaded
    from txchannels.django.devserver import Development

    settings, loaded = threaded.load(given, DAEMON, Development(wishes.worker).views)
    settings = replace(settings, processes=ProcessSettings())
    return threaded.build(settings, loaded, reactor, DAEMON)


def _local_time() -> datetime:
    return datetime.now().astimezone()
