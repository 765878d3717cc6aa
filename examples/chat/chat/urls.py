"""Which view answers which path."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from rooms import views

urlpatterns = [
    path("", views.lobby, name="lobby"),
    path("rooms/<str:slug>/", views.room, name="room"),
    path("rooms/<str:slug>/messages/", views.earlier_messages, name="earlier-messages"),
    path("sign-up/", views.sign_up, name="sign-up"),
    path("log-in/", views.LogIn.as_view(), name="log-in"),
    path("log-out/", LogoutView.as_view(http_method_names=["post"]), name="log-out"),
]
