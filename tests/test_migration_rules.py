"""Expand and contract: what the services of the last release could not live with is refused, and the sentence says what
to do; what they can live with passes. Each change is made to a real PostgreSQL."""

import pytest
from check_migrations import schema_of
from migration_rules import Finding, broken, excused, locks
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from postroom.database import async_url

RELEASED = """
    CREATE TYPE mood AS ENUM ('glad', 'sorry');
    CREATE TABLE letters (
        id bigint PRIMARY KEY,
        address text NOT NULL,
        kind text NOT NULL CONSTRAINT known_kind CHECK (kind IN ('invitation', 'welcome')),
        sent_at timestamptz,
        tries integer NOT NULL DEFAULT 0
    );
    CREATE UNIQUE INDEX one_of_a_kind ON letters (address, kind) WHERE sent_at IS NULL;
    CREATE INDEX letters_by_time ON letters (sent_at);
    CREATE TABLE senders (id bigint PRIMARY KEY);
"""


async def findings(database_url: str, *statements: str) -> list[Finding]:
    """What is wrong with these statements as one migration, after RELEASED."""
    engine = create_async_engine(async_url(database_url), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for statement in RELEASED.split(";\n"):
            await connection.execute(text(statement))
        before = await connection.run_sync(schema_of)
        for statement in statements:
            await connection.execute(text(statement))
        after = await connection.run_sync(schema_of)
    await engine.dispose()
    return [*broken(before, after), *locks(statements, after.tables.keys() - before.tables.keys())]


@pytest.mark.parametrize(
    ("statement", "name", "says"),
    [
        ("DROP TABLE letters", "letters", "Contract later"),
        ("ALTER TABLE letters RENAME TO mail", "letters", "dropped or renamed"),
        ("ALTER TABLE letters DROP COLUMN sent_at", "letters.sent_at", "Contract later"),
        ("ALTER TABLE letters RENAME COLUMN address TO recipient", "letters.address", "dropped or renamed"),
        ("ALTER TABLE letters ALTER COLUMN tries TYPE bigint", "letters.tries", "Expand instead"),
        ("ALTER TABLE letters ALTER COLUMN address TYPE varchar(20)", "letters.address", "Expand instead"),
        ("ALTER TABLE letters ALTER COLUMN sent_at SET NOT NULL", "letters.sent_at", "may leave it empty"),
        ("ALTER TABLE letters ADD COLUMN locale text NOT NULL", "letters.locale", "give it a server default"),
        ("ALTER TABLE letters ALTER COLUMN tries DROP DEFAULT", "letters.tries", "lost its default"),
        ("DROP INDEX CONCURRENTLY one_of_a_kind", "letters.one_of_a_kind", "ON CONFLICT"),
        ("ALTER TABLE letters DROP CONSTRAINT letters_pkey", "letters.letters_pkey", "ON CONFLICT"),
        ("ALTER TYPE mood RENAME VALUE 'sorry' TO 'sad'", "mood", "it has lost sorry"),
        (
            "ALTER TABLE letters ADD CONSTRAINT sent CHECK (sent_at IS NOT NULL) NOT VALID",
            "letters.sent",
            "holds for what the last release writes",
        ),
        (
            "CREATE UNIQUE INDEX CONCURRENTLY one_address ON letters (address)",
            "letters.one_address",
            "holds for what the last release writes",
        ),
        (
            "ALTER TABLE letters ADD CONSTRAINT sender FOREIGN KEY (id) REFERENCES senders (id) NOT VALID",
            "letters.sender",
            "holds for what the last release writes",
        ),
    ],
)
async def test_what_the_last_release_builds_on_stays(database_url: str, statement: str, name: str, says: str) -> None:
    found = {finding.name: finding.sentence for finding in await findings(database_url, statement)}
    assert says in found[name]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("CREATE INDEX by_address ON letters (address)", "CONCURRENTLY"),
        ("DROP INDEX letters_by_time", "CONCURRENTLY"),
        ("REINDEX TABLE letters", "CONCURRENTLY"),
        ("ALTER TABLE letters ALTER COLUMN tries TYPE bigint", "rewrites the whole table"),
        ("ALTER TABLE letters ADD COLUMN token uuid DEFAULT gen_random_uuid()", "rewrites the whole table"),
        ("ALTER TABLE letters ADD COLUMN twice integer GENERATED ALWAYS AS (tries * 2) STORED", "rewrites"),
        ("ALTER TABLE letters ALTER COLUMN sent_at SET NOT NULL", "NOT VALID"),
        ("ALTER TABLE letters ADD CONSTRAINT few CHECK (tries < 9)", "NOT VALID"),
        ("ALTER TABLE letters ADD CONSTRAINT one UNIQUE (address)", "USING INDEX"),
        ("ALTER TABLE letters ADD CONSTRAINT sender FOREIGN KEY (id) REFERENCES senders (id)", "NOT VALID"),
        ("UPDATE letters SET tries = 0", "in pieces"),
        ("UPDATE letters SET tries = 0 WHERE tries IS NULL", "in pieces"),
        ("UPDATE letters SET tries = 0 WHERE id = 1", "in REVIEWED"),
        ("DELETE FROM letters", "in pieces"),
        ("WITH gone AS (DELETE FROM letters RETURNING 1) SELECT count(*) FROM gone", "in pieces"),
        ("DO $$ BEGIN UPDATE letters SET tries = 0; END $$", "in REVIEWED"),
        ("TRUNCATE letters", "no rule can tell"),
        ("CLUSTER letters USING letters_pkey", "no rule can tell"),
        ("ALTER TABLE letters SET UNLOGGED", "rewrites the whole table"),
        ("ALTER TABLE letters ADD COLUMN number bigserial", "rewrites the whole table"),
        ("ALTER TABLE letters ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY", "rewrites the whole table"),
        (
            "CREATE TRIGGER t BEFORE UPDATE ON letters FOR EACH ROW"
            " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "goes through the trigger",
        ),
        ("-- Letters are looked up by address.\nCREATE INDEX by_address ON letters (address)", "CONCURRENTLY"),
        ("ALTER TABLE letters -- few\n ADD CONSTRAINT few CHECK (tries < 9) /* ever */", "NOT VALID"),
    ],
)
async def test_no_large_table_is_locked(database_url: str, statement: str, says: str) -> None:
    assert any(says in finding.sentence for finding in await findings(database_url, statement))


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE letters ADD COLUMN locale text"],
        ["ALTER TABLE letters ADD COLUMN locale text NOT NULL DEFAULT 'en'"],
        ["ALTER TABLE letters ALTER COLUMN address DROP NOT NULL"],
        ["ALTER TYPE mood ADD VALUE 'calm'"],
        ["ALTER TABLE letters DROP CONSTRAINT known_kind"],
        ["CREATE INDEX CONCURRENTLY by_address ON letters (address)"],
        ["DROP INDEX CONCURRENTLY letters_by_time"],
        ["INSERT INTO letters (id, address, kind) VALUES (1, '-- none', 'welcome')"],
        ["COMMENT ON COLUMN letters.tries IS 'How often it was tried.'"],
        [
            "CREATE TABLE replies (letter_id bigint NOT NULL, said text NOT NULL)",
            "CREATE UNIQUE INDEX one_reply ON replies (letter_id)",
            "ALTER TABLE replies ADD CONSTRAINT says_something CHECK (said <> '')",
            "UPDATE replies SET said = '-'",
        ],
        [
            "ALTER TABLE letters ADD COLUMN locale text",
            "ALTER TABLE letters ADD CONSTRAINT known_locale CHECK (locale IN ('en', 'de')) NOT VALID",
        ],
    ],
    ids=" / ".join,
)
async def test_what_the_last_release_can_live_with_passes(database_url: str, statements: list[str]) -> None:
    assert await findings(database_url, *statements) == []


def test_a_statement_that_cannot_be_read_is_no_statement_without_fault() -> None:
    with pytest.raises(ValueError, match="cannot read"):
        list(locks(["ALTER TABLE letters ADD COLUMN IN"]))


FINDING = Finding("letters.known_kind", "It holds for what the last release writes, too.")


def test_what_was_looked_into_is_excused_with_its_reason() -> None:
    assert excused([FINDING], {"letters.known_kind": "It allows more than before."}) == []


def test_an_excuse_without_a_reason_is_none() -> None:
    assert excused([FINDING], {"letters.known_kind": " "}) == [FINDING]


def test_an_excuse_for_nothing_is_refused() -> None:
    [needless] = excused([], {"letters.known_kind": "It allows more than before."})
    assert str(needless).startswith("letters.known_kind: REVIEWED excuses it")
