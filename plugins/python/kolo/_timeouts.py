"""Seconds, as Python gives them, to the nanoseconds of the C calls."""
import math
from numbers import Real

_MOST_NS = 2**63 - 1  # some 292 years, which C counts to


def _check(timeout):
    if isinstance(timeout, bool) or not isinstance(timeout, Real):
        raise TypeError(f"timeout must be a number of seconds, or None, not {type(timeout).__name__}")
    if timeout != timeout:
        raise ValueError("timeout is NaN; give seconds, or None")


def _to_ns(timeout):
    return _MOST_NS if timeout > _MOST_NS // 10**9 else int(timeout * 1e9)


def deadline_ns(timeout):
    """An operation's deadline as kolo_args.timeout_ns: 0 is the configured one, < 0 none."""
    if timeout is None:
        return 0
    _check(timeout)
    if timeout <= 0:
        raise ValueError(
            f"timeout {timeout!r} would break the job at once; give seconds above 0, None for the job's KOLO_TIMEOUT, "
            "or float('inf') for no deadline"
        )
    return -1 if timeout == math.inf else max(1, _to_ns(timeout))


def wait_ns(timeout):
    """How long to wait; None: as long as it takes."""
    if timeout is None:
        return None
    _check(timeout)
    if timeout < 0:
        raise ValueError(f"timeout {timeout!r}; give 0 to look once, seconds above 0, or None to wait as long as it takes")
    return None if timeout == math.inf else _to_ns(timeout)
