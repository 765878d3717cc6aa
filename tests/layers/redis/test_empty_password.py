"""A user whose password is empty, at the reactor's connection."""

from __future__ import annotations

import pytest

from tests.layers.redis.probing import read_host
from tests.layers.redis.turning import ReactorTestCase
from tests.servers import RedisServer


@pytest.fixture(scope="module")
def server():
    with RedisServer(acl=["user ann on nopass ~* &* +@all"]) as server:
        yield server


class TestEmptyPassword(ReactorTestCase):
    @pytest.fixture(autouse=True)
    def _server(self, server):
        self.server = server

    async def test_the_user_is_logged_in(self):
        host = read_host(f"redis://ann:@127.0.0.1:{self.server.port}")
        connection = await self.connect(host)
        assert await connection.call("ACL", "WHOAMI", timeout=5) == b"ann"
