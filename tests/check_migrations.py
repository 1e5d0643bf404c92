"""Refuses migrations that the services of the last release could not live with, while they still run.

    python tests/check_migrations.py                what is new since the last release
    python tests/check_migrations.py --rev v0.1.0   since any revision that git knows

For each service, a real PostgreSQL is brought to the schema of that revision by the code of that revision, and then
on, by one migration after the other; the rules (tests/migration_rules.py) judge each by what it has made of the schema,
and by the statements that it has sent. Migrations that were released are history: they may not be changed, and are not
judged. The exit code is 1 where something is refused, and 2 where there is no such revision.
"""

import argparse
import ast
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alembic import command
from alembic.script import ScriptDirectory
from environments import ROOT
from migration_rules import Column, Finding, Rule, Schema, broken, excused, locks
from revisions import UnknownRevision, last_release, source_of
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import create_async_engine

from postroom.database import async_url
from postroom.migrations import alembic_config
from stack.environment import python_environment
from stack.postgres import PostgresServer
from stack.services import SERVICES

_COLUMNS = text("""
    SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid),
        attgenerated <> '' OR attidentity = 'a'
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND attnum > 0 AND NOT attisdropped
        AND relname <> 'alembic_version'
    ORDER BY relname, attnum
""")
_RULES = text("""
    SELECT relname, conname, replace(pg_get_constraintdef(pg_constraint.oid), ' NOT VALID', ''),
        contype IN ('p', 'u', 'x'),
        ARRAY(SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey))
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND relname <> 'alembic_version'
    UNION ALL
    SELECT tables.relname, indexes.relname, pg_get_indexdef(indexrelid), true,
        ARRAY(
            SELECT attname FROM pg_depend JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
            WHERE pg_depend.objid = indexrelid AND refobjid = indrelid AND refobjsubid > 0
        )
    FROM pg_index JOIN pg_class AS tables ON tables.oid = indrelid JOIN pg_class AS indexes ON indexes.oid = indexrelid
    WHERE tables.relnamespace = 'public'::regnamespace AND indisunique
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
""")
_ENUMERATIONS = text("""
    SELECT typname, array_agg(enumlabel ORDER BY enumsortorder) AS labels
    FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid GROUP BY typname
""")
_MIGRATE = "import sys; from postroom.migrations import migrate_now; migrate_now(*sys.argv[1:])"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python tests/check_migrations.py")
    parser.add_argument("--rev", help="a revision that git knows; the last release, if none is given")
    try:
        source = source_of(parser.parse_args(arguments).rev or last_release())
    except UnknownRevision as error:
        print(error, file=sys.stderr)
        return 2
    refused: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer(Path(folder) / "postgres")
        server.start()
        try:
            for service in SERVICES:
                found = asyncio.run(refusals(service, server.create_database(service), source))
                print(f"{service}: {'refused' if found else 'passed'}")
                refused += found
        finally:
            server.stop()
            server.remove()
    print("".join(f"\n{refusal}\n" for refusal in refused), end="")
    return 1 if refused else 0


async def refusals(service: str, database_url: str, source: Path) -> list[str]:
    """What is wrong with the migrations of a service that are not in `source`, in sentences. The database is empty; it
    has the newest schema afterwards."""
    migrate_as_it_was(service, database_url, source)
    said = [
        f"{service}: {name} was changed since it was released, and who has run it will not run it again. Take the "
        "change back, and write a new migration."
        for name in changed_since(service, source)
    ]
    if said:
        return said
    config = alembic_config(service)
    script = ScriptDirectory.from_config(config)
    sent: list[str] = []
    engine = create_async_engine(async_url(database_url))

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def _note(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)

    def migrate_to(connection: Connection, revision: str) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    async with engine.connect() as connection:
        before = await connection.run_sync(schema_of)
        head = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one()
        await connection.commit()
        known: list[Finding] = []
        for step in reversed(list(script.iterate_revisions("head", head))):
            sent.clear()
            await connection.run_sync(migrate_to, step.revision)
            await connection.commit()
            statements = [statement for statement in sent if _is_of_the_migration(statement)]
            after = await connection.run_sync(schema_of)
            await connection.commit()
            new = [finding for finding in broken(before, after) if finding not in known]
            known += new
            found = [*new, *locks(statements, after.tables.keys() - before.tables.keys())]
            reviewed: Mapping[str, str] = getattr(step.module, "REVIEWED", {})
            said += [f"{service}, migration {step.revision}: {finding}" for finding in excused(found, reviewed)]
    await engine.dispose()
    return said


def migrate_as_it_was(service: str, database_url: str, source: Path) -> None:
    """Brings a database to the schema of a revision, by the code of that revision."""
    folders = (source / "contracts", source / "postroom", source / "services" / service)
    subprocess.run(
        [sys.executable, "-c", _MIGRATE, service, database_url],
        env=python_environment() | {"PYTHONPATH": os.pathsep.join(map(str, folders))},
        check=True,
    )


def changed_since(service: str, source: Path) -> list[str]:
    """The migrations of a revision that do something else now, or are gone. What comments say does not matter."""
    versions = Path("services") / service / service / "migrations" / "versions"
    released = sorted((source / versions).glob("*.py"))
    return [file.name for file in released if _meaning(file) != _meaning(ROOT / versions / file.name)]


def schema_of(connection: Connection) -> Schema:
    """Of the database, as its catalogs have it."""
    tables: dict[str, dict[str, Column]] = {}
    for table, name, *column in connection.execute(_COLUMNS):
        tables.setdefault(table, {})[name] = Column(*column)
    return Schema(
        tables=tables,
        rules={
            (table, name): Rule(definition, frozenset(columns), is_unique)
            for table, name, definition, is_unique, columns in connection.execute(_RULES)
        },
        enumerations={row.typname: row.labels for row in connection.execute(_ENUMERATIONS)},
    )


def _meaning(file: Path) -> str:
    return ast.dump(ast.parse(file.read_text(encoding="utf-8"))) if file.exists() else ""


def _is_of_the_migration(statement: str) -> bool:
    """Whether it is not a question, nor Alembic's own."""
    return "alembic_version" not in statement and not statement.lstrip().upper().startswith("SELECT")


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
