"""What people keep for themselves on the pages."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class SavedView(models.Model):
    """A filter of runs that somebody has given a name, to come back to it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False, related_name="+")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=4000)  # as in the page's address

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="a_person_names_a_view_once")]

    def __str__(self) -> str:
        return self.name
