"""Readers and definitions for the tests of the pages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from runs import catalog
from tests.invariants import check_engine


@pytest.fixture(autouse=True)
def static_files(settings) -> None:
    """Plain names for static files: nothing has been collected."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture
def definitions(monkeypatch) -> catalog.Catalog:
    loaded = catalog.load(["tests.web.definitions"])
    monkeypatch.setattr(catalog, "_loaded", loaded)
    return loaded


@pytest.fixture
def operator(engine, definitions) -> Client:
    """A browser of somebody who may act."""
    user = User.objects.create_user("ann")  # to make a password takes half a second
    user.groups.add(Group.objects.get_or_create(name="operators")[0])
    client = Client()
    client.force_login(user)
    yield client
    check_engine()


@pytest.fixture
def viewer(engine, definitions) -> Client:
    """A browser of somebody who may only look."""
    client = Client()
    client.force_login(User.objects.create_user("vic"))
    return client
