"""A deadline that passes ends the job, on all ranks, with the names of those that did not come. Run by kolorun."""
import unittest

import kolo
import numpy


class Deadline(unittest.TestCase):
    def test_everybody_learns_who_is_missing(self):
        job = kolo.init()
        others = "1" if job.size == 2 else f"1-{job.size - 1}"
        with self.assertRaises(kolo.Error) as caught:
            if job.rank == 0:
                job.allreduce(numpy.zeros(3, numpy.float32), name="lonely", timeout=0.2)
            else:
                job.barrier()
        self.assertEqual(caught.exception.status, "KOLO_ERR_TIMEOUT")
        self.assertEqual(caught.exception.tensor, "lonely")
        self.assertEqual(caught.exception.ranks, others)
        self.assertIn("lonely", str(caught.exception))
        with self.assertRaises(kolo.Error) as caught:
            job.allreduce(numpy.zeros(3, numpy.float32))
        self.assertEqual(caught.exception.status, "KOLO_ERR_TIMEOUT")
        with self.assertRaises(kolo.Error):
            job.finalize()


if __name__ == "__main__":
    unittest.main()
