"""The wish for a time slice reaches every thread and changes nothing else."""

import ctypes
import os
import platform
import struct
import sys
import threading
from collections.abc import Iterator

import pytest

from txchannels.workers import timeslice
from txchannels.workers.timeslice import wish_timeslice

#: sched_getattr's number.
_SYSCALLS = {"x86_64": 315, "aarch64": 275}

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or platform.machine() not in _SYSCALLS,
    reason="a wish that only Linux takes",
)


def wished(task: int = 0) -> int:
    """The slice of a thread as the kernel tells it, in nanoseconds; 0 before Linux 6.12."""
    buffer = ctypes.create_string_buffer(56)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    assert syscall(_SYSCALLS[platform.machine()], task, buffer, 56, 0) == 0
    return int(struct.unpack("IIQiIQQQII", buffer.raw)[5])


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    wish_timeslice(0.0)


def test_every_thread_gets_the_slice_and_loses_it_again() -> None:
    own = wished()
    if not own:
        pytest.skip("this kernel takes no such wish (Linux 6.12)")
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        assert thread.native_id is not None
        wish_timeslice(0.0002)
        assert wished() == wished(thread.native_id) == 200_000
        wish_timeslice(0.0)
        assert wished() == wished(thread.native_id) == own
    finally:
        end.set()
        thread.join()


def test_policy_and_niceness_stay() -> None:
    before = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    wish_timeslice(0.0002)
    assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == before


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    before = wished()
    with monkeypatch.context() as patch:
        patch.setattr(timeslice.platform, "machine", lambda: "vax")
        wish_timeslice(0.0003)
    assert wished() == before
