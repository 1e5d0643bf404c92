"""The codes of an account's letters: console and notifier derive the same ones, and nobody else any."""

import base64
from collections import Counter
from uuid import UUID

from contracts import link_code, mailbox_code, reset_code

KEY = b"an accounts key of thirty-two by"
CHALLENGE = UUID("019cadc6-9a80-7264-a173-a4b54c5f7908")


def test_a_mailbox_code_is_the_one_that_another_implementation_computes() -> None:
    # { printf 'mailbox-code\0'; printf %s 019cadc69a807264a173a4b54c5f7908 | xxd -r -p; } |
    #   openssl dgst -sha256 -hmac 'an accounts key of thirty-two by' -binary | xxd -p -u -c 64
    # and the last six digits of `echo 'ibase=16; <that>' | bc`
    assert mailbox_code(KEY, CHALLENGE) == "137612"


def test_a_reset_code_is_the_one_that_another_implementation_computes() -> None:
    # { printf 'reset-code\0'; printf %s 019cadc69a807264a173a4b54c5f7908 | xxd -r -p; } |
    #   openssl dgst -sha256 -hmac 'an accounts key of thirty-two by' -binary | basenc --base64url | tr -d =
    assert reset_code(KEY, CHALLENGE) == "BcQUT5W8loAJmkkWKfI03_IbWXkNIeVrZtBlsRffsr8"


def test_a_mailbox_code_keeps_its_leading_zeros() -> None:
    assert mailbox_code(KEY, UUID("019cadc6-9a80-7264-a173-a4b54c5f7990")) == "009658"


def test_a_mailbox_code_is_six_digits_any_of_which_may_be_anything() -> None:
    codes = [mailbox_code(KEY, UUID(int=CHALLENGE.int + number)) for number in range(1_000)]

    assert all(len(code) == 6 and code.isascii() and code.isdecimal() for code in codes)
    for place in range(6):
        digits = Counter(code[place] for code in codes)
        assert len(digits) == 10
        assert max(digits.values()) < 200, "about a hundred times each"


def test_a_reset_code_fits_into_an_address_line_as_it_is() -> None:
    code = reset_code(KEY, CHALLENGE)

    assert len(code) == 43
    assert set(code) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_the_same_challenge_has_the_same_codes_each_time() -> None:
    assert mailbox_code(KEY, CHALLENGE) == mailbox_code(KEY, CHALLENGE)
    assert reset_code(KEY, CHALLENGE) == reset_code(KEY, CHALLENGE)


def test_another_challenge_or_another_key_gives_other_codes() -> None:
    cases = ((KEY, CHALLENGE), (KEY, UUID(int=CHALLENGE.int + 1)), (KEY + b"!", CHALLENGE))

    assert len({mailbox_code(key, challenge) for key, challenge in cases}) == 3
    assert len({reset_code(key, challenge) for key, challenge in cases}) == 3


def test_no_code_is_good_for_another_purpose_even_where_keys_and_ids_are_the_same() -> None:
    """A reset code tells nothing about the mailbox code of its challenge, and the other way round."""
    of_reset = int.from_bytes(base64.urlsafe_b64decode(reset_code(KEY, CHALLENGE) + "="), "big") % 1_000_000

    assert reset_code(KEY, CHALLENGE) != link_code(KEY, CHALLENGE)
    assert int(mailbox_code(KEY, CHALLENGE)) != of_reset
