"""Transactions from outside: what the verbs show of them, on a cluster and on a data directory, and what jobs and consumers read."""

import json
import signal

import ksrun
import peer
from ksrun import Case
from test_wire import Broker

COPY = """\
local ks = require "ks"
return ks.job "copy" { flows = { copy = { ks.from "in", ks.to "out" } } }
"""


class Transactions(Case):
    def setUp(self):
        super().setUp()
        self.broker = None
        self.serve()
        self.addCleanup(lambda: self.broker.stop(signal.SIGKILL))

    def serve(self):
        self.broker = Broker(data=self.data)
        self.port = int(self.broker.address.rsplit(":", 1)[1])
        self.env["KS_BOOTSTRAP"] = self.broker.address

    def directory(self):
        """Ends the broker as a crash would; verbs work on its data directory from now on."""
        self.broker.stop(signal.SIGKILL)
        del self.env["KS_BOOTSTRAP"]

    def producer(self, name="p"):
        p = peer.Producer(self.port, name, "127.0.0.1")
        self.addCleanup(p.close)
        return p

    def rows(self, *args):
        return json.loads(self.ok(*args, "--format", "json"))

    def read(self, topic="in"):
        return self.ok("topic", "consume", topic, "-o", ":end", "-f", "%v ")

    def test_an_open_transaction_is_shown_and_holds_readers_back(self):
        self.ok("topic", "create", "in", "-p", "2")
        self.assertEqual(self.rows("txn", "list"), [])
        p = self.producer()
        self.assertEqual(self.rows("txn", "list"), [
            {"transactional_id": "p", "coordinator": 1, "producer_id": p.id, "state": "Empty"}])
        self.assertEqual(p.put("in", b"a", b"b"), (0, 0))
        for args, count in (((), 1), (("--state", "Ongoing"), 1), (("--state", "Empty"), 0), (("--match", "p+"), 1),
                            (("--match", "x"), 0), (("--older-than", "1h"), 0), (("--older-than", "0s"), 1),
                            (("--producer-id", str(p.id)), 1), (("--producer-id", str(p.id + 1)), 0)):
            with self.subTest(args):
                self.assertEqual(len(self.rows("txn", "list", *args)), count)
        (row,) = self.rows("txn", "describe", "p")
        self.assertEqual((row["state"], row["producer_id"], row["producer_epoch"], row["timeout_ms"], row["partitions"]),
                         ("Ongoing", p.id, p.epoch, 60000, "in-0"))
        (row,) = self.rows("txn", "producers", "in", "--open")
        self.assertEqual((row["partition"], row["producer_id"], row["txn_start_offset"], row["last_sequence"]),
                         (0, p.id, 0, 1))
        self.assertEqual(self.rows("txn", "find-hanging"), [])
        r = self.run_any("txn", "abort", "in", "-p", "0", "--start-offset", "0", "--yes", "-b", self.broker.address)
        self.assertEqual((r.code, r.err), (1, 'ksrun txn abort: in [0]: the transaction does not hang, it is open: its coordinator '
                                          'ends it in all partitions, for "p"\n'))
        self.assertEqual(self.read(), "")
        self.assertEqual(p.end(True), 0)
        self.assertEqual(self.read(), "a b ")
        self.assertEqual(self.rows("txn", "producers", "in", "--open"), [])
        self.assertEqual(self.rows("txn", "list")[0]["state"], "CompleteCommit")

    def test_who_wants_to_sees_what_is_not_committed(self):
        self.ok("topic", "create", "in")
        p = self.producer()
        self.assertEqual(p.put("in", b"a"), (0, 0))
        self.assertEqual(p.end(False), 0)
        self.assertEqual(p.put("in", b"b")[0], 0)
        for _ in range(2):  # on the cluster, and then on its data directory
            self.assertEqual(self.read(), "")
            self.assertEqual(self.ok("topic", "consume", "in", "-o", ":end", "--read-committed", "-f", "%v "), "")
            self.assertEqual(self.ok("topic", "consume", "in", "-o", ":end", "--uncommitted", "-f", "%o%v "), "0a 2b ")
            self.assertEqual(self.ok("topic", "consume", "in", "-o", "-1", "-n", "1", "--uncommitted", "-f", "%v"), "b")
            if "KS_BOOTSTRAP" in self.env:
                self.directory()
        r = self.run_any("topic", "consume", "in", "--read-committed", "--uncommitted")
        self.assertEqual((r.code, r.err.splitlines()[0]),
                         (2, "ksrun topic consume: only one of --read-committed and --uncommitted can be given"))

    def test_what_cannot_be_done_says_why(self):
        self.ok("topic", "create", "in")
        r = self.run_any("txn", "describe", "nobody")
        self.assertEqual((r.code, r.err), (1, 'ksrun txn describe: transactional id "nobody": no such transactional id\n'))
        r = self.run_any("txn", "list", "--state", "Sleeping")
        self.assertEqual(r.code, 2, r)
        self.assertIn("Sleeping", r.err)
        r = self.run_any("txn", "list", "--match", "(")
        self.assertEqual(r.code, 1, r)
        self.assertIn("regular expression", r.err)
        r = self.run_any("txn", "abort", "in", "--partition", "0", "--start-offset", "5", "--yes")
        self.assertEqual(r.code, 1, r)
        self.assertIn("no transaction is open that began at offset 5", r.err)
        self.assertEqual(self.run_any("txn", "abort", "in").code, 2)

    def test_a_data_directory_shows_what_a_crash_left_open(self):
        self.ok("topic", "create", "in")
        p, q = self.producer(), self.producer("q")
        self.assertEqual(q.put("in", b"committed"), (0, 0))
        self.assertEqual(q.end(True), 0)
        self.assertEqual(p.put("in", b"open"), (0, 2))
        self.directory()
        self.assertEqual([(r["transactional_id"], r["coordinator"], r["state"]) for r in self.rows("txn", "list")],
                         [("p", None, "Ongoing"), ("q", None, "CompleteCommit")])
        (row,) = self.rows("txn", "describe", "p")
        self.assertEqual((row["state"], row["partitions"]), ("Ongoing", "in-0"))
        (row,) = self.rows("txn", "producers", "in", "--open")
        self.assertEqual((row["producer_id"], row["txn_start_offset"]), (p.id, 2))
        self.assertEqual(self.rows("txn", "find-hanging"), [])
        self.assertEqual(self.read(), "committed ")

    def test_a_crash_loses_no_transaction(self):
        self.ok("topic", "create", "in")
        p = self.producer()
        self.assertEqual(p.put("in", b"a"), (0, 0))
        self.broker.stop(signal.SIGKILL)
        self.serve()
        again = peer.Peer(self.port, "127.0.0.1")
        self.addCleanup(again.close)
        p.socket, p.correlation = again.socket, 0
        self.assertEqual(p.put("in", b"b"), (0, 1))
        self.assertEqual(p.end(True), 0)
        self.assertEqual(self.read(), "a b ")

    def test_a_job_reads_what_was_committed(self):
        self.ok("topic", "create", "in")
        self.ok("topic", "create", "out")
        p, q = self.producer(), self.producer("q")
        self.assertEqual(p.put("in", b"1")[0], 0)
        self.assertEqual(q.put("in", b"aborted")[0], 0)
        self.assertEqual(p.put("in", b"2")[0], 0)
        self.assertEqual(q.end(False), 0)
        self.assertEqual(p.end(True), 0)
        self.assertEqual(q.put("in", b"open")[0], 0)
        self.assertEqual(p.put("in", b"3")[0], 0)
        self.assertEqual(p.end(True), 0)
        self.directory()
        script = self.dir + "/copy.lua"
        with open(script, "w") as f:
            f.write(COPY)
        r = self.run_any("run", "--once", "-q", script)
        self.assertEqual(r.code, 0, r)
        self.assertEqual(self.read("out"), "1 2 ")


if __name__ == "__main__":
    ksrun.main()
