"""What pages and the API ask about money."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from console.view.cursors import page, read_cursor
from console.view.money import (
    SOURCES,
    BillingChain,
    Card,
    DaySpend,
    MemberSpend,
    OrganizationMoney,
    Receipt,
    card_name,
    month_after,
    month_of,
)
from console.view.nouns import Page
from console.view.who_pays import Purse, Standing, billing_chain
from postroom import Room

_END = (datetime(9999, 12, 31, tzinfo=UTC), UUID(int=2**128 - 1))

_PURSE_COLUMNS = """
    payer.payer_id,
    (SELECT amount FROM balances WHERE balances.payer_id = payer.payer_id
                                   AND kind IN ('organization_credit', 'member_credit')) AS credit,
    (SELECT amount FROM balances WHERE balances.payer_id = payer.payer_id
                                   AND kind IN ('organization_card', 'member_card')) AS card_left,
    per_hour, told_at, card_id, brand, last4, expiry_month, expiry_year, declined
"""
_PURSE_JOINS = "LEFT JOIN burn_rates USING (payer_id) LEFT JOIN cards USING (payer_id)"
_FROM_ORGANIZATION = "coalesce(sum(organization_credit + organization_card), 0)"

# Facts of two organizations come in any order: for a moment an account may seem to be in both. The newer counts.
_CHAIN = text(f"""
    WITH place AS (
        SELECT organization_id, role FROM members
        WHERE account_id = :account_id AND role IS NOT NULL ORDER BY joined_at DESC LIMIT 1)
    SELECT {_PURSE_COLUMNS}, place.role, funds.state AS funds, funds.at AS funds_at, cap,
           (SELECT {_FROM_ORGANIZATION} FROM spend
            WHERE spend.account_id = :account_id AND spend.organization_id = place.organization_id
              AND day >= :month AND day < :next_month) AS spent
    FROM (SELECT CAST(:account_id AS uuid) AS payer_id UNION ALL SELECT organization_id FROM place) AS payer
         {_PURSE_JOINS} LEFT JOIN place ON true
         LEFT JOIN funds ON funds.account_id = :account_id
         LEFT JOIN spend_caps ON spend_caps.account_id = :account_id
                                 AND spend_caps.organization_id = place.organization_id
""")  # noqa: S608

_ORGANIZATION_MONEY = text(f"""
    SELECT {_PURSE_COLUMNS},
           (SELECT {_FROM_ORGANIZATION} FROM spend
            WHERE organization_id = :organization_id AND day >= :month AND day < :next_month) AS spent
    FROM (SELECT CAST(:organization_id AS uuid) AS payer_id) AS payer {_PURSE_JOINS}
""")  # noqa: S608

_CARD = text("""
    SELECT card_id, brand, last4, expiry_month, expiry_year, declined FROM cards
    WHERE payer_id = :payer_id AND card_id IS NOT NULL
""")

_SUMS = ", ".join(f"coalesce(sum({column}), 0) AS {column}" for column in (*SOURCES, "written_off"))

# Those who are in the organization, and those who were when they used something.
_MEMBER_SPEND = text(f"""
    SELECT somebody.account_id, coalesce(accounts.name, '') AS name, coalesce(address, '') AS address, cap, spent.*
    FROM (SELECT account_id FROM members WHERE organization_id = :organization_id AND role IS NOT NULL
          UNION
          SELECT account_id FROM spend
          WHERE organization_id = :organization_id AND day >= :month AND day < :next_month) AS somebody
         LEFT JOIN accounts USING (account_id)
         LEFT JOIN spend_caps ON spend_caps.organization_id = :organization_id
                                 AND spend_caps.account_id = somebody.account_id
         CROSS JOIN LATERAL (
             SELECT {_SUMS} FROM spend
             WHERE spend.organization_id = :organization_id AND spend.account_id = somebody.account_id
               AND day >= :month AND day < :next_month) AS spent
    WHERE CAST(:account_id AS uuid) IS NULL OR somebody.account_id = :account_id
    ORDER BY organization_credit + organization_card + member_credit + member_card DESC, somebody.account_id
""")  # noqa: S608

_DAILY_SPEND = text(f"""
    SELECT day, {_SUMS} FROM spend
    WHERE day >= :month AND day < :next_month
      AND (CAST(:organization_id AS uuid) IS NULL OR organization_id = :organization_id)
      AND (CAST(:account_id AS uuid) IS NULL OR account_id = :account_id)
    GROUP BY day ORDER BY day
""")  # noqa: S608

_RECEIPTS = text("""
    SELECT receipt_id, kind, amount, at, card_brand, card_last4, bought_by FROM receipts
    WHERE payer_id = :payer_id AND (at, receipt_id) < (CAST(:before AS timestamptz), CAST(:before_id AS uuid))
    ORDER BY at DESC, receipt_id DESC
    LIMIT :limit
""")


class MoneyView:
    """Reads what billing has told. Every question is one statement. Months are named by their first day, and are those
    of UTC; amounts are micro-dollars."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def chain(self, account_id: UUID) -> BillingChain:
        """Who pays for the account, now and until when. Details of the organization's card are in it for admins
        alone."""
        now = self._room.clock()
        rows = await self._all(_CHAIN, account_id=account_id, **_within(month_of(now)))
        purses = {row.payer_id: _purse(row) for row in rows}
        own, row = purses.pop(account_id), rows[0]
        standing = Standing(row.funds or "ok", row.funds_at, row.cap, int(row.spent or 0))
        chain = billing_chain(own, next(iter(purses.values()), None), standing, now)
        return chain if row.role in ("owner", "admin") else chain.without_organization_s_card()

    async def card(self, payer_id: UUID) -> Card | None:
        """The card on file of an organization, or of an account."""
        rows = await self._all(_CARD, payer_id=payer_id)
        return Card(*rows[0]) if rows else None

    async def organization_money(self, organization_id: UUID) -> OrganizationMoney:
        """What the organization pays by, and has paid this month. With its card: for admins."""
        now = self._room.clock()
        (row,) = await self._all(_ORGANIZATION_MONEY, organization_id=organization_id, **_within(month_of(now)))
        purse = _purse(row)
        return OrganizationMoney(
            organization_id, purse.credit, purse.card, purse.card_left, purse.rate_at(now), int(row.spent)
        )

    async def member_spend(
        self, organization_id: UUID, month: date, *, account_id: UUID | None = None
    ) -> Sequence[MemberSpend]:
        """What each member has used in the month, those who spent most first; and whoever is none any more and has
        used something in it. With `account_id`, of that one alone."""
        rows = await self._all(_MEMBER_SPEND, organization_id=organization_id, account_id=account_id, **_within(month))
        return [
            MemberSpend(row.account_id, row.name, row.address, _by_source(row), int(row.written_off), row.cap)
            for row in rows
        ]

    async def daily_spend(
        self, month: date, *, organization_id: UUID | None = None, account_id: UUID | None = None
    ) -> Sequence[DaySpend]:
        """What was used on each day of the month: in an organization, by an account (in whichever organization, or
        none), or by an account in an organization. Days on which nothing was used are left out."""
        rows = await self._all(_DAILY_SPEND, organization_id=organization_id, account_id=account_id, **_within(month))
        return [DaySpend(row.day, _by_source(row), int(row.written_off)) for row in rows]

    async def receipts(self, payer_id: UUID, *, after: str | None = None, limit: int = 50) -> Page[Receipt]:
        """Money that came in from an organization, or an account, the newest first. `after` is the `next` of the page
        before; raises ValueError where it is not."""
        before, before_id = read_cursor(after) if after else _END
        rows = await self._all(_RECEIPTS, payer_id=payer_id, before=before, before_id=before_id, limit=limit + 1)
        items = [
            Receipt(
                receipt_id=row.receipt_id,
                kind=row.kind,
                amount=row.amount,
                at=row.at,
                card=card_name(row.card_brand, row.card_last4) if row.card_last4 else "",
                by=row.bought_by,
            )
            for row in rows
        ]
        return page(items, limit, lambda each: (each.at, each.receipt_id))

    async def _all(self, statement: TextClause, **parameters: object) -> Sequence[Any]:
        async with self._room.reading() as connection:
            return (await connection.execute(statement, parameters)).all()


def _within(month: date) -> dict[str, date]:
    return {"month": month, "next_month": month_after(month)}


def _purse(row: Any) -> Purse:
    card = None
    if row.card_id is not None:
        card = Card(row.card_id, row.brand, row.last4, row.expiry_month, row.expiry_year, row.declined)
    return Purse(row.payer_id, row.credit or 0, row.card_left or 0, card, row.per_hour or 0, row.told_at)


def _by_source(row: Any) -> dict[Any, int]:
    """Sums of numbers of eight bytes are decimals to PostgreSQL."""
    return {kind: int(getattr(row, kind)) for kind in SOURCES}
