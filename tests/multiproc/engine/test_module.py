"""The ucx transport, loaded as a module; and modules that cannot be."""
import os
import unittest

from support import EngineCase, run

MODULES = os.environ["ENGINE_MODULES"]


class Module(EngineCase):
    def test_loaded(self):
        for ranks in (2, 3):
            code, lines, errors = run(ranks, "operations", 50, 5, KOLO_TRANSPORT="ucx",
                                      KOLO_TRANSPORT_PATH=f"/nowhere:{MODULES}", KOLO_LOG="info")
            self.assertEqual(code, 0, errors)
            self.assertEqual(len(lines), ranks)
            self.assertEqual(errors.count(f"transport ucx from {MODULES}/kolo_transport_ucx.so"), ranks, errors)

    def test_asynchronous(self):
        for subject in ("order", "threads"):
            self.passes(3, "asynchronous", subject, 1, KOLO_TRANSPORT="ucx", KOLO_TRANSPORT_PATH=MODULES)

    def test_not_there__built_in_is_taken(self):
        self.passes(2, "operations", 50, 20, KOLO_TRANSPORT="ucx", KOLO_TRANSPORT_PATH="/nowhere")

    def test_not_there__no_such_transport(self):
        code, lines, _ = run(2, "failures", "join", KOLO_TRANSPORT_PATH="/nowhere", KOLO_TRANSPORT="other",
                             KOLO_INIT_TIMEOUT="2s")
        self.assertNotEqual(code, 0)
        self.assertTrue(any("other" in line and "/nowhere" in line for _, line in lines), lines)


if __name__ == "__main__":
    unittest.main()
