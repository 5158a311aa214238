"""Work on a raster block by block: windows, halos, and one loop for threads and Dask."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
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


def split(window: Window, size: int) -> Iterator[Window]:
    """Cut a window into blocks aligned to whole multiples of ``size`` pixels; none if empty."""
    if window.empty:
        return
    for y in range(window.y0 // size * size, window.y1, size):
        for x in range(window.x0 // size * size, window.x1, size):
            yield Window(y, y + size, x, x + size).intersect(window)


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


@contextmanager
def _client(scheduler: str) -> Iterator[Client]:
    from distributed import Client, LocalCluster

    kind, _, rest = scheduler.partition(":")
    if kind == "local" and rest.isdigit() and int(rest) > 0:
        with (
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
            client = Client(scheduler, timeout="10s")  # type: ignore[no-untyped-call]
        except OSError as error:
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
