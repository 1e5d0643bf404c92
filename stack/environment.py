"""What a process of the platform finds in its environment: the same, whatever the caller's own holds."""

import os

_INHERITED = frozenset(
    {"PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH"}
)

_TRACES = "OTEL_"
"""OpenTelemetry's own variables: where the services send traces, if somebody wants to see them."""


def python_environment() -> dict[str, str]:
    """For a Python process: where programs and packages are, where traces are sent, and nothing else that would be
    taken for a setting."""
    inherited = {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith(_TRACES)}
    return inherited | {
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        # The folder that a process runs in holds data, not packages.
        "PYTHONSAFEPATH": "1",
        "TZ": "UTC",
    }
