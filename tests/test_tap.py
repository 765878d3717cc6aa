from __future__ import annotations

import pytest
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

import txchannels
from txchannels.options import DAEMON, OPTIONS, WORKER, options_of
from txchannels.tap import Options, WorkerOptions, makeService

COMMANDS = {DAEMON: Options, WORKER: WorkerOptions}
OF_EACH = [(command, option) for command in COMMANDS for option in options_of(command)]


def given(*arguments, command=DAEMON):
    options = COMMANDS[command]()
    options.parseOptions(list(arguments))
    return options.given()


def said_at_exit(*arguments, command=DAEMON):
    with pytest.raises(SystemExit) as caught:
        given(*arguments, command=command)
    return caught.value.code


@pytest.mark.parametrize("command", COMMANDS)
def test_the_plugin_names_it(command):
    (maker,) = [one for one in getPlugins(IServiceMaker) if one.tapname == command]
    assert maker.options is COMMANDS[command]
    assert maker.options.command == command
    assert maker.makeService is makeService


# What is given


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_given_is_no_setting(command):
    values = given(command=command)
    assert {name: value for name, value in values.items() if value != []} == {}


@pytest.mark.parametrize(("command", "option"), OF_EACH, ids=lambda one: getattr(one, "name", one))
def test_each_option_is_one_of_the_command_line(command, option):
    if option.kind == "flag":
        assert given(f"--{option.name}", command=command)[option.name]
        return
    values = given(f"--{option.name}=1", f"--{option.name}", "2", command=command)
    assert values[option.name] == (["1", "2"] if option.is_repeatable else "2")


@pytest.mark.parametrize("command", COMMANDS)
def test_which_site_is_given_too(command):
    arguments = ("--settings=a.b", "--pythonpath=x", "--pythonpath=y", "--check")
    values = given(*arguments, command=command)
    assert (values["settings"], values["pythonpath"], values["check"]) == ("a.b", ["x", "y"], 1)


def test_an_empty_value_is_given():
    assert given("--access-log=")["access-log"] == ""


def test_lists_are_not_shared():
    given("--endpoint=tcp:1")
    assert given()["endpoint"] == []


# What is wrong


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--keepalive=5", "--keepalive: there is no such option; did you mean --keep-alive?"),
        ("--setings=a", "--setings: there is no such option; did you mean --settings?"),
        ("--Port=5", "--Port: there is no such option; did you mean --port?"),
        ("--port", "option --port requires argument"),
        ("--unordered=yes", "option --unordered must not have an argument"),
        ("--m=5", "option --m not a unique prefix"),
        ("-x", "option -x not recognized"),
        ("mysite.settings", "'mysite.settings' is no option"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(argument, said):
    message = said_at_exit(argument)
    assert message.startswith(f"txchannels: {said}")
    assert "\n" not in message


@pytest.mark.parametrize("command", COMMANDS)
def test_something_like_nothing_leads_to_the_help(command):
    said = said_at_exit("--qqqq=5", command=command)
    assert said.endswith(f"; twistd {command} --help lists the options")


@pytest.mark.parametrize("argument", ["--port=5", "--no-workers", "--unordered"])
def test_an_option_of_the_other_command_is_told_as_one(argument):
    name = argument.split("=")[0]
    assert said_at_exit(argument, command=WORKER) == (
        f"txchannels: {name}: only twistd channels has this option"
    )


def test_a_worker_is_not_offered_the_daemons_options():
    assert "--port" not in said_at_exit("--prt=5", command=WORKER)


def test_the_versions_are_shown(capsys):
    assert said_at_exit("--version") == 0
    assert capsys.readouterr().out.startswith(f"txchannels {txchannels.__version__} (Twisted ")


# The help


@pytest.fixture(params=COMMANDS)
def command(request):
    return request.param


@pytest.fixture
def lines(command, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    return str(COMMANDS[command]()).splitlines()


def test_the_help_fits_into_80_columns(lines):
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_help_fits_into_other_widths(command, width):
    assert max(map(len, COMMANDS[command]().getUsage(width).splitlines())) <= width


def test_every_option_is_in_the_help_once_with_its_default(command, lines):
    text = " ".join(" ".join(lines).split())
    names = [line.split("=")[0].split()[0] for line in lines if line.startswith("  --")]
    first = ["--settings", "--pythonpath", "--check", "--version", "--help"]
    options = options_of(command)
    assert names == [*first, *(f"--{option.name}" for option in options)]
    for option in options:
        assert option.help in text
        if option.kind in ("number", "bytes", "seconds") and option.default is not None:
            assert f"{option.help} [{option.default:.10g}]" in text


def test_every_option_of_the_class_is_in_the_help(command, lines):
    text = "\n".join(lines)
    for name in COMMANDS[command]().longOpt:
        assert f"--{name.rstrip('=')}" in text


def test_every_number_says_its_unit():
    for option in OPTIONS:
        if option.kind in ("bytes", "seconds"):
            assert option.shown == option.kind.upper()
        assert (option.shown == "") is (option.kind == "flag")


def test_help_is_shown_and_ends(capsys):
    with pytest.raises(SystemExit) as caught:
        Options().parseOptions(["--help"])
    assert caught.value.code == 0
    assert "Limits of HTTP:" in capsys.readouterr().out
