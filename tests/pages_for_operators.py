"""The pages for operators, and the blocks in them that are to be typed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

FOLDER = Path(__file__).resolve().parent.parent / "docs"
RUNBOOKS = sorted((FOLDER / "runbooks").glob("*.md"))
PAGES = [*RUNBOOKS, FOLDER / "operations.md"]
SERVICES = ("invites", "membership", "billing", "notifier", "console")


@dataclass(frozen=True)
class Block:
    """What stands between two fences of a page."""

    page: str
    language: str
    text: str

    @property
    def services(self) -> tuple[str, ...]:
        """In whose databases it is to be run, as its first line says."""
        whose = re.match(r"-- in the database of (every service|\w+)\n", self.text)
        assert whose, f"{self.page}: a block of SQL does not say in whose database"
        return SERVICES if whose[1] == "every service" else (whose[1],)


def blocks(language: str) -> Iterator[Block]:
    for page in PAGES:
        for found in re.finditer(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            if found[1] == language:
                yield Block(page.name, found[1], found[2])


def sql_about(runbook: str, service: str, *words: str) -> str:
    """The one block of a runbook for a service's database that has these words."""
    [block] = [
        each
        for each in blocks("sql")
        if each.page == f"{runbook}.md" and each.services == (service,) and all(word in each.text for word in words)
    ]
    return block.text


def with_values(sql: str, **values: object) -> str:
    """psql's variables, filled in; those that are not given with an id that nobody has."""
    return re.sub(r":'(\w+)'", lambda name: f"'{values.get(name[1], UUID(int=0))}'", sql)
