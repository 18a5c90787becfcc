"""The rows behind every limit: what people edit (Pool, PoolSettings), what the engine keeps (Gate, Lane,
Waiter, Hold), who changed what (Change), how it stood over time (Sample), and what audits found (Audit, Repair).

Rows of the engine are written only by `claims.py`; `sizing.py` writes what people edit.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

MAX_LIMIT = 100_000


class Gate(models.Model):
    """A number that must not be exceeded: `in_use` may not pass `limit`.

    `cap` lets a limit be lowered under load: it is the larger of the limit and what was in use when the
    limit was lowered, and only ever comes down. A claim that forgot its condition hits the CHECK.
    """

    kind = models.CharField(max_length=20)  # pools.rules.KINDS
    key = models.CharField(max_length=300, unique=True)
    family = models.CharField(max_length=300, blank=True)  # gates born and closed together: one run's, one rule's
    label = models.CharField(max_length=300)
    limit = models.BigIntegerField(null=True)  # None: no limit, but still counted
    cap = models.BigIntegerField(null=True)
    in_use = models.BigIntegerField(default=0)
    paused = models.BooleanField(default=False)
    reserved = models.BigIntegerField(default=0)  # slots kept for a waiter that others have overtaken for too long
    reserved_for = models.CharField(max_length=64, blank=True)  # its holder
    reserved_priority = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(in_use__gte=0), name="gate_use_is_never_negative"),
            models.CheckConstraint(condition=Q(cap=None) | Q(in_use__lte=F("cap")), name="gate_use_stays_under_cap"),
            models.CheckConstraint(
                condition=Q(limit=None, cap=None) | Q(limit__isnull=False, cap__gte=F("limit")),
                name="gate_cap_covers_limit",
            ),
        ]
        indexes = [
            models.Index(fields=["kind", "key"], name="gates_of_a_kind"),
            models.Index(fields=["family"], name="gates_of_a_family", condition=~Q(family="")),
            models.Index(fields=["reserved_for"], name="gates_with_a_reservation", condition=~Q(reserved_for="")),
        ]

    def __str__(self) -> str:
        return self.key


class Lane(models.Model):
    """All candidates that need exactly the same slots at the same shared gates, in one line.

    Only the first in line matters. A lane with waiters is parked on one gate that blocks it.
    """

    signature = models.CharField(max_length=64, unique=True)  # sha256 of needs
    needs = models.TextField()  # JSON: [[gate id, slots], ...], in the order of rules.KINDS
    prospects = models.TextField(default="[]")  # JSON: [[gate id, ...], ...], see rules.Lane
    blocked_on = models.ForeignKey(Gate, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    without_prospect = models.BooleanField(default=False)  # its needs have room, and yet it must wait
    dirty = models.BooleanField(default=False)  # shall be looked at again
    account = models.TextField(default="{}")  # JSON: seconds that it was parked, by gate id, up to `parked_at`
    parked_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["blocked_on"], name="lanes_parked_on_a_gate", condition=Q(blocked_on__isnull=False)),
            models.Index(fields=["id"], name="lanes_to_look_at_again", condition=Q(dirty=True)),
            models.Index(fields=["id"], name="lanes_without_prospect", condition=Q(without_prospect=True)),
        ]

    def __str__(self) -> str:
        return f"lane {self.pk}"


class LaneGate(models.Model):
    """That a lane needs slots at a gate: the same as Lane.needs, for looking up the lanes of a gate."""

    lane = models.ForeignKey(Lane, on_delete=models.CASCADE)
    gate = models.ForeignKey(Gate, on_delete=models.PROTECT)
    slots = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["lane", "gate"], name="a_lane_names_a_gate_once"),
            models.CheckConstraint(condition=Q(slots__gte=1), name="a_lane_needs_at_least_one_slot"),
        ]

    def __str__(self) -> str:
        return f"lane {self.lane_id} needs {self.slots} of gate {self.gate_id}"


class Prospect(models.Model):
    """That a lane has a prospect at a gate: wakes lanes without prospect when something opens there."""

    lane = models.ForeignKey(Lane, on_delete=models.CASCADE, db_index=False)
    gate = models.ForeignKey(Gate, on_delete=models.PROTECT)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["lane", "gate"], name="a_lane_has_a_prospect_at_a_gate_once")]

    def __str__(self) -> str:
        return f"lane {self.lane_id} looks at gate {self.gate_id}"


class Waiter(models.Model):
    """A candidate in line. Becomes holds when it is admitted.

    `held_by` is a gate of its own run that blocks it: it then stands beside the line until that gate has
    room again, and returns with its priority and its time.
    """

    lane = models.ForeignKey(Lane, on_delete=models.PROTECT, db_index=False)
    holder = models.CharField(max_length=64, unique=True)
    priority = models.BigIntegerField()
    since = models.DateTimeField()
    number = models.BigIntegerField(default=0)  # of the holder; orders those that became candidates together
    give_up_at = models.DateTimeField(null=True)  # when it will have waited for too long
    private = models.TextField(default="[]")  # JSON: [[gate id, slots], ...], gates of its own run
    account = models.TextField(default="{}")  # JSON: its wait so far, see claims.account
    held_by = models.ForeignKey(Gate, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)

    class Meta:
        indexes = [
            models.Index(
                "lane", F("priority").desc(), "since", "number", name="the_line_of_a_lane", condition=Q(held_by=None)
            ),
            models.Index(
                "held_by",
                "lane",
                F("priority").desc(),
                "since",
                "number",
                name="waiters_a_gate_holds_back",
                condition=Q(held_by__isnull=False),
            ),
            # Empty lanes are found by it, and the runs whose ops wait in a lane.
            models.Index(fields=["lane", "private"], name="waiters_of_a_lane_by_run"),
            models.Index(fields=["give_up_at"], name="waiters_with_a_patience", condition=Q(give_up_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.holder


class Hold(models.Model):
    """That a holder has slots of a gate. `gate.in_use` is the sum of its holds.

    The token is new at every admission: whoever names an older one changes nothing. A hold with a lease
    counts until the lease runs out; one without lasts until it is released.
    """

    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, db_index=False)
    holder = models.CharField(max_length=64)
    slots = models.BigIntegerField()
    token = models.BigIntegerField()
    priority = models.BigIntegerField(default=0)  # with `asked_at`: its place in line, before it was admitted
    asked_at = models.DateTimeField(null=True)  # None: it never stood in line
    since = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["holder", "gate"], name="a_holder_holds_a_gate_once"),
            models.CheckConstraint(condition=Q(slots__gte=1), name="a_hold_has_at_least_one_slot"),
        ]
        indexes = [
            models.Index(fields=["gate", "since", "id"], name="holders_of_a_gate_in_order"),
            models.Index(fields=["lease_until"], name="holds_by_lease", condition=Q(lease_until__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.holder} holds {self.slots} of gate {self.gate_id}"


class Wait(models.Model):
    """How long a candidate that was admitted had waited for one gate. The rows of a token add up to its whole wait."""

    holder = models.CharField(max_length=64)
    token = models.BigIntegerField()
    at = models.DateTimeField()  # when it was admitted
    kind = models.CharField(max_length=20)  # of the gate; "prospects" for those without a gate of their own
    label = models.CharField(max_length=300)
    seconds = models.FloatField()

    class Meta:
        indexes = [models.Index(fields=["holder", "token"], name="waits_of_a_holder")]

    def __str__(self) -> str:
        return f"{self.holder} waited {self.seconds:.1f} s for {self.kind} {self.label}"


class Pool(models.Model):
    """What people edit about a named number of slots. The gate beside it counts.

    A pool without a limit of its own takes the default limit. Pausing keeps the limit and lets nobody in.
    """

    name = models.CharField(max_length=200, unique=True)
    description = models.CharField(max_length=500, blank=True)
    limit = models.BigIntegerField(null=True)
    granularity = models.CharField(max_length=3, blank=True)  # op, run; "": the default
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=150, blank=True)
    pause_reason = models.CharField(max_length=500, blank=True)
    paused_until = models.DateTimeField(null=True)  # when it is resumed by itself; None: somebody resumes it
    version = models.BigIntegerField(default=1)
    gate = models.OneToOneField(Gate, on_delete=models.PROTECT, related_name="pool")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(limit=None) | Q(limit__gte=0, limit__lte=MAX_LIMIT), name="pool_limit_in_range"
            ),
            models.CheckConstraint(condition=Q(granularity__in=["", "op", "run"]), name="pool_granularity_is_known"),
            models.CheckConstraint(
                condition=Q(paused_until=None) | Q(paused_at__isnull=False), name="only_a_pause_has_an_end"
            ),
        ]
        indexes = [
            models.Index(fields=["paused_until"], name="pauses_that_end", condition=Q(paused_until__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name


class PoolSettings(models.Model):
    """The one row of settings for all pools: `concurrency.pools` of the configuration file."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    default_limit = models.BigIntegerField(null=True)  # None: a pool without a limit of its own is unlimited
    granularity = models.CharField(max_length=3, default="op")  # who holds slots: op, or run from start to end
    check_at_queue = models.BooleanField(default=True)  # hold a run back while all its root ops' pools are taken
    run_buffer = models.BigIntegerField(default=0)  # how many more such runs may start: op_granularity_run_buffer
    version = models.BigIntegerField(default=1)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="there_is_one_row_of_pool_settings"),
            models.CheckConstraint(condition=Q(granularity__in=["op", "run"]), name="granularity_is_known"),
            models.CheckConstraint(condition=Q(run_buffer__gte=0, run_buffer__lte=MAX_LIMIT), name="buffer_in_range"),
            models.CheckConstraint(
                condition=Q(default_limit=None) | Q(default_limit__gte=0, default_limit__lte=MAX_LIMIT),
                name="default_limit_in_range",
            ),
        ]

    def __str__(self) -> str:
        return "pool settings"


class Change(models.Model):
    """One line of the change ledger: who changed which limit, when, from what to what, why, by which door.

    `before` and `after` are for people. What they can't carry and an undo needs stands in `detail`: of a
    tag rule its key, value and per_value; of a deleted pool its limit, description, granularity and pause;
    of a pause that ended its reason.
    """

    at = models.DateTimeField()
    who = models.CharField(max_length=150)
    door = models.CharField(max_length=20)  # page, cli, file, engine
    subject = models.CharField(max_length=300)  # "pool:database", "runs", "rule:team=growth"
    field = models.CharField(max_length=50)
    before = models.CharField(max_length=500)
    after = models.CharField(max_length=500)
    why = models.CharField(max_length=500, blank=True)
    detail = models.JSONField(default=dict)
    reverts = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="reverted_by")

    class Meta:
        indexes = [models.Index("subject", F("id").desc(), name="changes_of_a_subject")]

    def __str__(self) -> str:
        return f"{self.subject} {self.field}: {self.before} -> {self.after}"


class Sample(models.Model):
    """The most that was in use and that waited in a stretch of time, and what those admitted in it had waited."""

    subject = models.CharField(max_length=300)  # "pool:database", "runs", "ops", "slots": see runs.sampling
    step = models.IntegerField()  # how long it was, in seconds
    at = models.BigIntegerField()  # when it began, in seconds since 1970: a multiple of the step
    in_use = models.BigIntegerField()
    limit = models.BigIntegerField(null=True)  # the last in force; None: without
    waiting = models.BigIntegerField()
    waits = models.TextField(blank=True)  # see pools.samples.histogram

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["step", "at", "subject"], name="a_subject_is_sampled_once_a_step")
        ]
        indexes = [models.Index(fields=["subject", "step", "at"], name="the_history_of_a_subject")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.at}"


class Sampled(models.Model):
    """How far the samples of a step have come, and up to which Wait."""

    step = models.IntegerField(primary_key=True)
    upto = models.BigIntegerField()
    wait = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"samples of {self.step} s up to {self.upto}"


class Audit(models.Model):
    """What one audit found. The newest are kept."""

    at = models.DateTimeField()
    seconds = models.FloatField()
    who = models.CharField(max_length=150)
    door = models.CharField(max_length=20)  # page, cli, clock
    drift = models.IntegerField()  # how many findings
    findings = models.JSONField(default=list)  # see pools.audit.books.Finding
    unseen = models.JSONField(default=list)  # what could not be looked at, and why

    def __str__(self) -> str:
        return f"audit {self.pk}: drift {self.drift}"


class Repair(models.Model):
    """Something that an audit found and that was set right: who, when, what was found, what was done."""

    at = models.DateTimeField()
    who = models.CharField(max_length=150)
    door = models.CharField(max_length=20)  # page, cli
    kind = models.CharField(max_length=30)
    subject = models.CharField(max_length=300)
    found = models.TextField()
    evidence = models.JSONField(default=dict)
    done = models.CharField(max_length=500)

    def __str__(self) -> str:
        return f"repair of {self.kind}: {self.subject}"
