"""What the end-to-end tests share: run the real binary, look at everything it does."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

BINARY = None


def main():
    """unittest.main with the path of ksrun as the first argument."""
    global BINARY
    import ksrun  # the tests import this file under its own name

    BINARY = ksrun.BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main(module="__main__")


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return "exit %s\nstdout: %r\nstderr: %r" % (self.code, self.out[:2000], self.err[:2000])


class Case(unittest.TestCase):
    """A data directory of its own for every test."""

    maxDiff = None

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="ks-e2e-")
        self.data = os.path.join(self.dir, "data")
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.env = dict(os.environ, KS_DATA=self.data, XDG_CONFIG_HOME=os.path.join(self.dir, "config"))
        for name in ("KS_LOG", "KS_LOG_FORMAT", "NO_COLOR", "KS_BOOTSTRAP", "KS_CONFIG", "KS_PROFILE"):
            self.env.pop(name, None)

    def run_any(self, *args, stdin=b"", timeout=300):
        """Runs ksrun; text arguments, bytes in, text out when it is text."""
        if isinstance(stdin, str):
            stdin = stdin.encode()
        done = subprocess.run([BINARY, *args], input=stdin, env=self.env, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return Result(done.returncode, done.stdout, done.stderr.decode())

    def ok(self, *args, stdin=b""):
        """It succeeds and says nothing on stderr; stdout as text."""
        r = self.run_any(*args, stdin=stdin)
        self.assertEqual((r.code, r.err), (0, ""), r)
        return r.out.decode()

    def ok_bytes(self, *args, stdin=b""):
        r = self.run_any(*args, stdin=stdin)
        self.assertEqual((r.code, r.err), (0, ""), r)
        return r.out

    def fails(self, code, err, *args, stdin=b""):
        """It fails with this code and exactly this text on stderr; stdout as text."""
        r = self.run_any(*args, stdin=stdin)
        self.assertEqual((r.code, r.err), (code, err), r)
        return r.out.decode()

    def start(self, *args, **kwargs):
        p = subprocess.Popen([BINARY, *args], env=self.env, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)

        def end():
            if p.poll() is None:
                p.kill()
            p.wait()
            for f in (p.stdin, p.stdout, p.stderr):
                f.close()

        self.addCleanup(end)
        return p

    def json(self, *args):
        return json.loads(self.ok(*args))
