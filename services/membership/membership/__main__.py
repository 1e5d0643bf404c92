"""`python -m membership` serves; `python -m membership migrate` brings the database up to date."""

from membership.app import build
from membership.settings import Settings
from postroom import run

if __name__ == "__main__":
    run("membership", Settings, build)
