"""The rows of what people keep for themselves and each other. They are models like those of `runs.models`."""

from __future__ import annotations

from django.db import models


class Preset(models.Model):
    """A launch of a job that people keep under a name: see `launch_document.Document`."""

    job = models.CharField(max_length=200)
    name = models.CharField(max_length=60)
    document = models.JSONField()
    saved_by = models.CharField(max_length=150)
    saved_at = models.DateTimeField()
    version = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "name"], name="a_job_has_a_preset_of_a_name_once")]

    def __str__(self) -> str:
        return f"{self.job} {self.name}"
