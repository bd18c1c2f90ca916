"""A Dask cluster as an executor: the extra ``guetzpy[dask]``."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from guetzpy import __version__
from guetzpy.errors import GuetzpyError

__all__ = ["dask_executor"]

# For the scheduler to answer, in seconds.
_PATIENCE = 30


def _version() -> str:
    return importlib.import_module("guetzpy").__version__  # type: ignore[no-any-return]


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """Connect to a scheduler and yield an executor for :func:`guetzpy.batch.run`.

    Dask itself gives the task of a worker that dies to another one. Paths must mean the same on
    all workers.

    Parameters
    ----------
    address : str
        Of the scheduler, e.g. ``tcp://host:8786``.

    Raises
    ------
    ModuleNotFoundError
        Dask is not installed.
    GuetzpyError
        No scheduler answers there, or a worker has another version of guetzpy, or none.
    """
    try:
        distributed = importlib.import_module("distributed")
    except ModuleNotFoundError:
        raise ModuleNotFoundError("Dask is missing: pip install 'guetzpy[dask]'") from None
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
        # pure=False: the same call again must run again, since it writes a file.
        executor = client.get_executor(pure=False)
        threads = sum(client.nthreads().values())
        executor._max_workers = max(1, threads)  # the attribute of the standard library's executors
        yield executor
