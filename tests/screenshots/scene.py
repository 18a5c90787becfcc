"""What goes on in the deployment: runs of every state, full pools, a line, limits that were changed."""

from __future__ import annotations

from datetime import datetime, timedelta

import django_rq
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone
from rq import Queue, RateLimit
from rq import Worker as RQWorker
from rq.serializers import JSONSerializer
from rq.utils import utcformat

from pools import claims, sizing
from pools.models import Audit, Change, Gate, Hold
from pools.sizing import Author
from runs import catalog, launch, run_limits, states, transitions, workforce
from runs.audit import record
from runs.models import LogLine, Op, Run, Worker
from tests import builders as a

LEAD, ADMIN = Author("ops-lead", "page", "Backfill of 11-17 to 11-22, back to 6 on Friday"), Author("admin", "page")
POOLS = {
    "warehouse": (6, "Snowflake XL, shared by all marts"),
    "stripe_api": (4, "Vendor asks for 4 calls at once"),
    "embeddings": (10, "Provider incident #4411"),
    "vendor_sftp": (1, "One session per account"),
    "gpu_a10": (6, "A10 nodes, us-east"),
    "dbt": (12, "dbt invocations"),
    "s3_ingest": (20, "Landing bucket readers"),
}


def play(moment: datetime) -> dict[str, str]:
    """Fill an empty database, as of this moment. Returns what the examples of pages are about (tests/pages.py)."""
    User.objects.create_superuser("admin")
    User.objects.create_user(LEAD.who)
    for name, (limit, text) in POOLS.items():
        sizing.set_limit(name, limit, ADMIN)
        sizing.describe(name, text, ADMIN)
    sizing.set_check_at_queue(False, ADMIN)
    run_limits.set_maximum(14, ADMIN)
    a.tag_rule("team", 3, "growth")
    for host in ("etl-1", "etl-2"):
        workforce.enlist(host, host, "default", 12)
    _yesterday()
    sizing.set_limit("warehouse", 8, LEAD)
    run = _marts()
    _others()
    _stuck_slot()
    _move_to(moment)
    failed = Run.objects.filter(state=states.FAILURE).latest("id")
    queued = Run.objects.filter(state=states.QUEUED).latest("id")
    change = Change.objects.filter(who=LEAD.who).latest("id")
    (finding,) = record.findings(Audit.objects.latest("id"))
    found = {"run": run.uid, "failed": failed.uid, "queued": queued.uid, "change": change.pk, "finding": finding.mark}
    return {name: str(value) for name, value in found.items()}


def _move_to(moment: datetime) -> None:
    """What is now becomes what was at this moment."""
    a.let_pass((timezone.now() - moment).total_seconds())
    record.audited(Author("clock", "clock"))
    Audit.objects.update(at=moment - timedelta(seconds=12))
    for number, worker in enumerate(Worker.objects.all()):
        heard = moment - timedelta(seconds=1 + number // 12 * 2)
        Worker.objects.filter(pk=worker.pk).update(lease_until=heard + timedelta(seconds=settings.LEASE_SECONDS))
    _redis(moment)


def launched(job: str, **how) -> Run:
    return launch.launch(catalog.current().jobs[job], who=how.pop("who", "schedule"), door="page", **how)


def go(run: Run, *keys: str) -> None:
    """Workers begin with these ops; without any, with all of the run that may."""
    for row in Op.objects.filter(run=run, state=states.ADMITTED, **({"key__in": keys} if keys else {})):
        free = Worker.objects.exclude(pk__in=Op.objects.filter(state=states.RUNNING).values("worker")).earliest("id")
        assert transitions.start(row.pk, row.token, free.pk, 4700 + free.pk)


def finish(run: Run, *keys: str) -> None:
    """These ops succeed; without any, all of the run that run."""
    for row in Op.objects.filter(run=run, state=states.RUNNING, **({"key__in": keys} if keys else {})):
        a.end(row)


def _yesterday() -> None:
    """Runs that are over."""
    backfills = [launched("warehouse_backfill", who="ops-lead") for _ in range(4)]
    for seconds in (140, 205, 95, 180):  # the later ones waited for the warehouse
        for run in backfills:
            go(run)
        a.let_pass(seconds)
        for run in backfills:
            finish(run)
    for job, minutes in (("daily_marts", 1), ("orders_hourly", 3), ("inventory", 2), ("nightly_billing", 4)):
        run = launched(job)
        while not Run.objects.get(pk=run.pk).over:
            go(run)
            a.let_pass(60 * minutes + 41)
            finish(run)
        a.let_pass(600)
    for _ in range(2):
        run = launched("nightly_billing", tags={"date": "2026-11-22"})
        go(run)
        a.let_pass(95)
        finish(run)
        go(run)
        a.let_pass(48)
        a.fail(a.the_op(run, "charge_invoices"), "RateLimited: 429 from api.stripe.com, retry after 60 s")
        a.let_pass(3 * 3600)
    transitions.cancel_run(launched("growth_scores").pk, "ops-lead")
    a.let_pass(8 * 3600)


def _marts() -> Run:
    """A run that has seen a bit of everything, and others that stand in its way."""
    stock = launched("inventory")
    a.let_pass(30)
    run = launched("daily_marts", tags={"partition": "2026-11-22"}, priority=5, who="schedule daily_1345")
    for one in (stock, run):
        go(one)
    a.let_pass(48)
    finish(stock, "fetch_vendor_stock")
    go(run)
    a.let_pass(35)
    finish(run, "extract_refunds", "extract_fx")
    go(run)
    a.let_pass(40)
    a.fail(a.the_op(run, "stage_refunds"), "connection reset by peer", retry_in=60)
    finish(run, "extract_orders")
    go(run)
    a.let_pass(42)
    finish(run, "extract_sessions")
    hourly = [launched("orders_hourly"), launched("orders_hourly"), launched("nightly_billing", priority=10)]
    backfill = launched("warehouse_backfill", who="ops-lead")
    for one in (*hourly, backfill, run):
        go(one)
    a.let_pass(60)
    a.due(a.the_op(run, "stage_refunds"))
    transitions.retry_due()
    finish(run, "stage_orders")
    go(run)
    a.let_pass(70)
    finish(run, "stage_refunds")
    finish(hourly[0])
    go(run)
    a.let_pass(150)
    finish(run, "load_orders")
    for one in (launched("warehouse_backfill", who="ops-lead"), launched("orders_hourly", priority=6), run):
        go(one)
    finish(run, "stage_sessions")
    a.let_pass(44)
    finish(run, "load_refunds")
    for one in (backfill, run):
        go(one)
    a.let_pass(58)
    _said(run)
    return run


def _said(run: Run) -> None:
    """What the ops of a run said so far."""
    lines = []
    for row in Op.objects.filter(run=run, started_at__isnull=False):
        texts = [("INFO", f"{row.key} begins"), ("DEBUG", "cursor opened"), ("STDOUT", "12 041 rows so far")]
        if row.attempt > 1:
            texts.append(("WARNING", "the source was reset, it is read again"))
        if row.ended_at:
            texts.append(("INFO", "Merged 1,204,331 rows into MART.REVENUE_DAILY (batch 3 of 4)"))
        for n, (level, text) in enumerate(texts):
            at = row.started_at + timedelta(seconds=7.31 * n)
            lines.append(LogLine(run=run, op=row, attempt=row.attempt, at=at, level=level, text=text))
    failed = Op.objects.get(run=run, key="stage_refunds")
    error = "ConnectionError: connection reset by peer"
    lines.append(LogLine(run=run, op=failed, attempt=1, at=failed.ready_at, level="ERROR", text=error))
    LogLine.objects.bulk_create(sorted(lines, key=lambda line: line.at))


def _others() -> None:
    sizing.pause("embeddings", Author("admin", "page", "provider incident #4411"))
    for _ in range(3):
        go(launched("growth_scores"))
    go(launched("product_embeddings", who="schedule"))
    urgent = launched("nightly_billing", priority=10)
    go(urgent)
    for job in ("inventory", "orders_hourly", "warehouse_backfill"):
        go(launched(job))
    a.let_pass(80)
    for job in ("growth_scores", "growth_attribution", "growth_attribution", "orders_hourly", "warehouse_backfill"):
        launched(job)
    a.let_pass(12)


def _stuck_slot() -> None:
    """A slot that an op holds which has ended, as the audit finds it."""
    gate = Gate.objects.get(key="pool:stripe_api")
    ended = Op.objects.filter(state=states.FAILURE, key="charge_invoices").latest("id")
    since = claims.clock_time() - timedelta(minutes=52)
    Hold.objects.create(gate=gate, holder=f"op:{ended.pk}", slots=1, token=ended.token or 1, since=since)
    Gate.objects.filter(pk=gate.pk).update(in_use=F("in_use") + 1)


def _redis(moment: datetime) -> None:
    """Our workers have signed on at RQ, and somebody else uses it too."""
    client = django_rq.get_connection("default")
    client.flushdb()
    queue = Queue("default", connection=client, serializer=JSONSerializer)
    for worker in Worker.objects.all():
        Worker.objects.filter(pk=worker.pk).update(pid=4700 + worker.pk)
        RQWorker([queue], name=worker.name, connection=client, serializer=JSONSerializer).register_birth()
    client.sadd(Queue.redis_queues_keys, queue.key)
    mail = Queue("mail", connection=client, serializer=JSONSerializer)
    for n in range(4):
        job = mail.enqueue("shop.mails.send_receipt", n, job_id=f"receipt-{n + 4411}", rate_limit=RateLimit("smtp", 2))
        client.hset(job.key, "enqueued_at", utcformat(moment - timedelta(seconds=95 - 20 * n)))
