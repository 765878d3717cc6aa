"""A dotted path of the settings or of a routing becomes the object that it names."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__all__ = ["DottedPathError", "import_dotted"]


class DottedPathError(ImportError):
    """The path leads nowhere; the text says which part of it does not exist."""


def import_dotted(path: str, sample: str = "name") -> Any:
    """The object that *path* (``package.module.name``) names.

    Args:
        sample: What such an object is usually called, for the text of an error.

    Raises:
        DottedPathError: There is no such module, nothing of that name in it, or a module.
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
        found = getattr(module, name)
    except AttributeError as error:
        if _is_module(module, path):
            raise _names_module(path, sample) from error
        raise DottedPathError(f"{path!r}: module {module_name!r} has no {name!r}") from error
    if isinstance(found, ModuleType):
        raise _names_module(path, sample)
    return found


def _is_module(package: ModuleType, path: str) -> bool:
    """Whether *path* is a module of *package* that nobody has imported yet."""
    return hasattr(package, "__path__") and find_spec(path) is not None


def _names_module(path: str, sample: str) -> DottedPathError:
    return DottedPathError(f"{path!r} is a module; name the object in it, such as {path}.{sample}")


def _leads_to(missing: str | None, module_name: str) -> bool:
    """Whether *missing* is *module_name* or a package around it: the path's own fault."""
    return missing is not None and f"{module_name}.".startswith(f"{missing}.")
