"""A deadline that passes ends the job, on all ranks, with the names of those that did not come. Run by kolorun."""
import os
import tempfile
import time
import unittest

import kolo
import numpy


def flag_of(rank):
    """A file that tells this rank of this job to come, without Kolo."""
    return os.path.join(tempfile.gettempdir(), f"kolo-test-{os.environ['KOLO_JOB_SECRET'][:16]}-{rank}")


def wait_for_flag(rank):
    give_up = time.monotonic() + 60
    while not os.path.exists(flag_of(rank)):
        if time.monotonic() > give_up:
            raise RuntimeError(f"rank {rank} was not told to come within 60 s")
        time.sleep(0.01)
    os.remove(flag_of(rank))


class Deadline(unittest.TestCase):
    def test_everybody_learns_who_is_missing(self):
        job = kolo.init()
        others = "1" if job.size == 2 else f"1-{job.size - 1}"
        with self.assertRaises(kolo.Error) as caught:
            if job.rank == 0:
                try:
                    job.allreduce(numpy.zeros(3, numpy.float32), name="lonely", timeout=0.2)
                finally:
                    for rank in range(1, job.size):
                        open(flag_of(rank), "w").close()
            else:
                wait_for_flag(job.rank)
                job.barrier()
        self.assertEqual(caught.exception.status, "KOLO_ERR_TIMEOUT")
        self.assertEqual(caught.exception.tensor, "lonely")
        self.assertEqual(caught.exception.ranks, others)
        self.assertIn("lonely", str(caught.exception))
        self.assertIn("allow more time (KOLO_TIMEOUT, timeout=)", str(caught.exception))
        with self.assertRaises(kolo.Error) as caught:
            job.allreduce(numpy.zeros(3, numpy.float32))
        self.assertEqual(caught.exception.status, "KOLO_ERR_TIMEOUT")
        with self.assertRaises(kolo.Error):
            job.finalize()


if __name__ == "__main__":
    unittest.main()
