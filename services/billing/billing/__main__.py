"""`python -m billing` serves; `python -m billing migrate` brings the database up to date."""

from billing.app import build
from billing.settings import Settings
from postroom import run

if __name__ == "__main__":
    run("billing", Settings, build)
