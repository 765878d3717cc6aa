"""Values that a client has sent, put into an instance: checked as a form would, but as JSON.

A value has the types of JSON, and any of them may come for any field. What is wrong with
it is a `ValidationError`, whatever the field's own code makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import (
    MultipleObjectsReturned,
    ObjectDoesNotExist,
    ValidationError,
)
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy

__all__ = ["assign", "check_instance", "check_text", "is_key", "writable"]

Model = Any
ModelClass = Any
Field = Any
Errors = dict[str, list[ValidationError]]

#: The rows that a client may have a relation point to.
Choices = Callable[[Field], Any]

#: How many rows a client may name for one many-to-many field.
MAX_LINKS = 1000

INVALID = gettext_lazy("Enter a valid value.")

_SCALARS = (
    models.BooleanField,
    models.CharField,
    models.DateField,
    models.DecimalField,
    models.DurationField,
    models.FloatField,
    models.ForeignKey,
    models.GenericIPAddressField,
    models.IntegerField,
    models.TextField,
    models.TimeField,
    models.UUIDField,
)

#: What fields raise for values of types that no form gives them.
_UNEXPECTED = (TypeError, ValueError, ArithmeticError, AttributeError)


def writable(fields: Iterable[Field], *, is_new: bool, named: Iterable[str]) -> dict[str, Field]:
    """Those of *fields* that a client may write, by name.

    Not those that are not editable; not files, whose names would let it read others'; and
    the primary key only of a new row that would have none otherwise.

    Args:
        named: The names that the programmer has written out: a key with a default, only there.
    """
    return {
        field.name: field
        for field in fields
        if field.editable
        and not isinstance(field, models.FileField)
        and not getattr(field, "generated", False)
        and not getattr(field.remote_field, "parent_link", False)
        and (not field.primary_key or (is_new and _is_key_to_give(field, named)))
    }


def _is_key_to_give(field: Field, named: Iterable[str]) -> bool:
    return not isinstance(field, models.AutoField) and (
        not field.has_default() or field.name in named
    )


def assign(
    instance: Model, fields: Mapping[str, Field], data: Mapping[str, Any], choices: Choices
) -> tuple[dict[str, list[Any]], Errors]:
    """Put those values of *data* into *instance* that are of *fields*; the rest is ignored.

    Args:
        choices: Asked for the rows that a relation may point to.

    Returns: The primary keys for each many-to-many field, which can be set only when the
        row is stored; and what is wrong, by field.
    """
    links: dict[str, list[Any]] = {}
    errors: Errors = {}
    for name, field in fields.items():
        if name not in data:
            continue
        try:
            if field.many_to_many:
                links[name] = _clean_links(field, data[name], choices(field))
            else:
                setattr(instance, field.attname, _clean(field, data[name], instance, choices))
        except ValidationError as error:
            errors[name] = list(error.error_list)
    return links, errors


def check_instance(instance: Model, names: Iterable[str], errors: Errors) -> None:
    """Validate all of *instance*, as Django's model forms do.

    Args:
        names: The fields to look at; the others' values are not the client's.
        errors: What is known already.

    Raises: ValidationError: There are errors.
    """
    found = dict(errors)
    to_check = set(names) - set(found)
    excluded = {field.name for field in instance._meta.fields} - to_check
    checks = (
        lambda: instance.full_clean(
            exclude=excluded, validate_unique=False, validate_constraints=False
        ),
        lambda: instance.validate_unique(exclude=set(found)),
        lambda: instance.validate_constraints(exclude=set(found)),
    )
    for check in checks:
        try:
            check()
        except ValidationError as error:
            error.update_error_dict(found)
    if found:
        raise ValidationError(found)


def _clean(field: Field, value: Any, instance: Model, choices: Choices) -> Any:
    """The value for *field*. Raises: ValidationError."""
    value = _in_its_form(field, value)
    try:
        if isinstance(field, models.ForeignKey) and isinstance(value, list):
            value = _natural_key(field, value)
        if field.blank and value in field.empty_values and (value is not None or field.null):
            return value
        cleaned = field.clean(value, instance)
        if isinstance(field, models.ForeignKey) and cleaned is not None:
            _check_choice(field, cleaned, choices(field))
        if isinstance(cleaned, datetime):
            return _at_the_sites_time(cleaned)
    except _UNEXPECTED:
        raise ValidationError(INVALID, code="invalid") from None
    if isinstance(cleaned, float) and not math.isfinite(cleaned):
        raise ValidationError(INVALID, code="invalid")
    return cleaned


def _in_its_form(field: Field, value: Any) -> Any:
    """*value*, where JSON has it in a form that *field* would misunderstand."""
    if isinstance(field, models.JSONField):
        check_text(value)
        return value
    is_natural = isinstance(field, models.ForeignKey) and isinstance(value, list)
    is_bool = isinstance(value, bool) and not isinstance(field, models.BooleanField)
    is_part = isinstance(value, float) and not value.is_integer() and _is_whole(field)
    if isinstance(field, _SCALARS) and (
        (isinstance(value, dict | list) and not is_natural) or is_bool or is_part
    ):
        raise ValidationError(INVALID, code="invalid")
    check_text(value)
    if value == "" and not field.empty_strings_allowed:
        return None
    if value is None and not field.null and field.blank and field.empty_strings_allowed:
        return ""
    return value


def _is_whole(field: Field) -> bool:
    target = getattr(field, "target_field", field)
    return isinstance(target, models.IntegerField)


def check_text(value: Any) -> None:
    """Refuse texts that JSON can say and databases cannot keep: NUL, and half a character.

    Raises: ValidationError: There is one in *value*.
    """
    if isinstance(value, str):
        if "\0" in value or not _is_unicode(value):
            raise ValidationError(INVALID, code="invalid")
    elif isinstance(value, dict):
        check_text([*value.keys(), *value.values()])
    elif isinstance(value, list):
        for item in value:
            check_text(item)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _at_the_sites_time(value: datetime) -> datetime:
    """As Django's form fields understand a date and time. Raises: OverflowError."""
    if settings.USE_TZ:
        aware = timezone.make_aware(value) if timezone.is_naive(value) else value
        aware.astimezone(UTC)
        return aware
    return value if timezone.is_naive(value) else timezone.make_naive(value)


# Relations


def is_key(value: Any) -> bool:
    """Whether JSON's *value* may be a key: text or a whole number."""
    return isinstance(value, str | int) and not isinstance(value, bool)


def _natural_key(field: Field, key: list[Any]) -> Any:
    """The value for a foreign key to the row that has *key*. Raises: ValidationError."""
    row = _find_by_natural_key(field.remote_field.model, key)
    return getattr(row, field.target_field.attname)


def _find_by_natural_key(model: ModelClass, key: list[Any]) -> Model:
    manager = model._default_manager
    find = getattr(manager, "get_by_natural_key", None)
    if find is None or not all(part is None or is_key(part) for part in key):
        raise ValidationError(INVALID, code="invalid")
    try:
        return find(*key)
    except (ObjectDoesNotExist, MultipleObjectsReturned, *_UNEXPECTED):
        raise ValidationError(INVALID, code="invalid") from None


def _check_choice(field: Field, value: Any, rows: Any) -> None:
    """Refuse a foreign key that is none of *rows* in the words for one that does not exist.

    Raises: ValidationError: It is none.
    """
    name = field.remote_field.field_name
    if not rows.filter(**{name: value}).exists():
        model = field.remote_field.model._meta.verbose_name
        params = {"model": model, "pk": value, "field": name, "value": value}
        raise ValidationError(field.error_messages["invalid"], code="invalid", params=params)


def _clean_links(field: Field, values: Any, rows: Any) -> list[Any]:
    """The primary keys of the rows that *values* name. Raises: ValidationError."""
    if not isinstance(values, list) or len(values) > MAX_LINKS:
        raise ValidationError(INVALID, code="invalid")
    if not values and not field.blank:
        raise ValidationError(field.error_messages["blank"], code="blank")
    check_text(values)
    model = field.remote_field.model
    pks = [_primary_key(model, value) for value in values]
    try:
        rows = rows.filter(pk__in=pks).complex_filter(field.get_limit_choices_to())
        found = set(rows.values_list("pk", flat=True))
    except OverflowError:
        found = set()
    if not found.issuperset(pks):
        raise ValidationError(INVALID, code="invalid")
    return pks


def _primary_key(model: ModelClass, value: Any) -> Any:
    if isinstance(value, list):
        return _find_by_natural_key(model, value).pk
    if not is_key(value):
        raise ValidationError(INVALID, code="invalid")
    return model._meta.pk.to_python(value)
