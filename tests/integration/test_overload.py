"""More clients than the daemon may have files open."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress

import httpx
import pytest

from tests.integration.daemon import Daemon, wait_until

pytestmark = pytest.mark.slow


def is_served(daemon: Daemon) -> bool:
    try:
        return httpx.get(f"{daemon.url}/hello/", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(("files", "allowed"), [(64, 32), (128, 96)])
def test_more_clients_than_descriptors_do_not_flood_the_log(files, allowed):
    with Daemon("tests.webapp.settings", max_files=files) as daemon:
        daemon.wait_for(f"--max-connections is {allowed} instead of 20000: only {files} files")
        answers = []
        with ExitStack() as clients:
            for _ in range(3):  # again and again: those that are refused come back
                connected = [
                    clients.enter_context(socket.create_connection(daemon.address, timeout=10))
                    for _ in range(2 * files)
                ]
                for client in reversed(connected):
                    with suppress(ConnectionError):
                        client.sendall(b"GET /hello/ HTTP/1.1\r\nHost: a\r\n\r\n")
                        answers.append(client.recv(12))
            assert len(daemon.open_files) < files
        assert answers.count(b"HTTP/1.1 200") == allowed
        wait_until(lambda: is_served(daemon))
        assert "EMFILE" not in daemon.log
        assert "Traceback" not in daemon.log
        assert len(daemon.log.splitlines()) < 200
        assert daemon.stop() == 0
