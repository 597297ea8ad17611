"""The steps of tests/clients/README.md for clients written in Python.

A client subclasses Client. Its consumers are objects with

    subscribe(topic), assign(topic, partitions)
    poll()              a list of Record, empty after some 100 ms
    assigned()          the set of partitions assigned now
    commit({partition: offset}), committed(partition), close()

A consumer starts at the earliest offset and never commits by itself.
"""
import collections
import sys
import time

PARTITIONS = 4
RECORDS = 1000
KEYS = 50
GROUP_RECORDS = 100
KEPT = 100
DROPPED = 50
LIMIT_S = 120
TIME_MS = int(time.time() * 1000) - 3600000     # no retention reaches that far
FILLER = "the same words again and again, the same words again and again"
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]

# partition None: the client chooses by key. headers: a list of (str, bytes).
Record = collections.namedtuple("Record", "partition offset key value headers timestamp_ms")


class Client:
    """What a client must offer; `topic` is that of the consumer for commit and committed."""

    group_protocols = ["classic"]
    has_transactions = True

    def create_topics(self, names): raise NotImplementedError
    def partitions(self, topic): raise NotImplementedError      # 0: no such topic
    def delete_topic(self, topic): raise NotImplementedError
    def produce(self, topic, codec, records): raise NotImplementedError     # idempotent; returns when all are acknowledged
    def consumer(self, group, isolation="read_committed", protocol="classic"): raise NotImplementedError
    def transactional(self, transactional_id): raise NotImplementedError    # a producer, initialised
    def transaction(self, producer, topic, records, group, offset, commit): raise NotImplementedError
    def close(self): raise NotImplementedError


def check(condition, sentence):
    if not condition:
        sys.exit(sentence)


def passed(step):
    print("ok " + step, flush=True)


def until(condition, sentence):
    """Looks again and again; condition does the waiting."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        check(time.monotonic() < end, "timed out: " + sentence())


class Steps:
    def __init__(self, client, prefix):
        self.client, self.prefix = client, prefix

    def name(self, what):
        return f"{self.prefix}-{what}"

    def topics(self):
        names = [self.name(what) for what in CODECS + ["group", "group-consumer", "txn"]]
        self.client.create_topics(names)
        for name in names:
            until(lambda: self.client.partitions(name) == PARTITIONS,
                  lambda: f"{name} has {self.client.partitions(name)} partitions")
        passed("topics")

    def delete(self):
        name = self.name("none")
        self.client.delete_topic(name)
        until(lambda: self.client.partitions(name) == 0, lambda: f"{name} is still in the metadata")
        passed("delete")

    @staticmethod
    def codec_record(codec, i):
        return Record(None, None, f"key-{i % KEYS}".encode(), f"{codec} {i} {FILLER}".encode(),
                      [("i", str(i).encode())], TIME_MS + i)

    def codec(self, codec):
        topic = self.name(codec)
        self.client.produce(topic, codec, [self.codec_record(codec, i) for i in range(RECORDS)])
        seen, place, last = set(), {}, {}
        consumer = self.client.consumer(self.name("unused"))
        consumer.assign(topic, range(PARTITIONS))

        def read():
            for r in consumer.poll():
                i = int(dict(r.headers)["i"])
                check(0 <= i < RECORDS and i not in seen, f"{codec}: record {i} came twice, or was never sent")
                wanted = self.codec_record(codec, i)
                check((r.key, r.value, list(r.headers), r.timestamp_ms) == wanted[2:], f"{codec}: record {i} came back as {r}")
                check(place.setdefault(r.key, r.partition) == r.partition, f"{codec}: {r.key} is in two partitions")
                check(last.get(r.key, -1) < i, f"{codec}: record {i} comes after record {last.get(r.key)}")
                seen.add(i)
                last[r.key] = i
            return len(seen) == RECORDS

        until(read, lambda: f"{codec}: {len(seen)} of {RECORDS} records came back")
        consumer.close()
        passed(codec)

    def group(self, step, protocol):
        topic = self.name(step)
        self.client.produce(topic, "none", [
            Record(p, None, None, f"{p} {i} {FILLER}".encode(), [], TIME_MS)
            for p in range(PARTITIONS) for i in range(GROUP_RECORDS)])
        a = Member(self.client, topic, protocol)
        wait_assigned([a], [PARTITIONS])
        b = Member(self.client, topic, protocol)
        wait_assigned([a, b], [2, 2])

        def all_read():
            a.poll()
            b.poll()
            return a.seen_now() + b.seen_now() == PARTITIONS * GROUP_RECORDS

        until(all_read, lambda: f"group: two members saw {a.seen_now()} and {b.seen_now()} records")
        for member in (a, b):
            member.consumer.commit({p: 30 + p for p in member.consumer.assigned()})
        b.consumer.close()
        wait_assigned([a], [PARTITIONS])
        a.consumer.close()
        self.resume(topic, protocol)
        passed(step)

    def resume(self, topic, protocol):
        """A third member sees all from the committed offsets on and nothing before them."""
        wanted = {(p, i) for p in range(PARTITIONS) for i in range(30 + p, GROUP_RECORDS)}
        c = Member(self.client, topic, protocol)

        def read():
            c.poll()
            return len(c.seen) >= len(wanted)

        until(read, lambda: f"group: after the commit {len(c.seen)} of {len(wanted)} records came")
        check(c.seen == wanted, f"group: read again {sorted(c.seen - wanted)}, left out {sorted(wanted - c.seen)}")
        for p in range(PARTITIONS):
            check(c.consumer.committed(p) == 30 + p, f"group: {c.consumer.committed(p)} is committed for partition {p}")
        c.consumer.close()

    def transaction_records(self, word, first, count):
        return [Record(i % PARTITIONS, None, None, f"{word} {i}".encode(), [], TIME_MS) for i in range(first, first + count)]

    def transaction(self):
        topic = group = self.name("txn")
        producer = self.client.transactional(self.name("txn"))
        self.client.transaction(producer, topic, self.transaction_records("kept", 0, KEPT // 2), group, 3, True)
        self.client.transaction(producer, topic, self.transaction_records("dropped", 0, DROPPED), group, 5, False)
        self.offset_is(topic, 3)
        self.client.transaction(producer, topic, self.transaction_records("kept", KEPT // 2, KEPT // 2), group, 7, True)
        producer.close()
        self.offset_is(topic, 7)
        kept = {f"kept {i}".encode() for i in range(KEPT)}
        self.transaction_read(topic, "read_committed", kept)
        self.transaction_read(topic, "read_uncommitted", kept | {f"dropped {i}".encode() for i in range(DROPPED)})
        passed("transaction")

    def offset_is(self, topic, wanted):
        """The coordinator may show a committed offset a moment after the end of its transaction."""
        consumer = self.client.consumer(topic)
        consumer.assign(topic, [0])
        until(lambda: consumer.committed(0) == wanted, lambda: f"transaction: the group's offset is {consumer.committed(0)}, not {wanted}")
        consumer.close()

    def transaction_read(self, topic, isolation, wanted):
        seen = set()
        consumer = self.client.consumer(self.name("unused"), isolation)
        consumer.assign(topic, range(PARTITIONS))

        def read():
            for r in consumer.poll():
                check(r.value in wanted, f"{isolation}: {r.value} came")
                check(r.value not in seen, f"{isolation}: {r.value} came twice")
                seen.add(r.value)
            return seen == wanted

        until(read, lambda: f"{isolation}: {len(seen)} of {len(wanted)} records came")
        consumer.close()


class Member:
    """A member of a group; seen holds all (partition, offset) that it was handed."""

    def __init__(self, client, topic, protocol):
        self.consumer = client.consumer(topic, protocol=protocol)
        self.consumer.subscribe(topic)
        self.seen = set()

    def poll(self):
        for r in self.consumer.poll():
            check(r.value == f"{r.partition} {r.offset} {FILLER}".encode(), f"group: a wrong record: {r}")
            self.seen.add((r.partition, r.offset))

    def seen_now(self):
        """How many records of the partitions that it has now."""
        assigned = self.consumer.assigned()
        return sum(p in assigned for p, _ in self.seen)


def wait_assigned(members, counts):
    def now():
        return [m.consumer.assigned() for m in members]

    def reached():
        for m in members:
            m.poll()
        return [len(a) for a in now()] == counts

    until(reached, lambda: f"group: assigned are {now()}, wanted {counts}")
    check(len(set().union(*now())) == PARTITIONS, f"group: assigned are {now()}")


def run(make_client):
    """make_client(bootstrap) -> Client. Runs all steps; exits with 1 and a sentence at the first difference."""
    bootstrap, prefix = sys.argv[1:]
    client = make_client(bootstrap)
    steps = Steps(client, prefix)
    steps.topics()
    for codec in CODECS:
        steps.codec(codec)
    for protocol in client.group_protocols:
        steps.group("group" if protocol == "classic" else "group-" + protocol, protocol)
    if client.has_transactions:
        steps.transaction()
    steps.delete()
    client.close()
