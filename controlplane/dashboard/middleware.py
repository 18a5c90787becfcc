"""What holds for every request and every answer.

Nothing with a NUL is let in. The content security policy: our own files, nothing inline, nobody's frame. Pages go
over the wire compressed. Whoever loads the address of a button is told so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.decorators import sync_and_async_middleware

from controlplane.dashboard.views import errors

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


@sync_and_async_middleware
def content_security_policy(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Set the header on every response, whichever way it is served."""
    if iscoroutinefunction(get_response):

        async def serve_async(request: HttpRequest) -> HttpResponseBase:
            answer: Awaitable[HttpResponseBase] = get_response(request)
            return _marked(await answer)

        return serve_async

    def serve(request: HttpRequest) -> HttpResponseBase:
        return _marked(get_response(request))

    return serve


def _marked(response: HttpResponseBase) -> HttpResponseBase:
    response.headers["Content-Security-Policy"] = POLICY
    return response


@sync_and_async_middleware
def say_not_allowed(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Give a 405 a page: Django's own is empty, and whoever loads the address of a button would see nothing."""

    def is_bare(request: HttpRequest, response: HttpResponseBase) -> bool:
        return response.status_code == 405 and request.method == "GET"

    def worded(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        said = errors.not_allowed(request)
        said["Allow"] = response.headers["Allow"]
        return said

    if iscoroutinefunction(get_response):

        async def serve_async(request: HttpRequest) -> HttpResponseBase:
            response: HttpResponseBase = await get_response(request)
            return await sync_to_async(worded)(request, response) if is_bare(request, response) else response

        return serve_async

    def serve(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = get_response(request)
        return worded(request, response) if is_bare(request, response) else response

    return serve


class Compressed(GZipMiddleware):
    """Compress pages, to a fifth. The stream is left alone: what is held back to be compressed comes late."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response if response.streaming else super().process_response(request, response)


class RefuseNul:
    """Answer 400 to a NUL in the address or in a form: no browser sends it, and PostgreSQL refuses the statement."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, args: object, named: object) -> None:
        """Called when the address is known to be one of ours; here a form is read anyway, for its CSRF token."""
        texts = [request.path]
        for sent in (request.GET, request.POST):
            texts += [text for name, values in sent.lists() for text in (name, *values) if isinstance(text, str)]
        if any("\0" in text for text in texts):
            raise BadRequest("There is a NUL character in it.")
