"""What a platform remembers in its data folder, and who may work on it."""

import base64
import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from stack.errors import FolderLockedError, StackError
from stack.process import Identity
from stack.stripe.keys import StripeKeys

_FORMAT = 1


def _new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@dataclass
class State:
    """Ports and keys, so that a restart keeps them, and the processes, so that another command finds them."""

    ports: dict[str, int] = field(default_factory=dict)
    link_key: str = field(default_factory=_new_key)
    accounts_key: str = field(default_factory=_new_key)
    stripe: StripeKeys = field(default_factory=StripeKeys.new)
    services: list[str] = field(default_factory=list)
    """Of which there is at least one instance."""
    processes: dict[str, Identity] = field(default_factory=dict)
    """By name: those that were started and not stopped since."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What was saved, or a new state. Raises StackError where it is unreadable."""
        file = _file(folder)
        try:
            saved = json.loads(file.read_text())
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError) as error:
            raise _unusable(file, str(error)) from error
        if not isinstance(saved, dict) or saved.pop("format", None) != _FORMAT:
            raise _unusable(file, "it was written by another version")
        try:
            if "stripe" in saved:
                saved["stripe"] = StripeKeys(**saved["stripe"])
            saved["processes"] = {name: Identity(**process) for name, process in saved["processes"].items()}
            return cls(**saved)
        except (TypeError, KeyError, AttributeError) as error:
            raise _unusable(file, str(error)) from error

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether a platform was ever started in the folder."""
        return _file(folder).exists()

    def save(self, folder: Path) -> None:
        """In one step: a reader finds the old state or the new one. It is for its owner's eyes, as the keys are."""
        content: Mapping[str, Any] = {"format": _FORMAT, **asdict(self)}
        unfinished = folder / f"state.{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(content, file, indent=2)
        unfinished.replace(_file(folder))


class FolderLock:
    """Held by the one process that works on a data folder; the kernel releases it when that process ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises FolderLockedError where somebody holds it. Makes the folder where there is none."""
        if self._descriptor is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 100).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise FolderLockedError(
                f"Another process (id {holder}) is working on the platform in {self._folder}.",
                "Wait until it is done, or choose another data folder with --data.",
            ) from error
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Does nothing where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _file(folder: Path) -> Path:
    return folder / "state.json"


def _unusable(file: Path, why: str) -> StackError:
    return StackError(
        f"The state of the platform, {file}, cannot be used: {why}.",
        f"Delete the data folder {file.parent}; processes that still run from it, `ps` shows.",
    )
