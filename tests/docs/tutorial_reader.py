"""Somebody who does what the tutorial says, in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

import httpx

from tests.docs.tutorial_text import Command, Edit, Quote, has_printed, parse
from tests.integration.daemon import ROOT, WAIT_SECONDS, Daemon, bare_environment, wait_until
from tests.servers import free_port

__all__ = ["PAGES", "Reader", "read_page", "told"]

#: The parts by their numbers.
PAGES = {int(page.name[0]): page for page in (ROOT / "docs" / "tutorial").glob("[0-9]-*.md")}

#: Where Redis listens in the text.
REDIS = "localhost:6379"

#: What has been done for the reader: the checkout is what would be installed.
_IS_DONE = re.compile(r"python3? -m (venv|pip install) |\. .*/activate$")
_IS_SERVER = re.compile(r"\b(twistd .*\bchannels(-worker)?\b(?!.*--check)|manage.py runserver)")


class Reader:
    """See the module. A context that ends what it has started.

    Args:
        folder: An empty folder.
        serves: Whether to start the servers, too, and to run what needs them.

    Attributes:
        folder: Where the reader is now: after part 1, in the project.
        redis: The address of the Redis that is there, where the text has its own.
    """

    def __init__(self, folder: Path, *, serves: bool = True) -> None:
        self.folder = folder
        self.serves = serves
        self.servers: list[Daemon] = []
        self.redis = REDIS
        self._blocks = {number: read_page(number) for number in PAGES}
        self._part = 1
        self._is_serving = False
        runtime = folder / ".run"
        runtime.mkdir(mode=0o700)
        self._last_folder = runtime / "folder"
        self._variables = runtime / "variables"
        self._variables.touch()
        self._environment = bare_environment(
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            XDG_RUNTIME_DIR=str(runtime),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for server in self.servers:
            server.kill()

    def read(self, number: int, until: str | None = None) -> None:
        """Do what part *number* says that was not done yet, after all parts before it.

        Args:
            until: Stop before what stands under that heading.
        """
        while self._part < number:
            self.read(self._part)
            self.stop()
            self._part += 1
        blocks = self._blocks[number]
        while blocks and until not in blocks[0].headings:
            self._do(blocks.pop(0))
        assert until is None or until in PAGES[number].read_text(), until

    def _do(self, block: Command | Edit | Quote) -> None:
        if isinstance(block, Edit):
            block.apply(self.folder)
        elif isinstance(block, Command) and not _IS_DONE.match(block.line):
            if _IS_SERVER.search(block.line):
                self._is_serving = True
                printed = self.serve(block.line).log if self.serves else None
            elif self._is_serving and not self.serves:
                printed = None
            else:
                printed = self.run(block.line.replace(REDIS, self.redis))
            if printed is not None:
                assert has_printed(block.output, printed), f"{block.where}: printed\n{printed}"

    def run(self, line: str, code: int = 0) -> str:
        """Run a line for the terminal, with the folder and the variables that the last one left.

        Returns: What it printed.
        """
        remember = f"pwd > {self._last_folder}; export -p > {self._variables}"
        ran = subprocess.run(
            ["bash", "-c", f". {self._variables}\n{line}\ncode=$?; {remember}; exit $code"],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * WAIT_SECONDS,
            check=False,
        )
        assert ran.returncode == code, f"{line}: exit code {ran.returncode}\n{ran.stdout}"
        self.folder = Path(self._last_folder.read_text().strip())
        return ran.stdout

    # Serving

    def serve(self, line: str, number: int = 0) -> Daemon:
        """Start what *line* starts, on the port *number* or a free one; wait until it serves."""
        command = "channels-worker" if "channels-worker" in line else "channels"
        port = until = ""
        if "runserver" in line:
            number = number or free_port()
            port, until = f" {number}", "Quit the server with"
        elif command == "channels":
            port = f" --port={number}"
        # The shell runs its own line; what a Daemon would run becomes its unused arguments.
        server = Daemon(
            "",
            command=command,
            prefix=["bash", "-c", f". {self._variables}; exec {line}{port}"],
            environment=self._environment,
            folder=self.folder,
        )
        self.servers.append(server.start(until))
        if "runserver" in line:
            server.port = number
        if "runserver" in line or "--processes" in line:
            wait_until(lambda: is_answered(server))
        return server

    def stop(self) -> None:
        """Stop whatever serves."""
        for server in self.servers:
            assert server.stop() == 0, server.log
        self.servers.clear()
        self._is_serving = False

    # Going astray

    def copy(self, folder: Path) -> Reader:
        """Another reader, in the (new) *folder*, who is as far as this one."""
        folder.mkdir()
        other = Reader(folder)
        other.folder = folder / self.folder.name
        shutil.copytree(self.folder, other.folder)
        shutil.copy(self._variables, other._variables)
        return other

    def change(self, path: str, before: str, after: str) -> None:
        """Write *after* in place of *before*, which must be there once."""
        text = (self.folder / path).read_text()
        assert text.count(before) == 1, f"{path} has {before!r} {text.count(before)} times"
        (self.folder / path).write_text(text.replace(before, after))


def is_answered(server: Daemon) -> bool:
    """Whether a request is answered: then the worker processes are there, too."""
    try:
        httpx.get(server.url, timeout=WAIT_SECONDS)
    except httpx.ConnectError:
        return False
    return True


def read_page(number: int) -> list[Command | Edit | Quote]:
    """The blocks of a part."""
    return parse(PAGES[number].name, PAGES[number].read_text())


def told(number: int, text: str) -> str:
    """*text*, which part *number* says that the reader should see."""
    page = " ".join(PAGES[number].read_text().split())
    assert text in page, f"part {number} says nothing of {text!r}"
    return text
