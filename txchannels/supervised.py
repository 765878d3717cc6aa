"""Both commands with ``--processes``: the daemon keeps the sockets, and loads no code of the site.

What it has to know of the settings it asks of a process that imports them. Where they
cannot be imported, it starts all the same, answers 503, and takes what they say when a
reload has found them mended.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from txchannels import __version__
from txchannels.asking import (
    ASK_SECONDS,
    Facts,
    SiteFault,
    ask_site,
    make_layer,
    socket_name,
    socket_path,
)
from txchannels.command import Command
from txchannels.delaying import DelayService
from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.file_limit import fit_to_file_limit, raise_file_limit
from txchannels.layers.ipc.layer import IPCLayer
from txchannels.layers.ipc.places import module_place, working_folder
from txchannels.layers.ipc.server import Peer
from txchannels.layers.memory import MemoryLayer
from txchannels.lifecycle import Stop, ignore_reloads
from txchannels.listening import ServerService, make_site, open_access_log
from txchannels.options import (
    DAEMON,
    OPTIONS,
    WORKER,
    build_settings,
    differing_keys,
    take_over,
)
from txchannels.processes import (
    FIRST_OF_CLIENTS,
    FleetService,
    SocketService,
    serve_hub,
)
from txchannels.settings import Settings
from txchannels.watching import Watch
from txchannels.workers.supervisor import Outcome
from txchannels.working import LayerService, soon_in

__all__ = ["Supervised", "build"]

log = Logger()

#: From the time that a worker has to start until the next is started, or none is any more.
BETWEEN_STARTS_SECONDS = 10.0


def build(given: Mapping[str, Any], reactor: Any, command: str) -> Command:
    """*command*, from the options that were given by name.

    Raises: ConfigurationError: It cannot work so.
    """
    module = given.get("settings") or os.environ.get("DJANGO_SETTINGS_MODULE", "")
    named_by = "DJANGO_SETTINGS_MODULE" if module and not given.get("settings") else "--settings"
    if not module or not all(part.isidentifier() for part in module.split(".")):
        raise ConfigurationError(
            named_by,
            module or None,
            "name the site's settings module, as in --settings=mysite.settings",
        )
    folders = _folders(given)
    alias = given.get("layer") or ""
    facts = None
    ignore_reloads()
    files: tuple[str, ...] = ()
    try:
        facts = ask_site(module, alias, folders, ASK_SECONDS, named_by)
    except SiteFault as fault:
        files = fault.files
        log.critical(
            "{fault}. The daemon starts without the site and answers 503; "
            "reload it when that is mended",
            fault=fault,
        )
    settings = build_settings(given, (facts and facts.options) or {}, command)
    raise_file_limit()
    if command == DAEMON:
        settings = fit_to_file_limit(settings)
    if facts is None:
        facts, is_provisional = Facts(module, files=files), True
    else:
        is_provisional = False
    return Supervised(reactor, settings, given, facts, is_provisional, command)


class Supervised(Command):
    """A daemon whose consumers and views run in processes.

    Args:
        reactor: The reactor.
        settings: Its settings.
        given: The options that were given by name.
        facts: What the site's settings say.
        is_provisional: Whether they could not be read yet.
        command: Whether it has servers.

    Attributes:
        site: The connections' side; None without servers.
        fleet: The workers' side.

    Raises: ConfigurationError: It cannot work so.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        given: Mapping[str, Any],
        facts: Facts,
        is_provisional: bool,
        command: str,
    ) -> None:
        stop = Stop(reactor, settings.drain_timeout_seconds)
        self._settings = settings
        self._used = build_settings(given, facts.options or {}, command)
        self._given = given
        self._facts = self._at_start = facts
        self._is_provisional = is_provisional
        self._command = command
        self._place = module_place(facts.settings_module, _folders(given))
        layer = make_layer(facts, settings.layer, self._place)
        self._check_layer(layer)
        face = _serve(layer, reactor)
        self._served = serve_hub(reactor, layer, face)
        name = socket_name(facts.settings_module, command)
        path, setting = socket_path(layer, settings.processes.socket, name, self._place)
        socket = SocketService(self._served, path, setting, self._told)
        self._access_log = open_access_log(settings.access_log) if command == DAEMON else None
        self.site = (
            make_site(reactor, settings, face, self._access_log, self._is_host_allowed)
            if command == DAEMON
            else None
        )
        self._layer_service = LayerService(reactor, face, stop, self._messages_lost)
        orders = {
            "settings": given.get("settings"),  # or the environment, which they have, too
            "pythonpath": _folders(given),
            "socket": path,
            "command_line": (command, _options(given)),
        }
        self.fleet = FleetService(
            reactor,
            served=self._served,
            server=socket.server,
            settings=settings,
            orders=orders,
            stop=stop,
            facts_changed=self._facts_changed,
            has_no_workers=self._has_no_workers,
        )
        if not is_provisional:
            self._pin(settings)
        self.fleet.starting = self._starting
        socket.refused = self.fleet.do_without_socket
        self._files = Watch(reactor, self._reload) if settings.processes.reload else None
        if self._files is not None:
            self.fleet.files_found = self._files.look_at
        self._delay = DelayService(reactor, face, settings.workers)
        parts: list[Service] = [self._layer_service, socket, self.fleet, self._delay]
        if self.site is not None:
            parts.append(ServerService(reactor, settings.endpoints, self.site, stop))
        super().__init__(reactor, stop, parts)
        stop.reload = self._reload
        self._is_ready = False
        self._reloads = 0  # that have not ended

    def stopService(self) -> Any:
        if self._files is not None:
            self._files.stop()
        return super().stopService()

    def _runs(self) -> None:
        """It is ready when workers are, or are known not to come."""
        self._watch()
        if self._files is not None:
            self._files.start(self._facts.files)

    def _rotated(self) -> None:
        if self._access_log is not None:
            self._access_log.reopen()

    # The layer, and what the site says

    def _check_layer(self, layer: Any) -> None:
        """Refuse a layer that cannot do what the command needs; try its servers.

        Raises: ConfigurationError: It says what would.
        """
        is_local = isinstance(layer, MemoryLayer | IPCLayer)
        if self._command == WORKER and is_local and not self._is_provisional:
            raise ConfigurationError(
                "--layer",
                self._settings.layer,
                f"{layer} reaches no other host; on this one, "
                f"twistd {DAEMON} --processes runs the workers itself",
            )
        try:
            if hasattr(layer, "check"):
                layer.check()
        except LayerUnavailable as error:
            log.warn("{error}; trying again until it answers", error=error)

    def _is_host_allowed(self, host: str) -> bool:
        return self._facts.is_host_allowed(host)

    def _messages_lost(self) -> None:
        if self.site is not None:
            self.site.messages_lost()

    def _has_no_workers(self, is_so: bool) -> None:
        if self.site is not None:
            self.site.has_no_workers = is_so
        self._tell_ready()

    def _facts_changed(self, facts: Facts) -> None:
        """A generation of workers is about to begin."""
        before, self._facts = self._facts, facts
        if self._files is not None:
            self._files.look_at(facts.files)
        if self._is_provisional:
            self._is_provisional = False
            self._settle(facts)
        else:
            self._follow(before, facts)
        self._delay.follow(facts.channels)
        self._reactor.callLater(0, self._tell_ready)  # when it has begun

    def _follow(self, before: Facts, facts: Facts) -> None:
        """Use what the settings say now of the workers; say what has to wait for a restart."""
        is_other_layer = (before.backend, before.config) != (facts.backend, facts.config)
        keys = ["CHANNEL_LAYERS"] if is_other_layer else []
        try:
            wanted = build_settings(self._given, facts.options or {}, self._command)
        except ConfigurationError as error:
            log.error("{error}; the workers' limits stay as they were", error=error)
            return
        self._used = take_over(self._used, wanted)
        self.fleet.use(self._used)
        named = {**(self._at_start.options or {}), **(facts.options or {})}
        keys += differing_keys(self._used, wanted, named, self._command)
        if keys:
            log.warn(
                "The settings have changed: {keys} {concern} the daemon itself, and {are} used "
                "when it is restarted",
                keys=", ".join(keys),
                concern="concerns" if len(keys) == 1 else "concern",
                are="is" if len(keys) == 1 else "are",
            )

    def _pin(self, settings: Settings) -> None:
        """Have workers take from their settings all but what they and the daemon must agree on."""
        agreed = {"layer": settings.layer, "root-path": settings.http.root_path}
        self.fleet.order(command_line=(self._command, {**_options(self._given), **agreed}))

    def _settle(self, facts: Facts) -> None:
        """The settings can be read at last: use the layer and the limits that they name."""
        try:
            wanted = build_settings(self._given, facts.options or {}, self._command)
            used = settings = take_over(self._used, wanted, is_unused=True)
            if self._command == DAEMON:
                settings = fit_to_file_limit(settings)
            layer = make_layer(facts, settings.layer, self._place)
            self._check_layer(layer)
        except ConfigurationError as error:
            log.critical("{error}; mend it, and restart the daemon", error=error)
            return
        self._used, self._at_start = used, facts
        if keys := differing_keys(used, wanted, facts.options or {}, self._command):
            log.warn(
                "TXCHANNELS could not be read when the daemon started: what it says of {keys} "
                "is used when it is restarted",
                keys=", ".join(keys),
            )
        # What came while the workers were starting waits where nobody will look for it.
        for channel in FIRST_OF_CLIENTS:
            self._served.hub.expire_all(channel)
        self.fleet.use(settings)
        self._pin(settings)
        if isinstance(layer, MemoryLayer):
            layer = MemoryLayer(**(facts.config or {}))
        face = _serve(layer, self._reactor)
        served = serve_hub(self._reactor, layer, face)
        for name in ("hub", "layer", "blocking", "in_thread"):
            setattr(self._served, name, getattr(served, name))
        self._layer_service.use(face)
        self._delay.use(face, settings.workers)
        if self.site is not None:
            self.site.use(settings.http, settings.websocket, face)

    # Reload and status

    def _reload(self) -> Any:
        self._reloads += 1
        if self._is_ready:
            self._notifier.reloading("Reloading")
        return self.fleet.reload().addCallback(self._reloaded)

    def _reloaded(self, outcome: Outcome) -> Outcome:
        self._reloads -= 1
        if self._is_ready and not self._reloads:
            self._notifier.reloaded(self.status())
        return outcome

    def _starting(self, seconds: float) -> None:
        """A worker is started, and may take so long: what waits for it may, too."""
        if not self._is_ready or self._reloads:
            self._notifier.extend(seconds + BETWEEN_STARTS_SECONDS)

    def _tell_ready(self) -> None:
        """What there is to wait for at a start has come: workers, or the news that none will."""
        if self._is_ready:
            return
        self._is_ready = True
        self._notifier.ready(self.status())

    def status(self) -> str:
        """One line for people."""
        text = self.fleet.supervisor.status()
        return text if self.site is None else f"{self.site.connections} connections; {text}"

    def _told(self, peer: Peer, topic: str, _value: Any) -> None:
        """A program asks for something that is not the layer's."""
        if topic == "reload":
            self._reload().addCallback(lambda outcome: peer.tell("outcome", asdict(outcome)))
        elif topic == "status":
            peer.tell("status", self._describe())
        else:
            peer.tell("refused", f"There is no order {topic!r:.40}")

    def _describe(self) -> dict[str, Any]:
        supervisor = self.fleet.supervisor
        return {
            "version": __version__,
            "command": self._command,
            "pid": os.getpid(),
            "status": self.status(),
            "generation": supervisor.generation,
            "is_broken": supervisor.is_broken,
            "restarts": supervisor.restarts,
            "recycled": supervisor.recycled,
            "lost": supervisor.lost,
            "connections": 0 if self.site is None else self.site.connections,
            "late": 0 if self.site is None else len(self.site.late),
            "late_lost": 0 if self.site is None else self.site.late.lost,
            "delayed_sent": self._delay.sent,
            "delayed_lost": self._delay.lost,
            "workers": self.fleet.describe(),
        }


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the command line says, but for what is no setting."""
    return {one.name: given[one.name] for one in OPTIONS if one.name in given}


def _folders(given: Mapping[str, Any]) -> list[str]:
    folders = [Path(working_folder(), folder) for folder in given.get("pythonpath") or []]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigurationError("--pythonpath", str(folder), "is no folder")
    return list(map(str, folders))


def _serve(layer: Any, reactor: Any) -> Any:
    join = layer.serve if hasattr(layer, "serve") else layer.reactor
    return join(soon_in(reactor), reactor)
