"""How the package finds libkolo.so, and what it says when it does not."""
import ctypes
import ctypes.util
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from kolo import _abi


class Loading(unittest.TestCase):
    def test_variable_names_the_library(self):
        self.assertGreaterEqual(_abi.load().abi_minor, _abi.ABI_MINOR)

    def test_table_is_as_large_as_the_package_knows(self):
        self.assertGreaterEqual(_abi.load().size, ctypes.sizeof(_abi.kolo_api))

    def test_no_library_there(self):
        with mock.patch.dict(os.environ, KOLO_LIBRARY="/nonexistent/libkolo.so"):
            with self.assertRaisesRegex(ImportError, "KOLO_LIBRARY.*/nonexistent/libkolo.so"):
                _abi.load()

    def test_another_library(self):
        with mock.patch.dict(os.environ, KOLO_LIBRARY=ctypes.util.find_library("z")):
            with self.assertRaisesRegex(ImportError, "no Kolo library"):
                _abi.load()

    def test_abi_that_the_library_does_not_serve(self):
        with mock.patch.object(_abi, "ABI_MAJOR", 99):
            with self.assertRaisesRegex(ImportError, "does not serve ABI 99"):
                _abi.load()

    def test_installed_copy_is_found_beside_the_package(self):
        with tempfile.TemporaryDirectory() as prefix:
            for path in ["share/kolo/python/kolo/_abi.py", "lib/libkolo.so.1"]:
                Path(prefix, path).parent.mkdir(parents=True, exist_ok=True)
                Path(prefix, path).touch()
            with mock.patch.dict(os.environ), mock.patch.object(_abi, "__file__", prefix + "/share/kolo/python/kolo/_abi.py"):
                del os.environ["KOLO_LIBRARY"]
                real = str(Path(prefix, "lib/libkolo.so.1").resolve())
                self.assertEqual(_abi.candidates(), [real, "libkolo.so.1"])

    def test_source_tree_has_its_own(self):
        with mock.patch.dict(os.environ), mock.patch.object(_abi, "__file__", "/tree/plugins/python/kolo/_abi.py"):
            del os.environ["KOLO_LIBRARY"]
            self.assertEqual(_abi.candidates(), ["/tree/build/release/lib/libkolo.so.1", "libkolo.so.1"])


if __name__ == "__main__":
    unittest.main()
