"""The example subscribers, against the real platform: each receives the same facts, and does its work once for each,
whatever comes twice, is killed in the middle, or cannot be read."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from consumer_groups import repeat
from crowd import Crowd
from recipes import RECIPES, BuildFailed, Recipe, build_all
from subscriber import WITHIN, Subscriber, Welcomed
from uuid_utils.compat import uuid7

from contracts import MEMBERSHIP_EVENTS, MemberJoined
from stack.client import Client, cloud_event_headers
from stack.platform import Platform

pytestmark = [
    pytest.mark.platform,
    pytest.mark.examples,
    pytest.mark.timeout(600),  # the first build fetches what the examples depend on
]

SIZE = 20
"""People who join."""
IN_THE_MIDDLE = 7
"""The fact that a subscriber is killed at, twice."""
REPEATED = 5
"""Facts that come twice: the first ones, for the copy of a later one would hide that it was lost at the kill."""
OTHERS = 12
"""Other organizations, so that there are facts in most partitions."""


@dataclass
class Observed:
    """What one subscriber has done."""

    at_the_kill: list[Welcomed] = field(default_factory=list)
    after_the_run: list[Welcomed] = field(default_factory=list)
    after_everything_again: list[Welcomed] = field(default_factory=list)
    attempts: int = 0
    set_aside: set[tuple[int, int]] = field(default_factory=set)
    exit_codes: list[int | None] = field(default_factory=list)


@dataclass
class Story:
    """One run of chains, and all subscribers in it."""

    facts: list[Welcomed]
    """What the client has seen on the topic."""
    unreadable: set[tuple[int, int]]
    """Partition and offset of the records that nobody can read."""
    observed: dict[str, Observed]


@pytest.fixture(scope="module")
def built(repository: Path) -> dict[str, Path | BuildFailed]:
    """Those whose toolchain is here."""
    return build_all((recipe for recipe in RECIPES if recipe.lack() is None), repository)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(
    platform: Platform, built: dict[str, Path | BuildFailed], tmp_path_factory: pytest.TempPathFactory
) -> Story:
    """Twenty people join. Each subscriber is killed while they do, and goes on; some facts come twice, and some records
    cannot be read. Then it is stopped, everything is delivered to it again, and it is killed once more."""
    logs = tmp_path_factory.mktemp("subscribers")
    subscribers = [
        Subscriber(recipe, folder, platform, logs / f"{recipe.name}.log")
        for recipe in RECIPES
        if isinstance(folder := built.get(recipe.name), Path)
    ]
    observed = {subscriber.name: Observed() for subscriber in subscribers}
    try:
        facts, unreadable = await _people_join(platform, subscribers, observed)
        await _everything_comes_again(subscribers, observed)
    finally:
        for subscriber in subscribers:
            subscriber.kill()
    return Story(sorted(facts), unreadable, observed)


async def _people_join(
    platform: Platform, subscribers: list[Subscriber], observed: dict[str, Observed]
) -> tuple[list[Welcomed], set[tuple[int, int]]]:
    since = uuid7()
    await _each(subscribers, lambda each: asyncio.to_thread(each.start))
    await _each(subscribers, lambda each: each.count_attempts(since))
    await _each(subscribers, lambda each: each.pause_at(IN_THE_MIDDLE))
    async with Client(platform.bootstrap_servers, from_the_beginning=True) as client:
        crowd = Crowd(client, SIZE)
        await crowd.gather()
        unreadable = await _write_what_is_odd(platform, crowd)
        killed = asyncio.gather(*(each.killed_in_the_pause() for each in subscribers))
        await crowd.accept()
        await killed
        for each in subscribers:
            observed[each.name].at_the_kill = await each.welcomed()
        await crowd.has_joined(SIZE)
        others = [Crowd(client, 0) for _ in range(OTHERS)]
        await asyncio.gather(*(other.found_organization() for other in others))
        for other in others:
            await client.fact(MemberJoined, organization_id=other.organization_id)
        facts = _joinings(client)
        ours = [ce_id for ce_id, organization_id, _ in facts if organization_id == str(crowd.organization_id)]
        await repeat(platform.bootstrap_servers, MEMBERSHIP_EVENTS, ours[:REPEATED])
    await _each(subscribers, lambda each: asyncio.to_thread(each.start))
    await _each(subscribers, lambda each: each.caught_up())
    for each in subscribers:
        observed[each.name].after_the_run = await each.welcomed()
        observed[each.name].set_aside = await each.set_aside()
    return facts, unreadable


async def _everything_comes_again(subscribers: list[Subscriber], observed: dict[str, Observed]) -> None:
    async def begin_again(each: Subscriber) -> None:
        made = await each.attempts()
        await each.pause_at(made + IN_THE_MIDDLE)
        await each.begin_again()
        await asyncio.to_thread(each.start)
        await each.killed_in_the_pause()
        await asyncio.to_thread(each.start)
        await each.caught_up()

    await _stop(subscribers, observed)
    await _each(subscribers, begin_again)
    await _stop(subscribers, observed)
    for each in subscribers:
        observed[each.name].after_everything_again = await each.welcomed()
        observed[each.name].attempts = await each.attempts()


async def _stop(subscribers: list[Subscriber], observed: dict[str, Observed]) -> None:
    """SIGTERM to each."""
    await _each(subscribers, lambda each: asyncio.to_thread(each.stop))
    for each in subscribers:
        observed[each.name].exit_codes.append(each.exit_code)


async def _write_what_is_odd(platform: Platform, crowd: Crowd) -> set[tuple[int, int]]:
    """Records of a type that is not known, and records that nobody can read, before those of the people in the same
    partition. Answers where the latter are."""
    key = str(crowd.organization_id).encode()
    [joined] = [fact for fact in crowd.client.facts(MemberJoined) if fact.organization_id == crowd.organization_id]
    good = dict(cloud_event_headers(joined, str(uuid7())))
    body = joined.model_dump_json().encode()
    unknown = good | {"ce_type": b"io.carolinacloud.member.celebrated.v1"}
    without_account = joined.model_dump_json(exclude={"account_id"}).encode()
    unreadable: list[tuple[bytes | None, dict[str, bytes]]] = [
        (b"{ this is no JSON", good),
        (b"[]", good),
        (without_account, good),
        (None, good),
        (body, {}),
        (body, {name: value for name, value in good.items() if name != "ce_type"}),
        (body, good | {"ce_id": b"\xff\xfe"}),
    ]
    producer = AIOKafkaProducer(bootstrap_servers=platform.bootstrap_servers)
    await producer.start()
    try:
        await producer.send(MEMBERSHIP_EVENTS.name, b'{"cake": true}', key=key, headers=list(unknown.items()))
        sent = [
            await producer.send_and_wait(MEMBERSHIP_EVENTS.name, value, key=key, headers=list(headers.items()))
            for value, headers in unreadable
        ]
    finally:
        await producer.stop()
    return {(place.partition, place.offset) for place in sent}


def _joinings(client: Client) -> list[Welcomed]:
    """Those of one organization in the order of the topic."""
    return [
        (seen.ce_id, str(seen.message.organization_id), str(seen.message.account_id))
        for seen in client.seen
        if isinstance(seen.message, MemberJoined)
    ]


async def _each(subscribers: Iterable[Subscriber], do: Callable[[Subscriber], Awaitable[None]]) -> None:
    await asyncio.gather(*(do(subscriber) for subscriber in subscribers))


@pytest.fixture(params=RECIPES, ids=lambda recipe: recipe.name)
def recipe(request: pytest.FixtureRequest, built: dict[str, Path | BuildFailed]) -> Recipe:
    """Of a subscriber whose toolchain is here, and that was built."""
    recipe: Recipe = request.param
    lack = recipe.lack()
    if lack:
        pytest.skip(lack)
    failure = built[recipe.name]
    if isinstance(failure, BuildFailed):
        pytest.fail(str(failure))
    return recipe


@pytest.fixture
def name(recipe: Recipe) -> str:
    return recipe.name


def test_it_receives_the_facts_that_the_others_receive(name: str, story: Story) -> None:
    assert len(story.facts) > SIZE
    assert story.observed[name].after_the_run == story.facts


def test_it_was_killed_in_the_middle_and_has_done_nothing_twice(name: str, story: Story) -> None:
    observed = story.observed[name]
    assert len(observed.at_the_kill) < len(story.facts), "it was killed too late to show anything"
    assert observed.after_the_run == story.facts


def test_everything_is_delivered_again_and_it_does_nothing_again(name: str, story: Story) -> None:
    observed = story.observed[name]
    assert observed.attempts > 2 * (SIZE + 1 + REPEATED), "it was not given everything again"
    assert observed.after_everything_again == story.facts


def test_what_cannot_be_read_is_set_aside_and_stands_in_nobodys_way(name: str, story: Story) -> None:
    assert len(story.unreadable) == 7
    assert story.observed[name].set_aside == story.unreadable


def test_it_ends_in_order_when_it_is_told_to(name: str, story: Story) -> None:
    assert story.observed[name].exit_codes == [0, 0]


async def test_a_second_instance_may_come_while_facts_are_handled(
    recipe: Recipe,
    built: dict[str, Path | BuildFailed],
    story: Story,
    platform: Platform,
    repository: Path,
    tmp_path: Path,
) -> None:
    folder = built[recipe.name]
    assert isinstance(folder, Path)
    first, second = (
        Subscriber(recipe, folder, platform, tmp_path / f"{number}.log", f"example-pair-{recipe.name}")
        for number in ("first", "second")
    )
    [schema, *_] = (repository / "examples" / "subscribers" / recipe.name).rglob("schema.sql")
    await first.make_tables(schema.read_text())
    try:
        async with first.held_up():
            await asyncio.to_thread(first.start)
            await first.has_begun()
            await asyncio.to_thread(second.start)
            # Some clients give partitions away at once, and others when they are through with what they have in hand.
            await first.has_shared_out(2, within=8)
        assert await first.has_shared_out(2, within=WITHIN)
        await first.caught_up()
        second.check()
        welcomed = await first.welcomed()
    finally:
        first.kill()
        second.kill()
    assert welcomed == story.facts
