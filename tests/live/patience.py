"""Waiting for what AWS brings about in its own time: asked again and again, with a limit, never for a fixed time."""

import time
from collections.abc import Callable


class NotInTime(Exception):
    """It did not come about within the limit; the text says what."""


def until(what: str, limit: float, attempt: Callable[[], object]):
    """The first answer of `attempt` that is not None. Asks often at first, later every few seconds."""
    started = time.monotonic()
    pause = 0.1
    while True:
        answer = attempt()
        if answer is not None:
            return answer
        if time.monotonic() - started + pause > limit:
            raise NotInTime(f"{what} did not come about within {limit:.0f} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 5.0)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self):
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started
