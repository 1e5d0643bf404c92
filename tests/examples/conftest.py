"""Lets the tests import the template of a service, which is installed nowhere."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "examples" / "audit"))
