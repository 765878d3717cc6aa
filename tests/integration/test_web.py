"""What a fresh project lacks: uploads, downloads, cookies, proxies, old clients."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.daemon import WAIT_SECONDS, Daemon, wait_until

pytestmark = pytest.mark.slow

WEBAPP = "tests.webapp.settings"
BIG = bytes(range(256)) * 2_000  # 512,000 bytes
SMALL = b"small file"
TEXT = {"Content-Type": "text/plain"}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(WEBAPP) as daemon:
        yield daemon
        assert daemon.stop() == 0


@pytest.fixture
def client(daemon: Daemon) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=daemon.url, timeout=WAIT_SECONDS) as client:
        client.get("/closed/")
        yield client


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def in_chunks(data: bytes, size: int = 10_000) -> Iterator[bytes]:
    """As the body of a request: sent chunked, without a length."""
    return (data[at : at + size] for at in range(0, len(data), size))


def exchange(address: tuple[str, int], request: bytes) -> bytes:
    """All that is answered until the connection is closed."""
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def wait_for_closings(client: httpx.Client, count: int) -> list[str]:
    found: list[str] = []

    def are_all() -> bool:
        found.extend(client.get("/closed/").json())
        return len(found) >= count

    wait_until(are_all)
    return found


# Bodies


def test_a_small_body_is_read(client):
    assert client.post("/raw/", content=b"abc").json() == {"bytes": 3, "sha256": sha256(b"abc")}


@pytest.mark.parametrize("content", [BIG[:190_000], in_chunks(BIG[:190_000])], ids=["", "chunked"])
def test_a_body_that_flows_is_read(client, content):
    response = client.post("/raw/", content=content, headers=TEXT)
    assert response.json() == {"bytes": 190_000, "sha256": sha256(BIG[:190_000])}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_djangos_limit_is_400(client, chunked):
    response = client.post("/raw/", content=in_chunks(BIG) if chunked else BIG, headers=TEXT)
    assert response.status_code == 400
    assert client.get("/hello/").text == "Hello, world!"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_stream_has_no_such_limit(client, chunked):
    response = client.post("/pieces/", content=in_chunks(BIG) if chunked else BIG, headers=TEXT)
    sizes = [100_000] * (len(BIG) // 100_000) + [len(BIG) % 100_000]
    assert response.json() == {"sizes": sizes, "sha256": sha256(BIG)}


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_form_is_read(client, chunked):
    data = b"a=1&a=2&b=%C3%A4+%2B"
    response = client.post("/form/", content=in_chunks(data, 3) if chunked else data, headers=FORM)
    assert response.json() == {"fields": {"a": ["1", "2"], "b": ["ä +"]}, "files": {}}


def test_a_form_with_too_many_fields_is_400(client):
    fine = client.post("/form/", data={f"f{n}": "x" for n in range(50)})
    assert fine.status_code == 200
    assert client.post("/form/", data={f"f{n}": "x" for n in range(51)}).status_code == 400


@pytest.mark.parametrize("chunked", [False, True])
def test_files_are_kept_in_memory_or_on_disk_by_their_size(client, chunked):
    request = client.build_request(
        "POST",
        "/form/",
        data={"title": "ä"},
        files={"small": ("s ä.txt", SMALL, "text/plain"), "big": ("b.bin", BIG)},
    )
    body = request.read()
    response = client.post(
        "/form/",
        content=in_chunks(body, 7_000) if chunked else body,
        headers={"Content-Type": request.headers["content-type"]},
    )
    assert response.status_code == 200, response.text
    said = response.json()
    assert said["fields"] == {"title": ["ä"]}
    big = {"name": "b.bin", "type": "application/octet-stream", "bytes": len(BIG)}
    assert said["files"]["big"] == big | {"sha256": sha256(BIG), "class": "TemporaryUploadedFile"}
    assert said["files"]["small"]["name"] == "s ä.txt"
    assert said["files"]["small"]["sha256"] == sha256(SMALL)


def test_a_small_upload_stays_in_memory(client):
    said = client.post("/form/", files={"small": ("s.txt", SMALL)}).json()
    assert said["files"]["small"]["class"] == "InMemoryUploadedFile"


def test_a_body_that_no_view_reads_is_no_trouble(client):
    assert client.post("/hello/", content=BIG[:150_000]).text == "Hello, world!"
    assert client.get("/hello/").text == "Hello, world!"


# Responses


def test_a_file_has_its_length_and_is_closed_once(client):
    response = client.get("/file/")
    assert response.headers["content-length"] == "1000000"
    assert response.headers["content-disposition"] == 'attachment; filename="numbers.bin"'
    assert sha256(response.content) == sha256(b"0123456789" * 100_000)
    assert wait_for_closings(client, 1) == ["file"]


def test_a_file_of_unknown_length_is_chunked_and_closed_once(client):
    response = client.get("/pipe/")
    assert "content-length" not in response.headers
    assert response.headers["transfer-encoding"] == "chunked"
    assert response.content == b"a" * 50_000 + b"b" * 50_000
    assert wait_for_closings(client, 1) == ["pipe"]


def test_a_file_is_closed_though_only_its_head_was_asked_for(client):
    response = client.head("/file/")
    assert (response.headers["content-length"], response.content) == ("1000000", b"")
    assert wait_for_closings(client, 1) == ["file"]


def test_a_stream_comes_whole_and_is_closed_once(client):
    response = client.get("/stream/")
    assert response.text == "part 0\npart 1\npart 2\n"
    assert wait_for_closings(client, 2) == ["stream", "response"]


def test_a_stream_whose_client_left_is_closed_once(client, daemon):
    with client.stream("GET", "/stream/?count=100000000") as response:
        next(response.iter_bytes())
    assert wait_for_closings(client, 2) == ["stream", "response"]


def test_an_empty_stream_is_an_empty_answer(client):
    response = client.get("/empty-stream/")
    assert (response.status_code, response.content) == (200, b"")
    assert client.get("/hello/").status_code == 200


def test_a_stream_that_breaks_does_not_look_complete(client, daemon):
    with pytest.raises(httpx.TransportError):
        client.get("/breaks/")
    daemon.wait_for("RuntimeError: the stream broke")
    assert client.get("/hello/").status_code == 200


def test_a_view_that_fails_is_500_and_logged_once(client, daemon):
    response = client.get("/fails/")
    assert response.status_code == 500
    assert "the view failed" not in response.text
    daemon.wait_for("RuntimeError: the view failed")
    assert daemon.log.count("RuntimeError: the view failed") == 1


def test_an_asynchronous_view_runs(client):
    assert client.get("/async/").text == "asynchronous in AsgiRequest"


def test_an_asynchronous_stream_comes_whole(client):
    assert client.get("/async-stream/").text == "one two"


def test_headers_keep_their_case_and_other_alphabets_are_encoded(daemon):
    answer = exchange(daemon.address, b"GET /headers/ HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 302 Found\r\n")
    assert b"\r\nX-Mixed-CASE: kept\r\n" in answer
    assert b"\r\nLocation: /hello/?q=%C3%A4\r\n" in answer
    assert "\r\nX-Latin: é\r\n".encode("latin-1") in answer


# Cookies


def test_each_cookie_has_a_field_of_its_own(client):
    response = client.get("/cookies/", headers={"Cookie": 'a=1; b="x y"; c=%C3%A4'})
    assert response.json() == {"a": "1", "b": "x y", "c": "%C3%A4"}
    fields = response.headers.get_list("set-cookie")
    assert [field.partition("=")[0] for field in fields] == ["first", "second", "third"]
    assert "HttpOnly" in fields[0]


def test_several_cookie_fields_are_one(daemon):
    request = b"GET /cookies/ HTTP/1.0\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n"
    assert b'{"a": "1", "b": "2"}' in exchange(daemon.address, request)


# Addresses


@pytest.mark.parametrize("path", ["/path/äöü/日本/", "/path/a%2Fb/", "/path/%00x", "/path/a+b"])
def test_a_path_is_decoded_once(client, path):
    said = client.get(path).json()["path"]
    assert said == path.replace("%2F", "/").replace("%00", "\0")


def test_a_query_is_decoded(client):
    said = client.get("/path/?a=%C3%A4&a=ß&b=1+2&c").json()["query"]
    assert said == {"a": ["ä", "ß"], "b": ["1 2"], "c": [""]}


def test_a_client_of_http_1_0_without_a_host_is_answered(daemon):
    answer = exchange(daemon.address, b"GET /where/?a=b HTTP/1.0\r\n\r\n")
    assert f'"host": "127.0.0.1:{daemon.port}"'.encode() in answer
    assert f'"uri": "http://127.0.0.1:{daemon.port}/where/?a=b"'.encode() in answer


def test_without_proxy_headers_nobody_else_says_who_the_client_is(client):
    said = client.get(
        "/where/", headers={"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
    ).json()
    assert (said["secure"], said["client"]) == (False, "127.0.0.1")


def test_behind_a_proxy_the_client_and_the_scheme_are_those_that_it_saw():
    with Daemon(WEBAPP, "--proxy-headers=1") as daemon:
        said = httpx.get(
            f"{daemon.url}/where/",
            headers={
                "Host": "shop.example",
                "X-Forwarded-For": "198.51.100.7, 192.0.2.1",
                "X-Forwarded-Proto": "https",
            },
            timeout=WAIT_SECONDS,
        ).json()
        assert said["secure"] is True
        assert said["uri"] == "https://shop.example/where/"
        assert said["client"] == "192.0.2.1"
        said = httpx.get(
            f"{daemon.url}/where/",
            headers={"Forwarded": 'for="[2001:db8::1]:80";proto=https'},
            timeout=WAIT_SECONDS,
        ).json()
        assert (said["secure"], said["client"]) == (True, "2001:db8::1")


@pytest.mark.parametrize("prefix", ["/shop", ""])
def test_the_root_path_is_the_script_name(prefix):
    with Daemon(WEBAPP, "--root-path=/shop/") as daemon:
        said = httpx.get(f"{daemon.url}{prefix}/where/", timeout=WAIT_SECONDS).json()
    assert said["script_name"] == "/shop"
    assert said["path"] == "/shop/where/"
    assert said["path_info"] == "/where/"
    assert said["uri"] == f"{daemon.url}/shop/where/"


def test_a_unix_socket_serves_too(tmp_path):
    path = tmp_path / "a site.sock"
    daemon = Daemon(WEBAPP, f"--unix-socket={path}")
    try:
        daemon.start(until=f"Listening on unix:{path}")
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(path)), timeout=WAIT_SECONDS
        ) as client:
            assert client.get("http://site/hello/").text == "Hello, world!"
            assert client.get("http://site/where/").json()["client"] is None
        assert daemon.stop() == 0
    finally:
        daemon.kill()
    assert not path.exists()


def test_each_request_is_a_line_of_the_access_log(tmp_path):
    path = tmp_path / "access.log"
    with Daemon(WEBAPP, f"--access-log={path}") as daemon:
        httpx.get(f"{daemon.url}/hello/?a=%22", timeout=WAIT_SECONDS)
        wait_until(lambda: path.read_text().count("\n") == 1)
        assert '"GET /hello/?a=%22 HTTP/1.1" 200 13' in path.read_text()
        assert daemon.stop() == 0
