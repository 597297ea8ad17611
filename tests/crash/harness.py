#!/usr/bin/env python3
"""Kills a running job again and again and compares what it leaves behind with a run that nobody disturbed.

One input is produced once and copied for every round. A round starts the job with `ksrun run --once`, kills it with
SIGKILL after a random time or at a named failpoint, starts it again, and so on; when it has come to its end, every output
topic and every state store must equal the undisturbed run's, byte for byte. Records of one key keep their order; between
keys the order of two runs may differ, so the comparison sorts by key and keeps the order within.

With --guarantee at_least_once the harness must find duplicates, with at_most_once losses: it can fail.
"""
import argparse
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
# For each job its output topics and its stores.
JOBS = {
    "job.lua": (["orders", "rest", "users", "countries"], ["users", "countries"]),
    "job_process.lua": (["fresh", "thirds", "country_users", "dead"], ["visits", "country_users"]),
}
# In the order in which a step passes them; base/failpoint.c has the list.
FAILPOINTS = [
    "commit-submit", "shard-collect", "shard-write", "shard-written", "shard-mark", "shard-reply",
    "commit-done", "state-merge", "state-merged",
]
OWED_S = 600  # for what it must pass; a job that hangs does not
TYPES = ["order"] * 60 + ["refund"] * 5 + ["click"] * 25 + ["view"] * 10
COUNTRIES = "de fr it es pt nl be at ch pl cz dk se no fi ie gb us jp br".split()


def write_input(path, records, seed):
    rng = random.Random(seed)
    with open(path, "w") as out:
        for i in range(records):
            user = f"u{rng.randrange(10000):05d}"
            at = i + rng.randrange(-500, 500)
            out.write(f'{user}\t{{"id":{i},"type":"{rng.choice(TYPES)}","user":"{user}",'
                      f'"country":"{rng.choice(COUNTRIES)}","at":{at}}}\n')


class Job:
    """One data directory and the binary that works on it."""

    def __init__(self, args, data):
        self.ksrun, self.data, self.guarantee = args.ksrun, str(data), args.guarantee
        self.script = str(HERE / args.job)
        self.topics, self.stores = JOBS[args.job]
        self.more = [part for p in args.param for part in ("-p", p)]
        if args.threads:
            self.more += ["--threads", str(args.threads)]

    def command(self):
        return [self.ksrun, "run", "--once", "--data", self.data, "-p", f"guarantee={self.guarantee}", *self.more,
                self.script]

    def start(self, failpoint=None):
        env = dict(os.environ, KS_LOG="error")
        env.pop("KS_FAILPOINT", None)
        if failpoint:
            env["KS_FAILPOINT"] = failpoint
        return subprocess.Popen(self.command(), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def finish(self):
        process = self.start()
        _, err = process.communicate()
        if process.returncode != 0:
            sys.exit(f"the job failed with {process.returncode}:\n{err.decode(errors='replace')}")

    def fingerprint(self, command):
        """Hash and number of lines, sorted by the first column with the order of equal ones kept."""
        dump = subprocess.Popen(command, stdout=subprocess.PIPE)
        order = subprocess.run(["sort", "-s", "-t", "\t", "-k1,1"], stdin=dump.stdout, stdout=subprocess.PIPE,
                               env=dict(os.environ, LC_ALL="C"), check=True)
        if dump.wait() != 0:
            sys.exit(f"{' '.join(command)} failed with {dump.returncode}")
        return hashlib.sha256(order.stdout).hexdigest(), order.stdout.count(b"\n")

    def results(self):
        found = {}
        for topic in self.topics:
            found["topic " + topic] = self.fingerprint(
                [self.ksrun, "topic", "consume", topic, "-o", ":end", "-f", "%k\t%p\t%v\n", "--data", self.data])
        for store in self.stores:
            found["state " + store] = self.fingerprint(
                [self.ksrun, "job", "state", self.script, store, "--data", self.data])
        return found


def prepare(ksrun, data, topics, records, seed):
    with tempfile.NamedTemporaryFile(prefix="ks-crash-", suffix=".tsv") as lines:
        write_input(lines.name, records, seed)
        for topic in ["in"] + topics:
            subprocess.run([ksrun, "topic", "create", topic, "-p", "4", "--data", str(data)],
                           check=True, stdout=subprocess.DEVNULL)
        with open(lines.name) as source:
            subprocess.run([ksrun, "topic", "produce", "in", "-f", "%k\t%v\n", "--data", str(data)], stdin=source,
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Killer:
    """Deals out kills. First every failpoint once, the first time that it is passed, however long that takes: so what is
    demanded of a run does not depend on the machine. Then failpoints in turn and random moments, in equal parts."""

    def __init__(self, rng, names, longest, kills):
        self.rng, self.names, self.longest = rng, names, longest
        self.owed = names[:kills]
        self.count = 0
        self.by_kind = {}

    def next_failpoint(self):
        """Its name, which time, and how many seconds the job may live; no name: a kill at that moment."""
        if self.owed:
            return self.owed[0], 1, OWED_S
        if self.count % 2:
            return None, 0, self.rng.uniform(0.005, self.longest)
        name = self.names[self.count // 2 % len(self.names)]
        return name, self.rng.choice([1, 1, 2, 3, 5, 8, 13, 30]), self.longest * 2

    def run(self, job):
        """Starts the job and kills it. True: it was killed; False: it had come to its end."""
        name, times, seconds = self.next_failpoint()
        process = job.start(name and f"{name}:{times}")
        kind = name
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            # A failpoint that is not reached in time is answered with a kill at that moment.
            process.kill()
            kind = None
        _, err = process.communicate()
        if process.returncode == 0:
            self.count += 1 if name else 0  # not to meet the same unreachable failpoint for ever
        elif process.returncode != -signal.SIGKILL:
            sys.exit(f"the job ended with {process.returncode} after kill {self.count}:\n{err.decode(errors='replace')}")
        if self.owed and (process.returncode == 0 or not kind):
            sys.exit(f"the job never passes {name} on its way through what is left of the input: give more --records")
        if process.returncode == 0:
            return False
        if self.owed:
            self.owed = self.owed[1:]
        self.by_kind[kind or "random"] = self.by_kind.get(kind or "random", 0) + 1
        self.count += 1
        return True


def compare(expected, found):
    """Lines (name, expected count, found count) of what differs."""
    return [(name, expected[name][1], found[name][1]) for name in expected if found[name] != expected[name]]


def one_round(args, base, folder, killer, kills_wanted):
    data = folder / "round"
    shutil.copytree(base, data)
    job = Job(args, data)
    killed = 0
    while killed < kills_wanted and killer.run(job):
        killed += 1
    job.finish()
    found = job.results()
    shutil.rmtree(data)
    return killed, found


def verdict(args, differences, rounds):
    longer = [d for d in differences if d[2] > d[1]]
    shorter = [d for d in differences if d[2] < d[1]]
    if args.guarantee == "exactly_once":
        for name, want, have in differences:
            print(f"DIFFERENT {name}: {want} records without kills, {have} with")
        return 1 if differences else 0
    if args.guarantee == "at_least_once":
        print(f"at_least_once: {len(longer)} outputs with duplicates in {rounds} rounds, {len(shorter)} with losses")
        return 0 if longer and not shorter else 1
    print(f"at_most_once: {len(shorter)} outputs with losses in {rounds} rounds, {len(longer)} with duplicates")
    return 0 if shorter and not longer else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ksrun", required=True)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--kills-per-round", type=int, default=25)
    parser.add_argument("--longest", type=float, default=0.4, help="seconds that a run may live before it is killed")
    parser.add_argument("--job", default="job.lua", choices=sorted(JOBS))
    parser.add_argument("--threads", type=int, default=0, help="0: one per core")
    parser.add_argument("-p", "--param", action="append", default=[], help="NAME=VALUE for the job, may be repeated")
    parser.add_argument("--guarantee", default="exactly_once",
                        choices=["exactly_once", "at_least_once", "at_most_once"])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f"seed {args.seed}, {args.records} records, {args.kills} kills, {args.guarantee}", flush=True)

    names = FAILPOINTS if args.guarantee == "exactly_once" else ["half-commit"]
    killer = Killer(random.Random(args.seed), names, args.longest, args.kills)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ks-crash-"))
    try:
        base = folder / "base"
        prepare(args.ksrun, base, JOBS[args.job][0], args.records, args.seed)
        reference = folder / "reference"
        shutil.copytree(base, reference)
        calm = Job(args, reference)
        calm.finish()
        expected = calm.results()
        shutil.rmtree(reference)
        for name, (digest, count) in expected.items():
            print(f"  {name}: {count} records, {digest[:12]}")
        kills, rounds, differences = 0, 0, []
        while kills < args.kills:
            killed, found = one_round(args, base, folder, killer, min(args.kills_per_round, args.kills - kills))
            kills += killed
            rounds += 1
            differences += compare(expected, found)
            print(f"  round {rounds}: {killed} kills, {len(differences)} differences so far", flush=True)
            if rounds > args.kills * 4:
                sys.exit("the job comes to its end before it can be killed: give --records or a smaller --longest")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("kills: " + ", ".join(f"{kind} {n}" for kind, n in sorted(killer.by_kind.items())))
    code = verdict(args, differences, rounds)
    print(f"{kills} kills in {rounds} rounds: {'passed' if code == 0 else 'FAILED'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
