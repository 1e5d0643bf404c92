"""Letters as people get them: what they say, how they are signed, and what nobody can smuggle into them."""

import os
import re
from datetime import UTC, datetime, timedelta, timezone
from email.headerregistry import Address
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from notifier_facts import (
    ACCOUNTS_KEY,
    CHALLENGE,
    INVITATION,
    LINK_KEY,
    MONEY,
    NOW,
    OF_ACCOUNTS,
    WITH_CHALLENGE,
    WITH_LINK,
    claim,
)
from notifier_reading import Page, html_of, read, text_of, words_of

from contracts import link_code, mailbox_code, reset_code
from notifier.domain import Kind
from notifier.names import clean_name
from notifier.rendering import Renderer, Unwritable, in_words

EXAMPLES = Path(__file__).parent / "letters"
CONSOLE = "https://console.example.com"
LINK = f"{CONSOLE}/org-invite/{link_code(LINK_KEY, INVITATION)}/"
RESET_LINK = f"{CONSOLE}/password-reset/{reset_code(ACCOUNTS_KEY, CHALLENGE)}/"
CODE = mailbox_code(ACCOUNTS_KEY, CHALLENGE)
RENDERER = Renderer(
    console_url="https://console.example.com/",
    link_key=LINK_KEY,
    accounts_key=ACCOUNTS_KEY,
    sender=Address("Latchkey", "invitations", "latchkey.example"),
)
NEWS = (Kind.WELCOME, Kind.HAS_JOINED)


@pytest.mark.parametrize("kind", Kind)
def test_the_letter_reads_as_its_committed_example(kind: Kind) -> None:
    """To change a letter on purpose: UPDATE_LETTERS=1 pytest, and look at the difference."""
    message = read(RENDERER.write(claim(kind)))
    written = f"From: {message['From']}\nTo: {message['To']}\nSubject: {message['Subject']}\n\n{text_of(message)}"
    example = EXAMPLES / f"{kind}.txt"
    if os.environ.get("UPDATE_LETTERS"):
        example.parent.mkdir(exist_ok=True)
        example.write_text(written, encoding="utf-8")
    assert written == example.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", Kind)
def test_both_alternatives_say_the_same(kind: Kind) -> None:
    message = read(RENDERER.write(claim(kind)))
    page = words_of(html_of(message))
    for said in (
        *(["new.member@example.com"] if kind in OF_ACCOUNTS else ["Acme"]),
        *([] if kind in OF_ACCOUNTS or kind in MONEY else ["Ada Owner"]),
        "Latchkey",
        *(["Monday, 9 March 2026 at 09:00 UTC"] if kind in WITH_LINK else []),
        *(["Monday, 2 March 2026 at 09:15 UTC"] if kind in WITH_CHALLENGE else []),
    ):
        assert said in page
        assert said in " ".join(text_of(message).split()) or said == "Latchkey"


@pytest.mark.parametrize(
    ("kind", "link"), [(Kind.INVITATION, LINK), (Kind.REMINDER, LINK), (Kind.PASSWORD_RESET, RESET_LINK)]
)
def test_the_link_is_a_button_and_in_plain(kind: Kind, link: str) -> None:
    message = read(RENDERER.write(claim(kind)))
    assert text_of(message).splitlines().count(link) == 1
    page = Page(html_of(message))
    assert page.links == [link, link]
    assert link in page.words


def test_the_code_is_read_in_two_groups_and_copied_in_one() -> None:
    message = read(RENDERER.write(claim(Kind.MAILBOX_CODE)))
    assert f"    {CODE[:3]} {CODE[3:]}\n" in text_of(message)
    page = html_of(message)
    assert f"<span>{CODE[:3]}</span><span" in page
    assert CODE in words_of(page).split()
    assert Page(page).links == []


def test_the_code_cannot_be_read_where_others_see_the_screen() -> None:
    """A locked telephone shows the subject, and the beginning of the letter."""
    message = read(RENDERER.write(claim(Kind.MAILBOX_CODE)))
    for shown in (str(message["Subject"]), text_of(message)[:60], words_of(html_of(message))[:60]):
        assert CODE not in shown.replace(" ", "")


def test_a_code_in_a_letter_keeps_its_leading_zeros() -> None:
    zeros = claim(Kind.MAILBOX_CODE)
    zeros.letter.challenge_id = next(
        challenge
        for challenge in (UUID(int=CHALLENGE.int + number) for number in range(10_000))
        if mailbox_code(ACCOUNTS_KEY, challenge).startswith("00")
    )
    assert re.search(r"^    00\d \d{3}$", text_of(read(RENDERER.write(zeros))), re.MULTILINE)


def test_who_has_an_account_already_is_led_into_it() -> None:
    message = read(RENDERER.write(claim(Kind.ACCOUNT_EXISTS)))
    ways_in = [f"{CONSOLE}/sign-in", f"{CONSOLE}/forgot-password"]
    assert Page(html_of(message)).links == ways_in
    assert [line for line in text_of(message).splitlines() if line.startswith("https:")] == ways_in


def test_who_has_not_changed_the_password_is_told_what_to_do() -> None:
    message = read(RENDERER.write(claim(Kind.PASSWORD_CHANGED)))
    for text in (text_of(message), words_of(html_of(message))):
        assert "If it was not you" in text
        assert "sessions" in text
    assert Page(html_of(message)).links == [f"{CONSOLE}/forgot-password"]


@pytest.mark.parametrize("kind", [*OF_ACCOUNTS, *MONEY])
def test_nobody_can_write_to_strangers_by_the_name_that_they_sign_up_with(kind: Kind) -> None:
    letter = RENDERER.write(claim(kind, recipient_name="You have won. Call the lottery."))
    assert letter == RENDERER.write(claim(kind, recipient_name=None))


@pytest.mark.parametrize("kind", NEWS)
def test_news_carry_no_link_but_that_to_the_console(kind: Kind) -> None:
    message = read(RENDERER.write(claim(kind)))
    assert "org-invite" not in message.as_string()
    assert Page(html_of(message)).links == ["https://console.example.com/"]


@pytest.mark.parametrize("kind", Kind)
def test_it_says_why_one_gets_it(kind: Kind) -> None:
    message = read(RENDERER.write(claim(kind)))
    assert "You get this letter since" in text_of(message)
    assert "You get this letter since" in words_of(html_of(message))


@pytest.mark.parametrize("kind", Kind)
def test_it_is_readable_in_the_light_and_in_the_dark_and_loads_nothing(kind: Kind) -> None:
    page = html_of(read(RENDERER.write(claim(kind))))
    assert 'name="color-scheme" content="light dark"' in page
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"<(img|script|link|iframe|form)\b|url\(|@import", page)


@pytest.mark.parametrize("kind", Kind)
def test_the_same_letter_written_again_is_the_same_byte_by_byte(kind: Kind) -> None:
    assert RENDERER.write(claim(kind)).content == RENDERER.write(claim(kind)).content


def test_the_headers_tell_who_wrote_when_and_that_a_machine_did() -> None:
    letter = claim()
    message = read(RENDERER.write(letter))
    assert message["From"] == "Latchkey <invitations@latchkey.example>"
    assert message["To"] == "new.member@example.com"
    assert message["Date"].datetime == NOW
    assert message["Message-ID"] == f"<{letter.letter.letter_id}@latchkey.example>"
    assert message["Idempotency-Key"] == str(letter.letter.letter_id)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["MIME-Version"] == "1.0"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message.defects == []


@pytest.mark.parametrize("kind", Kind)
def test_every_line_is_short_ascii_and_ends_with_crlf(kind: Kind) -> None:
    content = RENDERER.write(claim(kind, organization_name="株式会社" * 20, person_name="Zoë " * 30)).content
    assert content.isascii()
    lines = content.split(b"\r\n")
    assert not any(b"\n" in line or b"\r" in line for line in lines)
    assert max(map(len, lines)) <= 78


def test_where_the_inviter_is_not_known_the_letter_does_not_name_them() -> None:
    message = read(RENDERER.write(claim(person_name=None)))
    assert message["Subject"] == "You are invited to Acme"
    assert text_of(message).startswith("You are invited to join Acme on Latchkey.")
    assert "None" not in message.as_string()


def test_where_the_new_member_has_no_name_the_address_says_who_joined() -> None:
    message = read(RENDERER.write(claim(Kind.HAS_JOINED, person_name="\u202e")))
    assert message["Subject"] == "Somebody you invited has joined Acme"
    assert "ada@example.com has accepted your invitation" in text_of(message)


def test_markup_in_a_name_is_text() -> None:
    page = html_of(read(RENDERER.write(claim(organization_name="<b>Acme</b> & \"Co\" <a href=''>", person_name="<i>"))))
    assert "<b>Acme" not in page
    assert "<i>" not in page
    assert '<b>Acme</b> & "Co"' in words_of(page)


def test_template_syntax_in_a_name_is_text() -> None:
    message = read(RENDERER.write(claim(organization_name="{{ 7 * 7 }}{% raw %}")))
    assert message["Subject"].endswith("to {{ 7 * 7 }}{% raw %}")


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=100), st.text(max_size=100))
def test_no_name_can_add_a_header_or_change_where_the_letter_goes(organization: str, person: str) -> None:
    message = read(RENDERER.write(claim(organization_name=organization, person_name=person)))
    plain = read(RENDERER.write(claim()))
    assert message.keys() == plain.keys()
    assert {name: message[name] for name in message if name != "Subject"} == {
        name: plain[name] for name in plain if name != "Subject"
    }
    assert message.defects == []


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=100))
@example("0000\u00a1:" + "\u00a1" * 7 + " \u00a1")
def test_a_name_arrives_as_it_was_cleaned(name: str) -> None:
    message = read(RENDERER.write(claim(organization_name=name)))
    shown = clean_name(name) or "an organization"
    assert shown in words_of(html_of(message))
    assert shown in text_of(message)
    assert str(message["Subject"]).endswith(shown)


@pytest.mark.parametrize(
    ("address", "envelope", "needs_smtputf8"),
    [
        ("new.member@example.com", "new.member@example.com", False),
        ("o'neill+tag@example.com", "o'neill+tag@example.com", False),
        ("info@bücher.example", "info@xn--bcher-kva.example", False),
        ("用户@example.com", "用户@example.com", True),
        ("Jörg@Bücher.example", "Jörg@xn--bcher-kva.example", True),
    ],
)
def test_addresses_beyond_ascii_are_written_as_servers_take_them(
    address: str, envelope: str, needs_smtputf8: bool
) -> None:
    mail = RENDERER.write(claim(address=address))
    assert (mail.recipient, mail.needs_smtputf8) == (envelope, needs_smtputf8)
    assert read(mail)["To"] == envelope
    assert mail.content.isascii() is not needs_smtputf8


@pytest.mark.parametrize(
    "address", ["", "nobody", "@example.com", "a@", "a b@example.com", "a@exa\r\nmple.com", "<a@b>", "a@b.c>,<d@e.f"]
)
def test_nothing_is_written_to_what_is_no_address(address: str) -> None:
    with pytest.raises(Unwritable):
        RENDERER.write(claim(address=address))


@pytest.mark.parametrize("kind", Kind)
def test_no_link_or_code_is_shown_where_a_letter_is_printed(kind: Kind) -> None:
    mail = RENDERER.write(claim(kind))
    shown = f"{mail!r} {mail} {claim(kind)!r} {RENDERER!r}"
    for usable in (link_code(LINK_KEY, INVITATION), reset_code(ACCOUNTS_KEY, CHALLENGE), CODE):
        assert usable not in shown


def test_times_are_told_in_utc_and_in_words() -> None:
    new_york = timezone(timedelta(hours=-5))
    assert in_words(datetime(2026, 3, 8, 23, 5, tzinfo=new_york)) == (
        "Monday, 9 March 2026",
        "Monday, 9 March 2026 at 04:05 UTC",
    )
    assert in_words(datetime(2026, 12, 31, tzinfo=UTC))[0] == "Thursday, 31 December 2026"
