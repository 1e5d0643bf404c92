"""Money over the API: who pays, cards, top-ups, limits and receipts; and who may see and decide what."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from api_browser import ApiBrowser, organization_of, program_of, reason, signed_in
from console_world import NOON, ConsoleWorld, console_world
from played_billing import DOLLAR

from console.accounts.domain import Scope
from console.api.receipts import harmless
from contracts import AttachCard, DetachCard, Reason, RetryCard, SetSpendCap, TopUpCredit

CARD = {"card_id": "pm_card_visa"}


@dataclass
class Company:
    """An organization with its owner and a member, each in a browser."""

    console: ConsoleWorld
    owner: ApiBrowser
    member: ApiBrowser
    organization_id: UUID
    owner_id: UUID
    member_id: UUID

    @property
    def path(self) -> str:
        return f"/organizations/{self.organization_id}"

    async def use(self, account_id: UUID, amount: int, *, days_ago: int = 0, burn_rate: int = DOLLAR) -> None:
        """The account uses something, and the organization's credit pays."""
        at = NOON - timedelta(days=days_ago)
        await self.console.hear(
            self.console.player.billing.charged(
                account_id,
                [("organization_credit", self.organization_id, amount)],
                at,
                organization_id=self.organization_id,
                burn_rate=burn_rate,
                used_from=at,
            )
        )


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as (console,):
        yield console


@pytest.fixture
async def company(console: ConsoleWorld) -> AsyncIterator[Company]:
    async with (
        await signed_in(console, "owner@example.com") as owner,
        await signed_in(console, "member@example.com") as member,
    ):
        organization_id = UUID(await organization_of(owner))
        ids = [UUID((await each.get("/me")).json()["account_id"]) for each in (owner, member)]
        await console.hear(console.player.joined(organization_id, ids[1]))
        yield Company(console, owner, member, organization_id, *ids)


# --- who pays


async def test_somebody_without_anything_has_two_sources_that_cannot_pay(console: ConsoleWorld) -> None:
    async with await signed_in(console, "somebody@example.com") as somebody:
        chain = (await somebody.get("/me/billing-chain")).json()

    assert [(each["kind"], each["left"], each["can_pay"]) for each in chain["sources"]] == [
        ("member_credit", 0, False),
        ("member_card", 0, False),
    ]
    assert (chain["organization_id"], chain["paying"], chain["funds"]) == (None, None, "ok")


async def test_the_chain_says_who_pays_next_and_until_when(company: Company) -> None:
    await company.owner.put(f"{company.path}/card", CARD)
    await company.owner.post(f"{company.path}/top-ups", {"amount": 25 * DOLLAR})
    await company.use(company.member_id, 5 * DOLLAR, burn_rate=10 * DOLLAR)

    first = await company.member.get("/me/billing-chain")
    chain = first.json()
    assert [each["kind"] for each in chain["sources"]][:2] == ["organization_credit", "organization_card"]
    assert (chain["paying"], chain["until"]) == ("organization_credit", "2026-03-02T14:00:00Z")
    assert (chain["exhausted_at"], chain["spent"], chain["burn_rate"]) == (None, 5 * DOLLAR, 10 * DOLLAR)
    again = await company.member.get("/me/billing-chain", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


async def test_the_organization_s_card_and_spending_are_shown_to_admins_alone(company: Company) -> None:
    await company.owner.put(f"{company.path}/card", CARD)
    await company.owner.post(f"{company.path}/top-ups", {"amount": 25 * DOLLAR})
    await company.use(company.owner_id, 2 * DOLLAR)
    of_owner, of_member = [
        (await each.get(f"{company.path}/billing")).json() for each in (company.owner, company.member)
    ]
    assert of_owner["credit"] == of_member["credit"] == 23 * DOLLAR
    assert of_owner["burn_rate"] == of_member["burn_rate"] == DOLLAR
    assert (of_owner["spent"], of_owner["month"]) == (2 * DOLLAR, "2026-03")
    assert of_owner["payment_method"]["card"]["last4"] == "4242"
    assert (of_member["spent"], of_member["payment_method"]) == (None, None)

    source = (await company.member.get("/me/billing-chain")).json()["sources"][1]
    assert (source["kind"], source["card"], source["can_pay"]) == ("organization_card", None, True)
    for path in ("card", "receipts", "receipts.csv"):
        assert reason(await company.member.get(f"{company.path}/{path}")) == (403, "not_an_admin")


async def test_members_see_their_own_usage_and_admins_everybody_s(company: Company) -> None:
    company.console.player.billing.payer(company.organization_id).credit = 100 * DOLLAR
    await company.use(company.owner_id, 2 * DOLLAR)
    await company.use(company.member_id, 3 * DOLLAR)
    await company.use(company.member_id, DOLLAR, days_ago=1)
    await company.use(company.member_id, 7 * DOLLAR, days_ago=5)  # In February.

    everybody = (await company.owner.get(f"{company.path}/usage")).json()
    assert everybody["month"] == "2026-03"
    assert everybody["paid"]["organization_credit"] == 6 * DOLLAR
    assert [(each["day"], each["paid"]["organization_credit"]) for each in everybody["days"]] == [
        ("2026-03-01", DOLLAR),
        ("2026-03-02", 5 * DOLLAR),
    ]
    assert [(each["address"], each["paid"]["organization_credit"]) for each in everybody["members"]] == [
        ("member@example.com", 4 * DOLLAR),
        ("owner@example.com", 2 * DOLLAR),
    ]
    own = (await company.member.get(f"{company.path}/usage")).json()
    assert own["paid"]["organization_credit"] == 4 * DOLLAR
    assert [each["address"] for each in own["members"]] == ["member@example.com"]
    mine = (await company.member.get("/me/usage", month="2026-02")).json()
    assert [(each["day"], each["paid"]["organization_credit"]) for each in mine["days"]] == [("2026-02-25", 7 * DOLLAR)]


@pytest.mark.parametrize("month", ["2026-13", "2026", "2026-3", "march", "0000-01"])
async def test_a_month_that_is_none_is_refused(company: Company, month: str) -> None:
    assert reason(await company.owner.get("/me/usage", month=month)) == (422, "invalid_request")


# --- cards and credit


async def test_an_organization_tops_up_with_its_card(company: Company) -> None:
    card = await company.owner.put(f"{company.path}/card", CARD)
    assert card.json()["card"] == {
        "card_id": "pm_card_visa",
        "brand": "visa",
        "last4": "4242",
        "expiry_month": 12,
        "expiry_year": 2030,
        "declined": None,
    }
    bought = await company.owner.post(f"{company.path}/top-ups", {"amount": 25 * DOLLAR})
    assert bought.status_code == 201
    assert (bought.json()["amount"], bought.json()["balance"]) == (25 * DOLLAR, 25 * DOLLAR)
    assert (await company.member.get(f"{company.path}/billing")).json()["credit"] == 25 * DOLLAR
    (command,) = company.console.sent_of(TopUpCredit)
    assert (command.payer_kind, command.payer_id) == ("organization", company.organization_id)
    assert (command.actor_id, command.seen_organization_version) == (company.owner_id, 3)


async def test_a_top_up_that_comes_again_is_bought_once(company: Company) -> None:
    await company.owner.put(f"{company.path}/card", CARD)
    answers = [await company.owner.post(f"{company.path}/top-ups", {"amount": 5 * DOLLAR}, key="one") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert len(company.console.sent_of(TopUpCredit)) == 1


async def test_a_top_up_that_the_bank_takes_its_time_for_is_answered_with_where_its_outcome_will_be(
    database_url: str,
) -> None:
    async with (
        console_world(database_url, outcome_timeout=timedelta(seconds=1)) as (console,),
        await signed_in(console, "owner@example.com") as owner,
    ):
        path = f"/organizations/{await organization_of(owner)}"
        await owner.put(f"{path}/card", CARD)
        console.player.silent = True
        waiting = await owner.post(f"{path}/top-ups", {"amount": 5 * DOLLAR})
        assert waiting.status_code == 202
        assert (await owner.http.get(waiting.headers["location"])).json()["state"] == "waiting"


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        (Reason.NO_CARD, 409),
        (Reason.CARD_DECLINED, 402),
        (Reason.CARD_NEEDS_CARDHOLDER, 402),
        (Reason.AMOUNT_OUT_OF_RANGE, 422),
        (Reason.NOT_AN_ADMIN, 403),
    ],
)
async def test_why_a_top_up_was_refused_is_told(company: Company, refused: Reason, status: int) -> None:
    company.console.player.refusals[TopUpCredit] = (refused, "That is why.")
    answer = await company.owner.post(f"{company.path}/top-ups", {"amount": 5 * DOLLAR})
    assert reason(answer) == (status, refused.value)
    assert answer.json()["detail"] == "That is why."


@pytest.mark.parametrize("amount", [0, -DOLLAR, 12_345, 5.5, "5", None, 10**16])
async def test_an_amount_that_is_no_number_of_cents_is_refused(company: Company, amount: Any) -> None:
    answer = await company.owner.post(f"{company.path}/top-ups", {"amount": amount})
    assert reason(answer) == (422, "invalid_request")
    assert company.console.sent_of(TopUpCredit) == []


async def test_a_card_is_put_on_file_retried_and_taken_off_by_oneself_and_by_admins(company: Company) -> None:
    for browser, path, payer_id, kind in (
        (company.member, "/me", company.member_id, "account"),
        (company.owner, company.path, company.organization_id, "organization"),
    ):
        assert (await browser.get(f"{path}/card")).json() == {"card": None, "left": 0}
        assert reason(await browser.delete(f"{path}/card")) == (409, "no_card")
        assert (await browser.put(f"{path}/card", CARD)).json()["card"]["last4"] == "4242"
        assert reason(await browser.post(f"{path}/card/retry")) == (409, "card_not_declined")

        await company.console.hear(company.console.player.billing.declined(payer_id, NOON))
        assert (await browser.get(f"{path}/card")).json()["card"]["declined"] == "insufficient_funds"
        retried = await browser.post(f"{path}/card/retry", key=f"retry {kind}".replace(" ", "-"))
        assert retried.json()["card"]["declined"] is None

        assert (await browser.delete(f"{path}/card")).status_code == 204
        assert (await browser.get(f"{path}/card")).json()["card"] is None
    for command in (AttachCard, RetryCard, DetachCard):
        sent = [(each.payer_kind, each.payer_id) for each in company.console.sent_of(command)]
        assert set(sent) == {("account", company.member_id), ("organization", company.organization_id)}


@pytest.mark.parametrize("typed", ["4242424242424242", "4242 4242 4242 4242", "", "pm", "pm_\n", "_x", "é_1"])
async def test_what_could_be_the_number_of_a_card_gets_no_further(company: Company, typed: str) -> None:
    refused = await company.owner.put("/me/card", {"card_id": typed})
    assert reason(refused) == (422, "invalid_request")
    assert typed == "" or typed not in refused.text
    assert company.console.sent_of(AttachCard) == []


async def test_nobody_has_banks_asked_without_end(database_url: str) -> None:
    async with (
        console_world(database_url, cards_per_account_per_hour=3) as (console,),
        await signed_in(console, "somebody@example.com") as somebody,
    ):
        console.player.refusals[AttachCard] = (Reason.CARD_DECLINED, "The bank said no.")
        answers = [reason(await somebody.put("/me/card", CARD)) for _ in range(4)]
        assert answers == [(402, "card_declined")] * 3 + [(429, "rate_limited")]
        assert len(console.sent_of(AttachCard)) == 3


async def test_what_is_asked_again_with_its_key_takes_nothing_from_the_limit(database_url: str) -> None:
    async with (
        console_world(database_url, cards_per_account_per_hour=2) as (console,),
        await signed_in(console, "owner@example.com") as owner,
    ):
        path = f"/organizations/{await organization_of(owner)}"
        await owner.put(f"{path}/card", CARD)
        answers = [await owner.post(f"{path}/top-ups", {"amount": 5 * DOLLAR}, key="one") for _ in range(4)]

        assert [answer.status_code for answer in answers] == [201] * 4
        assert len(console.sent_of(TopUpCredit)) == 1
        assert reason(await owner.post(f"{path}/top-ups", {"amount": 5 * DOLLAR}, key="two")) == (429, "rate_limited")


# --- limits


async def test_a_member_s_limit_is_set_shown_and_taken_away(company: Company) -> None:
    path = f"{company.path}/members/{company.member_id}/spend-cap"
    limited = await company.owner.put(path, {"cap": 50 * DOLLAR})
    assert (limited.status_code, limited.json()["cap"]) == (200, 50 * DOLLAR)
    assert (await company.member.get("/me/billing-chain")).json()["cap"] == 50 * DOLLAR
    caps = {
        each["address"]: each["cap"] for each in (await company.owner.get(f"{company.path}/usage")).json()["members"]
    }
    assert caps == {"member@example.com": 50 * DOLLAR, "owner@example.com": None}

    assert (await company.owner.delete(path)).status_code == 204
    assert (await company.member.get("/me/billing-chain")).json()["cap"] is None
    assert [each.cap for each in company.console.sent_of(SetSpendCap)] == [50 * DOLLAR, None]
    assert reason(await company.owner.put(path, {"cap": -1})) == (422, "invalid_request")


async def test_for_strangers_there_is_no_such_organization(company: Company) -> None:
    async with await signed_in(company.console, "stranger@example.com") as stranger:
        refusal = (Reason.NOT_AN_ADMIN, "Only the owner and admins may do this.")
        commands = (TopUpCredit, AttachCard, DetachCard, RetryCard, SetSpendCap)
        company.console.player.refusals |= dict.fromkeys(commands, refusal)
        path = company.path
        answers = [
            *[
                await stranger.get(f"{path}/{each}")
                for each in ("billing", "usage", "card", "receipts", "receipts.csv")
            ],
            await stranger.put(f"{path}/card", CARD),
            await stranger.delete(f"{path}/card"),
            await stranger.post(f"{path}/card/retry"),
            await stranger.post(f"{path}/top-ups", {"amount": 5 * DOLLAR}),
            await stranger.put(f"{path}/members/{uuid4()}/spend-cap", {"cap": 0}),
            await stranger.delete(f"{path}/members/{uuid4()}/spend-cap"),
        ]
        assert [reason(answer) for answer in answers] == [(404, "unknown_organization")] * len(answers)


async def test_a_program_needs_the_scope_of_money_to_decide_about_it(company: Company) -> None:
    (account,) = (await company.console.edge.accounts.accounts([company.owner_id])).values()
    async with (
        await program_of(company.console, account, Scope.READ, Scope.ORGANIZATION, Scope.ACCOUNT) as organizer,
        await program_of(company.console, account, Scope.BILLING) as buyer,
    ):
        assert reason(await organizer.put("/me/card", CARD)) == (403, "insufficient_scope")
        assert (
            reason(await organizer.post(f"{company.path}/top-ups", {"amount": 5 * DOLLAR}))[1] == "insufficient_scope"
        )
        assert (await buyer.put("/me/card", CARD)).status_code == 200
        assert reason(await buyer.get("/me/card")) == (403, "insufficient_scope")
        assert (await organizer.get("/me/card")).status_code == 200


# --- receipts


async def test_receipts_are_listed_in_pages_the_newest_first(company: Company) -> None:
    await company.owner.put(f"{company.path}/card", CARD)
    for dollars in (5, 6, 7):
        company.console.clock.advance(timedelta(minutes=1))
        await company.owner.post(f"{company.path}/top-ups", {"amount": dollars * DOLLAR})

    first = (await company.owner.get(f"{company.path}/receipts", limit=2)).json()
    rest = (await company.owner.get(f"{company.path}/receipts", limit=2, cursor=first["next"])).json()
    receipts = first["items"] + rest["items"]
    assert [each["amount"] // DOLLAR for each in receipts] == [7, 6, 5]
    assert receipts[0]["card"] == "Visa ending in 4242"
    assert receipts[0]["by"] == str(company.owner_id)
    assert rest["next"] is None
    refused = await company.owner.get(f"{company.path}/receipts", cursor="nonsense")
    assert reason(refused) == (422, "malformed_cursor")


async def test_receipts_come_as_a_file_with_exact_dollars(company: Company) -> None:
    billing = company.console.player.billing
    await company.console.hear(billing.granted(company.member_id, 5 * DOLLAR + 1, NOON))
    answer = await company.member.get("/me/receipts.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="receipts.csv"'
    names, receipt = list(csv.reader(io.StringIO(answer.text)))
    assert names == ["receipt_id", "at", "kind", "amount_usd", "card", "bought_by"]
    assert receipt[1:] == ["2026-03-02T12:00:00+00:00", "trial_credit", "5.000001", "", ""]

    await company.owner.put(f"{company.path}/card", CARD)
    await company.owner.post(f"{company.path}/top-ups", {"amount": 5 * DOLLAR})
    lines = (await company.owner.get(f"{company.path}/receipts.csv")).text.splitlines()
    assert lines[1].endswith(f",top_up,5.000000,Visa ending in 4242,{company.owner_id}")


async def test_a_file_of_many_receipts_has_them_all(company: Company) -> None:
    billing = company.console.player.billing
    await company.console.hear(*(billing.granted(company.member_id, number, NOON) for number in range(1001)))
    rows = list(csv.reader(io.StringIO((await company.member.get("/me/receipts.csv")).text)))
    assert len({row[0] for row in rows[1:]}) == len(rows) - 1 == 1001


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    assert harmless("Visa ending in 4242") == "Visa ending in 4242"
