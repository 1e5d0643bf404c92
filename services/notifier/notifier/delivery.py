"""Delivery: letters from the queue to the mail server.

Some carriers work at the same time, each with a connection of its own, and each by itself: connect, claim a few
letters, send one after another, report what became of them. One after another they ask for letters: who waits for
some holds the turn, so that an idle service asks once, not once for each connection.

A carrier connects before it claims. While the server is away nothing is claimed and no attempt counted; letters stay
queued until it is back, or until they are not worth it any more (Patience.try_for).
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from prometheus_client import CollectorRegistry

from notifier import claims
from notifier.claims import Report
from notifier.counts import LetterCounts
from notifier.domain import Claim, Impossible, NotTried, Outcome, Patience, Pointless, PutOff, Rejected
from notifier.rendering import Renderer, Unwritable
from notifier.smtp import Carrier, MailServer, Unreachable
from postroom import Room
from postroom.database import is_outage
from postroom.tracing import span

log = structlog.get_logger()

_LONGEST_CLAIM = 1.0
"""Seconds after which a carrier gives back what it has not begun, so that a slow letter holds up no others."""
_LONGEST_WAIT = 30.0
"""Seconds between two attempts to reach the server, or the database."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is done at a time."""

    connections: int = 4
    claim_size: int = 20
    lease: timedelta = timedelta(seconds=15)
    interval: float = 1.0
    """Seconds after which is looked for letters that nobody has woken us for."""
    idle: float = 10.0
    """Seconds after which an idle connection is closed."""


class Delivery:
    """A worker of the service. Several processes may deliver from one database."""

    def __init__(
        self,
        server: MailServer,
        renderer: Renderer,
        patience: Patience,
        pace: Pace,
        *,
        counts: LetterCounts | None = None,
        spread: Callable[[], float] = random.random,
    ) -> None:
        """`spread` from 0 to 1 spreads the pauses of letters that failed together. Without `counts`, nobody learns what
        was counted."""
        self._server = server
        self._renderer = renderer
        self._patience = patience
        self._pace = pace
        self._counts = counts or LetterCounts(CollectorRegistry())
        self._spread = spread
        self._turn = asyncio.Lock()
        self._carriers: list[Carrier] = []
        self._on_the_wire: list[Claim] = []
        self.failures = 0
        """How often in a row the server, or the database, was not to be reached."""

    async def deliver(self, room: Room) -> None:
        """Sends letters until the service stops: what is being sent then is finished, what is not begun is given
        back."""
        self._turn = asyncio.Lock()
        self._carriers = [Carrier(self._server) for _ in range(self._pace.connections)]
        async with asyncio.TaskGroup() as renewing:
            renewer = renewing.create_task(self._renew(room))
            async with asyncio.TaskGroup() as carrying:
                for carrier in self._carriers:
                    carrying.create_task(self._carry(room, carrier))
            renewer.cancel()

    async def _carry(self, room: Room, carrier: Carrier) -> None:
        try:
            while claimed := await self._next(room, carrier):
                deadline = time.monotonic() + _LONGEST_CLAIM
                await self._record(room, [await self._report(room, carrier, claim, deadline) for claim in claimed])
            await carrier.leave()
        finally:
            carrier.close()

    async def _renew(self, room: Room) -> None:
        """Keeps letters ours that the server takes its time with. Those that wait behind one are not renewed: when
        their lease is over, another carrier may take them."""
        while True:
            await asyncio.sleep(self._pace.lease.total_seconds() / 3)
            if not self._on_the_wire:
                continue
            try:
                async with room.transaction() as transaction:
                    held = list(self._on_the_wire)
                    await claims.renew(transaction.connection, held, room.clock(), lease=self._pace.lease)
            except Exception as error:
                if not is_outage(error):
                    raise

    # --- what comes next

    async def _next(self, room: Room, carrier: Carrier) -> list[Claim]:
        """Letters, once there are some; none when the service stops."""
        async with self._turn:
            while not room.stopping.is_set():
                try:
                    claimed = await self._claim(room, carrier)
                except Exception as error:
                    await self._bear(room, error)
                    continue
                self.failures = 0
                if claimed:
                    return claimed
                for each in self._carriers:
                    await each.rest(self._pace.idle)
                await room.woken(self._pace.interval)
        return []

    async def _claim(self, room: Room, carrier: Carrier) -> list[Claim]:
        """Takes letters, if there are any and the server can be reached."""
        if not carrier.is_connected:
            async with room.transaction() as transaction:
                if not await claims.is_any_due(transaction.connection, room.clock()):
                    return []
        await carrier.connect()
        async with room.transaction() as transaction:
            return await claims.claim(
                transaction.connection, room.clock(), lease=self._pace.lease, limit=self._pace.claim_size
            )

    async def _bear(self, room: Room, error: Exception) -> None:
        """Waits where waiting helps."""
        if not isinstance(error, Unreachable) and not is_outage(error):
            raise error
        self.failures += 1
        self._counts.outages.inc()
        wait = min(0.2 * 2.0 ** min(self.failures, 16), _LONGEST_WAIT) * (1 - self._spread() / 2)
        what = "mail server" if isinstance(error, Unreachable) else "database"
        fault = str(error) if isinstance(error, Unreachable) else type(error).__name__
        log.warning("delivery waits", for_=what, error=fault, wait_seconds=round(wait, 2))
        try:
            async with asyncio.timeout(wait):
                await room.stopping.wait()
        except TimeoutError:
            pass

    # --- one letter

    async def _report(self, room: Room, carrier: Carrier, claim: Claim, deadline: float) -> Report:
        letter = claim.letter
        if self._is_given_back(room, carrier, claim, deadline):
            letter.conclude(NotTried(), room.clock(), self._patience, self._spread())
            return Report(claim, None, was_tried=False)
        about = {
            "latchkey.letter.id": str(letter.letter_id),
            "latchkey.letter.kind": letter.kind.value,
            "network.protocol.name": "smtp",
            "server.address": self._server.host,
            "server.port": self._server.port,
        }
        with span(f"deliver {letter.kind}", kind="client", parent=letter.traceparent, attributes=about) as delivering:
            outcome = await self._attempt(carrier, claim)
            fact = letter.conclude(outcome, room.clock(), self._patience, self._spread())
            delivering.note({"latchkey.letter.outcome": letter.state.value})
            if isinstance(outcome, PutOff | Rejected | Impossible):
                delivering.fail(type(outcome).__name__)
            log.debug("letter", letter_id=str(letter.letter_id), outcome=type(outcome).__name__)
            return Report(claim, fact, delivering.traceparent)

    def _is_given_back(self, room: Room, carrier: Carrier, claim: Claim, deadline: float) -> bool:
        """Whether it is another's turn to try, since we cannot any more. What needs no server is decided all the
        same."""
        if claim.is_pointless or self._is_worn_out(claim):
            return False
        is_late = time.monotonic() > deadline or room.clock() >= claim.lease_until
        return is_late or room.stopping.is_set() or not carrier.is_connected

    def _is_worn_out(self, claim: Claim) -> bool:
        return claim.attempt > self._patience.attempts

    async def _attempt(self, carrier: Carrier, claim: Claim) -> Outcome:
        if claim.is_pointless:
            return Pointless()
        if self._is_worn_out(claim):
            return Impossible("Its delivery was broken off each time.")
        try:
            mail = self._renderer.write(claim)
        except Unwritable:
            return Impossible("It is not an address that can be written to.")
        except Exception as error:
            # A mistake of ours in one letter must not hold up the others.
            log.error("letter cannot be written", letter_id=str(claim.letter.letter_id), error=type(error).__name__)
            return PutOff("The letter could not be written.")
        self._on_the_wire.append(claim)
        try:
            with self._counts.duration.time():
                return await carrier.send(mail)
        finally:
            self._on_the_wire.remove(claim)

    async def _record(self, room: Room, reports: list[Report]) -> None:
        """However long the database is away: what the server took must not be offered again."""
        failures = 0
        while True:
            try:
                async with room.transaction() as transaction:
                    recorded = await claims.record(transaction, reports, room.clock())
                for report in reports:
                    if report.was_tried and report.claim.letter.letter_id in recorded:
                        self._counts.end(report.claim.letter)
                return
            except Exception as error:
                if not is_outage(error):
                    raise
                failures += 1
                wait = min(0.05 * 2.0 ** min(failures, 16), _LONGEST_WAIT)
                log.warning("letters are not recorded yet", letters=len(reports), wait_seconds=round(wait, 2))
                await asyncio.sleep(wait)
