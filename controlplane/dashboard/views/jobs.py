"""Jobs and assets: what can be launched, and one job."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from controlplane.dashboard import screens
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


@require_safe
def show(request: HttpRequest, name: str) -> HttpResponse:
    """A job; also one that is not offered any more, as long as there are runs of it."""
    found = catalog.current()
    try:
        blocks = screens.blocks_of(f"job:{name}")
    except screens.NoSuchScreen as error:
        raise Http404(f"No job is called {name}.") from error
    return page(
        request,
        "jobs/show.html",
        blocks,
        topic=f"job:{name}",
        here="jobs",
        name=name,
        job=found.jobs.get(name),
        problems=found.problems,
    )
