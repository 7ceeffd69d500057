"""The structs of kolo/kolo.h and kolo/types.h, and how libkolo.so is found and loaded.

tests/consumer compares every size and offset here with the C compiler's.
"""
import ctypes
import os
from ctypes import CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_int, c_int32, c_int64
from ctypes import c_size_t, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from pathlib import Path

ABI_MAJOR = 1
ABI_MINOR = 0
SONAME = f"libkolo.so.{ABI_MAJOR}"

KOLO_OK = 0
KOLO_ERR_MISMATCH = 4
KOLO_ERR_TIMEOUT = 5
DEVICE_CPU = 1
CODE_INT, CODE_UINT, CODE_FLOAT, CODE_BFLOAT = 0, 1, 2, 4
REDUCE_OPS = {"sum": 0, "average": 1, "min": 2, "max": 3, "product": 4}


class kolo_dtype(Structure):
    _fields_ = [("code", c_uint8), ("bits", c_uint8), ("lanes", c_uint16)]


class kolo_tensor(Structure):
    _fields_ = [
        ("data", c_void_p),
        ("device_type", c_int32),
        ("device_id", c_int32),
        ("ndim", c_int32),
        ("dtype", kolo_dtype),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    ]


kolo_log_fn = CFUNCTYPE(None, c_void_p, c_int, c_char_p)
kolo_done_fn = CFUNCTYPE(None, c_void_p, c_void_p, c_int)


class kolo_init_args(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("log", kolo_log_fn),
        ("log_user", c_void_p),
        ("rank", c_int32),
        ("size", c_int32),
        ("master_addr", c_char_p),
        ("master_port", c_int32),
    ]


class kolo_args(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("name", c_char_p),
        ("input", kolo_tensor),
        ("output", kolo_tensor),
        ("inputs", POINTER(kolo_tensor)),
        ("outputs", POINTER(kolo_tensor)),
        ("tensors", c_size_t),
        ("op", c_int),
        ("root", c_int32),
        ("prescale", c_double),
        ("postscale", c_double),
        ("timeout_ns", c_int64),
        ("flags", c_uint64),
        ("done", kolo_done_fn),
        ("user", c_void_p),
    ]


class kolo_error(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("status", c_int),
        ("sys_errno", c_int32),
        ("operation", c_char * 24),
        ("tensor", c_char * 256),
        ("ranks", c_char * 128),
        ("hop", c_char * 64),
        ("message", c_char * 768),
    ]


_COLLECTIVE = CFUNCTYPE(c_int, c_void_p, POINTER(kolo_args), POINTER(c_void_p))
_RANK = CFUNCTYPE(c_int32, c_void_p)
_TEXT = CFUNCTYPE(c_char_p, c_int)


class kolo_api(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("abi_major", c_uint32),
        ("abi_minor", c_uint32),
        ("init", CFUNCTYPE(c_int, POINTER(kolo_init_args), POINTER(c_void_p))),
        ("finalize", CFUNCTYPE(c_int, c_void_p)),
        ("rank", _RANK),
        ("world_size", _RANK),
        ("local_rank", _RANK),
        ("local_size", _RANK),
        ("allreduce", _COLLECTIVE),
        ("broadcast", _COLLECTIVE),
        ("reduce_scatter", _COLLECTIVE),
        ("allgather", _COLLECTIVE),
        ("barrier", _COLLECTIVE),
        ("slice", CFUNCTYPE(None, c_int64, c_int32, c_int32, POINTER(c_int64), POINTER(c_int64))),
        ("test", CFUNCTYPE(c_int, c_void_p, POINTER(c_int))),
        ("wait", CFUNCTYPE(c_int, c_void_p, c_int64)),
        ("request_free", CFUNCTYPE(None, c_void_p)),
        ("progress", CFUNCTYPE(c_int, c_void_p)),
        ("completion_fd", CFUNCTYPE(c_int, c_void_p, POINTER(c_int))),
        ("alloc", CFUNCTYPE(c_int, c_void_p, c_size_t, POINTER(c_void_p))),
        ("free", CFUNCTYPE(c_int, c_void_p, c_void_p)),
        ("last_error", CFUNCTYPE(POINTER(kolo_error))),
        ("request_error", CFUNCTYPE(POINTER(kolo_error), c_void_p)),
        ("status_name", _TEXT),
        ("status_text", _TEXT),
        ("version", CFUNCTYPE(c_char_p)),
        ("prepare", _COLLECTIVE),
        ("start", CFUNCTYPE(c_int, c_void_p)),
    ]


def candidates():
    """Where libkolo.so is looked for, best first: $KOLO_LIBRARY alone; else what belongs to this package (the same prefix, or
    build/release of the same source tree), then the system's."""
    chosen = os.environ.get("KOLO_LIBRARY")
    if chosen:
        return [chosen]
    beside = []
    here = Path(__file__).resolve().parent
    if here.parts[-4:-1] == ("share", "kolo", "python"):  # installed: PREFIX/share/kolo/python/kolo
        prefix = here.parents[3]
        beside = sorted(prefix.glob(f"lib*/{SONAME}")) + sorted(prefix.glob(f"lib/*/{SONAME}"))
    elif here.parts[-3:-1] == ("plugins", "python"):  # the source tree: plugins/python/kolo
        beside = [here.parents[2] / "build" / "release" / "lib" / SONAME]
    return [str(path) for path in beside] + [SONAME]


def load():
    """The function table of libkolo.so. ImportError tells what was tried."""
    tried = []
    for path in candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            tried.append(str(error))
            continue
        try:
            get_api = library.kolo_get_api
        except AttributeError:
            raise ImportError(f"{path} is no Kolo library: it has no kolo_get_api") from None
        get_api.argtypes = [c_uint32, c_uint32]
        get_api.restype = POINTER(kolo_api)
        table = get_api(ABI_MAJOR, ABI_MINOR)
        if not table:
            raise ImportError(f"{path} does not serve ABI {ABI_MAJOR}.{ABI_MINOR}, which this package is written for")
        return table.contents
    raise ImportError(f"{SONAME} was not found; build Kolo, or set KOLO_LIBRARY to its path. Tried: {'; '.join(tried)}")
