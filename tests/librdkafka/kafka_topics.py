#!/usr/bin/env python3
"""The part of kafka-topics.sh that librdkafka's tests call: --create, --alter --partitions, --delete.

    kafka_topics.py --bootstrap-server HOST:PORT --create --topic T [--partitions N] [--config K=V]...
"""
import argparse
import socket
import struct
import sys

CREATE_TOPICS, DELETE_TOPICS, CREATE_PARTITIONS = 19, 20, 37


def text(s):
    data = s.encode()
    return struct.pack(">h", len(data)) + data


def ask(address, api, version, body):
    """The answer's bytes behind its header."""
    host, port = address.split(",")[0].rsplit(":", 1)
    frame = struct.pack(">hhi", api, version, 1) + text("kafka-topics") + body
    with socket.create_connection((host, int(port)), timeout=30) as s:
        s.sendall(struct.pack(">i", len(frame)) + frame)
        stream = s.makefile("rb")
        return stream.read(struct.unpack(">i", stream.read(4))[0])[4:]


def create(args):
    configs = [c.split("=", 1) for c in args.config]
    body = struct.pack(">i", 1) + text(args.topic) + struct.pack(">ihi", args.partitions, args.replication_factor, 0)
    body += struct.pack(">i", len(configs)) + b"".join(text(k) + text(v) for k, v in configs)
    return first_error(ask(args.bootstrap_server, CREATE_TOPICS, 2, body + struct.pack(">i?", 30000, False))[4:])


def alter(args):
    body = struct.pack(">i", 1) + text(args.topic) + struct.pack(">ii", args.partitions, -1)
    return first_error(ask(args.bootstrap_server, CREATE_PARTITIONS, 0, body + struct.pack(">i?", 30000, False))[4:])


def delete(args):
    body = struct.pack(">i", 1) + text(args.topic) + struct.pack(">i", 30000)
    return first_error(ask(args.bootstrap_server, DELETE_TOPICS, 1, body)[4:])


def first_error(results):
    """The error code of the only entry of an array of (name, code, ...)."""
    count, length = struct.unpack(">ih", results[:6])
    return struct.unpack(">h", results[6 + length:8 + length])[0] if count == 1 else -1


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bootstrap-server", required=True)
    args.add_argument("--create", dest="verb", action="store_const", const=create)
    args.add_argument("--alter", dest="verb", action="store_const", const=alter)
    args.add_argument("--delete", dest="verb", action="store_const", const=delete)
    args.add_argument("--topic", required=True)
    args.add_argument("--partitions", type=int, default=1)
    args.add_argument("--replication-factor", type=int, default=1)
    args.add_argument("--config", action="append", default=[])
    args = args.parse_args()
    code = args.verb(args)
    if code:
        print(f"kafka_topics: {args.topic}: error {code}", file=sys.stderr)
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
