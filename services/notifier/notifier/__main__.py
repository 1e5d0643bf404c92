"""`python -m notifier` serves; `python -m notifier migrate` brings the database up to date."""

from notifier.app import build
from notifier.settings import Settings
from postroom import run

if __name__ == "__main__":
    run("notifier", Settings, build)
