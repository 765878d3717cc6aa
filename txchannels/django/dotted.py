"""A dotted path of the settings or of a routing becomes the object that it names."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["DottedPathError", "import_dotted"]


class DottedPathError(ImportError):
    """The path leads nowhere; the text says which part of it does not exist."""


def import_dotted(path: str) -> Any:
    """The object that *path* (``package.module.name``) names.

    Raises:
        DottedPathError: There is no such module, or nothing of that name in it.
        Exception: Whatever the module itself raises when it is imported, untouched.
    """
    module_name, _, name = path.rpartition(".")
    if not module_name or not all(part.isidentifier() for part in path.split(".")):
        raise DottedPathError(f"{path!r} is not a dotted path (package.module.name)")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if not _leads_to(error.name, module_name):
            raise
        raise DottedPathError(f"{path!r}: there is no module {error.name!r}") from error
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise DottedPathError(f"{path!r}: module {module_name!r} has no {name!r}") from error


def _leads_to(missing: str | None, module_name: str) -> bool:
    """Whether *missing* is *module_name* or a package around it: the path's own fault."""
    return missing is not None and f"{module_name}.".startswith(f"{missing}.")
