from __future__ import annotations

import dataclasses
import os
from functools import reduce

import pytest
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint, serverFromString

from txchannels.errors import ConfigurationError
from txchannels.options import DAEMON, OPTIONS, WORKER, build_settings, options_of, usable_cpus
from txchannels.settings import (
    HttpSettings,
    ProcessSettings,
    Settings,
    WebSocketSettings,
    WorkerSettings,
)

SETTINGS = [option for option in OPTIONS if option.default is not None]
NUMBERS = [option for option in OPTIONS if option.kind in ("number", "bytes", "seconds")]

#: A value that is right and not the default, for what is no number.
OTHERS = {
    "root-path": "/shop",
    "layer": "other",
    "switch-interval": 0.002,
    "access-log": "-",
    "ws-protocol": ["graphql-ws"],
    "ws-origin": ["https://example.com"],
    "unordered": True,
    "only-channels": ["http.*"],
    "exclude-channels": ["jobs.?"],
    "no-delay": True,
    "no-workers": True,
    "max-rss": 2**29,
    "socket": "/run/site.sock",
    "reload": True,
}

#: What an option needs beside it.
BESIDE = {
    option.name: {"processes": "1"}
    for option in OPTIONS
    if option.field.startswith("processes.") and option.name != "processes"
}


def by_name(option):
    return option.name


def other_value(option):
    """A value for *option* that is allowed and not its default."""
    if option.name in OTHERS:
        return OTHERS[option.name]
    return max(1, int(option.least)) + 1


def setting_of(option, settings):
    return reduce(getattr, option.field.split("."), settings)


def as_set(option, value):
    return tuple(value) if option.is_repeatable else value


# Where a value comes from


@pytest.mark.parametrize("option", SETTINGS, ids=by_name)
def test_an_option_of_the_command_line_is_set(option):
    value = other_value(option)
    written = value if option.is_repeatable or option.kind == "flag" else str(value)
    settings = build_settings({option.name: written} | BESIDE.get(option.name, {}), {})
    assert setting_of(option, settings) == as_set(option, value) != option.default


@pytest.mark.parametrize("option", SETTINGS, ids=by_name)
def test_a_key_of_the_site_is_set(option):
    value = other_value(option)
    assert setting_of(option, build_settings({}, {option.key: value})) == as_set(option, value)


@pytest.mark.parametrize("option", SETTINGS, ids=by_name)
def test_the_command_line_wins(option):
    given = option.default if option.kind == "flag" else other_value(option)
    if option.is_repeatable:
        given = [*given, "*"] if option.name == "ws-origin" else [*given, "second"]
    site = {option.key: list(option.default) if option.is_repeatable else option.default}
    settings = build_settings({option.name: given} | BESIDE.get(option.name, {}), site)
    assert setting_of(option, settings) == as_set(option, given)


def test_an_empty_text_of_the_command_line_wins_too():
    assert build_settings({"access-log": ""}, {"ACCESS_LOG": "-"}).access_log == ""


def test_nothing_given_is_the_defaults():
    assert build_settings({}, {}) == Settings()


def test_every_setting_has_an_option():
    fields = {field.name for field in dataclasses.fields(Settings)}
    fields -= {"endpoints", "http", "websocket", "workers", "processes"}
    for name, section in (
        ("http", HttpSettings),
        ("websocket", WebSocketSettings),
        ("workers", WorkerSettings),
        ("processes", ProcessSettings),
    ):
        fields |= {f"{name}.{field.name}" for field in dataclasses.fields(section)}
    assert fields == {option.field for option in SETTINGS} | {"processes.count"}


def test_every_default_is_allowed():
    for option in SETTINGS:
        assert option.read(option.default, option.name) == option.default


# What is not allowed


@pytest.mark.parametrize("option", NUMBERS, ids=by_name)
def test_a_number_out_of_range_is_refused_by_name(option):
    for value in (option.least - 1, option.most + 1, "nan", "inf"):
        with pytest.raises(ConfigurationError) as caught:
            build_settings({option.name: str(value)}, {})
        assert str(caught.value).startswith(f"--{option.name} {str(value)!r}: must be a ")


@pytest.mark.parametrize("value", ["", "x", "1e3x", None, True, [], {}, b"\xff"])
def test_what_is_no_number_is_refused_by_key(value):
    with pytest.raises(ConfigurationError, match=r"TXCHANNELS\['KEEP_ALIVE'\]"):
        build_settings({}, {"KEEP_ALIVE": value})


def test_a_whole_number_has_no_fraction():
    for value in (1.5, 2.0, "1.5"):
        with pytest.raises(ConfigurationError, match="must be a whole number, 1 to 10000"):
            build_settings({}, {"THREADS": value})


def test_seconds_may_have_a_fraction():
    assert build_settings({"drain-timeout": "0.5"}, {}).drain_timeout_seconds == 0.5


def test_a_range_is_told_without_exponents():
    with pytest.raises(ConfigurationError, match=r"bytes, 1 to 1048576$"):
        build_settings({"inline-body": "0"}, {})
    with pytest.raises(ConfigurationError, match=r"seconds, 0\.00001 to 0\.005$"):
        build_settings({"switch-interval": "0"}, {})


@pytest.mark.parametrize("value", [5, None, ["a"]])
def test_what_is_no_text_is_refused(value):
    with pytest.raises(ConfigurationError, match=r"TXCHANNELS\['LAYER'\].*: must be text"):
        build_settings({}, {"LAYER": value})


@pytest.mark.parametrize("value", [5, None, [5], {"a"}])
def test_what_is_no_list_of_texts_is_refused(value):
    with pytest.raises(ConfigurationError, match="must be a list of texts"):
        build_settings({}, {"WS_ORIGIN": value})


def test_one_text_is_a_list_of_it():
    assert build_settings({}, {"WS_PROTOCOL": "a"}).websocket.protocols == ("a",)


@pytest.mark.parametrize("value", ["yes", None, 2, []])
def test_a_flag_is_true_or_false(value):
    with pytest.raises(ConfigurationError, match="must be True or False"):
        build_settings({}, {"UNORDERED": value})


def test_an_unknown_key_is_named_with_the_one_that_was_meant():
    with pytest.raises(
        ConfigurationError,
        match=r"^TXCHANNELS 'KEEPALIVE': is no known key; did you mean KEEP_ALIVE\?$",
    ):
        build_settings({}, {"KEEPALIVE": 5})


@pytest.mark.parametrize("key", ["keep_alive", "keep-alive"])
def test_a_key_in_another_case_is_unknown(key):
    with pytest.raises(ConfigurationError, match="did you mean KEEP_ALIVE"):
        build_settings({}, {key: 5})


@pytest.mark.parametrize("key", ["ZZZZ", 5, None])
def test_an_unknown_key_like_none_is_just_named(key):
    with pytest.raises(ConfigurationError, match=r"is no known key$"):
        build_settings({}, {key: 5})


def test_globs_may_be_given_with_commas():
    workers = build_settings(
        {"only-channels": ["a.*, b", "c"]}, {"EXCLUDE_CHANNELS": "d,e"}
    ).workers
    assert (workers.only_channels, workers.exclude_channels) == (("a.*", "b", "c"), ("d", "e"))


# The commands


def test_a_worker_has_the_options_of_workers_alone():
    assert [option.name for option in options_of(WORKER)] == [
        "layer",
        "threads",
        "thread-idle",
        "switch-interval",
        "only-channels",
        "exclude-channels",
        "no-delay",
        "drain-timeout",
        "processes",
        "start-timeout",
        "stuck-timeout",
        "max-messages",
        "max-age",
        "max-rss",
        "socket",
        "reload",
    ]


def test_the_daemon_has_all_options():
    assert options_of(DAEMON) == OPTIONS


# Worker processes


def processes(command_line, command=DAEMON, **site):
    return build_settings(command_line, site, command).processes


@pytest.fixture
def cpus(monkeypatch):
    """Sets how many CPUs there are."""

    def set_cpus(count):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(count)), raising=False)

    set_cpus(2)
    return set_cpus


def test_without_processes_the_threads_are_the_daemons():
    assert processes({}).count is None


@pytest.mark.parametrize("given", ["3", 3, " 3 "])
def test_so_many_processes_are_given(given, cpus):
    assert processes({"processes": given}).count == 3
    assert processes({}, PROCESSES=given).count == 3
    assert processes({}, WORKER, PROCESSES=given).count == 3
    assert processes({"processes": "2"}, PROCESSES=given).count == 2


@pytest.mark.parametrize("count", [1, 2, 48])
def test_auto_is_one_process_for_each_cpu(count, cpus):
    cpus(count)
    assert usable_cpus() == count
    assert processes({"processes": "auto"}).count == count
    assert processes({}, PROCESSES="auto").count == count


def test_where_the_system_does_not_say_which_cpus_may_be_used_it_is_all(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cpus() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cpus() == 1


WRONG = ["0", 0, "-1", -4, "33", 10**9, "", "two", "1.5", 1.5, "Auto", True, None, [], {}, b"\xff"]


@pytest.mark.parametrize("given", WRONG)
def test_what_is_no_number_of_processes_is_refused(given, cpus):
    with pytest.raises(ConfigurationError) as caught:
        processes({}, PROCESSES=given)
    assert str(caught.value) == (
        f"TXCHANNELS['PROCESSES']{'' if given is None else f' {given!r}'}: must be a whole number, "
        "1 to 32, or auto: one for each CPU, here 2; leave it out for threads in the daemon's own "
        "process"
    )
    if isinstance(given, str):
        with pytest.raises(ConfigurationError, match=r"^--processes '"):
            processes({"processes": given})


@pytest.mark.parametrize(("count", "most"), [(1, 16), (8, 128), (32, 512), (128, 512)])
def test_the_most_processes_follow_the_cpus(count, most, cpus):
    cpus(count)
    assert processes({"processes": str(most)}).count == most
    with pytest.raises(ConfigurationError, match=rf"1 to {most}, or auto"):
        processes({"processes": str(most + 1)})


def test_a_reload_is_of_one_process_unless_there_are_more():
    assert processes({"reload": 1}).count == 1
    assert processes({"reload": 1, "processes": "2"}).count == 2
    assert processes({"reload": 1}, PROCESSES=3).count == 3
    assert processes({}, RELOAD=True).count == 1


@pytest.mark.parametrize("command", [DAEMON, WORKER])
@pytest.mark.parametrize(
    "name", ["start-timeout", "stuck-timeout", "max-messages", "max-age", "max-rss"]
)
def test_what_is_for_processes_is_refused_without_them(name, command):
    value = str(2**30 if name == "max-rss" else 60)
    said = rf"^--{name} '{value}': is for worker processes: give --processes, too$"
    with pytest.raises(ConfigurationError, match=said):
        processes({name: value}, command)
    assert processes({name: value}, command, PROCESSES=1).count == 1
    assert processes({name: value, "reload": 1}, command).count == 1


def test_the_site_may_say_what_is_for_processes_without_them():
    assert processes({}, MAX_MESSAGES=5, MAX_AGE=5).max_messages == 5


def test_a_socket_is_of_use_without_processes():
    assert processes({"socket": "/run/site.sock"}).socket == "/run/site.sock"


@pytest.mark.parametrize("more", [{"processes": "2"}, {"reload": 1}])
def test_no_workers_and_processes_exclude_each_other(more):
    (name,) = more
    said = rf"^--no-workers: leaves no worker for --{name}; give one of the two$"
    with pytest.raises(ConfigurationError, match=said):
        build_settings({"no-workers": 1} | more, {})


@pytest.mark.parametrize("site", [{"PROCESSES": 2}, {"RELOAD": True}])
def test_no_workers_wins_over_the_sites_processes(site):
    for given, also in (({"no-workers": 1}, {}), ({}, {"NO_WORKERS": True})):
        settings = build_settings(given, site | also)
        assert settings.no_workers
        assert settings.processes == ProcessSettings()


def test_processes_of_the_command_line_win_over_the_sites_no_workers():
    settings = build_settings({"processes": "2"}, {"NO_WORKERS": True})
    assert (settings.no_workers, settings.processes.count) == (False, 2)


def test_a_channels_worker_has_processes_whatever_the_sites_daemons_do():
    for given, site in (({}, {"PROCESSES": 2}), ({"processes": "2"}, {})):
        assert processes(given, WORKER, NO_WORKERS=True, **site).count == 2


# Where to listen


def endpoints(command_line, **site):
    return build_settings(command_line, site).endpoints


def test_without_an_address_it_is_port_8000_of_this_machine():
    assert endpoints({}) == ("tcp:port=8000:interface=127.0.0.1",)


def test_a_port_is_one_of_this_machine():
    assert endpoints({"port": "80"}) == ("tcp:port=80:interface=127.0.0.1",)


def test_an_address_has_port_8000():
    assert endpoints({"bind": "0.0.0.0"}) == ("tcp:port=8000:interface=0.0.0.0",)


@pytest.mark.parametrize("bind", ["::1", "[::1]"])
def test_an_ipv6_address_may_have_brackets(bind):
    (description,) = endpoints({"bind": bind, "port": "0"})
    assert description == r"tcp:port=0:interface=\:\:1"
    endpoint = serverFromString(object(), description)
    assert isinstance(endpoint, TCP4ServerEndpoint)
    assert endpoint._interface == "::1"


@pytest.mark.parametrize("bind", ["127.0.0.1:80", "[::1]:80", "localhost:80", "a b"])
def test_an_address_with_a_port_is_refused(bind):
    with pytest.raises(ConfigurationError, match=r"--bind .*: must be an address; the port is"):
        endpoints({"bind": bind})


@pytest.mark.parametrize("path", ["/run/site.sock", "/a:b", r"/a\b", "/a=b", "/a=b:c", "site.sock"])
def test_a_unix_socket_may_have_any_path(path):
    (description,) = endpoints({"unix-socket": path})
    endpoint = serverFromString(object(), description)
    assert isinstance(endpoint, UNIXServerEndpoint)
    assert endpoint._address == path


def test_addresses_add_up():
    given = {"endpoint": ["tcp:1", "tcp:2"], "unix-socket": "/s", "port": "3"}
    assert endpoints(given) == (
        "tcp:1",
        "tcp:2",
        "unix:address=/s",
        "tcp:port=3:interface=127.0.0.1",
    )


def test_an_endpoint_alone_adds_no_other():
    assert endpoints({"endpoint": ["tcp:1"]}) == ("tcp:1",)
    assert endpoints({}, ENDPOINT=["tcp:1"], UNIX_SOCKET="/s") == ("tcp:1", "unix:address=/s")


def test_an_address_on_the_command_line_replaces_the_sites():
    site = {"ENDPOINT": ["tcp:1"], "UNIX_SOCKET": "/s", "PORT": 80, "BIND": "0.0.0.0"}
    assert endpoints({"endpoint": ["tcp:2"]}, **site) == ("tcp:2",)
    assert endpoints({"unix-socket": "/t"}, **site) == ("unix:address=/t",)


def test_the_sites_bind_and_port_complete_each_other():
    site = {"ENDPOINT": ["tcp:1"], "BIND": "0.0.0.0", "PORT": 80}
    assert endpoints({"port": "81"}, **site) == ("tcp:port=81:interface=0.0.0.0",)
    assert endpoints({"bind": "::"}, **site) == (r"tcp:port=80:interface=\:\:",)


def test_the_same_endpoint_twice_is_refused():
    with pytest.raises(ConfigurationError, match=r"--endpoint 'tcp:1': is given twice"):
        endpoints({"endpoint": ["tcp:1", "tcp:2", "tcp:1"]})
