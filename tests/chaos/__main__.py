"""`python -m tests.chaos`: work, limits and faults by chance on a real deployment; exit status 1 if anything broke.

The same seed draws the same faults, work and limits; when each happens to hit depends on the machine.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.chaos.site import Site


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="for how long faults happen (default 2)")
    parser.add_argument("--seed", type=int, default=None, help="what chance begins with (default: any)")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--lease", type=float, default=15.0, help="seconds of a lease (default 15, as in production)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    seed = random.randrange(2**31) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="sluice-chaos-"))
    _say(
        f"chaos on {options.database}: seed {seed}, {options.minutes:g} minutes, lease {options.lease:g} s, in {folder}"
    )
    site = Site(options.database, options.lease, folder)
    try:
        site.prepare()
        result = _chaos(site, random.Random(seed), options.minutes * 60)
    finally:
        site.close()
    result |= {"database": options.database, "seed": seed, "lease": options.lease}
    if options.json:
        print(json.dumps(result))
    if not result["violations"]:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    _say(f"What was left is in {folder}")
    return 1


def _chaos(site: Site, chance: random.Random, seconds: float) -> dict[str, Any]:
    """Let it happen, wait until all is calm, and judge."""
    from runs import states
    from runs.models import Op, Run
    from runs.patience import patiently
    from tests.chaos import report, trace, verdict
    from tests.chaos.load import Load
    from tests.chaos.observer import Observer
    from tests.chaos.storm import Storm

    began = time.monotonic()

    def progress(text: str) -> None:
        runs, ops = (patiently(model.objects.filter(ended_at__isnull=False).count) for model in (Run, Op))
        _say(f"[{time.monotonic() - began:6.1f} s] {runs:4} runs, {ops:5} ops over. {text}")

    site.start()
    load, observer = Load(random.Random(chance.random())), Observer()
    storm = Storm(site, chance, progress)
    load.start()
    observer.start()
    unfinished = Run.objects.exclude(state__in=states.RUN_TERMINAL)
    try:
        storm.rage(seconds)
    finally:
        load.stop()
        storm.calm(lambda: not patiently(unfinished.exists), 3 * site.lease + 60)
        observer.stop()
    progress("All is calm." if not unfinished.exists() else "Runs are left.")
    judged = verdict.Verdict(load, storm.injections, trace.read(site.trace))
    violations = [f"{found.kind}: {found.text}" for found in judged.violations]
    violations += [text for _, text in observer.problems] + load.problems
    violations += [f"stuck: after {i.fault.name} (burst {i.burst})" for i in storm.injections if i.recovered_at is None]
    violations += site.stop()
    rows = report.rows(site.database, storm.injections, judged)
    facts = {
        "runs": Run.objects.count(),
        "ops": Op.objects.count(),
        "attempts": len(judged.said),
        "edits": load.edits,
        "canceled": load.canceled,
        "looks": observer.looks,
        "calls repeated": load.repeated,
        "slowest call": round(load.slowest, 1),
        "seconds": round(time.monotonic() - began),
    }
    _say("\n" + report.table(rows) + "\n\n" + ", ".join(f"{name} {value}" for name, value in facts.items()))
    for text in violations[:50]:
        _say(f"VIOLATION {text}")
    return {"faults": rows, "facts": facts, "violations": violations}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
