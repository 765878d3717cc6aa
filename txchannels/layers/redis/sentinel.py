"""Sentinels: a service's name into a connection to its master.

A sentinel that is wrong or away is passed over; so is a master that turns out to be none (a
fail-over is under way), as the next sentinel may know more.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.redis import failures, meanings

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from txchannels.layers.redis.config import Host
    from txchannels.layers.redis.connection import Connection

__all__ = ["connect_to_master", "find_master"]


class Dial(Protocol):
    """Opens a connection to a host of one address: a sentinel if it has a service."""

    def __call__(self, host: Host) -> Coroutine[Deferred[Any], Any, Connection]: ...


class Bounded(Protocol):
    """Runs a part of the work to *host* within a share of the time that is left."""

    def __call__(
        self, part: Coroutine[Deferred[Any], Any, Any], host: Host, share: float
    ) -> Deferred[Any]: ...


async def connect_to_master(host: Host, dial: Dial, bounded: Bounded) -> Connection:
    """Ask each sentinel of *host* in turn, until one names a master that answers as one.

    Raises:
        ConfigurationError: the master can never be used, or no sentinel can.
        LayerUnavailable: no master answers now.
    """
    errors: list[ConfigurationError | LayerUnavailable] = []
    tried = set()
    for index, address in enumerate(host.addresses):
        share = 0.5 / (len(host.addresses) - index)
        asked = _sentinel(host, address)
        try:
            name = await bounded(_ask(asked, dial), asked, share)
        except (ConfigurationError, LayerUnavailable) as error:
            errors.append(error)
            continue
        if name in tried:
            continue
        tried.add(name)
        master = replace(host, addresses=(name,), service="")
        is_last = index + 1 == len(host.addresses)
        try:
            return await bounded(dial(master), master, 1.0 if is_last else share)
        except LayerUnavailable as error:
            errors.append(error)
    raise _worth_telling(errors)


async def find_master(host: Host, dial: Dial, bounded: Bounded) -> tuple[str, int] | None:
    """Where the first sentinel that answers says the master is; None if none does."""
    for index, address in enumerate(host.addresses):
        asked = _sentinel(host, address)
        try:
            return await bounded(_ask(asked, dial), asked, 1 / (len(host.addresses) - index))
        except (ConfigurationError, LayerUnavailable):
            continue
    return None


def _sentinel(host: Host, address: tuple[str, int]) -> Host:
    return replace(
        host,
        addresses=(address,),
        db=0,
        username=host.sentinel_username,
        password=host.sentinel_password,
    )


async def _ask(sentinel: Host, dial: Dial) -> tuple[str, int]:
    connection = await dial(sentinel)
    try:
        reply = await connection.call(
            "SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinel.service, timeout=None
        )
    except failures.EXPECTED as error:
        raise failures.explain(error, sentinel) from None
    finally:
        connection.close()
    if reply is None:
        raise meanings.no_service(sentinel)
    try:
        name, port = reply
        return name.decode(), int(port)
    except (TypeError, ValueError, AttributeError):
        raise meanings.failure(meanings.NOT_REDIS, sentinel, at_sentinel=True) from None


def _worth_telling(errors: list[ConfigurationError | LayerUnavailable]) -> Exception:
    """What may pass weighs more than what cannot: a sentinel that is away may know better."""
    for error in reversed(errors):
        if isinstance(error, LayerUnavailable):
            return error
    return errors[-1]
