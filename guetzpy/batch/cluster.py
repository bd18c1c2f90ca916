"""A Dask cluster as a ``concurrent.futures.Executor``; needs the extra ``guetzpy[dask]``."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from guetzpy import __version__
from guetzpy.errors import GuetzpyError

__all__ = ["dask_executor"]

# Seconds to wait for an answer of the scheduler.
_PATIENCE = 30


def _version() -> str:
    return importlib.import_module("guetzpy").__version__  # type: ignore[no-any-return]


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """Connect to a scheduler and yield an executor for :func:`guetzpy.batch.run`.

    If a worker dies, Dask runs its task on another worker. A path must name the same file on all workers.

    Parameters
    ----------
    address : str
        Address of the scheduler, such as ``tcp://host:8786``.

    Raises
    ------
    ModuleNotFoundError
        Dask is not installed.
    GuetzpyError
        No scheduler answers at the address, or a worker has another version of guetzpy or none.
    """
    try:
        distributed = importlib.import_module("distributed")
    except ModuleNotFoundError:
        raise ModuleNotFoundError('Dask is missing: pip install "guetzpy[dask]"') from None
    try:
        client = distributed.Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise GuetzpyError(f"{address}: no Dask scheduler answers ({' '.join(str(error).split())})") from None
    with client:
        for worker, version in client.run(_version, on_error="return").items():
            if version != __version__:
                found = "none" if isinstance(version, Exception) else version
                raise GuetzpyError(
                    f"{worker}: guetzpy {__version__} is needed on every worker, found {found}"
                )
        # pure=False: Dask must not reuse the result of an equal call, since each call writes a file.
        executor = client.get_executor(pure=False)
        threads = sum(client.nthreads().values())
        executor._max_workers = max(1, threads)  # guetzpy.batch.driving reads this attribute of executors
        yield executor
