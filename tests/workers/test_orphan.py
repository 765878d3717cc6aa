"""What ends a process whose daemon is gone; the real thing is in test_processes_orphans."""

from __future__ import annotations

import subprocess
import sys

from txchannels.workers.orphan import KILL_SECONDS

WATCHED = """
import ctypes, os, signal
from txchannels.workers.orphan import KILL_SECONDS, end_with_daemon
signal.signal(signal.SIGALRM, signal.SIG_IGN)
end_with_daemon()
number = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(number))
assert signal.alarm(0) == 0
os.kill(os.getpid(), number.value)
print(number.value, signal.alarm(0), signal.getsignal(signal.SIGALRM) is signal.SIG_DFL)
"""


def run(program):
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_signal_of_the_daemons_end_sets_an_alarm_that_ends_the_process():
    told = run(WATCHED)
    number, seconds, is_default = told.stdout.split()
    assert int(number) == KILL_SECONDS
    assert 0 < int(seconds) <= KILL_SECONDS
    assert is_default == "True"


def test_a_process_is_ended_in_time_with_its_stacks_told():
    ended = run(
        "import time\n"
        "from txchannels.workers.orphan import end_in\n"
        "def runs_on():\n"
        "    time.sleep(50)\n"
        "end_in(0.1)\n"
        "runs_on()\n"
    )
    assert ended.returncode == 1
    assert "in runs_on" in ended.stderr
