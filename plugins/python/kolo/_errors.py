"""What went wrong, as an exception."""
from . import _abi


class Error(RuntimeError):
    """A Kolo call failed. The text is the library's own sentence; the attributes hold its parts.

    status ("KOLO_ERR_MISMATCH"), operation, tensor, ranks ("0-2,5"), hop, errno: "" or 0 where not known.
    """

    def __init__(self, status, details):
        self.status = status
        self.operation = details.operation.decode(errors="replace")
        self.tensor = details.tensor.decode(errors="replace")
        self.ranks = details.ranks.decode(errors="replace")
        self.hop = details.hop.decode(errors="replace")
        self.errno = details.sys_errno
        super().__init__(f"{status}: {details.message.decode(errors='replace')}")


def from_status(api, status, pointer=None):
    """The exception for a failed status: pointer's details, or the thread's last error."""
    details = pointer.contents if pointer else api.last_error().contents
    if details.status != status:  # somebody else's: better no details than wrong ones
        details = _abi.kolo_error(status=status, message=api.status_text(status))
    return Error(api.status_name(status).decode(), details)


def check(api, status):
    if status != _abi.KOLO_OK:
        raise from_status(api, status)
