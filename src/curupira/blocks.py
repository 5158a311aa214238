"""Work on a raster block by block: windows, halos, and one loop for threads and Dask."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from curupira.errors import ConfigError

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open pixel rectangle ``[y0, y1) x [x0, x1)``."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of this window in a ``(y, x)`` array."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.y1 <= self.y0 or self.x1 <= self.x0

    def grow(self, halo: int, within: Window) -> Window:
        """This window and ``halo`` pixels around it, clipped to ``within``."""
        return Window(
            max(self.y0 - halo, within.y0),
            min(self.y1 + halo, within.y1),
            max(self.x0 - halo, within.x0),
            min(self.x1 + halo, within.x1),
        )

    def intersect(self, other: Window) -> Window:
        """Common part; check ``empty``."""
        return Window(
            max(self.y0, other.y0),
            min(self.y1, other.y1),
            max(self.x0, other.x0),
            min(self.x1, other.x1),
        )

    def relative_to(self, outer: Window) -> Window:
        """This window in the pixel coordinates of an enclosing one."""
        return Window(
            self.y0 - outer.y0, self.y1 - outer.y0, self.x0 - outer.x0, self.x1 - outer.x0
        )


def split(window: Window, size: int | tuple[int, int], offset: int = 0) -> Iterator[Window]:
    """Cut a window at ``offset`` pixels after whole multiples of ``size``; none if empty.

    ``size``: of a side, or of rows and columns. ``offset`` may be negative. No block is thinner
    than it: such a one belongs to its neighbour, which is larger by so much.
    """
    if window.empty:
        return
    down, across = (size, size) if isinstance(size, int) else size
    rows = _cuts(window.y0, window.y1, down, offset)
    columns = _cuts(window.x0, window.x1, across, offset)
    for y0, y1 in pairwise(rows):
        for x0, x1 in pairwise(columns):
            yield Window(y0, y1, x0, x1)


def _cuts(first: int, last: int, size: int, offset: int) -> list[int]:
    start = (first - offset) // size * size + offset + size
    least = abs(offset)
    inner = (c for c in range(start, last, size) if c - first > least and last - c > least)
    return [first, *inner, last]


def shares(window: Window, size: int) -> Iterator[Window]:
    """Cut a window into as few blocks of nearly one size as have sides of at most ``size``."""
    rows, columns = window.shape
    down, across = max(1, -(-rows // size)), max(1, -(-columns // size))
    for k in range(down):
        for j in range(across):
            yield Window(
                window.y0 + rows * k // down,
                window.y0 + rows * (k + 1) // down,
                window.x0 + columns * j // across,
                window.x0 + columns * (j + 1) // across,
            )


def parse_memory(text: str, *, where: str = "[compute] memory") -> int:
    """Bytes in a text such as ``"3GB"`` or ``"500 MiB"``.

    Raises
    ------
    ConfigError
        If it is no positive size.
    """
    from dask.utils import parse_bytes

    try:
        # Dask takes a text without a number for one unit.
        size = int(parse_bytes(text)) if any(map(str.isdigit, text)) else 0
    except ValueError as error:
        raise ConfigError(f"{text!r} is no size", where=where, remedy='write "3GB"') from error
    if size <= 0:
        raise ConfigError(f"{text!r} is no positive size", where=where, remedy='write "3GB"')
    return size


#: Dask's setting for the environment of its workers, and of it what makes free memory go back.
_ENVIRON, _TRIM = "distributed.nanny.pre-spawn-environ", "MALLOC_TRIM_THRESHOLD_"
#: How long a Dask scheduler may take to answer, seconds.
_ANSWER_S = 10
#: Tasks of a thread that are under way or wait for it.
_AHEAD = 2

Executor = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


@contextmanager
def executor(scheduler: str = "", workers: int = 0) -> Iterator[Executor]:
    """Yield ``run(function, items)``, which yields the results in the order of the items.

    Parameters
    ----------
    scheduler
        ``""``: threads of this process; ``local:N``: a Dask LocalCluster of N processes;
        ``tcp://host:port``: a running Dask scheduler.
    workers
        Threads where ``scheduler`` is empty; 0 takes one a core.

    Raises
    ------
    ConfigError
        If the scheduler's text has another form, or cannot be reached.
    """
    if not scheduler:
        import os

        with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
            yield lambda function, items: _bounded(pool, function, items)
        return
    with _client(scheduler) as client:
        yield lambda function, items: _on_dask(client, function, items)


#: Workers that an external scheduler is taken to have: they may come and go.
_EXTERNAL = 16


def workers_of(scheduler: str) -> int:
    """Tasks that a Dask scheduler of `executor` works on at once, as far as its name tells."""
    kind, _, number = scheduler.partition(":")
    return int(number) if kind == "local" and number.isdigit() else _EXTERNAL


def _bounded(
    pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T]
) -> Iterator[R]:
    # Few tasks a thread are in flight, so that results do not pile up in memory.
    pending: deque[Any] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= _AHEAD * pool._max_workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def _on_dask(client: Client, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    pending: deque[Any] = deque()
    try:
        for item in items:
            pending.append(client.submit(function, item, pure=False))
            # Workers come and go. Two tasks a thread keep them busy; more would pile up results.
            threads = sum(client.nthreads().values())  # type: ignore[no-untyped-call]
            if len(pending) > _AHEAD * max(threads, 1):
                yield _taken(pending)
        while pending:
            yield _taken(pending)
    finally:
        client.cancel(list(pending))  # type: ignore[no-untyped-call]


def _taken(pending: deque[Any]) -> Any:
    future = pending.popleft()
    result = future.result()
    future.release()
    return result


def check_scheduler(scheduler: str) -> None:
    """Refuse what ``executor`` would, without starting workers.

    Raises
    ------
    ConfigError
        If the scheduler's text has another form, or cannot be reached.
    """
    if scheduler and not _is_local(scheduler):
        with _client(scheduler):
            pass


def _is_local(scheduler: str) -> bool:
    kind, _, rest = scheduler.partition(":")
    return kind == "local" and rest.isdigit() and int(rest) > 0


async def _shake_hands(address: str) -> None:
    """Begin as a client does, which would wait for ever for one that says nothing."""
    from distributed.comm.core import connect
    from distributed.security import Security

    keys = Security().get_connection_args("client")  # type: ignore[no-untyped-call]
    greeting = connect(address, timeout=_ANSWER_S, **keys)  # type: ignore[no-untyped-call]
    comm = await asyncio.wait_for(greeting, _ANSWER_S)
    await comm.close()


@contextmanager
def _client(scheduler: str) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster

    kind, _, rest = scheduler.partition(":")
    if _is_local(scheduler):
        environ = {k: v for k, v in dask.config.get(_ENVIRON).items() if k != _TRIM}
        with (
            # Dask would have the C library return memory after every array, and take it anew: a
            # quarter of a task's time. One thread a worker for linear algebra stays.
            dask.config.set({_ENVIRON: environ}),
            LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=int(rest),
                threads_per_worker=1,
                # Any free port: with None it asks for 8787 and warns where that is taken.
                dashboard_address="127.0.0.1:0",
                processes=True,
            ) as cluster,
            Client(cluster) as client,  # type: ignore[no-untyped-call]
        ):
            yield client
    elif kind in ("tcp", "tls"):
        try:
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, _shake_hands(scheduler)).result()
            client = Client(scheduler, timeout=_ANSWER_S)  # type: ignore[no-untyped-call]
        except (ValueError, TypeError) as error:
            raise ConfigError(
                f"is no address of a Dask scheduler ({error})",
                where=f"[compute] scheduler {scheduler}",
                remedy='write "tcp://host:8786"; tls:// needs Dask\'s own settings of keys',
            ) from error
        # MemoryError: the first words of another service, taken for a length.
        except (OSError, MemoryError) as error:
            raise ConfigError(
                "no Dask scheduler answers", where=scheduler, remedy="start it, or leave it empty"
            ) from error
        with client:
            yield client
    else:
        raise ConfigError(
            f"unknown scheduler {scheduler!r}",
            where="[compute] scheduler",
            remedy='use "" (threads), "local:4" or "tcp://host:8786"',
        )
