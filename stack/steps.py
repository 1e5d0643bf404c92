"""Things to do, as many at once as may be."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

_THREADS = 32
"""More than there are steps, since one that waits for others holds its thread."""


class Steps:
    """Runs steps in threads, each when those that it needs are done. After the first failure no further one begins."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        """Set at a failure; a step that takes long looks at it."""
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="step")
        self._steps: list[Future[None]] = []

    def add(self, action: Callable[[], None], needs: Sequence[Future[None]] = ()) -> Future[None]:
        """Begins `action` when the steps that it needs are done; what `needs` has must have been added before."""

        def run() -> None:
            for need in needs:
                need.result()
            if not self.cancelled.is_set():
                action()

        self._steps.append(self._pool.submit(run))
        return self._steps[-1]

    def finish(self, abort: Callable[[], None]) -> None:
        """Returns when all are done. At the first failure, or at Ctrl-C, calls `abort` again and again until no step is
        under way any more, and raises what it was."""
        try:
            done, _ = wait(self._steps, return_when=FIRST_EXCEPTION)
            for step in done:
                step.result()
        except BaseException:
            self.cancelled.set()
            while wait(self._steps, timeout=0.05).not_done:
                abort()
            raise
        finally:
            self._pool.shutdown()
