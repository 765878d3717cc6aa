from __future__ import annotations

import pytest
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

import txchannels
from txchannels.options import OPTIONS
from txchannels.tap import Options


def given(*arguments):
    options = Options()
    options.parseOptions(list(arguments))
    return options.given()


def said_at_exit(*arguments):
    with pytest.raises(SystemExit) as caught:
        given(*arguments)
    return caught.value.code


def test_the_plugin_names_it():
    (maker,) = [one for one in getPlugins(IServiceMaker) if one.tapname == "channels"]
    assert maker.options is Options


# What is given


def test_nothing_given_is_no_setting():
    values = given()
    assert {name: value for name, value in values.items() if value != []} == {}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_each_option_is_one_of_the_command_line(option):
    if option.kind == "flag":
        assert given(f"--{option.name}")[option.name]
        return
    values = given(f"--{option.name}=1", f"--{option.name}", "2")
    assert values[option.name] == (["1", "2"] if option.kind == "list" else "2")


def test_which_site_is_given_too():
    values = given("--settings=a.b", "--pythonpath=x", "--pythonpath=y", "--check")
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


def test_something_like_nothing_leads_to_the_help():
    assert said_at_exit("--qqqq=5").endswith("; twistd channels --help lists the options")


def test_the_versions_are_shown(capsys):
    assert said_at_exit("--version") == 0
    assert capsys.readouterr().out.startswith(f"txchannels {txchannels.__version__} (Twisted ")


# The help


@pytest.fixture
def lines(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    return str(Options()).splitlines()


def test_the_help_fits_into_80_columns(lines):
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_help_fits_into_other_widths(width):
    assert max(map(len, Options().getUsage(width).splitlines())) <= width


def test_every_option_is_in_the_help_once_with_its_default(lines):
    text = " ".join(" ".join(lines).split())
    names = [line.split("=")[0].split()[0] for line in lines if line.startswith("  --")]
    first = ["--settings", "--pythonpath", "--check", "--version", "--help"]
    assert names == [*first, *(f"--{option.name}" for option in OPTIONS)]
    for option in OPTIONS:
        assert option.help in text
        if option.kind in ("number", "bytes", "seconds") and option.default is not None:
            assert f"{option.help} [{option.default:.10g}]" in text


def test_every_option_of_the_class_is_in_the_help(lines):
    text = "\n".join(lines)
    for name in Options().longOpt:
        assert f"--{name.rstrip('=')}" in text


def test_every_number_says_its_unit(lines):
    for option in OPTIONS:
        if option.kind in ("bytes", "seconds"):
            assert option.shown == option.kind.upper()
        assert (option.shown == "") is (option.kind == "flag")


def test_help_is_shown_and_ends(capsys):
    with pytest.raises(SystemExit) as caught:
        Options().parseOptions(["--help"])
    assert caught.value.code == 0
    assert "Limits of HTTP:" in capsys.readouterr().out
