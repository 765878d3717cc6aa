"""What is raised, by name. Each is one that somebody's code has raised, or could."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn


class Unspeakable(Exception):
    """Neither its text nor its form can be had."""

    def __str__(self) -> str:
        raise ValueError("no text")

    def __repr__(self) -> str:
        raise ValueError("no form")


class Fatal(Exception):
    """Who asks for its text is to exit."""

    def __str__(self) -> str:
        raise SystemExit(4)

    __repr__ = __str__


class Untraceable(Exception):
    """Its class has no name that could be shown."""

    __module__ = None  # type: ignore[assignment]


class Bottomless(BaseException):
    """A base of everything, as `SystemExit` is."""


def raise_it(name: str) -> NoReturn:
    """Raise what is called *name*."""
    raise_as = RAISERS.get(name)
    if raise_as is None:
        raise AssertionError(f"there is no {name!r}")
    raise_as()
    raise AssertionError(f"{name!r} was not raised")


def _raiser(make: Callable[[], BaseException]) -> Callable[[], None]:
    def raise_as() -> None:
        raise make()

    return raise_as


def _recurse(depth: int = 0) -> int:
    return _recurse(depth + 1) + 1


def _exhaust_memory() -> None:
    bytes(2**62)


def _stop_an_iteration() -> None:
    next(iter(()))


def _raise_a_deep_group() -> None:
    error: BaseException = ValueError("at the bottom")
    for _ in range(3000):
        error = BaseExceptionGroup("deeper", [error])
    raise error


def _raise_a_long_chain() -> None:
    first = error = ValueError("at the beginning")
    for number in range(3000):
        error.__cause__ = ValueError(f"because of {number}")
        error = error.__cause__
    raise first


def _raise_a_ring() -> None:
    one, other = ValueError("the hen"), ValueError("the egg")
    one.__cause__, other.__cause__ = other, one
    raise one


def _make_strange() -> BaseException:
    error: Any = ValueError("\udc80 is no text that could be written", object())
    error.__notes__ = 7
    return error


RAISERS: dict[str, Callable[[], Any]] = {
    "SystemExit": _raiser(lambda: SystemExit(3)),
    "KeyboardInterrupt": _raiser(KeyboardInterrupt),
    "GeneratorExit": _raiser(GeneratorExit),
    "CancelledError": _raiser(asyncio.CancelledError),
    "BaseException": _raiser(Bottomless),
    "MemoryError": _exhaust_memory,
    "RecursionError": _recurse,
    "StopIteration": _stop_an_iteration,
    "ValueError": _raiser(lambda: ValueError("boom")),
    "unspeakable": _raiser(Unspeakable),
    "fatal": _raiser(Fatal),
    "untraceable": _raiser(Untraceable),
    "strange": _raiser(_make_strange),
    "deep-group": _raise_a_deep_group,
    "long-chain": _raise_a_long_chain,
    "ring": _raise_a_ring,
}
