"""The pages: views as they have always been, served by the same daemon as the sockets."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe

from rooms import presence
from rooms.forms import RoomForm
from rooms.frames import MAX_TEXT
from rooms.models import Room
from rooms.people import as_person

__all__ = ["LogIn", "earlier_messages", "lobby", "room", "sign_up"]


@login_required
def lobby(request: HttpRequest) -> HttpResponse:
    """All rooms, who is in them, and a form for a new one."""
    form = RoomForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        new = form.save()
        messages.success(request, f"“{new}” is open. Invite somebody!")
        return redirect(new)
    rooms = [
        {
            "room": each,
            "people": presence.people(each),
            "last": each.messages.select_related("author").last(),
        }
        for each in Room.objects.all()
    ]
    return render(request, "rooms/lobby.html", {"rooms": rooms, "form": form})


@login_required
@require_safe
def room(request: HttpRequest, slug: str) -> HttpResponse:
    """One room. Its messages come over the socket that the page opens, at its own path."""
    here = get_object_or_404(Room, slug=slug)
    context = {
        "room": here,
        "rooms": Room.objects.all(),
        "me": as_person(request.user),
        "max_text": MAX_TEXT,
    }
    return render(request, "rooms/room.html", context)


@login_required
@require_safe
def earlier_messages(request: HttpRequest, slug: str) -> HttpResponse:
    """The page of messages before the one that the query names, as JSON."""
    before = request.GET.get("before", "")
    if not before.isdecimal() or len(before) > 15:
        return JsonResponse({"error": "before: the id of a message"}, status=400)
    return JsonResponse(get_object_or_404(Room, slug=slug).history(before=int(before)))


def sign_up(request: HttpRequest) -> HttpResponse:
    """A new user, logged in at once."""
    if request.user.is_authenticated:
        return redirect("lobby")
    form = UserCreationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = form.save()
        login(request, user)
        messages.success(request, f"Welcome, {user.get_username()}!")
        return redirect("lobby")
    return render(request, "registration/sign_up.html", {"form": form})


class LogIn(LoginView):
    """Django's log-in; it names the demo users while this is a demo."""

    redirect_authenticated_user = True
    extra_context: ClassVar = {"is_demo": settings.DEBUG}
