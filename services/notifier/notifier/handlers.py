"""What notifier does about each message. The map of the service."""

from collections.abc import Iterable, Mapping

from contracts import (
    AccountErased,
    AccountProfile,
    CardAttached,
    CardDeclined,
    CardDetached,
    CreditToppedUp,
    Fact,
    FundsExhausted,
    FundsLow,
    FundsRestored,
    InvitationAccepted,
    InvitationDeclined,
    InvitationExpired,
    InvitationExpiring,
    InvitationIssued,
    InvitationRevoked,
    InvitationSuperseded,
    MailboxProofRequested,
    MemberJoined,
    OrganizationCreated,
    PasswordChanged,
    PasswordResetRequested,
    SignUpRepeated,
)
from notifier.domain import Card, Kind
from notifier.working_set import Cause, Post
from postroom import AnswerTo, Context, Handler, Message

InvitationEnded = InvitationSuperseded | InvitationRevoked | InvitationDeclined | InvitationExpired
_NOTHING_TO_TELL: tuple[Fact, ...] = ()


def write_invitation(issued: InvitationIssued, post: Post, context: Context) -> Iterable[Fact]:
    """The invited address gets the link."""
    post.write_link(Kind.INVITATION, issued, _cause(context))
    return _NOTHING_TO_TELL


def write_reminder(expiring: InvitationExpiring, post: Post, context: Context) -> Iterable[Fact]:
    """The invited address gets the link once more."""
    post.write_link(Kind.REMINDER, expiring, _cause(context))
    return _NOTHING_TO_TELL


def withdraw_links(ended: InvitationEnded, post: Post, context: Context) -> Iterable[Fact]:
    """What has not left with this link is not sent any more; nobody is told."""
    post.end_invitation(ended.invitation_id, context.now)
    return _NOTHING_TO_TELL


def withdraw_reminder(accepted: InvitationAccepted, post: Post, context: Context) -> Iterable[Fact]:
    """Who has accepted needs no reminder. The invitation itself is still sent, if it has not left yet: its link is
    not dead for who has accepted, and each invitation has its letter."""
    post.withdraw(accepted.invitation_id, frozenset({Kind.REMINDER}), context.now)
    return _NOTHING_TO_TELL


def welcome_and_tell_inviter(joined: MemberJoined, post: Post, context: Context) -> Iterable[Fact]:
    """The new member is welcomed, and who invited them is told; an owner has invited themselves and gets nothing."""
    member_id, inviter_id = joined.account_id, joined.inviter_id
    post.write_news(Kind.WELCOME, joined, to=member_id, about=inviter_id, cause=_cause(context))
    if inviter_id is not None:
        post.write_news(Kind.HAS_JOINED, joined, to=inviter_id, about=member_id, cause=_cause(context))
    return _NOTHING_TO_TELL


def write_mailbox_code(requested: MailboxProofRequested, post: Post, context: Context) -> Iterable[Fact]:
    """The account gets the code that proves its mailbox."""
    post.write_code(Kind.MAILBOX_CODE, requested, _cause(context))
    return _NOTHING_TO_TELL


def write_reset_link(requested: PasswordResetRequested, post: Post, context: Context) -> Iterable[Fact]:
    """The account gets the link that sets a new password."""
    post.write_code(Kind.PASSWORD_RESET, requested, _cause(context))
    return _NOTHING_TO_TELL


def tell_of_sign_up(repeated: SignUpRepeated, post: Post, context: Context) -> Iterable[Fact]:
    """The account's owner is told how to get in. This letter is the only answer to the sign-up that tells of it: the
    page, which anybody may see, does not."""
    post.write_account_news(Kind.ACCOUNT_EXISTS, repeated.account_id, repeated.repeated_at, _cause(context))
    return _NOTHING_TO_TELL


def tell_of_new_password(changed: PasswordChanged, post: Post, context: Context) -> Iterable[Fact]:
    """The account's owner hears of it, and what to do if it was somebody else."""
    post.write_account_news(Kind.PASSWORD_CHANGED, changed.account_id, changed.changed_at, _cause(context))
    return _NOTHING_TO_TELL


def warn_of_low_funds(low: FundsLow, post: Post, context: Context) -> Iterable[Fact]:
    """The account is warned, for as long as there is something to warn of."""
    at, until = low.noticed_at, low.exhausted_by
    post.write_about_funds(Kind.FUNDS_LOW, low, at, _cause(context), expires_at=until)
    return _NOTHING_TO_TELL


def tell_of_exhausted_funds(exhausted: FundsExhausted, post: Post, context: Context) -> Iterable[Fact]:
    """The account is told that its instances are to stop, and what to do; the warning, if it has not left yet, comes
    too late."""
    post.write_about_funds(Kind.FUNDS_EXHAUSTED, exhausted, exhausted.exhausted_at, _cause(context))
    return _NOTHING_TO_TELL


def withdraw_news_of_funds(restored: FundsRestored, post: Post, context: Context) -> Iterable[Fact]:
    """What has not left is not true any more."""
    post.overtake_funds(restored.account_id, restored.version, context.now)
    return _NOTHING_TO_TELL


def tell_of_declined_card(declined: CardDeclined, post: Post, context: Context) -> Iterable[Fact]:
    """Who put the card on file hears of it."""
    to, at = declined.attached_by, declined.declined_at
    post.write_about_payment(Kind.CARD_DECLINED, declined, to, at, _cause(context))
    return _NOTHING_TO_TELL


def write_receipt(topped_up: CreditToppedUp, post: Post, context: Context) -> Iterable[Fact]:
    """Who topped up gets the receipt."""
    to, at = topped_up.topped_up_by, topped_up.topped_up_at
    post.write_about_payment(Kind.TOP_UP_RECEIPT, topped_up, to, at, _cause(context))
    return _NOTHING_TO_TELL


def keep_card(attached: CardAttached, post: Post, context: Context) -> Iterable[Fact]:
    """From now on we can say which card it is."""
    post.keep_card(Card(attached.payer_id, attached.version, attached.card_id, attached.brand, attached.last4))
    return _NOTHING_TO_TELL


def forget_card(detached: CardDetached, post: Post, context: Context) -> Iterable[Fact]:
    """There is none any more that could be spoken of."""
    post.keep_card(Card(detached.payer_id, detached.version, None, None, None))
    return _NOTHING_TO_TELL


def keep_profile(profile: AccountProfile, post: Post, context: Context) -> Iterable[Fact]:
    """From now on we know where to write to; letters that wait for it are queued."""
    post.keep_profile(profile)
    return _NOTHING_TO_TELL


def forget_person(erased: AccountErased, post: Post, context: Context) -> Iterable[Fact]:
    """Nobody is written to, or about, who is gone."""
    post.forget_person(erased.account_id)
    return _NOTHING_TO_TELL


def note_organization(created: OrganizationCreated, post: Post, context: Context) -> Iterable[Fact]:
    """From now on we know what it is called; letters that wait for it are queued."""
    post.note_organization(created.organization_id, created.name)
    return _NOTHING_TO_TELL


def end_overtime(post: Post, context: Context) -> Iterable[AnswerTo]:
    """Letters that nothing has become of for too long have failed; those whose link or code has died, or that warn of
    what has come, end silently."""
    for letter in post.overtime:
        failed = letter.end_in_overtime(context.now)
        if failed is not None:
            yield AnswerTo(failed, command_id=letter.cause_id, correlation_id=letter.correlation_id)


REACTIONS: Mapping[type[Message], Handler[Post]] = {
    InvitationIssued: write_invitation,
    InvitationExpiring: write_reminder,
    InvitationSuperseded: withdraw_links,
    InvitationRevoked: withdraw_links,
    InvitationDeclined: withdraw_links,
    InvitationExpired: withdraw_links,
    InvitationAccepted: withdraw_reminder,
    MemberJoined: welcome_and_tell_inviter,
    OrganizationCreated: note_organization,
    MailboxProofRequested: write_mailbox_code,
    PasswordResetRequested: write_reset_link,
    SignUpRepeated: tell_of_sign_up,
    PasswordChanged: tell_of_new_password,
    FundsLow: warn_of_low_funds,
    FundsExhausted: tell_of_exhausted_funds,
    FundsRestored: withdraw_news_of_funds,
    CardDeclined: tell_of_declined_card,
    CreditToppedUp: write_receipt,
    CardAttached: keep_card,
    CardDetached: forget_card,
    AccountProfile: keep_profile,
    AccountErased: forget_person,
}


def _cause(context: Context) -> Cause:
    return Cause(context.ce_id, context.correlation_id, context.now, context.traceparent)
