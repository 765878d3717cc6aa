"""A command becomes another program: same process, same terminal, same Python, same paths."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

__all__ = ["become", "interpreter", "site_folders", "twistd"]

#: What a Python that is started here has on its path by itself.
_SAY_PATH = "import sys; print('\\0'.join(sys.path[1:]), end='')"

#: `twistd` where its script is not beside the interpreter.
_TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"


def become(command: Sequence[str], environment: Mapping[str, str] | None = None) -> NoReturn:
    """Run *command* in place of this program. Open files that are inheritable stay.

    Args:
        command: The program's path, and its arguments.
        environment: Variables beside those of this process.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], list(command), {**os.environ, **(environment or {})})  # noqa: S606


def interpreter() -> list[str]:
    """The command of this Python, with the options that it was started with."""
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined] # noqa: SLF001 - as multiprocessing does
    return [sys.executable, *flags]


def twistd() -> list[str]:
    """The command of this Python's ``twistd``."""
    script = Path(sys.executable).with_name("twistd")
    return [*interpreter(), *([str(script)] if script.is_file() else ["-c", _TWISTD])]


def site_folders() -> list[str]:
    """The folders that ``manage.py`` has put on the Python path, in their order.

    A program that is started with them finds the site's modules as this one does.
    """
    said = subprocess.run(  # noqa: S603 - our own program
        [*interpreter(), "-c", _SAY_PATH], capture_output=True, text=True, check=False
    )
    usual = set(said.stdout.split("\0"))
    here = dict.fromkeys(str(Path(folder or ".").absolute()) for folder in sys.path)
    return [folder for folder in here if folder not in usual and Path(folder).is_dir()]
