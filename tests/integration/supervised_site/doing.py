"""What views and consumers do alike. They note it as lines in the files of the folder ``NOTES``."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from pathlib import Path

#: A guard against hanging for ever.
WAIT_SECONDS = 60.0

_pause = threading.Event()


def note(file: str, *words: object) -> None:
    with Path(os.environ["NOTES"], file).open("a") as lines:
        lines.write(f"{' '.join(map(str, words))}\n")


def pause(seconds: float) -> None:
    _pause.wait(seconds)


def wait_for(gate: str) -> None:
    """Until the file *gate* exists."""
    note("waiting", os.getpid(), gate)
    for _ in range(int(WAIT_SECONDS * 100)):
        if Path(gate).exists():
            return
        _pause.wait(0.01)


def die(how: str) -> None:
    """End this process as *how* says, or have it come to a stand."""
    note("dying", os.getpid(), how)
    if how == "exit":
        os._exit(7)
    elif how == "segfault":
        ctypes.string_at(0)
    elif how == "hang":
        # PyDLL keeps the interpreter's lock, as code in C may do.
        ctypes.PyDLL(None).sleep(600)
    else:
        os.kill(os.getpid(), getattr(signal, how))
