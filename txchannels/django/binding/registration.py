"""What a binding class declares, checked; and its receivers, connected to Django's signals.

A class is registered when Django's applications are ready, or at once where they are. An
error names the class, and stops the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.apps import apps
from django.db.models import signals

from txchannels.django.utils import name_that_thing

__all__ = ["BindingMetaclass", "Declaration"]

ALL_FIELDS = "__all__"

Field = Any


class BindingMetaclass(type):
    """Registers every subclass of `Binding`, but those whose own body says ``model = None``."""

    #: All binding classes that there are, abstract ones too.
    binding_classes: ClassVar[list[type[Declaration]]] = []

    def __init__(
        cls, name: str, bases: tuple[type, ...], body: dict[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(name, bases, body, **kwargs)
        assert issubclass(cls, Declaration)
        if apps.models_ready:
            cls.register()
        BindingMetaclass.binding_classes.append(cls)

    @classmethod
    def register_all(cls) -> None:
        """Register all classes that wait for it. Called when the applications are ready.

        Raises: ValueError: One of them declares what cannot work.
        """
        for binding in cls.binding_classes:
            binding.register()


class Declaration:
    """The attributes of a binding class, and its registration."""

    #: The model, or ``"app.Model"``. None in a class's own body makes it an abstract one.
    model: Any = None

    #: The names of the fields that are sent, and that clients may write; or ``"__all__"``.
    fields: Sequence[str] | None = None

    #: The names of the fields that are not, where `fields` does not say which are.
    exclude: Sequence[str] | None = None

    #: ``"app.model"``, in lower case. Known once the class is registered.
    model_label: str = ""

    #: The fields that are sent, and those that clients may write.
    _fields: ClassVar[tuple[Field, ...]] = ()

    #: Whose signals the class itself receives.
    _senders: ClassVar[tuple[Any, ...]] = ()

    @classmethod
    def register(cls) -> None:
        """Check what the class declares, and receive its model's signals from now on.

        Nothing happens to an abstract class, or if it was done before. A row may be saved
        as an instance of a proxy of its model, or of a child: these count, too.

        Raises: ValueError: The class lacks a model, fields or a stream, or names some that
            do not exist.
        """
        if "_senders" in vars(cls) or ("model" in vars(cls) and cls.model is None):
            return
        cls._resolve_model()
        cls._resolve_fields()
        cls._check()
        concrete = cls.model._meta.concrete_model
        models = apps.get_models(include_auto_created=True, include_swapped=True)
        cls._senders = tuple(model for model in models if issubclass(model, concrete))
        for signal, receiver in cls._receivers():
            for sender in cls._senders:
                signal.connect(receiver, sender=sender)

    @classmethod
    def unregister(cls) -> None:
        """Receive no signals any more. For tests, which make classes that are to go again."""
        for signal, receiver in cls._receivers():
            for sender in vars(cls).get("_senders", ()):
                signal.disconnect(receiver, sender=sender)
        if "_senders" in vars(cls):
            del cls._senders
        if cls in BindingMetaclass.binding_classes:
            BindingMetaclass.binding_classes.remove(cls)

    @classmethod
    def _receivers(cls) -> list[tuple[Any, Any]]:
        names = ("pre_save", "post_save", "pre_delete", "post_delete")
        return [(getattr(signals, name), getattr(cls, f"{name}_receiver")) for name in names]

    @classmethod
    def _resolve_model(cls) -> None:
        if cls.model is None:
            raise cls._wrong("has no model: set it, or write model = None if it is abstract")
        if isinstance(cls.model, str):
            try:
                cls.model = apps.get_model(cls.model)
            except (LookupError, ValueError) as error:
                raise cls._wrong(f"names the model {cls.model!r}: {error}") from error
        options = getattr(cls.model, "_meta", None)
        if options is None or options.abstract:
            raise cls._wrong(f"has the model {cls.model!r}, which is none that has rows")
        cls.model_label = options.label_lower

    @classmethod
    def _resolve_fields(cls) -> None:
        if cls.fields is None and cls.exclude is None:
            raise cls._wrong(
                "has neither fields nor exclude; fields = '__all__' would send all, to everybody "
                "in its groups"
            )
        options = cls.model._meta
        known = {field.name: field for field in (*options.concrete_fields, *options.many_to_many)}
        # A relation through a model of its own has more to say than a list of keys.
        plain = [
            name
            for name, field in known.items()
            if not field.many_to_many or field.remote_field.through._meta.auto_created
        ]
        if cls.fields is None:
            excluded = cls._names("exclude", known)
            names = [name for name in plain if name not in excluded]
        elif list(cls.fields) == [ALL_FIELDS] or cls.fields == ALL_FIELDS:
            names = plain
        else:
            names = cls._names("fields", known)
        cls._fields = tuple(known[name] for name in names)

    @classmethod
    def _names(cls, attribute: str, known: dict[str, Field]) -> list[str]:
        names = getattr(cls, attribute)
        if isinstance(names, str | bytes):
            raise cls._wrong(f"has {attribute} = {names!r}; it must be a list of names")
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise cls._wrong(
                f"has {attribute} that {cls.model_label} does not: {', '.join(unknown)} "
                f"(it has: {', '.join(known)})"
            )
        return list(dict.fromkeys(names))

    @classmethod
    def _check(cls) -> None:
        """Check the rest. Raises: ValueError: It cannot work."""

    @classmethod
    def _wrong(cls, what: str) -> ValueError:
        return ValueError(f"The binding {name_that_thing(cls)} {what}")
