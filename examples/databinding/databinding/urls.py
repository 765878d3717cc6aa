"""Which view answers which path."""

from __future__ import annotations

from django.urls import path

from shopping import views

urlpatterns = [
    path("", views.page, name="page"),
    path("items/", views.items, name="items"),
]
