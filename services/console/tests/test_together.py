"""What many ask at once is asked once, and nobody is worse off for the others."""

import asyncio
from collections.abc import Sequence

import pytest

from console.together import Together


class Source:
    """Answers numbers with their squares, when a test lets it."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.failing = False
        self._may_answer = asyncio.Semaphore(0)

    def answer(self, calls: int = 1) -> None:
        """Lets so many calls end."""
        for _ in range(calls):
            self._may_answer.release()

    async def squares(self, numbers: Sequence[int]) -> list[int]:
        self.calls.append(list(numbers))
        await self._may_answer.acquire()
        if self.failing:
            raise ConnectionError("away")
        return [number * number for number in numbers]

    async def is_asked(self, calls: int) -> None:
        async with asyncio.timeout(5):
            while len(self.calls) < calls:
                await asyncio.sleep(0)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def together(source: Source) -> Together[int, int]:
    return Together(source.squares)


async def test_who_asks_alone_is_answered_at_once(source: Source, together: Together[int, int]) -> None:
    source.answer(2)
    assert await together.ask(3) == 9
    assert await together.ask(4) == 16
    assert source.calls == [[3], [4]]


async def test_who_asks_while_an_answer_is_fetched_shares_the_next_one(
    source: Source, together: Together[int, int]
) -> None:
    first = asyncio.create_task(together.ask(1))
    await source.is_asked(1)
    later = [asyncio.create_task(together.ask(number)) for number in (2, 3, 2)]
    await asyncio.sleep(0)
    assert source.calls == [[1]]

    source.answer(2)
    assert await asyncio.gather(first, *later) == [1, 4, 9, 4]
    assert source.calls == [[1], [2, 3, 2]]


async def test_nobody_gets_an_answer_from_before_their_question() -> None:
    newest = 1
    read, may_answer = asyncio.Event(), asyncio.Event()

    async def versions(names: Sequence[str]) -> list[int]:
        found = newest
        read.set()
        await may_answer.wait()
        return [found] * len(names)

    together = Together(versions)
    early = asyncio.create_task(together.ask("organization"))
    await read.wait()
    newest = 2
    late = asyncio.create_task(together.ask("organization"))
    await asyncio.sleep(0)
    may_answer.set()

    assert list(await asyncio.gather(early, late)) == [1, 2]


async def test_a_failure_is_everybodys_who_shares_the_call_and_nobody_elses(
    source: Source, together: Together[int, int]
) -> None:
    source.failing = True
    failing = [asyncio.create_task(together.ask(number)) for number in (1, 2)]
    await source.is_asked(1)
    later = asyncio.create_task(together.ask(3))
    source.answer()
    outcomes = await asyncio.gather(*failing, return_exceptions=True)
    source.failing = False
    source.answer()

    assert [type(outcome) for outcome in outcomes] == [ConnectionError, ConnectionError]
    assert await later == 9
    assert source.calls == [[1, 2], [3]]


async def test_where_a_value_is_missing_nobody_gets_that_of_another() -> None:
    async def forgetful(keys: Sequence[int]) -> list[int]:
        return list(keys[1:])

    together = Together(forgetful)
    outcomes = await asyncio.gather(together.ask(1), together.ask(2), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError]


async def test_who_gives_up_takes_nothing_from_the_others(source: Source, together: Together[int, int]) -> None:
    asked = [asyncio.create_task(together.ask(number)) for number in (1, 2)]
    await source.is_asked(1)
    impatient, patient = asyncio.create_task(together.ask(3)), asyncio.create_task(together.ask(4))
    await asyncio.sleep(0)
    asked[0].cancel()
    impatient.cancel()
    source.answer(2)

    assert list(await asyncio.gather(asked[1], patient)) == [4, 16]
    assert source.calls == [[1, 2], [4]], "what nobody waits for is not asked"
    assert asked[0].cancelled()


async def test_where_all_have_given_up_the_next_one_is_served(source: Source, together: Together[int, int]) -> None:
    alone = asyncio.create_task(together.ask(1))
    await asyncio.sleep(0)
    alone.cancel()
    source.answer()

    assert await together.ask(2) == 4
    assert source.calls == [[2]]
