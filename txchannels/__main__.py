"""``python -m txchannels reload`` and ``status``: orders to a daemon that runs."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from txchannels.asking import ASK_SECONDS, ask_site, make_layer, socket_name, socket_path
from txchannels.errors import ConfigurationError, LayerError
from txchannels.layers.ipc.layer import own_path
from txchannels.layers.ipc.places import module_place, working_folder
from txchannels.layers.ipc.sockets import default_path, dial
from txchannels.options import DAEMON, WORKER, build_settings

__all__ = ["main"]

ENVIRONMENT: Final = "DJANGO_SETTINGS_MODULE"

#: A year: more than the system can wait is no longer far.
_MAX_SECONDS: Final = 31_536_000.0

#: What to do where no daemon can be asked.
_ASKABLE: Final = (
    "twistd channels can be told when it runs with --processes, by the same user, and so can "
    "channels-worker; one with another --socket is named with --socket"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask the daemon, and wait for what it says. Returns: the exit code."""
    options = _parser().parse_args(arguments)
    if not (options.socket or options.settings or os.environ.get(ENVIRONMENT)):
        return _refuse("name the daemon with --socket or --settings")
    try:
        answer = _ask(options.socket or _find(options), options.order, options.timeout)
    except LayerError as error:
        return _refuse(str(error))
    if options.order == "status":
        _show_status(answer, is_json=options.json)
        return 0
    if not answer["ok"]:
        return _refuse(f"the reload failed: {answer['reason']}. {answer['state']}")
    sys.stdout.write(f"Reloaded: generation {answer['generation']} runs\n")
    return 0


def _refuse(reason: str) -> int:
    sys.stderr.write(f"txchannels: {reason}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m txchannels",
        description="Tell a daemon that runs with --processes what to do.",
    )
    parser.add_argument(
        "order",
        choices=("reload", "status"),
        help="reload: start new workers with the code as it is now, and wait until they run; "
        "status: show the workers",
    )
    parser.add_argument("--socket", help="the daemon's Unix socket, as its --socket names it")
    parser.add_argument("--settings", help="the daemon's settings module, to find its socket by")
    parser.add_argument(
        "--daemon",
        choices=(DAEMON, WORKER),
        help="which of twistd's commands it is, where both run with these settings",
    )
    parser.add_argument("--layer", default="", help="the layer's alias, as its --layer names it")
    parser.add_argument(
        "--pythonpath",
        action="append",
        default=[],
        help="where the site's modules are, if not here",
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=300.0, help="seconds to wait for the outcome [300]"
    )
    parser.add_argument("--json", action="store_true", help="show the status as JSON")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.0 < seconds <= _MAX_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text!r}: must be a number of seconds above 0, and at most {_MAX_SECONDS:.0f}"
        )
    return seconds


def _find(options: argparse.Namespace) -> str:
    """Where the socket is of the daemon with these settings.

    Raises: LayerError: There are two.
    """
    module = options.settings or os.environ[ENVIRONMENT]
    folders = [str(Path(working_folder(), folder)) for folder in options.pythonpath]
    place = module_place(module, folders)
    commands = [options.daemon] if options.daemon else [DAEMON, WORKER]
    # It may have started before the settings could be read, or they cannot be read now.
    paths = {command: _usual(module, command, place) for command in commands}
    fault = None
    try:
        named = _named(options, module, folders, place)
        paths = {command: [named(command), *those] for command, those in paths.items()}
    except ConfigurationError as error:
        fault = error
    path = _choose(module, paths)
    if fault is not None:
        sys.stderr.write(
            f"txchannels: {fault}. So its socket may be another than {path}; "
            "--socket names it in any case\n"
        )
    return path


def _named(
    options: argparse.Namespace, module: str, folders: Sequence[str], place: str
) -> Callable[[str], str]:
    """Where the daemon of a command is as the settings have it now.

    Raises: ConfigurationError: They cannot be read, or do not work.
    """
    named_by = "--settings" if options.settings else ENVIRONMENT
    facts = ask_site(module, options.layer, folders, ASK_SECONDS, named_by)
    settings = build_settings({"layer": options.layer or None}, facts.options or {})
    layer = make_layer(facts, settings.layer, place)
    own = settings.processes.socket

    def named(command: str) -> str:
        return socket_path(layer, own, socket_name(module, command), place)[0]

    named(DAEMON)  # may say what is wrong
    return named


def _usual(module: str, command: str, place: str) -> list[str]:
    """Where the daemon of these settings is when nobody names a path: with any layer, with IPC."""
    path = default_path(socket_name(module, command), place)
    return [path, own_path(place)] if command == DAEMON else [path]


def _choose(module: str, paths: Mapping[str, Sequence[str]]) -> str:
    """The one of *paths*, by command, where a daemon is; if none is, where one should be.

    Raises: LayerError: There are two.
    """
    serving = {
        command: path
        for command, those in paths.items()
        if (path := next(filter(_is_served, those), None)) is not None
    }
    if len(set(serving.values())) > 1:
        shown = " and ".join(f"twistd {command} ({path})" for command, path in serving.items())
        which = " or ".join(f"--daemon={command}" for command in serving)
        raise LayerError(f"{shown} both run with {module}: say which, with {which}")
    every = [path for those in paths.values() for path in those]
    left = (path for path in every if Path(path).is_socket())
    return next(iter(serving.values()), None) or next(left, every[0])


def _is_served(path: str) -> bool:
    """Whether a daemon answers there; a socket may be left of one that was killed."""
    if not Path(path).is_socket():
        return False
    try:
        dial(path).close()
    except LayerError:
        return False
    return True


def _ask(path: str, order: str, seconds: float) -> Any:
    """What the daemon at *path* says.

    Raises: LayerError: It is not there, refuses, or says nothing in time.
    """
    said: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    link = dial(path, _ASKABLE)
    link.told = lambda topic, value: said.put((topic, value))
    link.ended = lambda: said.put(("refused", "the daemon has ended"))
    try:
        link.tell(order)
        topic, value = said.get(timeout=seconds)
    except Empty:
        raise LayerError(f"the daemon has not said how it went within {seconds:g} s") from None
    finally:
        link.ended = lambda: None
        link.close()
    if topic == "refused":
        raise LayerError(str(value))
    return value


def _show_status(status: dict[str, Any], *, is_json: bool) -> None:
    lines = [json.dumps(status)] if is_json else _describe(status)
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _describe(status: dict[str, Any]) -> Iterator[str]:
    yield (
        f"txchannels {status['version']}, {status['command']}, process {status['pid']}: "
        f"{status['status']}"
    )
    for worker in status["workers"]:
        yield (
            f"  {worker['name']} ({worker['pid']}): {worker['done']} messages done, "
            f"{worker['running']} running, {worker['rss'] / 2**20:.0f} MiB"
        )
        for what in worker["runs"]:
            yield f"    runs {what}"
    yield (
        f"  {status['restarts']} restarts, {status['recycled']} replaced, "
        f"{status['lost']} messages lost"
    )


if __name__ == "__main__":
    raise SystemExit(main())
