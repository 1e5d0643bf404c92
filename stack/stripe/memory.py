"""What the stand-in for Stripe must not forget when it ends: its objects, and what it has answered under which key."""

import pickle
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TABLES = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS answers (
        key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS objects (one INTEGER PRIMARY KEY CHECK (one = 1), pickled BLOB NOT NULL) STRICT;
"""
_ANSWER = "SELECT request, status, body FROM answers WHERE key = ?"
_KEEP_ANSWER = "INSERT INTO answers (key, request, status, body) VALUES (?, ?, ?, ?)"
_FORGET_ANSWERS = "DELETE FROM answers"
_OBJECTS = "SELECT pickled FROM objects"
_KEEP_OBJECTS = """
    INSERT INTO objects (one, pickled) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET pickled = excluded.pickled
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered under an idempotency key, and to which request (its digest)."""

    request: str
    status: int
    body: bytes


class Memory:
    """A file. The objects and the answer to the request that changed them are kept together, or neither is: money that
    has moved without its key would move again, and a key without its money would hide that none did."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file)
        self._database.executescript(_TABLES)

    def answer(self, key: str) -> Answer | None:
        """What was answered under the key, if anything was."""
        row = self._database.execute(_ANSWER, (key,)).fetchone()
        return Answer(*row) if row else None

    def objects(self) -> dict[str, Any]:
        """The objects as they were kept last; they may refer to each other."""
        row = self._database.execute(_OBJECTS).fetchone()
        # Nobody else has written it: the file is in a folder of ours.
        return dict(pickle.loads(row[0])) if row else {}  # noqa: S301

    def keep(self, objects: Mapping[str, Any], answers: Mapping[str, Answer]) -> None:
        """Replaces the objects, and adds the answers, by their keys, in one step."""
        with self._database:
            self._database.execute(_KEEP_OBJECTS, (pickle.dumps(dict(objects), pickle.HIGHEST_PROTOCOL),))
            self._database.executemany(
                _KEEP_ANSWER, [(key, answer.request, answer.status, answer.body) for key, answer in answers.items()]
            )

    def forget_answers(self) -> None:
        """Forgets every key."""
        with self._database:
            self._database.execute(_FORGET_ANSWERS)

    def close(self) -> None:
        self._database.close()
