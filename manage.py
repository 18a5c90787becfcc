#!/usr/bin/env python
"""The door to every command: `python manage.py help` lists them."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
    from controlplane.cli import main

    sys.exit(main(sys.argv))
