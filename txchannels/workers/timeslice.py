"""How long the kernel lets one thread run while others wait for the processor.

A thread that waits for the interpreter must get the processor to say so. The kernel's
own slice, some milliseconds, would make every hand-over between threads that compute
and the reactor as long. Linux takes a wish for another slice since 6.12 and needs no
right for it; elsewhere, `wish_timeslice` does nothing.

Source: sched_setattr(2); "sched/eevdf: Allow shorter slices to wakeup-preempt" (Linux 6.12).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from pathlib import Path

__all__ = ["wish_timeslice"]

#: sched_setattr's number, by architecture.
_SYSCALLS = {"x86_64": 314, "aarch64": 274, "riscv64": 274}

#: struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period, two clamps.
_ATTRIBUTES = struct.Struct("IIQiIQQQII")

_TASKS = Path("/proc/self/task")


def wish_timeslice(seconds: float) -> None:
    """Wish for slices of *seconds* for all threads there are; 0 wishes for the kernel's own.

    Threads that are started later take over the wish of the one that starts them.
    """
    number = _SYSCALLS.get(platform.machine())
    if not sys.platform.startswith("linux") or number is None or not _TASKS.is_dir():
        return
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    for task in _TASKS.iterdir():
        _wish(syscall, number, int(task.name), round(seconds * 1e9))


def _wish(syscall: ctypes._FuncPointer, number: int, task: int, nanoseconds: int) -> None:
    """The same for one thread; one that has ended, or may not be changed, is passed over."""
    try:
        policy = os.sched_getscheduler(task)
        nice = os.getpriority(os.PRIO_PROCESS, task)
    except OSError:
        return
    if policy == os.SCHED_OTHER:
        wish = _ATTRIBUTES.pack(_ATTRIBUTES.size, policy, 0, nice, 0, nanoseconds, 0, 0, 0, 0)
        syscall(number, task, ctypes.create_string_buffer(wish), 0)
