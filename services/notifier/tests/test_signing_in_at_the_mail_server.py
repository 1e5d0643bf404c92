"""The connection to the mail server: secret where it must be, signed in where it is asked for, kept and given up."""

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from notifier_facts import claim
from notifier_mailbox import DROP, HANG, Mailbox
from test_letters_as_written import RENDERER

from notifier.domain import Impossible, PutOff, Rejected, Taken
from notifier.smtp import Carrier, MailServer, Unreachable

TLS = Path(__file__).parent / "tls"
LETTER = RENDERER.write(claim())


def server_at(mailbox: Mailbox, **fields: object) -> MailServer:
    server = MailServer(host="127.0.0.1", port=mailbox.port, local_hostname="notifier.localhost", timeout=5.0)
    return replace(server, **fields)  # type: ignore[arg-type]


def server_side() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    return context


def client_side() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(TLS / "certificate.pem"))


async def test_starttls_and_a_password() -> None:
    async with Mailbox(starttls=server_side(), credentials=("notifier", "secret")) as mailbox:
        server = server_at(mailbox, starttls=True, tls_context=client_side(), username="notifier", password="secret")
        carrier = Carrier(server)
        await carrier.connect()
        assert await carrier.send(LETTER) == Taken()
        await carrier.leave()
    assert mailbox.secret == [True]


async def test_implicit_tls() -> None:
    async with Mailbox(implicit_tls=server_side()) as mailbox:
        carrier = Carrier(server_at(mailbox, implicit_tls=True, tls_context=client_side()))
        await carrier.connect()
        assert await carrier.send(LETTER) == Taken()
        await carrier.leave()


async def test_a_wrong_password_is_no_letters_fault() -> None:
    async with Mailbox(starttls=server_side(), credentials=("notifier", "secret")) as mailbox:
        server = server_at(mailbox, starttls=True, tls_context=client_side(), username="notifier", password="wrong")
        with pytest.raises(Unreachable, match="535"):
            await Carrier(server).connect()


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted() -> None:
    async with Mailbox(implicit_tls=server_side()) as mailbox:
        carrier = Carrier(server_at(mailbox, implicit_tls=True, tls_context=ssl.create_default_context()))
        with pytest.raises(Unreachable):
            await carrier.connect()


async def test_nothing_is_sent_in_the_clear_where_starttls_is_asked_for(mailbox: Mailbox) -> None:
    with pytest.raises(Unreachable):
        await Carrier(server_at(mailbox, starttls=True, tls_context=client_side())).connect()
    assert mailbox.letters == []


async def test_a_server_that_is_not_there_is_unreachable(mailbox: Mailbox) -> None:
    await mailbox.close()
    with pytest.raises(Unreachable):
        await Carrier(server_at(mailbox)).connect()


async def test_an_idle_connection_that_the_server_has_closed_costs_no_letter(mailbox: Mailbox) -> None:
    carrier = Carrier(server_at(mailbox), probe_after=0.0)
    await carrier.connect()
    mailbox.hang_up()
    await carrier.connect()
    assert await carrier.send(LETTER) == Taken()
    assert mailbox.connections == 2
    await carrier.leave()


async def test_a_connection_is_kept_as_long_as_it_is_used(mailbox: Mailbox) -> None:
    carrier = Carrier(server_at(mailbox))
    for _ in range(3):
        await carrier.connect()
        assert await carrier.send(LETTER) == Taken()
        await carrier.rest(idle=10.0)
    assert mailbox.connections == 1
    await carrier.rest(idle=0.0)
    assert not carrier.is_connected


async def test_a_connection_does_not_rest_while_a_letter_is_on_its_way(mailbox: Mailbox) -> None:
    carrier = Carrier(server_at(mailbox))
    await carrier.connect()
    mailbox.may_answer.clear()
    sending = asyncio.create_task(carrier.send(LETTER))
    await mailbox.taken.wait()
    await carrier.rest(idle=0.0)
    mailbox.may_answer.set()
    assert await sending == Taken()
    await carrier.leave()


@pytest.mark.parametrize(
    ("stage", "answer", "outcome", "is_kept"),
    [
        ("to_rcpt", "550 5.1.1 No such mailbox", Rejected(550), True),
        ("to_rcpt", "553 5.1.3 Bad address", Rejected(553), True),
        ("to_data", "554 5.7.1 We think this is spam", Rejected(554), True),
        ("to_rcpt", "450 4.2.0 Busy", PutOff("The mail server put the letter off (450)."), True),
        ("to_data", "421 4.3.2 Bye", PutOff("The mail server put the letter off (421)."), False),
        ("to_mail", "550 5.7.1 Not you", PutOff("The mail server did not take us as the sender (550)."), True),
        ("to_data", DROP, PutOff("The connection to the mail server was lost."), False),
        ("to_data", HANG, PutOff("The mail server did not answer in time."), False),
    ],
)
async def test_what_the_server_says_decides(
    mailbox: Mailbox, stage: str, answer: str, outcome: object, is_kept: bool
) -> None:
    getattr(mailbox, stage).append(answer)
    carrier = Carrier(server_at(mailbox, timeout=0.5))
    await carrier.connect()
    assert await carrier.send(LETTER) == outcome
    assert carrier.is_connected is is_kept
    await carrier.connect()
    assert await carrier.send(LETTER) == Taken(), "the next letter is not harmed"
    await carrier.leave()


async def test_an_address_beyond_ascii_goes_to_a_server_that_carries_it(mailbox: Mailbox) -> None:
    carrier = Carrier(server_at(mailbox))
    await carrier.connect()
    assert await carrier.send(RENDERER.write(claim(address="用户@bücher.example"))) == Taken()
    assert mailbox.recipients == ["用户@xn--bcher-kva.example"]
    await carrier.leave()


async def test_an_address_beyond_ascii_is_impossible_where_the_server_does_not_carry_it() -> None:
    async with Mailbox(smtputf8=False) as mailbox:
        carrier = Carrier(server_at(mailbox))
        await carrier.connect()
        assert isinstance(await carrier.send(RENDERER.write(claim(address="用户@example.com"))), Impossible)
        assert await carrier.send(LETTER) == Taken()
        await carrier.leave()
