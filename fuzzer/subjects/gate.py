"""How many requests may be in flight: fewer while a server says it is overloaded, more again later.

Additive increase, multiplicative decrease: D.-M. Chiu and R. Jain, 1989,
doi:10.1016/0169-7552(89)90019-6. A server that names a time to wait is obeyed by everybody, not
only by the request that was told: the others would only be turned away too.
"""

import asyncio
from collections import deque

_LONGEST = 900.0  # seconds; a server that named more is asked again after so many


class Gate:
    """Admits requests, first come first served; use it as ``async with``."""

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self._limit = float(most)
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed_until = 0.0  # on the loop's clock
        self._opening: asyncio.TimerHandle | None = None
        self._halved = float("-inf")  # when the limit was last lowered
        self.turned_away = 0  # requests so far that a server was too busy for

    def allow(self, most: int) -> None:
        """At most so many at once from now on."""
        self.most = most
        self._limit = float(most)

    @property
    def limit(self) -> int:
        """How many may be inside at once, at the moment."""
        return int(self._limit)

    async def __aenter__(self) -> None:
        if not self._waiting and self._may_enter():
            self._inside += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
                if not self._waiting:
                    self._reopen()  # nobody needs the timer, and its loop may be about to end
            elif turn.done() and not turn.cancelled():  # let in and cancelled at the same moment
                self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    async def again(self) -> None:
        """Give one's place up and wait for one again: before a request is repeated.

        What was turned away would otherwise keep knocking, as many at once as before.
        """
        self._leave()
        try:
            await self.__aenter__()
        except BaseException:
            self._inside += 1  # whoever is inside leaves by `__aexit__`, and so must we
            raise

    def answered(self) -> None:
        """A request was served: one more may fly for every round of them."""
        if self._limit < self.most:
            self._limit = min(float(self.most), self._limit + 1 / self._limit)
            self._admit()

    def overloaded(self, wait: float | None, began: float) -> None:
        """A request that `began` then was turned away; nobody enters for `wait` seconds.

        The limit is halved once for all requests that were in flight together: they say the same.
        """
        self.turned_away += 1
        now = asyncio.get_running_loop().time()
        if began >= self._halved:
            self._limit = max(1.0, self._limit / 2)
            self._halved = now
        if wait is not None and now + min(wait, _LONGEST) > self._closed_until:
            self._closed_until = now + min(wait, _LONGEST)

    def _may_enter(self) -> bool:
        if self._inside >= self.limit:
            return False
        loop = asyncio.get_running_loop()
        if self._closed_until > loop.time():
            if self._opening is None:
                self._opening = loop.call_at(self._closed_until, self._reopen)
            return False
        return True

    def _reopen(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        self._admit()

    def _leave(self) -> None:
        self._inside -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._may_enter():
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled while it waited
                turn.set_result(None)
                self._inside += 1
