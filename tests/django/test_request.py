from __future__ import annotations

import gc
import weakref
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.wsgi import WSGIRequest
from django.http import RawPostDataException, UnreadablePostError
from django.test import override_settings

from txchannels.django.asgi import channel_layers
from txchannels.django.message import Message
from txchannels.django.request import AsgiRequest, RequestAborted


@pytest.fixture
def make(layer):
    """Makes a request; keyword arguments are fields of its message."""

    def make(**fields):
        content = {
            "reply_channel": "http!a",
            "http_version": "1.1",
            "method": "GET",
            "path": "/a/",
            "headers": [[b"host", b"example.com"]],
            **fields,
        }
        return AsgiRequest(Message(content, "http.request", channel_layers["default"]))

    return make


FORM = [b"content-type", b"application/x-www-form-urlencoded"]


def pieces(layer, *contents, closed=False):
    """Lets a body flow."""
    for at, content in enumerate(contents):
        more = closed or at < len(contents) - 1
        layer.send("body?a", {"content": content, "more_content": more})
    if closed:
        layer.send("body?a", {"content": b"", "closed": True})


# Compared with Django's own

ENVIRON = {
    "REQUEST_METHOD": "POST",
    "SCRIPT_NAME": "/shop",
    "PATH_INFO": "/b/",
    "QUERY_STRING": "x=%C3%A4&x=2",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "REMOTE_ADDR": "192.0.2.1",
    "REMOTE_PORT": 5,
    "REMOTE_HOST": "192.0.2.1",
    "CONTENT_TYPE": "application/x-www-form-urlencoded",
    "CONTENT_LENGTH": "7",
    "HTTP_HOST": "example.com",
    "HTTP_COOKIE": "a=1; b=2",
    "HTTP_X_SOME_THING": "caf\xe9",
    "HTTP_ACCEPT": "text/html,*/*",
}
MESSAGE = {
    "method": "post",
    "scheme": "https",
    "root_path": "/shop",
    "path": "/shop/b/",
    "query_string": b"x=%C3%A4&x=2",
    "client": ["192.0.2.1", 5],
    "server": ["127.0.0.1", 8000],
    "body": b"c=1&c=2",
    "headers": [
        [b"host", b"example.com"],
        FORM,
        [b"content-length", b"7"],
        [b"cookie", b"a=1"],
        [b"cookie", b"b=2"],
        [b"x-some-thing", b"caf\xe9"],
        [b"x_some_thing", b"smuggled"],
        [b"accept", b"text/html"],
        [b"accept", b"*/*"],
    ],
}


@pytest.fixture
def both(make):
    wsgi = {
        **ENVIRON,
        "wsgi.input": BytesIO(b"c=1&c=2"),
        "wsgi.url_scheme": "https",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
    }
    return make(**MESSAGE), WSGIRequest(wsgi)


def test_meta_is_what_wsgi_makes_of_it(both):
    ours, djangos = both
    assert {
        name: value
        for name, value in djangos.META.items()
        if name not in ("wsgi.input", "wsgi.url_scheme")
    } == ours.META


@pytest.mark.parametrize(
    "ask",
    [
        lambda r: (r.path, r.path_info, r.method, r.scheme, r.is_secure()),
        lambda r: (r.get_host(), r.get_port(), r.get_full_path(), r.build_absolute_uri("x/")),
        lambda r: (r.content_type, r.content_params, r.encoding),
        lambda r: (r.GET, r.POST, r.COOKIES, r.FILES),
        lambda r: (r.body, r.POST, r.body),
        lambda r: (r.POST, r.read()),
        lambda r: dict(r.headers),
        lambda r: (r.readline(), r.read()),
        list,
        repr,
    ],
)
def test_a_request_says_what_djangos_says(both, ask):
    ours, djangos = both
    said = ask(djangos)
    assert ask(ours) == (said.replace("WSGI", "Asgi") if isinstance(said, str) else said)


def test_a_body_read_as_a_stream_can_be_no_form_as_in_django(both):
    for request in both:
        request.read(1)
        assert request.POST == {}
        with pytest.raises(RawPostDataException):
            assert request.body


# Where it is


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/a/", "", ("", "/a/", "/a/")),
        ("", "", ("", "/", "/")),
        ("//a", "", ("", "//a", "//a")),
        ("/shop/a", "/shop", ("/shop", "/shop/a", "/a")),
        ("/shop", "/shop", ("/shop", "/shop", "/")),
        ("/a", "/shop", ("/shop", "/shop/a", "/a")),
        ("/shopping", "/shop", ("/shop", "/shop/shopping", "/shopping")),
        ("/shop/a", "/shop/", ("/shop/", "/shop/a", "/a")),
    ],
)
def test_the_root_path_is_cut_off_where_the_proxy_has_not(make, path, root, expected):
    request = make(path=path, root_path=root)
    assert (request.META["SCRIPT_NAME"], request.path, request.path_info) == expected


def test_the_site_may_say_itself_where_it_hangs(make):
    with override_settings(FORCE_SCRIPT_NAME="/shop"):
        request = make(path="/shop/a", root_path="/else")
    assert (request.path, request.path_info) == ("/shop/a", "/a")
    assert request.META["SCRIPT_NAME"] == "/shop"


def test_without_a_host_it_is_where_the_server_listens(make):
    with override_settings(ALLOWED_HOSTS=["192.0.2.1"]):
        request = make(headers=[], server=["192.0.2.1", 8000])
        assert request.get_host() == "192.0.2.1:8000"
        assert make(headers=[], server=["192.0.2.1", 80]).get_host() == "192.0.2.1"


def test_a_unix_socket_has_no_addresses(make):
    meta = make(client=None, server=None).META
    assert (meta["SERVER_NAME"], meta["SERVER_PORT"]) == ("unknown", "0")
    assert "REMOTE_ADDR" not in meta
    assert "REMOTE_HOST" not in meta


@pytest.mark.parametrize(
    ("scheme", "secure"),
    [("http", False), ("https", True), ("ws", False), ("wss", True), (None, False)],
)
def test_the_scheme_says_whether_it_is_secure(make, scheme, secure):
    assert make(scheme=scheme).is_secure() is secure


# Older and other messages


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": b"a=1", "host": b"example.com"},
        {b"cookie": b"a=1", b"host": b"example.com"},
        {"Cookie": "a=1", "Host": "example.com"},
    ],
)
def test_headers_may_be_a_dict_as_they_were_once(make, headers):
    request = make(headers=headers)
    assert request.COOKIES == {"a": "1"}
    assert request.META["HTTP_HOST"] == "example.com"


@pytest.mark.parametrize("content", [{"path": ""}, {"path": "/", "headers": None, "text": "x"}])
def test_a_message_may_lack_everything_but_a_path(layer, content):
    request = AsgiRequest(Message(content, "websocket.receive", channel_layers["default"]))
    assert (request.method, request.path, request.COOKIES) == ("FAKE", "/", {})
    assert (request.GET, request.POST, request.body) == ({}, {}, b"")
    assert request.reply_channel is None


def test_what_is_asked_of_the_message_is_there(make):
    request = make()
    assert request.message.content["path"] == "/a/"
    assert request.reply_channel.name == "http!a"


def test_a_cookie_of_odd_bytes_is_no_failure(make):
    request = make(headers=[[b"cookie", b"a=\xff; b=\xc3\xa4"]])
    assert request.COOKIES == {"a": "\ufffd", "b": "ä"}


# Encodings


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        (b"text/plain", None),
        (b"text/plain; charset=latin-1", "latin-1"),
        (b'text/plain; Charset="UTF-8"; x=y', "UTF-8"),
        (b"text/plain; charset=no-such", None),
        (b"text/plain; charset=", None),
    ],
)
def test_the_charset_is_the_encoding_if_python_knows_it(make, content_type, encoding):
    request = make(headers=[[b"content-type", content_type]])
    assert request.encoding == encoding
    assert request.content_type == "text/plain"


def test_an_encoding_that_is_set_reads_the_query_again(make):
    request = make(query_string=b"a=%E4")
    assert request.GET["a"] == "\ufffd"
    request.encoding = "latin-1"
    assert request.GET["a"] == "ä"


# Bodies that flow


def test_a_body_that_flows_is_read_to_its_end(make, layer):
    pieces(layer, b"bc", b"", b"d")
    request = make(method="POST", body=b"a", body_channel="body?a")
    assert request.body == b"abcd"
    assert request.read() == b"abcd"


def test_a_declared_body_over_the_limit_is_refused_unread(make, layer):
    pieces(layer, b"b" * 90)
    length = [b"content-length", b"100"]
    request = make(method="POST", body=b"a" * 10, body_channel="body?a", headers=[length])
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=99), pytest.raises(RequestDataTooBig):
        assert request.body
    assert len(layer.on("body?a")) == 1


def test_an_undeclared_body_over_the_limit_is_refused_when_it_is_over(make, layer):
    pieces(layer, b"b" * 60, b"c" * 60, b"d" * 60, b"e" * 60)
    request = make(method="POST", body_channel="body?a")
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=99), pytest.raises(RequestDataTooBig):
        assert request.body
    assert len(layer.on("body?a")) == 2


def test_a_body_of_exactly_the_limit_is_taken(make, layer):
    pieces(layer, b"b" * 60, b"c" * 40)
    request = make(method="POST", body_channel="body?a")
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=100):
        assert len(request.body) == 100


def test_without_a_limit_all_is_taken(make, layer):
    pieces(layer, b"b" * 60)
    request = make(method="POST", body_channel="body?a")
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=None):
        assert len(request.body) == 60


MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\nfile\r\n--x--\r\n'
)


def test_a_multipart_body_of_unknown_length_is_read(make, layer, tmp_path):
    pieces(layer, MULTIPART[:50], MULTIPART[50:])
    headers = [[b"content-type", b"multipart/form-data; boundary=x"]]
    request = make(method="POST", body_channel="body?a", headers=headers)
    with override_settings(FILE_UPLOAD_MAX_MEMORY_SIZE=10, FILE_UPLOAD_TEMP_DIR=str(tmp_path)):
        assert request.POST == {"a": ["1"]}
        file = request.FILES["f"]
    assert (file.name, file.read()) == ("f.txt", b"file")
    assert request.META["CONTENT_LENGTH"] == str(len(MULTIPART))
    spool = request._stream
    request.close()
    assert file.closed
    assert spool.closed
    assert list(tmp_path.iterdir()) == []


def test_a_multipart_body_is_no_form_after_it_was_read_as_a_stream(make, layer):
    headers = [[b"content-type", b"multipart/form-data; boundary=x"]]
    request = make(method="POST", body=MULTIPART, headers=headers)
    assert request.read(3) == b"--x"
    assert request.POST == {}
    assert request.read(2) == b"\r\n"


def test_a_body_that_breaks_off_is_unreadable_ever_after(make, layer):
    pieces(layer, b"bc", closed=True)
    request = make(method="POST", body_channel="body?a", headers=[[b"content-length", b"9"]])
    for _ in range(2):
        with pytest.raises(UnreadablePostError):
            request.read()


# Uploads that break off


@pytest.fixture
def open_temporaries(tmp_path):
    """How many temporary files are open; no garbage collection helps."""
    fds = Path("/proc/self/fd")

    def count():
        return sum(str(tmp_path) in str(fd.readlink()) for fd in fds.iterdir() if fd.is_symlink())

    gc.collect()
    gc.disable()
    with override_settings(FILE_UPLOAD_TEMP_DIR=str(tmp_path), FILE_UPLOAD_MAX_MEMORY_SIZE=10):
        yield count
    gc.enable()


PART = (
    b"--x\r\nContent-Disposition: form-data; name=a; filename=a.txt\r\n"
    b"Content-Type: text/plain\r\n\r\n"
)


@pytest.mark.parametrize("length", [[[b"content-length", b"900000"]], []], ids=["length", "none"])
def test_an_upload_that_breaks_off_leaves_no_file_open(make, layer, open_temporaries, length):
    request = make(
        method="POST",
        headers=[[b"content-type", b"multipart/form-data; boundary=x"], *length],
        body=PART + b"whole" * 10 + b"\r\n" + PART + b"a" * 100_000,
        body_channel="body?a",
    )
    pieces(layer, b"b" * 100_000, closed=True)
    kept = None
    try:
        request.FILES  # noqa: B018
    except RequestAborted as error:
        kept = error  # a log, or a debugger, may have its traceback
    except UnreadablePostError as error:
        kept = error
    assert kept is not None
    request.close()
    assert open_temporaries() == 0


def test_an_exception_does_not_keep_the_stream(make, layer):
    request = make(method="POST", headers=[[b"content-length", b"9"]], body_channel="body?a")
    pieces(layer, b"b", closed=True)
    stream = weakref.ref(request._stream)
    gc.collect()
    gc.disable()
    try:
        with suppress(RequestAborted, UnreadablePostError):
            request.read()
        del request
        assert stream() is None
    finally:
        gc.enable()
