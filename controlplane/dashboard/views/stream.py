"""What is live on a page: as a stream, or asked for every few seconds."""

from __future__ import annotations

from hashlib import sha256

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_GET, require_safe

from controlplane.dashboard import drawing, live

# A redirect to the sign-in page makes no sense to a script: it is refused instead.


@login_not_required
@require_GET
async def live_stream(request: HttpRequest) -> HttpResponseBase:
    """The screens named by `t`, kept drawn."""
    user = await request.auser()
    if not user.is_authenticated:
        return _refused(401, "Sign in again.")
    if settings.LIVE != "sse":
        return _refused(503, f"There is no stream: LIVE={settings.LIVE}.")
    if not isinstance(request, ASGIRequest):  # a WSGI server would keep a thread busy for each open page
        return _refused(501, "The live stream needs an ASGI server.")
    # The one on which the session was read: a request closes it at its end, and this one has none for long.
    await sync_to_async(connections.close_all)()
    response = StreamingHttpResponse(live.hub().stream(frozenset(_topics(request))), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


@login_not_required
@require_safe
def blocks(request: HttpRequest) -> HttpResponseBase:
    """The blocks of those screens once, as JSON; 304 if they look as they did under the ETag that is sent along."""
    if not request.user.is_authenticated:
        return _refused(401, "Sign in again.")
    if settings.LIVE == "off":
        return _refused(503, "Pages are not live: LIVE=off.")
    drawn = drawing.draw_all(_topics(request))
    looks = "\n".join(f"{name} {drawing.still(html)}" for name, html in drawn.items())
    etag = f'"{sha256(looks.encode()).hexdigest()[:32]}"'
    response = JsonResponse(drawn, headers={"ETag": etag, "Cache-Control": "no-store"})
    return get_conditional_response(request, etag=etag, response=response) or response


def _topics(request: HttpRequest) -> list[str]:
    return request.GET.getlist("t")[: live.MOST_TOPICS]


def _refused(status: int, text: str) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain")
