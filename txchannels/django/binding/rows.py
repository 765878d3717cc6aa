"""A row before a change and after it, and its values as messages have them.

An instance may say something else than its row: it may have been changed and not saved,
saved in part (``update_fields``), or be of another class (a proxy, a child). Groups are
told what the row says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.utils.encoding import is_protected_type
from django.utils.functional import SimpleLazyObject

__all__ = ["NoRow", "StoredRow", "as_instance_of", "as_stored", "pk_of", "values_of"]

Model = Any
ModelClass = Any
Field = Any


class NoRow(Exception):
    """The row that was asked for does not exist."""


class StoredRow:
    """The row that an instance is about to overwrite.

    Args:
        model: Its model.
        pk: Its primary key.
        using: The alias of its database.

    Attributes:
        instance: The row as an instance; it is read when an attribute is first asked for,
            which raises `NoRow` where there is none.
        is_read: Whether it has been read.
    """

    def __init__(self, model: ModelClass, pk: Any, using: str | None) -> None:
        self.is_read = False
        self._find: Callable[[], Model | None] = lambda: find(model, pk, using)
        self.instance = SimpleLazyObject(self._read)

    def _read(self) -> Model:
        row = self._find()
        if row is None:
            raise NoRow
        self.is_read = True
        return row


def find(model: ModelClass, pk: Any, using: str | None) -> Model | None:
    """The row as it is in the database now."""
    # Not the default manager: it may hide rows.
    return model._base_manager.using(using).filter(pk=pk).first()


def pk_of(instance: Model, model: ModelClass) -> Any:
    """The primary key of the row of *model* that *instance* has; None if it can have none yet."""
    pk = getattr(instance, model._meta.pk.attname)
    parts = pk if isinstance(pk, tuple) else (pk,)
    return None if any(part is None or _is_expression(part) for part in parts) else pk


def as_instance_of(model: ModelClass, instance: Model) -> Model:
    """*instance* if it is one of *model*, or else one of *model* with its attributes."""
    return instance if isinstance(instance, model) else _copy(instance, model)


def as_stored(instance: Model, model: ModelClass, kwargs: dict[str, Any]) -> Model:
    """*instance*, which was just saved, with the values that its row has now.

    It is itself, unless it was saved in part, or with values that the database works out.

    Args:
        kwargs: What came with the signal.
    """
    fields = model._meta.concrete_fields
    known = vars(instance)
    is_whole = kwargs.get("update_fields") is None and not any(
        _is_expression(known.get(field.attname)) for field in fields
    )
    row = None if is_whole else find(model, pk_of(instance, model), kwargs.get("using"))
    if row is None:
        return instance
    copied = _copy(instance, type(instance))
    for field in fields:
        setattr(copied, field.attname, getattr(row, field.attname))
    return copied


def _copy(instance: Model, model: ModelClass) -> Model:
    copied = model.__new__(model)
    vars(copied).update(instance.__getstate__())
    return copied


def _is_expression(value: Any) -> bool:
    return hasattr(value, "resolve_expression")


def values_of(instance: Model, fields: Iterable[Field]) -> dict[str, Any]:
    """The values of *fields* by name, as Django's serializers have them.

    Relations are primary keys, or lists of them. What JSON cannot say by itself (dates,
    decimals, UUIDs) is left as it is, for Django's JSON encoder.
    """
    return {field.name: _value_of(instance, field) for field in fields}


def _value_of(instance: Model, field: Field) -> Any:
    if field.many_to_many:
        return list(getattr(instance, field.name).values_list("pk", flat=True))
    value = field.value_from_object(instance)
    return value if is_protected_type(value) else field.value_to_string(instance)
