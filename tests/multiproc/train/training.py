"""Starts kolo-train, alone or under kolorun, and takes its output apart."""
import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib
from pathlib import Path

TRAIN = os.environ["KOLO_TRAIN"]
KOLORUN = os.environ["KOLORUN"]
DATA = Path("/usr/share/datasets/fashion-mnist")
NAMES = [f"{kind}-{what}" for kind in ("train", "t10k") for what in ("images-idx3-ubyte", "labels-idx1-ubyte")]
LAST_LINE = re.compile(r"test_accuracy=(0\.\d{4}|1\.0000) epochs=(\d+) ranks=(\d+) samples_per_s=(\d+)")
LIMIT_S = 240

# A small network and few samples: what is tested is the machinery, not what is learnt.
SMALL = ("--hidden", "64,32", "--threads", "1", "--limit", "3001", "--warmup", "20")


def command(ranks, *args):
    """ranks None: without a launcher."""
    start = [] if ranks is None else [KOLORUN, "-np", str(ranks)]
    return [*start, TRAIN, *map(str, args)]


def run(ranks, *args, environment=None):
    return subprocess.run(command(ranks, *args), capture_output=True, text=True, timeout=LIMIT_S, check=False,
                          env={**os.environ, **(environment or {})})


class TrainCase(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="kolo-train-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def train(self, ranks, *args, **kwargs):
        """A run that must succeed: (accuracy, epochs, ranks, samples/s, parameter checksum)."""
        done = run(ranks, *args, **kwargs)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        last = LAST_LINE.fullmatch(done.stdout.splitlines()[-1])
        self.assertIsNotNone(last, done.stdout)
        checksum = re.search(r"^parameters crc32 ([0-9a-f]{8})$", done.stdout, re.MULTILINE)
        self.assertIsNotNone(checksum, done.stdout)
        return float(last[1]), int(last[2]), int(last[3]), int(last[4]), checksum[1]

    def losses(self, ranks, *args):
        """The loss of every step."""
        path = self.folder / f"loss-{ranks}"
        self.train(ranks, *args, "--log-loss", path)
        return [float(line.split()[2]) for line in path.read_text().splitlines()]

    def assert_fails(self, ranks, words, *args, status=None, **kwargs):
        """A run that must fail, say the words, and print no result. Returns what it said."""
        done = run(ranks, *args, **kwargs)
        if status is None:
            self.assertNotEqual(done.returncode, 0, done.stdout)
        else:
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertNotIn("test_accuracy", done.stdout)
        return done.stderr

    def link_data(self):
        """A data folder of links, in which a test may replace a file."""
        data = self.folder / "data"
        data.mkdir()
        for name in NAMES:
            (data / f"{name}.gz").symlink_to(DATA / f"{name}.gz")
        return data


def seal(content):
    """A checkpoint with its check sum made right again."""
    return content[:-4] + struct.pack("<I", zlib.crc32(content[:-4]))
