"""The one run queue and its gate: ten runs in progress until somebody says otherwise."""

from django.db import migrations


def make(apps, schema_editor):
    queue, _ = apps.get_model("runs", "RunQueue").objects.get_or_create(pk=1)
    maximum = queue.max_concurrent_runs
    apps.get_model("pools", "Gate").objects.get_or_create(
        key="runs", defaults={"kind": "runs", "label": "runs in progress", "limit": maximum, "cap": maximum}
    )


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_initial"), ("pools", "0002_settings")]
    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
