"""What went wrong, as an exception."""
from . import _abi

# What the library's sentences call by its name in C.
_IN_PYTHON = {"kolo_args.timeout_ns": "timeout=", "kolo_slice tells": "slice(count) tells"}


class Error(RuntimeError):
    """A Kolo call failed. The text is the library's own sentence; the attributes hold its parts.

    status ("KOLO_ERR_MISMATCH"), operation, tensor, ranks ("0-2,5"), hop, errno: "" or 0 where not known.
    """

    def __init__(self, status, details, hint=""):
        self.status = status
        self.operation = details.operation.decode(errors="replace")
        self.tensor = details.tensor.decode(errors="replace")
        self.ranks = details.ranks.decode(errors="replace")
        self.hop = details.hop.decode(errors="replace")
        self.errno = details.sys_errno
        message = details.message.decode(errors="replace")
        for name, own_name in _IN_PYTHON.items():
            message = message.replace(name, own_name)
        super().__init__(f"{status}: {message}{hint}")


def from_status(api, status, pointer=None, mismatch_hint=""):
    """The exception for a failed status: pointer's details, or the thread's last error. mismatch_hint: what else to say where
    ranks disagree."""
    details = pointer.contents if pointer else api.last_error().contents
    if details.status != status:  # somebody else's: better no details than wrong ones
        details = _abi.kolo_error(status=status, message=api.status_text(status))
    return Error(api.status_name(status).decode(), details, mismatch_hint if status == _abi.KOLO_ERR_MISMATCH else "")


def check(api, status):
    if status != _abi.KOLO_OK:
        raise from_status(api, status)
