"""`python -m audit` serves; `python -m audit migrate` brings the database up to date."""

from audit.app import build
from postroom import ServiceSettings, run

if __name__ == "__main__":
    run("audit", ServiceSettings, build)
