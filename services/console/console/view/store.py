"""Writes what a batch changes in the view: a statement for each kind of change, however many messages there are.

Rows are written in the order of their ids, organizations first, so that two instances which change the same ones do
not wait for each other in a circle. Newer versions win, so that late and repeated facts change nothing.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from console import changes
from console.view import money_store
from console.view.working_set import InvitationNews, MemberNews, News, OrganizationNews
from contracts import AcceptInvitation
from postroom import Message

_FORGOTTEN_AT_A_TIME = 2000

_SAVE_ORGANIZATIONS = text("""
    INSERT INTO organizations (organization_id, name, version, revision, created_at)
    SELECT organization_id, name, version, 1, created_at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:versions AS bigint[]),
                CAST(:created_at AS timestamptz[])) AS heard (organization_id, name, version, created_at)
    ON CONFLICT (organization_id) DO UPDATE
    SET name = CASE WHEN excluded.name = '' THEN organizations.name ELSE excluded.name END,
        version = greatest(organizations.version, excluded.version),
        revision = organizations.revision + 1,
        created_at = coalesce(excluded.created_at, organizations.created_at)
""")

_SAVE_MEMBERS = text("""
    INSERT INTO members (organization_id, account_id, membership_id, role, version, joined_at, ended_at)
    SELECT * FROM unnest(
        CAST(:organization_ids AS uuid[]), CAST(:account_ids AS uuid[]), CAST(:membership_ids AS uuid[]),
        CAST(:roles AS text[]), CAST(:versions AS bigint[]), CAST(:joined_at AS timestamptz[]),
        CAST(:ended_at AS timestamptz[]))
    ON CONFLICT (organization_id, account_id) DO UPDATE
    SET membership_id = excluded.membership_id, role = excluded.role, version = excluded.version,
        joined_at = CASE WHEN members.membership_id = excluded.membership_id
                         THEN least(members.joined_at, excluded.joined_at) ELSE excluded.joined_at END,
        ended_at = excluded.ended_at
    WHERE members.version < excluded.version
""")

_SAVE_INVITATIONS = text("""
    INSERT INTO invitations (invitation_id, organization_id, version, state, address, address_normalized, code_digest,
                             organization_name, inviter_id, inviter_name, issued_at, expires_at, ended_at, delivery)
    SELECT invitation_id, organization_id, version, state, coalesce(address, ''), coalesce(address_normalized, ''),
           coalesce(code_digest, ''), coalesce(organization_name, ''),
           coalesce(inviter_id, '00000000-0000-0000-0000-000000000000'), coalesce(inviter_name, ''),
           coalesce(issued_at, to_timestamp(0)), coalesce(expires_at, to_timestamp(0)), ended_at,
           coalesce(delivery, 'queued')
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:organization_ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:states AS text[]),
        CAST(:addresses AS text[]), CAST(:normalized AS text[]), CAST(:digests AS text[]),
        CAST(:organization_names AS text[]), CAST(:inviter_ids AS uuid[]), CAST(:inviter_names AS text[]),
        CAST(:issued_at AS timestamptz[]), CAST(:expires_at AS timestamptz[]), CAST(:ended_at AS timestamptz[]),
        CAST(:deliveries AS text[]))
        AS heard (invitation_id, organization_id, version, state, address, address_normalized, code_digest,
                  organization_name, inviter_id, inviter_name, issued_at, expires_at, ended_at, delivery)
    ON CONFLICT (invitation_id) DO UPDATE
    SET version = greatest(invitations.version, excluded.version),
        state = CASE WHEN invitations.version < excluded.version THEN excluded.state ELSE invitations.state END,
        ended_at = CASE WHEN invitations.version < excluded.version THEN excluded.ended_at
                        ELSE invitations.ended_at END,
        delivery = CASE WHEN excluded.delivery = 'queued' THEN invitations.delivery ELSE excluded.delivery END,
        address = CASE WHEN excluded.address = '' THEN invitations.address ELSE excluded.address END,
        address_normalized = CASE WHEN excluded.address = '' THEN invitations.address_normalized
                                  ELSE excluded.address_normalized END,
        code_digest = CASE WHEN excluded.address = '' THEN invitations.code_digest ELSE excluded.code_digest END,
        organization_name = CASE WHEN excluded.address = '' THEN invitations.organization_name
                                 ELSE excluded.organization_name END,
        inviter_id = CASE WHEN excluded.address = '' THEN invitations.inviter_id ELSE excluded.inviter_id END,
        inviter_name = CASE WHEN excluded.address = '' THEN invitations.inviter_name ELSE excluded.inviter_name END,
        issued_at = CASE WHEN excluded.address = '' THEN invitations.issued_at ELSE excluded.issued_at END,
        expires_at = CASE WHEN excluded.address = '' THEN invitations.expires_at ELSE excluded.expires_at END
""")

_DECIDE = text("""
    UPDATE commands
    SET state = CASE WHEN verdict.reason IS NULL THEN 'done' ELSE 'refused' END, reason = verdict.reason,
        message = verdict.message, result = CAST(verdict.result AS jsonb), ended_at = :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:reasons AS text[]), CAST(:messages AS text[]),
                CAST(:results AS text[])) AS verdict (command_id, ce_type, reason, message, result)
    WHERE commands.command_id = verdict.command_id AND commands.ce_type = verdict.ce_type AND state = 'waiting'
    RETURNING commands.command_id
""")

_ADMIT = text("""
    UPDATE commands SET state = 'done', result = CAST(admission.result AS jsonb), ended_at = :now
    FROM unnest(CAST(:organization_ids AS uuid[]), CAST(:account_ids AS uuid[]), CAST(:results AS text[]))
        AS admission (organization_id, account_id, result)
    WHERE commands.actor_id = admission.account_id AND commands.organization_id = admission.organization_id
      AND ce_type = :accept AND state = 'waiting'
    RETURNING commands.command_id
""")

_REJECT = text("""
    UPDATE commands SET state = 'refused', reason = rejection.reason, message = rejection.message, ended_at = :now
    FROM unnest(CAST(:invitation_ids AS uuid[]), CAST(:account_ids AS uuid[]), CAST(:reasons AS text[]),
                CAST(:messages AS text[])) AS rejection (invitation_id, account_id, reason, message)
    WHERE commands.actor_id = rejection.account_id AND commands.invitation_id = rejection.invitation_id
      AND ce_type = :accept AND state = 'waiting'
    RETURNING commands.command_id
""")

_REPEAT = text("""
    UPDATE commands
    SET state = 'done', ended_at = :now,
        result = CAST(repetition.result AS jsonb) || jsonb_build_object('organization_id', members.organization_id,
                                                                       'membership_id', members.membership_id)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:results AS text[])) AS repetition (command_id, result), members
    WHERE commands.command_id = repetition.command_id AND ce_type = :accept AND state = 'waiting'
      AND members.organization_id = commands.organization_id AND members.account_id = commands.actor_id
      AND members.role IS NOT NULL
    RETURNING commands.command_id
""")

_FORGET_INVITATIONS = text("""
    DELETE FROM invitations
    WHERE invitation_id IN (SELECT invitation_id FROM invitations WHERE ended_at < :before ORDER BY ended_at
                            LIMIT :limit FOR UPDATE SKIP LOCKED)
""")

_FORGET_MEMBERS = text("""
    DELETE FROM members
    WHERE (organization_id, account_id) IN (SELECT organization_id, account_id FROM members WHERE ended_at < :before
                                            ORDER BY ended_at LIMIT :limit FOR UPDATE SKIP LOCKED)
""")


class NewsStore:
    """Saves News. Nothing is loaded, since nothing is decided."""

    def __init__(self, clock: Callable[[], datetime], usage: changes.Usage) -> None:
        self._clock = clock
        self._usage = usage

    async def load(self, connection: AsyncConnection, messages: Sequence[Message]) -> News:
        """An empty working set."""
        return News()

    async def save(self, connection: AsyncConnection, news: News) -> None:
        """Writes what has changed, and wakes who waits for it."""
        now = self._clock()
        await _save_organizations(connection, sorted(news.organizations.values(), key=attrgetter("organization_id")))
        await _save_members(connection, [news.members[key] for key in sorted(news.members)])
        await _save_invitations(connection, [news.invitations[key] for key in sorted(news.invitations)])
        await money_store.save(connection, news.money)
        decided = await _decide(connection, news, now)
        payers = (changes.money_of(each) for each in sorted(news.money.changed))
        await changes.tell(connection, [*news.organizations, *payers, *decided])
        self._usage.note(news.money.used - news.money.changed)


async def forget_invitations(connection: AsyncConnection, now: datetime, *, kept: timedelta) -> int:
    """Deletes invitations that ended longer ago, a bounded number, and answers how many."""
    return await _forget(connection, _FORGET_INVITATIONS, now - kept)


async def forget_former_members(connection: AsyncConnection, now: datetime, *, kept: timedelta) -> int:
    """Deletes those who left longer ago, a bounded number, and answers how many."""
    return await _forget(connection, _FORGET_MEMBERS, now - kept)


async def _forget(connection: AsyncConnection, statement: TextClause, before: datetime) -> int:
    return (await connection.execute(statement, {"before": before, "limit": _FORGOTTEN_AT_A_TIME})).rowcount


async def _save_organizations(connection: AsyncConnection, heard: Collection[OrganizationNews]) -> None:
    if not heard:
        return
    await connection.execute(
        _SAVE_ORGANIZATIONS,
        {
            "ids": [each.organization_id for each in heard],
            "names": [each.name for each in heard],
            "versions": [each.version for each in heard],
            "created_at": [each.created_at for each in heard],
        },
    )


async def _save_members(connection: AsyncConnection, heard: Collection[MemberNews]) -> None:
    if not heard:
        return
    await connection.execute(
        _SAVE_MEMBERS,
        {
            "organization_ids": [each.organization_id for each in heard],
            "account_ids": [each.account_id for each in heard],
            "membership_ids": [each.membership_id for each in heard],
            "roles": [each.role for each in heard],
            "versions": [each.version for each in heard],
            "joined_at": [each.joined_at for each in heard],
            "ended_at": [each.ended_at for each in heard],
        },
    )


async def _save_invitations(connection: AsyncConnection, heard: Collection[InvitationNews]) -> None:
    if not heard:
        return
    issued = [each.issued for each in heard]
    await connection.execute(
        _SAVE_INVITATIONS,
        {
            "ids": [each.invitation_id for each in heard],
            "organization_ids": [each.organization_id for each in heard],
            "versions": [each.version for each in heard],
            "states": [each.state for each in heard],
            "addresses": [each and each.address for each in issued],
            "normalized": [each and each.address_normalized for each in issued],
            "digests": [each and each.code_digest for each in issued],
            "organization_names": [each and each.organization_name for each in issued],
            "inviter_ids": [each and each.inviter_id for each in issued],
            "inviter_names": [each and each.inviter_name for each in issued],
            "issued_at": [each and each.issued_at for each in issued],
            "expires_at": [each and each.expires_at for each in issued],
            "ended_at": [each.ended_at for each in heard],
            "deliveries": [each.delivery for each in heard],
        },
    )


async def _decide(connection: AsyncConnection, news: News, now: datetime) -> list[UUID]:
    """The commands that are decided by this batch. Members come first: who is one has been admitted."""
    decided: list[UUID] = []
    accept = AcceptInvitation.ce_type

    async def run(statement: TextClause, parameters: dict[str, Any]) -> None:
        decided.extend((await connection.execute(statement, {"now": now, **parameters})).scalars())

    if news.admissions:
        parameters: dict[str, Any] = {
            "organization_ids": [each.organization_id for each in news.admissions],
            "account_ids": [each.account_id for each in news.admissions],
            "results": [_json(each.result) for each in news.admissions],
            "accept": accept,
        }
        await run(_ADMIT, parameters)
    if news.repetitions:
        parameters = {
            "ids": [each.command_id for each in news.repetitions],
            "results": [_json(each.result) for each in news.repetitions],
            "accept": accept,
        }
        await run(_REPEAT, parameters)
    if news.rejections:
        parameters = {
            "invitation_ids": [each.invitation_id for each in news.rejections],
            "account_ids": [each.account_id for each in news.rejections],
            "reasons": [each.reason for each in news.rejections],
            "messages": [each.message for each in news.rejections],
            "accept": accept,
        }
        await run(_REJECT, parameters)
    if news.verdicts:
        verdicts = [news.verdicts[key] for key in sorted(news.verdicts)]
        parameters = {
            "ids": [each.command_id for each in verdicts],
            "types": [each.ce_type for each in verdicts],
            "reasons": [each.reason for each in verdicts],
            "messages": [each.message for each in verdicts],
            "results": [None if each.result is None else _json(each.result) for each in verdicts],
        }
        await run(_DECIDE, parameters)
    return decided


def _json(value: Any) -> str:
    return to_json(value).decode()
