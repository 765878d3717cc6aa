"""The command line into a service, for both commands. The only file that says ``reactor``."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.python import usage

import twisted
from txchannels import __version__
from txchannels.errors import ConfigurationError
from txchannels.options import DAEMON, GROUPS, OPTIONS, WORKER, Option, closest, options_of

__all__ = ["Options", "WorkerOptions", "makeService"]

#: The options that are no settings: name, what stands for the value, help.
_STARTING = (
    ("settings", "MODULE", "the site's settings module [$DJANGO_SETTINGS_MODULE]"),
    ("pythonpath", "FOLDER", "where the site's modules are, if not here; repeatable"),
    ("check", "", "validate everything, say what would be done, and exit with 0 or 1"),
    ("version", "", "show the versions, and exit"),
    ("help", "", "show this, and exit"),
)

_EPILOGUE = (
    "Seconds may have fractions. Each option but those of the site is also a key of the "
    "settings' TXCHANNELS, as in TXCHANNELS = {'THREADS': 32}; the command line wins."
)


def _flags(command: str) -> list[Any]:
    """The options of *command* without a value, as Twisted takes them."""
    return [[one.name, None, one.help] for one in options_of(command) if one.kind == "flag"]


def _parameters(command: str) -> list[Any]:
    """The options of *command* with one value, as Twisted takes them."""
    return [
        [one.name, None, None, one.help]
        for one in options_of(command)
        if one.kind != "flag" and not one.is_repeatable
    ]


class _SiteOptions(usage.Options):
    """What both commands are told: which site it is, and what its workers do.

    Attributes:
        command: The command's name.
    """

    command: ClassVar[str]
    longdesc: ClassVar[str]
    synopsis = "[options] --settings=mysite.settings"
    optFlags: ClassVar[list[Any]] = [["check", None, _STARTING[2][2]]]
    optParameters: ClassVar[list[Any]] = [["settings", None, None, _STARTING[0][2]]]

    def __init__(self) -> None:
        super().__init__()
        self["pythonpath"] = []
        for option in options_of(self.command):
            if option.is_repeatable:
                self[option.name] = []

    def opt_pythonpath(self, folder: str) -> None:
        """where the site's modules are, if not here; repeatable"""
        self["pythonpath"].append(folder)

    def opt_only_channels(self, globs: str) -> None:
        """run messages of these channels alone; repeatable"""
        self["only-channels"].append(globs)

    def opt_exclude_channels(self, globs: str) -> None:
        """run no messages of these channels; repeatable"""
        self["exclude-channels"].append(globs)

    def opt_version(self) -> None:
        """show the versions, and exit"""
        print(f"txchannels {__version__} (Twisted {twisted.__version__})")
        raise SystemExit(0)

    def parseArgs(self, *arguments: str) -> None:
        if arguments:
            raise usage.UsageError(
                f"{arguments[0]!r} is no option; a settings module is named with --settings="
            )

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            raise SystemExit(f"txchannels: {_explain(str(error), self.command)}") from None

    def getUsage(self, width: int | None = None) -> str:
        """The help, in groups (Twisted's own sorts all options by name)."""
        width = width or int(os.environ.get("COLUMNS", "80"))
        lines = textwrap.wrap(self.longdesc, width)
        for title, rows in _help_groups(self.command):
            lines += ["", f"{title}:"]
            for left, right in rows:
                lines += _help_row(left, right, width)
        return "\n".join([*lines, "", *textwrap.wrap(_EPILOGUE, width), ""])

    def given(self) -> dict[str, Any]:
        """What the command line names, by option."""
        flags = {"check", *(one.name for one in OPTIONS if one.kind == "flag")}
        return {
            name: value
            for name, value in self.items()
            if (value if name in flags else value is not None)
        }


class Options(_SiteOptions):
    """The options of ``twistd channels``."""

    command = DAEMON
    longdesc = (
        "Serves a Django site: HTTP and WebSocket, views and consumers in threads or processes."
    )
    optFlags: ClassVar[list[Any]] = _flags(DAEMON)
    optParameters: ClassVar[list[Any]] = _parameters(DAEMON)

    def opt_endpoint(self, description: str) -> None:
        """Twisted endpoint; repeatable"""
        self["endpoint"].append(description)

    def opt_ws_protocol(self, name: str) -> None:
        """subprotocol that may be chosen; repeatable"""
        self["ws-protocol"].append(name)

    def opt_ws_origin(self, origin: str) -> None:
        """whose pages may connect beside the site's own; repeatable"""
        self["ws-origin"].append(origin)


class WorkerOptions(_SiteOptions):
    """The options of ``twistd channels-worker``."""

    command = WORKER
    longdesc = (
        "Runs the views and consumers of a Django site, and opens no port: other "
        "hosts run twistd channels, joined by a channel layer that all of them share."
    )
    optFlags: ClassVar[list[Any]] = _flags(WORKER)
    optParameters: ClassVar[list[Any]] = _parameters(WORKER)


def makeService(options: _SiteOptions) -> IService:
    """The command as a service; ends the program where it cannot work."""
    from twisted.internet import reactor

    from txchannels.service import build, check

    if "" not in sys.path and "." not in sys.path:
        sys.path.insert(0, "")
    try:
        if options["check"]:
            print(check(options.given(), reactor, options.command))
            raise SystemExit(0)
        return build(options.given(), reactor, options.command)
    except ConfigurationError as error:
        raise SystemExit(f"txchannels: {error}") from None


def _explain(error: str, command: str) -> str:
    """What getopt says about an option, with one that is like it."""
    name = error.split("option --", 1)[-1].split(maxsplit=1)[0] if "option --" in error else ""
    if "not recognized" in error:
        if any(name == option.name for option in OPTIONS):
            return f"--{name}: only twistd {DAEMON} has this option"
        known = [*(row[0] for row in _STARTING), *(one.name for one in options_of(command))]
        if near := closest(name, known):
            return f"--{name}: there is no such option{near.replace('mean ', 'mean --')}"
    return f"{error}; twistd {command} --help lists the options"


def _help_groups(command: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    yield "The site", [(_help_name(name, shown), text) for name, shown, text in _STARTING]
    for title, options in GROUPS:
        rows = [
            (_help_name(one.name, one.shown), _help_text(one))
            for one in options
            if command in one.commands
        ]
        if rows:
            yield title, rows


def _help_name(name: str, shown: str) -> str:
    return f"--{name}={shown}" if shown else f"--{name}"


def _help_text(option: Option) -> str:
    default = option.default
    if default in (None, "", ()) or option.kind == "flag":
        return option.help
    return f"{option.help} [{f'{default:.10g}' if option.kind == 'seconds' else default}]"


def _help_row(left: str, right: str, width: int) -> list[str]:
    column = 32
    first, *rest = textwrap.wrap(right, max(20, width - column))
    return [f"  {left:<{column - 2}}{first}", *(f"{'':{column}}{line}" for line in rest)]
