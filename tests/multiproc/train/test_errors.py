#!/usr/bin/python3
"""What the user did wrong is told once, with what to do, on every number of ranks; and nothing hangs."""
import gzip
import os
import pty
import subprocess
import unittest

from training import DATA, KOLORUN, LIMIT_S, SMALL, TRAIN, TrainCase, command, run, seal


class Errors(TrainCase):
    def assert_told_once(self, words, *args, **kwargs):
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                told = self.assert_fails(ranks, words, *args, **kwargs)
                self.assertEqual(told.count("kolo-train: "), 1, told)

    def test_wrong_arguments(self):
        self.assert_fails(None, ["unknown argument", "--help"], "--no-such-option", status=2)
        self.assert_fails(None, ["--epochs many", "whole number"], "--epochs", "many", status=2)
        told = self.assert_fails(2, ["--resume needs --checkpoint"], "--resume", status=2)
        self.assertIn("kolorun: rank 0 ", told)  # the others let rank 0 speak first
        told = self.assert_fails(None, ["--epochs many"], "--epochs", "many", status=2, environment={"RANK": "1"})
        self.assertEqual(told.count("kolo-train: "), 1)  # but none is silent

    def test_help(self):
        done = run(None, "--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("--checkpoint FILE", done.stdout)

    def test_version(self):
        done = run(2, "--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"\Akolo-train \d+\.\d+\.\d+\n\Z")

    def test_data_missing(self):
        words = ["/nowhere/train-images", "apt install dataset-fashion-mnist"]
        self.assert_told_once(words, "--data", "/nowhere", status=1)

    def test_data_truncated(self):
        data = self.link_data()
        labels = data / "train-labels-idx1-ubyte.gz"
        labels.unlink()
        labels.write_bytes((DATA / labels.name).read_bytes()[:9999])
        self.assert_told_once([str(labels), "truncated", "offset"], "--data", data)
        with gzip.open(DATA / labels.name) as file:  # raw beside a gzipped file: the gzipped one counts, so remove it
            content = file.read()
        labels.unlink()
        (data / "train-labels-idx1-ubyte").write_bytes(content[:-1])
        self.assert_told_once(["train-labels-idx1-ubyte", "truncated", "offset 60007"], "--data", data)

    def test_checkpoint_missing(self):
        none = self.folder / "none"
        self.assert_told_once(["no checkpoint", "leave out --resume"], *SMALL, "--checkpoint", none, "--resume")

    def test_checkpoint_damaged_or_foreign(self):
        checkpoint = self.folder / "checkpoint"
        resume = (*SMALL, "--epochs", 2, "--checkpoint", checkpoint, "--resume")
        self.train(1, *SMALL, "--epochs", 2, "--stop-after", 1, "--checkpoint", checkpoint)
        good = checkpoint.read_bytes()

        checkpoint.write_bytes(good[:5000] + bytes([good[5000] ^ 4]) + good[5001:])
        self.assert_told_once([str(checkpoint), "check sum", "start over"], *resume)
        checkpoint.write_bytes(good[:-10])
        self.assert_told_once([str(checkpoint), "damaged", f"{len(good)} bytes"], *resume)
        checkpoint.write_bytes(b"something else\n" * 100)
        self.assert_told_once(["not a checkpoint"], *resume)
        checkpoint.write_bytes(seal(good[:8] + b"\x63" + good[9:]))
        self.assert_told_once(["version 99"], *resume)

        checkpoint.write_bytes(good)
        self.assert_told_once(["784-64-32-10", "784-65-10", "--hidden"], *resume, "--hidden", "65")
        self.assert_told_once(["--optimizer sgd", "adam"], *resume, "--optimizer", "adam")
        self.assert_told_once(["--seed 1", "7"], *resume, "--seed", "7")
        self.train(2, *resume)

    def test_checkpoint_with_more_epochs(self):
        checkpoint = self.folder / "checkpoint"
        self.train(1, *SMALL, "--epochs", 2, "--checkpoint", checkpoint)
        self.assert_told_once(["2 epochs already"], *SMALL, "--epochs", 1, "--checkpoint", checkpoint, "--resume")

    def test_file_cannot_be_written(self):
        nowhere = self.folder / "nowhere" / "file"
        for option in ("--checkpoint", "--log-loss", "--log-times", "--dump-params"):
            with self.subTest(option=option):
                self.assert_told_once([str(nowhere), "No such file"], *SMALL, "--epochs", 1, option, nowhere)
                done = run(2, *SMALL, "--epochs", 1, option, nowhere)
                self.assertNotIn("epoch ", done.stdout)  # told before the training, not after it

    def test_file_is_none_that_can_be_replaced(self):
        for option in ("--checkpoint", "--dump-params"):
            with self.subTest(option=option):
                self.assert_told_once([str(self.folder), "not a regular file"], *SMALL, "--epochs", 1, option, self.folder)

    def test_divergence(self):
        self.assert_told_once(["diverged", "--lr"], *SMALL, "--lr", "1e6", "--epochs", 20)

    def test_ranks_started_differently(self):
        for options, told in (
            ("--batch $((10 + RANK / 2))", "rank 2: --batch 11, but rank 0 has 10; start all ranks with the same"),
            ("--hidden 4,$((5 + RANK / 2))", "--hidden 4,6, but rank 0 has 4,5"),
            ("--lr 0.0$((1 + RANK / 2))", "--lr 0.02, but rank 0 has 0.01"),
            ("--optimizer $([ $RANK = 2 ] && echo adam || echo sgd)", "--optimizer adam, but rank 0 has sgd"),
            ("$([ $RANK = 2 ] && echo --stop-after 1)", "--stop-after 1, but rank 0 has none"),
            ("--decay $([ $RANK = 2 ] && echo none || echo step)", "--decay none, but rank 0 has step"),
            (f"$([ $RANK = 2 ] && echo --checkpoint {self.folder}/c)", "--checkpoint given, but rank 0 has none"),
        ):
            with self.subTest(options=options):
                script = f'exec "{TRAIN}" {" ".join(SMALL)} --epochs 1 {options}'
                done = subprocess.run([KOLORUN, "-np", "3", "sh", "-c", script], capture_output=True, text=True,
                                      timeout=LIMIT_S, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(told, done.stderr)
                self.assertEqual(done.stderr.count("kolo-train: "), 1, done.stderr)

    def test_bar_on_a_terminal(self):
        ours, theirs = pty.openpty()
        done = subprocess.run(command(None, *SMALL, "--epochs", 3, "--limit", 30000), stdout=subprocess.PIPE,
                              stderr=theirs, text=True, timeout=LIMIT_S, check=False)
        os.close(theirs)
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"\repoch  1/3 [", os.read(ours, 100000))
        os.close(ours)
        self.assertNotIn("\r", done.stdout)
        self.assertEqual(done.stdout.count("epoch "), 3)


if __name__ == "__main__":
    unittest.main()
