"""What billing is told by its environment."""

from datetime import timedelta
from typing import Self

from pydantic import Field, SecretStr, model_validator

from billing.domain.terms import DOLLAR, Terms
from postroom import ServiceSettings


class Settings(ServiceSettings):
    """Those of every service, and these. Durations are seconds, or ISO 8601 (`P90D`); money is micro-dollars."""

    stripe_api_key: SecretStr = SecretStr("")
    """The secret key of the account at Stripe. Where there is none, cards wait, neither checked nor charged."""
    stripe_api_base: str = Field(default="https://api.stripe.com", pattern=r"^https?://\S+$")
    """Where Stripe, or what stands in for it, is."""
    stripe_webhook_secret: SecretStr = SecretStr("")
    """By which Stripe signs what it tells at `/webhooks/stripe`. Where there is none, nothing is taken there."""

    card_block: int = Field(default=10 * DOLLAR, gt=0, multiple_of=10_000)
    """What a card is charged at a time, in whole cents."""
    trial_credit: int = Field(default=5 * DOLLAR, ge=0)
    """What every proven mailbox is given once."""
    top_up_least: int = Field(default=5 * DOLLAR, gt=0)
    """The smallest amount of credit that can be bought at once."""
    top_up_most: int = Field(default=10_000 * DOLLAR, gt=0)
    """The largest amount of credit that can be bought at once."""
    funds_low_within: timedelta = Field(default=timedelta(hours=1), gt=timedelta(0))
    """FundsLow is told when, at the present rate, nothing is left within this."""

    restore_interval: timedelta = Field(default=timedelta(seconds=60), gt=timedelta(0))
    """How often is looked for members without funds whose organization pays again, since a new month has renewed their
    caps. Usage of the new month is charged to it at once; this is about telling their instances to go on."""
    payment_interval: timedelta = Field(default=timedelta(seconds=1), gt=timedelta(0))
    """How often is looked for payments that nobody has woken us for."""
    payment_lease: timedelta = Field(default=timedelta(seconds=90), gt=timedelta(seconds=60))
    """After which another process may take a payment up; that it does is no danger, since an intent charges once."""

    ended_retention: timedelta = Field(default=timedelta(days=400), ge=timedelta(0))
    """How long the chain of somebody who has gone is kept, and charges and payments that are over. Longer than
    membership.events holds the fact that opened it (365 days), and its dead-letter topic after that (30 days)."""
    check_interval: timedelta = Field(default=timedelta(days=1), gt=timedelta(0))
    """How often what payers hold is checked against the sum of the ledger's entries. It reads the whole ledger."""
    purge_interval: timedelta = Field(default=timedelta(hours=1), gt=timedelta(0))
    """How often is deleted what ENDED_RETENTION is over for."""

    @model_validator(mode="after")
    def _can_be_bought(self) -> Self:
        if self.top_up_least > self.top_up_most:
            raise ValueError("TOP_UP_LEAST and TOP_UP_MOST: the smallest amount is larger than the largest")
        return self

    @property
    def terms(self) -> Terms:
        return Terms(
            card_block=self.card_block,
            trial_credit=self.trial_credit,
            top_up_least=self.top_up_least,
            top_up_most=self.top_up_most,
            low_within=self.funds_low_within,
        )
