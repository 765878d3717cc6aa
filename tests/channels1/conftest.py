"""One rough site for all that is done to it: what harms the next is seen there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.channels1.rough import Rough, whole
from tests.django.conftest import database, layer, make_message, tables

__all__ = ["database", "layer", "make_message", "site", "tables"]


@pytest.fixture(scope="package")
def site() -> Iterator[Rough]:
    with Rough() as daemon:
        with whole(daemon):
            yield daemon
        assert daemon.stop() == 0
