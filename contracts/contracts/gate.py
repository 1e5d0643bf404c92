"""The gate: no change of a message or topic may hurt a reader or writer of any earlier release (FULL_TRANSITIVE).

Old readers read new messages, new readers read old ones, and every principal keeps the topics that it has. What breaks
this is told in words: what it is, whom it hurts, and how what is wanted can be had. docs/changing-a-message.md is the
guide to it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from contracts.compatibility import Difference, NotComparable, Remedy, differences
from contracts.releases import FrozenTopic, Retired, Snapshot
from contracts.topic import PersonalData

GUIDE = "docs/changing-a-message.md"
_RETIRED = "contracts/releases/retired.toml"


@dataclass(frozen=True, slots=True)
class Breach:
    """One thing that may not change so."""

    what: str
    """What happened, as the start of a sentence."""
    hurts: str
    """Whom, and how; `{releases}` stands for the releases concerned."""
    instead: str
    """How to do it, in whole sentences."""
    releases: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.what}: {self.hurts.format(releases=_listed(self.releases))}. {self.instead}"


def breaches(now: Snapshot, earlier: Sequence[Snapshot], retired: Iterable[Retired] = ()) -> tuple[Breach, ...]:
    """What readers and writers of `earlier` releases cannot live with in what there is `now`, except for what is
    `retired`. Each is there once, with all the releases that it concerns."""
    retired = tuple(retired)
    gone = {record.what for record in retired}
    found: dict[Breach, list[str]] = {}
    for release in earlier:
        for breach in _Comparison(release, now, earlier).breaches(gone):
            found.setdefault(breach, []).append(release.version)
    told = (Breach(breach.what, breach.hurts, breach.instead, tuple(releases)) for breach, releases in found.items())
    return (*told, *_false_records(retired, now, earlier))


def _false_records(retired: Iterable[Retired], now: Snapshot, earlier: Sequence[Snapshot]) -> Iterator[Breach]:
    released = {name for release in earlier for name in _names(release)}
    for record in retired:
        if record.what in _names(now):
            hurts = "it cannot be both"
            instead = f"Take it out of the registry, or its record out of {_RETIRED}."
            yield Breach(f"`{record.what}` is retired and still there", hurts, instead)
        elif record.what not in released:
            hurts = "a record that excuses nothing today may excuse a mistake tomorrow"
            yield Breach(f"`{record.what}` is retired, and no release had it", hurts, f"Take it out of {_RETIRED}.")


def _names(snapshot: Snapshot) -> Iterator[str]:
    """Whatever can be retired of it, as `Retired.what` names it."""
    yield from snapshot.schemas
    for name, topic in snapshot.topics.items():
        yield name
        yield from (_right(reader, "reads", name) for reader in topic.readers)
        yield from (_right(writer, "writes", name) for writer in topic.writers)


@dataclass(frozen=True)
class _Comparison:
    """One earlier release, and what there is now."""

    then: Snapshot
    now: Snapshot
    earlier: Sequence[Snapshot]

    def breaches(self, gone: set[str]) -> Iterator[Breach]:
        for name, topic in self.then.topics.items():
            if name in self.now.topics:
                yield from self._of_topic(name, topic, self.now.topics[name])
                yield from self._of_rights(name, topic, self.now.topics[name], gone)
                yield from self._of_messages(name, topic, self.now.topics[name], gone)
            elif name not in gone:
                instead = f"Keep it until nobody reads it and its last record has gone, then retire it in {_RETIRED}."
                yield Breach(f"The topic `{name}` is gone", "what runs since {releases} still uses it", instead)
        for ce_type, schema in self.then.schemas.items():
            if ce_type in self.now.schemas:
                try:
                    found = differences(schema, self.now.schemas[ce_type])
                except NotComparable as keyword:
                    what = f"{self._class(ce_type)} says `{keyword}`, which the gate cannot compare"
                    instead = "Describe the field by what the other messages use, or teach contracts.compatibility."
                    yield Breach(what, "nobody knows what it does to readers of {releases}", instead)
                else:
                    yield from (self._of_field(ce_type, difference) for difference in found)
                yield from self._of_marks(ce_type)
                yield from self._of_openness(ce_type)

    def _of_topic(self, name: str, then: FrozenTopic, now: FrozenTopic) -> Iterator[Breach]:
        if then.owner != now.owner:
            yield Breach(
                f"`{name}` was {then.owner}'s and is {now.owner}'s",
                f"the {then.owner} of {{releases}} still decides what is true there, and two that decide contradict "
                "each other",
                f"Leave it, and declare a topic of {now.owner}'s beside it, with second versions of what moves "
                f"({GUIDE}).",
            )
        if then.partitions != now.partitions:
            yield Breach(
                f"`{name}` had {then.partitions} partitions and has {now.partitions}",
                "the keys move to other partitions, and what was written since {releases} loses its order",
                f"Leave them; declare a topic beside it, `{name}.2`, and move the messages as {GUIDE} tells.",
            )
        if then.cleanup != now.cleanup:
            yield Breach(
                f"`{name}` had the cleanup `{then.cleanup}` and has `{now.cleanup}`",
                "readers of {releases} miss records that they count on, or get those that should have gone",
                f"Leave it; declare a topic beside it, `{name}.2`, and move the messages as {GUIDE} tells.",
            )
        elif _duration(now) < _duration(then):
            yield Breach(
                f"`{name}` kept records for {_days(then)} and keeps them for {_days(now)}",
                "a reader of {releases} that was away, or starts anew, finds them gone",
                f"Leave it at {_days(then)}; a longer time is no harm.",
            )
        if then.personal_data is PersonalData.IDENTIFIERS and now.personal_data is PersonalData.ADDRESSES:
            yield Breach(
                f"`{name}` named nobody and may hold addresses and names now",
                "readers of {releases} keep its records in places from which nobody is erased",
                "Leave it as it was, and publish what names people on a topic of `PersonalData.ADDRESSES`.",
            )
        if then.tombstone != now.tombstone:
            yield Breach(
                f"A record without a value meant `{then.tombstone}` on `{name}` and means `{now.tombstone}`",
                "readers of {releases} take it for what it was",
                "Leave it, and say the new thing by a message of its own.",
            )

    def _of_rights(self, name: str, then: FrozenTopic, now: FrozenTopic, gone: set[str]) -> Iterator[Breach]:
        rights = [(principal, "reads", principal in now.readers) for principal in then.readers]
        rights += [(principal, "writes", principal in now.writers) for principal in then.writers]
        for principal, verb, has_it in rights:
            if not has_it and (right := _right(principal, verb, name)) not in gone:
                yield Breach(
                    f"`{principal}` no longer {verb} `{name}`",
                    f"the {principal} of {{releases}} still does, and stops where the right is taken from it",
                    f"Keep the right until no {principal} of that kind runs, then retire `{right}` in {_RETIRED}.",
                )

    def _of_messages(self, name: str, then: FrozenTopic, now: FrozenTopic, gone: set[str]) -> Iterator[Breach]:
        for ce_type, message in then.messages.items():
            if ce_type in now.messages:
                yield from self._of_message(ce_type, then, now)
                continue
            if ce_type in gone:
                continue
            places = [place for place, topic in self.now.topics.items() if ce_type in topic.messages]
            heirs = [
                other
                for other, current in now.messages.items()
                if current.name == message.name and other not in then.messages
            ]
            if heirs:
                yield Breach(
                    f"{message.name} was `{ce_type}` and is `{heirs[0]}`",
                    "readers of {releases} do not know that type, and pass it by",
                    f"Keep {message.name} as it was; let `{heirs[0]}` be a class of its own, and publish both "
                    f"until every reader has moved ({GUIDE}).",
                )
            elif places:
                yield Breach(
                    f"{message.name} was on `{name}` and is on `{', '.join(places)}`",
                    "readers of {releases} do not look for it there, and it has lost its order with its neighbours",
                    f"Leave it where it was, and publish `{self._next(ce_type)}` on the other topic beside it "
                    f"until every reader has moved ({GUIDE}).",
                )
            else:
                yield Breach(
                    f"{message.name} (`{ce_type}`) is gone from `{name}`",
                    "readers of {releases} wait for it, and records of it are still kept",
                    f"Keep the class: write it until nobody reads it, read it until its last record has gone, then "
                    f"retire it in {_RETIRED} ({GUIDE}).",
                )

    def _of_message(self, ce_type: str, then: FrozenTopic, now: FrozenTopic) -> Iterator[Breach]:
        was, is_now = then.messages[ce_type], now.messages[ce_type]
        if was.key_field != is_now.key_field:
            yield Breach(
                f"The key of {was.name} was `{was.key_field}` and is `{is_now.key_field}`",
                "its records come in another order than readers of {releases} count on",
                f"Leave the key, and publish `{self._next(ce_type)}` with the other key beside it until every reader "
                f"has moved ({GUIDE}).",
            )
        if was.name != is_now.name:
            yield Breach(
                f"The class of `{ce_type}` was {was.name} and is {is_now.name}",
                "programs in Python import it by the name that it had in {releases}",
                f"Call it {was.name} again.",
            )

    def _of_field(self, ce_type: str, difference: Difference) -> Breach:
        subject = f"`{difference.field}` of {self._class(ce_type)}" if difference.field else self._class(ce_type)
        hurt = []
        if difference.old_readers_refuse:
            hurt.append("readers of {releases} refuse records that are written now")
        if difference.new_readers_refuse:
            hurt.append("records of {releases}, which are still kept or still written, are refused now")
        if not hurt:
            vainly = difference.remedy is Remedy.KEEP
            hurt.append(f"readers of {{releases}} {'look for it in vain' if vainly else 'understand it otherwise'}")
        return Breach(
            f"{subject} {difference.what}",
            ", and ".join(hurt),
            self._remedy(ce_type, difference),
        )

    def _remedy(self, ce_type: str, difference: Difference) -> str:
        beside = f"publish `{self._next(ce_type)}` beside `{ce_type}` until every reader has moved ({GUIDE})"
        match difference.remedy:
            case Remedy.KEEP:
                return f"Keep the field and go on writing it; to be rid of it, {beside}."
            case Remedy.OPTIONAL:
                return f"Give it a default that means that nothing was said; if it cannot do without, {beside}."
            case Remedy.CHECK:
                return (
                    f"Leave the model as wide as it was, and check the value where it is made or handled; or {beside}."
                )
            case Remedy.BESIDE:
                return f"Leave it as it was, and {beside}."

    def _of_marks(self, ce_type: str) -> Iterator[Breach]:
        fields = self.now.schemas[ce_type].get("properties", {})
        for name, field in self.then.schemas[ce_type].get("properties", {}).items():
            if name not in fields or _is_personal(field) == _is_personal(fields[name]):
                continue
            if _is_personal(field):
                yield Breach(
                    f"`{name}` of {self._class(ce_type)} is no longer marked as personal data",
                    "readers of {releases} hold it to be, and who reads the schema from now on will not erase it",
                    "Mark it again (`json_schema_extra=PERSONAL`); what no longer names people is another field.",
                )
            else:
                yield Breach(
                    f"`{name}` of {self._class(ce_type)} is marked as personal data now",
                    "readers of {releases} hold that it names nobody, and have kept it where nobody is erased",
                    "Leave it as it was, and write nothing into it that names people: that is another field, marked "
                    "from its first release, on a topic of `PersonalData.ADDRESSES`.",
                )

    def _of_openness(self, ce_type: str) -> Iterator[Breach]:
        schema = self.now.schemas[ce_type]
        parts = {self._class(ce_type): schema} | {
            f"`{name}` in {self._class(ce_type)}": part for name, part in schema.get("$defs", {}).items()
        }
        for name, part in parts.items():
            if part.get("additionalProperties") is False:
                yield Breach(
                    f'{name} takes no fields but its own now (`extra="forbid"`)',
                    "its readers refuse the next field that is added, where those of {releases} ignore it",
                    "Let it ignore what it does not know, as all messages do.",
                )

    def _class(self, ce_type: str) -> str:
        """The name of the type's class; the message may be on several topics, and is the same on each."""
        topics = (topic for topic in self.then.topics.values() if ce_type in topic.messages)
        return next(topics).messages[ce_type].name

    def _next(self, ce_type: str) -> str:
        """The type's next version that there never was."""
        name, number = re.fullmatch(r"(.+\.v)(\d+)", ce_type).groups()  # type: ignore[union-attr]
        taken = {each for snapshot in (self.now, *self.earlier) for each in snapshot.schemas}
        return next(each for count in range(int(number) + 1, 1000) if (each := f"{name}{count}") not in taken)


def _right(principal: str, verb: str, topic: str) -> str:
    return f"{principal} {verb} {topic}"


def _is_personal(field: object) -> bool:
    return isinstance(field, dict) and bool(field.get("x-personal-data"))


def _duration(topic: FrozenTopic) -> float:
    return float("inf") if topic.retention_ms is None else topic.retention_ms


def _days(topic: FrozenTopic) -> str:
    if topic.retention_ms is None:
        return "ever"
    return f"{timedelta(milliseconds=topic.retention_ms) / timedelta(days=1):g} days"


def _listed(releases: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(releases[:-1]), *releases[-1:])))
