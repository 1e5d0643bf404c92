"""`python -m stack.stripe --port 8420 --folder stripe` is the stand-in for Stripe, until it is stopped. Its keys, and
where its webhooks go, are in its environment; the keys may be in files instead."""

import argparse
import logging
import os
from pathlib import Path

from aiohttp import web

from stack.ports import LOOPBACK
from stack.stripe.keys import StripeKeys
from stack.stripe.memory import Memory
from stack.stripe.proxy import Proxy, name_of


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stack.stripe", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where it answers")
    parser.add_argument("--folder", type=Path, required=True, help="where it keeps what it knows")
    parser.add_argument("--host", default=LOOPBACK, help="the interface that it answers on")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    names = ("STRIPE_API_KEY", "STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRET")
    keys = StripeKeys(*map(_setting, names))
    proxy = Proxy(Memory(options.folder / "stripe.sqlite", name_of), keys)
    if "STRIPE_WEBHOOK_URL" in os.environ:
        proxy.post_events_to(os.environ["STRIPE_WEBHOOK_URL"])
    web.run_app(proxy.app(), host=options.host, port=options.port, access_log=None, print=None, shutdown_timeout=2.0)


def _setting(name: str) -> str:
    """From the environment, or, as services read theirs, from a file of that name in SECRETS_DIR."""
    return os.environ.get(name) or Path(os.environ["SECRETS_DIR"], name.lower()).read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    main()
