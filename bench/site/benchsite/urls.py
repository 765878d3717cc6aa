"""The paths that `bench.scenarios` asks for."""

from __future__ import annotations

from django.conf import settings
from django.urls import path

from benchsite import views

urlpatterns = [
    path("hello", views.hello),
    path("nap", views.nap),
    path("note", views.note),
    path("burn", views.burn),
]

if settings.STACK == "txchannels":
    from benchsite.events import stream

    urlpatterns.append(path("events", stream))
