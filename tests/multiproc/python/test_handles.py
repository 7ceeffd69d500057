"""Asynchronous operations: any order, many at once, dropped handles, deadlines. Run by kolorun on several ranks."""
import gc
import unittest

import kolo
import numpy

job = None


class Handles(unittest.TestCase):
    def total(self):
        return job.size * (job.size + 1) // 2

    def test_many_in_flight_in_different_orders(self):
        order = list(range(50))
        if job.rank % 2:
            order.reverse()
        handles = {i: job.allreduce_async(numpy.full(100 + i, job.rank + 1, numpy.int32), op="sum", name=f"t{i}") for i in order}
        for i, handle in handles.items():
            numpy.testing.assert_array_equal(handle.wait(), numpy.full(100 + i, self.total(), numpy.int32))
            self.assertTrue(handle.done())

    def test_wait_again_answers_the_same(self):
        handle = job.allreduce_async(numpy.ones(3, numpy.float32), op="sum")
        self.assertIs(handle.wait(), handle.wait())

    def test_done_becomes_true_without_wait(self):
        handle = job.allreduce_async(numpy.ones(3, numpy.float32), op="sum")
        while not handle.done():
            pass
        numpy.testing.assert_array_equal(handle.wait(), numpy.full(3, job.size, numpy.float32))

    def test_arrays_that_nobody_else_holds_stay_alive(self):
        for _ in range(20):
            handle = job.allreduce_async(numpy.full(50_000, job.rank + 1, numpy.int64), op="sum")
            gc.collect()
            self.assertTrue((handle.wait() == self.total()).all())

    def test_dropped_handles(self):
        for i in range(20):
            job.allreduce_async(numpy.ones(50_000, numpy.float32), name=f"dropped{i}")
        gc.collect()
        self.assertEqual(job.allreduce(numpy.ones(1, numpy.float32), op="sum")[0], job.size)

    def test_wait_times_out_and_the_operation_goes_on(self):
        # Rank 0 submits late: after the others have seen their timeout.
        array = numpy.ones(4, numpy.float32)
        if job.size == 1:
            self.skipTest("alone, nothing is late")
        if job.rank != 0:
            handle = job.allreduce_async(array, op="sum", name="late")
            with self.assertRaises(TimeoutError):
                handle.wait(timeout=0.02)
            self.assertFalse(handle.done())
        job.barrier()
        if job.rank == 0:
            handle = job.allreduce_async(array, op="sum", name="late")
        numpy.testing.assert_array_equal(handle.wait(timeout=60), numpy.full(4, job.size, numpy.float32))

    def test_other_operations(self):
        handles = [
            job.broadcast_async(numpy.full(5, job.rank, numpy.int32), root=job.size - 1),
            job.allgather_async(numpy.full(5, job.rank, numpy.int32)),
            job.reduce_scatter_async(numpy.ones(5 * job.size, numpy.int32), op="sum"),
            job.grouped_allreduce_async([numpy.ones(5, numpy.int32), numpy.ones(2, numpy.int64)], op="sum"),
            job.barrier_async(),
        ]
        broadcast, gathered, scattered, group, nothing = [handle.wait() for handle in reversed(handles)][::-1]
        self.assertEqual(broadcast.tolist(), [job.size - 1] * 5)
        self.assertEqual(gathered.tolist(), numpy.repeat(range(job.size), 5).tolist())
        self.assertEqual(scattered.tolist(), [job.size] * 5)
        self.assertEqual([array.tolist() for array in group], [[job.size] * 5, [job.size] * 2])
        self.assertIsNone(nothing)


if __name__ == "__main__":
    with kolo.init() as job:
        unittest.main(failfast=True, exit=False).result.wasSuccessful() or exit(1)
