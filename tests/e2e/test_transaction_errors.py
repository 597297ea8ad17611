"""Which error a producer of transactions gets for what, in every version that differs: as from Apache Kafka 4.3.1.

Every expectation stands as Kafka 4.3.1 answered when it was asked. Where we answer otherwise on purpose (txn/transaction.h says why)
both stand there. Requests are written by hand, so that nothing of ours is between test and broker. KS_TEST_BOOTSTRAP=HOST:PORT asks
another broker and expects Kafka's answers.

A broker may answer CONCURRENT_TRANSACTIONS for a while, and Kafka does, as it may refuse everything until its coordinator has loaded;
ours never does, and that is looked at too.
"""

import os
import struct
import time
import unittest

import ksrun
import peer
from test_wire import FOREIGN, Broker

TOPIC = "ks-transaction-errors"
NONE, UNKNOWN_TOPIC, INVALID_REQUEST, EPOCH, TXN_STATE, MAPPING, TIMEOUT, CONCURRENT, FENCED, ABORTABLE = (
    0, 3, 42, 47, 48, 49, 50, 51, 90, 120)
FOR_A_WHILE = (CONCURRENT, 14, 16)  # COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR
PRODUCE, CREATE_TOPICS, FIND_COORDINATOR, INIT, ADD, END, DESCRIBE = 0, 19, 10, 22, 24, 26, 65
COMMIT, ABORT = True, False


def compact(text):
    data = text.encode()
    return bytes([len(data) + 1]) + data


def transactional_batch(producer_id, epoch, sequence):
    whole = peer.batch(b"x", timestamp=int(time.time() * 1000))
    tail = bytearray(whole[21:])
    struct.pack_into(">h", tail, 0, 0x10)
    struct.pack_into(">qhi", tail, 22, producer_id, epoch, sequence)
    return whole[:17] + struct.pack(">I", peer.crc32c(bytes(tail))) + bytes(tail)


class Answer:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, format):
        value = struct.unpack_from(">" + format, self.data, self.at)
        self.at += struct.calcsize(">" + format)
        return value if len(value) > 1 else value[0]

    def compact(self):
        length = self.take("B") - 1
        text = self.data[self.at:self.at + length]
        self.at += length
        return text.decode()

    def one(self):
        """The head of an array that has to have one element."""
        if self.take("B") != 2:
            raise AssertionError("not one element")


class Connection(peer.Peer):
    def call(self, key, version, body, flexible=True):
        self.correlation += 1
        head = struct.pack(">hhi", key, version, self.correlation) + peer.string("errors") + (b"\0" if flexible else b"")
        self.socket.sendall(struct.pack(">i", len(head + body)) + head + body)
        answer = Answer(self.exactly(struct.unpack(">i", self.exactly(4))[0]))
        if answer.take("i") != self.correlation:
            raise AssertionError("an answer to another request")
        if flexible:
            answer.take("B")
        return answer

    def init(self, name, producer_id, epoch, version, timeout_ms):
        answer = self.call(INIT, version, compact(name) + struct.pack(">iqh", timeout_ms, producer_id, epoch) + b"\0")
        answer.take("i")
        return answer.take("hqh")

    def add(self, name, producer_id, epoch, partition):
        answer = self.call(ADD, 3, compact(name) + struct.pack(">qh", producer_id, epoch) + b"\2" + compact(TOPIC) +
                           b"\2" + struct.pack(">i", partition) + b"\0\0")
        answer.take("i")
        answer.one()
        answer.compact()
        answer.one()
        return answer.take("ih")[1], -1, -1

    def end(self, name, producer_id, epoch, commit, version):
        if version < 3:
            answer = self.call(END, version, peer.string(name) + struct.pack(">qh?", producer_id, epoch, commit), False)
        else:
            answer = self.call(END, version, compact(name) + struct.pack(">qh?", producer_id, epoch, commit) + b"\0")
        answer.take("i")
        return (answer.take("h"), *(answer.take("qh") if version >= 5 else (-1, -1)))

    def produce(self, name, producer_id, epoch, partition, sequence, version):
        batch = transactional_batch(producer_id, epoch, sequence)
        answer = self.call(PRODUCE, version, compact(name) + struct.pack(">hi", -1, 30000) + b"\2" + compact(TOPIC) + b"\2" +
                           struct.pack(">i", partition) + bytes([len(batch) + 1]) + batch + b"\0\0\0")
        answer.one()
        answer.compact()
        answer.one()
        return answer.take("ih")[1], -1, -1

    def create_topic(self):
        topic = b"\2" + compact(TOPIC) + struct.pack(">ih", 2, 1) + b"\1\1\0"
        self.call(CREATE_TOPICS, 5, topic + struct.pack(">i?", 30000, False) + b"\0")

    def find_coordinator(self, name, kind=1):
        """kind: 0 for a group"""
        answer = self.call(FIND_COORDINATOR, 4, bytes([kind, 2]) + compact(name) + b"\0")
        answer.take("i")
        answer.one()
        answer.compact()
        answer.take("i")
        answer.compact()
        answer.take("i")
        return answer.take("h")

    def state(self, name):
        answer = self.call(DESCRIBE, 0, b"\2" + compact(name) + b"\0")
        answer.take("i")
        answer.one()
        answer.take("h")
        answer.compact()
        return answer.compact()


class Id:
    """A transactional id, its producer id, and whoever claims whatever epoch of it."""

    def __init__(self, case, timeout_ms=60000):
        self.case, self.timeout_ms = case, timeout_ms
        self.name = "errors-" + os.urandom(6).hex()
        self.c = case.connection
        case.until(lambda: self.c.find_coordinator(self.name) == NONE)
        error, self.id, epoch = self.again(lambda: self.c.init(self.name, -1, -1, 4, timeout_ms))
        case.assertEqual((error, epoch), (NONE, 0))

    def again(self, ask):
        result = ask()
        if not FOREIGN:
            self.case.assertNotIn(result[0], FOR_A_WHILE)
        for _ in range(200):
            if result[0] not in FOR_A_WHILE:
                break
            time.sleep(0.05)
            result = ask()
        return result

    def result(self, answer):
        """An error, or the epoch of the pair that came with success."""
        error, _, epoch = answer
        return error if error or epoch < 0 else ("epoch", epoch)

    def init(self, epoch=None, version=4):
        pair = (-1, -1) if epoch is None else (self.id, epoch)
        return self.result(self.again(lambda: self.c.init(self.name, *pair, version, self.timeout_ms)))

    def add(self, epoch, partition=0):
        return self.result(self.again(lambda: self.c.add(self.name, self.id, epoch, partition)))

    def produce(self, epoch, sequence=0, version=12, partition=0):
        return self.result(self.again(lambda: self.c.produce(self.name, self.id, epoch, partition, sequence, version)))

    def end(self, epoch, commit, version=5):
        return self.result(self.again(lambda: self.c.end(self.name, self.id, epoch, commit, version)))

    def time_out(self):
        self.case.until(lambda: self.c.state(self.name) == "CompleteAbort")


class TransactionErrors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = None if FOREIGN else Broker("transaction.abort.timed.out.transaction.cleanup.interval.ms=100")
        host, port = (FOREIGN or cls.broker.address).rsplit(":", 1)
        cls.connection = Connection(int(port), host)
        cls.connection.create_topic()

    @classmethod
    def tearDownClass(cls):
        cls.connection.close()
        if cls.broker:
            cls.broker.stop()

    def until(self, holds):
        end = time.monotonic() + 120
        while not holds():
            self.assertLess(time.monotonic(), end, "it has not come to pass")
            time.sleep(0.05)

    def both(self, answer, kafka, ours):
        self.assertEqual(answer, kafka if FOREIGN else ours)

    def test_an_unknown_id_has_no_mapping(self):
        x = Id(self)
        x.name += "-unknown"
        self.assertEqual(x.add(0), MAPPING)
        self.assertEqual(x.end(0, COMMIT, 4), MAPPING)
        self.assertEqual(x.end(0, COMMIT), MAPPING)
        self.assertEqual(x.produce(0), MAPPING)
        self.assertEqual(x.produce(0, version=11), MAPPING)

    def test_init_refuses_wrong_timeouts_and_half_a_pair(self):
        for timeout_ms in (0, -1, 2**31 - 1):
            self.assertEqual(self.connection.init("errors-timeout", -1, -1, 4, timeout_ms)[0], TIMEOUT)
        self.assertEqual(self.connection.init("errors-pair", 5, -1, 4, 1000)[0], INVALID_REQUEST)
        self.assertEqual(self.connection.init("", -1, -1, 4, 1000)[0], INVALID_REQUEST)

    def test_a3_a_partition_that_was_not_added(self):
        x = Id(self)
        self.assertEqual(x.produce(0, version=10), TXN_STATE)
        self.assertEqual(x.produce(0, version=11), ABORTABLE)

    def test_a5_a_replaced_instance_is_fenced_in_the_words_that_it_knows(self):
        x = Id(self)
        self.assertEqual(x.init(), ("epoch", 1))
        self.assertEqual(x.add(0), FENCED)
        self.assertEqual(x.end(0, COMMIT), FENCED)
        self.assertEqual(x.end(0, COMMIT, 4), FENCED)
        self.assertEqual(x.end(0, COMMIT, 1), EPOCH)
        self.assertEqual(x.produce(0), EPOCH)
        self.assertEqual(x.produce(0, version=11), EPOCH)
        self.assertEqual(x.init(0), FENCED)
        self.assertEqual(x.init(0, version=3), EPOCH)

    def test_a5_a_new_instance_ends_what_the_old_one_had_open(self):
        x = Id(self)
        self.assertEqual(x.produce(0), NONE)
        self.both(x.init(), ("epoch", 2), ("epoch", 1))
        self.assertEqual(x.end(0, COMMIT), FENCED)
        self.assertEqual(x.produce(0, 1), EPOCH)
        self.assertEqual(x.init(0), FENCED)

    def test_a7_a_repeated_end_of_version_1(self):
        x = Id(self)
        self.assertEqual(x.add(0), NONE)
        self.assertEqual(x.produce(0, version=11), NONE)
        self.assertEqual(x.end(0, COMMIT, 4), NONE)
        self.assertEqual(x.end(0, COMMIT, 4), NONE)
        self.assertEqual(x.end(0, ABORT, 4), TXN_STATE)
        self.assertEqual(x.produce(0, 1, version=11), ABORTABLE)
        self.assertEqual(x.add(0), NONE)
        self.assertEqual(x.end(0, ABORT, 4), NONE)
        self.assertEqual(x.end(0, ABORT, 4), NONE)
        self.assertEqual(x.end(0, COMMIT, 4), TXN_STATE)

    def test_a7_a_repeated_end_of_version_2(self):
        x = Id(self)
        self.assertEqual(x.produce(0), NONE)
        self.assertEqual(x.end(0, COMMIT), ("epoch", 1))
        self.assertEqual(x.end(0, COMMIT), ("epoch", 1))
        self.assertEqual(x.end(0, ABORT), TXN_STATE)
        self.assertEqual(x.produce(0, 1), EPOCH)
        self.assertEqual(x.produce(1), NONE)
        self.assertEqual(x.end(0, COMMIT), FENCED)
        self.assertEqual(x.end(0, ABORT), FENCED)
        self.assertEqual(x.end(1, ABORT), ("epoch", 2))
        self.assertEqual(x.end(1, COMMIT), TXN_STATE)
        self.assertEqual(x.end(1, ABORT), ("epoch", 2))

    def test_a8_nothing_to_commit(self):
        x = Id(self)
        self.assertEqual(x.end(0, COMMIT, 4), TXN_STATE)
        self.assertEqual(x.end(0, ABORT, 4), TXN_STATE)
        self.assertEqual(x.end(0, COMMIT), TXN_STATE)
        self.assertEqual(x.produce(0), NONE)
        self.assertEqual(x.end(0, COMMIT), ("epoch", 1))
        self.assertEqual(x.end(1, COMMIT), TXN_STATE)

    def test_a13_a_repeated_init(self):
        x = Id(self)
        self.assertEqual(x.init(0), ("epoch", 1))
        self.assertEqual(x.init(0), ("epoch", 1))
        self.assertEqual(x.init(1), ("epoch", 2))
        self.assertEqual(x.init(0), FENCED)

    def test_a13_a_late_init_leaves_the_open_transaction_alone(self):
        x = Id(self)
        self.assertEqual(x.init(0), ("epoch", 1))
        self.assertEqual(x.produce(1), NONE)
        self.assertEqual(x.init(0), FENCED)
        self.both(x.end(1, COMMIT), TXN_STATE, ("epoch", 2))

    def test_a14_init_in_the_middle_of_a_transaction(self):
        x = Id(self)
        self.assertEqual(x.produce(0), NONE)
        self.both(x.init(0), ("epoch", 1), FENCED)
        self.assertEqual(x.end(0, COMMIT), FENCED)

    def test_a18_to_abort_nothing(self):
        x = Id(self)
        self.assertEqual(x.end(0, ABORT), ("epoch", 1))
        self.assertEqual(x.end(0, ABORT), ("epoch", 1))
        self.assertEqual(x.end(1, ABORT), ("epoch", 2))

    def test_a19_both_versions_in_one_transaction(self):
        x = Id(self)
        self.assertEqual(x.add(0), NONE)
        self.assertEqual(x.produce(0), NONE)
        self.both(x.produce(0, partition=1), NONE, TXN_STATE)
        self.assertEqual(x.end(0, COMMIT), ("epoch", 1))
        self.both(x.end(1, COMMIT, 4), NONE, TXN_STATE)
        self.assertEqual(x.produce(1), NONE)
        self.both(x.add(1, 1), NONE, TXN_STATE)
        self.both(x.end(1, COMMIT, 4), NONE, TXN_STATE)

    def test_a20_after_a_timeout_in_version_2(self):
        x = Id(self, timeout_ms=500)
        self.assertEqual(x.produce(0), NONE)
        x.time_out()
        self.both(x.end(0, COMMIT), TXN_STATE, FENCED)
        self.assertEqual(x.produce(0, 1), EPOCH)
        self.assertEqual(x.end(0, ABORT), ("epoch", 1))
        self.assertEqual(x.end(0, ABORT), ("epoch", 1))
        self.assertEqual(x.produce(1), NONE)
        self.assertEqual(x.end(1, COMMIT), ("epoch", 2))

    def test_a20_after_a_timeout_in_version_1(self):
        x = Id(self, timeout_ms=500)
        self.assertEqual(x.add(0), NONE)
        x.time_out()
        self.assertEqual(x.end(0, COMMIT, 4), FENCED)
        self.assertEqual(x.end(0, ABORT, 4), FENCED)
        self.assertEqual(x.end(0, ABORT, 1), EPOCH)
        self.assertEqual(x.add(0), FENCED)
        self.assertEqual(x.produce(0, version=11), EPOCH)
        self.assertEqual(x.init(0), ("epoch", 1))


if __name__ == "__main__":
    ksrun.main()
