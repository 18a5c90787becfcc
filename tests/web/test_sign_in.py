"""Signing in: by password, by a link that works once."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from controlplane.dashboard import login_links

pytestmark = pytest.mark.django_db(transaction=True)


def path_of(link: str) -> str:
    return link.removeprefix("http://here")


def test_a_link_signs_in_once(engine) -> None:
    login_links.ensure_user("admin")
    where = path_of(login_links.make("admin", "http://here/"))
    browser = Client()
    assert browser.get(where).status_code == 200
    assert browser.get("/").status_code == 302, "opening the link has not signed in"
    assert browser.post(where)["Location"] == "/"
    assert browser.get("/").status_code == 200
    assert Client().post(where).status_code == 410
    assert Client().get(where).status_code == 410


def test_a_made_up_link_is_spent(engine) -> None:
    user = login_links.ensure_user("admin")
    good = path_of(login_links.make("admin", "http://here"))
    for where in (good[:-3] + "xx/", "/login/zzzz/abc/", "/login/MTAwMDAw/abc-def/"):
        assert Client().post(where).status_code == 410
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert Client().post(good).status_code == 410


def test_a_password_signs_in(engine) -> None:
    User.objects.create_user("ann", password="a long secret")
    browser = Client()
    assert "Please enter a correct" in browser.post("/login/", {"username": "ann", "password": "no"}).content.decode()
    assert (
        browser.post("/login/?next=/pools/", {"username": "ann", "password": "a long secret", "next": "/pools/"})[
            "Location"
        ]
        == "/pools/"
    )
    assert browser.post("/logout/").status_code == 302
    assert browser.get("/").status_code == 302


def test_the_stream_refuses_strangers(engine) -> None:
    assert Client().get("/live/?t=overview").status_code == 401
