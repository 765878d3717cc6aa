"""Pages."""

from board import views
from django.urls import path

urlpatterns = [
    path("", views.front),
    path("sign-in/", views.sign_in),
    path("post/", views.post),
    path("wait/", views.wait),
    path("bell/", views.ring),
    path("remind/", views.remind),
    path("seen/", views.seen),
    path("upload/", views.upload),
    path("reversed/", views.upload, name="reversed"),
]
