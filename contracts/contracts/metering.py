"""What instances use: written by the meters of the instances, outside of Latchkey."""

from datetime import timedelta
from decimal import Decimal
from typing import ClassVar

from pydantic import AwareDatetime

from contracts.message import AccountId, Fact, MicroDollars
from contracts.topic import Cleanup, PersonalData, Topic


class UsageRecorded(Fact):
    """An instance of the account used so much of a resource between two instants. One meter tells an interval once;
    the same interval told again is the same usage, whatever it says. The amount is quantity times unit price, rounded
    to the even micro-dollar; one below zero is none."""

    ce_type: ClassVar[str] = "io.carolinacloud.usage.recorded.v1"
    key_field: ClassVar[str] = "account_id"

    account_id: AccountId
    meter_id: str
    """The meter that counted."""
    instance_id: str
    """The instance that used."""
    resource: str
    """What was used, such as `gpu-a100` or `storage-gb`."""
    quantity: Decimal
    """How much, in the unit that the price is for."""
    unit_price: MicroDollars
    used_from: AwareDatetime
    """The start of the interval (included)."""
    used_until: AwareDatetime
    """The end of the interval (not included)."""


METERING_USAGE = Topic(
    name="metering.usage",
    key="account id",
    owner="metering",
    writers=("metering",),
    readers=("billing",),
    messages=(UsageRecorded,),
    partitions=6,
    retention=timedelta(days=30),
    cleanup=Cleanup.DELETE,
    personal_data=PersonalData.IDENTIFIERS,
)
