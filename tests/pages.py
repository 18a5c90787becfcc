"""An example of every page: what the tests of looks go through. A new address needs a line here (see tests/house).

`{run}`, `{op}` and the like stand for what the deployment that stands still has (tests/screenshots/scene.py).
"""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: dict[str, list[str]] = {
    "overview": ["/"],
    "runs": ["/runs/", "/runs/?state=failure", "/runs/?tag=team%3Dnobody", "/runs/?when=range&from=2026-11-01"],
    "views": ["/runs/views/", "/runs/views/?state=failure&when=7d"],
    "runs-cancel": ["/runs/cancel/?state=queued"],
    "run": ["/runs/{run}/", "/runs/{failed}/", "/runs/{queued}/"],
    "op": ["/runs/{run}/ops/load_sessions/", "/runs/{failed}/ops/charge_invoices/"],
    "run-logs": ["/runs/{run}/logs/", "/runs/{run}/logs/?level=warning&op=stage_refunds", "/runs/{queued}/logs/"],
    "run-why": ["/runs/{run}/why/", "/runs/{failed}/why/", "/runs/{queued}/why/"],
    "run-sooner": ["/runs/{run}/sooner/", "/runs/{queued}/sooner/"],
    "op-sooner": ["/runs/{run}/ops/load_sessions/sooner/"],
    "run-again": ["/runs/{failed}/again/"],
    "queue": ["/queue/"],
    "limits": ["/queue/limits/"],
    "jobs": ["/jobs/"],
    "launch": [
        "/jobs/daily_marts/launch/",
        "/jobs/daily_marts/launch/?as=yaml",
        "/jobs/daily_marts/launch/?from={run}",
    ],
    "job": ["/jobs/daily_marts/", "/jobs/growth_scores/"],
    "launch-assets": ["/launch/?select=customers&select=clicks"],
    "pools": ["/pools/"],
    "pool": ["/pools/warehouse/", "/pools/warehouse/?limit=10", "/pools/embeddings/"],
    "pool-likely": ["/pools/warehouse/likely/", "/pools/warehouse/likely/?limit=10"],
    "pool-history": ["/pools/warehouse/history/", "/pools/warehouse/history/?range=90d&compare=week"],
    "history": ["/history/", "/history/?range=7d&compare=week&pool=warehouse&pool=stripe_api"],
    "changes": ["/changes/"],
    "change": ["/changes/{change}/"],
    "audit": ["/audit/"],
    "finding": ["/audit/findings/{finding}/"],
    "workers": ["/workers/"],
    "settings": ["/settings/"],
    "search": ["/search/", "/search/?q=load", "/search/?q=nothing-like-it"],
    "login": ["/login/"],
    "login-link": ["{link}"],
}

NO_PAGES = {
    "runs-call-off": "asks, for ten seconds, whether nothing is to be canceled after all",
    "live": "the stream",
    "live-blocks": "its blocks as JSON",
    "rule-editor": "a fragment",
    "pool-stepper": "a fragment",
    "pool-effect": "what another limit would do, beside its stepper",
    "default-limit-effect": "the same of the default limit",
    "queue-maximum-effect": "the same of the maximum of runs",
    "rule-effect": "the same of a tag limit",
    "rule-new-effect": "the same of a rule that is being written",
    "run-log-fresh": "new lines of a log",
    "run-log-text": "a log as a file",
    "pool-csv": "samples as a file",
}


def addresses(names: Mapping[str, str]) -> list[str]:
    """All examples, of a deployment that has these names."""
    return [where.format(**names) for examples in EXAMPLES.values() for where in examples]
