"""Which view answers which path."""

from __future__ import annotations

from django.urls import path

from chart import views

urlpatterns = [
    path("", views.page, name="page"),
    path("stream/", views.stream, name="stream"),
    path("poll/", views.poll, name="poll"),
    path("mark/", views.mark, name="mark"),
]
