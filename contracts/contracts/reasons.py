"""Why a command is refused: the codes that programs may rely on."""

from enum import StrEnum

from contracts.message import Command, CommandRefused


class Reason(StrEnum):
    """The refusal codes in use. Messages carry them as plain text, so that a new code breaks no reader."""

    # asked of invites
    NOT_AN_ADMIN = "not_an_admin"
    """Only the owner and admins of the organization may do this."""
    UNKNOWN_ORGANIZATION = "unknown_organization"
    """There is no such organization."""
    MALFORMED_ADDRESS = "malformed_address"
    """That is no e-mail address that could receive a letter."""
    ALREADY_A_MEMBER = "already_a_member"
    """The address, or the account, belongs to a member of this organization already."""
    ACCEPTANCE_IN_PROGRESS = "acceptance_in_progress"
    """An invitation of this address is being accepted at this moment."""
    RATE_LIMITED_ORGANIZATION = "rate_limited_organization"
    """The organization has sent as many invitations as it may for now."""
    RATE_LIMITED_INVITER = "rate_limited_inviter"
    """The inviter has sent as many invitations as they may for now."""
    RATE_LIMITED_RECIPIENT = "rate_limited_recipient"
    """The recipient (aliases folded) has been invited as often as is decent for now."""
    UNKNOWN_INVITATION = "unknown_invitation"
    """There is no such invitation, or no such link, in this organization."""
    ALREADY_ACCEPTED = "already_accepted"
    """The invitation was accepted before it could be revoked, declined, or used by somebody else."""
    SUPERSEDED = "superseded"
    """A newer invitation of the same address has replaced this one."""
    REVOKED = "revoked"
    """The invitation was revoked."""
    EXPIRED = "expired"
    """The invitation's time is over."""
    DECLINED = "declined"
    """The invitation was declined."""
    ADDRESS_DIFFERS = "address_differs"
    """The invitation is for another address than the account's; it stays pending."""
    MAILBOX_NOT_PROVEN = "mailbox_not_proven"
    """The account has not proven yet that its mailbox is its own."""
    UNKNOWN_ACCOUNT = "unknown_account"
    """There is no such account, or its profile has not arrived."""
    IN_ANOTHER_ORGANIZATION = "in_another_organization"
    """The account is in another organization and is never moved; the invitation stays pending."""

    # asked of membership
    NAME_TAKEN = "name_taken"
    """Another organization has this name (case does not count)."""
    MALFORMED_NAME = "malformed_name"
    """An organization's name has 2 to 255 characters."""
    ORGANIZATION_EXISTS = "organization_exists"
    """There is an organization of this id already."""
    ALREADY_IN_AN_ORGANIZATION = "already_in_an_organization"
    """An account is in at most one organization."""
    NOT_A_MEMBER = "not_a_member"
    """The account is no member of this organization."""
    OWNER_IS_FIXED = "owner_is_fixed"
    """The owner can be neither demoted nor removed, and cannot leave."""
    ALREADY_AN_ADMIN = "already_an_admin"
    """The member is an admin already."""
    NOT_AN_ADMIN_ROLE = "not_an_admin_role"
    """The member is no admin, so there is nothing to take back."""

    # asked of billing
    NOT_THE_PAYER = "not_the_payer"
    """An account's own sources are its own to change."""
    NO_CARD = "no_card"
    """No card is on file."""
    UNKNOWN_CARD = "unknown_card"
    """The payment provider knows no such card, or it was used up by an earlier attempt."""
    CARD_DECLINED = "card_declined"
    """The card's bank said no."""
    CARD_NEEDS_CARDHOLDER = "card_needs_cardholder"
    """The card's bank asks for the cardholder, who is not there."""
    CARD_NOT_DECLINED = "card_not_declined"
    """The card is counted on already."""
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range"
    """That is less, or more, than may be bought at once."""


class Refused(Exception):
    """A command is understood and not carried out. Raised by a domain before anything has changed."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def answer(self, command: Command, command_id: str) -> CommandRefused:
        """The fact that is the outcome of `command`, whose CloudEvents id is `command_id`."""
        return CommandRefused(
            command_type=command.ce_type,
            command_id=command_id,
            command_key=command.partition_key,
            actor_id=command.actor,
            reason=self.reason,
            message=self.message,
        )
