"""Kafka: starts with whatever identity its data is given."""

from pathlib import Path

import pytest

from stack.kafka import KafkaServer

pytestmark = pytest.mark.platform


def test_a_cluster_id_may_begin_with_a_dash(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path / "kafka", cluster_id="-AAAAAAAAAAAAAAAAAAAAA")
    server.start()
    try:
        assert "cluster.id=-AAAAAAAAAAAAAAAAAAAAA" in (tmp_path / "kafka" / "data" / "meta.properties").read_text()
    finally:
        server.remove()
