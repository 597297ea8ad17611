"""What the broker itself says at the end: last stable offsets, high watermarks, open transactions."""
import pathlib
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "load"))
import load  # noqa: E402

LIST_OFFSETS, OFFSET_FETCH, LIST_TRANSACTIONS = 2, 9, 66
LATEST = -1
UNCOMMITTED, COMMITTED = 0, 1


def latest(client, topic, partitions, isolation):
    """[offset] by partition; version 2."""
    parts = [struct.pack(">iq", p, LATEST) for p in range(partitions)]
    answer = client.ask(LIST_OFFSETS, 2, struct.pack(">ib", -1, isolation) + load.array([load.string(topic) + load.array(parts)]))
    at, found = 4 + 4 + 2 + len(topic) + 4, [None] * partitions
    for _ in range(partitions):
        p, error, _, offset = struct.unpack_from(">ihqq", answer, at)
        if error:
            sys.exit(f"offsets of {topic}-{p}: error {error}")
        found[p], at = offset, at + 22
    return found


def committed(client, group, topic, partitions):
    """[offset] by partition, -1 for none, or None while they are not known; version 5."""
    body = load.string(group) + load.array([load.string(topic) + load.array([struct.pack(">i", p) for p in range(partitions)])])
    answer = client.ask(OFFSET_FETCH, 5, body)
    if not struct.unpack_from(">i", answer, 4)[0]:
        return None
    at, found = 4 + 4 + 2 + len(topic) + 4, [None] * partitions
    for _ in range(partitions):
        p, offset, _, size = struct.unpack_from(">iqih", answer, at)
        at += 18 + max(0, size)
        error, at = struct.unpack_from(">h", answer, at)[0], at + 2
        if error:
            return None
        found[p] = offset
    return found


def compact(answer, at):
    """A length of a flexible version (below 128), and where it ends."""
    return answer[at] - 1, at + 1


def open_longer(client, ms):
    """Transactional ids whose transaction is open for longer than that; version 1."""
    answer = client.ask(LIST_TRANSACTIONS, 1, b"\0\1\1" + struct.pack(">q", ms) + b"\0")
    error = struct.unpack_from(">h", answer, 5)[0]
    if error:
        sys.exit(f"ListTransactions: error {error}")
    count, at = compact(answer, 7)
    for _ in range(count):
        size, at = compact(answer, at)
        at += size
    count, at = compact(answer, at)
    names = []
    for _ in range(count):
        size, at = compact(answer, at)
        name, at = answer[at:at + size].decode(), at + size + 8
        size, at = compact(answer, at)
        state, at = answer[at:at + size].decode(), at + size + 1
        if state in ("Ongoing", "PrepareCommit", "PrepareAbort"):
            names.append(name)
    return names


def wait_stable(port, topic, partitions, limit_s):
    """{partition: [last stable offset, high watermark]} once they are equal, or when the time is up."""
    client, end = load.Client(port), time.monotonic() + limit_s
    while True:
        stable = latest(client, topic, partitions, COMMITTED)
        high = latest(client, topic, partitions, UNCOMMITTED)
        if stable == high or time.monotonic() > end:
            return {str(p): [stable[p], high[p]] for p in range(partitions)}
        time.sleep(0.1)
