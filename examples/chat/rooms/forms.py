"""What people fill in."""

from __future__ import annotations

from typing import ClassVar

from django import forms

from rooms.models import Room

__all__ = ["RoomForm"]


class RoomForm(forms.ModelForm):
    """A new room."""

    class Meta:
        model = Room
        fields = ("name", "topic")
        widgets: ClassVar = {
            "name": forms.TextInput(attrs={"placeholder": "Book club", "autocomplete": "off"}),
            "topic": forms.TextInput(attrs={"placeholder": "What is it about?"}),
        }
