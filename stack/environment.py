"""What a process of the platform finds in its environment: the same, whatever the caller's own holds."""

import os

_INHERITED = frozenset(
    {"PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH"}
)


def python_environment() -> dict[str, str]:
    """For a Python process: where programs and packages are, and nothing that would be taken for a setting."""
    return {name: value for name, value in os.environ.items() if name in _INHERITED} | {
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        # The folder that a process runs in holds data, not packages.
        "PYTHONSAFEPATH": "1",
        "TZ": "UTC",
    }
