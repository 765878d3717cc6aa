"""A worker process does not outlive its daemon, whatever it runs then.

Nothing in Python can see to that alone: code in C may keep the interpreter's lock, and no
other thread gets a turn as long as it does. So the kernel is asked for a signal at the
daemon's end, and its handler is no Python but the C library's own ``alarm``. A handler is
called with its signal's number, so that ``alarm`` ends the process so many seconds later by
SIGALRM, whose default needs no interpreter either.

Source: prctl(2), PR_SET_PDEATHSIG; alarm(2), which is async-signal-safe.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal

__all__ = ["KILL_SECONDS", "end_in", "end_with_daemon"]

_PR_SET_PDEATHSIG = 1

#: Nobody sends it, nor does the kernel by itself; its number is its seconds.
_SIGNAL = getattr(signal, "SIGSTKFLT", signal.SIGPWR)

#: At most so long after the daemon's end the process ends, whatever it runs.
KILL_SECONDS = int(_SIGNAL)


def end_with_daemon() -> None:
    """Have the kernel end this process `KILL_SECONDS` after its parent.

    Raises: OSError: The kernel does not.
    Thread: the process's first; the parent's that started it must be one that lives as long.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it may have been inherited as ignored
    library = ctypes.CDLL(None, use_errno=True)
    set_handler = library.signal
    set_handler.restype = ctypes.c_void_p
    set_handler.argtypes = [ctypes.c_int, ctypes.c_void_p]
    set_handler(_SIGNAL, ctypes.cast(library.alarm, ctypes.c_void_p))
    if library.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(_SIGNAL), 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def end_in(seconds: float) -> None:
    """End this process then, with exit code 1 and its stacks in the log, whatever it runs.

    Thread: any.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)
