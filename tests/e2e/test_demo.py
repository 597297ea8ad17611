"""examples/demo: its table, its kills, what it leaves behind, and that it notices a loss.

    test_demo.py KSRUN
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest

KSRUN = os.path.abspath(sys.argv.pop(1))
DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/demo")
TOPICS = ["installed", "upgraded", "removed", "status", "triggers", "other", "lines", "rejected"]
# What the log of dpkg is made of, and lines of a shape that the demo leaves out.
EVENTS = ["startup archives unpack", "install p%d:amd64 <none> 1.0", "status unpacked p%d:amd64 1.0", "what now",
          "configure p%d:amd64 1.0 <none>", "upgrade p%d:all 1.0 1.1", "trigproc p%d:all 1.0 <none>", "purge p%d:amd64 1.1 <none>"]


class Demo(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ks-test-demo-")
        self.addCleanup(self.folder.cleanup)
        self.log = self.write("dpkg.log", "".join(
            "2025-06-24 14:36:25 %s\n" % (EVENTS[i % 8] % (i % 50) if "%" in EVENTS[i % 8] else EVENTS[i % 8])
            for i in range(800)))
        self.status = self.write("status", "".join(
            "Package: q%d\nArchitecture: all\nVersion: 2.%d\n\n" % (i, i) for i in range(300)))
        os.mkdir(os.path.join(self.folder.name, "tmp"))

    def write(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def demo(self, records, code=0, **env):
        done = subprocess.run([DEMO, str(records)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=800,
                              env=dict(os.environ, **dict(dict(KSRUN=KSRUN, KS_DEMO_LOG=self.log, KS_DEMO_STATUS=self.status,
                                                               TMPDIR=os.path.join(self.folder.name, "tmp")), **env)))
        text = done.stdout.decode()
        self.assertEqual(done.returncode, code, text)
        self.assertEqual(os.listdir(os.path.join(self.folder.name, "tmp")), [], "nothing is left behind")
        return text

    def found(self, text):
        return {t: int(re.search(r"  packages\.%s +\d+ +(\d+) +\d+ +\d+\n" % t, text)[1]) for t in TOPICS}

    def test_kills_lose_and_double_nothing(self):
        text = self.demo(700000)
        self.assertIn("700 events of %s, repeated: 700000 records" % self.log, text)
        self.assertEqual(self.found(text), {"installed": 100000, "upgraded": 100000, "removed": 100000, "status": 100000,
                                            "triggers": 100000, "other": 200000, "lines": 600000, "rejected": 0})
        self.assertRegex(text, r"700000 records in, [2-4] times killed, missing 0, doubled 0, \d+ records/s\n$")
        for done in re.findall(r"killed with SIGKILL after .* s: (\d+) of 700000", text):
            self.assertTrue(0 < int(done) < 700000)

    def test_a_job_that_is_killed_before_its_first_commit_is_started_again(self):
        slow = self.write("slow", '#!/bin/sh\n[ "$1" = run ] && mkdir "$0.once" 2> /dev/null && exec sleep 1000\n'
                          'exec "%s" "$@"\n' % KSRUN)
        os.chmod(slow, 0o755)
        text = self.demo(700000, KSRUN=slow)
        self.assertTrue(os.path.isdir(slow + ".once"))
        self.assertRegex(text, r"700000 records in, [2-4] times killed, missing 0, doubled 0, \d+ records/s\n$")

    def test_without_a_log_the_status_file_will_do(self):
        for log in ("/nonexistent", self.write("tiny", "2025-06-24 14:36:25 startup archives unpack\n")):
            text = self.demo(600000, KS_DEMO_LOG=log)
            self.assertIn("600 events of %s" % self.status, text)
            self.assertEqual(self.found(text)["installed"], 300000)
        text = self.demo(1000, 1, KS_DEMO_LOG="/nonexistent", KS_DEMO_STATUS="/nonexistent")
        self.assertEqual(text, "demo: there is nothing to read in /nonexistent or /nonexistent\n")

    def test_a_loss_and_a_doubled_record_are_noticed(self):
        cheat = self.write("cheat", '#!/bin/sh\ncase "$1 $2 $3" in\n'
                           '"topic consume packages.upgraded") "%s" "$@" | sed 7d ;;\n'
                           '"topic consume packages.lines") "%s" "$@" | sed 5p ;;\n'
                           '"topic consume packages.rejected") echo stranger ;;\n'
                           '*) exec "%s" "$@" ;;\nesac\n' % (KSRUN, KSRUN, KSRUN))
        os.chmod(cheat, 0o755)
        text = self.demo(7000, 1, KSRUN=cheat)
        self.assertRegex(text, r"packages\.upgraded +1000 +999 +1 +0\n")
        self.assertRegex(text, r"packages\.lines +6000 +6001 +0 +1\n")
        self.assertIn("something is missing, doubled or wrong (1 records that nobody expected)", text)


if __name__ == "__main__":
    unittest.main()
