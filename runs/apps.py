"""Names the application for Django and tells the pools what to do when a run or an op is admitted."""

from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "runs"
    verbose_name = "Runs"

    def ready(self) -> None:
        from runs import holders

        holders.register()
