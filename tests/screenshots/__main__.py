"""`python -m tests.screenshots FOLDER [PAGE ...]`: every page in light, dark and on a phone."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.screenshots import camera
from tests.screenshots.still import Still

if __name__ == "__main__":
    still = Still()
    try:
        camera.photograph(still, Path(sys.argv[1]), sys.argv[2:])
    finally:
        still.stop()
