"""What the stand-in for Stripe must not forget when it ends: its objects, and what it has answered under which key."""

import io
import pickle
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TABLES = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS answers (
        key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS objects (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, pickled BLOB NOT NULL
    ) STRICT;
"""
_ANSWER = "SELECT request, status, body FROM answers WHERE key = ?"
_KEEP_ANSWER = "INSERT INTO answers (key, request, status, body) VALUES (?, ?, ?, ?)"
_FORGET_ANSWERS = "DELETE FROM answers"
_OBJECTS = "SELECT name, pickled FROM objects ORDER BY number"
_KEEP_OBJECT = """
    INSERT INTO objects (name, pickled) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET pickled = excluded.pickled
"""
_FORGET_OBJECT = "DELETE FROM objects WHERE name = ?"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered under an idempotency key, and to which request (its digest)."""

    request: str
    status: int
    body: bytes


class Memory:
    """A file. The objects and the answer to the request that changed them are kept together, or neither is: money that
    has moved without its key would move again, and a key without its money would hide that none did."""

    def __init__(self, file: Path, name_of: Callable[[object], str | None]) -> None:
        """`name_of` an object that is kept by itself is its name, and of anything else None."""
        self._name_of = name_of
        self._database = sqlite3.connect(file)
        self._database.executescript(_TABLES)

    def answer(self, key: str) -> Answer | None:
        """What was answered under the key, if anything was."""
        row = self._database.execute(_ANSWER, (key,)).fetchone()
        return Answer(*row) if row else None

    def objects(self) -> dict[str, Any]:
        """All objects by their names, the oldest first. Where one refers to another, it is this other one."""
        pickled: dict[str, bytes] = dict(self._database.execute(_OBJECTS))
        read: dict[str, Any] = {}

        def find(name: str) -> Any:
            if name not in read:
                read[name] = _Unpickler(pickled[name], find).load()
            return read[name]

        return {name: find(name) for name in pickled}

    def keep(self, objects: Mapping[str, Any], changed: Iterable[str], answers: Mapping[str, Answer]) -> None:
        """Keeps those of the objects that have changed, and what they refer to, and adds the answers, by their keys, in
        one step. What has changed and is no more is forgotten."""
        to_do, done = list(changed), set()
        with self._database:
            while to_do:
                name = to_do.pop()
                if name in done:
                    continue
                done.add(name)
                if name not in objects:
                    self._database.execute(_FORGET_OBJECT, (name,))
                    continue
                pickler = _Pickler(objects[name], self._name_of)
                self._database.execute(_KEEP_OBJECT, (name, pickler.pickled()))
                to_do += pickler.others
            self._database.executemany(
                _KEEP_ANSWER, [(key, answer.request, answer.status, answer.body) for key, answer in answers.items()]
            )

    def forget_answers(self) -> None:
        """Forgets every key."""
        with self._database:
            self._database.execute(_FORGET_ANSWERS)

    def close(self) -> None:
        self._database.close()


class _Pickler(pickle.Pickler):
    """Of one object; of another that has a name of its own it writes the name alone."""

    def __init__(self, thing: object, name_of: Callable[[object], str | None]) -> None:
        self._file = io.BytesIO()
        super().__init__(self._file, pickle.HIGHEST_PROTOCOL)
        self._thing = thing
        self._name_of = name_of
        self.others: list[str] = []
        """The names that were written."""

    def pickled(self) -> bytes:
        self.dump(self._thing)
        return self._file.getvalue()

    def persistent_id(self, thing: object) -> str | None:
        name = None if thing is self._thing else self._name_of(thing)
        if name is not None:
            self.others.append(name)
        return name


class _Unpickler(pickle.Unpickler):
    """Nobody else has written what it reads: the file is in a folder of ours."""

    def __init__(self, pickled: bytes, find: Callable[[str], Any]) -> None:
        super().__init__(io.BytesIO(pickled))
        self._find = find

    def persistent_load(self, name: str) -> Any:
        return self._find(name)
