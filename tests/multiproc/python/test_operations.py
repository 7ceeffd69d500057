"""Every operation and type of the Python package against NumPy. Run by kolorun on several ranks."""
import unittest

import kolo
import numpy

try:
    from ml_dtypes import bfloat16
except ImportError:
    bfloat16 = None

job = None
FLOATS = [numpy.float32, numpy.float64, numpy.float16]
INTEGERS = [numpy.int8, numpy.int16, numpy.int32, numpy.int64, numpy.uint8]


def values(dtype, rank, count=1000):
    """Small whole numbers: sums and products of a few ranks are exact in every type."""
    return ((numpy.arange(count) + 3 * rank) % 5 + 1).astype(dtype)


def all_values(dtype, count=1000):
    return numpy.stack([values(dtype, rank, count) for rank in range(job.size)])


class Operations(unittest.TestCase):
    def assert_same(self, got, expected):
        self.assertEqual(got.dtype, expected.dtype)
        numpy.testing.assert_array_equal(got, expected)

    def test_allreduce_types_and_operators(self):
        reference = {"sum": numpy.sum, "min": numpy.min, "max": numpy.max, "product": numpy.prod}
        for dtype in FLOATS + INTEGERS:
            for op, reduce in reference.items():
                with self.subTest(dtype=dtype.__name__, op=op):
                    array = values(dtype, job.rank)
                    before = array.copy()
                    got = job.allreduce(array, op=op)
                    self.assert_same(got, reduce(all_values(dtype), axis=0).astype(dtype))
                    self.assert_same(array, before)

    def test_allreduce_averages_by_default(self):
        got = job.allreduce(values(numpy.float64, job.rank))
        numpy.testing.assert_allclose(got, all_values(numpy.float64).mean(axis=0), rtol=1e-15)

    def test_allreduce_bfloat16(self):
        if bfloat16 is None:
            self.skipTest("ml_dtypes is not installed")
        got = job.allreduce(values(bfloat16, job.rank), op="sum")
        self.assert_same(got, all_values(numpy.float32).sum(axis=0).astype(bfloat16))

    def test_allreduce_in_place(self):
        array = values(numpy.float32, job.rank)
        self.assertIs(job.allreduce(array, op="sum", out=array), array)
        self.assert_same(array, all_values(numpy.float32).sum(axis=0))

    def test_allreduce_into_out(self):
        out = numpy.zeros((10, 100), numpy.float32)
        array = values(numpy.float32, job.rank).reshape(10, 100)
        self.assertIs(job.allreduce(array, op="sum", out=out), out)
        self.assert_same(out, all_values(numpy.float32).sum(axis=0).reshape(10, 100))

    def test_allreduce_scales(self):
        got = job.allreduce(values(numpy.float32, job.rank), op="sum", prescale=0.5, postscale=4.0)
        self.assert_same(got, all_values(numpy.float32).sum(axis=0) * numpy.float32(2))

    def test_allreduce_shapes(self):
        for shape in [(), (0,), (1,), (3, 0, 2), (7, 5), (2, 3, 4, 5)]:
            with self.subTest(shape=shape):
                got = job.allreduce(numpy.full(shape, job.rank + 1, numpy.int32), op="sum")
                self.assert_same(got, numpy.full(shape, job.size * (job.size + 1) // 2, numpy.int32))

    def test_grouped_allreduce(self):
        kinds = [(numpy.float32, 10), (numpy.int64, 3), (numpy.float32, 999)]
        arrays = [values(dtype, job.rank, count) for dtype, count in kinds]
        got = job.grouped_allreduce(arrays, op="sum", name="group")
        self.assertEqual(len(got), 3)
        for mine, result in zip(arrays, got):
            self.assert_same(result, all_values(mine.dtype, mine.size).sum(axis=0).astype(mine.dtype))

    def test_broadcast_from_every_root(self):
        for root in range(job.size):
            array = values(numpy.float32, job.rank)
            self.assertIs(job.broadcast(array, root=root), array)
            self.assert_same(array, values(numpy.float32, root))

    def test_allgather_equal_shapes(self):
        got = job.allgather(numpy.full((2, 3), job.rank, numpy.int32))
        self.assert_same(got, numpy.repeat(numpy.arange(job.size, dtype=numpy.int32), 6).reshape(2 * job.size, 3))

    def test_allgather_count_not_divisible(self):
        for count in [1, 2, 10, 1001]:
            offset, part = job.slice(count)
            got = job.allgather(numpy.arange(offset, offset + part, dtype=numpy.int64), count=count)
            self.assert_same(got, numpy.arange(count, dtype=numpy.int64))

    def test_reduce_scatter(self):
        for count in [1, 2, 10, 1001]:
            offset, part = job.slice(count)
            got = job.reduce_scatter(values(numpy.int32, job.rank, count), op="sum")
            self.assert_same(got, all_values(numpy.int32, count).sum(axis=0)[offset : offset + part].astype(numpy.int32))

    def test_barrier(self):
        job.barrier()

    def test_slices_cover_everything_once(self):
        spans = [job.slice(17, rank) for rank in range(job.size)]
        self.assertEqual(sum(part for _, part in spans), 17)
        self.assertEqual([offset for offset, _ in spans], [sum(p for _, p in spans[:i]) for i in range(job.size)])

    def test_ranks(self):
        self.assertEqual(sorted(job.allgather(numpy.array([job.rank]))), list(range(job.size)))
        self.assertEqual((job.local_rank, job.local_size), (job.rank, job.size))

    def test_version(self):
        self.assertRegex(kolo.version(), r"^\d+\.\d+\.\d+$")


if __name__ == "__main__":
    with kolo.init() as job:
        unittest.main(failfast=True, exit=False).result.wasSuccessful() or exit(1)
