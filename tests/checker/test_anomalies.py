#!/usr/bin/env python3
"""Single stories of transactions going wrong, told with a real client through the proxy.

    test_anomalies.py --ksrun PATH --client PATH --kind librdkafka|java [--set KEY=VALUE] [--kafka] [TEST...]

A name's letter and number are those of docs/transactions.md. librdkafka speaks the first protocol of transactions, Java the
second. Nothing here depends on luck: what has to be late is held until the story says so.
"""
import argparse
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import cluster
import probe
import programs
import proxy

PARTITIONS, LIMIT_S = 3, 120


class Driver:
    """One transactional producer; each command is answered."""

    def __init__(self, test, name, transactional_id, timeout_ms=30_000):
        argv = [*programs.command(ARGS.kind, ARGS), "drive", "-b", test.bootstrap, "-t", test.topic, "-p", PARTITIONS, "-n", name,
                "-i", transactional_id, "-x", timeout_ms]
        self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.name, self.answers = name, queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()
        test.addCleanup(self.end)

    def listen(self):
        for line in self.process.stdout:
            self.answers.put(line.strip())

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def answer(self):
        return self.answers.get(timeout=LIMIT_S)

    def do(self, *commands):
        """The first answer that is not ok, or ok."""
        for command in commands:
            self.ask(command)
            answer = self.answer()
            if answer != "ok":
                return f"{command}: {answer}"
        return "ok"


class Told(unittest.TestCase):
    """A broker and a proxy for all stories of a class, a topic and a transactional id for each."""

    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="ks-anomalies-"))
        cls.proxy = proxy.Proxy()
        cls.broker = cluster.Kafka(cls.proxy.port) if ARGS.kafka else cluster.Ours(
            ARGS.ksrun, cls.folder, cls.proxy.port, {**cls.settings, **dict(ARGS.set)})
        cls.bootstrap = f"127.0.0.1:{cls.proxy.port}"
        cls.broker.start()
        cls.proxy.start(cls.broker.port)

    @classmethod
    def tearDownClass(cls):
        wrong = cls.broker.stop()
        shutil.rmtree(cls.folder, True)
        if wrong:
            raise AssertionError(wrong)

    def setUp(self):
        self.proxy.withdraw_all()
        self.topic = self.id().rsplit(".", 1)[1]
        probe.load.Client(self.broker.port).create([self.topic], PARTITIONS)

    def driver(self, name="a", transactional_id=None, **more):
        return Driver(self, f"{self.topic}-{name}", transactional_id or self.topic, **more)

    def ok(self, driver, *commands):
        self.assertEqual(driver.do(*commands), "ok")

    def read(self, isolation="read_committed"):
        """{partition: [values]} from the beginning to the end; partitions without any are left out."""
        done = subprocess.run([ARGS.client, "read", "-b", self.bootstrap, "-t", self.topic, "-p", str(PARTITIONS), "-I", isolation],
                              stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=LIMIT_S + 30)
        self.assertEqual(done.returncode, 0)
        found = {}
        for line in map(json.loads, done.stdout.splitlines()):
            for at, _, value in line.get("got", ()):
                found.setdefault(at, []).append(value)
        return found

    def latest(self, isolation):
        return probe.latest(probe.load.Client(self.broker.port), self.topic, PARTITIONS, isolation)

    def assert_stable(self):
        ends = probe.wait_stable(self.broker.port, self.topic, PARTITIONS, LIMIT_S)
        self.assertEqual([p for p, (stable, high) in ends.items() if stable != high], [])

    def committed(self):
        """Of the group that is named as the topic, in partition 0."""
        end = time.monotonic() + LIMIT_S
        while True:  # a broker that was just started may not know yet
            found = probe.committed(probe.load.Client(self.broker.port), self.topic, self.topic, PARTITIONS)
            if found is not None:
                return found[0]
            self.assertLess(time.monotonic(), end)

    def met(self, order):
        order.met.result(LIMIT_S)

    def begun(self, *sends, **more):
        """A driver with a transaction whose records are acknowledged."""
        d = self.driver(**more)
        self.ok(d, "init", "begin", *sends, "flush")
        return d

    def held(self, d, key, command):
        """The order that holds the request of this command back until release(), whatever the driver is told meanwhile."""
        late = self.proxy.order("hold", [key], 120)
        self.ok(d, command)
        self.met(late)
        return late

    def kill_and_start(self):
        self.broker.kill()
        self.broker.start()

    def release(self, order):
        """And the broker has answered it."""
        self.proxy.release(order)
        order.done.result(LIMIT_S)


class Stories(Told):
    # --- late requests ---

    def test_a1_a_commit_that_comes_late_does_not_commit_the_next_transaction(self):
        d = self.begun("send 0 1")
        late = self.held(d, proxy.END_TXN, "commit")
        self.ok(d, "begin", "send 0 2", "flush")
        self.release(late)
        self.assertEqual(self.read(), {0: [1]})
        self.ok(d, "abort")
        self.assertEqual(self.read(), {0: [1]})
        self.assert_stable()

    def test_a1_an_abort_that_comes_late_does_not_abort_the_next_transaction(self):
        d = self.begun("send 0 1")
        late = self.held(d, proxy.END_TXN, "abort")
        self.ok(d, "begin", "send 0 2", "flush")
        self.release(late)
        self.ok(d, "commit")
        self.assertEqual(self.read(), {0: [2]})
        self.assert_stable()

    def test_a2_a_record_that_comes_after_its_abort_joins_no_later_transaction(self):
        d = self.begun("send 0 1")
        late = self.held(d, proxy.PRODUCE, "send 0 2")
        self.ok(d, "abort", "begin", "send 1 3", "flush")
        self.release(late)
        self.ok(d, "commit")
        self.assertEqual(self.read(), {1: [3]})
        self.assert_stable()

    def test_a2_a_record_that_comes_when_no_transaction_is_open_opens_none(self):
        d = self.begun("send 0 1")
        late = self.held(d, proxy.PRODUCE, "send 0 2")
        self.ok(d, "abort")
        self.release(late)
        self.assert_stable()
        self.ok(d, "begin", "send 1 3", "flush", "commit")
        self.assertEqual(self.read(), {1: [3]})

    # --- answers that are lost, requests that come twice ---

    def lost(self, key, *commands):
        d = self.driver()
        if key != proxy.INIT_PRODUCER_ID:
            self.ok(d, "init")
        order = self.proxy.order("lose", [key])
        self.ok(d, *commands)
        self.met(order)
        return d

    def test_a7_a_commit_whose_answer_is_lost_is_a_commit(self):
        self.lost(proxy.END_TXN, "begin", "send 0 1", "flush", "commit", "begin", "send 0 2", "flush", "commit")
        self.assertEqual(self.read(), {0: [1, 2]})

    def test_a7_an_abort_whose_answer_is_lost_is_an_abort(self):
        self.lost(proxy.END_TXN, "begin", "send 0 1", "flush", "abort", "begin", "send 0 2", "flush", "commit")
        self.assertEqual(self.read(), {0: [2]})

    def lost_in_a_kill(self, d, command):
        """The broker has acted and is killed; nobody was answered, and nobody can ask again before it is back."""
        order = self.proxy.order("lose", [proxy.END_TXN])
        self.proxy.refuse(True)
        try:
            d.ask(command)
            order.done.result(LIMIT_S)
            self.broker.kill()
            self.broker.start()
        finally:
            self.proxy.refuse(False)
        self.assertEqual(d.answer(), "ok")

    def test_a7_a_commit_whose_answer_is_lost_in_a_kill_is_a_commit(self):
        d = self.begun("send 0 1")
        self.lost_in_a_kill(d, "commit")
        self.ok(d, "begin", "send 0 2", "flush", "commit")
        self.assertEqual(self.read(), {0: [1, 2]})

    def test_a7_an_abort_whose_answer_is_lost_in_a_kill_is_an_abort(self):
        d = self.begun("send 0 1")
        self.lost_in_a_kill(d, "abort")
        self.ok(d, "begin", "send 0 2", "flush", "commit")
        self.assertEqual(self.read(), {0: [2]})

    def test_a7_a_commit_that_comes_twice_is_one_commit(self):
        d = self.begun("send 0 1")
        order = self.proxy.order("duplicate", [proxy.END_TXN])
        self.ok(d, "commit")
        self.met(order)
        self.ok(d, "begin", "send 0 2", "flush", "commit")
        self.assertEqual(self.read(), {0: [1, 2]})
        self.assert_stable()

    def test_a13_an_initialisation_whose_answer_is_lost_can_be_made_again(self):
        self.lost(proxy.INIT_PRODUCER_ID, "init", "begin", "send 0 1", "flush", "commit")
        self.assertEqual(self.read(), {0: [1]})

    def test_c1_records_whose_acknowledgement_is_lost_are_there_once(self):
        self.lost(proxy.PRODUCE, "begin", *(f"send 0 {i}" for i in range(1, 6)), "flush", "commit")
        self.assertEqual(self.read(), {0: [1, 2, 3, 4, 5]})

    def test_c1_records_that_come_twice_are_there_once(self):
        d = self.driver()
        self.ok(d, "init", "begin")
        order = self.proxy.order("duplicate", [proxy.PRODUCE])
        self.ok(d, *(f"send 0 {i}" for i in range(1, 6)), "flush")
        self.met(order)
        self.ok(d, "commit", "begin", "send 0 6", "flush", "commit")
        self.assertEqual(self.read(), {0: [1, 2, 3, 4, 5, 6]})

    # --- zombies and timeouts ---

    def test_a5_a_zombie_can_neither_send_nor_commit(self):
        a, b = self.driver("a"), self.driver("b")
        self.ok(a, "init", "begin", "send 0 1", "flush")
        a.process.send_signal(signal.SIGSTOP)
        self.ok(b, "init", "begin", "send 0 2", "flush", "commit", "begin", "send 0 3", "flush")
        a.process.send_signal(signal.SIGCONT)
        self.assertNotEqual(a.do("send 0 4", "flush", "commit"), "ok")
        self.ok(b, "commit")
        self.assertEqual(self.read(), {0: [2, 3]})
        self.assert_stable()

    def test_a5_the_open_transaction_of_a_zombie_is_aborted_by_its_successor(self):
        a, b = self.driver("a"), self.driver("b")
        self.ok(a, "init", "begin", "send 0 1", "send 1 2", "flush")
        self.ok(b, "init")
        self.assertNotEqual(a.do("commit"), "ok")
        self.assert_stable()
        self.assertEqual(self.read(), {})

    def copier(self, name):
        program = programs.Program(
            [*programs.command(ARGS.kind, ARGS), "copy", "-b", self.bootstrap, "-t", self.topic, "-T", self.topic + ".copy",
             "-p", PARTITIONS, "-n", f"{self.topic}-{name}", "-i", f"{self.topic}-{name}", "-g", self.topic, "-c", 750, "-x", 60_000],
            self.folder / f"{name}.out", self.folder / f"{name}.err")
        self.addCleanup(program.kill)
        return program

    def client(self, mode, topic):
        done = subprocess.run([ARGS.client, mode, "-b", self.bootstrap, "-t", topic, "-p", str(PARTITIONS), "-c", "50"],
                              stdout=subprocess.PIPE, text=True, timeout=LIMIT_S)
        return done.returncode, done.stdout

    def wait_copied(self):
        """Until the group has committed the end of every partition."""
        end = time.monotonic() + LIMIT_S
        while probe.committed(probe.load.Client(self.broker.port), self.topic, self.topic, PARTITIONS) != [50] * PARTITIONS:
            self.assertLess(time.monotonic(), end, "the second copier does not come to the end")
            time.sleep(0.1)

    def test_a6_a_member_that_was_replaced_commits_nothing(self):
        probe.load.Client(self.broker.port).create([self.topic + ".copy"], PARTITIONS)
        self.assertEqual(self.client("seed", self.topic)[0], 0)
        late = self.proxy.order("hold", [proxy.TXN_OFFSET_COMMIT], 120)
        first = self.copier("first")
        self.met(late)
        first.signal(signal.SIGSTOP)
        second = self.copier("second")
        self.wait_copied()
        self.release(late)
        first.signal(signal.SIGCONT)
        for copier in (first, second):
            copier.ask_to_end()
            self.assertEqual(copier.wait(LIMIT_S), 0)
        self.assertEqual(self.client("verify", self.topic + ".copy"),
                         (0, "messages=150 missing=0 doubled=0 disordered=0 strange=0\n"))

    def test_a11_a_commit_after_the_timeout_fails_and_nothing_of_it_is_seen(self):
        d = self.begun("send 0 1", timeout_ms=5000)
        self.assert_stable()
        self.assertNotEqual(d.do("commit"), "ok")
        self.assertEqual(self.read(), {})
        again = self.driver("again")
        self.ok(again, "init", "begin", "send 0 2", "flush", "commit")
        self.assertEqual(self.read(), {0: [2]})

    def test_a11_records_sent_after_the_timeout_do_not_make_half_a_transaction(self):
        d = self.begun("send 0 1", timeout_ms=5000)
        self.assert_stable()
        self.assertNotEqual(d.do("send 1 2", "flush", "commit"), "ok")
        self.assertEqual(self.read(), {})
        self.assert_stable()

    def test_a9_transactions_that_follow_at_once_are_all_there(self):
        d = self.driver()
        self.ok(d, "init")
        for i in range(100):
            self.ok(d, "begin", f"send {i % PARTITIONS} {i}", "flush", "abort" if i % 5 == 4 else "commit")
        self.assertEqual(self.read(), {p: [i for i in range(100) if i % PARTITIONS == p and i % 5 != 4] for p in range(PARTITIONS)})
        self.assert_stable()

    @unittest.skipUnless(os.environ.get("KS_LONG") == "1", "a minute or two; KS_LONG=1 tells it")
    def test_a10_a_producer_outlives_its_epochs(self):
        if ARGS.kind != "java":
            self.skipTest("only the second protocol has an epoch for every transaction")
        d, count = self.driver(), 33_000
        self.ok(d, "init")
        for first in range(0, count, 1000):
            self.ok(d, f"many 1000 {first}")
        self.assertEqual(self.read(), {0: list(range(count))})
        self.assert_stable()

    def test_a18_an_empty_transaction_can_be_committed_and_aborted(self):
        d = self.driver()
        self.ok(d, "init", "begin", "commit", "begin", "abort", "begin", "send 0 1", "flush", "commit", "begin", "commit")
        self.assertEqual(self.read(), {0: [1]})

    # --- crashes ---

    def test_a4_a_transaction_over_all_partitions_is_there_whole_after_a_kill(self):
        d = self.driver()
        self.ok(d, "init", "begin", *(f"send {p} {p}" for p in range(PARTITIONS)), f"offsets {self.topic} 0 7", "flush", "commit")
        self.kill_and_start()
        self.assertEqual(self.read(), {p: [p] for p in range(PARTITIONS)})
        self.assertEqual(self.committed(), 7)
        self.assert_stable()

    def test_a15_a_transaction_that_a_kill_interrupts_can_be_committed(self):
        d = self.begun("send 0 1", "send 1 2")
        self.kill_and_start()
        self.ok(d, "send 2 3", "flush", "commit")
        self.assertEqual(self.read(), {0: [1], 1: [2], 2: [3]})
        self.assert_stable()

    def test_a15_a_transaction_that_a_kill_interrupts_can_be_aborted(self):
        d = self.begun("send 0 1", "send 1 2")
        self.kill_and_start()
        self.ok(d, "abort")
        self.assert_stable()
        self.assertEqual(self.read(), {})

    # --- what is seen ---

    def test_b6_a_read_uncommitted_reader_sees_what_is_open_and_what_was_aborted(self):
        d = self.driver()
        self.ok(d, "init", "begin", "send 0 1", "flush", "abort", "begin", "send 0 2", "flush")
        self.assertEqual(self.read("read_uncommitted"), {0: [1, 2]})
        self.assertEqual(self.read(), {})
        self.ok(d, "commit")
        self.assertEqual(self.read("read_uncommitted"), {0: [1, 2]})
        self.assertEqual(self.read(), {0: [2]})

    def test_b7_the_latest_offset_of_a_read_committed_reader_is_the_last_stable_one(self):
        d = self.driver()
        self.ok(d, "init", "begin", "send 0 1", "flush", "commit", "begin", "send 0 2", "flush")
        self.assertEqual([self.latest(probe.COMMITTED)[0], self.latest(probe.UNCOMMITTED)[0]], [2, 3])
        self.ok(d, "commit")
        self.assertEqual([self.latest(probe.COMMITTED)[0], self.latest(probe.UNCOMMITTED)[0]], [4, 4])

    # --- offsets ---

    def test_d1_an_offset_is_seen_after_the_commit_and_not_before(self):
        d = self.driver()
        self.ok(d, "init", "begin", "send 0 1", f"offsets {self.topic} 0 7")
        self.assertEqual(self.committed(), -1)
        self.ok(d, "commit")
        self.assertEqual(self.committed(), 7)

    def test_d1_an_offset_of_an_aborted_transaction_is_never_seen(self):
        d = self.driver()
        self.ok(d, "init", "begin", "send 0 1", f"offsets {self.topic} 0 7", "commit")
        self.ok(d, "begin", "send 0 2", f"offsets {self.topic} 0 9", "abort")
        self.assertEqual(self.committed(), 7)

    def test_d2_an_offset_is_there_when_its_commit_is_answered(self):
        d = self.driver()
        self.ok(d, "init")
        for i in range(50):
            self.ok(d, "begin", f"offsets {self.topic} 0 {i + 1}", "commit")
            self.assertEqual(self.committed(), i + 1)

    def test_d1_a_pending_offset_outlives_a_kill(self):
        d = self.driver()
        self.ok(d, "init", "begin", "send 0 1", f"offsets {self.topic} 0 7", "flush")
        self.kill_and_start()
        self.assertEqual(self.committed(), -1)
        self.ok(d, "commit")
        self.assertEqual(self.committed(), 7)


class Unfenced(Told):
    """What the broker's memory of connections is good for: without it, as with Apache Kafka, the first protocol suffers this."""

    settings = {"transaction.connection.fencing.enable": "false"}

    def setUp(self):
        if ARGS.kind != "librdkafka":
            self.skipTest("only the first protocol needs it")
        super().setUp()

    def test_a1_a_late_commit_commits_half_of_the_next_transaction(self):
        d = self.begun("send 0 1")
        late = self.held(d, proxy.END_TXN, "commit")
        self.ok(d, "begin", "send 0 2", "flush")
        self.release(late)
        self.assertEqual(self.read(), {0: [1, 2]})


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ksrun")
    parser.add_argument("--client", required=True, help="the program txn_client")
    parser.add_argument("--build", type=pathlib.Path, default=cluster.ROOT / "build" / "clients")
    parser.add_argument("--kind", choices=["librdkafka", "java"], default="librdkafka")
    parser.add_argument("--set", action="append", default=[], type=lambda s: s.split("=", 1), help="a setting of the broker")
    parser.add_argument("--kafka", action="store_true")
    return parser.parse_known_args()


if __name__ == "__main__":
    ARGS, REST = parse()
    programs.skip_without([ARGS.kind], ARGS)
    unittest.main(argv=[sys.argv[0], *REST])
