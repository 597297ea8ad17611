#!/usr/bin/env python3
"""Runs one client against a broker of its own and judges what it did.

    run.py --ksrun PATH [--build DIR] NAME

KS_TEST_BOOTSTRAP=host:port runs it against that cluster instead, which must have num.partitions=4. The client passes
when it ends with status 0 and has printed "ok STEP" for exactly the steps that clients.py lists, in that order; the
broker, when it ends with status 0 after SIGTERM and has said nothing about a failure. Exit 77: the client is not
installed here.
"""
import argparse
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import clients
import setup

sys.path.insert(0, str(clients.HERE.parent))
import ports  # noqa: E402

SKIPPED = 77
READY_S = 120
END_S = 120
CLIENT_S = 780      # ctest gives a little more
CONFIG = """\
num.partitions=4
group.initial.rebalance.delay.ms=0
"""


def answers(port):
    """Does it answer ApiVersions, version 0?"""
    request = struct.pack(">hhih", 18, 0, 1, 2) + b"ks"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
            s.sendall(struct.pack(">i", len(request)) + request)
            return len(s.recv(8)) == 8
    except OSError:
        return False


class Broker:
    """ksrun broker on a free port, its data in a directory that goes away."""

    def __init__(self, ksrun, config=CONFIG):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="ks-clients-"))
        self.log, self.port = self.dir / "log", ports.hold()
        (self.dir / "broker.properties").write_text(config)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [ksrun, "broker", "--config", str(self.dir / "broker.properties"), "--listen", f"127.0.0.1:{self.port}",
                 "--http", "off", "--data", str(self.dir / "data")], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.bootstrap = f"127.0.0.1:{self.port}"
        end = time.monotonic() + READY_S
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > end:
                self.fail("the broker does not serve")
            time.sleep(0.02)

    def said(self):
        return self.log.read_text(errors="replace")

    def fail(self, sentence):
        said = self.said()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir, True)
        sys.exit(f"{sentence} (exit {self.process.returncode}); it said:\n{said[-8000:]}")

    def stop(self):
        """Ends it; the first thing that is wrong about that, or None."""
        early = self.process.poll()
        if early is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.fail("the broker does not end after SIGTERM")
        said = self.said()
        shutil.rmtree(self.dir, True)
        if early is not None:
            return f"the broker ended by itself with {code}:\n{said[-8000:]}"
        if code != 0:
            return f"the broker ended with {code} after SIGTERM:\n{said[-8000:]}"
        if "Sanitizer" in said or "runtime error" in said:
            return "the broker's sanitizer said:\n" + said[-8000:]
        return None


def judge(wanted, done):
    """None, or what is wrong with the client's run."""
    steps = [line[3:] for line in done.stdout.splitlines() if line.startswith("ok ")]
    if done.returncode != 0:
        return f"after {steps} it ended with {done.returncode}:\n{done.stderr[-8000:]}"
    if steps != wanted:
        return f"it passed {steps} and not {wanted}"
    return None


def installed(client, build):
    """None, or why the client cannot run."""
    stamp, why = build / client.name / "stamp", build / (client.name + ".missing")
    if stamp.exists() and stamp.read_text() == setup.fingerprint(client):
        return None
    return why.read_text() if why.exists() else "tests/clients/setup.py has not been run since it changed"


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--ksrun")
    args.add_argument("--build", type=pathlib.Path, default=clients.HERE.parent.parent / "build" / "clients")
    args.add_argument("name", choices=clients.BY_NAME)
    args = args.parse_args()
    client, build = clients.BY_NAME[args.name], args.build.resolve()
    why = installed(client, build)
    if why and os.environ.get("KS_CLIENTS") == "required":
        sys.exit(f"{client.name} is not installed: {why}")
    if why:
        print(f"skipped: {client.name} is not installed: {why}")
        return SKIPPED
    into, foreign = build / client.name, os.environ.get("KS_TEST_BOOTSTRAP")
    env, wanted = {**os.environ, **client.env(into)}, client.steps
    broker = None if foreign else Broker(args.ksrun)
    command = [*client.command(into), foreign or broker.bootstrap, f"{client.name}-{os.getpid()}-{int(time.time())}"]
    try:
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, errors="replace", timeout=CLIENT_S)
        wrong = judge(wanted, done)
    except subprocess.TimeoutExpired as e:
        wrong = f"no end in {CLIENT_S} s; it said:\n{(e.stdout or b'').decode()}\n{(e.stderr or b'').decode()[-8000:]}"
    said = broker.said()[-4000:] if broker else ""
    broken = broker.stop() if broker else None
    if wrong:
        print(f"{client.name}: {wrong}\nThe broker said:\n{said}", file=sys.stderr)
    if broken:
        print(broken, file=sys.stderr)
    if wrong or broken:
        return 1
    print(f"{client.name}: {', '.join(wanted)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
