#!/usr/bin/env python3
"""Kills a broker again and again under the load of real clients, which then say whether anything was lost.

broker_clients (librdkafka) keeps idempotent producers with acks=all and a consumer group at work. Meanwhile the broker is
killed with SIGKILL, half of the times at a named failpoint, half at a random moment, and started again on the same data and port. At
the end the clients compare what was acknowledged with what is there: nothing lost, nothing doubled, order kept, committed
offsets never back.

--forget copies the data directory before each start and puts the copy back after some of the kills, as a disk that loses
acknowledged writes would: then the clients must find a difference. The harness can fail.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import ports  # noqa: E402

FAILPOINTS = ["shard-collect", "shard-write", "shard-written", "shard-mark", "shard-reply"]
UNDER_WAY = 5000  # of each producer at most five batches of 50


def answers(port):
    """Asks for the supported versions: api 18, version 0, correlation id 1, no client id."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as s:
            s.settimeout(5)
            s.sendall(bytes.fromhex("0000000a0012000000000001ffff"))
            return s.recv(10)[4:] == bytes.fromhex("000000010000")
    except OSError:
        return False


class Broker:
    def __init__(self, ksrun, data, port):
        self.command = [ksrun, "broker", "--listen", f"127.0.0.1:{port}", "--data", str(data)]
        self.port = port

    def start(self, failpoint=None):
        env = dict(os.environ, KS_LOG="error", KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0")
        env.pop("KS_FAILPOINT", None)
        if failpoint:
            env["KS_FAILPOINT"] = failpoint
        self.process = subprocess.Popen(self.command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def wait_ready(self):
        """False: it was killed before."""
        deadline = time.monotonic() + 60
        while not answers(self.port):
            if self.process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                sys.exit("the broker does not answer after 60 s")
            time.sleep(0.005)
        return True

    def end(self, after_s):
        """Waits so long for a failpoint, else kills. Any other end is an error."""
        try:
            self.process.wait(after_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
        _, err = self.process.communicate()
        if self.process.returncode != -signal.SIGKILL:
            sys.exit(f"the broker ended with {self.process.returncode}:\n{err.decode(errors='replace')}")

    def stop(self):
        self.process.terminate()
        _, err = self.process.communicate(timeout=60)
        if self.process.returncode != 0:
            sys.exit(f"the broker ended with {self.process.returncode} after SIGTERM:\n{err.decode(errors='replace')}")


def records(args, broker):
    said = subprocess.run([args.ksrun, "topic", "list", "crash", "-b", f"127.0.0.1:{broker.port}", "--format", "json"],
                          check=True, stdout=subprocess.PIPE)
    return json.loads(said.stdout)[0]["records"]


def forget(args, broker, clients, data):
    """One life of the broker of which nothing is left. It is long enough for some of it to have been acknowledged: there are
    more records than clients have under way."""
    backup = data.parent / "backup"
    shutil.copytree(data, backup)
    broker.start()
    broker.wait_ready()
    before = records(args, broker)
    while clients.poll() is None and records(args, broker) < before + UNDER_WAY:
        time.sleep(0.01)
    broker.process.kill()
    broker.process.communicate()
    shutil.rmtree(data)
    backup.rename(data)


def one_kill(args, rng, number, broker, clients, data):
    if args.forget and number % 4 == 3:
        forget(args, broker, clients, data)
        return
    failpoint = None
    if number % 2:
        name = FAILPOINTS[number // 2 % len(FAILPOINTS)]
        failpoint = f"{name}:{rng.choice([1, 2, 3, 5, 8, 13, 30, 80])}"
    broker.start(failpoint)
    if broker.wait_ready():
        broker.end(args.longest * 2 if failpoint else rng.uniform(0.01, args.longest))
    else:
        broker.end(0)


def run(args, rng, folder):
    data, port = folder / "data", ports.hold()
    broker = Broker(args.ksrun, data, port)
    broker.start()
    broker.wait_ready()
    subprocess.run([args.ksrun, "topic", "create", "crash", "-p", "4", "-b", f"127.0.0.1:{port}"], check=True,
                   stdout=subprocess.DEVNULL)
    clients = subprocess.Popen([args.clients, f"127.0.0.1:{port}", "crash", str(args.producers), str(args.consumers)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    time.sleep(args.longest)
    broker.process.kill()
    broker.process.communicate()
    for number in range(1, args.kills):
        one_kill(args, rng, number, broker, clients, data)
        if clients.poll() is not None:
            break
    broker.start()
    broker.wait_ready()
    out, _ = clients.communicate(timeout=600)
    broker.stop()
    return clients.returncode, out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ksrun", required=True)
    parser.add_argument("--clients", required=True, help="the program broker_clients")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--longest", type=float, default=0.4, help="seconds that a broker lives at most")
    parser.add_argument("--producers", type=int, default=3)
    parser.add_argument("--consumers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--forget", action="store_true")
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="ks-broker-crash-") as folder:
        code, out = run(args, random.Random(args.seed), pathlib.Path(folder))
    print(out.strip())
    if args.forget:
        if code != 1:
            sys.exit("writes were forgotten and nobody noticed")
        print("the lost writes were noticed")
        return
    if code:
        sys.exit(f"the clients found a difference (exit {code})")
    print(f"{args.kills} kills, 0 differences")


if __name__ == "__main__":
    main()
