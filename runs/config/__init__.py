"""The configuration file: what it may say, how it differs from what is in force, and its way into the database.

The database is the truth; the file is applied to it. Keys that are present are set, absent ones are left
alone, and the list of tag rules is replaced as a whole.
"""

from runs.config.applying import Difference, Refused, apply, differences
from runs.config.document import parse, read
from runs.config.exporting import as_yaml, document
from runs.config.schema import as_json, json_schema
from runs.config.values import UNSET, Configuration, InvalidConfiguration, ListedPool

__all__ = [
    "UNSET",
    "Configuration",
    "Difference",
    "InvalidConfiguration",
    "ListedPool",
    "Refused",
    "apply",
    "as_json",
    "as_yaml",
    "differences",
    "document",
    "json_schema",
    "parse",
    "read",
]
