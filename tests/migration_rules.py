"""What a migration may do while the last release runs on the same database: expand, and contract only what that release
does not know any more (docs/migrations.md).

`broken` compares two schemas: what the last release was built on must still be there, and must not be narrower.
`locks` looks at statements: none may hold a lock on a table of the last release for as long as the table is large. A
finding that a person has looked into is excused by its name in the migration, with the reason:

    REVIEWED = {"letters.known_kind": "It allows more kinds of letters than before, and no fewer."}
"""

import json
import os
import subprocess
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlglot
import sqlparse
from sqlglot import exp
from sqlglot.errors import SqlglotError


@dataclass(frozen=True)
class Column:
    """Of a table. `default` is an expression; `is_made` says that the database alone writes it."""

    type: str
    is_required: bool = False
    default: str | None = None
    is_made: bool = False


@dataclass(frozen=True)
class Rule:
    """A constraint or a unique index of a table. `definition` is as PostgreSQL writes it."""

    definition: str
    columns: frozenset[str]
    is_unique: bool = False


@dataclass(frozen=True)
class Schema:
    """What code relies on: the columns of each table or view, its rules by name, and the labels of each enumeration."""

    tables: Mapping[str, Mapping[str, Column]]
    rules: Mapping[tuple[str, str], Rule] = field(default_factory=dict)
    """By table and name."""
    enumerations: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What the last release could not live with."""

    name: str
    """Of the table, the column (`table.column`), the rule (`table.rule`) or the enumeration."""
    sentence: str
    """What is wrong, and how to do it instead."""

    def __str__(self) -> str:
        return f"{self.name}: {self.sentence}"


_LATER = (
    "Contract later: release code that does without it first, and drop it in the release after that, when nothing that "
    "runs knows it any more."
)
_NEW_BESIDE = (
    "Expand instead: add a new column beside it, write both, fill the old rows in pieces, read the new one, and drop "
    "the old one a release later."
)
_BACKGROUND = {
    "adding-field-with-default": (
        "a default that differs from row to row rewrites the whole table, and nobody reads it meanwhile. Add the "
        "column without a default, set the default for new rows, and fill the old ones in pieces."
    ),
    "adding-foreign-key-constraint": (
        "a foreign key is checked against every row under a lock. Add it NOT VALID, and VALIDATE CONSTRAINT in a later "
        "migration."
    ),
    "adding-not-nullable-field": (
        "SET NOT NULL reads the whole table, and nobody else reads it meanwhile. Add CHECK (... IS NOT NULL) NOT "
        "VALID, VALIDATE CONSTRAINT in a later migration, and only then SET NOT NULL, which relies on it."
    ),
    "adding-serial-primary-key-field": "this rewrites the whole table, and nobody reads it meanwhile. " + _NEW_BESIDE,
    "changing-column-type": "this rewrites the whole table, and nobody reads it meanwhile. " + _NEW_BESIDE,
    "constraint-missing-not-valid": (
        "a new constraint is checked against every row, and nobody writes meanwhile. Add it NOT VALID, and VALIDATE "
        "CONSTRAINT in a later migration."
    ),
    "disallowed-unique-constraint": (
        "this makes an index under a lock. CREATE UNIQUE INDEX CONCURRENTLY first, in "
        "op.get_context().autocommit_block(), and then ADD CONSTRAINT ... USING INDEX."
    ),
    "require-concurrent-index-creation": (
        "nobody writes to the table while an index is made. Make it CONCURRENTLY (postgresql_concurrently=True), in "
        "op.get_context().autocommit_block()."
    ),
    "require-concurrent-index-deletion": (
        "this waits for everybody who uses the table, and everybody waits for it. Drop the index CONCURRENTLY "
        "(postgresql_concurrently=True), in op.get_context().autocommit_block()."
    ),
    "require-concurrent-reindex": "nobody writes to the table meanwhile. REINDEX ... CONCURRENTLY.",
}
"""What squawk looks for, of the rules that are about locks, in our words."""
_JUDGED = {
    "ALTER",
    "ANALYZE",
    "COMMENT",
    "CREATE",
    "DROP",
    "GRANT",
    "INSERT",
    "REINDEX",
    "REVOKE",
    "SELECT",
    "SET",
    "WITH",
}
"""What a statement may begin with for the rules to know what it holds up. What changes rows is judged by that."""
_REWRITING = {"CLUSTER", "LOGGED", "TABLESPACE", "UNLOGGED"}
"""Words of an ALTER TABLE that copies or scans all of it."""


def broken(before: Schema, after: Schema) -> Iterator[Finding]:
    """What the code that was built on `before` cannot do on `after`."""
    for table, columns in before.tables.items():
        if table not in after.tables:
            yield Finding(table, f"it is dropped or renamed, and the last release uses it. {_LATER}")
        else:
            yield from _broken_columns(table, columns, after.tables[table])
    for (table, name), rule in before.rules.items():
        if rule.is_unique and table in after.tables and after.rules.get((table, name)) != rule:
            yield Finding(
                f"{table}.{name}",
                "it is dropped, renamed or changed, and the last release relies on it: on what it forbids, and by "
                f"ON CONFLICT. Make another beside it. {_LATER}",
            )
    for (table, name), rule in after.rules.items():
        known = before.tables.get(table, {})
        if before.rules.get((table, name)) != rule and rule.columns & known.keys():
            yield Finding(
                f"{table}.{name}",
                f"{rule.definition} holds for what the last release writes, too, which knows nothing of it. Release "
                "code that keeps to it first, and add it in the release after that; where the last release keeps to it "
                "already, say so in REVIEWED.",
            )
    for name, labels in before.enumerations.items():
        if lost := set(labels) - set(after.enumerations.get(name, ())):
            yield Finding(name, f"it has lost {', '.join(sorted(lost))}, and the last release uses it. {_LATER}")


def _broken_columns(table: str, before: Mapping[str, Column], after: Mapping[str, Column]) -> Iterator[Finding]:
    for name, column in before.items():
        now = after.get(name)
        full_name = f"{table}.{name}"
        if now is None:
            yield Finding(full_name, f"it is dropped or renamed, and the last release uses it. {_LATER}")
            continue
        if now.type != column.type:
            yield Finding(full_name, f"its type is {now.type} now, and was {column.type}. {_NEW_BESIDE}")
        if now.is_required and not column.is_required:
            yield Finding(
                full_name,
                "it is NOT NULL now, and the last release may leave it empty. Release code that always fills it first, "
                "and make it NOT NULL in the release after that.",
            )
        if now.is_made and not column.is_made:
            yield Finding(
                full_name, f"the database alone writes it now, and the last release writes it, too. {_NEW_BESIDE}"
            )
        if column.default is not None and now.default is None and now.is_required:
            yield Finding(full_name, f"it has lost its default, and the last release may rely on it. {_LATER}")
    for name in after.keys() - before.keys():
        column = after[name]
        if column.default is not None and "nextval(" in column.default:
            yield Finding(
                f"{table}.{name}",
                "it is new and numbers the rows that are there, which rewrites the whole table, and nobody reads it "
                f"meanwhile. {_NEW_BESIDE}",
            )
        if column.is_required and column.default is None and not column.is_made:
            yield Finding(
                f"{table}.{name}",
                "it is new, NOT NULL and without a default: the last release does not fill it, and its rows would be "
                "refused. Let it be empty, or give it a server default.",
            )


def locks(statements: Sequence[str], new_tables: Container[str] = ()) -> Iterator[Finding]:
    """What holds up the services of the last release: locks for as long as a table is large. Tables that are new since
    that release are nobody's yet."""
    statements = [_without_comments(statement) for statement in statements]
    for statement in statements:
        table = _table_of(statement)
        why = _beyond_squawk(statement)
        if why is not None and table not in new_tables:
            yield Finding(table or _opening(statement), f"{_first_words(statement)}: {why}")
    for statement, rule in _lint(statements):
        table = _table_of(statement)
        if table not in new_tables:
            yield Finding(table or rule, f"{_first_words(statement)}: {_BACKGROUND[rule]}")


def excused(findings: Sequence[Finding], reviewed: Mapping[str, str]) -> list[Finding]:
    """The findings that are left of those of one migration, whose REVIEWED says which were looked into, and why. One
    without a reason, or that excuses nothing, is a finding itself."""
    names = {finding.name for finding in findings}
    left = [finding for finding in findings if not reviewed.get(finding.name, "").strip()]
    needless = "REVIEWED excuses it, and there is nothing to be excused. Take it out."
    return [*left, *(Finding(name, needless) for name in reviewed.keys() - names)]


def _lint(statements: Sequence[str]) -> list[tuple[str, str]]:
    """What squawk says: the statement, and the rule that it breaks."""
    # A line each, so that its line is its number.
    lines = [statement.rstrip("; ") for statement in statements]
    done = subprocess.run(
        [
            *(
                Path(sys.executable).with_name("squawk"),
                "--reporter=json",
                "--pg-version=18",
                "--assume-in-transaction",
            ),
            *("--stdin-filepath=migrations.sql",),
        ],
        input="".join(f"{line};\n" for line in lines),
        env={**os.environ, "SQUAWK_DISABLE_GITHUB_ANNOTATIONS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):  # Nothing is wrong, or something is.
        raise ValueError(f"squawk ended with {done.returncode}: {done.stderr}")
    said = json.loads(done.stdout)
    if unread := [violation for violation in said if violation["rule_name"] == "syntax-error"]:
        raise ValueError(f"squawk cannot read {lines[unread[0]['line']]}: {unread[0]['message']}")
    found = [(statements[violation["line"]], violation["rule_name"]) for violation in said]
    return list(dict.fromkeys((statement, rule) for statement, rule in found if rule in _BACKGROUND))


def _parsed(statement: str) -> exp.Expr | None:
    try:
        return sqlglot.parse_one(statement, dialect="postgres")
    except SqlglotError:
        return None


def _without_comments(statement: str) -> str:
    """On one line, since a comment ends with its line."""
    return " ".join(str(sqlparse.format(statement, strip_comments=True)).split())


def _beyond_squawk(statement: str) -> str | None:
    """Why it holds up the services, where squawk does not look; none where it does not."""
    tree = _parsed(statement)
    if tree is not None and tree.find(exp.Update, exp.Delete) is not None:
        return (
            "whoever wants to change the same rows waits for the end of the migration. Change them in pieces by their "
            "keys, in code that runs beside the services; where they are few, say so in REVIEWED."
        )
    words = statement.upper().split()
    if words[:2] == ["ALTER", "TABLE"] and _REWRITING.intersection(words):
        return "this rewrites the whole table, and nobody reads it meanwhile. Leave it, or make another beside it."
    if words[0] == "CREATE" and "TRIGGER" in words[1:5]:
        return (
            "what the last release writes goes through the trigger, too. Release code that does without it, or say in "
            "REVIEWED why that release can live with it."
        )
    if words[0] not in _JUDGED:
        return "what this holds up, no rule can tell. Do it another way, or say in REVIEWED why nobody waits for it."
    return None


def _table_of(statement: str) -> str | None:
    tree = _parsed(statement)
    table = tree.find(exp.Table) if tree is not None else None
    return table.name if table is not None else None


def _opening(statement: str) -> str:
    return statement.split()[0]


def _first_words(statement: str) -> str:
    return statement if len(statement) <= 80 else f"{statement[:77]}..."
