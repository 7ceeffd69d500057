"""Prices: the same on all ranks, measured or given."""
import re
import unittest

from support import EngineCase, run

PRICES = re.compile(r"kolo\[(\d+)\] INFO: prices: (\S+)")


class Prices(EngineCase):
    def prices(self, ranks, **variables):
        """What each rank says, after a run that must end well."""
        code, lines, errors = run(ranks, "operations", 20, 5, KOLO_LOG="info", **variables)
        self.assertEqual(code, 0, errors)
        self.assertEqual(len(lines), ranks)
        said = dict(PRICES.findall(errors))
        self.assertEqual(len(said), ranks, errors)
        return said, errors

    def test_measured__the_same_everywhere(self):
        for transport in ("shm", "ucx"):
            for ranks in (2, 3, 5):
                said, errors = self.prices(ranks, KOLO_TRANSPORT=transport)
                self.assertEqual(len(set(said.values())), 1, said)
                self.assertNotIn("could not be measured", errors)

    def test_measured__what_is_there(self):
        default = dict(pair.split("=") for pair in self.prices(2, KOLO_PRICES="default")[0]["0"].split(","))
        for transport, other in (("shm", "message"), ("ucx", "flight")):
            said = dict(pair.split("=") for pair in self.prices(2, KOLO_TRANSPORT=transport)[0]["0"].split(","))
            self.assertEqual(said.keys(), default.keys())
            self.assertEqual(said[other], default[other])
            self.assertNotEqual(said["copy"], default["copy"])

    def test_given(self):
        for transport in ("shm", "ucx"):
            said, _ = self.prices(3, KOLO_TRANSPORT=transport, KOLO_PRICES="flight=1234ns,message64K=50us")
            self.assertEqual(len(set(said.values())), 1, said)
            self.assertIn("flight=1234ns", said["0"])
            self.assertIn("message64K=50us", said["0"])

    def test_alone__nothing_to_measure(self):
        _, lines, errors = run(1, "operations", 20, 5, KOLO_LOG="debug")
        self.assertEqual(len(lines), 1)
        self.assertNotIn("prices", errors)


if __name__ == "__main__":
    unittest.main()
