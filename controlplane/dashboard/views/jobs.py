"""Jobs and assets: what can be launched."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from controlplane.dashboard.views.page import page
from runs import catalog, queries


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    found = catalog.current()
    histories = queries.job_histories(sorted(found.jobs))
    return page(
        request,
        "jobs/index.html",
        here="jobs",
        jobs=[(found.jobs[name], histories[name]) for name in sorted(found.jobs)],
        assets=[
            {
                "name": asset.name,
                "description": asset.description,
                "pools": asset.pools,
                "upstream": ", ".join((*asset.inputs, *asset.deps)),
            }
            for _, asset in sorted(found.assets.items())
        ],
        problems=found.problems,
        modules=found.modules,
    )
