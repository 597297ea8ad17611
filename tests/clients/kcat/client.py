"""The steps with kcat, a command-line program over librdkafka.

It cannot create topics by itself: they come into being when it first sends to them, so the cluster has to have
num.partitions=4. What it shows of a group it writes on stderr.
"""
import atexit
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time

PARTITIONS = 4
RECORDS = 1000
KEYS = 50
LIMIT_S = 120
FILLER = "the same words again and again, the same words again and again"
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]

bootstrap, prefix = sys.argv[1:]


def check(condition, sentence):
    if not condition:
        sys.exit(sentence)


def passed(step):
    print("ok " + step, flush=True)


def kcat(*args, data=None):
    """Runs kcat to its end; what it writes on stdout. A failure ends the test."""
    done = subprocess.run(["kcat", "-b", bootstrap, *args], input=data, text=True, capture_output=True, timeout=LIMIT_S)
    check(done.returncode == 0, f"kcat {' '.join(args)}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def until(condition, sentence):
    end = time.monotonic() + LIMIT_S
    while not condition():
        check(time.monotonic() < end, "timed out: " + sentence())
        time.sleep(0.02)


def name(what):
    return f"{prefix}-{what}"


def topics():
    topic = name("auto")
    kcat("-P", "-t", topic, data="first\n")
    # Not for this topic alone: such a request would create it.
    found = [t for t in json.loads(kcat("-L", "-J"))["topics"] if t["topic"] == topic]
    check(len(found) == 1 and len(found[0]["partitions"]) == PARTITIONS, f"{topic} came into being as {found}")
    check(kcat("-C", "-t", topic, "-e", "-q") == "first\n", f"{topic} lost its record")
    passed("topics")


def codec(which):
    topic = name(which)
    sent = [(f"key-{i % KEYS}", f"{which} {i} {FILLER}") for i in range(RECORDS)]
    kcat("-P", "-t", topic, "-K", ":", "-z", which, "-H", "codec=" + which, "-X", "enable.idempotence=true",
         data="".join(f"{k}:{v}\n" for k, v in sent))
    came = [line.split("|") for line in kcat("-C", "-t", topic, "-e", "-q", "-f", "%p|%o|%k|%s|%h\n").splitlines()]
    check(len(came) == RECORDS, f"{which}: {len(came)} of {RECORDS} records came back")
    check({header for *_, header in came} == {"codec=" + which}, f"{which}: the header is lost")
    places, next_offset = {}, [0] * PARTITIONS
    for partition, offset, key, _, _ in came:
        places.setdefault(key, partition)
        check(places[key] == partition, f"{which}: {key} is in two partitions")
        check(int(offset) == next_offset[int(partition)], f"{which}: offset {offset} of partition {partition} came out of order")
        next_offset[int(partition)] += 1
    for key in places:
        check([v for _, _, k, v, _ in came if k == key] == [v for k, v in sent if k == key], f"{which}: the records of {key} differ")
    ends = kcat("-Q", *(f"-t{topic}:{p}:-1" for p in range(PARTITIONS))).splitlines()
    found = {int(re.search(r"\[(\d+)\]", line).group(1)): int(line.split()[-1]) for line in ends}
    check(found == dict(enumerate(next_offset)), f"{which}: the ends are {found}, not {next_offset}")
    passed(which)


class Member:
    """A kcat in the group that runs until it is told to stop."""

    def __init__(self, topic):
        self.topic, self.out, self.err = topic, "", ""
        self.process = subprocess.Popen(
            ["kcat", "-b", bootstrap, "-G", topic, "-u", "-X", "auto.offset.reset=earliest", "-X", "heartbeat.interval.ms=500",
             "-f", "%p %o %s\n", topic], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        atexit.register(self.process.kill)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ, "out")
        self.selector.register(self.process.stderr, selectors.EVENT_READ, "err")

    def read(self, timeout=0):
        for key, _ in self.selector.select(timeout):
            data = os.read(key.fd, 65536)
            if not data:
                self.selector.unregister(key.fileobj)
            setattr(self, key.data, getattr(self, key.data) + data.decode())
        return bool(self.selector.get_map())

    def assigned(self):
        """By the last line about a rebalance."""
        self.read()
        last = [line for line in self.err.splitlines() if "rebalanced" in line][-1:]
        if not last or "assigned:" not in last[0]:
            return set()
        return {int(p) for p in re.findall(r"\[(\d+)\]", last[0].split("assigned:")[1])}

    def records(self):
        self.read()
        return self.out[:self.out.rfind("\n") + 1].splitlines()

    def stop(self):
        """SIGINT: it commits what it printed and leaves."""
        self.process.send_signal(signal.SIGINT)
        while self.read(timeout=LIMIT_S):
            pass
        check(self.process.wait(LIMIT_S) == 0, f"group: a member ended with {self.process.returncode}: {self.err}")


def group():
    topic = name("group")
    kcat("-P", "-t", topic, data="".join(f"first {i}\n" for i in range(400)))
    a = Member(topic)
    until(lambda: a.assigned() == set(range(PARTITIONS)), lambda: f"group: assigned are {a.assigned()}")
    b = Member(topic)
    until(lambda: len(a.assigned()) == len(b.assigned()) == 2, lambda: f"group: assigned are {a.assigned()} and {b.assigned()}")
    check(not a.assigned() & b.assigned(), f"group: assigned are {a.assigned()} and {b.assigned()}")
    kcat("-P", "-t", topic, data="".join(f"second {i}\n" for i in range(400)))
    wanted = {f"{word} {i}" for word in ("first", "second") for i in range(400)}
    until(lambda: {r.split(" ", 2)[2] for r in a.records() + b.records()} == wanted,
          lambda: f"group: {len(a.records())} and {len(b.records())} records came")
    check(all(int(r.split()[0]) in b.assigned() for r in b.records()), "group: the second member read a partition of the first")
    b.stop()
    until(lambda: a.assigned() == set(range(PARTITIONS)), lambda: f"group: after one left, assigned are {a.assigned()}")
    a.stop()
    resume(topic)
    passed("group")


def resume(topic):
    """The committed offsets hold: the next one sees only what is new, the one after it what was left over."""
    options = ["-G", topic, "-e", "-q", "-X", "auto.offset.reset=earliest", "-f", "%s\n", topic]
    sent = [f"third {i}" for i in range(400)]
    kcat("-P", "-t", topic, data="".join(s + "\n" for s in sent))
    some = kcat("-c", "150", *options).splitlines()
    rest = kcat(*options).splitlines()
    check(len(some) == 150, f"group: {len(some)} records came, 150 were asked for")
    check(sorted(some + rest) == sorted(sent), f"group: after the commit {len(some)} and {len(rest)} records came, of {len(sent)}")


def read(topic, isolation):
    return kcat("-C", "-t", topic, "-e", "-q", "-X", "isolation.level=" + isolation).splitlines()


def transaction():
    """The end of its input commits. One that is killed leaves its transaction open; the next with its id aborts it.
    kcat reads its input in large pieces, so the open transaction gets more records than are sent before it ends."""
    topic = name("txn")
    command = ["-P", "-t", topic, "-X", "transactional.id=" + name("txn")]
    kept = [f"kept {i}" for i in range(100)]
    dropped = [f"dropped {i} {FILLER}" for i in range(1000)]
    kcat(*command, data="".join(s + "\n" for s in kept[:50]))
    aborted = subprocess.Popen(["kcat", "-b", bootstrap, *command], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    atexit.register(aborted.kill)
    aborted.stdin.write("".join(s + "\n" for s in dropped))
    aborted.stdin.flush()
    until(lambda: len(read(topic, "read_uncommitted")) > 50, lambda: "transaction: the open one's records did not come")
    check(sorted(read(topic, "read_committed")) == sorted(kept[:50]), "transaction: read_committed sees an open one")
    aborted.kill()
    aborted.wait()
    check(sorted(read(topic, "read_committed")) == sorted(kept[:50]), "transaction: read_committed sees one that was left open")
    kcat(*command, data="".join(s + "\n" for s in kept[50:]))
    check(sorted(read(topic, "read_committed")) == sorted(kept), "transaction: read_committed sees something else")
    seen = read(topic, "read_uncommitted")
    check(len(seen) > 100 and len(set(seen)) == len(seen) and set(kept) <= set(seen) <= set(kept + dropped),
          "transaction: read_uncommitted sees something else")
    passed("transaction")


topics()
for which in CODECS:
    codec(which)
group()
transaction()
