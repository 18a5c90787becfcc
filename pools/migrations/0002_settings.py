"""The one row of pool settings."""

from django.db import migrations


def make(apps, schema_editor):
    apps.get_model("pools", "PoolSettings").objects.get_or_create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("pools", "0001_initial")]
    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
