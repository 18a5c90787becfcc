"""Every address. A thing is read by GET at its own address, and changed by POST at a part of it."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path, register_converter

from controlplane.dashboard.addresses import PoolKey
from controlplane.dashboard.views import (
    audit,
    canceling,
    changes,
    effects,
    jobs,
    launching,
    logs,
    ops,
    overview,
    pools,
    queue,
    runs,
    saved,
    search,
    settings,
    sign_in,
    stream,
    workers,
)

register_converter(PoolKey, "pool")

urlpatterns = [
    path("", overview.show, name="overview"),
    path("runs/", runs.index, name="runs"),
    path("runs/cancel/", canceling.cancel_all, name="runs-cancel"),
    path("runs/views/", saved.index, name="views"),
    path("runs/views/<int:view_id>/", saved.rename, name="view"),
    path("runs/views/<int:view_id>/delete/", saved.delete, name="view-delete"),
    path("runs/<slug:uid>/", runs.show, name="run"),
    path("runs/<slug:uid>/ops/<str:key>/", ops.show, name="op"),
    path("runs/<slug:uid>/ops/<str:key>/retry/", ops.retry, name="op-retry"),
    path("runs/<slug:uid>/ops/<str:key>/give-up/", ops.give_up, name="op-give-up"),
    path("runs/<slug:uid>/logs/", logs.show, name="run-logs"),
    path("runs/<slug:uid>/logs/new/", logs.fresh, name="run-log-fresh"),
    path("runs/<slug:uid>/logs/text/", logs.download, name="run-log-text"),
    path("runs/<slug:uid>/cancel/", runs.cancel, name="run-cancel"),
    path("runs/<slug:uid>/again/", runs.again, name="run-again"),
    path("runs/<slug:uid>/priority/", runs.reprioritize, name="run-priority"),
    path("queue/", queue.show, name="queue"),
    path("queue/limits/", queue.limits, name="limits"),
    path("queue/limits/maximum/", queue.maximum, name="queue-maximum"),
    path("queue/limits/maximum/effect/", effects.maximum, name="queue-maximum-effect"),
    path("queue/limits/rules/effect/", effects.new_rule, name="rule-new-effect"),
    path("queue/limits/rules/<int:rule_id>/effect/", effects.rule, name="rule-effect"),
    path("queue/limits/rules/", queue.add_rule, name="rules"),
    path("queue/limits/rules/<int:rule_id>/", queue.edit_rule, name="rule"),
    path("queue/limits/rules/<int:rule_id>/delete/", queue.delete_rule, name="rule-delete"),
    path("jobs/", jobs.index, name="jobs"),
    path("jobs/<slug:name>/launch/", launching.launch_job, name="launch"),
    path("launch/", launching.launch_assets, name="launch-assets"),
    path("pools/", pools.index, name="pools"),
    path("pools/<pool:name>/", pools.show, name="pool"),
    path("pools/<pool:name>/limit/", pools.limit, name="pool-limit"),
    path("pools/<pool:name>/effect/", effects.pool, name="pool-effect"),
    path("pools/<pool:name>/granularity/", pools.granularity, name="pool-granularity"),
    path("pools/<pool:name>/pause/", pools.pause, name="pool-pause"),
    path("pools/<pool:name>/resume/", pools.resume, name="pool-resume"),
    path("pools/<pool:name>/description/", pools.describe, name="pool-describe"),
    path("pools/<pool:name>/delete/", pools.delete, name="pool-delete"),
    path("changes/", changes.index, name="changes"),
    path("changes/<int:change_id>/", changes.show, name="change"),
    path("changes/<int:change_id>/revert/", changes.revert, name="change-revert"),
    path("audit/", audit.show, name="audit"),
    path("audit/now/", audit.make, name="audit-now"),
    path("audit/findings/<slug:mark>/", audit.finding, name="finding"),
    path("audit/findings/<slug:mark>/repair/", audit.repair, name="repair"),
    path("workers/", workers.show, name="workers"),
    path("settings/", settings.show, name="settings"),
    path("settings/default-limit/", settings.default_limit, name="default-limit"),
    path("settings/granularity/", settings.granularity, name="default-granularity"),
    path("settings/run-buffer/", settings.run_buffer, name="run-buffer"),
    path("settings/check-at-queue/", settings.check_at_queue, name="check-at-queue"),
    path("settings/rules/", settings.add_rule, name="settings-rules"),
    path("search/", search.show, name="search"),
    path("live/", stream.live_stream, name="live"),
    path("live/blocks/", stream.blocks, name="live-blocks"),
    path("login/", LoginView.as_view(template_name="sign_in/password.html"), name="login"),
    path("login/<str:uid>/<str:token>/", sign_in.by_link, name="login-link"),
    path("logout/", LogoutView.as_view(), name="logout"),
]

handler400 = "controlplane.dashboard.views.errors.bad_request"
handler403 = "controlplane.dashboard.views.errors.forbidden"
handler404 = "controlplane.dashboard.views.errors.not_found"
handler500 = "controlplane.dashboard.views.errors.failed"
