"""The page, and the list as it is now."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from shopping.bindings import ItemBinding
from shopping.models import MAX_AMOUNT, MAX_NAME, Item

__all__ = ["items", "page"]


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The page. Its list comes from `items`, its changes over the socket that it opens."""
    limits = {"max_name": MAX_NAME, "max_amount": MAX_AMOUNT}
    return render(request, "shopping/page.html", limits)


@require_safe
def items(request: HttpRequest) -> HttpResponse:
    """All items, each as the binding sends it."""
    binding = ItemBinding()
    rows = [{"pk": item.pk, "data": binding.serialize_data(item)} for item in Item.objects.all()]
    response = JsonResponse({"items": rows})
    response["Cache-Control"] = "no-store"
    return response
