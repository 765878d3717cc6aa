"""The views."""

from django.urls import path

from liveproject import views

urlpatterns = [
    path("users/", views.users),
    path("me/", views.me),
    path("setting/<name>/", views.setting),
    path("archive/", views.archive),
    path("fail/", views.fail),
    path("host/", views.host),
]
