#!/usr/bin/env python3
"""A broker under many connections and many partitions: does it serve all of them, within the memory it was given?

    load.py --ksrun FILE idle        10,000 connections that have said hello and then say nothing; another one still works
    load.py --ksrun FILE busy        1,000 connections that produce at once, each several requests ahead; nothing is lost
    load.py --ksrun FILE topics      1,000 topics of 10 partitions: made, written, read, there again after kill -9
    load.py --ksrun FILE slow        connections that ask for much and read nothing; others are served as before

Nothing but sockets: the requests are made by hand. Prints what was measured; exits with 1 when an answer is missing or
wrong, or when the broker's memory passed the bound that its configuration implies.
"""
import argparse
import asyncio
import os
import pathlib
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import ports  # noqa: E402

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS, CREATE_TOPICS = 0, 1, 2, 3, 18, 19
REQUEST_MEMORY = 32 << 20  # queued.max.request.bytes of these brokers


# --- the protocol, as much as is needed; no flexible versions ---

def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def request(api, version, body, correlation=1):
    payload = struct.pack(">hhi", api, version, correlation) + string("load") + body
    return struct.pack(">i", len(payload)) + payload


def crc32c(data):
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def batch(value):
    record = b"\0" + varint(0) + varint(0) + varint(-1) + varint(len(value)) + value + varint(0)
    now = int(time.time() * 1000)
    covered = struct.pack(">hiqqqhii", 0, 0, now, now, -1, -1, -1, 1) + varint(len(record)) + record
    head = struct.pack(">ibI", 0, 2, crc32c(covered))
    return struct.pack(">qi", 0, len(head) + len(covered)) + head + covered


def produce_body(topic, partition, records, acks=-1):
    data = struct.pack(">ii", partition, len(records)) + records
    return struct.pack(">hhi", -1, acks, 30000) + array([string(topic) + array([data])])


def produce_result(answer, topic):
    """(error, base offset) of an answer of version 7 for one partition."""
    at = 4 + 4 + 2 + len(topic) + 4
    _, error, offset = struct.unpack_from(">ihq", answer, at)
    return error, offset


def create_topics_body(names, partitions):
    topics = [string(n) + struct.pack(">ih", partitions, 1) + array([]) + array([]) for n in names]
    return array(topics) + struct.pack(">ib", 60000, 0)


def fetch_body(topic, partition, offset, max_bytes, wait_ms=1000):
    """Version 4."""
    part = struct.pack(">iqi", partition, offset, max_bytes)
    return struct.pack(">iiiib", -1, wait_ms, 1, max_bytes, 0) + array([string(topic) + array([part])])


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)

    def send(self, api, version, body):
        self.socket.sendall(request(api, version, body))

    def take(self, count):
        data = bytearray()
        while len(data) < count:
            more = self.socket.recv(min(count - len(data), 1 << 20))
            if not more:
                sys.exit("the broker closed a connection")
            data += more
        return bytes(data)

    def receive(self):
        """The answer behind its correlation id."""
        return self.take(struct.unpack(">i", self.take(4))[0])[4:]

    def ask(self, api, version, body):
        self.send(api, version, body)
        return self.receive()

    def create(self, names, partitions):
        answer, at = self.ask(CREATE_TOPICS, 2, create_topics_body(names, partitions)), 4
        for _ in range(struct.unpack_from(">i", answer, at)[0]):
            at += 4 if at == 4 else 0
            name_len = struct.unpack_from(">h", answer, at)[0]
            error, text_len = struct.unpack_from(">hh", answer, at + 2 + name_len)
            at += 2 + name_len + 4 + max(0, text_len)
            if error:
                sys.exit(f"a topic cannot be created: error {error}")

    def produce(self, topic, partition, records):
        answer = self.ask(PRODUCE, 7, produce_body(topic, partition, records))
        error, offset = produce_result(b"\0\0\0\0" + answer, topic)
        if error:
            sys.exit(f"{topic}-{partition} cannot be written: error {error}")
        return offset

    def fetch(self, topic, partition, offset, max_bytes=65536, wait_ms=1000):
        """(error, high watermark, records)"""
        answer = self.ask(FETCH, 4, fetch_body(topic, partition, offset, max_bytes, wait_ms))
        at = 4 + 4 + 2 + len(topic) + 4
        _, error, high = struct.unpack_from(">ihq", answer, at)
        at += 14 + 8  # last stable offset
        aborted = struct.unpack_from(">i", answer, at)[0]
        at += 4 + 16 * max(0, aborted)
        size = struct.unpack_from(">i", answer, at)[0]
        return error, high, answer[at + 4:at + 4 + size]


# --- the broker ---

class Broker:
    def __init__(self, ksrun, folder):
        self.port = ports.hold()
        config = folder / "server.properties"
        config.write_text(f"queued.max.request.bytes={REQUEST_MEMORY}\nmax.connections=20000\n")
        self.command = [ksrun, "broker", "--config", str(config), "--listen", f"127.0.0.1:{self.port}", "--data",
                        str(folder / "data")]

    def start(self):
        began = time.monotonic()
        self.process = subprocess.Popen(self.command, env=dict(os.environ, KS_LOG="error"), stdout=subprocess.DEVNULL)
        while True:
            try:
                Client(self.port).ask(API_VERSIONS, 0, b"")
                return time.monotonic() - began
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(f"the broker ended with {self.process.returncode}")
                time.sleep(0.005)

    def memory_mb(self, what="VmRSS"):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith(what):
                return int(line.split()[1]) / 1024
        return 0.0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(60):
            sys.exit(f"the broker ended with {self.process.returncode} after SIGTERM")


def hold(what, value, most):
    print(f"{what}: {value:.1f} MB (at most {most})")
    if value > most:
        sys.exit(f"{what} passed its bound")


# --- the loads ---

def idle(broker, args):
    broker.start()
    before = broker.memory_mb()
    clients = [Client(broker.port) for _ in range(args.connections or 10000)]
    for c in clients:
        c.send(API_VERSIONS, 0, b"")
    for c in clients:
        c.receive()
    one = Client(broker.port)
    one.create(["t"], 1)
    if one.produce("t", 0, batch(b"x")) != 0:
        sys.exit("the first record is not at offset 0")
    print(f"connections: {len(clients)}, {(broker.memory_mb() - before) * 1024 / len(clients):.1f} KiB each")
    hold("memory", broker.memory_mb(), 160)
    for c in clients[:: len(clients) // 10]:
        c.ask(API_VERSIONS, 0, b"")
    broker.stop()


async def busy_one(port, number, rounds, ahead, records):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    topic, done, sent = "busy", 0, 0
    body = request(PRODUCE, 7, produce_body(topic, number % 10, records))
    last = -1
    while done < rounds:
        while sent < rounds and sent - done < ahead:
            writer.write(body)
            sent += 1
        await writer.drain()
        size = struct.unpack(">i", await reader.readexactly(4))[0]
        error, offset = produce_result(await reader.readexactly(size), topic)
        if error or offset <= last:
            sys.exit(f"connection {number}: error {error}, offset {offset} after {last}")
        last = offset
        done += 1
    writer.close()


async def busy_all(port, connections, rounds):
    records = batch(b"x" * 10000)
    gate = [busy_one(port, i, rounds, 8, records) for i in range(connections)]
    await asyncio.gather(*gate)


def busy(broker, args):
    connections, rounds = args.connections or 1000, 50
    broker.start()
    c = Client(broker.port)
    c.create(["busy"], 10)
    began = time.monotonic()
    asyncio.run(busy_all(broker.port, connections, rounds))
    print(f"{connections} connections, {connections * rounds} requests of 10 KB acknowledged in {time.monotonic() - began:.1f} s")
    total = sum(c.fetch("busy", p, 0)[1] for p in range(10))
    if total != connections * rounds:
        sys.exit(f"{total} of {connections * rounds} records are there")
    hold("peak memory", broker.memory_mb("VmHWM"), 160 + REQUEST_MEMORY // 1048576 + 128)
    broker.stop()


def topics(broker, args):
    del args
    names = [f"topic-{i:04d}" for i in range(1000)]
    broker.start()
    c = Client(broker.port)
    began = time.monotonic()
    for at in range(0, 1000, 100):
        c.create(names[at:at + 100], 10)
    print(f"1000 topics of 10 partitions made in {time.monotonic() - began:.1f} s")
    records = batch(b"hello")
    began = time.monotonic()
    for name in names:
        for partition in range(10):
            c.send(PRODUCE, 7, produce_body(name, partition, records))
        for partition in range(10):
            error, offset = produce_result(b"\0\0\0\0" + c.receive(), name)
            if error or offset:
                sys.exit(f"{name}-{partition}: error {error}, offset {offset}")
    print(f"one record in each: {time.monotonic() - began:.1f} s")
    hold("memory", broker.memory_mb(), 256)
    broker.kill()
    print(f"ready again after {broker.start():.2f} s")
    c = Client(broker.port)
    for name in names[::10]:
        for partition in range(10):
            error, high, got = c.fetch(name, partition, 0)
            if error or high != 1 or got[61:] != records[61:]:
                sys.exit(f"{name}-{partition} after the restart: error {error}, high watermark {high}")
    hold("memory after the restart", broker.memory_mb(), 256)
    broker.stop()


def slow(broker, args):
    broker.start()
    c = Client(broker.port)
    c.create(["big"], 1)
    records = batch(b"x" * 900000)
    for _ in range(64):
        c.produce("big", 0, records)
    sleepers = [Client(broker.port) for _ in range(args.connections or 200)]
    for s in sleepers:
        for _ in range(4):
            s.send(FETCH, 4, fetch_body("big", 0, 0, 50 << 20))
    for _ in range(200):
        c.produce("big", 0, batch(b"y"))
        # The first stands in line for memory until those who do not read are closed; empty-handed it would come back
        # only when it may wait no longer.
        error, _, got = c.fetch("big", 0, 64, wait_ms=30000)
        if error or not got:
            sys.exit(f"a connection is not served while others do not read: error {error}, {got} bytes")
    hold("peak memory", broker.memory_mb("VmHWM"), 160 + 512)
    broker.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ksrun", required=True)
    parser.add_argument("--connections", type=int, help="other than the usual number")
    parser.add_argument("load", choices=["idle", "busy", "topics", "slow"])
    args = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 12000:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (12000, max(hard, 12000)))
        except (ValueError, OSError):
            print("this needs 12,000 file descriptors (ulimit -n)")
            sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="ks-load-") as folder:
        broker = Broker(args.ksrun, pathlib.Path(folder))
        try:
            globals()[args.load](broker, args)
        finally:
            if broker.process.poll() is None:
                broker.kill()


if __name__ == "__main__":
    main()
