"""The mailbox, over real SMTP and HTTP: what it keeps, shows, suppresses and refuses."""

import http.client
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from stack.loopback import request
from stack.mailbox.letters import Letters
from stack.mailbox.server import MailboxServer
from stack.ports import LOOPBACK


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailboxServer]:
    server = MailboxServer(tmp_path_factory.mktemp("mailbox"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mailbox(server: MailboxServer) -> MailboxServer:
    """Empty."""
    server.start()
    server.clear()
    return server


def letter(to: str = "ada@example.com", subject: str = "You are invited", key: str = "") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Latchkey <invitations@example.com>"
    message["To"] = to
    message["Subject"] = subject
    if key:
        message["Idempotency-Key"] = key
    message.set_content("Grüße! Accept: https://console.example/org-invite/abc/\n")
    message.add_alternative("<h1>Grüße!</h1><script>alert(1)</script>", subtype="html")
    return message


def send(mailbox: MailboxServer, message: EmailMessage) -> None:
    with smtplib.SMTP(LOOPBACK, mailbox.smtp_port, timeout=10) as smtp:
        smtp.send_message(message)


def page(mailbox: MailboxServer, path: str) -> tuple[http.client.HTTPMessage, str]:
    connection = http.client.HTTPConnection(LOOPBACK, mailbox.http_port, timeout=10)
    connection.request("GET", path, headers={"Accept": "text/html"})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    assert response.status == 200, body
    return response.headers, body


def test_a_letter_is_there_as_it_was_sent(mailbox: MailboxServer) -> None:
    send(mailbox, letter(subject="Ein Brief für Sie"))

    (found,) = mailbox.letters()
    assert found["to"] == "ada@example.com"
    assert found["from"] == "Latchkey <invitations@example.com>"
    assert found["subject"] == "Ein Brief für Sie"
    assert found["text"] == "Grüße! Accept: https://console.example/org-invite/abc/\n"
    assert found["html"].startswith("<h1>Grüße!</h1>")


def test_letters_are_found_by_recipient_whatever_the_case_oldest_first(mailbox: MailboxServer) -> None:
    for to, subject in [("ada@example.com", "1"), ("bob@example.com", "2"), ("ADA@example.com", "3")]:
        send(mailbox, letter(to, subject))

    assert [found["subject"] for found in mailbox.letters("Ada@Example.com")] == ["1", "3"]
    assert len(mailbox.letters()) == 3


def test_a_letter_to_two_people_is_two_letters(mailbox: MailboxServer) -> None:
    send(mailbox, letter("ada@example.com, bob@example.com"))

    assert [found["to"] for found in mailbox.letters()] == ["ada@example.com", "bob@example.com"]


def test_the_second_letter_with_an_idempotency_key_is_accepted_suppressed_and_counted(mailbox: MailboxServer) -> None:
    for _ in range(3):
        send(mailbox, letter(key="7c1f"))
    send(mailbox, letter(key="another"))
    send(mailbox, letter())
    send(mailbox, letter())

    assert len(mailbox.letters()) == 4
    assert mailbox.counts()["suppressed"] == 2


def test_letters_and_keys_outlive_a_killed_mailbox(mailbox: MailboxServer) -> None:
    send(mailbox, letter(key="7c1f"))
    before = mailbox.letters()
    mailbox.kill()
    mailbox.start()
    send(mailbox, letter(key="7c1f"))

    assert mailbox.letters() == before


def test_bounce_is_refused_for_good(mailbox: MailboxServer) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(mailbox, letter("bounce.1@example.com"))

    assert refused.value.recipients["bounce.1@example.com"][0] == 550
    assert mailbox.letters() == []


def test_tempfail_is_put_off_always(mailbox: MailboxServer) -> None:
    for _ in range(3):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(mailbox, letter("tempfail@example.com"))
        assert refused.value.recipients["tempfail@example.com"][0] == 451


@pytest.mark.parametrize("address", ["tempfail-2@example.com", "tempfail-2.acme@example.com"])
def test_tempfail_with_a_number_is_put_off_that_often(mailbox: MailboxServer, address: str) -> None:
    for _ in range(2):
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(mailbox, letter(address))
    send(mailbox, letter(address))

    assert len(mailbox.letters(address)) == 1


def test_slow_keeps_the_letter_before_it_answers(mailbox: MailboxServer) -> None:
    """So that who does not wait for the answer sends it twice."""
    with smtplib.SMTP(LOOPBACK, mailbox.smtp_port, timeout=1) as smtp:
        smtp.ehlo()
        smtp.mail("invitations@example.com")
        smtp.rcpt("slow@example.com")
        with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
            smtp.data(letter("slow@example.com").as_bytes())

    assert len(mailbox.letters("slow@example.com")) == 1


def test_a_letter_without_anything_is_a_letter(mailbox: MailboxServer) -> None:
    with smtplib.SMTP(LOOPBACK, mailbox.smtp_port, timeout=10) as smtp:
        smtp.sendmail("a@example.com", ["b@example.com"], b"\r\n")

    (found,) = mailbox.letters()
    assert (found["subject"], found["html"]) == ("(no subject)", "")
    page(mailbox, f"/letters/{found['id']}")


def test_the_page_shows_the_letter_in_a_frame_that_can_do_nothing(mailbox: MailboxServer) -> None:
    send(mailbox, letter())
    letter_id = mailbox.letters()[0]["id"]

    _, shown = page(mailbox, f"/letters/{letter_id}")
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in shown
    assert "alert(1)" not in shown, "the letter itself is in the frame alone"
    headers, framed = page(mailbox, f"/letters/{letter_id}/html")
    assert "<h1>Grüße!</h1>" in framed
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "script-src" not in headers["Content-Security-Policy"]


def test_the_page_has_the_plain_text_and_the_source_too(mailbox: MailboxServer) -> None:
    send(mailbox, letter())
    letter_id = mailbox.letters()[0]["id"]

    assert 'href="https://console.example/org-invite/abc/"' in page(mailbox, f"/letters/{letter_id}?view=text")[1]
    assert f'src="/letters/{letter_id}/source"' in page(mailbox, f"/letters/{letter_id}?view=source")[1]
    assert "Subject: You are invited" in page(mailbox, f"/letters/{letter_id}/source")[1]


def test_what_a_letter_says_of_itself_is_text_on_the_page(mailbox: MailboxServer) -> None:
    send(mailbox, letter(subject="<img src=x onerror=alert(1)>"))

    assert "&lt;img src=x" in page(mailbox, "/")[1]
    assert "<img" not in page(mailbox, "/")[1]


def test_the_page_can_be_searched(mailbox: MailboxServer) -> None:
    send(mailbox, letter("ada@example.com", "Welcome"))
    send(mailbox, letter("bob@example.com", "You are invited"))

    shown = page(mailbox, "/?q=WELCOME")[1]
    assert "ada@example.com" in shown
    assert "bob@example.com" not in shown


def test_a_page_elsewhere_that_uses_our_address_reads_nothing(mailbox: MailboxServer) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, mailbox.http_port, timeout=10)
    connection.request("GET", "/letters.json", headers={"Host": "elsewhere.example"})
    assert connection.getresponse().status == 400
    connection.close()


def test_a_letter_that_is_not_there_is_not_found(mailbox: MailboxServer) -> None:
    assert request(mailbox.http_port, "GET", "/letters/4711")[0] == 404


def test_a_letter_of_an_unknown_character_set_can_be_read(tmp_path: Path) -> None:
    letters = Letters(tmp_path)
    found = letters.add("a@example.com", "b@example.com", b"Content-Type: text/plain; charset=klingon\r\n\r\nQapla'")

    assert found is not None
    assert found.text == "Qapla'"
