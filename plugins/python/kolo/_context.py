"""A job's membership, and the operations in flight."""
import time
from collections import deque
from ctypes import byref, c_int, c_int64, c_void_p, sizeof

import numpy

from . import _abi, _arrays, _errors, _timeouts

# A wait is cut into pieces, so that Ctrl-C is heard.
_PIECE_NS = 200_000_000

# What nobody waits for any more: (api, request, arrays). The arrays must outlive the operation, and even the context.
_orphans = deque()


def _bury_orphans():
    for _ in range(len(_orphans)):
        api, request, keep = _orphans.popleft()
        complete = c_int(0)
        api.test(request, byref(complete))
        if complete.value:
            api.request_free(request)
        else:
            _orphans.append((api, request, keep))


class Handle:
    """An operation under way. The arrays belong to Kolo until done() is true or wait() has returned. A handle may be dropped:
    the operation goes on. One thread at a time."""

    def __init__(self, context, request, result, keep, mismatch_hint=""):
        self._context = context
        self._request = request  # None once complete
        self._result = result
        self._keep = keep  # the arrays: alive as long as Kolo may touch them
        self._error = None
        self._mismatch_hint = mismatch_hint

    def __del__(self):
        if self._request is not None:
            _orphans.append((self._context._api, self._request, self._keep))

    def done(self):
        """Whether the operation is complete. Never blocks, and does not raise the operation's error: wait() does."""
        if self._request is None:
            return True
        api, complete = self._context._api, c_int(0)
        status = api.test(self._request, byref(complete))
        if complete.value:
            self._finish(status)
        elif status != _abi.KOLO_OK:
            raise _errors.from_status(api, status)
        return bool(complete.value)

    def wait(self, timeout=None):
        """Waits at most timeout seconds (None: as long as it takes), and returns the result.

        TimeoutError when the time is over: the operation goes on, and may be waited for again. kolo.Error when the operation
        failed.
        """
        timeout_ns = _timeouts.wait_ns(timeout)
        deadline = None if timeout_ns is None else time.monotonic_ns() + timeout_ns
        while self._request is not None:
            piece = _PIECE_NS if deadline is None else min(_PIECE_NS, max(0, deadline - time.monotonic_ns()))
            status = self._context._api.wait(self._request, piece)
            # The status may be the operation's or the wait's own; only the first ends it.
            if not self.done():
                if status not in (_abi.KOLO_OK, _abi.KOLO_ERR_TIMEOUT):
                    raise _errors.from_status(self._context._api, status)
                if deadline is not None and time.monotonic_ns() >= deadline:
                    raise TimeoutError(f"not complete within {timeout} s; the operation goes on")
        if self._error is not None:
            raise self._error
        return self._result

    def _finish(self, status):
        api = self._context._api
        if status != _abi.KOLO_OK:
            self._error = _errors.from_status(api, status, api.request_error(self._request), self._mismatch_hint)
        api.request_free(self._request)
        self._request = None
        self._keep = None


class Context:
    """Membership in one job. All operations are collective: every rank calls them, with the same names, or without names in
    the same order. Leave with finalize(), or use it as a context manager, which does so when the block ends without an
    exception (a rank that failed must not wait for the others: it ends, and they are told).

    An operation's timeout is its deadline, in seconds above 0: when it passes, the job is broken on all ranks, with an error
    that names who is late. None: the job's (KOLO_TIMEOUT); float('inf'): none. To wait for less, and break nothing, start the
    operation with ..._async, and give the timeout to wait()."""

    def __init__(self, api):
        self._api = api
        self._context = c_void_p()
        args = _abi.kolo_init_args(struct_size=sizeof(_abi.kolo_init_args), rank=-1, size=-1, master_port=-1)
        _errors.check(api, api.init(byref(args), byref(self._context)))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None:
            self.finalize()

    def finalize(self):
        """Waits until every rank calls it and all operations are complete, then leaves the job."""
        context = self._open()
        self._context = None
        status = self._api.finalize(context)
        _errors.check(self._api, status)
        _bury_orphans()

    @property
    def rank(self):
        return self._api.rank(self._open())

    @property
    def size(self):
        return self._api.world_size(self._open())

    @property
    def local_rank(self):
        return self._api.local_rank(self._open())

    @property
    def local_size(self):
        return self._api.local_size(self._open())

    def slice(self, count, rank=None):
        """(offset, count) of rank's part of count elements, as reduce_scatter and allgather divide them."""
        offset, part = c_int64(), c_int64()
        self._api.slice(count, self.size, self.rank if rank is None else rank, byref(offset), byref(part))
        return offset.value, part.value

    # ---- asynchronous operations: a Handle whose wait() returns the result -------------------------------------------

    def allreduce_async(self, array, op="average", name=None, out=None, prescale=1.0, postscale=1.0, timeout=None):
        out = self._output(array, out)
        args = self._args(name, array, out, timeout, op, prescale=prescale, postscale=postscale)
        return self._submit(self._api.allreduce, args, out)

    def grouped_allreduce_async(self, arrays, op="average", name=None, outs=None, prescale=1.0, postscale=1.0,
                                timeout=None):
        if isinstance(arrays, numpy.ndarray) or not hasattr(arrays, "__iter__"):
            raise TypeError(f"arrays must be a list of arrays, not {type(arrays).__name__}")
        arrays = list(arrays)
        if not arrays:
            raise ValueError("a list needs at least one array")
        if outs is not None and len(outs) != len(arrays):
            raise ValueError(f"{len(arrays)} arrays, but {len(outs)} outs")
        outs = outs or [None] * len(arrays)
        outs = [self._output(array, out, f"[{i}]") for i, (array, out) in enumerate(zip(arrays, outs))]
        args = self._operation(name, timeout, op, prescale=prescale, postscale=postscale)
        args.tensors = len(outs)
        # An array that is its own output is in place, which is said by an input without data.
        nothing = (_abi.kolo_tensor(), None)
        outputs = [_arrays.tensor_of(out) for out in outs]
        inputs = [nothing if out is array else _arrays.tensor_of(array) for array, out in zip(arrays, outs)]
        args.outputs = (_abi.kolo_tensor * len(outs))(*[tensor for tensor, _ in outputs])
        args.inputs = (_abi.kolo_tensor * len(outs))(*[tensor for tensor, _ in inputs])
        return self._submit(self._api.allreduce, (args, (arrays, outs, outputs, inputs)), outs)

    def broadcast_async(self, array, root=0, name=None, timeout=None):
        _arrays.check_writeable(array, "array")
        return self._submit(self._api.broadcast, self._args(name, array, array, timeout, root=root), array)

    def reduce_scatter_async(self, array, op="average", name=None, timeout=None):
        _arrays.check(array, "array")
        out = numpy.empty(self.slice(array.size)[1], array.dtype)
        return self._submit(self._api.reduce_scatter, self._args(name, array, out, timeout, op), out)

    def allgather_async(self, array, count=None, name=None, timeout=None):
        _arrays.check(array, "array")
        if count is None:  # the same shape everywhere: concatenated along the first axis
            shape = (self.size * (array.shape[0] if array.ndim else 1), *array.shape[1:])
        else:
            shape = (count,)
        out = numpy.empty(shape, array.dtype)
        hint = "; of arrays of unequal size, allgather needs count=, the total" if count is None else ""
        return self._submit(self._api.allgather, self._args(name, array, out, timeout), out, hint)

    def barrier_async(self, timeout=None):
        args = _abi.kolo_args(struct_size=sizeof(_abi.kolo_args), prescale=1.0, postscale=1.0)
        args.timeout_ns = _timeouts.deadline_ns(timeout)
        return self._submit(self._api.barrier, (args, None), None)

    # ---- the same, waiting -------------------------------------------------------------------------------------------

    def allreduce(self, array, op="average", name=None, out=None, prescale=1.0, postscale=1.0, timeout=None):
        """op over all ranks' arrays: "sum", "average", "min", "max" or "product". Into out (array itself: in place), or a new
        array. timeout: the operation's deadline in seconds, which breaks the job (see Context)."""
        return self.allreduce_async(array, op, name, out, prescale, postscale, timeout).wait()

    def grouped_allreduce(self, arrays, op="average", name=None, outs=None, prescale=1.0, postscale=1.0, timeout=None):
        """allreduce of several arrays that start and complete together; a list."""
        return self.grouped_allreduce_async(arrays, op, name, outs, prescale, postscale, timeout).wait()

    def broadcast(self, array, root=0, name=None, timeout=None):
        """root's array into everybody's array, in place; returns it."""
        return self.broadcast_async(array, root, name, timeout).wait()

    def reduce_scatter(self, array, op="average", name=None, timeout=None):
        """This rank's slice() of the reduction, one-dimensional."""
        return self.reduce_scatter_async(array, op, name, timeout).wait()

    def allgather(self, array, count=None, name=None, timeout=None):
        """All ranks' arrays after another. With arrays of unequal size give the total count: array must then be this
        rank's slice(count), and the result is one-dimensional."""
        return self.allgather_async(array, count, name, timeout).wait()

    def barrier(self, timeout=None):
        """Returns once every rank has called it."""
        self.barrier_async(timeout).wait()

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _open(self):
        if self._context is None:
            raise RuntimeError("this context was finalized")
        return self._context

    @staticmethod
    def _output(array, out, index=""):
        ours, theirs = (f"arrays{index}", f"outs{index}") if index else ("array", "out")
        _arrays.check(array, ours)
        if out is None:
            return numpy.empty_like(array)
        _arrays.check_writeable(out, theirs)
        if out.dtype != array.dtype or out.shape != array.shape:
            raise ValueError(f"{theirs} is {out.dtype} {out.shape}, but {ours} is {array.dtype} {array.shape}")
        return out

    @staticmethod
    def _operation(name, timeout, op="sum", root=0, prescale=1.0, postscale=1.0):
        """kolo_args without a tensor."""
        if op not in _abi.REDUCE_OPS:
            raise ValueError(f"op {op!r}; there are {', '.join(_abi.REDUCE_OPS)}")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a str, or None, not {type(name).__name__}")
        if name is not None and "\0" in name:
            raise ValueError(f"name {name!r} contains NUL, where C would end it")
        args = _abi.kolo_args(
            struct_size=sizeof(_abi.kolo_args), op=_abi.REDUCE_OPS[op], root=root, prescale=prescale, postscale=postscale
        )
        args.name = None if name is None else name.encode()
        args.timeout_ns = _timeouts.deadline_ns(timeout)
        return args

    @classmethod
    def _args(cls, name, array, out, timeout, op="sum", root=0, prescale=1.0, postscale=1.0):
        """(kolo_args, what must stay alive until the operation is complete)."""
        args = cls._operation(name, timeout, op, root, prescale, postscale)
        args.output, output_shape = _arrays.tensor_of(out)
        input_shape = None
        if out is not array:  # else in place, which is said by an input without data
            args.input, input_shape = _arrays.tensor_of(array)
        return args, (array, out, output_shape, input_shape)

    def _submit(self, call, args_and_keep, result, mismatch_hint=""):
        _bury_orphans()
        args, keep = args_and_keep
        request = c_void_p()
        _errors.check(self._api, call(self._open(), byref(args), byref(request)))
        return Handle(self, request, result, keep, mismatch_hint)
