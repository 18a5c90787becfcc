"""Readers and definitions for the tests of the pages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from pools.models import Change
from runs import catalog
from runs.models import Run
from tests import builders as a
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


@pytest.fixture
def busy(engine, definitions) -> Run:
    """A deployment in which something of everything goes on. Returns a run with waiting ops."""
    a.pool("database", 1)
    a.pool("api", 3)
    a.tag_rule("team", 1, "growth")
    a.tag_rule("tenant", 2, per_value=True)
    a.workers(3)
    ops = [a.op(f"op_{n}", pool="database") for n in range(4)]
    run = a.started_run(a.job(*ops, a.op("last", after=["op_0"]), max_concurrent=2), tags={"tenant": "x"})
    a.start(a.in_state("admitted", run)[0])
    failed = a.running_op(a.op("broken"))
    a.fail(failed, "ValueError: it broke")
    for _ in range(3):
        a.launched_run(tags={"team": "growth"})
    return run


def address(where: str, run: Run) -> str:
    if "CHANGE" in where:
        where = where.replace("CHANGE", str(Change.objects.latest("id").pk))
    return where.replace("UID", run.uid)
