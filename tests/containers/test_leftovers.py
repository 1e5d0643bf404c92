"""What is taken for left behind, and what is not."""

import os
import subprocess
import sys

import leftovers


def test_what_a_process_that_is_no_more_has_made_is_left_behind() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert leftovers.is_left_behind(leftovers.prefix("platform").replace(f"-{os.getpid()}-", f"-{ended.pid}-"))


def test_what_a_living_process_or_anybody_else_has_made_is_not() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not leftovers.is_left_behind(leftovers.prefix("platform"))
    assert not leftovers.is_left_behind("latchkey-invites-1")
    # On an engine that machines share: its id says nothing here.
    assert not leftovers.is_left_behind(f"latchkey-test-00000000-{ended.pid}-platform")
