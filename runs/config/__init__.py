"""The configuration file: what it may say, how it differs from what is in force, and its way into the database.

The database is the truth; the file is applied to it. Keys that are present are set, absent ones are left
alone, and the list of tag rules is replaced as a whole.
"""

from runs.config.applying import Difference, apply, differences
from runs.config.document import UNSET, Configuration, InvalidConfiguration, parse, read

__all__ = [
    "UNSET",
    "Configuration",
    "Difference",
    "InvalidConfiguration",
    "apply",
    "differences",
    "parse",
    "read",
]
