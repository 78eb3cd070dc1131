"""A bad link: TCP on loopback that is slow, late, cut, deaf or half open, and counts what it carries.

It runs in a thread of its own. Each direction has one rate that all connections share, as a radio has; the
delay comes on top of it. What was carried is counted where it leaves the slow part: what is lost by a cut was
sent all the same.
"""

import asyncio
import socket
import struct
from collections.abc import Coroutine
from threading import Thread
from types import TracebackType
from typing import Any, Self

PIECE = 2048
BUFFER = 32 * 1024
"""Of each socket: what hides in the kernel was sent and not carried."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close by a reset, as a router does that has forgotten the connection."""


class Lane:
    """One direction."""

    def __init__(self, rate: float | None) -> None:
        """``rate``: bytes a second; None: as fast as it goes."""
        self.carried = 0
        self._rate = rate
        self._free_at = 0.0

    async def carry(self, size: int) -> None:
        """Return when so many bytes are through."""
        if self._rate is not None:
            now = asyncio.get_running_loop().time()
            self._free_at = max(now, self._free_at) + size / self._rate
            await asyncio.sleep(self._free_at - now)
        self.carried += size


class Connection:
    """One connection through the link: the near end is the caller's, the far end the target's."""

    def __init__(self, near: socket.socket, link: "Link") -> None:
        self.lost = False
        """The far end is gone and the near end does not know."""
        self._near = near
        self._far = socket.socket()
        self._link = link
        for end in (near, self._far):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def serve(self) -> None:
        """Carry both ways until both have ended, or it is cut."""
        link = self._link
        try:
            await link.hears.wait()
            await asyncio.get_running_loop().sock_connect(self._far, ("127.0.0.1", link.target))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(self._near, self._far, link.there))
                group.create_task(self._pump(self._far, self._near, link.back))
        except* OSError:
            pass

    def close(self) -> None:
        """Reset both ends, if they have not ended."""
        for end in (self._near, self._far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.close()

    def lose_far(self) -> None:
        """Reset the far end alone."""
        self.lost = True
        self._far.shutdown(socket.SHUT_RDWR)

    async def _pump(self, source: socket.socket, sink: socket.socket, lane: Lane) -> None:
        """Carry what comes, each piece late, until the end."""
        loop = asyncio.get_running_loop()
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver(late, sink))
            data = b"-"
            while data:
                data = await loop.sock_recv(source, PIECE)
                if self.lost:
                    await asyncio.Event().wait()  # silence, until it is cut
                await self._link.hears.wait()
                await lane.carry(len(data))
                late.put_nowait((loop.time() + self._link.delay_s, data))

    async def _deliver(self, late: "asyncio.Queue[tuple[float, bytes]]", sink: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            at, data = await late.get()
            await asyncio.sleep(max(0.0, at - loop.time()))
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(sink, data)


class Link:
    """From ``port`` here to ``target``, a port of 127.0.0.1; a context manager."""

    def __init__(
        self,
        target: int = 0,
        *,
        rate: float | None = None,
        delay_s: float = 0.0,
        cut_every_s: float | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        """``target`` may be set later; ``rate``: bytes a second each way; ``delay_s``: one way; ``listener``:
        where it begins, if not on a free port."""
        self.target = target
        self.delay_s = delay_s
        self.there, self.back = Lane(rate), Lane(rate)
        self.hears = asyncio.Event()
        self.made = 0
        """How many connections were made."""
        self.cuts = 0
        self._cut_every_s = cut_every_s
        self._open: dict[asyncio.Task[None], Connection] = {}
        self._listener = listener or socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    @property
    def carried(self) -> int:
        """Bytes so far, both ways."""
        return self.there.carried + self.back.carried

    def __enter__(self) -> Self:
        """Begin."""
        self.hears.set()
        self._thread.start()
        self._works = [asyncio.run_coroutine_threadsafe(self._accept(), self._loop)]
        if self._cut_every_s is not None:
            self._works.append(
                asyncio.run_coroutine_threadsafe(self._cut_for_ever(self._cut_every_s), self._loop)
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, with all connections."""
        for work in self._works:
            work.cancel()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._listener.close()

    def cut(self) -> None:
        """Reset every connection; new ones may be made."""
        self._do(self._end())

    def be_deaf(self, deaf: bool = True) -> None:
        """Take connections and what is sent, carry nothing; or carry it now."""

        async def change() -> None:
            (self.hears.clear if deaf else self.hears.set)()

        self._do(change())

    def half_open(self) -> None:
        """Let the far ends of all connections go, and tell the near ends nothing."""

        async def lose() -> None:
            for connection in self._open.values():
                connection.lose_far()

        self._do(lose())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it in the thread and wait for it."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _accept(self) -> None:
        while True:
            near, _ = await self._loop.sock_accept(self._listener)
            self.made += 1
            connection = Connection(near, self)
            task = self._loop.create_task(connection.serve())
            self._open[task] = connection
            task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        # Not in the task: one that is cancelled at once never runs.
        self._open.pop(task).close()

    async def _cut_for_ever(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            self.cuts += 1
            await self._end()

    async def _end(self) -> None:
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
