"""The audit's page: what the last audit found, with its evidence, and one button for each finding."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from pools import claims
from pools.models import Audit, Gate, Hold, Repair
from pools.sizing import Author
from runs import states
from runs.audit import drift, record
from runs.audit.looking import Look
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)

HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_REQUEST_TYPE": "partial"}
CLOCK = Author("clock", "clock")


@pytest.fixture
def stuck(engine, definitions) -> Hold:
    """A slot of `database` that an op holds which has ended; another op waits for it. The last audit has found it."""
    a.pool("database", 1)
    ended = a.running_op(a.op("load", pool="database"))
    a.end(ended)
    gate = Gate.objects.get(key="pool:database")
    since = claims.clock_time() - timedelta(minutes=6)
    hold = Hold.objects.create(gate=gate, holder=f"op:{ended.pk}", slots=1, token=ended.token, since=since)
    Gate.objects.filter(pk=gate.pk).update(in_use=1)
    a.started_run(a.job(a.op("next", pool="database")))
    record.audited(CLOCK)
    return hold


@pytest.fixture
def freed(stuck):
    """The stuck slot does not outlive the test."""
    yield stuck
    with claims.desk() as desk:
        desk.release(stuck.holder, stuck.token)


def mark() -> str:
    (finding,) = record.findings(Audit.objects.latest("id"))
    return finding.mark


def test_a_healthy_engine(operator: Client) -> None:
    record.audited(CLOCK)
    text = operator.get("/audit/").content.decode()
    assert "No stuck slot" in text
    assert "is-stuck" not in text
    assert len(re.findall(r'<li id="k-', text)) == len(record.KINDS)
    assert "by clock" in text


def test_before_the_first_audit(operator: Client) -> None:
    assert "No audit yet. The clock makes one each minute." in operator.get("/audit/").content.decode()


def test_a_stuck_slot_is_shown_with_its_evidence(operator: Client, freed: Hold) -> None:
    text = operator.get("/audit/").content.decode()
    assert "Stuck slots" in text
    assert "A slot of pool database, for" in text
    assert "is success" in text
    assert "Drift: 1" in text
    assert f'hx-post="/audit/findings/{mark()}/repair/"' in text
    assert '<span class="ct bad" id="count-audit">1</span>' in text


def test_a_stuck_slot_is_shown_where_people_look(operator: Client, freed: Hold) -> None:
    for where in ("/", "/pools/database/"):
        text = operator.get(where).content.decode()
        assert f'hx-post="/audit/findings/{mark()}/repair/"' in text, where
        assert "is success" in text
    overview = operator.get("/").content.decode()
    assert re.search(r"<h1>A slot of <a [^>]*>database</a> is held by nobody alive.</h1>", overview)
    assert "Release it, and whoever is first in line takes it." in overview
    assert "berth stuck" in operator.get("/pools/database/").content.decode()
    for where in ("/", "/pools/", "/pools/database/"):
        text = operator.get(where).content.decode()
        assert "database: 1 of 1 slots in use, 1 stuck" in text, where
        assert re.search(r"i-stuck.*?1 stuck</span>", text), where


def test_the_evidence_of_a_finding(operator: Client, freed: Hold) -> None:
    response = operator.get(f"/audit/findings/{mark()}/")
    text = response.content.decode()
    assert response.status_code == 200
    assert "Slots are held by nobody alive" in text
    assert str(freed.token) in text
    assert f'action="/audit/findings/{mark()}/repair/"' in text
    assert "</html>" in text
    fragment = operator.get(f"/audit/findings/{mark()}/", **HTMX)
    assert fragment["HX-Retarget"] == "#dialog"
    assert "</html>" not in fragment.content.decode()


def test_releasing_a_stuck_slot(operator: Client, stuck: Hold) -> None:
    response = operator.post(f"/audit/findings/{mark()}/repair/", **HTMX)
    assert response.status_code == 200
    assert f"Released: {stuck.holder}." in response.content.decode()
    assert not Hold.objects.filter(pk=stuck.pk).exists()
    made = Repair.objects.get()
    assert (made.who, made.door, made.subject) == ("ann", "page", stuck.holder)
    assert a.in_use("pool:database") == 0 or a.in_state(states.ADMITTED)
    text = operator.get("/audit/").content.decode()
    assert "No stuck slot" in text
    assert made.found in text.replace("&#x27;", "'")


def test_releasing_it_without_scripts(operator: Client, stuck: Hold) -> None:
    response = operator.post(f"/audit/findings/{mark()}/repair/", follow=True)
    assert response.redirect_chain == [("/audit/", 302)]
    assert f"Released: {stuck.holder}." in response.content.decode()


def test_a_button_that_is_stale_changes_nothing(operator: Client, freed: Hold) -> None:
    seen = mark()
    Hold.objects.filter(pk=freed.pk).update(token=freed.token + 1)
    response = operator.post(f"/audit/findings/{seen}/repair/", **HTMX)
    assert response.status_code == 409
    assert "Nothing was changed" in response.content.decode()
    assert Hold.objects.filter(pk=freed.pk).exists()
    assert not Repair.objects.exists()
    Hold.objects.filter(pk=freed.pk).update(token=freed.token)


def test_pressed_twice_the_second_changes_nothing(operator: Client, stuck: Hold) -> None:
    seen = mark()
    assert operator.post(f"/audit/findings/{seen}/repair/", **HTMX).status_code == 200
    assert operator.post(f"/audit/findings/{seen}/repair/", **HTMX).status_code == 409
    assert operator.get(f"/audit/findings/{seen}/").status_code == 404
    assert Repair.objects.count() == 1


def test_another_kind_of_drift(operator: Client) -> None:
    a.pool("database", 2)
    Gate.objects.filter(key="pool:database").update(in_use=2)
    record.audited(CLOCK)
    text = operator.get("/audit/").content.decode()
    assert "Other drift" in text
    assert "pool database counts 2 in use; its holds add up to 0" in text
    assert "The last audit</a> found drift: 1" in operator.get("/").content.decode()
    response = operator.post(f"/audit/findings/{mark()}/repair/", **HTMX)
    assert "Repaired: count 0, and let in whoever then fits." in response.content.decode()
    assert a.in_use("pool:database") == 0


def test_auditing_now(operator: Client, freed: Hold) -> None:
    response = operator.post("/audit/now/", **HTMX)
    assert "Drift: 1." in response.content.decode()
    assert Audit.objects.latest("id").who == "ann"
    assert operator.post("/audit/now/").url == "/audit/"


@pytest.mark.parametrize("where", ["/audit/now/", "/audit/findings/MARK/repair/"])
def test_only_operators_repair(viewer: Client, freed: Hold, where: str) -> None:
    address = where.replace("MARK", mark())
    assert viewer.post(address, **HTMX).status_code == 403
    assert viewer.get(address).status_code == 405
    assert Hold.objects.filter(pk=freed.pk).exists()
    assert not Repair.objects.exists()


def test_a_viewer_sees_it_all_and_no_button_that_works(viewer: Client, freed: Hold) -> None:
    text = viewer.get("/audit/").content.decode()
    assert "Stuck slots" in text
    assert "data-operator" not in text.partition(">")[0] + text.partition("<html")[2].partition(">")[0]
    shown = viewer.get(f"/audit/findings/{mark()}/").content.decode()
    assert "Repairing it needs the operator role." in shown
    assert "disabled" in shown


@pytest.mark.parametrize("seen", ["nothing", "0" * 16])
def test_a_finding_that_there_is_not(operator: Client, seen: str) -> None:
    assert operator.get(f"/audit/findings/{seen}/").status_code == 404
    assert operator.post(f"/audit/findings/{seen}/repair/", **HTMX).status_code == 409


def test_a_holder_with_a_strange_name_breaks_no_page(operator: Client, engine) -> None:
    a.pool("database", 1)
    gate = Gate.objects.get(key="pool:database")
    Hold.objects.create(gate=gate, holder="op:<x>", slots=1, token=1, since=claims.clock_time())
    Gate.objects.filter(pk=gate.pk).update(in_use=1)
    record.audited(CLOCK)
    for where in ("/", "/pools/database/", "/audit/", f"/audit/findings/{mark()}/"):
        response = operator.get(where)
        assert response.status_code == 200
        assert "op:<x>" not in response.content.decode()
        assert "op:&lt;x&gt;" in response.content.decode()
    operator.post(f"/audit/findings/{mark()}/repair/", **HTMX)
    assert not Hold.objects.exists()


def test_a_warning_is_no_drift_and_has_no_button(operator: Client, engine) -> None:
    """As PostgreSQL has it: see tests/store/test_vacuum.py."""
    old = drift.TransactionRow("session 4711", "ann, nightly dump", "active", timezone.now(), "SELECT 1")
    (warning,) = drift.held_back([old])
    record.keep(Look(timezone.now(), (), warnings=(warning,)), 0.1, CLOCK)
    text = operator.get("/audit/").content.decode()
    assert "An old transaction keeps PostgreSQL from removing dead rows" in text
    assert "session 4711 of ann, nightly dump has a transaction open since" in text
    assert "End it, if nobody needs it: SELECT 1." in text
    assert "No drift" in text
    assert warning.mark not in re.findall(r"/audit/findings/(\w+)/", text)
    assert operator.get(f"/audit/findings/{warning.mark}/").status_code == 404
