"""Every topic of Latchkey. Topics are created from here, and from nowhere else."""

from contracts.accounts import ACCOUNTS_EVENTS, ACCOUNTS_PROFILES
from contracts.billing import BILLING_COMMANDS, BILLING_EVENTS
from contracts.invites import INVITES_COMMANDS, INVITES_EVENTS
from contracts.membership import MEMBERSHIP_COMMANDS, MEMBERSHIP_EVENTS
from contracts.metering import METERING_USAGE
from contracts.notifier import NOTIFIER_EVENTS
from contracts.topic import TopicRegistry

TOPICS = TopicRegistry(
    (
        ACCOUNTS_PROFILES,
        ACCOUNTS_EVENTS,
        INVITES_COMMANDS,
        INVITES_EVENTS,
        MEMBERSHIP_COMMANDS,
        MEMBERSHIP_EVENTS,
        BILLING_COMMANDS,
        BILLING_EVENTS,
        METERING_USAGE,
        NOTIFIER_EVENTS,
    )
)
