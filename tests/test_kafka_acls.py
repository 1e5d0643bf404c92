"""Who may do what at Kafka: what the registry says, and no more."""

from contracts import TOPICS
from postroom.message import dead_letter_topic
from tools.kafka_acls import PAGE, acls_page, commands, operators_rights, services_rights

SERVICES = ("invites", "membership", "billing", "notifier", "console")


def test_the_page_of_rights_is_what_the_registry_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == acls_page(), "run `make acls`"


def test_a_service_may_do_all_that_it_does() -> None:
    rights = {each.principal: each for each in services_rights()}
    for service in SERVICES:
        read = {topic.name for topic in TOPICS.read_by(service)}
        assert set(rights[service].reads) == read
        assert rights[service].group == service
        assert {dead_letter_topic(topic, service) for topic in read} <= set(rights[service].writes)
        assert {topic.name for topic in TOPICS if service in topic.writers} <= set(rights[service].writes)


def test_nobody_writes_facts_but_their_owner_and_nobody_commands_but_console() -> None:
    for topic in TOPICS:
        writers = [each.principal for each in services_rights() if topic.name in each.writes]
        expected = "console" if topic.name.endswith(".commands") else topic.owner
        assert writers == [expected], topic.name


def test_dead_letters_are_written_by_their_reader_alone_and_read_by_who_hands_them_in_again() -> None:
    for topic in TOPICS:
        for reader in topic.readers:
            letters = dead_letter_topic(topic.name, reader)
            assert [each.principal for each in services_rights() if letters in each.writes] == [reader]
            assert [each.principal for each in services_rights() if letters in each.reads] == []
            assert [each.principal for each in operators_rights() if letters in each.reads] == ["dead-letters"]


def test_only_the_job_that_creates_topics_may_create_any() -> None:
    created = [line for line in commands() if "--operation Create" in line]
    assert created == ["--add --allow-principal User:topics --operation Create --cluster"]
    assert not [line for line in commands() if "Delete" in line or "Alter" in line or "--operation All" in line]


def test_who_meters_usage_may_write_nothing_else() -> None:
    [metering] = [each for each in services_rights() if each.principal == "metering"]
    assert (metering.reads, metering.writes, metering.group) == ((), ("metering.usage",), None)
