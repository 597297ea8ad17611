#!/usr/bin/env python3
"""Makes the record batches of this folder with two client libraries that are not ours.

kafka-python builds its batches directly. librdkafka (through confluent-kafka) gets a listener
that answers just enough of the protocol for a producer to send one, and keeps what it sends.
Versions and packages: see README.md.
"""
import os
import socket
import struct
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
BASE_MS = 1700000000000
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}

# (timestamp, key, value, headers). test_golden.c has the same table.
RECORDS = [
    (BASE_MS, b"key-0", b"value-0", [("trace", b"abc"), ("empty", b""), ("null", None)]),
    (BASE_MS - 5, None, b"", []),
    (BASE_MS + 1000, b"", None, []),
    (BASE_MS + 70000, b"k" * 100, b"0123456789" * 300, []),
    (BASE_MS + 1, "schlüssel".encode(), b"\x00\xff\x80", [("n", bytes(range(200)))]),
]


def save(name, batch):
    with open(os.path.join(HERE, name + ".batch"), "wb") as f:
        f.write(batch)
    print(name, len(batch))


def make_with_kafka_python():
    from kafka.record.default_records import DefaultRecordBatchBuilder

    def build(codec, pid, epoch, sequence, transactional):
        builder = DefaultRecordBatchBuilder(2, codec, transactional, pid, epoch, sequence, 1 << 20)
        for offset, (timestamp, key, value, headers) in enumerate(RECORDS):
            assert builder.append(offset, timestamp, key, value, headers)
        return bytes(builder.build())

    for name, codec in CODECS.items():
        save("kafka_python_" + name, build(codec, -1, -1, -1, False))
    save("kafka_python_transactional", build(0, 4242, 7, 1000, True))


class Broker:
    """Answers ApiVersions, Metadata, InitProducerId and Produce of one producer."""

    # FindCoordinator (10) is never asked; librdkafka takes it as the sign of a broker that knows lz4.
    VERSIONS = {0: (0, 7), 1: (0, 10), 3: (0, 4), 10: (0, 2), 18: (0, 3), 22: (0, 1)}

    def __init__(self):
        self.batches = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        stream = connection.makefile("rb")
        while len(size := stream.read(4)) == 4:
            request = stream.read(struct.unpack(">i", size)[0])
            api, version, correlation, client = struct.unpack(">hhih", request[:10])
            answer = self.answer(api, version, request[10 + max(client, 0):])
            answer = struct.pack(">i", correlation) + answer
            connection.sendall(struct.pack(">i", len(answer)) + answer)

    def answer(self, api, version, body):
        if api == 18:
            return self.api_versions(version)
        if api == 3:
            return self.metadata()
        if api == 22:  # throttle, error, producer id, epoch
            return struct.pack(">ihqh", 0, 0, 4242, 7)
        if api == 0:
            return self.produce(body)
        raise ValueError("API %d" % api)

    def api_versions(self, version):
        if version < 3:
            rows = b"".join(struct.pack(">hhh", k, *v) for k, v in self.VERSIONS.items())
            tail = struct.pack(">i", 0) if version else b""
            return struct.pack(">hi", 0, len(self.VERSIONS)) + rows + tail
        rows = b"".join(struct.pack(">hhhb", k, *v, 0) for k, v in self.VERSIONS.items())
        return struct.pack(">hb", 0, len(self.VERSIONS) + 1) + rows + struct.pack(">ib", 0, 0)

    def metadata(self):
        def string(s):
            return struct.pack(">h", len(s)) + s.encode()

        broker = struct.pack(">ii", 1, 1) + string("127.0.0.1") + struct.pack(">ih", self.port, -1)
        partition = struct.pack(">hiiiiii", 0, 0, 1, 1, 1, 1, 1)
        topic = struct.pack(">ih", 1, 0) + string("golden") + struct.pack(">bi", 0, 1) + partition
        return struct.pack(">i", 0) + broker + string("cluster") + struct.pack(">i", 1) + topic

    def produce(self, body):
        # transactional id, acks, timeout, 1 topic, its name, 1 partition, its index, records
        (length,) = struct.unpack(">h", body[:2])
        at = 2 + max(length, 0) + 2 + 4 + 4
        (length,) = struct.unpack(">h", body[at:at + 2])
        at += 2 + length + 4 + 4
        (length,) = struct.unpack(">i", body[at:at + 4])
        self.batches.append(body[at + 4:at + 4 + length])
        return (struct.pack(">ih", 1, 6) + b"golden" + struct.pack(">i", 1) +
                struct.pack(">ihqqq", 0, 0, 0, -1, 0) + struct.pack(">i", 0))


def make_with_librdkafka():
    from confluent_kafka import Producer

    def produce(name, codec, **more):
        broker = Broker()
        conf = {"bootstrap.servers": "127.0.0.1:%d" % broker.port, "compression.type": codec,
                "linger.ms": 1000, "broker.address.family": "v4", **more}
        producer = Producer(conf)
        for timestamp, key, value, headers in RECORDS:
            producer.produce("golden", partition=0, key=key, value=value, timestamp=timestamp,
                             headers=headers)
        assert producer.flush(30) == 0 and len(broker.batches) == 1
        save(name, broker.batches[0])

    for codec in CODECS:
        produce("librdkafka_" + codec, codec)
    produce("librdkafka_idempotent", "none", **{"enable.idempotence": True})


if __name__ == "__main__":
    make_with_kafka_python()
    make_with_librdkafka()
