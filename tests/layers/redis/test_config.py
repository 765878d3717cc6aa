"""CONFIG's hosts, tls and sentinel, read into values."""

from __future__ import annotations

import pytest

from txchannels.errors import ConfigurationError
from txchannels.layers.redis.config import Host, Tls, read_hosts


def refused(hosts, **others) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        read_hosts(hosts, **others)
    return caught.value


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("redis://h", Host(addresses=(("h", 6379),))),
        ("redis://h/", Host(addresses=(("h", 6379),))),
        ("redis://H.example:7000/3", Host(addresses=(("h.example", 7000),), db=3)),
        ("redis://[::1]:7000", Host(addresses=(("::1", 7000),))),
        (
            "redis://ann:p%40%2Fss@h",
            Host(addresses=(("h", 6379),), username="ann", password="p@/ss"),
        ),
        ("redis://:p#:@h", Host(addresses=(("h", 6379),), password="p#:")),
        ("redis://%C3%A4nn:@h", Host(addresses=(("h", 6379),), username="änn", password="")),
        ("rediss://h", Host(addresses=(("h", 6379),), tls=Tls())),
        ("unix:///run/redis.sock", Host(path="/run/redis.sock")),
        (
            "unix://ann:pw@/run/my%20redis?db=2",
            Host(path="/run/my redis", db=2, username="ann", password="pw"),
        ),
        ("sentinel://a,b:1/main", Host(addresses=(("a", 26379), ("b", 1)), service="main")),
        (
            "sentinels://:pw@a/my%2Fmain/4",
            Host(addresses=(("a", 26379),), service="my/main", db=4, password="pw", tls=Tls()),
        ),
        (("h", 7000), Host(addresses=(("h", 7000),))),
        (["::1", 7000], Host(addresses=(("::1", 7000),))),
    ],
)
def test_what_a_site_may_write(written, expected):
    assert read_hosts([written]) == (expected,)


def test_without_hosts_there_is_one_on_localhost():
    assert read_hosts(None) == (Host(addresses=(("localhost", 6379),)),)


def test_hosts_keep_their_order():
    assert [str(host) for host in read_hosts(("redis://b", "redis://a"))] == [
        "redis://b:6379/0",
        "redis://a:6379/0",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "redis://h:6379/0",
        "redis://ann@h:6379/1",
        "rediss://[::1]:1/0",
        "unix:///run/redis.sock",
        "unix://ann@/run/my%20redis.sock?db=1",
        "sentinel://a:1,[::2]:26379/my%2Fmain/0",
        "sentinels://%C3%A4nn@a:1/main/2",
    ],
)
def test_a_host_is_shown_as_the_url_that_was_written(url):
    (host,) = read_hosts([url.replace("@", ":pw@")])
    assert str(host) == url


def test_a_host_is_shown_without_its_passwords():
    (host,) = read_hosts(["sentinel://ann:s3cret@h/main"], sentinel={"password": "s3cret2"})
    assert (host.password, host.sentinel_password) == ("s3cret", "s3cret2")
    assert "s3cret" not in f"{host} {host!r}"


@pytest.mark.parametrize(
    "url",
    [
        "redis://ann:s3cret@h:x",
        "redis://ann:s3cret@",
        "redis://ann:s3/cr?s3cret@h",
        "redis://:s3cret/s3cret@h",
        "redis://ann:s3@s3cret@h:0",
        "redis://h?password=s3cret",
        "redis://:s3cret",
        "redis://h:6379s3cret",
        "redis://ann:%FFs3cret@h",
        "redis:ann:s3cret@h",
        "ann:s3cret@h",
        "ann:s3cret",
        "radish://ann:s3cret@h",
        "unix://ann:s3cret@run/redis.sock",
        "unix:///run/redis.sock?db=0&password=s3cret",
        "sentinel://ann:s3cret@h",
        "http://ann:s3cret@redis://h",
        "redis://[:s3cret]",
        "redis://ann:http://s3cret@h/x",
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_no_error_shows_a_password(url, listed):
    error = refused([url] if listed else url)
    assert "s3cret" not in f"{error} {error!r} {error.value!r}"


def test_a_password_in_a_dict_is_not_shown():
    assert "s3cret" not in str(refused([{"address": "redis://h", "password": "s3cret"}]))
    assert "s3cret" not in str(refused([("redis://:s3cret@h", 6379)]))
    assert "s3cret" not in str(refused([("h", "s3cret")]))


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("localhost:6379", "must begin with its scheme"),
        ("reddis://h", "did you mean redis://"),
        ("http://h", "allowed are redis://"),
        ("redis://", "must name a host"),
        ("redis://a,b", "must name a host"),
        ("redis://a b", "must name a host"),
        ("redis://::1", "an IPv6 address in brackets"),
        ("redis://[h]", "an IPv6 address inside"),
        ("redis://h:0", "a port from 1 to 65535"),
        ("redis://h:65536", "a port from 1 to 65535"),
        ("redis://h:", "a port from 1 to 65535"),
        ("redis://h:٣", "a port from 1 to 65535"),
        ("redis://h/one", "a number as its database"),
        ("redis://h/-1", "a number as its database"),
        ("redis://h/0/1", "a number as its database"),
        ("redis://h?db=1", "no place for options"),
        ("redis://@h", "without a user or a password"),
        ("redis://ann@h", "a user without a password: write user:password@, or user:@ for none"),
        ("unix://ann@/run/redis.sock", "a user without a password"),
        ("sentinel://ann@h/main", "a user without a password"),
        ("redis://:a/b@h", "%2F"),
        ("sentinel://a,b", "must name the service"),
        ("sentinel://a//0", "must name the service"),
        ("sentinel://a,a:26379/main", "names a sentinel twice"),
        ("sentinel://a,/main", "must name a host"),
        ("unix://run/redis.sock", "must have the whole path"),
        ("unix:///", "must have the whole path"),
        ("unix:///run/redis.sock?database=1", "only the database"),
        ("unix:///run/redis.sock?db=one", "a number as its database"),
        (("h",), "a pair (host, port)"),
        (("h", "6379"), "a port from 1 to 65535"),
        (("h", True), "a port from 1 to 65535"),
        (("", 6379), "a host's name or address"),
        (6379, "not one of type int"),
        (b"redis://h", "not one of type bytes"),
    ],
)
def test_what_is_refused_names_its_place_and_what_is_allowed(url, remedy):
    error = refused(["redis://other", url])
    assert error.setting == "CONFIG['hosts'][1]"
    assert remedy in error.remedy


@pytest.mark.parametrize("hosts", ["redis://h", [], (), {"h": 1}, 6379, b"redis://h"])
def test_hosts_must_be_a_list_with_something_in_it(hosts):
    error = refused(hosts)
    assert error.setting == "CONFIG['hosts']"
    assert "must be a list of URLs" in error.remedy


@pytest.mark.parametrize(
    "hosts",
    [
        ["redis://h", "redis://H:6379/0"],
        ["redis://h", ("h", 6379)],
        ["redis://h", "rediss://ann:pw@h"],
        ["unix:///a", "unix:///a?db=0"],
        ["sentinel://a,b/main", "sentinel://b,c/main"],
    ],
)
def test_two_shards_must_not_be_one(hosts):
    error = refused(hosts)
    assert error.setting == "CONFIG['hosts'][1]"
    assert "twice" in error.remedy


def test_two_databases_or_services_are_two_shards():
    assert len(read_hosts(["redis://h/0", "redis://h/1"])) == 2
    assert len(read_hosts(["sentinel://a/one", "sentinel://a/two"])) == 2


def test_the_files_for_tls_are_those_of_all_hosts_with_tls(tmp_path):
    files = {}
    for key in ("ca_file", "cert_file", "key_file"):
        files[key] = tmp_path / key
        files[key].touch()
    hosts = read_hosts(["rediss://a", "redis://b", "sentinels://c/main"], tls=files)
    tls = Tls(**{key: str(path) for key, path in files.items()})
    assert [host.tls for host in hosts] == [tls, None, tls]


@pytest.mark.parametrize(
    ("tls", "setting", "remedy"),
    [
        (True, "CONFIG['tls']", "must be a dict"),
        ({"cafile": "x"}, "CONFIG['tls']['cafile']", "did you mean 'ca_file'?"),
        ({"verify": False}, "CONFIG['tls']['verify']", "known are ca_file, cert_file, key_file"),
        ({1: 2}, "CONFIG['tls'][1]", "is unknown"),
        ({"ca_file": "/no/such"}, "CONFIG['tls']['ca_file']", "No such file"),
        ({"ca_file": "/"}, "CONFIG['tls']['ca_file']", "cannot be read"),
        ({"ca_file": "\0"}, "CONFIG['tls']['ca_file']", "cannot be read"),
        ({"cert_file": 5}, "CONFIG['tls']['cert_file']", "must be the path of a file"),
        ({"key_file": __file__}, "CONFIG['tls']['key_file']", "needs a cert_file"),
    ],
)
def test_tls_that_cannot_work_is_refused(tls, setting, remedy):
    error = refused(["rediss://h"], tls=tls)
    assert error.setting == setting
    assert remedy in error.remedy


def test_tls_without_a_host_that_uses_it_is_refused():
    assert "rediss://" in refused(["redis://h"], tls={}).remedy


def test_the_sentinels_login_is_for_hosts_with_sentinels():
    login = {"username": "ann", "password": "pw"}
    watched, plain = read_hosts(["sentinel://a/main", "redis://b"], sentinel=login)
    assert (watched.sentinel_username, watched.sentinel_password) == ("ann", "pw")
    assert (plain.sentinel_username, plain.sentinel_password) == (None, None)


@pytest.mark.parametrize(
    ("sentinel", "setting", "remedy"),
    [
        ("s3cret", "CONFIG['sentinel']", "must be a dict"),
        ({"pasword": "s3cret"}, "CONFIG['sentinel']['pasword']", "did you mean 'password'?"),
        ({"password": b"s3cret"}, "CONFIG['sentinel']['password']", "must be a text"),
        ({"password": ""}, "CONFIG['sentinel']['password']", "must be a text"),
    ],
)
def test_a_sentinels_login_that_cannot_work_is_refused(sentinel, setting, remedy):
    error = refused(["sentinel://a/main"], sentinel=sentinel)
    assert error.setting == setting
    assert remedy in error.remedy
    assert "s3cret" not in str(error)


def test_a_sentinels_login_without_sentinels_is_refused():
    assert "sentinel://" in refused(["redis://h"], sentinel={"password": "pw"}).remedy
