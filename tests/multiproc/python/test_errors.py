"""What goes wrong, and that it is said clearly. Run by kolorun on several ranks."""
import os
import unittest

import kolo
import numpy

job = None


class Errors(unittest.TestCase):
    def assert_refused(self, kind, words, call, *args, **kwargs):
        with self.assertRaisesRegex(kind, words):
            call(*args, **kwargs)

    def test_not_an_array(self):
        self.assert_refused(TypeError, "numpy.ndarray, not list", job.allreduce, [1.0, 2.0])

    def test_not_contiguous(self):
        matrix = numpy.zeros((4, 6), numpy.float32)
        self.assert_refused(ValueError, "ascontiguousarray", job.allreduce, matrix[:, ::2])
        self.assert_refused(ValueError, "not contiguous", job.allreduce, matrix.T)
        self.assert_refused(ValueError, "out is not contiguous", job.allreduce, numpy.zeros((6, 4), numpy.float32), out=matrix.T)
        self.assert_refused(ValueError, "not contiguous", job.broadcast, matrix.T)

    def test_type_that_kolo_does_not_move(self):
        for dtype in ["complex64", "bool", "uint16", "longdouble", "U3"]:
            self.assert_refused(TypeError, "not a type that Kolo moves; it moves float32", job.allreduce, numpy.zeros(3, dtype))

    def test_foreign_byte_order(self):
        self.assert_refused(TypeError, "byte order", job.allreduce, numpy.zeros(3, numpy.dtype("f4").newbyteorder("S")))

    def test_out_differs(self):
        array = numpy.zeros(4, numpy.float32)
        self.assert_refused(ValueError, r"out is float64 \(4,\), but array is float32", job.allreduce, array, out=numpy.zeros(4))
        self.assert_refused(ValueError, r"out is float32 \(5,\)", job.allreduce, array, out=numpy.zeros(5, numpy.float32))

    def test_read_only(self):
        array = numpy.zeros(4, numpy.float32)
        array.flags.writeable = False
        self.assert_refused(ValueError, "read-only", job.broadcast, array)
        self.assert_refused(ValueError, "read-only", job.allreduce, numpy.zeros(4, numpy.float32), out=array)

    def test_unknown_operator(self):
        self.assert_refused(ValueError, "op 'mean'; there are sum, average", job.allreduce, numpy.zeros(3), op="mean")

    def test_name_that_is_no_text(self):
        self.assert_refused(TypeError, "name must be a str, or None, not int", job.allreduce, numpy.zeros(3), name=7)
        self.assert_refused(TypeError, "name must be a str, or None, not bytes", job.broadcast, numpy.zeros(3), name=b"x")

    def test_name_that_c_would_cut(self):
        self.assert_refused(ValueError, r"name 'a\\x00b' contains NUL", job.allreduce, numpy.zeros(3), name="a\0b")

    def test_timeout_that_is_none(self):
        for timeout in [0, 0.0, -1, -0.5, float("-inf")]:
            self.assert_refused(ValueError, "above 0, None for the job's KOLO_TIMEOUT", job.barrier, timeout=timeout)
        self.assert_refused(ValueError, "NaN", job.allreduce, numpy.zeros(3), timeout=float("nan"))
        for timeout in ["1", b"1", True, [1]]:
            self.assert_refused(TypeError, "timeout must be a number of seconds, or None", job.barrier, timeout=timeout)

    def test_timeouts_that_are_some(self):
        for timeout in [None, 60, 60.5, numpy.float32(60), numpy.int64(60), 10**400, 1e300, float("inf")]:
            job.barrier(timeout=timeout)
        self.assertEqual(job.allreduce(numpy.ones(1), op="sum", timeout=float("inf"))[0], job.size)

    def test_timeout_of_a_wait(self):
        handle = job.barrier_async()
        self.assert_refused(ValueError, "0 to look once", handle.wait, timeout=-1)
        self.assert_refused(ValueError, "NaN", handle.wait, timeout=float("nan"))
        self.assert_refused(TypeError, "not str", handle.wait, timeout="1")
        handle.wait(timeout=float("inf"))
        handle.wait(timeout=0)

    def test_empty_group(self):
        self.assert_refused(ValueError, "at least one", job.grouped_allreduce, [])

    def test_what_is_wrong_in_a_list(self):
        fine = numpy.ones(3, numpy.float32)
        self.assert_refused(TypeError, "a list of arrays, not ndarray", job.grouped_allreduce, fine)
        self.assert_refused(TypeError, "a list of arrays, not NoneType", job.grouped_allreduce, None)
        self.assert_refused(TypeError, r"arrays\[1\] must be", job.grouped_allreduce, [fine, None])
        self.assert_refused(TypeError, r"arrays\[1\]: uint32", job.grouped_allreduce, [fine, numpy.ones(3, numpy.uint32)])
        column = numpy.ones((3, 3), numpy.float32)[:, 1]
        self.assert_refused(ValueError, r"arrays\[1\] is not contiguous", job.grouped_allreduce, [fine, column])
        self.assert_refused(ValueError, r"outs\[0\] is float64 \(3,\)", job.grouped_allreduce, [fine], outs=[numpy.ones(3)])

    def test_library_refuses_a_root_outside_the_job(self):
        with self.assertRaises(kolo.Error) as caught:
            job.broadcast(numpy.zeros(3, numpy.float32), root=job.size)
        self.assertEqual(caught.exception.status, "KOLO_ERR_INVALID")
        self.assertIn("root", str(caught.exception))

    def test_ranks_disagree_about_the_type(self):
        if job.size == 1:
            self.skipTest("alone, nobody disagrees")
        array = numpy.zeros(6, numpy.float64 if job.rank == job.size - 1 else numpy.float32)
        with self.assertRaises(kolo.Error) as caught:
            job.allreduce(array, name="disputed")
        self.assertEqual(caught.exception.status, "KOLO_ERR_MISMATCH")
        self.assertEqual(caught.exception.tensor, "disputed")
        for word in ["disputed", "float32", "float64"]:
            self.assertIn(word, str(caught.exception))

    def test_ranks_gather_unequal_arrays(self):
        if job.size == 1:
            self.skipTest("alone, all arrays are equal")
        array = numpy.zeros(3 + job.rank, numpy.float32)
        with self.assertRaises(kolo.Error) as caught:
            job.allgather(array, name="uneven")
        self.assertEqual(caught.exception.status, "KOLO_ERR_MISMATCH")
        self.assertIn("allgather needs count=", str(caught.exception))
        with self.assertRaises(kolo.Error) as caught:
            job.allgather(array, name="uneven", count=100 * job.size)
        self.assertIn("slice(count) tells", str(caught.exception))

    def test_forked_child(self):
        child = os.fork()
        if child == 0:
            try:
                job.allreduce(numpy.zeros(3, numpy.float32))
            except kolo.Error as error:
                os._exit(0 if error.status == "KOLO_ERR_STATE" else 2)
            os._exit(3)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)


if __name__ == "__main__":
    with kolo.init() as job:
        unittest.main(failfast=True, exit=False).result.wasSuccessful() or exit(1)
    try:
        job.barrier()
    except RuntimeError as error:
        if "finalized" not in str(error):
            raise
    else:
        raise SystemExit("a call after finalize went through")
