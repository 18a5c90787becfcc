"""The address of the live stream."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET

from controlplane.dashboard import live


@login_not_required  # a redirect to the sign-in page makes no sense to a stream: it is refused instead
@require_GET
async def live_stream(request: HttpRequest) -> HttpResponseBase:
    """The screens named by `t`, kept drawn."""
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse("Sign in again.", status=401, content_type="text/plain")
    if not isinstance(request, ASGIRequest):  # a WSGI server would keep a thread busy for each open page
        return HttpResponse("The live stream needs an ASGI server.", status=501, content_type="text/plain")
    topics = frozenset(request.GET.getlist("t")[: live.MOST_TOPICS])
    response = StreamingHttpResponse(live.hub().stream(topics), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response
