"""`python -m console` serves; `python -m console migrate` brings the database up to date."""

from console.app import build
from console.settings import Settings
from postroom import run

if __name__ == "__main__":
    run("console", Settings, build)
