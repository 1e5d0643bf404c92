"""What stands in front of localstripe. It answers as Stripe documents it where localstripe does not:

- an `Idempotency-Key` is honoured: what was answered under it is answered again (`Idempotent-Replayed: true`); with
  another request it is an idempotency_error (400), and while the first request is under way a conflict (409);
- keys are checked, and the publishable one is good for making payment methods, and for nothing else;
- a payment without its cardholder takes cards alone that are on file with the customer;
- a card that is declined says why (`decline_code`), and one that asks for a cardholder who is not there is declined.

It also fails as a network does, when it is told to: see Faults.

POST /_faults      sets some of the fields of Faults
DELETE /_keys      forgets all idempotency keys, as Stripe does after a day
GET /_charges      all charges that moved money, the oldest first
GET /_counts       how often money moved, answers were lost and replayed, and keys refused
GET /readyz        whether it works
"""

import asyncio
import hashlib
import hmac
import json
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web
from localstripe import server
from localstripe.errors import UserError
from localstripe.resources import Charge, PaymentIntent, StripeObject, store
from localstripe.webhooks import register_webhook

from stack.stripe.declines import authentication_missing, declined
from stack.stripe.keys import StripeKeys
from stack.stripe.memory import Answer, Memory

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ELEMENT = Path(__file__).parent / "element.js"
_LONGEST_KEY = 255
_INTENTS = "/v1/payment_intents"
_CONFIRM = f"{_INTENTS}/{{id}}/confirm"
_CONFIRMED = re.compile(rf"{_INTENTS}/(pi_\w+)/confirm")
_PATHS = re.compile(
    r"/v1/(customers|payment_methods|setup_intents|payment_intents|charges|refunds|events)"
    r"(/\{id\}(/(attach|detach|confirm|cancel|capture))?)?"
)
"""Of localstripe's API, what payments by card need."""
_OBJECT = re.compile(r"/v1/(\w+)s/(\w+)")
"""The object that a request is about, and may change."""
_FOR_BROWSERS = "/v1/payment_methods"
"""What a browser may ask for, with the publishable key."""
_FROM_ANY_PAGE = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(slots=True)
class Faults:
    """What goes wrong on purpose."""

    lose: int = 0
    """How many POSTs from now on are carried out, and their connection closed in the place of an answer."""
    delay: float = 0.0
    """Seconds that each POST takes, with its key under way."""
    away: bool = False
    """Whether nothing is carried out, and the answer is 503."""
    declining: dict[str, str] = field(default_factory=dict)
    """Payment methods that are declined from now on, and their decline codes."""


class Proxy:
    """The application: of localstripe's API what payments by card need, and what is said above."""

    def __init__(self, memory: Memory, keys: StripeKeys) -> None:
        self._memory = memory
        self._keys = keys
        self._faults = Faults()
        self._under_way: dict[str, str] = {}
        self._counts: Counter[str] = Counter(lost=0, replayed=0, refused=0)
        self._one_at_a_time = asyncio.Lock()
        self._new: set[str] = set()
        store.update(memory.objects())
        # localstripe would write all that it knows to one file for the whole machine, at each new object. What is to be
        # kept is kept here, together with the answer.
        store.dump_to_disk = self._note_new

    def post_events_to(self, url: str) -> None:
        """Signed webhooks go there, a second after each event, and once."""
        register_webhook("billing", url, self._keys.webhook, None)

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._serve])
        app.router.add_post(_CONFIRM, server.api_extra(_confirm, _CONFIRM))  # In the place of localstripe's own.
        for route in server.app.router.routes():
            path = route.resource.canonical if route.resource is not None else ""
            if _PATHS.fullmatch(path):
                app.router.add_route(route.method, path, route.handler)
        app.router.add_get("/js.stripe.com/v3/", self._element)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_post("/_faults", self._set_faults)
        app.router.add_delete("/_keys", self._forget_keys)
        app.router.add_get("/_charges", self._list_charges)
        app.router.add_get("/_counts", self._tell_counts)
        return app

    # --- Stripe's API

    @web.middleware
    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/v1/"):
            return await handler(request)
        if self._faults.away:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "api_error", "Stripe is away, as it was told to be.")
        await request.read()
        if not await self._is_allowed(request):
            return _error(HTTPStatus.UNAUTHORIZED, "invalid_request_error", "That is no key for this.")
        if request.method == "GET":
            response, _ = await self._carry_out(request, handler)
            return response
        response = await self._post(request, handler)
        if self._faults.lose > 0 and request.transport is not None:
            self._faults.lose -= 1
            self._counts["lost"] += 1
            request.transport.abort()
        return response

    async def _is_allowed(self, request: web.Request) -> bool:
        _, _, given = request.headers.get("Authorization", "").partition(" ")
        if given:
            return hmac.compare_digest(given, self._keys.api)
        if request.method != "POST" or request.path != _FOR_BROWSERS:
            return False
        data = await server.get_post_data(request, remove_auth=False)
        return hmac.compare_digest(str(data.get("key")), self._keys.publishable)

    async def _post(self, request: web.Request, handler: Handler) -> web.Response:
        """Carries it out, unless its key says that it was, or is being, carried out."""
        key = request.headers.get("Idempotency-Key", "")
        digest = hashlib.sha256(f"{request.path}\n".encode() + await request.read()).hexdigest()
        if not key or request.method != "POST":
            return await self._carry_out_and_keep(request, handler, key, digest)
        if len(key) > _LONGEST_KEY:
            return self._refuse(HTTPStatus.BAD_REQUEST, "An idempotency key has at most 255 characters.")
        known = self._memory.answer(key)
        if (known.request if known else self._under_way.get(key, digest)) != digest:
            return self._refuse(HTTPStatus.BAD_REQUEST, "This idempotency key was first used for another request.")
        if known:
            self._counts["replayed"] += 1
            return _answer(known.status, known.body, {"Idempotent-Replayed": "true"})
        if key in self._under_way:
            return self._refuse(HTTPStatus.CONFLICT, "A request with this idempotency key is under way.")
        self._under_way[key] = digest
        try:
            return await self._carry_out_and_keep(request, handler, key, digest)
        finally:
            del self._under_way[key]

    async def _carry_out_and_keep(self, request: web.Request, handler: Handler, key: str, digest: str) -> web.Response:
        await asyncio.sleep(self._faults.delay)
        async with self._one_at_a_time:
            named = _OBJECT.match(request.path)
            response, is_final = await self._carry_out(request, handler)
            body = bytes(response.body) if isinstance(response.body, bytes) else b""
            changed = self._new | ({f"{named[1]}:{named[2]}"} if named else set())
            self._memory.keep(store, changed, {key: Answer(digest, response.status, body)} if key and is_final else {})
            self._new.clear()
        return response

    async def _carry_out(self, request: web.Request, handler: Handler) -> tuple[web.Response, bool]:
        """The answer, and whether it is the last word under its key: what was refused before anything was begun may be
        asked again."""
        data = await server.get_post_data(request) or {} if request.method == "POST" else {}
        data = _of_intent(request.path) | data
        try:
            if request.path != _INTENTS or data.get("confirm") == "true":
                self._require_good_card(data)
            response = await handler(request)
            assert isinstance(response, web.Response)
            missing = authentication_missing(response, data)
            if missing is not None:
                return _json(HTTPStatus.PAYMENT_REQUIRED, missing), True
            return _from_any_page(response), True
        except UserError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                error.body["error"]["code"] = "resource_missing"
            if error.code != HTTPStatus.PAYMENT_REQUIRED:
                return _json(error.code, error.body), False
            return _json(error.code, declined(error.body["error"], data, request.path, self._faults.declining)), True
        except web.HTTPException as error:
            return _error(error.status, "invalid_request_error", f"There is no {request.method} {request.path}."), False
        except Exception:
            log.exception("localstripe failed")
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "api_error", "localstripe failed; see its log."), True

    def _note_new(self) -> None:
        """localstripe calls it after each new object, which is the last one then."""
        self._new.add(next(reversed(store)))

    def _require_good_card(self, data: Mapping[str, Any]) -> None:
        """Raises UserError where the request's card is to be declined on purpose, or is not on file with the customer
        that is to pay without being there."""
        card = data.get("payment_method")
        if card in self._faults.declining:
            raise UserError(HTTPStatus.PAYMENT_REQUIRED, "Your card was declined.", {"code": "card_declined"})
        method = store.get(f"payment_method:{card}")
        if method is not None and data.get("off_session") == "true" and method.customer != data.get("customer"):
            raise UserError(HTTPStatus.BAD_REQUEST, "The payment method does not belong to the customer.")

    def _refuse(self, status: int, message: str) -> web.Response:
        self._counts["refused"] += 1
        code = {"code": "idempotency_key_in_use"} if status == HTTPStatus.CONFLICT else {}
        return _error(status, "idempotency_error", message, **code)

    # --- the rest

    async def _element(self, _: web.Request) -> web.StreamResponse:
        content = _ELEMENT.read_text(encoding="utf-8")
        return _from_any_page(web.Response(text=content, content_type="text/javascript"))

    async def _readyz(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text="ok\n")

    async def _set_faults(self, request: web.Request) -> web.StreamResponse:
        wanted = await request.json()
        for each in fields(Faults):
            if each.name in wanted:
                setattr(self._faults, each.name, wanted[each.name])
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _forget_keys(self, _: web.Request) -> web.StreamResponse:
        self._memory.forget_answers()
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _list_charges(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"charges": [_told(charge) for charge in _paid()]})

    async def _tell_counts(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"charges": len(_paid()), **self._counts})


def name_of(thing: object) -> str | None:
    """Under which localstripe knows an object; None for anything else."""
    name = f"{thing.object}:{thing.id}" if isinstance(thing, StripeObject) and hasattr(thing, "id") else ""
    return name if name in store else None


def _confirm(id: str, off_session: str | None = None, **more: Any) -> Any:  # noqa: A002
    """localstripe knows `off_session` where an intent is made, and not where it is confirmed."""
    return PaymentIntent._api_confirm(id, **more)


def _of_intent(path: str) -> dict[str, Any]:
    """What an intent that is confirmed said of its card when it was made."""
    confirmed = _CONFIRMED.fullmatch(path)
    intent = store.get(f"payment_intent:{confirmed[1]}") if confirmed else None
    return {} if intent is None else {"payment_method": intent.payment_method, "customer": intent.customer}


def _paid() -> list[Charge]:
    return [each for each in store.values() if isinstance(each, Charge) and each.status == "succeeded"]


def _told(charge: Charge) -> dict[str, Any]:
    intent = store.get(f"payment_intent:{charge.payment_intent}")
    return {
        "payment_intent": charge.payment_intent,
        "amount": charge.amount,
        "currency": charge.currency,
        "customer": charge.customer,
        "payment_method": charge.payment_method,
        "metadata": intent.metadata if intent else charge.metadata,
    }


def _error(status: int, kind: str, message: str, **more: str) -> web.Response:
    return _json(status, {"error": {"type": kind, "message": message, **more}})


def _json(status: int, content: dict[str, Any]) -> web.Response:
    return _answer(status, json.dumps(content).encode())


def _answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> web.Response:
    response = web.Response(status=status, body=body, content_type="application/json", headers=headers)
    return _from_any_page(response)


def _from_any_page(response: web.Response) -> web.Response:
    response.headers.update(_FROM_ANY_PAGE)
    return response
