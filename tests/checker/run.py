#!/usr/bin/env python3
"""Transactions of real clients under faults, judged by the checker.

    run.py --ksrun PATH --client PATH [--kinds librdkafka,java] [--consume assign|subscribe] [--seconds 10] [--runs 1]
           [--faults kill,stop,...] [--seed N] [--kafka] [--keep DIR] [--forget]

Workers, each with a transactional id of its own, send to the partitions of one topic, read them and move offsets, in
transactions of which some are aborted, through a proxy. Meanwhile one fault follows the other; after each, everything works
until every worker has committed again. At the end one reader of either isolation level reads all. What they all wrote down
is one history, which rules.py judges. --kafka runs it against Apache Kafka (bench/peer) instead.

The exit status is 0 when no rule is broken. A history that breaks one is kept, and its folder told. With --forget the broker
loses what it wrote for a while: then a rule must be broken, so that it is known that they can be.
"""
import argparse
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import check
import cluster
import history
import probe
import programs
import proxy
import rules

TOPIC, PARTITIONS = "txn", 4
PROGRESS_LIMIT_S = 120
END_LIMIT_S = 120
STABLE_LIMIT_S = 120    # two timeouts of a transaction and the broker's look for them, and more
FORGOTTEN_LIMIT_S = 30  # of all of them with --forget: what is waited for may never come then
TXN_TIMEOUT_MS = 10_000
RELEASED_S = 5.0        # a held request comes this late: clients give up after 3 s


class Worker:
    """One transactional id, and the process that has it now."""

    def __init__(self, run, number, kind):
        self.run, self.number, self.kind, self.incarnation = run, number, kind, 0
        self.id = f"{kind}-{number}"
        self.start()

    def start(self):
        """Each incarnation is a process of its own in the history."""
        args, self.incarnation = self.run.args, self.incarnation + 1
        self.name = f"{self.id}.{self.incarnation}"
        base = (self.number + 1) * 10**12 + self.incarnation * 10**9
        subscribes = ["-s", "-g", "group"] if args.consume == "subscribe" else ["-g", self.name]
        argv = [*programs.command(self.kind, args), "work", "-b", self.run.bootstrap, "-t", TOPIC, "-p", PARTITIONS,
                "-n", self.name, "-i", self.id, "-v", base, "-r", self.run.rng.randrange(1, 10**9), *subscribes]
        self.file = self.run.folder / f"{self.name}.jsonl"
        self.program = programs.Program(argv, self.file, self.run.folder / f"{self.name}.err")
        self.run.files.append(self.file)

    def commits(self):
        return self.file.read_bytes().count(b'"e":"ok"')


class Run:
    def __init__(self, args, seed, folder):
        self.args, self.seed, self.folder, self.rng = args, seed, folder, random.Random(seed)
        self.files, self.problems, self.done = [], [], {}
        self.nemesis = open(folder / "nemesis.jsonl", "w")
        self.proxy = proxy.Proxy()
        port = None if args.direct else self.proxy.port
        self.broker = cluster.Kafka(port) if args.kafka else cluster.Ours(args.ksrun, folder, port)
        self.bootstrap = f"127.0.0.1:{port or self.broker.port}"

    def line(self, event, **more):
        print(json.dumps({"t": time.monotonic_ns(), "p": "nemesis", "e": event, **more}), file=self.nemesis, flush=True)

    # --- faults: each returns when everything works again ---

    def kill(self):
        self.broker.kill()
        time.sleep(self.rng.uniform(0, 0.5))
        self.broker.start()

    def failpoint(self):
        """Killed at a named place of a write; ours alone."""
        name = self.rng.choice(cluster.crash.FAILPOINTS)
        self.broker.kill()
        self.broker.start(f"{name}:{self.rng.choice([1, 2, 3, 5, 8, 13, 30, 80])}")
        self.broker.wait_killed(self.args.longest)
        self.broker.start()

    def stop(self):
        self.broker.pause()
        time.sleep(self.rng.uniform(0.1, self.args.longest))
        self.broker.resume()

    def cut(self):
        for _ in range(self.rng.randrange(1, 5)):
            self.proxy.cut()
            time.sleep(self.rng.uniform(0, 0.2))

    def refuse(self):
        self.proxy.refuse(True)
        self.proxy.cut()
        time.sleep(self.rng.uniform(0.1, self.args.longest))
        self.proxy.refuse(False)

    def hold(self):
        """One direction or both."""
        ways = self.rng.choice([(True, False), (False, True), (True, True)])
        self.proxy.block(*ways)
        time.sleep(self.rng.uniform(0.1, self.args.longest))
        self.proxy.block(False, False)

    def order(self, what, seconds):
        """Meant for a request of which there is one in every transaction, so it comes soon."""
        key = self.rng.choice([proxy.END_TXN, proxy.PRODUCE, proxy.TXN_OFFSET_COMMIT, proxy.ADD_PARTITIONS, proxy.ADD_OFFSETS])
        orders = [self.proxy.order(what, [key], seconds), self.proxy.order(what, [proxy.END_TXN, proxy.PRODUCE], seconds)]
        try:
            orders[1].met.result(PROGRESS_LIMIT_S)
        except TimeoutError:
            self.problems.append(("no-progress", f"no request came for {PROGRESS_LIMIT_S} s"))
        self.proxy.withdraw(orders[0])
        time.sleep(seconds)

    def late(self):
        """A request that its client has given up is delivered after newer ones."""
        self.order("hold", RELEASED_S)

    def lose(self):
        self.order("lose", 0)

    def duplicate(self):
        self.order("duplicate", self.rng.choice([0, 0.05, 0.5]))

    def bounce(self):
        """A worker is killed, another takes over its transactional id."""
        worker = self.rng.choice(self.workers)
        worker.program.kill()
        worker.start()

    def zombie(self):
        """A worker stands still, another takes over, the first goes on for a while."""
        worker = self.rng.choice(self.workers)
        old = worker.program
        old.signal(signal.SIGSTOP)
        worker.start()
        self.wait_for([worker], "after it took over a transactional id")
        old.signal(signal.SIGCONT)
        time.sleep(self.rng.uniform(0.2, 1.0))
        old.kill()

    def nap(self):
        """A worker stands still, beyond its session's or its transaction's timeout at times."""
        worker = self.rng.choice(self.workers)
        worker.program.signal(signal.SIGSTOP)
        time.sleep(self.rng.choice([0.5, self.args.longest, *([8, 12] if self.args.seconds >= 60 else [1])]))
        worker.program.signal(signal.SIGCONT)

    def forget(self):
        """What was acknowledged for a while is gone after a kill, as if the disk had lied. Only with --forget."""
        data, backup = self.folder / "data", self.folder / "backup"
        self.broker.kill()
        shutil.copytree(data, backup)
        self.broker.start()
        self.wait_for(self.workers, "after the copy")
        self.broker.kill()
        shutil.rmtree(data)
        backup.rename(data)
        self.broker.start()

    # --- the run ---

    def limit_s(self, usual_s):
        return min(usual_s, FORGOTTEN_LIMIT_S) if self.args.forget else usual_s

    def wait_for(self, workers, when):
        """Until each has committed once more than it has now."""
        before = {w: w.commits() for w in workers}
        limit_s = self.limit_s(PROGRESS_LIMIT_S)
        end = time.monotonic() + limit_s
        for worker in workers:
            while worker.commits() <= before[worker]:
                self.broker.check_alive()
                if worker.program.process.poll() is not None:
                    said = (self.folder / f"{worker.name}.err").read_text(errors="replace")[-4000:]
                    sys.exit(f"{worker.name} ended with {worker.program.process.returncode}:\n{said}")
                if time.monotonic() > end:
                    self.problems.append(("no-progress", f"{worker.name} committed nothing for {limit_s} s {when}"))
                    return
                time.sleep(0.02)

    def disturb(self):
        end, left = time.monotonic() + self.args.seconds, []
        while time.monotonic() < end and not self.problems:
            left = left or self.rng.sample(self.args.faults, len(self.args.faults))
            if not left:
                self.wait_for(self.workers, "without any fault")
                continue
            name = left.pop()
            self.line("fault", name=name)
            getattr(self, name)()
            self.line("healed")
            self.wait_for(self.workers, f"after {name}")
            self.line("over")
            self.done[name] = self.done.get(name, 0) + 1

    def end_workers(self):
        for worker in self.workers:
            worker.program.ask_to_end()
        limit_s = self.limit_s(END_LIMIT_S)
        for worker in self.workers:
            code = worker.program.wait(limit_s)
            if code != 0:
                self.problems.append(("no-end", f"{worker.name} ended with {code} (None: not within {limit_s} s)"))

    def read_all(self):
        for isolation in ("read_committed", "read_uncommitted"):
            file = self.folder / f"{isolation}.jsonl"
            reader = programs.Program([self.args.client, "read", "-b", self.bootstrap, "-t", TOPIC, "-p", PARTITIONS,
                                       "-n", isolation, "-I", isolation], file, self.folder / f"{isolation}.err")
            self.files.append(file)
            if reader.wait(END_LIMIT_S + 60) != 0:
                self.problems.append(("no-end", f"the {isolation} reader did not come to the end"))

    def conclude(self):
        ends = probe.wait_stable(self.broker.port, TOPIC, PARTITIONS, self.limit_s(STABLE_LIMIT_S))
        self.line("ends", at=ends)
        for name in probe.open_longer(probe.load.Client(self.broker.port), TXN_TIMEOUT_MS + rules.OPEN_SLACK_MS):
            self.line("open", id=name, age_ms=TXN_TIMEOUT_MS + rules.OPEN_SLACK_MS + 1, timeout_ms=TXN_TIMEOUT_MS)

    def work(self):
        self.broker.start()
        self.proxy.start(self.broker.port)
        try:
            probe.load.Client(self.broker.port).create([TOPIC], PARTITIONS)
            kinds = self.args.kinds
            self.workers = [Worker(self, i, kinds[i % len(kinds)]) for i in range(self.args.workers)]
            self.wait_for(self.workers, "at the beginning")
            self.disturb()
            self.end_workers()
            self.conclude()
            self.read_all()
        finally:
            for worker in getattr(self, "workers", []):
                worker.program.kill()
            wrong = self.broker.stop()
            if wrong:
                self.problems.append(("broker", wrong))

    def judge(self):
        """True when nothing is wrong."""
        self.nemesis.close()
        violations, counts = rules.check(history.read([*self.files, self.folder / "nemesis.jsonl"]))
        print("faults: " + (", ".join(f"{name} {n}" for name, n in sorted(self.done.items())) or "none"))
        if counts["ok"] < 10 or counts["read"] < 10:
            self.problems.append(("workload", "hardly anything was done"))
        return check.report(self.problems + violations, counts, self.args.most)


def one_run(args, seed):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ks-txn-", dir=args.keep))
    print(f"seed {seed}, {','.join(args.kinds)}, {args.consume}, {args.seconds} s", flush=True)
    run = Run(args, seed, folder)
    run.work()
    is_right = run.judge()
    if is_right != args.forget and not args.keep:
        shutil.rmtree(folder)
    else:
        print(f"the history is in {folder}")
    return is_right


FAULTS = ["kill", "failpoint", "stop", "cut", "refuse", "hold", "late", "lose", "duplicate", "bounce", "zombie", "nap"]
DIRECT = ["kill", "failpoint", "stop", "bounce", "zombie", "nap", "forget"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ksrun")
    parser.add_argument("--client", required=True, help="the program txn_client")
    parser.add_argument("--build", type=pathlib.Path, default=cluster.ROOT / "build" / "clients")
    parser.add_argument("--kinds", type=lambda s: s.split(","), default=["librdkafka"])
    parser.add_argument("--consume", choices=["assign", "subscribe"], default="assign")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--longest", type=float, default=2.0, help="seconds that a fault lasts at most")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--faults", type=lambda s: [f for f in s.split(",") if f], default=FAULTS)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kafka", action="store_true")
    parser.add_argument("--forget", action="store_true")
    parser.add_argument("--direct", action="store_true", help="without the proxy, and so without its faults")
    parser.add_argument("--keep", type=pathlib.Path, help="keep every history below this folder")
    parser.add_argument("--most", type=int, default=10, help="violations of a rule that are told")
    args = parser.parse_args()
    unknown = [f for f in args.faults if f not in FAULTS]
    if unknown or not (args.kafka or args.ksrun):
        parser.error(f"no such fault: {unknown[0]}" if unknown else "--ksrun or --kafka is needed")
    if args.forget:
        args.faults = ["forget"]
    if args.kafka:
        args.faults = [f for f in args.faults if f != "failpoint"]
    if args.direct:
        args.faults = [f for f in args.faults if f in DIRECT]
    programs.skip_without(args.kinds, args)
    broken = [seed for seed in range(args.seed, args.seed + args.runs) if not one_run(args, seed)]
    print(f"{args.runs} runs, {len(broken)} with violations{': seeds ' + str(broken) if broken else ''}")
    if args.forget:
        return 0 if len(broken) == args.runs else 1
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
