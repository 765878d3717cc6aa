"""Real servers for tests: Redis, Valkey, sentinels, certificates, and a line that can be cut.

Each is a context manager, and gone when its ``with`` ends.
"""

from __future__ import annotations

from tests.servers.certificates import Certificates, make_certificates
from tests.servers.proxy import Cuttable
from tests.servers.redis import RedisServer, find_server
from tests.servers.sentinel import SentinelTrio
from tests.servers.waiting import free_port, wait_until

__all__ = [
    "Certificates",
    "Cuttable",
    "RedisServer",
    "SentinelTrio",
    "find_server",
    "free_port",
    "make_certificates",
    "wait_until",
]
