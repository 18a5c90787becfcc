"""Signing in: by password, by a link that works once."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from controlplane.dashboard import login_links
from controlplane.dashboard.models import Session

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


@pytest.fixture
def reader(engine) -> Client:
    """Ann's, who is signed in and may only look."""
    client = Client()
    client.force_login(User.objects.create_user("ann", password="a long secret"))
    return client


def test_a_session_is_read_together_with_its_user(reader: Client) -> None:
    (row,) = Session.objects.all()
    assert row.user == User.objects.get()
    with CaptureQueriesContext(connection) as asked:
        assert reader.get("/login/").status_code == 200
    assert len([each for each in asked.captured_queries if "auth_user" in each["sql"]]) == 1


def test_what_becomes_of_a_user_holds_from_the_next_request_on(reader: Client) -> None:
    ann, where = User.objects.get(), "/pools/database/pause/"
    assert reader.post(where).status_code == 403
    ann.groups.add(Group.objects.get_or_create(name="operators")[0])
    assert reader.post(where).status_code == 404, "no pool is called so"
    ann.groups.clear()
    assert reader.post(where).status_code == 403
    User.objects.update(is_active=False)
    assert reader.get("/").status_code == 302


@pytest.mark.parametrize("befalls", ["another password", "removed"])
def test_who_has_another_password_or_is_removed_is_signed_out(reader: Client, befalls: str) -> None:
    ann = User.objects.get()
    if befalls == "removed":
        ann.delete()
        assert not Session.objects.exists()
    else:
        ann.set_password("another secret")
        ann.save()
    assert reader.get("/").status_code == 302


def test_a_session_is_of_whom_its_data_says(reader: Client) -> None:
    ben = User.objects.create_user("ben")
    Session.objects.update(user=ben)
    assert ">ann" in reader.get("/").content.decode()


def test_the_stream_refuses_strangers(engine) -> None:
    assert Client().get("/live/?t=overview").status_code == 401
