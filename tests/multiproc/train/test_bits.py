#!/usr/bin/python3
"""The same job gives the same bits: run twice, stopped and resumed, killed and resumed."""
import signal
import subprocess
import unittest

from training import SMALL, TrainCase, command


class Bits(TrainCase):
    def test_two_runs(self):
        for ranks in (1, 2, 3):
            with self.subTest(ranks=ranks):
                files = [self.folder / f"{ranks}-{i}" for i in range(2)]
                sums = {self.train(ranks, *SMALL, "--epochs", 2, "--dump-params", f)[4] for f in files}
                self.assertEqual(len(sums), 1)
                self.assertEqual(files[0].read_bytes(), files[1].read_bytes())

    def test_another_seed_gives_other_bits(self):
        sums = {self.train(2, *SMALL, "--epochs", 1, "--seed", seed)[4] for seed in (1, 2)}
        self.assertEqual(len(sums), 2)

    def resume(self, *args):
        checkpoint = self.folder / "checkpoint"
        straight = self.train(2, *SMALL, "--epochs", 4, *args)
        stopped = self.train(2, *SMALL, "--epochs", 4, *args, "--checkpoint", checkpoint, "--stop-after", 2)
        self.assertEqual(stopped[1], 2)
        self.assertNotEqual(stopped[4], straight[4])
        resumed = self.train(2, *SMALL, "--epochs", 4, *args, "--checkpoint", checkpoint, "--resume")
        self.assertEqual((resumed[0], resumed[1], resumed[4]), (straight[0], 4, straight[4]))
        again = self.train(2, *SMALL, "--epochs", 4, *args, "--checkpoint", checkpoint, "--resume")  # nothing is left
        self.assertEqual((again[0], again[3], again[4]), (straight[0], 0, straight[4]))

    def test_resume_sgd(self):
        self.resume("--weight-decay", "0.001")

    def test_resume_adam(self):
        self.resume("--optimizer", "adam")

    def test_resume_after_a_kill(self):
        checkpoint = self.folder / "checkpoint"
        args = (*SMALL, "--epochs", 6, "--checkpoint", checkpoint)
        with subprocess.Popen(command(2, *args), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as job:
            for line in job.stdout:
                if line.startswith("epoch  3/6"):  # the second epoch's checkpoint is written, the third's perhaps
                    job.send_signal(signal.SIGTERM)
                    break
            job.communicate(timeout=60)
        self.assertTrue(checkpoint.exists())
        resumed = self.train(2, *args, "--resume")
        straight = self.train(2, *SMALL, "--epochs", 6)
        self.assertEqual(resumed[4], straight[4])


if __name__ == "__main__":
    unittest.main()
