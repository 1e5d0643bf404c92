"""Cards that are declined, told as Stripe tells it: localstripe says no more than that they are."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from localstripe.resources import store

_AUTHENTICATION_REQUIRED = "authentication_required"
_CODES = {
    "0002": ("card_declined", "generic_decline"),
    "0341": ("card_declined", "generic_decline"),
    "1629": ("card_declined", "generic_decline"),
    "9995": ("card_declined", "insufficient_funds"),
    "3178": ("card_declined", "insufficient_funds"),
    "9987": ("card_declined", "lost_card"),
    "9979": ("card_declined", "stolen_card"),
    "0069": ("expired_card", None),
    "0127": ("incorrect_cvc", None),
    "0119": ("processing_error", None),
    "4241": ("incorrect_number", None),
}
"""Of Stripe's test cards that localstripe declines, by their last four digits: the error's code and decline code."""
_PATH = re.compile(r"/v1/payment_methods/(pm_\w+)/attach")


def declined(
    error: Mapping[str, Any], request: Mapping[str, Any], path: str, on_purpose: Mapping[str, str]
) -> dict[str, Any]:
    """The body of the answer to a request whose card localstripe has declined with this error. `on_purpose` has the
    decline codes of payment methods that no test card's number says."""
    in_path = _PATH.fullmatch(path)
    card = str(in_path[1] if in_path else request.get("payment_method", ""))
    method = store.get(f"payment_method:{card}")
    code, decline_code = _CODES.get(method.card["last4"] if method else "", (error["code"], "generic_decline"))
    if card in on_purpose:
        code, decline_code = "card_declined", on_purpose[card]
    charge = store.get(f"charge:{error.get('charge')}")
    intent = store.get(f"payment_intent:{charge.payment_intent}") if charge else None
    return _card_error({**error, "code": code}, decline_code, intent)


def authentication_missing(response: web.Response, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """The body of the answer where a payment without its cardholder asks for the cardholder; otherwise None. Such a
    payment waits for another payment method, as it does after any other decline."""
    if request.get("off_session") != "true" or response.status != HTTPStatus.OK:
        return None
    told = json.loads(response.text or "")
    if told.get("object") != "payment_intent" or told["status"] != "requires_action":
        return None
    intent = store[f"payment_intent:{told['id']}"]
    intent.next_action = intent.payment_method = None
    error = {"code": _AUTHENTICATION_REQUIRED, "message": "Your card was declined: it asks for its cardholder."}
    return _card_error(error, _AUTHENTICATION_REQUIRED, intent)


def _card_error(error: Mapping[str, Any], decline_code: str | None, intent: Any) -> dict[str, Any]:
    more = {"decline_code": decline_code} if decline_code else {}
    if intent is not None:
        more["payment_intent"] = intent._export()
    return {"error": {**error, "type": "card_error", **more}}
