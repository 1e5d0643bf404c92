"""The mailbox as a process of the platform."""

import http.client
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from stack.environment import python_environment
from stack.errors import StackError
from stack.loopback import answers_ok, request
from stack.ports import LOOPBACK, free_port, is_open, require_free
from stack.process import Launch, ManagedProcess


class MailboxServer(ManagedProcess):
    """Takes letters over SMTP and shows them on a page, both on loopback; letters are files in its folder."""

    ready_within = 30.0

    def __init__(
        self,
        folder: Path,
        smtp_port: int | None = None,
        http_port: int | None = None,
        log_path: Path | None = None,
        *,
        dies_with_us: bool = True,
    ) -> None:
        """Where no port is given, a free one is taken."""
        super().__init__("mailbox", log_path or folder / "mailbox.log", dies_with_us=dies_with_us)
        self.smtp_port = smtp_port or free_port()
        self.http_port = http_port or free_port()
        self._folder = folder.absolute()

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://{LOOPBACK}:{self.http_port}"

    def letters(self, to: str | None = None) -> list[dict[str, Any]]:
        """The letters to one address, or all of them, oldest first: id, received, to, sender, from, subject, date,
        message_id, idempotency_key, text and html."""
        query = "?" + urlencode({"to": to}) if to is not None else ""
        letters: list[dict[str, Any]] = self._get(f"/letters.json{query}")["letters"]
        return letters

    def counts(self) -> dict[str, int]:
        """How many letters came, and how many were suppressed, bounced and deferred; cheap, however many there are."""
        counts: dict[str, int] = self._get("/counts.json")
        return counts

    def clear(self) -> None:
        """Deletes all letters."""
        request(self.http_port, "DELETE", "/letters")

    def _prepare(self) -> Launch:
        require_free(self.smtp_port, "the mailbox (SMTP)")
        require_free(self.http_port, "the mailbox's page")
        self._folder.mkdir(parents=True, exist_ok=True)
        return Launch(
            [
                *(sys.executable, "-m", "stack.mailbox", "--folder", str(self._folder / "letters")),
                *("--smtp-port", str(self.smtp_port), "--http-port", str(self.http_port)),
            ],
            env=python_environment(),
            folder=self._folder,
        )

    def _is_ready(self) -> bool:
        return is_open(self.smtp_port) and answers_ok(self.http_port, "/readyz")

    def _get(self, path: str) -> Any:
        status, body = request(self.http_port, "GET", path)
        if status != http.client.OK:
            raise StackError(f"The mailbox answers {path} with {status}.", self.last_words())
        return json.loads(body)
