"""The programs that work with transactions: how they are started, and whether they can be."""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))
import clients  # noqa: E402
import run as client_run  # noqa: E402

SKIPPED = 77
INSTALLED = {"java": "checker_java", "franz_go": "checker_go"}


def command(kind, args):
    """The program and its fixed arguments; modes and options are the same for all kinds."""
    if kind == "librdkafka":
        return [args.client]
    client = clients.BY_NAME[INSTALLED[kind]]
    return client.command(args.build / client.name)


def skip_without(kinds, args):
    """Ends with the status of a skipped test when one of them is not installed."""
    for kind in kinds:
        why = client_run.installed(clients.BY_NAME[INSTALLED[kind]], args.build) if kind in INSTALLED else None
        if why and os.environ.get("KS_CLIENTS") == "required":
            sys.exit(f"{kind} is not installed: {why}")
        if why:
            print(f"skipped: {kind} is not installed: {why}")
            sys.exit(SKIPPED)


class Program:
    """One process that ends when its standard input does."""

    def __init__(self, argv, out, err):
        self.out = out
        with open(out, "ab") as stdout, open(err, "ab") as stderr:
            self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, stdout=stdout, stderr=stderr)

    def signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def ask_to_end(self):
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()

    def wait(self, limit_s):
        """Its status, None when it had to be killed."""
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self):
        self.process.kill()
        self.process.wait()
