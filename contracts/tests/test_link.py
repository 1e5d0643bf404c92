"""The one-time link: whoever has the key can make its code, and nobody else; its digest tells nothing."""

import hashlib
from uuid import UUID

from contracts import code_digest, link_code

KEY = b"a link key of thirty-two bytes !"
INVITATION = UUID("019cadc6-9a80-7264-a173-a4b54c5f7908")


def test_a_code_is_the_one_that_another_implementation_computes() -> None:
    # printf %s 019cadc69a807264a173a4b54c5f7908 | xxd -r -p |
    #   openssl dgst -sha256 -hmac 'a link key of thirty-two bytes !' -binary | basenc --base64url | tr -d =
    assert link_code(KEY, INVITATION) == "yBbSofIWn5D09vjHLs7L_J0SbqQ-J53z0Bog4JkA37o"


def test_a_digest_is_the_one_that_another_implementation_computes() -> None:
    # printf %s '<the code above>' | sha256sum
    assert code_digest(link_code(KEY, INVITATION)) == "4136e254f213baf1e91240c9454717272b8bfa3f940a8284058eb6aedbefea65"


def test_the_same_invitation_has_the_same_code_each_time() -> None:
    assert link_code(KEY, INVITATION) == link_code(KEY, INVITATION)


def test_another_invitation_or_another_key_gives_another_code() -> None:
    codes = {
        link_code(KEY, INVITATION),
        link_code(KEY, UUID(int=INVITATION.int + 1)),
        link_code(KEY + b"!", INVITATION),
    }

    assert len(codes) == 3


def test_a_code_fits_into_an_address_line_as_it_is() -> None:
    code = link_code(KEY, INVITATION)

    assert len(code) == 43
    assert set(code) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_the_digest_is_of_the_code_alone_so_that_it_needs_no_key() -> None:
    assert code_digest("any text") == hashlib.sha256(b"any text").hexdigest()


def test_anything_that_people_paste_has_a_digest() -> None:
    digests = {code_digest(text) for text in ("", " ", "ключ", "a" * 100_000, "\ud800")}

    assert len(digests) == 5
    assert all(len(digest) == 64 for digest in digests)
