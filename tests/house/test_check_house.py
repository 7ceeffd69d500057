#!/usr/bin/python3
"""check-house.py finds each kind of violation in a planted tree, where it is, and nothing in a clean one."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check-house.py"
HEAD = "/* What this is about. */\n"
UNFINISHED = "TO" + "DO"


def check(files):
    """Runs the script on a tree of {path: text}: (exit status, output)."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            file = Path(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


class CheckHouse(unittest.TestCase):
    def assert_caught(self, path, text, line, words):
        status, output = check({path: text})
        self.assertEqual(status, 1, output)
        self.assertIn(f"{path}:{line}: ", output)
        self.assertIn(words, output)
        self.assertIn("1 violations", output)

    def assert_clean(self, path, text):
        status, output = check({path: text})
        self.assertEqual(status, 0, output)

    def test_clean_tree(self):
        status, output = check({
            "src/base/log.c": HEAD + '#include "base/log.h"\nint x(void) { return fprintf(f, "printf(1)"); }\n',
            "src/engine/step.c": HEAD + '#include <kolo/transport.h>\n#include "plan/slice.h"\n// exit() is not called\n',
            "src/topo/cores.c": HEAD + "#include <hwloc.h>\n",
            "transports/ucx/ucx.c": HEAD + '#include <ucp/api/ucp.h>\n#include "ucx/ucx.h"\n',
            "src/trainer/main.c": HEAD + '#include <kolo/kolo.h>\n#include "trainer/model.h"\nint x = printf("%d", 1);\n',
        })
        self.assertEqual(status, 0, output)
        self.assertIn("5 files, 0 violations", output)

    def test_empty_tree_is_an_error(self):
        self.assertEqual(check({})[0], 1)

    def test_include_upwards(self):
        self.assert_caught("src/base/a.c", HEAD + '#include "engine/engine.h"\n', 2, "against the picture")

    def test_include_sideways(self):
        self.assert_caught("src/plan/a.h", HEAD + '#  include "reduce/reduce.h"\n', 2, "against the picture")

    def test_program_includes_the_inside(self):
        self.assert_caught("src/trainer/a.c", HEAD + '\n#include "base/log.h"\n', 3, "against the picture")
        self.assert_caught("benchmarks/a.c", HEAD + '#include "engine/engine.h"\n', 2, "against the picture")

    def test_program_includes_the_module_side(self):
        self.assert_caught("src/trainer/a.c", HEAD + "#include <kolo/transport.h>\n", 2, "must not include")

    def test_transport_includes_the_engine(self):
        self.assert_caught("transports/ucx/a.c", HEAD + '#include "engine/engine.h"\n', 2, "against the picture")

    def test_transport_includes_another_transport(self):
        self.assert_caught("transports/ucx/a.c", HEAD + '#include "sim/sim.h"\n', 2, "against the picture")

    def test_relative_include(self):
        self.assert_caught("src/base/a.c", HEAD + '#include "../engine/engine.h"\n', 2, "leads out of src/base")
        self.assert_caught("benchmarks/perf/a.c", HEAD + '#include "../../src/base/log.h"\n', 2, "leads out of benchmarks")
        self.assert_clean("benchmarks/peers/a.c", HEAD + '#include "../perf/harness.h"\n')

    def test_third_party_header_elsewhere(self):
        self.assert_caught("src/engine/a.c", HEAD + "#include <hwloc.h>\n", 2, "src/topo alone")
        self.assert_caught("src/api/a.c", HEAD + "#include <ucp/api/ucp.h>\n", 2, "transports/ucx alone")

    def test_forbidden_call(self):
        for call in ("printf", "exit", "abort", "signal", "sigaction", "system", "setenv"):
            self.assert_caught("src/engine/a.c", HEAD + f"/* two\nlines */ int f(void) {{ {call}(1); }}\n", 3, call + "()")
            self.assert_caught("transports/ucx/a.c", HEAD + f"int f(void) {{ {call} (1); }}\n", 2, call + "()")

    def test_forbidden_call_in_comment_or_string_or_member(self):
        text = 'int f(void) { g("exit(1)"); /* exit(1) */ a.exit(1); b->abort(); } // exit(1)\n'
        self.assert_clean("src/engine/a.c", HEAD + text)

    def test_looking_at_a_signal_handler_is_allowed(self):
        self.assert_clean("transports/ucx/a.c", HEAD + "int f(void) { sigaction(signals[i], NULL, &action); }\n")
        self.assert_caught("transports/ucx/a.c", HEAD + "int f(void) { sigaction(11, &new, NULL); }\n", 2, "sigaction()")

    def test_call_of_one_file_only(self):
        self.assert_caught("src/engine/a.c", HEAD + "int f(void) { clock_gettime(1); }\n", 2, "src/base/clock.c")
        self.assert_clean("src/base/clock.c", HEAD + "int f(void) { clock_gettime(1); }\n")

    def test_clock_or_thread_in_the_engine(self):
        for call in ("kolo_clock_now_ns", "pthread_create", "getrandom", "usleep"):
            self.assert_caught("src/engine/step.c", HEAD + f"int f(void) {{ {call}(); }}\n", 2, "not repeatable")
            self.assert_clean("src/engine/driver.c", HEAD + f"int f(void) {{ {call}(); }}\n")

    def test_sleep_in_a_test(self):
        self.assert_caught("tests/unit/a.c", HEAD + "int f(void) { usleep(1); }\n", 2, "usleep()")

    def test_long_file(self):
        self.assert_caught("src/base/a.c", HEAD + "int x;\n" * 450, 451, "451 lines")
        self.assert_clean("src/base/a.c", HEAD + "int x;\n" * 449)

    def test_unfinished(self):
        self.assert_caught("src/base/a.c", HEAD + f"int x; // {UNFINISHED}: more\n", 2, "unfinished")
        self.assert_caught("docs/A.md", f"# A\n{UNFINISHED}\n", 2, "unfinished")

    def test_tab(self):
        self.assert_caught("src/base/a.c", HEAD + "\tint x;\n", 2, "tab")

    def test_long_line(self):
        self.assert_caught("src/base/a.c", HEAD + "int " + "x" * 126 + ";\n", 2, "131 columns")

    def test_no_opening_comment(self):
        self.assert_caught("src/base/a.h", "#pragma once\n", 1, "without a comment")

    def test_end_of_line_and_of_file(self):
        self.assert_caught("src/base/a.c", HEAD + "int x; \n", 2, "space at the end")
        self.assert_caught("src/base/a.c", HEAD + "int x;", 2, "no newline")


if __name__ == "__main__":
    unittest.main()
