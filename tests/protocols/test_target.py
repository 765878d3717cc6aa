from __future__ import annotations

import pytest

from txchannels.errors import PeerError
from txchannels.protocols.request import Head
from txchannels.protocols.target import decode_path, split_target


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/", ("/", b"")),
        (b"/a?b?c", ("/a", b"b?c")),
        (b"//a", ("//a", b"")),
        (b"/%2F%3f", ("//?", b"")),
        (b"http://h/p?q", ("/p", b"q")),
    ],
)
def test_a_target_is_a_path_and_a_query(target: bytes, expected: tuple[str, bytes]) -> None:
    assert split_target(Head("GET", target, "1.1", [])) == expected


@pytest.mark.parametrize("target", [b"*", b"a:80", b"ftp://a/", b"http://", b"http://a@b/", b"a"])
def test_other_targets_are_refused(target: bytes) -> None:
    with pytest.raises(PeerError):
        split_target(Head("GET", target, "1.1", []))


def test_a_path_is_utf_8() -> None:
    assert decode_path(b"/caf%C3%A9") == "/café"
    assert decode_path(b"/%C3") == "/\ufffd"
