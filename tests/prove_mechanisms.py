"""Takes each safety mechanism of postroom, console and billing away and looks whether a test notices: a mechanism that
nothing misses is not tested. Works on a copy; `python tests/prove_mechanisms.py` says which test failed for which
mechanism, and exits with 1 where none did."""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Mechanism:
    """A piece of code, what stands in its place when it is taken away, and the tests that are to miss it."""

    name: str
    file: str
    code: str
    without: str
    tests: tuple[str, ...]


MECHANISMS = (
    Mechanism(
        "the inbox insert",
        "postroom/postroom/transaction.py",
        "claimed = await self._connection.execute(\n            _CLAIM,",
        "return {row[0] for row in in_order}\n        claimed = await self._connection.execute(\n            _CLAIM,",
        ("postroom/tests/test_conformance.py",),
    ),
    Mechanism(
        "the relay's stop at the first failure",
        "postroom/postroom/relay.py",
        "return next((index for index, error in enumerate(errors) if error is not None), len(errors))",
        "return len(errors)",
        ("postroom/tests/test_conformance.py",),
    ),
    Mechanism(
        "the advisory lock of the relay",
        "postroom/postroom/relay.py",
        '"SELECT pg_advisory_lock($1)"',
        '"SELECT $1::bigint"',
        ("postroom/tests/test_relay.py",),
    ),
    Mechanism(
        "the news of what a batch has changed",
        "services/console/console/view/store.py",
        "await changes.tell(connection, [*news.organizations, *payers, *decided])",
        "await changes.tell(connection, [])",
        ("services/console/tests/test_changes.py",),
    ),
    Mechanism(
        "the newest version of what a source holds",
        "services/console/console/view/money_store.py",
        "WHERE balances.version <= excluded.version",
        "WHERE true",
        ("services/console/tests/test_money_view.py",),
    ),
    Mechanism(
        "the question whether a usage was charged before",
        "services/billing/billing/domain/drawing.py",
        "if usage_id in books.known_usages:",
        "if usage_id in ():",
        ("services/billing/tests/test_drawing.py",),
    ),
    Mechanism(
        "the lock of who pays",
        "services/billing/billing/store/payers.py",
        "    ORDER BY payer_id\n    FOR UPDATE\n",
        "    ORDER BY payer_id\n",
        ("services/billing/tests/test_books.py",),
    ),
    Mechanism(
        "the claim of an Idempotency-Key",
        "services/console/console/commands/idempotency.py",
        "(xmax = 0) AS is_new",
        "true AS is_new",
        ("services/console/tests/test_outcomes.py",),
    ),
    Mechanism(
        "the limit of wrong codes",
        "services/console/console/accounts/challenges.py",
        "AND attempts < :limit",
        "AND attempts < :limit + 1000",
        ("services/console/tests/test_signing_up.py",),
    ),
    Mechanism(
        "the CSRF token",
        "services/console/console/web/requests.py",
        'not hmac.compare_digest(expected.encode(), presented.encode("utf-8", "replace"))',
        "expected == presented == ''",
        ("services/console/tests/test_pages_of_people.py", "services/console/tests/test_api_callers.py"),
    ),
    Mechanism(
        "the question whether a person has clicked",
        "services/console/console/web/pages/navigation.py",
        'headers.get("sec-fetch-dest") == "document"',
        "True",
        ("services/console/tests/test_user_navigation.py",),
    ),
    Mechanism(
        "that an address belongs to who has proven it",
        "services/console/console/migrations/versions/0001_first.py",
        """        ["address_normalized"],
        unique=True,""",
        """        ["address_normalized"],
        unique=False,""",
        ("services/console/tests/test_signing_up.py",),
    ),
)


def main() -> int:
    unnoticed = 0
    # Each has a copy of the house, and a PostgreSQL, of its own.
    pool = ThreadPoolExecutor(os.cpu_count())
    for mechanism, failed in zip(MECHANISMS, pool.map(_failures_without, MECHANISMS), strict=True):
        if failed:
            print(f"Without {mechanism.name}, {failed[0]} fails.")
        else:
            unnoticed += 1
            print(f"Without {mechanism.name}, NO TEST FAILS.")
    print(f"{len(MECHANISMS) - unnoticed} of {len(MECHANISMS)} mechanisms are missed by a test.")
    return 1 if unnoticed else 0


def _failures_without(mechanism: Mechanism) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "house"
        shutil.copytree(
            HOUSE, copy, ignore=shutil.ignore_patterns(".git", ".venv", ".latchkey", "__pycache__", ".*_cache")
        )
        file = copy / mechanism.file
        code = file.read_text()
        if code.count(mechanism.code) != 1:
            sys.exit(f"{mechanism.file} does not hold the code of {mechanism.name} (any more).")
        file.write_text(code.replace(mechanism.code, mechanism.without))
        packages = [copy / "postroom", copy / "contracts", *copy.glob("services/*"), copy]
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "--tb=no", "-rf", "-p", "no:cacheprovider", *mechanism.tests],
            cwd=copy,
            # The copy's packages go before the installed ones.
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, packages))},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode not in (0, 1):
            sys.exit(f"The tests did not run: {result.stdout[-2000:]}{result.stderr[-2000:]}")
        return [line.split()[1] for line in result.stdout.splitlines() if line.startswith("FAILED ")]


if __name__ == "__main__":
    sys.exit(main())
