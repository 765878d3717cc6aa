from django.urls import path, re_path

from tests.webapp import views

urlpatterns = [
    path("hello/", views.hello),
    path("meta/", views.meta),
    path("where/", views.where),
    re_path(r"^path/", views.show_path),
    path("cookies/", views.cookies),
    path("headers/", views.headers),
    path("raw/", views.raw),
    path("pieces/", views.pieces),
    path("form/", views.form),
    path("file/", views.file),
    path("pipe/", views.pipe),
    path("stream/", views.stream),
    path("empty-stream/", views.empty_stream),
    path("breaks/", views.breaks),
    path("fails/", views.fails),
    path("async/", views.asynchronous),
    path("async-stream/", views.asynchronous_stream),
    path("closed/", views.closed),
    path("wait/", views.wait),
    path("users/", views.users),
    path("connections/", views.connections_made),
]
