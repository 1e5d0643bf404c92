"""Steps that are done at once, and in their order where one needs another."""

import threading

import pytest

from stack.steps import Steps


def test_a_step_begins_when_those_that_it_needs_are_done() -> None:
    order: list[str] = []
    steps = Steps()
    first = steps.add(lambda: order.append("first"))
    second = steps.add(lambda: order.append("second"), [first])
    steps.add(lambda: order.append("third"), [first, second])
    steps.finish(abort=lambda: None)

    assert order == ["first", "second", "third"]


def test_steps_that_need_nothing_of_each_other_are_done_at_once() -> None:
    together = threading.Barrier(2, timeout=5)
    steps = Steps()
    steps.add(lambda: check(together.wait() >= 0))
    steps.add(lambda: check(together.wait() >= 0))
    steps.finish(abort=lambda: None)


def test_the_first_failure_ends_what_is_under_way_and_what_needs_it_never_begins() -> None:
    begun: list[str] = []
    under_way = threading.Event()
    steps = Steps()

    def fail() -> None:
        raise LookupError("no jars")

    failing = steps.add(fail)
    steps.add(lambda: check(under_way.wait(10)))
    steps.add(lambda: begun.append("topics"), [failing])

    with pytest.raises(LookupError, match="no jars"):
        steps.finish(abort=under_way.set)
    assert begun == []


def check(condition: bool) -> None:
    assert condition
