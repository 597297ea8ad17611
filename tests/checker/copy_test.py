#!/usr/bin/env python3
"""Copies a topic exactly once while broker and copiers are killed, and counts what arrived.

    copy.py --ksrun PATH --client PATH --kind librdkafka|java|franz_go [--messages 1000000] [--batch 750] [--bounces 20]
            [--no-member] [--no-order] [--seed N] [--kafka] [--apart]

Numbered messages fill three partitions; two copiers, members of one group, carry them over in transactions that hold the
offsets too. Meanwhile the broker is killed or stopped cleanly and started again, a copier is killed and started again or
asked to end and started again, connections are cut. When the group has committed the end of every partition, a reader looks
for every message in the copy, once, and in order. --no-member sends the offsets with the group's name alone, as old programs
do: then with one copier, that keeps its transactional id. --no-order lets records change their partitions.

--apart lets librdkafka's copiers commit their offsets behind the transactions: then messages must be found twice.
"""
import argparse
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import cluster
import probe
import programs
import proxy

FROM, TO, GROUP, PARTITIONS = "from", "to", "copiers", 3
STEP_S = 0.2
LIMIT_S = 300           # nothing was committed for so long
END_LIMIT_S = 120


class Copier:
    def __init__(self, copy, number):
        self.copy, self.number = copy, number
        self.start()

    def start(self):
        args = self.copy.args
        options = [flag for flag, is_on in (("-M", args.no_member), ("-O", args.no_order), ("-A", args.apart)) if is_on]
        name = f"{args.kind}-{self.number}"
        self.program = programs.Program(
            [*programs.command(args.kind, args), *([] if args.kind == "franz_go" else ["copy"]), "-b", self.copy.bootstrap,
             "-t", FROM, "-T", TO, "-p", PARTITIONS, "-n", name, "-i", f"copier-{self.number}", "-g", GROUP,
             "-c", args.batch, *options], self.copy.folder / f"{name}.out", self.copy.folder / f"{name}.err")

    def revive(self):
        """franz-go's ends when its session cannot go on."""
        if self.program.process.poll() is None:
            return
        if self.copy.args.kind != "franz_go":
            sys.exit(f"a copier ended with {self.program.process.returncode}:\n{self.said()}")
        self.copy.count("copier ended")
        self.start()

    def said(self):
        return (self.copy.folder / f"{self.copy.args.kind}-{self.number}.err").read_text(errors="replace")[-4000:]


class Copy:
    def __init__(self, args, folder):
        self.args, self.folder, self.rng, self.done = args, folder, random.Random(args.seed), {}
        self.proxy = proxy.Proxy()
        self.broker = cluster.Kafka(self.proxy.port) if args.kafka else cluster.Ours(args.ksrun, folder, self.proxy.port)
        self.bootstrap = f"127.0.0.1:{self.proxy.port}"
        self.each = args.messages // PARTITIONS

    def count(self, name):
        self.done[name] = self.done.get(name, 0) + 1

    def client(self, mode, topic, *more):
        return subprocess.run([self.args.client, mode, "-b", f"{self.bootstrap}", "-t", topic, "-p", str(PARTITIONS),
                               "-c", str(self.each), *more], stdout=subprocess.PIPE, text=True, timeout=1800)

    # --- bounces ---

    def broker_kill(self):
        self.broker.kill()
        self.broker.start()

    def broker_clean(self):
        wrong = self.broker.stop()
        if wrong:
            sys.exit(wrong)
        self.broker.start()

    def copier_kill(self):
        copier = self.rng.choice(self.copiers)
        copier.program.kill()
        copier.start()

    def copier_clean(self):
        copier = self.rng.choice(self.copiers)
        copier.program.ask_to_end()
        if copier.program.wait(END_LIMIT_S) is None:
            sys.exit(f"a copier does not end:\n{copier.said()}")
        copier.start()

    def cut(self):
        self.proxy.cut()

    # --- the run ---

    def committed(self):
        """The sum of the group's offsets, and whether they are all at the end."""
        try:
            offsets = probe.committed(probe.load.Client(self.broker.port), GROUP, FROM, PARTITIONS)
        except OSError:
            offsets = None
        if offsets is None:
            return 0, False
        return sum(max(0, o) for o in offsets), all(o >= end for o, end in zip(offsets, self.ends))

    def watch(self):
        """Bounces are spread over the copy: each is due when so much has been committed."""
        bounces = ["broker_kill", "copier_kill", "broker_clean", "copier_clean", "cut"]
        total, given, best, moved = self.each * PARTITIONS, 0, 0, time.monotonic()
        while True:
            self.broker.check_alive()
            copied, is_done = self.committed()
            if is_done:
                return
            if copied > best:
                best, moved = copied, time.monotonic()
            if time.monotonic() - moved > LIMIT_S:
                said = "\n".join(c.said() for c in self.copiers)
                sys.exit(f"{best} of {total} messages were copied, then nothing for {LIMIT_S} s\n{said}")
            if given < self.args.bounces and best >= total * given / self.args.bounces:
                name = bounces[given % len(bounces)]
                getattr(self, name)()
                self.count(name)
                given += 1
            for copier in self.copiers:
                copier.revive()
            time.sleep(STEP_S)

    def work(self):
        self.broker.start()
        self.proxy.start(self.broker.port)
        self.copiers = []
        try:
            client = probe.load.Client(self.broker.port)
            client.create([FROM, TO], PARTITIONS)
            if self.client("seed", FROM).returncode:
                sys.exit("the topic could not be filled")
            self.ends = probe.latest(client, FROM, PARTITIONS, probe.COMMITTED)
            began = time.monotonic()
            self.copiers = [Copier(self, i) for i in range(1 if self.args.no_member else 2)]
            self.watch()
            took = time.monotonic() - began
            for copier in self.copiers:
                copier.program.ask_to_end()
                copier.program.wait(END_LIMIT_S)
            ends = probe.wait_stable(self.broker.port, TO, PARTITIONS, 120)
            verified = self.client("verify", TO, *(["-O"] if self.args.no_order else []))
            bounced = ", ".join(f"{name} {n}" for name, n in sorted(self.done.items())) or "nothing"
            print(f"{self.args.kind}: {verified.stdout.strip()} ({took:.1f} s; bounced: {bounced})")
            stuck = [p for p, (stable, high) in ends.items() if stable != high]
            if stuck:
                print(f"the last stable offset stays behind in partitions {stuck}: {ends}")
            return verified.returncode == 0 and not stuck
        finally:
            for copier in self.copiers:
                copier.program.kill()
            wrong = self.broker.stop()
            if wrong:
                print(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ksrun")
    parser.add_argument("--client", required=True, help="the program txn_client")
    parser.add_argument("--build", type=pathlib.Path, default=cluster.ROOT / "build" / "clients")
    parser.add_argument("--kind", choices=["librdkafka", "java", "franz_go"], default="librdkafka")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=750, help="messages of a transaction")
    parser.add_argument("--bounces", type=int, default=20)
    parser.add_argument("--no-member", action="store_true")
    parser.add_argument("--no-order", action="store_true")
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--kafka", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    if not (args.kafka or args.ksrun) or args.no_member and args.kind == "franz_go":
        parser.error("--ksrun or --kafka is needed" if not (args.kafka or args.ksrun) else "franz-go always sends the member")
    programs.skip_without([args.kind], args)
    print(f"seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="ks-copy-") as folder:
        is_right = Copy(args, pathlib.Path(folder)).work()
    if args.apart:
        print("the copy was not exact, and that was noticed" if not is_right else "nobody noticed what must have been doubled")
        return 0 if not is_right else 1
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
