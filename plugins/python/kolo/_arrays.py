"""NumPy arrays as Kolo's tensors."""
from ctypes import c_int64

import numpy

from . import _abi

_CODES = {"f": _abi.CODE_FLOAT, "i": _abi.CODE_INT, "u": _abi.CODE_UINT}
_NAMES = ("float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8")


def dtype_of(array):
    """The array's element type as a kolo_dtype; TypeError where Kolo has none like it."""
    dtype = array.dtype
    if not dtype.isnative:
        raise TypeError(f"{dtype} is not in this machine's byte order; convert it with array.astype(dtype.newbyteorder('='))")
    if dtype.name == "bfloat16":  # ml_dtypes registers it with NumPy
        return _abi.kolo_dtype(_abi.CODE_BFLOAT, 16, 1)
    if dtype.name not in _NAMES:
        raise TypeError(f"{dtype} is not a type that Kolo moves; it moves {', '.join(_NAMES)}, and bfloat16 of ml_dtypes")
    return _abi.kolo_dtype(_CODES[dtype.kind], dtype.itemsize * 8, 1)


def check(array, what):
    """Refuses what Kolo could only move by copying behind the caller's back."""
    if not isinstance(array, numpy.ndarray):
        raise TypeError(f"{what} must be a numpy.ndarray, not {type(array).__name__}")
    if not array.flags.c_contiguous:
        raise ValueError(
            f"{what} is not contiguous (shape {array.shape}, strides {array.strides}); pass numpy.ascontiguousarray(array)"
        )
    try:
        dtype_of(array)
    except TypeError as error:
        raise TypeError(f"{what}: {error}") from None


def check_writeable(array, what):
    check(array, what)
    if not array.flags.writeable:
        raise ValueError(f"{what} is read-only; pass a copy")


def tensor_of(array):
    """(kolo_tensor, shape): the struct points into the shape and the array, so both must outlive the call."""
    shape = (c_int64 * max(array.ndim, 1))(*array.shape)
    tensor = _abi.kolo_tensor(
        data=array.ctypes.data, device_type=_abi.DEVICE_CPU, ndim=array.ndim, dtype=dtype_of(array), shape=shape
    )
    return tensor, shape
