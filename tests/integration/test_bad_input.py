"""What an operator may get wrong: one clear message on standard error, and no daemon."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, SIGUSR1

import pytest

from tests.integration.daemon import TWISTD, WAIT_SECONDS, Daemon, bare_environment, run_twistd
from tests.servers import wait_until

pytestmark = pytest.mark.slow

SETTINGS = """
SECRET_KEY = "of the tests"
ROOT_URLCONF = "urls"
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose settings module is `conf`."""
    (tmp_path / "conf.py").write_text(SETTINGS)
    (tmp_path / "urls.py").write_text("urlpatterns = []\n")
    return tmp_path


class Failed:
    """How `twistd channels`, or another *command*, ended that could not start."""

    def __init__(
        self,
        site: Path,
        *options: str,
        settings: str | None = "conf",
        command: str = "channels",
        **environment: str,
    ) -> None:
        addresses = ("--port", "--endpoint", "--bind")
        if command == "channels" and not any(one.startswith(addresses) for one in options):
            options = (*options, "--port=0")
        ended = run_twistd(
            *options,
            settings=settings,
            folder=site,
            paths=[site],
            command=command,
            environment=environment,
        )
        self.error = ended.stderr
        self.lines = ended.stderr.splitlines()
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert self.lines, ended.stdout
        assert "Traceback" not in ended.stdout
        assert "txchannels: " not in ended.stdout
        assert "/txchannels/" not in ended.stderr, "a traceback of ours"
        assert ended.stderr.count("txchannels: ") == 1

    @property
    def message(self) -> str:
        """The only line."""
        assert len(self.lines) == 1, self.error
        return self.lines[0]

    @property
    def with_traceback(self) -> str:
        """The last line, after one traceback of the site's code."""
        assert self.error.count("Traceback (most recent call last):") == 1, self.error
        return self.lines[-1]


def more(site: Path, text: str) -> None:
    """Add *text* to the settings."""
    (site / "conf.py").write_text(f"{SETTINGS}\n{text}\n")


def route(site: Path, text: str, path: str = "routing.routes") -> None:
    """The layer's routing is at *path*; the module `routing` is *text*."""
    (site / "routing.py").write_text(text)
    more(site, f"CHANNEL_LAYERS = {{'default': {LAYER | {'ROUTING': path}}}}")


LAYER: dict[str, object] = {"BACKEND": "txchannels.layers.memory.MemoryLayer"}


# The settings module


def test_a_missing_settings_module_is_named(site):
    message = Failed(site, settings="mysite.settings").message
    assert message.startswith("txchannels: --settings 'mysite.settings': there is no module")
    assert f"'mysite' in {site}" in message
    assert "--pythonpath" in message


def test_the_variable_is_named_that_names_a_settings_module(site):
    message = Failed(site, settings=None, DJANGO_SETTINGS_MODULE="other.settings").message
    assert message.startswith(
        "txchannels: DJANGO_SETTINGS_MODULE 'other.settings': there is no module"
    )
    message = Failed(site, settings=None, DJANGO_SETTINGS_MODULE="other/settings").message
    assert message.startswith("txchannels: DJANGO_SETTINGS_MODULE 'other/settings': is no module's")
    message = Failed(site, settings="conf2", DJANGO_SETTINGS_MODULE="conf").message
    assert message.startswith("txchannels: --settings 'conf2': there is no module")


def test_without_a_settings_module_one_is_asked_for(site):
    message = Failed(site, settings=None).message
    assert message.startswith("txchannels: --settings: name the site's settings module")
    assert "--settings=mysite.settings" in message


@pytest.mark.parametrize("name", ["conf.py/", "./conf", ".conf", "a b"])
def test_a_settings_module_is_a_dotted_name(site, name):
    assert "is no module's dotted name" in Failed(site, settings=name).message


def test_settings_that_fail_show_their_own_traceback(site):
    (site / "conf.py").write_text("def secret():\n    return 1 / 0\n\nSECRET_KEY = secret()\n")
    failed = Failed(site)
    assert failed.with_traceback == (
        "txchannels: --settings 'conf': the site's code failed (traceback above): "
        "ZeroDivisionError: division by zero"
    )
    assert 'conf.py", line 2, in secret' in failed.error


def test_settings_that_import_what_is_missing_show_their_own_traceback(site):
    more(site, "import no_such_library")
    failed = Failed(site)
    assert "No module named 'no_such_library'" in failed.with_traceback
    assert "conf.py" in failed.error


def test_settings_with_a_syntax_error_show_where(site):
    (site / "conf.py").write_text("SECRET_KEY = (\n")
    failed = Failed(site)
    assert "'(' was never closed" in failed.with_traceback
    assert 'conf.py", line 1' in failed.error


def test_what_django_finds_wrong_needs_no_traceback(site):
    more(site, "DATABASES = 5; LOGGING_CONFIG = None; INSTALLED_APPS = 'x'")
    message = Failed(site).message
    assert message.startswith("txchannels: --settings 'conf': ")
    assert "INSTALLED_APPS" in message


def test_an_application_that_is_missing_is_named(site):
    more(site, "INSTALLED_APPS = ['no_such_app']")
    assert "No module named 'no_such_app'" in Failed(site).with_traceback


def test_middleware_that_is_missing_is_named(site):
    more(site, "MIDDLEWARE = ['no_such.Middleware']")
    assert "no_such" in Failed(site).lines[-1]


# TXCHANNELS


def test_an_unknown_key_is_named_with_the_right_one(site):
    more(site, "TXCHANNELS = {'THREDS': 5}")
    assert Failed(site).message == (
        "txchannels: TXCHANNELS 'THREDS': is no known key; did you mean THREADS?"
    )


def test_txchannels_is_a_dict(site):
    more(site, "TXCHANNELS = ['THREADS']")
    assert Failed(site).message == "txchannels: TXCHANNELS ['THREADS']: must be a dict"


def test_a_limit_out_of_range_is_named_with_the_range(site):
    assert Failed(site, "--threads=0").message == (
        "txchannels: --threads '0': must be a whole number, 1 to 10000"
    )
    more(site, "TXCHANNELS = {'KEEP_ALIVE': -1}")
    assert Failed(site).message == (
        "txchannels: TXCHANNELS['KEEP_ALIVE'] -1: must be a number of seconds, 1 or more"
    )


def test_a_limit_that_is_no_number_is_named(site):
    assert Failed(site, "--max-body=2GB").message == (
        "txchannels: --max-body '2GB': must be a whole number of bytes, 0 or more"
    )


def test_limits_that_contradict_each_other_are_named(site):
    message = Failed(site, "--inline-body=1048576", "--max-header-bytes=1048576").message
    assert message.startswith("txchannels: --inline-body 1048576: ")
    assert "--max-header-bytes" in message


# The command line


def test_an_unknown_option_is_named_with_the_right_one(site):
    assert Failed(site, "--keepalive=5").message == (
        "txchannels: --keepalive: there is no such option; did you mean --keep-alive?"
    )


def test_an_option_without_its_value_is_named(site):
    assert "--threads requires argument" in Failed(site, "--port=0", "--threads").message


def test_a_word_too_much_is_named(site):
    message = Failed(site, "conf", settings=None).message
    assert "'conf' is no option" in message
    assert "--settings=" in message


def test_a_python_path_that_is_not_there_is_named(site):
    assert Failed(site, "--pythonpath=/no/such").message == (
        "txchannels: --pythonpath '/no/such': is no folder"
    )


def test_an_access_log_that_cannot_be_written_is_named(site):
    message = Failed(site, "--access-log=/no/such/access.log").message
    assert message.startswith("txchannels: --access-log '/no/such/access.log': cannot be opened")
    assert "No such file or directory" in message


# The layer and its routing


def test_an_unknown_layer_is_named_with_the_known_ones(site):
    assert Failed(site, "--layer=redis").message == (
        "txchannels: --layer 'redis': CHANNEL_LAYERS has only: default"
    )


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ("5", "CHANNEL_LAYERS 5: must be a dict of dicts"),
        ("None", "CHANNEL_LAYERS: must be a dict of dicts, not None"),
        ("[]", "CHANNEL_LAYERS []: must be a dict of dicts"),
        ("{'default': 5}", "CHANNEL_LAYERS {'default': 5}: must be a dict of dicts"),
        ("{'default': {}}", "has no BACKEND"),
        ("{'default': {'BACKEND': 'no.such.Layer'}}", "there is no module 'no'"),
        ("{'default': {'BACKEND': 'os.Layer'}}", "module 'os' has no 'Layer'"),
        ("{'default': {'BACKEND': 'x', 'ROUTNG': []}}", "unknown key 'ROUTNG'"),
        (f"{{'default': {LAYER | {'CONFIG': {'size': 5}}}}}", "takes no CONFIG key 'size'"),
        ("{'default': {'BACKEND': 'builtins.dict'}}", "'dict' object has no attribute"),
    ],
)
def test_a_bad_layer_is_told_with_what_is_wrong(site, layers, said):
    more(site, f"CHANNEL_LAYERS = {layers}")
    assert said in Failed(site).message


def test_a_routing_whose_module_is_missing_is_named(site):
    route(site, "", path="no_such.routes")
    assert Failed(site).message == (
        "txchannels: CHANNEL_LAYERS['default']['ROUTING']: "
        "Cannot import routing 'no_such.routes': there is no module 'no_such'"
    )


def test_a_routing_whose_name_is_missing_is_named(site):
    route(site, "", path="routing.routs")
    assert "'routing.routs': module 'routing' has no 'routs'" in Failed(site).message


@pytest.mark.parametrize("routes", ["5", "[5]", "[('websocket.connect', print)]"])
def test_a_routing_that_is_none_is_named(site, routes):
    route(site, f"routes = {routes}")
    assert "'routing.routes'" in Failed(site).message


def test_a_consumer_that_is_missing_is_named(site):
    route(site, "routes = {'websocket.receive': 'consumers.receive'}")
    message = Failed(site).message
    assert "consumer for websocket.receive 'consumers.receive'" in message
    assert "there is no module 'consumers'" in message


def test_a_routing_with_a_syntax_error_shows_its_traceback(site):
    route(site, "routes = [\n")
    failed = Failed(site)
    assert failed.with_traceback.startswith(
        "txchannels: CHANNEL_LAYERS['default']: the site's code"
    )
    assert 'routing.py", line 1' in failed.error


def test_a_routing_that_fails_shows_its_traceback(site):
    route(site, "raise RuntimeError('no routes today')\n")
    failed = Failed(site)
    assert "RuntimeError: no routes today" in failed.with_traceback
    assert 'routing.py", line 1' in failed.error


# Where to listen


def test_a_port_in_use_is_named(site):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = Failed(site, f"--port={port}").message
    assert message.startswith("txchannels: --endpoint 'tcp:port=")
    assert str(port) in message
    assert "Address already in use" in message
    assert "another program listens there" in message


def test_a_unix_socket_in_use_is_named(site):
    path = str(site / "site.sock")
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(path)
        taken.listen()
        message = Failed(site, f"--endpoint=unix:{path}:lockfile=0").message
    assert path in message
    assert "Address already in use" in message


@pytest.mark.parametrize("address", ["203.0.113.1", "2001:db8::1", "[2001:db8::1]"])
def test_an_address_of_another_machine_is_named(site, address):
    message = Failed(site, f"--bind={address}", "--port=0").message
    assert address.strip("[]").replace(":", r"\\:") in message
    assert "this machine has no such address" in message or "not supported" in message


def test_an_address_with_a_port_is_refused(site):
    assert Failed(site, "--bind=127.0.0.1:80").message == (
        "txchannels: --bind '127.0.0.1:80': must be an address; the port is --port's"
    )


@pytest.mark.parametrize("endpoint", ["nonsense", "foo:80", "tcp:http", "tcp:80:colour=red", ""])
def test_a_bad_endpoint_is_named_with_good_ones(site, endpoint):
    message = Failed(site, f"--endpoint={endpoint}").message
    assert message.startswith(f"txchannels: --endpoint {endpoint!r}: is no Twisted endpoint")
    assert "tcp:8000" in message


def test_an_endpoint_whose_certificate_is_missing_is_named(site):
    message = Failed(site, "--endpoint=ssl:0:privateKey=/no/key.pem:certKey=/no/cert.pem").message
    assert message.startswith("txchannels: --endpoint 'ssl:0:")
    assert "/no/" in message


ASYNCHRONOUS = """
import sys
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.plugin import IPlugin
from zope.interface import implementer


class Endpoint:
    def listen(self, factory):
        from twisted.internet import reactor

        result = Deferred()
        reactor.callLater(0, result.errback, OSError(5, "the cable is unplugged"))
        return result


@implementer(IPlugin, IStreamServerEndpointStringParser)
class Parser:
    prefix = "later"

    def parseStreamServer(self, reactor, *arguments, **more):
        return Endpoint()


parser = Parser()
"""


def test_an_endpoint_that_fails_when_the_reactor_runs_ends_the_daemon(site):
    plugins = site / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "later_endpoint.py").write_text(ASYNCHRONOUS)
    message = Failed(site, "--endpoint=later:", "--endpoint=tcp:0").message
    assert message == (
        "txchannels: --endpoint 'later:': cannot listen there: [Errno 5] the cable is unplugged"
    )


def test_in_the_background_the_log_says_it_and_the_program_that_was_started_ends(site):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [
                *(TWISTD, f"--pidfile={site}/pid", f"--logfile={site}/log", "channels"),
                *("--settings=conf", f"--port={port}"),
            ],
            cwd=site,
            env=bare_environment(site),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )
    assert ended.returncode == 1
    assert "--endpoint 'tcp:port=" in ended.stderr + ended.stdout
    # The daemon says how it went, and ends after that.
    wait_until(lambda: not (site / "pid").exists(), "the daemon has ended")
    log = (site / "log").read_text()
    assert log.count("cannot listen there: [Errno 98] Address already in use") == 1
    assert "Traceback" not in log


# A worker

WORKER = "channels-worker"

#: Passes for a layer that other processes reach.
SHARED = """
from txchannels.layers.memory import MemoryLayer

class Layer(MemoryLayer):
    pass
"""


@pytest.fixture
def shared(site: Path) -> Path:
    """As `site`; its layer passes for one that other processes reach."""
    (site / "shared.py").write_text(SHARED)
    more(site, "CHANNEL_LAYERS = {'default': {'BACKEND': 'shared.Layer', 'ROUTING': []}}")
    return site


@pytest.mark.parametrize("check", [[], ["--check"]], ids=["start", "check"])
@pytest.mark.parametrize(
    ("command", "option", "alone"),
    [(WORKER, "--threads=5", "twistd channels-worker"), ("channels", "--no-workers", "--no-work")],
)
def test_a_worker_of_a_layer_that_nobody_else_reaches_is_refused(
    site, command, option, alone, check
):
    message = Failed(site, option, *check, command=command).message
    assert message.startswith("txchannels: --layer 'default': default (txchannels.layers.memory.")
    assert f"reaches no other process, which {alone}" in message
    assert "txchannels.layers.redis.RedisLayer" in message


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--port=80", "txchannels: --port: only twistd channels has this option"),
        ("--thrads=5", "txchannels: --thrads: there is no such option; did you mean --threads?"),
        ("--threads=0", "txchannels: --threads '0': must be a whole number, 1 to 10000"),
        ("--layer=x", "txchannels: --layer 'x': CHANNEL_LAYERS has only: default"),
        ("--only-channels=http.*,tea.*", "txchannels: --only-channels 'tea.*': matches no channel"),
        ("--exclude-channels=*", "txchannels: --exclude-channels '*': leaves no channel; the "),
    ],
)
def test_what_is_wrong_of_a_worker_is_named(shared, option, said):
    assert Failed(shared, option, command=WORKER).message.startswith(said)


def test_a_worker_takes_no_word_and_needs_settings(site):
    assert "'conf' is no option" in Failed(site, "conf", settings=None, command=WORKER).message
    assert "--settings=mysite" in Failed(site, settings=None, command=WORKER).message


def test_a_channel_that_is_not_there_is_named_with_those_that_are(shared):
    message = Failed(shared, "--only-channels=htp.request").message
    assert message.startswith("txchannels: --only-channels 'htp.request': matches no channel; the")
    assert "http.request" in message


def test_check_of_a_worker_says_what_it_would_do(shared):
    with (shared / "conf.py").open("a") as settings:
        settings.write("TXCHANNELS = {'PORT': 80, 'THREADS': 5, 'NO_WORKERS': True}\n")
    ended = run_twistd(
        "--check",
        "--exclude-channels=websocket.*",
        settings="conf",
        folder=shared,
        paths=[shared],
        command=WORKER,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    first, *lines = ended.stdout.splitlines()
    assert first.endswith("would work for conf:")
    assert lines == [
        "  layer      default (shared.Layer)",
        "  threads    up to 5",
        "  channel    http.request",
        "  channel    txchannels.gap",
        "  changed    --threads 5 (default: 64)",
        "  changed    --exclude-channels ('websocket.*',) (default: ())",
    ]


def test_the_help_of_a_worker_lists_its_options(site):
    ended = run_twistd("--help", folder=site, command=WORKER)
    assert ended.returncode == 0
    assert "--only-channels=GLOBS" in ended.stdout
    assert "--port" not in ended.stdout


@pytest.mark.parametrize("number", [SIGTERM, SIGINT, SIGHUP])
def test_a_worker_starts_and_stops(shared, number):
    with Daemon("conf", folder=shared, paths=[shared], command=WORKER) as worker:
        worker.wait_for("Working for http.request, txchannels.gap, websocket.connect")
        worker.signal(SIGUSR1)
        assert worker.stop(number) == 0
        assert "Traceback" not in worker.log


# Signals of the site


def test_a_site_whose_worker_cannot_start_shows_its_traceback(site):
    route(
        site,
        "from txchannels.django.signals import worker_ready\n"
        "def fail(**more):\n    raise RuntimeError('not today')\n"
        "worker_ready.connect(fail)\nroutes = []\n",
    )
    failed = Failed(site)
    assert "RuntimeError: not today" in failed.lines[-1]
    assert 'routing.py", line 3, in fail' in failed.error


# --check


def test_check_says_what_would_be_done(site):
    more(site, "TXCHANNELS = {'THREADS': 5}")
    ended = run_twistd(
        "--check", "--endpoint=tcp:1", "--keep-alive=9", settings="conf", folder=site
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = [line.split(maxsplit=1) for line in ended.stdout.splitlines()]
    assert lines[0][1].endswith("would serve conf:")
    said = {tuple(line) for line in lines[1:]}
    assert ("layer", "default (txchannels.layers.memory.MemoryLayer)") in said
    assert ("endpoint", "tcp:1") in said
    assert ("threads", "up to 5") in said
    assert ("channel", "http.request") in said
    assert ("changed", "--threads 5 (default: 64)") in said
    assert ("changed", "--keep-alive 9.0 (default: 75.0)") in said


@pytest.mark.parametrize(
    "option", ["--endpoint=foo:1", "--layer=x", "--threads=0", "--access-log=/no/such"]
)
def test_check_fails_where_the_daemon_would(site, option):
    Failed(site, "--check", option).message  # noqa: B018 - one line


def test_check_runs_the_sites_own_checks(site):
    (site / "urls.py").write_text("urlpatterns = 5\n")
    assert "urls" in Failed(site, "--check").error
    (site / "urls.py").write_text("raise RuntimeError('no pages today')\n")
    assert "no pages today" in Failed(site, "--check").lines[-1]


def test_check_shows_what_is_no_error(site):
    more(
        site,
        "INSTALLED_APPS = ['txchannels']\n"
        "CHANNEL_LAYERS = {'defualt': {'BACKEND': 'txchannels.layers.memory.MemoryLayer'}}",
    )
    ended = run_twistd("--check", settings="conf", folder=site)
    assert (ended.returncode, ended.stderr) == (0, "")
    warnings = [one.split()[2] for one in ended.stdout.splitlines() if " warning " in one]
    assert set(warnings) == {"(txchannels.W009)", "(txchannels.W020)"}
