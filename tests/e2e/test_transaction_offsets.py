"""Which offset a group has when transactions and plain commits move it side by side: as Apache Kafka 4.3.1 has it.

The later word counts, and a transaction spoke when it sent its offsets, not when it was committed. Requests are written by hand;
KS_TEST_BOOTSTRAP=HOST:PORT asks another broker.
"""

import os
import signal
import struct
import time
import unittest

import ksrun
from peer import string
from test_transaction_errors import ABORT, COMMIT, Connection, Id, compact
from test_wire import FOREIGN, Broker

TOPIC = "ks-transaction-errors"
NONE, UNSTABLE = 0, 88
OFFSET_COMMIT, OFFSET_FETCH, ADD_OFFSETS, TXN_OFFSET_COMMIT, OFFSET_DELETE = 8, 9, 25, 28, 47


def one_partition(rest):
    """An array of one topic, of one partition: 0, and what is told of it."""
    return struct.pack(">i", 1) + string(TOPIC) + struct.pack(">ii", 1, 0) + rest


class Group(Connection):
    """A connection that commits for a group which has no members."""

    def __init__(self, host, port):
        super().__init__(port, host)
        self.name = "offsets-" + os.urandom(6).hex()

    def error_of_one(self, answer, after):
        answer.at += after + 4 + 2 + len(TOPIC) + 4 + 4
        return answer.take("h")

    def commit(self, offset):
        body = string(self.name) + struct.pack(">i", -1) + string("") + struct.pack(">q", -1)
        return self.error_of_one(self.call(OFFSET_COMMIT, 2, body + one_partition(struct.pack(">q", offset) + string("")), False), 0)

    def delete(self):
        answer = self.call(OFFSET_DELETE, 0, string(self.name) + one_partition(b""), False)
        error = answer.take("h")
        return error or self.error_of_one(answer, 4)

    def fetch(self, is_stable_wanted):
        """The offset, -1 for none, and the error."""
        topic = b"\2" + compact(TOPIC) + b"\2" + struct.pack(">i", 0) + b"\0"
        answer = self.call(OFFSET_FETCH, 7, compact(self.name) + topic + bytes([is_stable_wanted, 0]))
        answer.take("i")
        answer.one()
        answer.compact()
        answer.one()
        _, offset, _ = answer.take("iqi")
        answer.compact()
        return offset, answer.take("h")


class Transaction(Id):
    """A producer by protocol 1 with one transaction that moves the group."""

    def send(self, group, offset):
        who = string(self.name), struct.pack(">qh", self.id, 0)

        def add():
            answer = self.c.call(ADD_OFFSETS, 0, b"".join(who) + string(group.name), False)
            answer.take("i")
            return (answer.take("h"),)

        self.case.assertEqual(self.again(add), (NONE,))
        body = who[0] + string(group.name) + who[1] + one_partition(struct.pack(">q", offset) + string(""))
        self.case.assertEqual(group.error_of_one(self.c.call(TXN_OFFSET_COMMIT, 0, body, False), 4), NONE)

    def finish(self, how):
        self.case.assertEqual(self.end(0, how, 1), NONE)


class TransactionOffsets(unittest.TestCase):
    def setUp(self):
        self.broker = None if FOREIGN else Broker()
        self.data = self.broker and self.broker.data
        self.addCleanup(lambda: self.broker and self.broker.stop(signal.SIGKILL))
        self.connect()

    def connect(self):
        host, port = (FOREIGN or self.broker.address).rsplit(":", 1)
        self.connection = Connection(int(port), host)
        self.addCleanup(self.connection.close)
        self.group = Group(host, int(port))
        self.addCleanup(self.group.close)
        self.connection.create_topic()
        self.until(lambda: self.connection.find_coordinator(self.group.name, 0) == NONE)
        self.until(lambda: self.group.commit(1) == NONE)

    def until(self, holds):
        for _ in range(200):
            if holds():
                return
            time.sleep(0.05)
        self.fail("it has not come to pass")

    def settle(self, offset):
        """An end may be answered before it can be seen, though not by us."""
        if FOREIGN:
            self.until(lambda: self.group.fetch(True)[1] != UNSTABLE)
        self.assertEqual(self.group.fetch(True), (offset, NONE))

    def test_d5_a_plain_commit_behind_the_transactions_own_stays(self):
        x = Transaction(self)
        x.send(self.group, 5)
        self.assertEqual(self.group.commit(3), NONE)
        self.assertEqual(self.group.fetch(False), (3, NONE))
        self.assertEqual(self.group.fetch(True), (-1, UNSTABLE))
        x.finish(COMMIT)
        self.settle(3)

    def test_d5_a_plain_commit_before_the_transactions_own_goes(self):
        x = Transaction(self)
        self.assertEqual(self.group.commit(3), NONE)
        x.send(self.group, 5)
        x.finish(COMMIT)
        self.settle(5)

    def test_d5_a_transaction_that_speaks_again_has_the_later_word(self):
        x = Transaction(self)
        x.send(self.group, 5)
        self.assertEqual(self.group.commit(3), NONE)
        x.send(self.group, 6)
        x.finish(COMMIT)
        self.settle(6)

    def test_d5_of_two_transactions_the_one_that_spoke_later_counts_whichever_ends_last(self):
        for order in ((0, 1), (1, 0)):
            with self.subTest(order):
                x = [Transaction(self), Transaction(self)]
                x[0].send(self.group, 5)
                x[1].send(self.group, 6)
                x[order[0]].finish(COMMIT)
                x[order[1]].finish(COMMIT)
                self.settle(6)

    def test_d5_what_was_aborted_was_never_said(self):
        x, y = Transaction(self), Transaction(self)
        x.send(self.group, 5)
        y.send(self.group, 6)
        y.finish(ABORT)
        x.finish(COMMIT)
        self.settle(5)

    def test_d5_a_deletion_takes_what_a_transaction_would_commit_with_it(self):
        x = Transaction(self)
        x.send(self.group, 5)
        self.assertEqual(self.group.delete(), NONE)
        self.assertEqual(self.group.fetch(True), (-1, NONE))
        x.finish(COMMIT)
        self.settle(-1)

    def test_d5_a_deletion_where_nothing_was_committed_takes_it_too(self):
        self.assertEqual(self.group.delete(), NONE)
        x = Transaction(self)
        x.send(self.group, 5)
        self.assertEqual(self.group.delete(), NONE)
        x.finish(COMMIT)
        self.settle(-1)


if __name__ == "__main__":
    ksrun.main()
