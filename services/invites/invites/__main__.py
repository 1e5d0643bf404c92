"""`python -m invites` serves; `python -m invites migrate` brings the database to the newest version."""

from invites.app import build
from invites.settings import Settings
from postroom import run

if __name__ == "__main__":
    run("invites", Settings, build)
