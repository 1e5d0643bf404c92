"""Makes up the secrets of docker-compose.yml, once: random ones, which nobody ever sees or types.

Each part has a folder of its own, with a file for each setting; it mounts no other's. What is there stays as it is, and
what is missing, because a run was interrupted or a release has brought it, is made. Who shares one has the same.
"""

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path("/secrets")
SERVICES = ("invites", "membership", "billing", "notifier", "console")
SHARED: Mapping[str, tuple[Callable[[], str], tuple[str, ...]]] = {
    "postgres_password": (lambda: secrets.token_hex(16), ("postgres",)),
    "link_key": (lambda: secrets.token_urlsafe(32), ("invites", "notifier")),
    "accounts_key": (lambda: secrets.token_urlsafe(32), ("notifier", "console")),
    "stripe_api_key": (lambda: f"sk_test_{secrets.token_hex(16)}", ("billing", "stripe")),
    "stripe_publishable_key": (lambda: f"pk_test_{secrets.token_hex(16)}", ("console", "stripe")),
    "stripe_webhook_secret": (lambda: f"whsec_{secrets.token_hex(16)}", ("billing", "stripe")),
}
"""How each is made up, and the parts that know it."""


def main(root: Path = ROOT) -> None:
    made = 0
    for name, (made_up, parts) in SHARED.items():
        files = [root / part / name for part in parts]
        value = next(filter(None, map(read, files)), None) or made_up()
        made += sum(write(file, value) for file in files)
    for service in SERVICES:
        # The service knows its password as a part of the URL.
        own, of_postgres = root / service / "database_url", root / "postgres" / service
        password = read(of_postgres) or urlsplit(read(own)).password or secrets.token_hex(16)
        made += write(of_postgres, password)
        made += write(own, f"postgresql://{service}:{password}@postgres:5432/{service}")
    print(f"New secrets are made: {made}." if made else "The secrets are there.")


def read(file: Path) -> str:
    """Nothing where there is none, or one that was never finished."""
    return file.read_text(encoding="utf-8") if file.exists() else ""


def write(file: Path, value: str) -> bool:
    """Whether it was missing. It is there as a whole or not at all, and readable for whatever user the part runs as:
    the volume is the part's alone."""
    if read(file):
        return False
    new = file.with_name(f".{file.name}.new")
    # One that is left from before may be written by nobody.
    new.unlink(missing_ok=True)
    with new.open("x", encoding="utf-8") as opened:
        opened.write(value)
        opened.flush()
        os.fsync(opened.fileno())
    new.chmod(0o444)
    new.replace(file)
    return True


if __name__ == "__main__":
    main()
