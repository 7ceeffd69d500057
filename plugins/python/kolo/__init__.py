"""Gradient all-reduce for NumPy arrays, on libkolo.so.

    import kolo, numpy
    with kolo.init() as job:                     # who am I: from the launcher's variables
        gradient = numpy.full(1000, job.rank, numpy.float32)
        job.allreduce(gradient, out=gradient)    # the average of all ranks, in place
        handle = job.allreduce_async(gradient)   # or: goes on while this thread computes
        average = handle.wait()

Start it with `kolorun -np 2 python3 program.py`.
"""
from . import _abi
from ._context import Context, Handle
from ._errors import Error

__all__ = ["Context", "Error", "Handle", "init", "version"]

_table = None


def _api():
    global _table
    if _table is None:
        _table = _abi.load()
    return _table


def init():
    """Joins the job that the launcher's variables describe (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT; without them a job of
    one rank), and returns its Context. Blocks until all ranks have come."""
    return Context(_api())


def version():
    """The library's version, "0.1.0"."""
    return _api().version().decode()
