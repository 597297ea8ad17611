#!/usr/bin/env python3
"""Hostile peers against a broker: requests that are right but senseless, requests that are damaged, connections that end
anywhere; two dozen of them at a time.

    test_protocol.py KSRUN [--requests N] [--seed N] [--rss-mb N]

Meanwhile, and at the end:
  - the broker lives, and ends with status 0 when it is told to: under sanitizers that says that nothing was found
  - answers come in the order of their requests, and each can be read to its last byte as its API and version have it
  - a peer that says it has sent everything is answered, and its connection closed, however many seconds its fetches would wait
  - a well-behaved client is served, and finds every record that was acknowledged once, in order
  - the broker's memory stays within the bound

What it sends follows from the seed, which is printed; how the broker's threads take turns does not.
"""

import argparse
import os
import random
import socket
import struct
import sys
import time

import wire
from broker import FETCH, GOOD_TOPIC, METADATA, PRODUCE, Broker, Client, Failure

SLOTS = 24
JOIN_GROUP, SYNC_GROUP = 11, 14
CLOSES_WITHIN_S = 60
WAITING = (JOIN_GROUP, SYNC_GROUP)  # answered when other members have come, which they never do
GOLDEN = [p.read_bytes()[4:] for p in sorted((wire.ROOT / "tests/golden/wire").glob("*_request"))]


# --- what the hostile send ---

class Chooser:
    """Random values, of which many mean something to the broker."""

    NAMES = [b"fz-0", b"fz-1", b"fz-2", b"fz-3"]
    ODD_NAMES = [b"", b".", b"..", b"no-such-topic", b"x" * 249, b"x" * 250, b"\xff\xfe", b"a\0b", b"fz-0\0", b"/etc/passwd",
                 b"%s%n", b"y" * 5000]
    GROUPS = [b"group-0", b"group-1", b"", b"g" * 300]
    CONFIGS = [(b"cleanup.policy", b"compact"), (b"cleanup.policy", b"delete"), (b"retention.ms", b"1"), (b"retention.ms", b"x"),
               (b"max.message.bytes", b"200"), (b"max.message.bytes", b"1000000"), (b"compression.type", b"gzip"),
               (b"compression.type", b"zstd"), (b"compression.type", b"producer"), (b"no.such.key", b"1"), (b"", b""),
               (b"message.timestamp.type", b"LogAppendTime"), (b"message.timestamp.type", b"CreateTime")]
    INTS = [0, 0, 0, 1, 1, 2, 3, 4, 5, 16, 100, -1, -1, -2, -3, 1000, 65536, 1 << 20, (1 << 31) - 1, -1 << 31, 1 << 40,
            (1 << 63) - 1, -1 << 63]
    BITS = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}

    def __init__(self, rng):
        self.rng = rng
        self.ids = []       # of topics
        self.sessions = []  # (id, next epoch)
        self.members = []
        self.producers = [(0, 0), (1, 0)]

    def integer(self, kind, name):
        rng = self.rng
        if name in ("partition", "index", "partition_index") and rng.random() < .9:
            return rng.choice((0, 0, 0, 1))
        if name in ("fetch_offset", "offset") and rng.random() < .7:
            return rng.randrange(200)
        if name in ("max_wait_ms", "timeout_ms"):
            return rng.choice((-1, 0, 0, 1, 10, 100, 500, 30000, (1 << 31) - 1))
        if name in ("max_bytes", "partition_max_bytes") and rng.random() < .8:
            return rng.choice((1 << 20, 1000, 100, 1))
        if name in ("num_partitions", "count"):
            return rng.choice((-1, 0, 1, 2, 3, 50))
        if name == "acks":
            return rng.choice((-1, -1, 1, 1, 0, 2))
        if name in ("replica_id", "current_leader_epoch", "replication_factor") and rng.random() < .9:
            return -1
        if name.endswith("type") or name == "isolation_level" or name == "config_operation":
            return rng.choice((0, 1, 2, 3, 4, 2))
        bits = self.BITS[kind]
        return (rng.choice(self.INTS) + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)

    def string(self, name):
        rng = self.rng
        if "group" in name:
            return rng.choice(self.GROUPS)
        if name == "member_id":
            return rng.choice(self.members[-20:] + [b"", b"m"])
        if name in ("client_software_name", "client_software_version"):
            return rng.choice((b"hostile", b"1.0", b"", b" "))
        return rng.choice(self.NAMES) if rng.random() < .85 else rng.choice(self.ODD_NAMES)

    def records(self):
        rng = self.rng
        values = [rng.randbytes(rng.choice((0, 1, 50, 300))) for _ in range(rng.choice((1, 1, 2, 5)))]
        producer = (-1, -1, -1)
        if rng.random() < .4:
            producer = rng.choice(self.producers) + (rng.choice((0, 1, 2, 5, (1 << 31) - 1, -1)),)
        data = bytearray(wire.batch(values, producer=producer, attributes=rng.choice((0,) * 20 + (1, 2, 3, 4, 8, 16, 32, 7))))
        if rng.random() < .1:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if rng.random() < .05:
            data += wire.batch([b"second"])
        return bytes(data[:rng.randrange(len(data))] if rng.random() < .03 else data)

    def one(self, kind, name, version, depth):
        if kind in wire.INTS:
            return self.integer(kind, name)
        if kind == "BOOL":
            return self.rng.random() < .5
        if kind == "UUID":
            if "topic" not in name or not self.ids or self.rng.random() < .1:
                return self.rng.choice((bytes(16), self.rng.randbytes(16)))
            return self.rng.choice(self.ids)
        if kind == "RECORDS":
            return self.records()
        if kind == "BYTES":
            return self.rng.randbytes(self.rng.choice((0, 1, 10, 200)))
        if kind == "STRING":
            return self.string(name)
        return self.struct(kind, version, depth + 1)

    def field(self, f, version, depth):
        rng = self.rng
        if f.may_be_null(version) and rng.random() < (.9 if f.name == "transactional_id" else .3):
            return None
        if f.what in ("LIST", "ARRAY"):
            n = rng.choice((0, 1, 1, 1, 2, 3)) if rng.random() < .97 else rng.choice((20, 300) if depth < 2 else (20,))
            return [self.one(f.kind, f.name, version, depth) for _ in range(n)]
        return self.one(f.kind, f.name, version, depth)

    def struct(self, name, version, depth=0):
        value = {}
        for f in wire.STRUCTS[name]:
            if f.lives(version) and (f.tag is None or self.rng.random() < .1):
                value[f.name] = self.field(f, version, depth)
        if "config" in name and "name" in value and "value" in value:
            value["name"], value["value"] = self.rng.choice(self.CONFIGS)
        if "session_epoch" in value:
            self.choose_session(value)
        return value

    def choose_session(self, value):
        rng = self.rng
        value["session_id"], value["session_epoch"] = rng.choice(((0, -1), (0, 0), (0, 0), (rng.getrandbits(31), 1), (5, -1)))
        if self.sessions and rng.random() < .6:
            at = rng.randrange(len(self.sessions))
            value["session_id"], value["session_epoch"] = self.sessions[at]
            self.sessions[at] = (self.sessions[at][0], self.sessions[at][1] + 1)

    def learn(self, key, answer):
        """What an answer told that makes the next requests better."""
        if key == FETCH and answer.get("session_id"):
            self.sessions = self.sessions[-30:] + [(answer["session_id"], 1)]
        elif key == JOIN_GROUP and answer.get("member_id"):
            self.members.append(answer["member_id"])
        elif key == 22 and answer.get("producer_id", -1) >= 0:
            self.producers = self.producers[-5:] + [(answer["producer_id"], answer["producer_epoch"])]

    def request(self):
        """A body, its API and version as it says itself."""
        rng = self.rng
        if rng.random() < .2:
            return rng.choice(GOLDEN)
        api = wire.APIS[rng.choice((PRODUCE, FETCH, METADATA))] if rng.random() < .5 else rng.choice(list(wire.APIS.values()))
        version = rng.randint(api.low, api.high)
        return wire.request(api.key, version, 0, self.struct(api.name + "_request", version))

    def damage(self, body):
        rng = self.rng
        body = bytearray(body)
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            at = rng.randrange(8, max(len(body), 9))
            how = rng.randrange(9)
            if how < 2:
                body[at:at + 1] = bytes([body[at] ^ 1 << rng.randrange(8)]) if at < len(body) else b""
            elif how < 4:
                size = rng.choice((1, 2, 4, 8))
                body[at:at + size] = (rng.choice(self.INTS) % (1 << 8 * size)).to_bytes(size, "big")
            elif how == 4:
                del body[at:]
            elif how == 5:
                del body[at:at + rng.randrange(20)]
            elif how == 6:
                body[at:at] = rng.randbytes(rng.choice((1, 4, 100)))
            elif how == 7:
                body[at:at] = body[rng.randrange(len(body)):][:rng.randrange(200)]
            else:
                body[0:4] = struct.pack(">hh", rng.choice((rng.randrange(80), rng.randrange(-300, 300))), rng.randrange(-1, 20))
        return bytes(body)


# --- the hostile ---

class Peer:
    """One connection."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=60)
        self.socket.setblocking(False)
        self.expected = []     # (correlation id, api, version) of what was sent, as long as the frames are frames
        self.is_framed = True
        self.may_wait = False
        self.received = bytearray()
        self.deadline = None   # by when it must be closed

    def close(self, is_abrupt):
        if is_abrupt:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Fuzzer:
    def __init__(self, broker, seed):
        self.broker, self.rng = broker, random.Random(seed)
        self.chooser = Chooser(self.rng)
        self.slots = [None] * SLOTS
        self.ending = []
        self.sent = self.answered = self.correlation_id = 0

    def frame(self, peer):
        rng = self.rng
        body = self.chooser.request()
        if rng.random() < .4:
            body = self.chooser.damage(body)
        self.correlation_id += 1
        if len(body) >= 8:
            body = body[:4] + struct.pack(">i", self.correlation_id) + body[8:]
            key, version = struct.unpack(">hh", body[:4])
            peer.expected.append((self.correlation_id, key, version))
            peer.may_wait |= key in WAITING
        self.sent += 1
        if rng.random() > .03:
            return wire.framed(body)
        peer.is_framed = False
        peer.may_wait = True
        return struct.pack(">I", rng.choice((0, 1, 7, len(body) + 1, len(body) - 1, len(body) + 100000, 100 << 20, (100 << 20) + 1,
                                             1 << 31, 0xffffffff)) % (1 << 32)) + body

    def frames(self, peer):
        rng = self.rng
        if rng.random() < .02:  # thousands of the smallest in one piece
            n = rng.choice((100, 1000))
            self.sent += n
            ids = range(self.correlation_id + 1, self.correlation_id + 1 + n)
            self.correlation_id += n
            peer.expected += [(i, 18, 0) for i in ids]
            return b"".join(wire.framed(struct.pack(">hhih", 18, 0, i, -1)) for i in ids)
        return b"".join(self.frame(peer) for _ in range(rng.choice((1, 1, 2, 3, 8))))

    def read(self, peer):
        """Takes what has come. False: it is closed."""
        try:
            while True:
                part = peer.socket.recv(1 << 18)
                if not part:
                    return False
                peer.received += part
                self.take_answers(peer)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False

    def take_answers(self, peer):
        data, at = peer.received, 0
        while peer.is_framed and len(data) - at >= 4:
            n = struct.unpack_from(">i", data, at)[0]
            if len(data) - at < 4 + n:
                break
            self.check_answer(peer, bytes(data[at + 4:at + 4 + n]))
            at += 4 + n
        del data[:at if peer.is_framed else len(data)]

    def check_answer(self, peer, body):
        if len(body) < 4:
            raise Failure("an answer of %d bytes" % len(body))
        got = struct.unpack(">i", body[:4])[0]
        while peer.expected and peer.expected[0][0] != got:
            _, key, _ = peer.expected.pop(0)
            if key != PRODUCE:
                raise Failure("answer %d came before that to a request of API %d" % (got, key))
        if not peer.expected:
            raise Failure("answer %d to no request, or out of order" % got)
        _, key, version = peer.expected.pop(0)
        try:
            _, answer = wire.response(key, version, body)
        except wire.Malformed as e:
            raise Failure("the answer of API %d, version %d: %s; %r" % (key, version, e, body[:200]))
        self.answered += 1
        self.chooser.learn(key, answer)

    def send(self, peer, data):
        """False: it is closed, or does not read."""
        at, end = 0, time.monotonic() + 5
        while at < len(data):
            try:
                at += peer.socket.send(data[at:])
            except BlockingIOError:
                if not self.read(peer) or time.monotonic() > end:
                    return False
                time.sleep(.0005)
            except ConnectionError:
                return False
        return True

    def step(self):
        rng = self.rng
        at = rng.randrange(SLOTS)
        peer = self.slots[at]
        if not peer:
            peer = self.slots[at] = Peer(self.broker.address)
        data = self.frames(peer)
        if rng.random() < .05:  # it is cut
            data = data[:rng.randrange(len(data))]
            peer.is_framed, peer.may_wait = False, True
        is_open = self.send(peer, data)
        if is_open and rng.random() < .7:
            is_open = self.read(peer)
        fate = rng.random()
        if not is_open or fate < .12:
            peer.close(rng.random() < .5)
            self.slots[at] = None
        elif fate < .16:
            self.half_close(peer)
            self.slots[at] = None
        if self.ending and rng.random() < .1:
            self.look_at_ending()

    def half_close(self, peer):
        try:
            peer.socket.shutdown(socket.SHUT_WR)
        except OSError:
            peer.close(False)
            return
        if peer.may_wait:
            self.read(peer)
            peer.close(False)
            return
        peer.deadline = time.monotonic() + CLOSES_WITHIN_S
        self.ending.append(peer)

    def look_at_ending(self):
        for peer in list(self.ending):
            if not self.read(peer):
                peer.close(False)
                self.ending.remove(peer)
            elif time.monotonic() > peer.deadline:
                self.broker.check_alive()
                raise Failure("half-closed, and not closed %d s later; not answered: %s" % (CLOSES_WITHIN_S, peer.expected[:10]))

    def finish(self):
        for peer in self.slots:
            if peer:
                self.half_close(peer)
        while self.ending:
            self.look_at_ending()
            time.sleep(.01)
            self.broker.check_alive()


def run(options, broker):
    client = Client(broker.address)
    fuzzer = Fuzzer(broker, options.seed)
    highest = broker.rss_mb()
    next_check = 0
    while fuzzer.sent < options.requests:
        if fuzzer.sent >= next_check:
            ids = client.topics(Chooser.NAMES + [GOOD_TOPIC])
            fuzzer.chooser.ids = [ids[name] for name in Chooser.NAMES]
            client.produce([b"%d-%d" % (next_check, i) for i in range(3)])
            highest = max(highest, broker.rss_mb())
            if highest > options.rss_mb:
                raise Failure("%d MB of memory, the bound is %d" % (highest, options.rss_mb))
            next_check += 500
        fuzzer.step()
        if broker.process.poll() is not None:
            break
    broker.check_alive()
    fuzzer.finish()
    client.check_everything()
    print("%d requests, %d answers that could be checked, %d MB at most" % (fuzzer.sent, fuzzer.answered, highest))
    broker.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ksrun")
    parser.add_argument("--requests", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rss-mb", type=int, default=1024)
    options = parser.parse_args()
    print("seed %d" % options.seed, flush=True)
    broker = Broker(options.ksrun)
    try:
        run(options, broker)
    except (Failure, OSError) as e:
        time.sleep(.2)
        ended = broker.process.poll()
        sys.exit("seed %d: %s%s" % (options.seed, e, "" if ended is None else "\nthe broker ended with %s:\n%s" % (ended, broker.said())))
    finally:
        broker.remove()


if __name__ == "__main__":
    main()
