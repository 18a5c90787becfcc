"""Every page has an example, so that it is looked at: accessibility, weight, phone, content policy."""

from __future__ import annotations

import inspect

from django.urls import URLPattern, resolve

from controlplane.urls import urlpatterns
from tests.pages import EXAMPLES, NO_PAGES

NAMES = ("run", "failed", "queued", "finding")


def is_read_by_get(pattern: URLPattern) -> bool:
    view = pattern.callback
    if hasattr(view, "view_class"):
        return "get" in view.view_class.http_method_names
    while view is not None:
        if allowed := inspect.getclosurevars(view).nonlocals.get("request_method_list"):
            return "GET" in allowed
        view = getattr(view, "__wrapped__", None)  # what is under this decorator
    raise AssertionError(f"{pattern.name}: say by a decorator which methods are allowed")


def test_every_page_has_an_example() -> None:
    pages = {pattern.name for pattern in urlpatterns if is_read_by_get(pattern)}
    assert pages >= {"overview", "login", "runs-cancel"}
    assert pages.isdisjoint({"logout", "pool-pause"})
    assert pages - NO_PAGES.keys() - EXAMPLES.keys() == set(), "name an example in tests/pages.py"
    assert EXAMPLES.keys() - pages == set(), "there is no such page any more"


def test_an_example_is_one_of_its_page() -> None:
    names = {**dict.fromkeys(NAMES, "abc"), "change": "1", "link": "/login/abc/def/"}
    for name, examples in EXAMPLES.items():
        for where in examples:
            assert resolve(where.format(**names).partition("?")[0]).url_name == name, where
