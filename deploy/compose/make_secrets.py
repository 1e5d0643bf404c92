"""Makes up the secrets of docker-compose.yml, once: random ones, which nobody ever sees or types.

Each part has a folder of its own, with a file for each setting; it mounts no other's. What is there stays as it is.
"""

import secrets
from pathlib import Path

ROOT = Path("/secrets")
SERVICES = ("invites", "membership", "billing", "notifier", "console")


def main() -> None:
    done = ROOT / "postgres" / "postgres_password"
    if done.exists():
        print("The secrets are there.")
        return
    for part, settings in made_up().items():
        for name, value in settings.items():
            write(ROOT / part / name, value)
    # Last, so that it is there only where all are.
    write(done, secrets.token_hex(16))
    print("New secrets are made.")


def made_up() -> dict[str, dict[str, str]]:
    """The settings of each part. Who shares one has the same."""
    passwords = {service: secrets.token_hex(16) for service in SERVICES}
    link_key = {"link_key": secrets.token_urlsafe(32)}
    accounts_key = {"accounts_key": secrets.token_urlsafe(32)}
    api_key = {"stripe_api_key": f"sk_test_{secrets.token_hex(16)}"}
    publishable_key = {"stripe_publishable_key": f"pk_test_{secrets.token_hex(16)}"}
    webhook_secret = {"stripe_webhook_secret": f"whsec_{secrets.token_hex(16)}"}
    parts = {
        "invites": link_key,
        "membership": {},
        "billing": api_key | webhook_secret,
        "notifier": link_key | accounts_key,
        "console": accounts_key | publishable_key,
    }
    for service, password in passwords.items():
        parts[service] = parts[service] | {"database_url": f"postgresql://{service}:{password}@postgres:5432/{service}"}
    return parts | {"postgres": passwords, "stripe": api_key | publishable_key | webhook_secret}


def write(path: Path, value: str) -> None:
    """Readable for whatever user the part runs as: the volume is the part's alone."""
    path.write_text(value, encoding="utf-8")
    path.chmod(0o444)


if __name__ == "__main__":
    main()
