"""What a platform remembers, and the lock of its folder."""

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from stack.errors import FolderLockedError, StackError
from stack.process import Identity
from stack.state import FolderLock, State


def test_what_was_saved_is_there_again(tmp_path: Path) -> None:
    state = State(ports={"kafka": 20_001}, services=["invites"], processes={"kafka": Identity(42, "boot:4711")})
    state.save(tmp_path)

    assert State.load(tmp_path) == state


def test_a_new_folder_has_keys_of_its_own(tmp_path: Path) -> None:
    assert not State.exists(tmp_path)
    one, another = State.load(tmp_path), State.load(tmp_path)
    assert len({one.link_key, one.accounts_key, another.link_key, another.accounts_key}) == 4


def test_a_folder_from_before_there_were_accounts_keeps_its_link_key_and_gets_an_accounts_key(tmp_path: Path) -> None:
    State().save(tmp_path)
    saved = json.loads((tmp_path / "state.json").read_text())
    del saved["accounts_key"]
    (tmp_path / "state.json").write_text(json.dumps(saved))

    state = State.load(tmp_path)
    assert state.link_key == saved["link_key"]
    assert len(base64.urlsafe_b64decode(state.accounts_key)) == 32


def test_a_folder_from_before_there_were_cards_gets_keys_for_stripe(tmp_path: Path) -> None:
    State().save(tmp_path)
    saved = json.loads((tmp_path / "state.json").read_text())
    del saved["stripe"]
    (tmp_path / "state.json").write_text(json.dumps(saved))

    assert State.load(tmp_path).stripe.api.startswith("sk_test_")


def test_nobody_else_may_read_the_keys(tmp_path: Path) -> None:
    State().save(tmp_path)

    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "not JSON", '{"format": 99}', '{"format": 1, "processes": {"kafka": {"pid": 1}}}']
)
def test_a_state_that_cannot_be_read_is_said_with_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)

    with pytest.raises(StackError, match="Delete the data folder"):
        State.load(tmp_path)


def test_two_cannot_work_on_one_folder(tmp_path: Path) -> None:
    FolderLock(tmp_path).acquire()  # And nobody keeps it: the descriptor does.

    with pytest.raises(FolderLockedError, match=rf"Another process \(id {os.getpid()}\)"):
        FolderLock(tmp_path).acquire()


def test_a_lock_that_was_released_can_be_had_again(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path / "new" / "folder"), FolderLock(tmp_path / "new" / "folder")
    first.acquire()
    first.acquire()
    first.release()
    first.release()

    second.acquire()
    second.release()
