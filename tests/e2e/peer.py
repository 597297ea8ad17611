"""A client in bytes: the oldest versions of a few requests, written by hand, so that nothing of ours is between test and broker."""

import socket
import struct
import time


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def batch(*values, key=b"k", timestamp=1700000000000, producer=(-1, -1, -1), attributes=0):
    """producer: id, epoch, first sequence number"""
    records = b""
    for i, value in enumerate(values):
        body = b"\0" + varint(0) + varint(i) + varint(len(key)) + key + varint(len(value)) + value + varint(0)
        records += varint(len(body)) + body
    tail = struct.pack(">hiqqqhii", attributes, len(values) - 1, timestamp, timestamp, *producer, len(values)) + records
    return struct.pack(">qiibI", 0, len(tail) + 9, -1, 2, crc32c(tail)) + tail


def string(text):
    data = text.encode()
    return struct.pack(">h", len(data)) + data


class Peer:
    def __init__(self, port, host="localhost"):
        self.socket = socket.create_connection((host, port), timeout=120)
        self.correlation = 0

    def close(self):
        self.socket.close()

    def send(self, key, version, body):
        return self.send_all((key, version, body))[0]

    def send_all(self, *requests):
        """In one piece; their correlation ids."""
        ids, data = [], b""
        for key, version, body in requests:
            self.correlation += 1
            message = struct.pack(">hhi", key, version, self.correlation) + string("peer") + body
            data += struct.pack(">i", len(message)) + message
            ids.append(self.correlation)
        self.socket.sendall(data)
        return ids

    def exactly(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise EOFError("the broker has closed the connection")
            data += part
        return data

    def receive(self, correlation):
        answer = self.exactly(struct.unpack(">i", self.exactly(4))[0])
        assert struct.unpack_from(">i", answer)[0] == correlation, "answers out of order"
        return answer[4:]

    def ask(self, key, version, body):
        return self.receive(self.send(key, version, body))

    def is_closed(self):
        return self.socket.recv(1) == b""

    def api_versions(self):
        """{key: (min, max)}"""
        answer = self.ask(18, 0, b"")
        error, n = struct.unpack_from(">hi", answer)
        assert error == 0
        return {k: (a, b) for k, a, b in (struct.unpack_from(">hhh", answer, 6 + 6 * i) for i in range(n))}

    def create(self, topic):
        """Metadata with auto creation; the error of the topic."""
        answer = self.ask(3, 4, struct.pack(">i", 1) + string(topic) + b"\1")
        at = 4
        (brokers,) = struct.unpack_from(">i", answer, at)
        at += 4
        for _ in range(brokers):
            at += 4
            at += 2 + struct.unpack_from(">h", answer, at)[0] + 4
            at += 2 + max(0, struct.unpack_from(">h", answer, at)[0])
        at += 2 + max(0, struct.unpack_from(">h", answer, at)[0]) + 4 + 4
        return struct.unpack_from(">h", answer, at)[0]

    def produce_body(self, topic, records, acks=-1):
        return (struct.pack(">hhii", -1, acks, 10000, 1) + string(topic)
                + struct.pack(">iii", 1, 0, len(records)) + records)

    def produce(self, topic, *values, acks=-1):
        """(error, base offset)"""
        answer = self.ask(0, 3, self.produce_body(topic, batch(*values), acks))
        return struct.unpack_from(">hq", answer, 4 + 2 + len(topic) + 4 + 4)

    def fetch_body(self, topic, offset, wait_ms=0, max_bytes=1 << 20):
        return (struct.pack(">iiiibi", -1, wait_ms, 1, max_bytes, 0, 1) + string(topic)
                + struct.pack(">iiqi", 1, 0, offset, max_bytes))

    @staticmethod
    def fetched(answer, topic):
        """(error, high watermark, bytes of the batches)"""
        at = 4 + 4 + 2 + len(topic) + 4 + 4
        error, high_watermark, _, _, n = struct.unpack_from(">hqqii", answer, at)
        return error, high_watermark, answer[at + 26:at + 26 + max(0, n)]

    def fetch(self, topic, offset, wait_ms=0):
        return self.fetched(self.ask(1, 4, self.fetch_body(topic, offset, wait_ms)), topic)


class Producer(Peer):
    """With a transactional id, by protocol 1."""

    TRANSACTIONAL = 0x10

    # A new topic is not everywhere yet, the coordinator is not there yet, or still ends the last transaction.
    FOR_A_WHILE = (3, 6, 14, 15, 16, 51)

    def __init__(self, port, name, host="localhost", timeout_ms=60000, is_patient=False):
        """is_patient: asks again what is refused for a while, which our broker never does."""
        super().__init__(port, host)
        self.name, self.sequence, self.is_patient = name, {}, is_patient
        if is_patient:
            self.until_lasting(lambda: struct.unpack_from(">h", self.ask(10, 1, string(name) + b"\1"), 4))
        error, self.id, self.epoch = self.until_lasting(
            lambda: struct.unpack_from(">hqh", self.ask(22, 0, string(name) + struct.pack(">i", timeout_ms)), 4))
        assert error == 0, error

    def until_lasting(self, ask):
        """ask() gives a tuple that begins with an error."""
        result = ask()
        for _ in range(600):
            if not self.is_patient or result[0] not in self.FOR_A_WHILE:
                break
            time.sleep(0.05)
            result = ask()
        return result

    def who(self):
        return string(self.name) + struct.pack(">qh", self.id, self.epoch)

    def add(self, topic):
        """The error of partition 0."""
        body = self.who() + struct.pack(">i", 1) + string(topic) + struct.pack(">ii", 1, 0)
        return self.until_lasting(
            lambda: struct.unpack_from(">h", self.ask(24, 0, body), 4 + 4 + 2 + len(topic) + 4 + 4))[0]

    def put(self, topic, *values):
        """(error, base offset), in the transaction"""
        error = self.add(topic)
        assert error == 0, error
        return self.put_unadded(topic, *values)

    def put_unadded(self, topic, *values):
        """The coordinator is not told: who takes it has a transaction that hangs."""
        first = self.sequence.get(topic, 0)
        records = batch(*values, producer=(self.id, self.epoch, first), attributes=self.TRANSACTIONAL)
        body = self.produce_body(topic, records)
        error, offset = self.until_lasting(
            lambda: struct.unpack_from(">hq", self.ask(0, 3, string(self.name) + body[2:]), 4 + 2 + len(topic) + 4 + 4))
        if error == 0:
            self.sequence[topic] = first + len(values)
        return error, offset

    def end(self, is_commit):
        body = self.who() + struct.pack(">?", is_commit)
        return self.until_lasting(lambda: struct.unpack_from(">h", self.ask(26, 0, body), 4))[0]
