"""What the daemon has to know of a site whose code it does not load.

As a program (``python -m txchannels.django.facts``), it imports the settings, and nothing
else of the site, and writes the facts, after their length, to the descriptor that it is given.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgpack import packb

from txchannels.errors import ConfigurationError
from txchannels.plain import to_plain

__all__ = ["describe_settings", "source_files"]

MEMORY_BACKEND = "txchannels.layers.memory.MemoryLayer"

#: What stands before the facts: how many bytes they are, as others may hold the pipe open.
LENGTH_BYTES = 8


def describe_settings(alias: str) -> dict[str, Any]:
    """The facts of the settings that Django has, of the layer *alias*.

    Args:
        alias: Empty: the one that ``TXCHANNELS`` names, or the default.

    Raises: ConfigurationError: The settings cannot work.
    """
    from django.conf import settings

    layers = getattr(settings, "CHANNEL_LAYERS", {})
    own = getattr(settings, "TXCHANNELS", {})
    for name, value in (("CHANNEL_LAYERS", layers), ("TXCHANNELS", own)):
        if not isinstance(value, Mapping):
            allowed = "must be a dict, not None" if value is None else "must be a dict"
            raise ConfigurationError(name, value, allowed)
    alias = alias or str(own.get("LAYER") or "default")
    entry = layers.get(alias, {"BACKEND": MEMORY_BACKEND} if alias == "default" else None)
    if not isinstance(entry, Mapping):
        known = ", ".join(map(str, layers))
        raise ConfigurationError("--layer", alias, f"CHANNEL_LAYERS has only: {known}")
    config = _plain_dict(f"CHANNEL_LAYERS[{alias!r}]['CONFIG']", entry.get("CONFIG") or {})
    options = _plain_dict("TXCHANNELS", own)
    return {
        "settings_module": settings.SETTINGS_MODULE,
        "backend": str(entry.get("BACKEND", "")),
        "config": config,
        "options": options,
        "allowed_hosts": list(map(str, settings.ALLOWED_HOSTS)),
        "debug": bool(settings.DEBUG),
        "root_path": str(settings.FORCE_SCRIPT_NAME or ""),
    }


def _plain_dict(where: str, values: Mapping[Any, Any]) -> Any:
    """*values* as `to_plain` has them, and as they can be sent.

    Raises: ConfigurationError: One of them cannot be handed over; says which.
    """
    for key, value in values.items():
        try:
            packb(to_plain({key: value}))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            remedy = (
                "a number beyond 64 bits cannot be handed to another process"
                if isinstance(error, OverflowError)
                else str(error)
            )
            raise ConfigurationError(
                f"{where}[{key!r}]", None, f"{remedy}, as --processes needs"
            ) from None
    return to_plain(dict(values))


def source_files(error: BaseException | None = None) -> list[str]:
    """The files of what is imported and may be edited: not of Python, not of packages.

    Args:
        error: What ended an import; the files that it came through are among them.
    """
    paths = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    while error is not None:
        paths.update(frame.filename for frame in traceback.extract_tb(error.__traceback__))
        paths.add(getattr(error, "filename", None))  # a SyntaxError's
        error = error.__cause__ or error.__context__
    return sorted(
        path
        for path in paths
        if isinstance(path, str) and path.endswith(".py") and not _is_installed(path)
    )


def _is_installed(path: str) -> bool:
    return (
        "/site-packages/" in path
        or "/dist-packages/" in path
        or path.startswith((f"{Path(os.__file__).parent}/", "<"))
    )


def main(arguments: Sequence[str]) -> None:
    """Write the facts, or what is wrong."""
    descriptor, settings_module, alias, *folders = arguments
    process_id = os.getpid()
    threading.Thread(target=_end_with_reader, args=[int(descriptor)], daemon=True).start()
    sys.path[:0] = folders
    os.environ["DJANGO_SETTINGS_MODULE"] = settings_module
    try:
        found: dict[str, Any] = {"facts": describe_settings(alias)}
    except ConfigurationError as error:
        found = {"error": [error.setting, error.remedy]}
    except BaseException as error:
        traceback.print_exception(type(error), error, error.__traceback__)
        text = f"cannot be imported (traceback above): {type(error).__name__}: {error}"
        found = {"error": ["", text]}  # the module: who asks knows who has named it
        found["files"] = source_files(error)
    found.setdefault("files", source_files())
    if os.getpid() != process_id:
        return  # the settings have forked: their child is not asked
    data = packb(found)
    with os.fdopen(int(descriptor), "wb") as file:
        file.write(len(data).to_bytes(LENGTH_BYTES) + data)


def _end_with_reader(descriptor: int) -> None:
    """End the program as soon as nobody reads the pipe *descriptor*, whatever it imports."""
    poll = select.poll()
    poll.register(descriptor, 0)  # an error is told without being asked for
    poll.poll()
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
