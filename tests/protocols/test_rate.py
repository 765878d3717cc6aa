from __future__ import annotations

from txchannels.protocols.rate import BodyRate


def test_silence_is_too_slow_after_the_grace() -> None:
    rate = BodyRate(100, 10)
    assert not any(rate.is_too_slow(1) for _ in range(10))
    assert rate.is_too_slow(1)


def test_the_rate_itself_is_fast_enough() -> None:
    rate = BodyRate(100, 10)
    for _ in range(1000):
        rate.received(100)
        assert not rate.is_too_slow(1)


def test_bursts_earn_no_more_than_they_bring() -> None:
    rate = BodyRate(100, 10)
    slow = []
    for second in range(100):
        if second % 10 == 0:
            rate.received(500)
        slow.append(rate.is_too_slow(1))
    assert any(slow)


def test_nothing_is_earned_in_advance() -> None:
    rate = BodyRate(100, 10)
    rate.received(10**9)
    assert not rate.is_too_slow(1)
    assert not any(rate.is_too_slow(1) for _ in range(10))
    assert rate.is_too_slow(1)


def test_the_next_body_begins_anew() -> None:
    rate = BodyRate(100, 10)
    assert rate.is_too_slow(11)
    rate.reset()
    assert not rate.is_too_slow(10)


def test_without_a_rate_nothing_is_too_slow() -> None:
    assert not BodyRate(0, 10).is_too_slow(10**6)
