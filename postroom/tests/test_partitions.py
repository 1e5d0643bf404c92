"""A key's partition is the one that every other client of Kafka chooses."""

from uuid import UUID

from aiokafka.partitioner import DefaultPartitioner

from postroom.kafka import choose_partition


def test_a_key_has_the_partition_that_java_gives_it() -> None:
    partitions = list(range(6))
    keys = [str(UUID(int=number)).encode() for number in range(200)]
    java = DefaultPartitioner()
    assert [choose_partition(key, partitions, partitions) for key in keys] == [
        java(key, partitions, partitions) for key in keys
    ]


def test_a_record_without_key_goes_where_it_can() -> None:
    assert choose_partition(None, [0, 1, 2], [2]) == 2
