from __future__ import annotations

from txchannels.workers.restarts import Backoff, Intensity, jittered


def test_a_wait_doubles_up_to_its_ceiling_and_starts_over():
    backoff = Backoff()
    for _ in range(2):
        waits = [backoff.next() for _ in range(2000)]
        assert waits[0] == 0
        for number, wait in enumerate(waits[1:50]):
            most = min(30.0, 0.1 * 2**number)
            assert 0.75 * most <= wait <= most
        assert max(waits) <= 30
        backoff.reset()


def test_a_first_wait_may_be_longer():
    backoff = Backoff(first=5, ceiling=12)
    waits = [backoff.next() for _ in range(4)]
    for wait, most in zip(waits, (5, 10, 12, 12), strict=True):
        assert 0.75 * most <= wait <= most


def test_jitter_only_takes_off():
    assert all(9 <= jittered(10, 0.1) <= 10 for _ in range(1000))


def test_more_deaths_than_are_borne_within_the_time_are_too_many():
    intensity = Intensity(2, 60)
    for now in (0, 50, 61):
        intensity.died(now)
        assert not intensity.is_exceeded(now)
    intensity.died(100)
    assert intensity.is_exceeded(100)
    assert not intensity.is_exceeded(111)


def test_deaths_are_forgiven_up_to_a_time_or_all():
    intensity = Intensity(1, 60)
    for now in (1, 2, 3):
        intensity.died(now)
    intensity.forgive(1)
    assert intensity.is_exceeded(3)
    intensity.forgive(2)
    assert not intensity.is_exceeded(3)
    intensity.died(3)
    intensity.clear()
    assert not intensity.is_exceeded(3)
