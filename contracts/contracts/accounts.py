"""Accounts: who people are. Written by console."""

from typing import ClassVar

from pydantic import Field

from contracts.message import PERSONAL, AccountId, Address, Fact, Version
from contracts.topic import Cleanup, PersonalData, Topic


class AccountProfile(Fact):
    """The whole present state of an account. Keep the newest version; it is all there is to know."""

    ce_type: ClassVar[str] = "io.carolinacloud.account.profile.v1"
    key_field: ClassVar[str] = "account_id"

    account_id: AccountId
    version: Version
    address: Address
    name: str = Field(max_length=255, json_schema_extra=PERSONAL)
    """What the person calls themselves. Personal data, and not to be trusted in letters or pages."""
    verified: bool
    """Whether the account has proven that it receives letters at the address."""


class AccountErased(Fact):
    """The person is gone: forget address and name. On the wire it is a record without a value (a tombstone), whose
    key says whose it is, so that compaction removes every earlier profile."""

    ce_type: ClassVar[str] = "io.carolinacloud.account.erased.v1"
    key_field: ClassVar[str] = "account_id"

    account_id: AccountId


ACCOUNTS_PROFILES = Topic(
    name="accounts.profiles",
    key="account id",
    owner="console",
    writers=("console",),
    readers=("invites", "notifier"),
    messages=(AccountProfile,),
    tombstone=AccountErased,
    partitions=6,
    retention=None,
    cleanup=Cleanup.COMPACT,
    personal_data=PersonalData.ADDRESSES,
)
