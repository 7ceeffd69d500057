#!/usr/bin/python3
"""However many ranks share the global batch, the training is the same; and it learns."""
import unittest
from pathlib import Path

from training import SMALL, TrainCase


class Curves(TrainCase):
    def assert_same_curve(self, one, many, steps):
        self.assertEqual((len(one), len(many)), (steps, steps))
        for step, (a, b) in enumerate(zip(one, many)):
            self.assertLess(abs(a - b), 1e-4 + 1e-3 * a, f"step {step}: {a} and {b}")
        self.assertLess(sum(one[-10:]), 0.7 * sum(one[:10]), "it learns nothing")

    def test_two_ranks_of_32_follow_one_of_64(self):
        args = ("--epochs", 2, "--threads", 1, "--limit", 3001, "--warmup", 20)  # the default network
        self.assert_same_curve(self.losses(1, *args, "--batch", 64), self.losses(2, *args, "--batch", 32), 94)

    def test_three_ranks_and_uneven_shares(self):
        args = (*SMALL, "--epochs", 2)  # 3001 = 62 * 48 + 25: the last shares are 9, 8 and 8
        self.assert_same_curve(self.losses(1, *args, "--batch", 48), self.losses(3, *args, "--batch", 16), 126)

    def test_last_batch_smaller_than_the_ranks(self):
        args = (*SMALL, "--epochs", 2, "--limit", 1001)  # 1001 = 25 * 40 + 1: three ranks have nothing to do
        self.assert_same_curve(self.losses(1, *args, "--batch", 40), self.losses(4, *args, "--batch", 10), 52)

    def test_adam(self):
        args = (*SMALL, "--epochs", 1, "--optimizer", "adam")
        self.assert_same_curve(self.losses(1, *args, "--batch", 64), self.losses(2, *args, "--batch", 32), 47)

    def test_other_seed_gives_another_curve(self):
        one = self.losses(1, *SMALL, "--epochs", 1, "--seed", 1)
        other = self.losses(1, *SMALL, "--epochs", 1, "--seed", 2)
        self.assertGreater(max(abs(a - b) for a, b in zip(one, other)), 0.01)

    def test_times_of_every_step(self):
        path = self.folder / "times"
        self.train(2, *SMALL, "--epochs", 2, "--batch", 50, "--log-times", path)
        for rank in range(2):
            lines = [line.split() for line in Path(f"{path}.{rank}").read_text().splitlines()]
            self.assertEqual([(int(e), int(s)) for e, s, *_ in lines], [(e, s) for e in (1, 2) for s in range(1, 32)])
            self.assertTrue(all(float(step) > float(waited) >= 0 for _, _, step, waited in lines))

    def test_accuracy_of_two_ranks(self):
        accuracy, epochs, ranks, rate, _ = self.train(2, "--epochs", 3, "--threads", 1)
        self.assertEqual((epochs, ranks), (3, 2))
        self.assertGreater(accuracy, 0.87)
        self.assertGreater(rate, 0)


if __name__ == "__main__":
    unittest.main()
