"""Views that say what the daemon sees."""

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from django.http import HttpResponse, JsonResponse


def users(request):
    """Add a user when posted to; say who there are."""
    if request.method == "POST":
        User.objects.create(username=request.POST["name"])
    return JsonResponse(
        list(User.objects.order_by("id").values_list("username", flat=True)), safe=False
    )


def me(request):
    return HttpResponse(request.user.username)


def setting(request, name):
    return JsonResponse(getattr(settings, name), safe=False)


def archive(request):
    """Use the other database."""
    try:
        return HttpResponse(str(User.objects.using("archive").count()))
    except Exception as error:
        return HttpResponse(f"{type(error).__name__}: {connections['archive'].vendor}")


def fail(request):
    raise ValueError("this view fails")


def host(request):
    return HttpResponse(request.get_host())
