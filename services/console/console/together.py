"""What many requests ask at once is asked once.

Whoever asks while an answer is being fetched shares the next one. So an idle console keeps nobody waiting, and a busy
one asks the database for as many keys at a time as there are: the busier it is, the less a request costs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Together(Generic[K, V]):
    """A function of many keys, asked for one key at a time. It runs once at a time, and begins after every key that it
    is given was asked for: nobody gets an answer from before their question."""

    def __init__(self, function: Callable[[Sequence[K]], Awaitable[Sequence[V]]]) -> None:
        """`function` answers the values in the order of the keys, of which some may be the same."""
        self._function = function
        self._waiting: list[tuple[K, asyncio.Future[V]]] = []
        self._running: asyncio.Task[None] | None = None

    async def ask(self, key: K) -> V:
        """The value of the key. What the function raises, it raises for all who share the call. Who does not wait any
        more takes nothing from the others."""
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, answer))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                asked = [each for each in self._waiting if not each[1].done()]
                self._waiting = []
                await self._answer(asked)
        finally:
            self._running = None

    async def _answer(self, asked: Sequence[tuple[K, asyncio.Future[V]]]) -> None:
        if not asked:
            return
        try:
            values = await self._function([key for key, _ in asked])
            # All pairs before the first is handed out: with a value too few, everybody would get somebody else's.
            for (_, answer), value in list(zip(asked, values, strict=True)):
                if not answer.done():
                    answer.set_result(value)
        except Exception as error:
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
        finally:
            # Only where this process ends in the middle.
            for _, answer in asked:
                answer.cancel()
