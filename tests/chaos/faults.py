"""What happens to a deployment: each kind of fault, how it is undone, and by what one sees that all goes on.

A fault touches processes and servers only. Whether the deployment has recovered is asked of the ledger.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Sequence

import psutil
import psycopg
import redis

from tests.chaos import ledger
from tests.chaos.site import WORKERS, Part, Site, horses_of, send


class Fault:
    """One fault, which is injected once. `hit` are the processes whose ops have to be settled."""

    name = ""  # its line of the table
    target = ""  # two faults with the same one do not go together
    from_the_start = False  # recovery is counted from its beginning, not from its end
    understaffed = False  # workers are missing afterwards
    stops_work = False  # nothing may start while it lasts

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.site, self.chance = site, chance
        self.hit: list[int] = []
        self.paused: list[int] = []  # processes that stood still

    @property
    def lasts(self) -> float:
        """Seconds until it is undone."""
        return 0.0

    def inject(self) -> bool:
        """Let it happen. False: there was nothing to hit."""
        raise NotImplementedError

    def undo(self) -> None:
        """Whatever it broke is there again."""

    def recovered_at(self, since: float) -> float | None:
        """When everything went on as before. None: not yet."""
        moments = [since, *(ledger.settled_at(pid) for pid in self.hit)]
        if self.understaffed:
            moments.append(ledger.staffed_at(WORKERS, since))
        if self.stops_work:
            moments.append(ledger.started_after(since))
        return None if None in moments else max(moment for moment in moments if moment is not None)

    def one(self, victims: Sequence[psutil.Process]) -> list[psutil.Process]:
        """One of them, if there is any."""
        return [self.chance.choice(victims)] if victims else []


# --- death ------------------------------------------------------------------------------------------


class OpKilled(Fault):
    name = "op's process killed"

    def inject(self) -> bool:
        return self.kill(self.one(horses_of(self.site.workers())))

    def kill(self, victims: Sequence[psutil.Process]) -> bool:
        self.hit = [horse.pid for horse in victims]
        for victim in victims:
            send(victim, signal.SIGKILL)
        return bool(victims)


class WorkerKilled(Fault):
    """Its op's process dies with it."""

    name = "worker killed"
    understaffed = True

    def inject(self) -> bool:
        victims = self.one(self.site.workers())
        self.hit = [horse.pid for horse in horses_of(victims)]
        for victim in victims:
            send(victim, signal.SIGKILL)
        return bool(victims)


class WorkerAndOpKilled(OpKilled):
    name = "worker and op killed together"
    understaffed = True

    def inject(self) -> bool:
        victims = self.one([worker for worker in self.site.workers() if horses_of([worker])])
        horses = horses_of(victims)
        for victim in victims:
            send(victim, signal.SIGKILL)
        return self.kill(horses)


class LauncherKilled(Fault):
    name = "launcher killed"
    target = "launcher"
    understaffed = True

    def inject(self) -> bool:
        self.launcher = self.chance.choice(self.site.launchers)
        self.hit = [horse.pid for horse in horses_of(self.launcher.children())]
        self.launcher.process.kill()
        return True


class HostLost(LauncherKilled):
    """All that runs there is gone, and what comes back does not know that it was there before."""

    name = "host lost"
    from_the_start = True
    lasts = 1.0

    def inject(self) -> bool:
        self.launcher = self.chance.choice(self.site.launchers)
        self.launcher.down = True
        family = self.launcher.children(recursive=True)
        self.hit = [horse.pid for horse in horses_of(self.launcher.children())]
        self.launcher.process.kill()
        for process in family:
            send(process, signal.SIGKILL)
        return True

    def undo(self) -> None:
        self.launcher.moves += 1
        self.launcher.down = False


class LauncherTold(LauncherKilled):
    """As for a deploy: what does not end within the grace goes back in line."""

    name = "launcher told to stop"

    def inject(self) -> bool:
        self.launcher = self.chance.choice(self.site.launchers)
        self.hit = [horse.pid for horse in horses_of(self.launcher.children())]
        self.launcher.process.terminate()
        return True


class ClockKilled(Fault):
    name = "clock killed"
    target = "clock"
    stops_work = True

    @property
    def lasts(self) -> float:
        return self.site.lease / 3

    def inject(self) -> bool:
        self.site.clock.down = True
        self.site.clock.process.kill()
        return True

    def undo(self) -> None:
        self.site.clock.down = False


# --- pauses -----------------------------------------------------------------------------------------


class Paused(Fault):
    """A process that stands still for longer than a lease."""

    stops_work = True

    @property
    def lasts(self) -> float:
        return self.site.lease * 1.5

    def victims(self) -> Sequence[psutil.Process]:
        raise NotImplementedError

    def inject(self) -> bool:
        self.still = self.victims()
        self.paused = [process.pid for process in self.still]
        for process in self.still:
            send(process, signal.SIGSTOP)
        return bool(self.still)

    def undo(self) -> None:
        for process in self.still:
            send(process, signal.SIGCONT)


class OpPaused(Paused):
    name = "op's process paused"

    def victims(self) -> Sequence[psutil.Process]:
        return self.one(horses_of(self.site.workers()))


class WorkerPaused(Paused):
    name = "worker paused"

    def victims(self) -> Sequence[psutil.Process]:
        return self.one(self.site.workers())


class LauncherPaused(Paused):
    """Nobody renews the leases of its ops: its workers end them, and themselves, before the leases run out."""

    name = "launcher paused"
    target = "launcher"
    understaffed = True

    def victims(self) -> Sequence[psutil.Process]:
        return _itself(self.chance.choice(self.site.launchers))


class HostPaused(Paused):
    """A machine that slept: its ops go on where they were, and may have been started again elsewhere."""

    name = "host paused"
    target = "launcher"
    from_the_start = True
    stops_work = False

    def victims(self) -> Sequence[psutil.Process]:
        launcher = self.chance.choice(self.site.launchers)
        self.hit = [horse.pid for horse in horses_of(launcher.children())]
        return [*_itself(launcher), *launcher.children(recursive=True)]


class ClockPaused(Paused):
    name = "clock paused"
    target = "clock"

    def victims(self) -> Sequence[psutil.Process]:
        return _itself(self.site.clock)


def _itself(part: Part) -> list[psutil.Process]:
    try:
        return [psutil.Process(part.process.pid)]
    except psutil.NoSuchProcess:
        return []


# --- Redis ------------------------------------------------------------------------------------------


class RedisKilled(Fault):
    name = "Redis killed"
    target = "Redis"
    stops_work = True
    lasts = 2.0

    def inject(self) -> bool:
        self.site.redis.kill()
        return True

    def undo(self) -> None:
        self.site.redis.start()


class RedisEmptied(RedisKilled):
    name = "Redis killed, back empty"

    def undo(self) -> None:
        self.site.redis.forget()
        self.site.redis.start()


class RedisSilent(RedisKilled):
    """It takes connections and answers nothing: what a broken network looks like."""

    name = "Redis silent"
    lasts = 3.0

    def inject(self) -> bool:
        self.site.redis.process.send_signal(signal.SIGSTOP)
        return True

    def undo(self) -> None:
        self.site.redis.process.send_signal(signal.SIGCONT)


class RedisCut(RedisKilled):
    name = "Redis connections cut"
    lasts = 0.0

    def inject(self) -> bool:
        return self.tell(lambda client: [client.client_kill_filter(_type=kind) for kind in ("normal", "pubsub")])

    def undo(self) -> None:
        pass

    def tell(self, what: Callable[[redis.Redis], object]) -> bool:
        with redis.Redis.from_url(self.site.redis.url) as client:
            what(client)
        return True


class RedisFull(RedisCut):
    name = "Redis full"
    lasts = 2.0

    def inject(self) -> bool:
        return self.tell(
            lambda client: client.config_set("maxmemory-policy", "noeviction") and client.config_set("maxmemory", 1)
        )

    def undo(self) -> None:
        self.tell(lambda client: client.config_set("maxmemory", 0))


# --- PostgreSQL -------------------------------------------------------------------------------------


class BackendsCut(Fault):
    """Connections are cut in the middle of whatever they do."""

    name = "PostgreSQL connections cut"
    target = "PostgreSQL"
    stops_work = True

    def inject(self) -> bool:
        assert self.site.postgres is not None
        with psycopg.connect(self.site.postgres.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < 0.7"
            )
        return True


class DatabaseRestarted(Fault):
    name = "PostgreSQL restarted"
    target = "PostgreSQL"
    stops_work = True
    lasts = 1.5
    how = signal.SIGINT

    def inject(self) -> bool:
        assert self.site.postgres is not None
        self.site.postgres.halt(self.how)
        return True

    def undo(self) -> None:
        assert self.site.postgres is not None
        self.site.postgres.start()


class DatabaseCrashed(DatabaseRestarted):
    name = "PostgreSQL crashed"
    how = signal.SIGQUIT


EVERYWHERE: tuple[type[Fault], ...] = (
    OpKilled, WorkerKilled, WorkerAndOpKilled, LauncherKilled, HostLost, LauncherTold, ClockKilled,
    OpPaused, WorkerPaused, LauncherPaused, HostPaused, ClockPaused,
    RedisKilled, RedisEmptied, RedisSilent, RedisCut, RedisFull,
)  # fmt: skip
ON_POSTGRES: tuple[type[Fault], ...] = (BackendsCut, DatabaseRestarted, DatabaseCrashed)


def kinds(database: str) -> list[type[Fault]]:
    """What can happen to a deployment with this database."""
    return [*EVERYWHERE, *(ON_POSTGRES if database == "postgres" else ())]
