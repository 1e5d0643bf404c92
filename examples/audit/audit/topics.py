"""What audit reads: every topic that holds facts, as far as audit is concerned, which makes it the one reader."""

from dataclasses import replace

from contracts import TOPICS, Fact

READS = tuple(
    replace(topic, readers=("audit",))
    for topic in TOPICS
    if any(issubclass(message, Fact) for message in topic.messages)
)
