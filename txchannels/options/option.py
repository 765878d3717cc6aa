"""One option: what it sets, how it is written, what is allowed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

from txchannels.errors import ConfigurationError
from txchannels.settings import Settings

__all__ = ["DAEMON", "WORKER", "Option", "usable_cpus"]

Kind = Literal["number", "bytes", "seconds", "text", "list", "globs", "flag", "processes"]

#: The commands of twistd: all of a site, and its workers alone.
DAEMON, WORKER = "channels", "channels-worker"

UNLIMITED = 2**40

#: More worker processes are a mistake in writing: of one host, and for each of its CPUs.
MAX_PROCESSES, MAX_PROCESSES_A_CPU = 512, 16

_KINDS = {
    "number": "a whole number",
    "bytes": "a whole number of bytes",
    "seconds": "a number of seconds",
}


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: As on the command line, without the dashes.
        field: What it sets, from `Settings` on (``http.root_path``); without a dot
            in ``address``, a shortcut for an endpoint.
        kind: How it is written.
        shown: What stands for its value in the help.
        help: What it does, for people.
        least, most: The range of a number.
        commands: Which commands have it.
    """

    name: str
    field: str
    kind: Kind
    shown: str
    help: str
    least: float = 0
    most: float = UNLIMITED
    commands: tuple[str, ...] = (DAEMON,)

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be given several times, for several values."""
        return self.kind in ("list", "globs")

    @property
    def key(self) -> str:
        """Its key in ``TXCHANNELS``."""
        return self.name.upper().replace("-", "_")

    @property
    def default(self) -> Any:
        """What holds where nobody gives it; None for an address and the number of processes."""
        if self.field.startswith("address."):
            return None
        return reduce(getattr, self.field.split("."), Settings())

    def read(self, value: Any, where: str) -> Any:
        """*value* as the setting's type.

        Args:
            where: How the operator wrote the option's name.

        Raises: ConfigurationError: It is not of the kind, or out of range.
        """
        if self.kind in _KINDS:
            return self._read_number(value, where)
        if self.kind == "flag":
            if value not in (True, False):
                raise ConfigurationError(where, value, "must be True or False")
            return bool(value)
        if self.is_repeatable:
            return self._read_list(value, where)
        if self.kind == "processes":
            return _read_processes(value, where)
        if not isinstance(value, str):
            raise ConfigurationError(where, value, "must be text")
        return value

    def _read_number(self, value: Any, where: str) -> float:
        convert = float if self.kind == "seconds" else int
        try:
            if isinstance(value, bool) or (convert is int and isinstance(value, float)):
                raise TypeError
            number = convert(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not self.least <= number <= self.most:
            most = "or more" if self.most == UNLIMITED else f"to {_plain(self.most)}"
            allowed = f"must be {_KINDS[self.kind]}, {_plain(self.least)} {most}"
            raise ConfigurationError(where, value, allowed)
        return number

    def _read_list(self, value: Any, where: str) -> tuple[str, ...]:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, Sequence) or not all(isinstance(one, str) for one in values):
            raise ConfigurationError(where, value, "must be a list of texts")
        if self.kind == "globs":
            values = [glob.strip() for one in values for glob in one.split(",")]
        return tuple(values)


def _read_processes(value: Any, where: str) -> int:
    """A number of worker processes; ``auto`` is one for each CPU."""
    cpus = usable_cpus()
    if value == "auto":
        return cpus
    most = min(MAX_PROCESSES, MAX_PROCESSES_A_CPU * cpus)
    try:
        if isinstance(value, bool | float):
            raise TypeError
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if not 1 <= number <= most:
        raise ConfigurationError(
            where,
            value,
            f"must be a whole number, 1 to {most}, or auto: one for each CPU, here {cpus}; "
            "leave it out for threads in the daemon's own process",
        )
    return number


def usable_cpus() -> int:
    """How many CPUs this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _plain(number: float) -> str:
    return f"{number:d}" if isinstance(number, int) else f"{number:f}".rstrip("0").rstrip(".")
