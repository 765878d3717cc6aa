"""Views; some of them talk to sockets, or let others answer."""

# ruff: noqa: UP031 - as they were written

from django.apps import apps
from django.contrib.auth import authenticate, login
from django.http import HttpResponse, JsonResponse

from board.models import Notice
from txchannels.django import Channel, Group
from txchannels.django.exceptions import ResponseLater


def front(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse("notices: %d" % Notice.objects.count())


def sign_in(request):
    user = authenticate(request, username=request.POST["name"], password=request.POST["password"])
    if user is None:
        return HttpResponse("no", status=403)
    login(request, user)
    return HttpResponse("hello " + user.username)


def post(request):
    """Saving tells the room; the rest is done behind the scenes."""
    notice = Notice.objects.create(room=request.POST["room"], text=request.POST["text"])
    Channel("board.notify").send({"notice": notice.pk, "tries": 0})
    return HttpResponse(notice.pk, status=201)


def wait(request):
    """A consumer answers."""
    Channel("board.answer").send(
        {"to": request.reply_channel.name, "what": request.GET.get("what", "nothing")}
    )
    if "own" in request.GET:
        raise request.ResponseLater
    raise ResponseLater


def ring(request):
    Group("everybody").send({"text": "ding"}, immediately=True)
    return HttpResponse("rung")


def remind(request):
    """In a tenth of a second."""
    content = {"room": request.POST["room"]}
    Channel("asgi.delay").send({"channel": "board.later", "delay": 100, "content": content})
    return HttpResponse("will do")


def seen(request):
    return JsonResponse(apps.get_app_config("board").counts)


def upload(request):
    return JsonResponse(
        {
            "method": request.method,
            "length": len(request.body),
            "type": request.content_type,
            "secure": request.is_secure(),
            "root": request.META["SCRIPT_NAME"],
            "message": request.message.channel.name,
        }
    )
