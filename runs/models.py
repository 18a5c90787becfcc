"""The rows of what was asked for and what happened. States are written only by `transitions`."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from runs import states
from runs.kept import Preset  # noqa: F401  a model too


class Plan(models.Model):
    """The frozen definition of what a run executes: op specs by step key. Runs of one job share a row."""

    digest = models.CharField(max_length=64, unique=True)  # sha256 of body
    body = models.TextField()  # JSON, see runs.graph.Plan

    def __str__(self) -> str:
        return self.digest[:12]


class PlanPool(models.Model):
    """That ops of a plan use a pool: finds the runs that a change of the pool's granularity concerns."""

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, db_index=False)
    pool = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["plan", "pool"], name="a_plan_names_a_pool_once")]
        indexes = [models.Index(fields=["pool", "plan"], name="plans_that_use_a_pool")]

    def __str__(self) -> str:
        return f"plan {self.plan_id} uses {self.pool}"


class Run(models.Model):
    """One launch of a job."""

    uid = models.CharField(max_length=32, unique=True)
    job = models.CharField(max_length=200)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, db_index=False)
    state = models.CharField(max_length=12, default=states.QUEUED)
    priority = models.BigIntegerField(default=0)
    pools_held = models.TextField(default="[]")  # JSON: pools of granularity run when it started; its ops take none
    tags = models.JSONField(default=dict)
    params = models.JSONField(default=dict)
    launched_by = models.CharField(max_length=150)
    door = models.CharField(max_length=20)  # page, cli, demo
    queued_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    canceled_by = models.CharField(max_length=150, blank=True)
    error = models.CharField(max_length=500, blank=True)  # why it failed, where that is not an op's fault
    deadline = models.DateTimeField(null=True)  # when it has been in progress for as long as it may
    # The run that it executes again, the first of that family, and the run from which its launch was filled in.
    parent = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="children", db_index=False)
    root = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="descendants", db_index=False)
    source = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    retries_left = models.IntegerField(default=0)  # how often its family is executed again if it fails
    retry_at = models.DateTimeField(null=True)  # when it is to be executed again

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=sorted(states.RUN_STATES)), name="run_state_is_known"),
            models.CheckConstraint(
                condition=Q(state__in=list(states.RUN_TERMINAL), ended_at__isnull=False)
                | (~Q(state__in=list(states.RUN_TERMINAL)) & Q(ended_at=None)),
                name="a_run_has_an_end_when_it_is_over",
            ),
        ]
        indexes = [
            models.Index("state", F("id").desc(), name="runs_of_a_state"),
            models.Index(fields=["job", "id"], name="runs_of_a_job"),
            models.Index(  # with the state, for which SQLite would take another index and sort
                "state",
                F("priority").desc(),
                "queued_at",
                "id",
                name="the_queue_in_order",
                condition=Q(state=states.QUEUED),
            ),
            models.Index(fields=["id"], name="runs_that_are_active", condition=~Q(state__in=list(states.RUN_TERMINAL))),
            models.Index(fields=["queued_at"], name="runs_by_their_launch"),
            models.Index(fields=["ended_at", "id"], name="runs_that_are_over", condition=Q(ended_at__isnull=False)),
            models.Index(fields=["deadline"], name="runs_with_a_deadline", condition=Q(deadline__isnull=False)),
            models.Index(fields=["retry_at"], name="runs_to_execute_again", condition=Q(retry_at__isnull=False)),
            models.Index(fields=["parent"], name="runs_executed_again", condition=Q(parent__isnull=False)),
            models.Index(fields=["root"], name="runs_of_a_family", condition=Q(root__isnull=False)),
            models.Index(fields=["source", "id"], name="runs_launched_from_a_run", condition=Q(source__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.job} {self.short}"

    @property
    def short(self) -> str:
        """The first eight characters of the uid, enough for a person."""
        return self.uid[:8]

    @property
    def over(self) -> bool:
        return self.state in states.RUN_TERMINAL


class RunTag(models.Model):
    """A tag of a run, for finding runs by tag; the run carries the same tags for showing them."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, db_index=False)
    key = models.CharField(max_length=200)
    value = models.CharField(max_length=500)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="a_run_has_a_tag_once")]
        indexes = [
            models.Index("key", "value", F("run").desc(), name="runs_with_a_tag"),
            models.Index("key", F("run").desc(), name="runs_with_any_value_of_a_tag"),
        ]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class Op(models.Model):
    """One unit of work of a run. Kept narrow: what does not change is in the plan."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, db_index=False)
    key = models.CharField(max_length=200)  # the step key
    rank = models.IntegerField()  # its place in the plan's topological order
    queue = models.CharField(max_length=100)
    asset = models.BooleanField(default=False)
    isolated = models.BooleanField(default=False)  # it gets a process of its own
    state = models.CharField(max_length=12, default=states.PENDING)
    priority = models.BigIntegerField(default=0)  # the op's own; the run's is added when it waits
    waits_for = models.IntegerField(default=0)  # upstream ops that have not finished
    attempt = models.IntegerField(default=0)  # tries that ran
    crashes = models.IntegerField(default=0)  # those of them that a crash ended and that are not held against it
    token = models.BigIntegerField(null=True)  # the fence, new at every admission
    worker = models.ForeignKey(  # no constraint: a worker's row goes when it dies, what it did stays
        "Worker", null=True, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    pid = models.IntegerField(null=True)
    ready_at = models.DateTimeField(null=True)
    admitted_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)
    reused_from = models.BigIntegerField(null=True)  # the op whose success this is; it was not run again

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "key"], name="a_run_has_a_step_key_once"),
            models.CheckConstraint(condition=Q(state__in=sorted(states.OP_STATES)), name="op_state_is_known"),
            models.CheckConstraint(condition=Q(waits_for__gte=0), name="an_op_waits_for_no_less_than_nobody"),
            models.CheckConstraint(
                condition=~Q(state__in=list(states.OP_WITH_SLOTS)) | Q(token__isnull=False),
                name="an_op_with_slots_has_a_token",
            ),
        ]
        indexes = [
            models.Index(
                fields=["run"], name="unfinished_ops_of_a_run", condition=Q(state__in=list(states.OP_UNFINISHED))
            ),
            models.Index(fields=["worker"], name="ops_that_run_on_a_worker", condition=Q(state=states.RUNNING)),
            models.Index(fields=["queue"], name="ops_on_their_way_to_a_worker", condition=Q(state=states.ADMITTED)),
            models.Index(fields=["retry_at"], name="ops_to_retry", condition=Q(state=states.UP_FOR_RETRY)),
            models.Index(fields=["ready_at"], name="ops_that_wait", condition=Q(state=states.READY)),
            models.Index(
                "key", F("id").desc(), name="values_of_an_asset", condition=Q(asset=True, state=states.SUCCESS)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} of run {self.run_id}"


class OpEvent(models.Model):
    """What happened to an op and is not in its row any more: attempts that were not the last, voices that came late."""

    op = models.ForeignKey(Op, on_delete=models.CASCADE, db_index=False)
    attempt = models.IntegerField()
    kind = models.CharField(max_length=12)  # see runs.verdict
    started_at = models.DateTimeField(null=True)  # of the attempt
    at = models.DateTimeField()
    text = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = [models.Index(fields=["op", "id"], name="what_happened_to_an_op")]

    def __str__(self) -> str:
        return f"attempt {self.attempt} of op {self.op_id}: {self.kind}"


class OpOutput(models.Model):
    """What an op returned, if it was not None: JSON here, or a signed file in the outputs storage."""

    op = models.OneToOneField(Op, on_delete=models.CASCADE, related_name="output")
    body = models.TextField()  # see runs.outputs

    def __str__(self) -> str:
        return f"output of op {self.op_id}"


SEVERE = ["CRITICAL", "ERROR", "WARNING"]  # levels of lines that an index of their own finds


class LogLine(models.Model):
    """A line that an op wrote: by context.log, logging, stdout or stderr."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, db_index=False)
    op = models.ForeignKey(Op, on_delete=models.CASCADE, db_index=False)
    attempt = models.IntegerField()
    at = models.DateTimeField()
    level = models.CharField(max_length=10)
    text = models.TextField()

    class Meta:
        indexes = [
            models.Index(fields=["run", "id"], name="the_log_of_a_run"),
            models.Index(fields=["op", "id"], name="the_log_of_an_op"),
            models.Index(fields=["run", "id"], name="warnings_and_errors_of_a_run", condition=Q(level__in=SEVERE)),
        ]

    def __str__(self) -> str:
        return self.text[:80]


class Worker(models.Model):
    """A living RQ worker process. Its launcher renews the lease; the gate of its queue counts it."""

    name = models.CharField(max_length=200, unique=True)  # the RQ worker's name
    host = models.CharField(max_length=200)
    place = models.CharField(max_length=100, blank=True)  # where its pid means something, see runs.parentage
    launcher = models.CharField(max_length=32)  # the launcher's incarnation
    queue = models.CharField(max_length=100)
    pid = models.IntegerField(null=True)
    born_at = models.DateTimeField()
    lease_until = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["queue"], name="workers_of_a_queue")]

    def __str__(self) -> str:
        return self.name


class RunQueue(models.Model):
    """The one row of the run queue's maximum: `concurrency.runs.max_concurrent_runs`."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    max_concurrent_runs = models.BigIntegerField(null=True, default=10)  # None: no limit (-1 in the file)
    version = models.BigIntegerField(default=1)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="there_is_one_run_queue"),
            models.CheckConstraint(
                condition=Q(max_concurrent_runs=None) | Q(max_concurrent_runs__gte=0),
                name="max_concurrent_runs_in_range",
            ),
        ]

    def __str__(self) -> str:
        return "run queue"


class TagRule(models.Model):
    """A limit on runs in progress with a tag: with one value, with any value, or with each value."""

    key = models.CharField(max_length=200)
    value = models.CharField(max_length=500, null=True)  # noqa: DJ001  None: whatever the value
    per_value = models.BooleanField(default=False)  # each distinct value has its own allowance
    limit = models.BigIntegerField()
    phase = models.CharField(max_length=8, default="force")  # entering, force, leaving: see runs.relining
    version = models.BigIntegerField(default=1)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(phase__in=["entering", "force", "leaving"]), name="rule_phase_is_known"),
            models.UniqueConstraint(
                fields=["key", "value"], name="a_rule_for_a_value_stands_once", condition=Q(value__isnull=False)
            ),
            models.UniqueConstraint(
                fields=["key", "per_value"], name="a_rule_for_any_value_stands_once", condition=Q(value=None)
            ),
            models.CheckConstraint(condition=Q(limit__gte=0), name="a_rules_limit_is_never_negative"),
            models.CheckConstraint(
                condition=Q(value=None) | Q(per_value=False), name="a_rule_for_a_value_is_not_per_value"
            ),
        ]

    def __str__(self) -> str:
        if self.per_value:
            return f"each {self.key}"
        return self.key if self.value is None else f"{self.key}={self.value}"


class Relining(models.Model):
    """Queued runs are being moved to the lanes that a changed rule, or granularity, now gives them.

    Those up to `after` have been moved. Concerned are the runs that `rule` counts, or that use one of `pools`.
    """

    rule = models.OneToOneField(TagRule, null=True, on_delete=models.CASCADE, related_name="relining")
    pools = models.JSONField(default=list)
    after = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"relining for {self.rule or ', '.join(self.pools)}"


class Pruned(models.Model):
    """How far a kind of rows has been pruned: for runs that ended up to then, and up to that id."""

    kind = models.CharField(max_length=10, primary_key=True)  # logs, outputs: see runs.retention
    ended_at = models.DateTimeField()
    run_id = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.kind} of runs that ended before {self.ended_at}"


class BulkCancel(models.Model):
    """Somebody cancels all runs of a filter: those launched up to `newest`, from there down to `before` so far."""

    who = models.CharField(max_length=150)
    group = models.CharField(max_length=20, blank=True)  # see filters.Filter
    job = models.CharField(max_length=200, blank=True)
    tag = models.CharField(max_length=701, blank=True)
    text = models.CharField(max_length=200, blank=True)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    newest = models.BigIntegerField()
    before = models.BigIntegerField()  # runs with this id and above have been seen to
    total = models.IntegerField()  # how many there were to cancel
    canceled = models.IntegerField(default=0)
    begun_at = models.DateTimeField()
    begins_at = models.DateTimeField(null=True)  # until then it can be called off; None: it began at once
    called_off_by = models.CharField(max_length=150, blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["id"], name="bulk_cancels_that_go_on", condition=Q(ended_at=None))]

    def __str__(self) -> str:
        return f"{self.canceled} of {self.total} runs canceled by {self.who}"
