"""Writes what a batch changes in the view of money: a statement for each kind of change, however much was used.

Rows are written in the order of their keys, as everywhere in the view. Balances and rates of the same version are those
of one charge, told once more: the later one counts.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from console.view.money import SOURCES
from console.view.money_news import Day, MoneyNews

K = TypeVar("K")
V = TypeVar("V")

# Receipts come first, while the card that is on file is the one from before the batch.
_SAVE_RECEIPTS = text("""
    INSERT INTO receipts (receipt_id, payer_id, kind, amount, at, card_brand, card_last4, bought_by)
    SELECT receipt_id, heard.payer_id, kind, amount, at, coalesce(heard.brand, cards.brand, ''),
           coalesce(heard.last4, cards.last4, ''), bought_by
    FROM unnest(CAST(:ids AS uuid[]), CAST(:payer_ids AS uuid[]), CAST(:kinds AS text[]), CAST(:amounts AS bigint[]),
                CAST(:instants AS timestamptz[]), CAST(:buyers AS uuid[]), CAST(:card_ids AS text[]),
                CAST(:brands AS text[]), CAST(:last4s AS text[]))
        AS heard (receipt_id, payer_id, kind, amount, at, bought_by, card_id, brand, last4)
        LEFT JOIN cards ON cards.payer_id = heard.payer_id AND heard.kind <> 'trial_credit'
                           AND cards.card_id = coalesce(heard.card_id, cards.card_id)
    ON CONFLICT (receipt_id) DO NOTHING
""")

_SAVE_CARDS = text("""
    INSERT INTO cards (payer_id, card_id, brand, last4, expiry_month, expiry_year, declined, version)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:card_ids AS text[]), CAST(:brands AS text[]), CAST(:last4s AS text[]),
        CAST(:months AS integer[]), CAST(:years AS integer[]), CAST(:declines AS text[]), CAST(:versions AS bigint[]))
    ON CONFLICT (payer_id) DO UPDATE
    SET card_id = excluded.card_id, brand = excluded.brand, last4 = excluded.last4,
        expiry_month = excluded.expiry_month, expiry_year = excluded.expiry_year, declined = excluded.declined,
        version = excluded.version
    WHERE cards.version < excluded.version
""")

_SAVE_DECLINES = text("""
    UPDATE cards SET declined = heard.declined, version = heard.version
    FROM unnest(CAST(:ids AS uuid[]), CAST(:card_ids AS text[]), CAST(:declines AS text[]), CAST(:versions AS bigint[]))
        AS heard (payer_id, card_id, declined, version)
    WHERE cards.payer_id = heard.payer_id AND cards.card_id = heard.card_id AND cards.version < heard.version
""")

_SAVE_BALANCES = text("""
    INSERT INTO balances (payer_id, kind, amount, version)
    SELECT * FROM unnest(CAST(:payer_ids AS uuid[]), CAST(:kinds AS text[]), CAST(:amounts AS bigint[]),
                         CAST(:versions AS bigint[]))
    ON CONFLICT (payer_id, kind) DO UPDATE SET amount = excluded.amount, version = excluded.version
    WHERE balances.version <= excluded.version
""")

_SAVE_RATES = text("""
    INSERT INTO burn_rates (payer_id, per_hour, told_at, version)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:rates AS bigint[]), CAST(:instants AS timestamptz[]),
                         CAST(:versions AS bigint[]))
    ON CONFLICT (payer_id) DO UPDATE
    SET per_hour = excluded.per_hour, told_at = excluded.told_at, version = excluded.version
    WHERE burn_rates.version <= excluded.version
""")

_SAVE_FUNDS = text("""
    INSERT INTO funds (account_id, state, at, version)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:instants AS timestamptz[]),
                         CAST(:versions AS bigint[]))
    ON CONFLICT (account_id) DO UPDATE SET state = excluded.state, at = excluded.at, version = excluded.version
    WHERE funds.version < excluded.version
""")

_SAVE_CAPS = text("""
    INSERT INTO spend_caps (organization_id, account_id, cap, version)
    SELECT * FROM unnest(CAST(:organization_ids AS uuid[]), CAST(:account_ids AS uuid[]), CAST(:caps AS bigint[]),
                         CAST(:versions AS bigint[]))
    ON CONFLICT (organization_id, account_id) DO UPDATE SET cap = excluded.cap, version = excluded.version
    WHERE spend_caps.version < excluded.version
""")

_ADD_SPENT = text("""
    INSERT INTO spend (account_id, day, organization_id, organization_credit, organization_card, member_credit,
                       member_card, written_off)
    SELECT * FROM unnest(
        CAST(:account_ids AS uuid[]), CAST(:days AS date[]), CAST(:organization_ids AS uuid[]),
        CAST(:organization_credit AS bigint[]), CAST(:organization_card AS bigint[]), CAST(:member_credit AS bigint[]),
        CAST(:member_card AS bigint[]), CAST(:written_off AS bigint[]))
    ON CONFLICT (account_id, day, organization_id) DO UPDATE
    SET organization_credit = spend.organization_credit + excluded.organization_credit,
        organization_card = spend.organization_card + excluded.organization_card,
        member_credit = spend.member_credit + excluded.member_credit,
        member_card = spend.member_card + excluded.member_card,
        written_off = spend.written_off + excluded.written_off
""")


async def save(connection: AsyncConnection, news: MoneyNews) -> None:
    """Writes what has changed. Whom to tell of it is in `news.changed` and `news.used`."""

    async def run(statement: TextClause, parameters: Mapping[str, list[Any]]) -> None:
        if any(parameters.values()):
            await connection.execute(statement, parameters)

    await run(_SAVE_RECEIPTS, _receipts(news))
    await run(_SAVE_CARDS, _cards(news))
    await run(_SAVE_DECLINES, _declines(news))
    await run(_SAVE_BALANCES, _balances(news))
    await run(_SAVE_RATES, _rates(news))
    await run(_SAVE_FUNDS, _funds(news))
    await run(_SAVE_CAPS, _caps(news))
    await run(_ADD_SPENT, _spent(news))


def _receipts(news: MoneyNews) -> Mapping[str, list[Any]]:
    receipts = [receipt for _, receipt in _sorted(news.receipts)]
    return {
        "ids": [each.receipt_id for each in receipts],
        "payer_ids": [each.payer_id for each in receipts],
        "kinds": [each.kind for each in receipts],
        "amounts": [each.amount for each in receipts],
        "instants": [each.at for each in receipts],
        "buyers": [each.bought_by for each in receipts],
        "card_ids": [each.card_id for each in receipts],
        "brands": [each.card and each.card.brand for each in receipts],
        "last4s": [each.card and each.card.last4 for each in receipts],
    }


def _cards(news: MoneyNews) -> Mapping[str, list[Any]]:
    heard = _sorted(news.cards)
    cards = [each.card for _, each in heard]
    return {
        "ids": [payer_id for payer_id, _ in heard],
        "card_ids": [card.card_id if card else None for card in cards],
        "brands": [card.brand if card else "" for card in cards],
        "last4s": [card.last4 if card else "" for card in cards],
        "months": [card.expiry_month if card else 0 for card in cards],
        "years": [card.expiry_year if card else 0 for card in cards],
        "declines": [each.declined for _, each in heard],
        "versions": [each.version for _, each in heard],
    }


def _declines(news: MoneyNews) -> Mapping[str, list[Any]]:
    heard = _sorted(news.declines)
    return {
        "ids": [payer_id for payer_id, _ in heard],
        "card_ids": [each.card_id for _, each in heard],
        "declines": [each.declined for _, each in heard],
        "versions": [each.version for _, each in heard],
    }


def _balances(news: MoneyNews) -> Mapping[str, list[Any]]:
    heard = _sorted(news.balances)
    return {
        "payer_ids": [payer_id for (payer_id, _), _ in heard],
        "kinds": [kind for (_, kind), _ in heard],
        "amounts": [each.amount for _, each in heard],
        "versions": [each.version for _, each in heard],
    }


def _rates(news: MoneyNews) -> Mapping[str, list[Any]]:
    heard = _sorted(news.rates)
    return {
        "ids": [payer_id for payer_id, _ in heard],
        "rates": [each.per_hour for _, each in heard],
        "instants": [each.told_at for _, each in heard],
        "versions": [each.version for _, each in heard],
    }


def _funds(news: MoneyNews) -> Mapping[str, list[Any]]:
    heard = _sorted(news.funds)
    return {
        "ids": [account_id for account_id, _ in heard],
        "states": [each.state for _, each in heard],
        "instants": [each.at for _, each in heard],
        "versions": [each.version for _, each in heard],
    }


def _caps(news: MoneyNews) -> Mapping[str, list[Any]]:
    heard = _sorted(news.caps)
    return {
        "organization_ids": [organization_id for (organization_id, _), _ in heard],
        "account_ids": [account_id for (_, account_id), _ in heard],
        "caps": [each.cap for _, each in heard],
        "versions": [each.version for _, each in heard],
    }


def _spent(news: MoneyNews) -> Mapping[str, list[Any]]:
    days = sorted(news.spent, key=_order)
    spent = [news.spent[day] for day in days]
    return {
        "account_ids": [account_id for account_id, _, _ in days],
        "days": [day for _, day, _ in days],
        "organization_ids": [organization_id for _, _, organization_id in days],
        **{kind: [each.by_source.get(kind, 0) for each in spent] for kind in SOURCES},
        "written_off": [each.written_off for each in spent],
    }


def _sorted(heard: Mapping[K, V]) -> list[tuple[K, V]]:
    """In the order of the keys."""
    return [(key, heard[key]) for key in sorted(heard)]  # type: ignore[type-var]  # they are ids, or pairs of them


def _order(day: Day) -> tuple[int, Any, int]:
    account_id, date, organization_id = day
    return account_id.int, date, 0 if organization_id is None else organization_id.int
