from django.db import migrations

# Rows of these change with every op. PostgreSQL looks after a table once a fifth of its rows is dead, which for the few
# live rows of a long table is late: whoever looks for the first in a line steps over the dead ones.
HOT = ["pools_gate", "pools_lane", "pools_waiter", "pools_hold", "runs_op", "runs_run", "runs_worker"]
EAGER = {
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "500",
    "autovacuum_vacuum_insert_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.02",
}


def set_options(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        options = ", ".join(f"{name} = {value}" for name, value in EAGER.items())
        for table in HOT:
            schema_editor.execute(f"ALTER TABLE {table} SET ({options})")


def reset_options(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table in HOT:
            schema_editor.execute(f"ALTER TABLE {table} RESET ({', '.join(EAGER)})")


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0012_flat_lists'),
        ('pools', '0008_flat_lines'),
    ]

    operations = [migrations.RunPython(set_options, reset_options, elidable=False)]
