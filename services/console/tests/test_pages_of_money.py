"""Usage, payment methods and topping up, as a browser without JavaScript sees them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from console_world import ConsoleWorld, console_world
from page_browser import PageBrowser
from played_billing import DOLLAR
from starlette.types import Message

from console.accounts.domain import Account
from console.web.security import content_security_policy
from contracts import (
    AttachCard,
    FundsExhausted,
    FundsLow,
    Reason,
    SetSpendCap,
    TopUpCredit,
)

USAGE, PAYMENT = "/billing/usage", "/billing/payment"
ORGANIZATION_PAYMENT, TOP_UP = "/billing/organization/payment", "/billing/organization/top-up"
OWNER, MEMBER, ALONE = "owner@example.com", "member@example.com", "alone@example.com"
STRIPE: dict[str, Any] = {"stripe_publishable_key": "pk_test_of_the_tests", "stripe_js": "http://127.0.0.1:5151/v3/"}
STRICT = content_security_policy({})


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url, cards_per_account_per_hour=4, **STRIPE) as (console,):
        yield console


@pytest.fixture
async def owner(console: ConsoleWorld) -> Account:
    """The owner of an organization."""
    owner = await console.person(OWNER, "The Owner")
    await console.edge.commands.create_organization(owner, "Example Org")
    return owner


@pytest.fixture
async def organization_id(console: ConsoleWorld, owner: Account) -> UUID:
    async with asyncio.timeout(10):
        while (membership := await console.edge.view.membership(owner.account_id)) is None:
            await asyncio.sleep(0.01)
    return membership.organization_id


@pytest.fixture
async def member(console: ConsoleWorld, organization_id: UUID) -> Account:
    member = await console.person(MEMBER, "The Member")
    await console.hear(console.player.joined(organization_id, member.account_id))
    return member


@pytest.fixture
async def browser(console: ConsoleWorld, organization_id: UUID) -> AsyncIterator[PageBrowser]:
    """The owner's."""
    async with PageBrowser(console) as browser:
        yield await browser.sign_in(OWNER)


@pytest.fixture
async def members(console: ConsoleWorld, member: Account) -> AsyncIterator[PageBrowser]:
    """The member's browser."""
    async with PageBrowser(console) as browser:
        yield await browser.sign_in(MEMBER)


@pytest.fixture
async def alone(console: ConsoleWorld) -> AsyncIterator[PageBrowser]:
    """The browser of somebody who is in no organization."""
    await console.person(ALONE, "Somebody Alone")
    async with PageBrowser(console) as browser:
        yield await browser.sign_in(ALONE)


async def has_credit(console: ConsoleWorld, owner: Account, organization_id: UUID, amount: int = 100 * DOLLAR) -> None:
    """The organization has a card, with which it has bought credit."""
    await console.hear(console.player.billing.attached(organization_id, console.clock()))
    assert (await console.edge.commands.top_up(owner, organization_id, amount)).is_done


async def uses(console: ConsoleWorld, account: Account, *shares: tuple[Any, UUID, int], **changed: Any) -> None:
    """The account has used something, paid for by these sources."""
    await console.hear(console.player.billing.charged(account.account_id, shares, console.clock(), **changed))


def policy(browser: PageBrowser) -> dict[str, str]:
    """What the page allows, by directive."""
    header = browser.answer.headers["content-security-policy"]
    return dict(each.split(" ", 1) for each in header.split("; "))


# --- usage


async def test_who_has_used_nothing_sees_who_would_pay_and_that_there_is_nothing_yet(alone: PageBrowser) -> None:
    await alone.go(USAGE)
    text = alone.page.text

    assert (alone.answer.status_code, alone.page.heading) == (200, "Usage")
    assert "You use nothing just now" in text
    assert "No usage in March 2026" in text
    assert "Your trial credit, and what a card of your own is charged, show here." in text
    assert alone.answer.text.count('<li class="link ') == 2
    assert "By member" not in text


async def test_the_chain_says_who_pays_until_when_and_who_does_then(
    console: ConsoleWorld, owner: Account, organization_id: UUID, browser: PageBrowser
) -> None:
    await has_credit(console, owner, organization_id)
    await console.hear(console.player.billing.granted(owner.account_id, 5 * DOLLAR, console.clock()))
    share = ("organization_credit", organization_id, 20 * DOLLAR)
    await uses(console, owner, share, organization_id=organization_id, burn_rate=20 * DOLLAR)
    await browser.go(USAGE)
    text = browser.page.text

    assert "You use $20.00 an hour" in text
    assert (
        "The prepaid credit of Example Org pays now, until about 16:00 UTC at the present rate; "
        "then the card of Example Org." in text
    )
    assert "Example Org Prepaid credit $80.00 left Pays now" in text
    assert "Example Org Card On file Visa ending in 4242 Ready" in text
    assert "You Trial credit $5.00 left Ready" in text
    assert "You Card None on file No card" in text
    assert browser.answer.text.count('aria-current="step"') == 1


async def test_a_member_does_not_see_which_card_the_organization_has(
    console: ConsoleWorld, owner: Account, organization_id: UUID, members: PageBrowser
) -> None:
    await has_credit(console, owner, organization_id)
    for path in (USAGE, "/dashboard"):
        await members.go(path)
        assert "The prepaid credit of Example Org pays next" in members.page.text
        assert "4242" not in members.answer.text


async def test_admins_see_what_everybody_has_used_and_members_what_they_have(
    console: ConsoleWorld,
    owner: Account,
    member: Account,
    organization_id: UUID,
    browser: PageBrowser,
    members: PageBrowser,
) -> None:
    await has_credit(console, owner, organization_id)
    share = ("organization_credit", organization_id, 2 * DOLLAR)
    for account in (owner, member, member):
        await uses(console, account, share, organization_id=organization_id)
    await uses(console, member, organization_id=organization_id, written_off=125)

    await browser.go(USAGE)
    assert "Paid so far $6.00" in browser.page.text
    assert "Written off $0.000125" in browser.page.text
    assert "Most was used on 2 March: $6.00." in browser.page.text
    assert "TM The Member member@example.com $4.00 $0.00 $0.00 $0.00 $0.000125 $4.00" in browser.page.text
    assert "TO The Owner You owner@example.com $2.00" in browser.page.text

    await members.go(USAGE)
    assert "Paid so far $4.00" in members.page.text
    assert "Paid so far $6.00" not in members.page.text
    assert "owner@example.com" not in members.answer.text
    assert f"{USAGE}/cap" not in members.page.forms


async def test_another_month_can_be_chosen_and_none_that_is_to_come(
    console: ConsoleWorld, owner: Account, organization_id: UUID, browser: PageBrowser
) -> None:
    await has_credit(console, owner, organization_id)
    before = console.clock() - timedelta(days=10)
    share = ("organization_credit", organization_id, 7 * DOLLAR)
    await uses(console, owner, share, organization_id=organization_id, used_from=before)

    await browser.go(USAGE)
    assert browser.page.forms[USAGE]["month"] == "2026-03"
    assert "No usage in March 2026" in browser.page.text
    await browser.go(f"{USAGE}?month=2026-02")
    assert browser.page.forms[USAGE]["month"] == "2026-02"
    assert "Example Org in February 2026" in browser.page.text
    assert "Paid $7.00" in browser.page.text
    for nonsense in ("2026-04", "2026-13", "soon", ""):
        assert (await browser.go(f"{USAGE}?month={nonsense}")).answer.status_code == 404


async def test_receipts_are_shown_with_a_file_of_all_of_them(
    console: ConsoleWorld, owner: Account, organization_id: UUID, browser: PageBrowser
) -> None:
    await has_credit(console, owner, organization_id)
    await browser.go(USAGE)

    assert "2 Mar 2026 Top-up" in browser.page.text
    assert "$100.00" in browser.page.text
    file = await browser.http.get(browser.page.links["Download CSV"])
    assert (file.status_code, file.headers["content-type"].split(";")[0]) == (200, "text/csv")


# --- funds


@pytest.mark.parametrize("path", [USAGE, "/dashboard"])
async def test_low_funds_are_a_warning_that_says_until_when(
    console: ConsoleWorld, member: Account, organization_id: UUID, members: PageBrowser, path: str
) -> None:
    now = console.clock()
    await console.hear(console.player.billing.granted(member.account_id, 5 * DOLLAR, now))
    await uses(console, member, ("member_credit", member.account_id, DOLLAR), burn_rate=8 * DOLLAR)
    low = FundsLow(
        account_id=member.account_id,
        organization_id=organization_id,
        version=50,
        left=4 * DOLLAR,
        burn_rate=8 * DOLLAR,
        exhausted_by=now + timedelta(minutes=30),
        noticed_at=now,
    )
    await console.hear(low)
    await members.go(path)

    assert "Funds are low" in members.page.text
    assert "nothing can pay any more at about 12:30 UTC, and your instances stop then" in members.page.text
    assert members.page.links["Your card"] == PAYMENT
    assert "Top up" not in members.page.links


@pytest.mark.parametrize("path", [USAGE, "/dashboard"])
async def test_exhausted_funds_are_an_error_that_says_what_to_do_and_that_nothing_is_charged_later(
    console: ConsoleWorld, owner: Account, organization_id: UUID, browser: PageBrowser, path: str
) -> None:
    await console.hear(
        FundsExhausted(
            account_id=owner.account_id, organization_id=organization_id, version=50, exhausted_at=console.clock()
        )
    )
    await browser.go(path)

    assert "Nothing can pay any more: your instances are to stop" in browser.page.text
    assert "Nobody is charged for it, now or later." in browser.page.text
    assert browser.page.links["Top up"] == TOP_UP
    assert browser.page.links["Organization's card"] == ORGANIZATION_PAYMENT
    assert 'role="alert"' in browser.answer.text


# --- limits


async def test_admins_limit_what_is_paid_for_a_member_and_take_the_limit_away(
    console: ConsoleWorld, member: Account, organization_id: UUID, browser: PageBrowser, members: PageBrowser
) -> None:
    await browser.go(USAGE)
    await browser.send(f"{USAGE}/cap", account_id=str(member.account_id), cap="$12.50")
    assert (browser.path, browser.page.toasts) == (USAGE, [("success", "The Member has a limit of $12.50 a month.")])
    assert 'value="12.50"' in browser.answer.text
    await members.go(USAGE)
    assert "Example Org pays up to $12.50 a month for you; $0.00 so far." in members.page.text

    await browser.send(f"{USAGE}/cap", account_id=str(member.account_id), cap=" ")
    assert browser.page.toasts == [("success", "The Member has no limit any more.")]
    assert [command.cap for command in console.sent_of(SetSpendCap)] == [12_500_000, None]


async def test_a_limit_that_is_no_amount_stays_in_its_field_with_the_reason(
    console: ConsoleWorld, member: Account, browser: PageBrowser
) -> None:
    await browser.go(USAGE)
    await browser.send(f"{USAGE}/cap", account_id=str(member.account_id), cap="a lot")

    assert browser.answer.status_code == 422
    assert 'value="a lot"' in browser.answer.text
    assert browser.page.described == {"cap": "error-cap"}
    assert "Enter an amount in dollars, such as 25 or 25.50." in browser.page.text
    assert "Error: Usage" in browser.answer.text
    assert console.sent_of(SetSpendCap) == []


async def test_who_may_not_set_limits_is_told_so(console: ConsoleWorld, member: Account, browser: PageBrowser) -> None:
    console.player.refusals[SetSpendCap] = (Reason.NOT_AN_ADMIN, "Only admins may do that.")
    await browser.go(USAGE)
    await browser.send(f"{USAGE}/cap", account_id=str(member.account_id), cap="5")

    assert browser.page.toasts == [("error", "Only admins may do that.")]


async def test_a_member_at_the_limit_is_marked_in_the_month_that_it_is_for(
    console: ConsoleWorld, owner: Account, member: Account, organization_id: UUID, browser: PageBrowser
) -> None:
    await has_credit(console, owner, organization_id)
    await console.edge.commands.set_spend_cap(owner, organization_id, member.account_id, DOLLAR)
    share = ("organization_credit", organization_id, DOLLAR)
    for begun in (console.clock(), console.clock() - timedelta(days=10)):
        await uses(console, member, share, organization_id=organization_id, used_from=begun)

    assert (await browser.go(USAGE)).page.text.count("Limit reached") == 1
    assert (await browser.go(f"{USAGE}?month=2026-02")).page.text.count("Limit reached") == 0


# --- what open pages fetch


async def test_figures_are_sent_again_only_when_they_have_changed(
    console: ConsoleWorld, owner: Account, organization_id: UUID, browser: PageBrowser
) -> None:
    await has_credit(console, owner, organization_id)
    first = await browser.http.get(f"{USAGE}/figures")
    known = {"if-none-match": first.headers["etag"]}
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-store")
    assert "<html" not in first.text
    assert (await browser.http.get(f"{USAGE}/figures", headers=known)).status_code == 304

    share = ("organization_credit", organization_id, DOLLAR)
    await uses(console, owner, share, organization_id=organization_id)
    changed = await browser.http.get(f"{USAGE}/figures", headers=known)
    assert changed.status_code == 200
    assert "$99.00" in changed.text


async def test_figures_are_for_who_is_signed_in_and_for_this_session(
    console: ConsoleWorld, browser: PageBrowser, alone: PageBrowser
) -> None:
    known = {"if-none-match": (await browser.http.get(f"{USAGE}/figures")).headers["etag"]}
    async with PageBrowser(console) as another:
        await another.sign_in(OWNER)
        assert (await another.http.get(f"{USAGE}/figures", headers=known)).status_code == 200
    assert (await alone.http.get(f"{USAGE}/figures")).status_code == 200
    async with PageBrowser(console) as visitor:
        for path in (f"{USAGE}/figures", f"{USAGE}/live"):
            assert (await visitor.http.get(path)).status_code == 401
        assert (await visitor.go(USAGE)).page.heading == "Sign in"


class Stream:
    """News as a browser hears them, for as long as the block lasts."""

    def __init__(self, browser: PageBrowser) -> None:
        self._app = browser.console.app
        headers = browser.http.build_request("GET", f"{USAGE}/live").headers.raw
        self._scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": f"{USAGE}/live",
            "query_string": b"",
            "headers": [(name.lower(), value) for name, value in headers],
        }
        self._heard: asyncio.Queue[str] = asyncio.Queue()

    async def __aenter__(self) -> "Stream":
        self._answering = asyncio.create_task(self._app(self._scope, self._receive, self._send))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._answering.cancel()
        await asyncio.wait([self._answering])

    async def event(self) -> str:
        """The next one's name."""
        async with asyncio.timeout(10):
            while not (text := await self._heard.get()).startswith("event:"):
                pass
        return text.split()[1]

    async def _receive(self) -> Message:
        return await asyncio.Future()

    async def _send(self, message: Message) -> None:
        self._heard.put_nowait(message.get("body", b"").decode())


@pytest.mark.parametrize("address", [ALONE, MEMBER])
async def test_open_pages_hear_at_once_that_money_has_come_and_that_the_session_is_over(
    console: ConsoleWorld, alone: PageBrowser, members: PageBrowser, address: str
) -> None:
    browser = alone if address == ALONE else members
    session = await console.edge.accounts.session(browser.http.cookies["session"])
    assert session is not None
    account_id = session.account.account_id
    async with Stream(browser) as stream:
        assert await stream.event() == "changed"
        await console.hear(console.player.billing.granted(account_id, DOLLAR, console.clock()))
        assert await stream.event() == "changed"
        await console.edge.accounts.end_session(account_id, session.session_id)
        await console.hear(console.player.billing.granted(account_id, DOLLAR, console.clock()))
        assert await stream.event() == "gone"


# --- the card of a person


async def test_without_a_card_there_is_a_form_for_one_that_needs_javascript(alone: PageBrowser) -> None:
    await alone.go(PAYMENT)

    assert alone.page.heading == "Payment method"
    assert "No card on file" in alone.page.text
    assert "A card can only be added with JavaScript" in alone.page.text
    assert alone.page.forms[f"{PAYMENT}/card"]["card_id"] == ""
    assert 'data-publishable-key="pk_test_of_the_tests"' in alone.answer.text
    assert "Whose payment method" not in alone.answer.text


async def test_a_card_is_put_on_file_by_the_reference_that_stripe_has_made(
    console: ConsoleWorld, alone: PageBrowser
) -> None:
    await alone.go(PAYMENT)
    await alone.send(f"{PAYMENT}/card", card_id="pm_of_the_card")

    assert (alone.path, alone.page.toasts) == (PAYMENT, [("success", "Visa ending in 4242 is on file.")])
    assert "Expires 12/30" in alone.page.text
    (command,) = console.sent_of(AttachCard)
    assert (command.payer_kind, command.card_id) == ("account", "pm_of_the_card")


async def test_why_a_card_is_refused_stands_beside_the_form(console: ConsoleWorld, alone: PageBrowser) -> None:
    console.player.refusals[AttachCard] = (Reason.CARD_DECLINED, "The card's bank said no.")
    await alone.go(PAYMENT)
    await alone.send(f"{PAYMENT}/card", card_id="pm_of_the_card")
    assert alone.answer.status_code == 422
    assert "The card's bank said no." in alone.page.text
    assert '<details class="add-card" open>' in alone.answer.text

    await alone.send(f"{PAYMENT}/card", card_id="")
    assert "The card could not be read." in alone.page.text
    assert len(console.sent_of(AttachCard)) == 1


async def test_cards_are_not_tried_out_here(alone: PageBrowser) -> None:
    await alone.go(PAYMENT)
    for number in range(4):
        await alone.send(f"{PAYMENT}/card", card_id=f"pm_{number}")
        assert alone.answer.status_code == 200
    await alone.send(f"{PAYMENT}/card", card_id="pm_of_one_too_many")

    assert alone.answer.status_code == 429
    assert int(alone.answer.headers["retry-after"]) > 0
    assert "Too many attempts. Please try again" in alone.page.text


async def test_a_declined_card_says_why_and_can_be_tried_again(console: ConsoleWorld, alone: PageBrowser) -> None:
    await alone.go(PAYMENT)
    await alone.send(f"{PAYMENT}/card", card_id="pm_of_the_card")
    (command,) = console.sent_of(AttachCard)
    await console.hear(console.player.billing.declined(command.payer_id, console.clock()))
    await alone.go(PAYMENT)
    assert "This card was declined There is not enough money on it." in alone.page.text

    await alone.send(f"{PAYMENT}/retry")
    assert alone.page.toasts == [("success", "The card is counted on again. It is charged when it is its turn.")]
    assert f"{PAYMENT}/retry" not in alone.page.forms


async def test_removing_a_card_asks_once_more(console: ConsoleWorld, alone: PageBrowser) -> None:
    await alone.go(PAYMENT)
    await alone.send(f"{PAYMENT}/card", card_id="pm_of_the_card")
    await alone.send(f"{PAYMENT}/remove")
    assert alone.page.heading == "Remove Visa ending in 4242?"
    assert alone.page.links["Cancel"] == PAYMENT

    await alone.send(f"{PAYMENT}/remove")
    assert (alone.path, alone.page.toasts) == (PAYMENT, [("success", "The card is removed.")])
    assert "No card on file" in alone.page.text


async def test_a_card_whose_time_is_over_is_marked(console: ConsoleWorld, alone: PageBrowser) -> None:
    await alone.go(PAYMENT)
    await alone.send(f"{PAYMENT}/card", card_id="pm_of_the_card")
    console.clock.advance(timedelta(days=5 * 365))
    async with PageBrowser(console) as later:
        await later.sign_in(ALONE)
        assert "This card has expired" in (await later.go(PAYMENT)).page.text


# --- the card of an organization


async def test_admins_set_the_organization_s_card(
    console: ConsoleWorld, organization_id: UUID, browser: PageBrowser
) -> None:
    await browser.go(PAYMENT)
    await browser.click("Example Org")
    assert browser.path == ORGANIZATION_PAYMENT
    await browser.send(f"{ORGANIZATION_PAYMENT}/card", card_id="pm_of_the_card")
    assert browser.page.toasts == [("success", "Visa ending in 4242 is on file.")]
    (command,) = console.sent_of(AttachCard)
    assert (command.payer_kind, command.payer_id) == ("organization", organization_id)
    assert "No card on file" in (await browser.go(PAYMENT)).page.text


async def test_members_neither_see_nor_set_the_organization_s_card(
    console: ConsoleWorld, organization_id: UUID, members: PageBrowser
) -> None:
    await console.hear(console.player.billing.attached(organization_id, console.clock()))
    await members.go(ORGANIZATION_PAYMENT)
    assert members.path == PAYMENT
    assert members.page.toasts == [("error", "Only admins see, and set, what the organization pays with.")]
    assert "4242" not in members.answer.text

    for form in ("card", "retry", "remove"):
        members.page.forms[f"{ORGANIZATION_PAYMENT}/{form}"] = members.page.forms[f"{PAYMENT}/card"]
        await members.send(f"{ORGANIZATION_PAYMENT}/{form}", card_id="pm_of_the_card", confirmed="1")
        assert members.page.toasts == [("error", "Only admins see, and set, what the organization pays with.")]
    assert console.sent_of(AttachCard) == []


# --- what the pages allow


async def test_only_the_pages_with_the_card_form_allow_stripe_s_script(browser: PageBrowser) -> None:
    for path in ("/dashboard", USAGE, TOP_UP, "/billing/organization", "/account"):
        await browser.go(path)
        assert browser.answer.headers["content-security-policy"] == STRICT, path
        assert "5151/v3" not in browser.answer.text, path
    stand_in = "http://127.0.0.1:5151"
    for path in (PAYMENT, ORGANIZATION_PAYMENT):
        allowed = policy(await browser.go(path))
        assert f'<script src="{stand_in}/v3/" defer></script>' in browser.answer.text
        assert allowed["script-src"] == f"'self' {stand_in}"
        assert allowed["connect-src"] == f"'self' {stand_in}"
        assert allowed["frame-src"] == stand_in
        assert (allowed["default-src"], allowed["style-src"]) == ("'none'", "'self'")
        assert (allowed["form-action"], allowed["frame-ancestors"]) == ("'self'", "'none'")


async def test_stripe_itself_is_allowed_what_its_documentation_asks_for(database_url: str) -> None:
    async with console_world(database_url, stripe_publishable_key="pk_test_of_the_tests") as (console,):
        await console.person(ALONE)
        async with PageBrowser(console) as browser:
            await browser.sign_in(ALONE)
            allowed = policy(await browser.go(PAYMENT))

    assert '<script src="https://js.stripe.com/v3/" defer></script>' in browser.answer.text
    assert allowed["script-src"] == "'self' https://js.stripe.com https://*.js.stripe.com"
    assert allowed["connect-src"] == "'self' https://api.stripe.com"
    assert allowed["frame-src"] == "https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com"


async def test_without_stripe_no_card_can_be_added_and_nothing_is_allowed(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        await console.person(ALONE)
        async with PageBrowser(console) as browser:
            await browser.sign_in(ALONE)
            await browser.go(PAYMENT)

    assert "No card can be added here" in browser.page.text
    assert browser.answer.headers["content-security-policy"] == STRICT
    assert f"{PAYMENT}/card" not in browser.page.forms


# --- topping up


async def test_admins_buy_credit_and_are_told_the_new_balance(
    console: ConsoleWorld, owner: Account, organization_id: UUID, browser: PageBrowser
) -> None:
    await has_credit(console, owner, organization_id, 20 * DOLLAR)
    await browser.go(USAGE)
    await browser.click("Top up")
    assert "Visa ending in 4242 is charged at once." in browser.page.text
    await browser.click("$100")
    assert browser.page.forms[TOP_UP]["amount"] == "100"
    await browser.send(TOP_UP)

    assert browser.path == USAGE
    assert browser.page.toasts == [("success", "$100.00 bought. Example Org has $120.00 of credit now.")]


async def test_a_form_that_is_sent_twice_buys_once(
    console: ConsoleWorld, owner: Account, organization_id: UUID, browser: PageBrowser
) -> None:
    await has_credit(console, owner, organization_id, 20 * DOLLAR)
    form = (await browser.go(TOP_UP)).page.forms[TOP_UP]
    for amount, balance in (("30", "$50.00"), ("30", "$50.00")):
        browser.page.forms[TOP_UP] = form
        await browser.send(TOP_UP, amount=amount)
        assert browser.page.toasts == [("success", f"$30.00 bought. Example Org has {balance} of credit now.")]
    browser.page.forms[TOP_UP] = form
    await browser.send(TOP_UP, amount="40")
    assert browser.answer.status_code == 422
    assert "This form was sent before, with another amount." in browser.page.text
    assert len(console.sent_of(TopUpCredit)) == 2


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        ("", "Enter an amount in dollars, such as 25 or 25.50."),
        ("ten", "Enter an amount in dollars, such as 25 or 25.50."),
        ("10.005", "Cards are charged in whole cents."),
        ("1", "That is less, or more, than may be bought at once."),
    ],
)
async def test_an_amount_that_cannot_be_bought_stays_in_the_field_with_the_reason(
    console: ConsoleWorld, owner: Account, organization_id: UUID, browser: PageBrowser, amount: str, said: str
) -> None:
    await has_credit(console, owner, organization_id)
    await browser.go(TOP_UP)
    await browser.send(TOP_UP, amount=amount)

    assert (browser.answer.status_code, browser.path) == (422, TOP_UP)
    assert browser.page.forms[TOP_UP]["amount"] == amount
    assert browser.page.described == {"amount": "hint-amount error-amount"}
    assert said in browser.page.text


async def test_a_declined_top_up_stands_beside_the_field_and_may_be_tried_again(
    console: ConsoleWorld, owner: Account, organization_id: UUID, browser: PageBrowser
) -> None:
    await has_credit(console, owner, organization_id, 20 * DOLLAR)
    console.player.refusals[TopUpCredit] = (Reason.CARD_DECLINED, "The card's bank said no.")
    await browser.go(TOP_UP)
    await browser.send(TOP_UP, amount="25")
    assert "The card's bank said no." in browser.page.text
    del console.player.refusals[TopUpCredit]
    await browser.send(TOP_UP)
    assert browser.page.toasts == [("success", "$25.00 bought. Example Org has $45.00 of credit now.")]


async def test_without_a_card_no_credit_can_be_bought(browser: PageBrowser) -> None:
    await browser.go(TOP_UP)

    assert "Credit is bought with the card of Example Org." in browser.page.text
    assert browser.page.links["Add a card"] == ORGANIZATION_PAYMENT
    assert TOP_UP not in browser.page.forms


async def test_members_buy_no_credit(console: ConsoleWorld, members: PageBrowser) -> None:
    await members.go(TOP_UP)
    assert (members.path, members.page.toasts) == (USAGE, [("error", "Only admins buy credit for the organization.")])
    assert "Top up" not in members.page.links


async def test_what_takes_longer_than_one_waits_is_told_as_such(database_url: str) -> None:
    settings = {**STRIPE, "outcome_timeout": timedelta(milliseconds=50)}
    async with console_world(database_url, **settings) as (console,):
        await console.person(ALONE)
        console.player.silent = True
        async with PageBrowser(console) as browser:
            await browser.sign_in(ALONE)
            await browser.go(PAYMENT)
            await browser.send(f"{PAYMENT}/card", card_id="pm_of_the_card")

    ((kind, text),) = browser.page.toasts
    assert (kind, text.startswith("It is still being decided.")) == ("info", True)


# --- forged forms, and addresses of forms


@pytest.mark.parametrize("path", [f"{USAGE}/cap", f"{PAYMENT}/card", f"{ORGANIZATION_PAYMENT}/remove", TOP_UP])
async def test_money_moves_by_forms_of_our_own_pages_alone(browser: PageBrowser, path: str) -> None:
    form = {"account_id": str(uuid4()), "cap": "1", "card_id": "pm_forged", "amount": "100", "confirmed": "1"}
    answer = await browser.http.post(path, data=form, headers={"sec-fetch-site": "cross-site"})

    assert answer.status_code == 403


@pytest.mark.parametrize("form", ["usage/cap", "payment/card", "payment/retry", "organization/payment/remove"])
async def test_the_address_that_a_form_was_sent_to_leads_back_to_its_page(browser: PageBrowser, form: str) -> None:
    await browser.go(f"/billing/{form}")

    assert browser.path == f"/billing/{form}".rpartition("/")[0]


@pytest.mark.parametrize(
    ("path", "current"),
    [
        (USAGE, "Usage"),
        (TOP_UP, "Usage"),
        (PAYMENT, "Payment method"),
        (ORGANIZATION_PAYMENT, "Payment method"),
        ("/billing/organization", "My Organization"),
    ],
)
async def test_the_menu_says_where_one_is(browser: PageBrowser, path: str, current: str) -> None:
    await browser.go(path)
    (place,) = [
        part.split("</a>")[0]
        for part in browser.answer.text.split('class="nav-link"')
        if "aria-current" in part.split("</a>")[0]
    ]

    assert place.rstrip().endswith(current)
