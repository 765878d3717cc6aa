"""``python -m txchannels`` refuses what it cannot wait for before it asks for anything."""

from __future__ import annotations

import pytest

from txchannels import __main__ as orders


@pytest.mark.parametrize("seconds", ["nan", "-1", "0", "1e20", "inf", "soon", ""])
def test_a_timeout_that_cannot_be_is_refused_before_the_order_is_sent(monkeypatch, capsys, seconds):
    asked = []
    monkeypatch.setattr(orders, "_ask", lambda *what: asked.append(what))
    with pytest.raises(SystemExit) as caught:
        orders.main(["reload", "--socket=/run/d.sock", f"--timeout={seconds}"])
    said = capsys.readouterr().err
    assert (caught.value.code, asked) == (2, [])
    assert said.endswith(
        f"error: argument --timeout: {seconds!r}: must be a number of seconds above 0, "
        "and at most 31536000\n"
    )


def test_a_timeout_may_have_fractions(monkeypatch, capsys):
    asked = []

    def ask(path, order, seconds):
        asked.append((path, order, seconds))
        return {"ok": True, "generation": 2}

    monkeypatch.setattr(orders, "_ask", ask)
    assert orders.main(["reload", "--socket=/run/d.sock", "--timeout=0.5"]) == 0
    assert asked == [("/run/d.sock", "reload", 0.5)]
    assert capsys.readouterr().out == "Reloaded: generation 2 runs\n"
