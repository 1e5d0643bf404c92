"""Trial credit: once for each proven address, however it is written."""

import hashlib
import unicodedata
from collections.abc import Iterator

from billing.domain.books import Books, Cause
from billing.domain.funds import judge
from billing.domain.ledger import PROMOTION
from contracts import AccountProfile, CreditGranted, Fact


def digest_of(address: str) -> str:
    """What a mailbox is known by here, where nobody's address is kept. Aliases of a mailbox are the mailbox: what
    follows a plus sign does not count, and with Gmail neither do dots."""
    local, _, domain = unicodedata.normalize("NFC", address).casefold().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in ("gmail.com", "googlemail.com"):
        local, domain = local.replace(".", ""), "gmail.com"
    return hashlib.sha256(f"{local}@{domain}".encode("utf-8", "surrogatepass")).hexdigest()


def grant_trial_credit(books: Books, profile: AccountProfile, cause: Cause) -> Iterator[Fact]:
    """Gives an account whose mailbox is proven its trial credit, unless the mailbox, or the account, has had it."""
    digest, amount = digest_of(profile.address), books.terms.trial_credit
    if not profile.verified or not amount or digest in books.granted or profile.account_id in books.granted.values():
        return
    books.granted[digest] = books.new_grants[digest] = profile.account_id
    payer = books.payer(profile.account_id, "account")
    payer.put("member_credit", amount)
    books.ledger.move(
        amount,
        PROMOTION,
        payer.account("member_credit"),
        kind="trial_credit",
        cause_id=cause.id,
        subject_id=payer.payer_id,
        now=cause.now,
    )
    yield CreditGranted(
        **payer.next_fact(),
        amount=amount,
        balance=payer.credit,
        granted_at=cause.now,
    )
    if payer.funds != "ok":
        yield from judge(books, payer.payer_id, cause)
