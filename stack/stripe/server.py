"""The stand-in for Stripe as a process of the platform."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from stack.environment import python_environment
from stack.errors import StackError
from stack.loopback import answers_ok
from stack.ports import LOOPBACK, free_port, require_free
from stack.process import Launch, ManagedProcess
from stack.stripe.keys import StripeKeys


@dataclass(frozen=True, slots=True)
class StripeCharge:
    """Money that has moved."""

    payment_intent: str
    amount: int
    """In the currency's smallest unit: cents."""
    currency: str
    customer: str
    payment_method: str
    metadata: Mapping[str, str]


class StripeServer(ManagedProcess):
    """Stripe's API on loopback, with its idempotency keys, signed webhooks and test cards; what it knows is in its
    folder, and outlives it. It fails on purpose when it is told to."""

    ready_within = 30.0

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        log_path: Path | None = None,
        *,
        keys: StripeKeys | None = None,
        webhook_url: str | None = None,
        dies_with_us: bool = True,
    ) -> None:
        """Where no port is given, a free one is taken; where no keys are, they are made up. Events are told to
        `webhook_url`, if there is one."""
        super().__init__("stripe", log_path or folder / "stripe.log", dies_with_us=dies_with_us)
        self.port = port or free_port()
        self.keys = keys or StripeKeys.new()
        self._folder = folder.absolute()
        self._webhook_url = webhook_url

    @property
    def address(self) -> str:
        """Of the API, as STRIPE_API_BASE has it."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def script_url(self) -> str:
        """Of the script for pages, as STRIPE_JS has it."""
        return f"{self.address}/js.stripe.com/v3/"

    def charges(self) -> list[StripeCharge]:
        """All that were made, the oldest first: those alone that moved money."""
        return [StripeCharge(**charge) for charge in self._ask("GET", "/_charges").json()["charges"]]

    def counts(self) -> dict[str, int]:
        """How many charges moved money, how many answers were lost, how many were replayed for their key, and how many
        requests were refused for it."""
        counts: dict[str, int] = self._ask("GET", "/_counts").json()
        return counts

    def payment_method(self, number: str = "4242424242424242", *, cvc: str = "123") -> str:
        """The id of a new payment method, made as a page makes it of what its visitor types."""
        card = {"number": number, "exp_month": "12", "exp_year": "2040", "cvc": cvc}
        form = {"type": "card", "key": self.keys.publishable} | {f"card[{name}]": text for name, text in card.items()}
        made: str = self._ask("POST", "/v1/payment_methods", data=form).json()["id"]
        return made

    def lose_answers(self, count: int = 1) -> None:
        """So many POSTs from now on are carried out, and whoever sent them hears nothing of it."""
        self._set(lose=count)

    def delay(self, seconds: float) -> None:
        """Each POST takes so long from now on."""
        self._set(delay=seconds)

    def away(self) -> None:
        """From now on it carries out nothing, and answers 503."""
        self._set(away=True)

    def back(self) -> None:
        """It does what it should from now on, whatever it was told before, except for cards that it declines."""
        self._set(away=False, lose=0, delay=0.0)

    def decline(self, reasons: Mapping[str, str]) -> None:
        """These payment methods are declined from now on, for these reasons (decline codes), and no others."""
        self._set(declining=dict(reasons))

    def forget_keys(self) -> None:
        """No idempotency key is known any more, as after a day."""
        self._ask("DELETE", "/_keys")

    def _set(self, **faults: Any) -> None:
        self._ask("POST", "/_faults", json=faults)

    def _prepare(self) -> Launch:
        require_free(self.port, "the stand-in for Stripe")
        self._folder.mkdir(parents=True, exist_ok=True)
        env = {
            "STRIPE_API_KEY": self.keys.api,
            "STRIPE_PUBLISHABLE_KEY": self.keys.publishable,
            "STRIPE_WEBHOOK_SECRET": self.keys.webhook,
        }
        if self._webhook_url is not None:
            env["STRIPE_WEBHOOK_URL"] = self._webhook_url
        return Launch(
            [sys.executable, "-m", "stack.stripe", "--port", str(self.port), "--folder", str(self._folder)],
            env=python_environment() | env,
            folder=self._folder,
        )

    def _is_ready(self) -> bool:
        return answers_ok(self.port, "/readyz")

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        with httpx.Client(base_url=self.address, trust_env=False) as client:
            response = client.request(method, path, **content)
        if not response.is_success:
            raise StackError(f"The stand-in for Stripe answers {path} with {response.status_code}: {response.text}")
        return response
