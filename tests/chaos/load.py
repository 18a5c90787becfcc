"""What a deployment under chaos has to do: runs are launched, some are canceled, and every limit is edited."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from pools import claims, sizing
from runs import catalog, granularity, launch, patience, run_limits, states, transitions
from runs.models import Run, RunTag
from runs.tag_limits import TagLimit
from tests.builders import ADA
from tests.chaos import jobs
from tests.edits import Limit

UNFINISHED = 14  # runs to keep in the deployment
TEAMS = ("core", "growth", "sales")
NUMBER = "chaos/number"  # a tag, different for each launch
SLOW = 3.0  # seconds: what a launch or an edit takes at most while Redis is away


def limits() -> dict[str, Limit]:
    """Every limit that is edited, by the key of its gate."""
    return {
        "pool:database": Limit(lambda n: sizing.set_limit("database", n, ADA), (2, 3, 4)),
        "pool:api": Limit(lambda n: sizing.set_limit("api", n, ADA), (0, 1, 2)),
        "pool:license": Limit(lambda n: sizing.set_limit("license", n, ADA), (1, 2, 3)),
        "runs": Limit(lambda n: run_limits.set_maximum(n, ADA), (4, 6, 9)),
        "each team": Limit(lambda n: run_limits.set_rule(TagLimit("team", n, per_value=True), ADA), (2, 3, 4)),
    }


class Load:
    """Work for a deployment, made in a thread of its own until it is told to stop."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.limits = limits()
        self.launched: dict[int, float] = {}  # the number of a launch that succeeded -> when
        self.canceled = 0
        self.edits = 0
        self.repeated = 0  # calls that the database's absence made necessary again
        self.slowest = 0.0  # seconds, of a launch or an edit while the database was there
        self.problems: list[str] = []
        self._numbers = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")

    def start(self) -> None:
        sizing.set_limit("fixed", jobs.FIXED, ADA)
        granularity.set_for_pool("license", "run", ADA)
        for limit in self.limits.values():
            limit.open()
        self._thread.start()

    def stop(self) -> None:
        """Launch no more, and leave every limit open, so that everything can end."""
        self._stop.set()
        self._thread.join(patience.PATIENCE * 3)
        for limit in self.limits.values():
            self._surely(limit.open)

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.05):
                self._one_step()
        except Exception as error:
            self.problems.append(f"launches stopped: {type(error).__name__}: {error}")

    def _one_step(self) -> None:
        unfinished = patience.patiently(Run.objects.exclude(state__in=states.RUN_TERMINAL).count)
        if unfinished < UNFINISHED:
            self._launch()
        dice = self.chance.random()
        if dice < 0.15:
            self.edits += 1
            limit = self.chance.choice(list(self.limits.values()))
            self._surely(lambda: limit.edit(self.chance))
        elif dice < 0.2:  # nothing may stay closed for long
            for limit in self.limits.values():
                self._surely(limit.open)
        elif dice < 0.22:
            self._cancel()

    def _launch(self) -> None:
        """Launch one run. When the answer is lost, look whether it is there before launching it again."""
        self._numbers += 1
        number = self._numbers
        job = launch.find_job(catalog.current(), self.chance.choice(jobs.JOBS))
        tags = {"team": self.chance.choice(TEAMS), NUMBER: str(number)}
        urgent = self.chance.choice((0, 0, 0, 5))

        def once() -> None:
            if not RunTag.objects.filter(key=NUMBER, value=str(number)).exists():
                launch.launch(job, who="ada", door="cli", tags=tags, priority=urgent)

        self._surely(once)
        self.launched[number] = time.time()

    def _cancel(self) -> None:
        run = patience.patiently(Run.objects.filter(state__in=(states.QUEUED, states.STARTED)).order_by("?").first)
        if run is not None:
            self.canceled += 1
            self._surely(lambda: transitions.cancel_run(run.pk, "ada"))

    def _surely(self, act: Callable[[], object]) -> None:
        """Do it, again if the database is away just then. Nothing else may keep it from being done."""

        def try_once() -> None:
            began = time.monotonic()
            try:
                act()
            except claims.AWAY:
                self.repeated += 1
                raise
            self.slowest = max(self.slowest, time.monotonic() - began)

        try:
            patience.patiently(try_once)
        except Exception as error:
            self.problems.append(f"refused: {type(error).__name__}: {error}")
