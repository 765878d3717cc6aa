"""A site's settings are asked of a process, whatever that has started."""

from __future__ import annotations

import os
import signal

import pytest

from txchannels import asking
from txchannels.asking import SiteFault, ask_site

#: Longer than any test may take: who waits for it fails.
HELD = 600


@pytest.fixture
def ask(tmp_path, monkeypatch):
    monkeypatch.setattr(asking, "EXIT_SECONDS", 60.0)
    child = tmp_path / "child"

    def ask(text, seconds=60.0):
        (tmp_path / "asked.py").write_text(text.replace("CHILD", repr(str(child))))
        return ask_site("asked", "", [str(tmp_path)], seconds)

    yield ask
    if child.exists():
        os.kill(int(child.read_text()), signal.SIGKILL)


FORKS = f"""
import os, time
pid = os.fork()
if pid == 0:
    time.sleep({HELD})
    os._exit(0)
with open(CHILD, "w") as file:
    file.write(str(pid))
ALLOWED_HOSTS = ["a"]
"""


def test_a_child_that_holds_the_pipe_open_is_not_waited_for(ask):
    assert ask(FORKS, HELD / 2).allowed_hosts == ("a",)


def test_a_process_that_dies_while_its_child_holds_the_pipe_is_not_waited_for(ask):
    with pytest.raises(SiteFault, match="exit code 5"):
        ask(f"{FORKS}\nos._exit(5)", HELD / 2)


def test_a_child_that_goes_on_is_not_asked(ask, capfd):
    facts = ask(
        "import os\npid = os.fork()\nALLOWED_HOSTS = ['parent' if pid else 'child']\n"
        "if pid: os.waitpid(pid, 0)"
    )
    assert facts.allowed_hosts == ("parent",)
    assert capfd.readouterr().err == ""


def test_settings_that_hang_are_given_up(ask):
    with pytest.raises(SiteFault, match="did not end by itself"):
        ask("import threading\nthreading.Event().wait()", 0.5)


def test_threads_of_the_settings_do_not_hold_up_the_answer(ask, monkeypatch):
    monkeypatch.setattr(asking, "EXIT_SECONDS", 0.2)
    text = f"import threading, time\nthreading.Thread(target=time.sleep, args=[{HELD}]).start()"
    assert ask(text, HELD / 2).settings_module == "asked"


def test_a_number_beyond_64_bits_is_named(ask, capfd):
    with pytest.raises(SiteFault) as caught:
        ask("TXCHANNELS = {'THREADS': 4, 'MAX_RSS': 2 ** 70}")
    assert str(caught.value) == (
        "TXCHANNELS['MAX_RSS']: a number beyond 64 bits cannot be handed to another process, "
        "as --processes needs"
    )
    assert capfd.readouterr().err == ""


def test_a_long_answer_is_read_whole(ask):
    hosts = ask("ALLOWED_HOSTS = [f'host-{i}.example' for i in range(50_000)]").allowed_hosts
    assert len(hosts) == 50_000
