"""Where a daemon's Unix socket is, who may use it, and how it is found.

A lock file beside the socket is held as long as the daemon lives, however it dies: so a
socket that was left behind is told from one that is served.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import socket
import stat
import struct
from pathlib import Path
from typing import Final

from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.ipc.link import ANSWER_SECONDS, Link

__all__ = ["Claim", "default_path", "dial", "is_trusted"]

CONNECT_SECONDS = 5.0
BACKLOG = 512

#: The kernel's bound, its closing zero left out.
MAX_PATH_BYTES: Final = 107

_CREDENTIALS: Final = struct.Struct("3i")


def default_path(name: str, place: str = "") -> str:
    """Where the socket of the site *name* is, if nobody says otherwise.

    In the service's folder below /run where systemd has made one, in the user's, or in one
    of the user's own below the folder for temporary files. The two last are shared by all of
    the user's sites, which may have one name: there, a digest of *place* is added.

    Args:
        place: Where the site's settings are; see `places.module_place`.
    """
    below = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if below:
        return f"{below}/{name}.sock"
    if place:
        name = f"{name}-{hashlib.sha256(os.fsencode(place)).hexdigest()[:8]}"
    below = os.environ.get("XDG_RUNTIME_DIR", "")
    if below and Path(below).is_dir():
        return f"{below}/txchannels/{name}.sock"
    return f"{_last_resort()}/{name}.sock"


def _last_resort() -> str:
    """A folder where anybody might have been before: see `Claim` and `dial`."""
    return f"/tmp/txchannels-{os.getuid()}"  # noqa: S108


class Claim:
    """The right to serve at a path, and the listening socket there.

    Args:
        path: The socket's. Its folder is made if only that is missing.
        setting: Who has named it, for errors.

    Raises: ConfigurationError: It cannot be used; says what to do.
    """

    def __init__(self, path: str, setting: str) -> None:
        self.path = path
        self._setting = setting
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise self._refusal(f"is longer than the {MAX_PATH_BYTES} bytes that a socket may have")
        self._lock_path = Path(f"{path}.lock")
        self._check_folder(Path(path).absolute().parent)
        self._is_taken()  # beside what is somebody else's, nothing is made
        self._lock = self._take_lock()
        try:
            self.socket = self._listen()
        except BaseException:
            self._lock_path.unlink(missing_ok=True)
            os.close(self._lock)
            raise

    def release(self) -> None:
        """Serve there no more."""
        self.socket.close()
        Path(self.path).unlink(missing_ok=True)
        os.close(self._lock)

    def _refusal(self, remedy: str) -> ConfigurationError:
        return ConfigurationError(self._setting, self.path, remedy)

    def _check_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.stat()
        except OSError as error:
            raise self._refusal(f"its folder cannot be used: {error.strerror or error}") from None
        if found.st_uid not in (os.getuid(), 0) or (
            found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
        ):
            raise self._refusal(f"others may change what is in {folder}; name a folder of your own")

    def _take_lock(self) -> int:
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            lock = os.open(self._lock_path, flags, 0o600)
        except OSError as error:
            raise self._refusal(f"cannot be used: {error.strerror or error}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # One that was refused has removed it since: the next would make, and hold, another.
            is_held = os.path.samestat(os.fstat(lock), self._lock_path.lstat())
        except OSError:
            is_held = False
        if not is_held:
            os.close(lock)
            raise self._refusal(
                "another daemon serves there; stop it, or give this one another path"
            )
        return lock

    def _listen(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._remove_stale()
            former = os.umask(0o177)
            try:
                sock.bind(self.path)
            finally:
                os.umask(former)
            sock.listen(BACKLOG)
            sock.setblocking(False)
        except ConfigurationError:
            sock.close()
            raise
        except OSError as error:
            sock.close()
            raise self._refusal(f"cannot listen there: {error.strerror or error}") from None
        return sock

    def _is_taken(self) -> bool:
        """Whether there is a socket, served or not.

        Raises: ConfigurationError: There is something else.
        """
        try:
            mode = os.lstat(self.path).st_mode
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._refusal(f"cannot be used: {error.strerror or error}") from None
        if not stat.S_ISSOCK(mode):
            raise self._refusal("there is something else than a socket")
        return True

    def _remove_stale(self) -> None:
        """Remove a socket that nobody serves; nothing else."""
        if not self._is_taken():
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(CONNECT_SECONDS)
            try:
                probe.connect(self.path)
            except ConnectionRefusedError:
                Path(self.path).unlink()
                return
            except OSError as error:
                raise self._refusal(f"cannot be used: {error.strerror or error}") from None
        raise self._refusal("another program serves there")


def is_trusted(sock: socket.socket) -> bool:
    """Whether the process at the other end is of this user, or of root."""
    found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(found)
    return user in (os.getuid(), 0)


_REMEDIES: Final = {
    errno.ENOENT: "no daemon serves there",
    errno.ECONNREFUSED: "the daemon that has served there is gone",
    errno.EACCES: "this user may not use it",
    errno.EAGAIN: "the daemon there does not answer",
}


#: What is to be done where a program that uses the layer finds nobody.
USE_LAYER: Final = "twistd channels serves it, run by the same user with this layer"


def dial(path: str, remedy: str = USE_LAYER) -> Link:
    """A link to the daemon at *path*.

    Args:
        remedy: What to do where that fails, for the error's text.

    Raises: LayerUnavailable: There is none, or it does not answer.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(CONNECT_SECONDS)
        sock.connect(path)
        sock.settimeout(None)
        if not is_trusted(sock) and (os.getuid() or path.startswith(f"{_last_resort()}/")):
            raise PermissionError("a program of another user serves there")
    except OSError as error:
        sock.close()
        reason = (
            "the daemon there does not answer"
            if isinstance(error, TimeoutError)
            else (_REMEDIES.get(error.errno or 0, str(error)))
        )
        raise LayerUnavailable(f"{path}: {reason}; {remedy}") from None
    link = Link(sock, f"the daemon at {path}", ANSWER_SECONDS)
    link.start()
    return link
