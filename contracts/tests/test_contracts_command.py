"""python -m contracts: what a person at a terminal, and a build, get from it."""

import dataclasses
import sys
from pathlib import Path

import pytest

from contracts import INVITES_EVENTS, TOPICS, TopicRegistry
from contracts.__main__ import main
from contracts.golden import folder


def test_check_ends_well_where_every_release_can_live_with_what_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["contracts", "check"])

    assert main() == 0
    assert "every release (0.1.0" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["check"], ["release", "9.9.9"]], ids=["check", "release"])
def test_a_wrong_change_ends_the_command_with_a_sentence_and_freezes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    wider = dataclasses.replace(INVITES_EVENTS, partitions=12)
    changed = TopicRegistry(wider if topic is INVITES_EVENTS else topic for topic in TOPICS)
    monkeypatch.setattr("contracts.__main__.TOPICS", changed)
    monkeypatch.setattr(sys, "argv", ["contracts", *arguments])

    assert main() == 1
    assert capsys.readouterr().err.startswith("`invites.events` had 6 partitions and has 12: the keys move")
    assert not (folder("releases") / "9.9.9").exists()


@pytest.mark.parametrize("version", ["0.1.0", "next"])
def test_a_release_that_cannot_be_frozen_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["contracts", "release", version])

    assert main() == 1
    assert capsys.readouterr().err.startswith(f"{version} cannot be frozen: ")


def test_pages_are_written_to_a_file_or_to_the_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for page in ("catalogue", "asyncapi"):
        monkeypatch.setattr(sys, "argv", ["contracts", page, str(tmp_path / page)])
        assert main() == 0
        assert capsys.readouterr().out == f"Wrote {tmp_path / page}\n"

        monkeypatch.setattr(sys, "argv", ["contracts", page])
        assert main() == 0
        assert capsys.readouterr().out == (tmp_path / page).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("argument", "module", "library", "extra"),
    [
        ("asyncapi", "contracts.asyncapi", "yaml", "docs"),
        ("check", "contracts.compatibility", "jsonsubschema", "gate"),
    ],
    ids=["asyncapi", "check"],
)
def test_a_library_that_is_missing_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, argument: str, module: str, library: str, extra: str
) -> None:
    for loaded in (module, "contracts.gate"):
        monkeypatch.delitem(sys.modules, loaded, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(sys, "argv", ["contracts", argument])

    with pytest.raises(SystemExit, match=rf"pip install 'latchkey-contracts\[{extra}\]'"):
        main()
