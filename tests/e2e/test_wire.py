"""The command line on a cluster: the same verbs over the network, run literally against a broker of ours.

KS_TEST_BOOTSTRAP=HOST:PORT runs the tests against another cluster instead, such as Apache Kafka; those that are about
our own sentences are left out then.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import ksrun
import peer
from ksrun import Case

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import ports  # noqa: E402

FOREIGN = os.environ.get("KS_TEST_BOOTSTRAP")


class Broker:
    """`ksrun broker` on a free port, until stop()."""

    def __init__(self, *settings, data=None, listen="127.0.0.1:0"):
        self.dir = None if data else tempfile.mkdtemp(prefix="ks-e2e-broker-")
        self.data = data or os.path.join(self.dir, "data")
        command = [ksrun.BINARY, "broker", "--data", self.data, "--listen", listen, "--http", "off"]
        for s in ("group.initial.rebalance.delay.ms=0",) + settings:
            command += ["--set", s]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("KS_", "KAFKA_"))}
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=self.log)
        ready = self.process.stdout.readline().decode()
        if not ready.startswith("ready: listening on "):
            self.log.seek(0)
            raise AssertionError("the broker does not start: %r %r" % (ready, self.log.read()))
        self.address = ready.rsplit(" ", 1)[1].strip()

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.process.wait(60)
        self.process.stdout.close()
        self.log.close()
        if self.dir:
            shutil.rmtree(self.dir, True)
        return code


class Wire(Case):
    """One broker for all tests of a class; every test has topics and groups of its own."""

    count = 0

    @classmethod
    def setUpClass(cls):
        cls.broker = None if FOREIGN else Broker()
        cls.address = FOREIGN or cls.broker.address

    @classmethod
    def tearDownClass(cls):
        if cls.broker:
            code = cls.broker.stop()
            assert code == 0, "the broker ended with %d" % code

    def setUp(self):
        super().setUp()
        self.env["KS_BOOTSTRAP"] = self.address
        Wire.count += 1
        self.name = "t%d-%d" % (os.getpid(), Wire.count)
        self.group = "g" + self.name

    def topic(self, *args, suffix=""):
        name = self.name + suffix
        self.ok("topic", "create", name, *args)
        return name

    def lines(self, *args):
        return self.ok(*args).splitlines()

    def wait_until(self, what, timeout=120):
        """Polls for a state that another process brings about."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            value = what()
            if value:
                return value
            time.sleep(0.05)
        self.fail("it did not happen in %d s" % timeout)

    def members(self, group):
        r = self.run_any("group", "describe", group, "--format", "json")
        rows = json.loads(r.out) if r.code == 0 else []
        return {row["consumer_id"] for row in rows if row["consumer_id"]}


class Transactions(Wire):
    def producer(self, suffix):
        host, port = self.address.rsplit(":", 1)
        p = peer.Producer(int(port), self.name + suffix, host, is_patient=bool(FOREIGN))
        self.addCleanup(p.close)
        return p

    def rows(self, *args):
        return self.json("txn", *args, "--format", "json")

    def own(self, *args):
        """Those of the test, by the end of the id, with their states."""
        return {r["transactional_id"][len(self.name):]: r["state"] for r in self.rows("list", *args)
                if r["transactional_id"].startswith(self.name)}

    def test_b3_an_open_transaction_and_one_that_has_ended_are_shown(self):
        t = self.topic("-p", "2")
        p, q = self.producer("-p"), self.producer("-q")
        self.assertEqual(q.put(t, b"a"), (0, 0))
        self.assertEqual(q.end(True), 0)
        self.wait_until(lambda: self.own().get("-q") == "CompleteCommit")
        error, start = p.put(t, b"b", b"c")
        self.assertEqual((error, start), (0, 2))
        both = {"-p": "Ongoing", "-q": "CompleteCommit"}
        for args, expected in (((), both), (("--state", "Ongoing"), {"-p": "Ongoing"}),
                               (("--match", self.name + "-[q]"), {"-q": "CompleteCommit"}),
                               (("--producer-id", str(p.id)), {"-p": "Ongoing"}),
                               (("--older-than", "1h"), {}), (("--older-than", "0s"), {"-p": "Ongoing"})):
            with self.subTest(args):
                self.assertEqual(self.own(*args), expected)
        opened, ended = self.rows("describe", p.name, q.name)
        self.assertEqual([opened[k] for k in ("state", "producer_id", "producer_epoch", "timeout_ms", "partitions")],
                         ["Ongoing", p.id, p.epoch, 60000, t + "-0"])
        self.assertGreaterEqual(opened["age_ms"], 0)
        self.assertEqual([ended[k] for k in ("state", "producer_id", "age_ms", "partitions")],
                         ["CompleteCommit", q.id, None, None])
        self.assertEqual({(r["partition"], r["producer_id"], r["last_sequence"], r["txn_start_offset"])
                          for r in self.rows("producers", t) if r["producer_id"] == p.id}, {(0, p.id, 1, 2)})
        self.assertEqual([r["producer_id"] for r in self.rows("producers", t, "--open")], [p.id])
        (d,) = self.json("topic", "describe", t, "-p", "--stable", "--format", "json")
        self.assertEqual([(r["last_stable_offset"] < r["high_watermark"]) for r in d["partitions"]][:1], [True])
        self.assertEqual(self.rows("producers", t, "-p", "1"), [])
        self.assertEqual(self.rows("find-hanging", t), [])
        self.fails(1, 'ksrun txn abort: %s [0]: the transaction does not hang, it is open: its coordinator ends it in all '
                   'partitions, for "%s"\n' % (t, p.name), "txn", "abort", t, "-p", "0", "--start-offset", "2", "--yes")
        self.assertEqual(p.end(True), 0)
        self.wait_until(lambda: self.rows("producers", t, "--open") == [])
        self.assertEqual(self.ok("topic", "consume", t, "-o", ":end", "-f", "%v "), "a b c ")
        self.fails(1, "ksrun txn abort: %s [0]: no transaction is open that began at offset 2\n" % t,
                   "txn", "abort", t, "-p", "0", "--start-offset", "2", "--yes")

    def test_b3_nobody_has_what_nobody_has(self):
        self.fails(1, 'ksrun txn describe: transactional id "%s": no such transactional id\n' % self.name,
                   "txn", "describe", self.name)
        self.fails(1, "ksrun txn list: cannot list the transactions of node 1: the regular expression is not valid\n",
                   "txn", "list", "--match", "(")

    @unittest.skipUnless(FOREIGN, "our broker takes no record of a transaction that its coordinator does not know")
    def test_b3_a_hanging_transaction_is_found_and_aborted(self):
        """Apache Kafka takes such records when it is told not to verify them."""
        t = self.topic()
        p = self.producer("-p")
        self.assertEqual(p.put(t, b"committed"), (0, 0))
        self.assertEqual(p.end(True), 0)
        verify = "transaction.partition.verification.enable"
        self.addCleanup(self.run_any, "config", "alter", "broker", "1", "--delete", verify)
        self.ok("config", "alter", "broker", "1", "--set", verify + "=false")
        self.wait_until(lambda: p.put_unadded(t, b"hanging") == (0, 2))
        (row,) = self.rows("find-hanging", t)
        self.assertEqual([row[k] for k in ("topic", "partition", "producer_id", "txn_start_offset")], [t, 0, p.id, 2])
        self.assertIn(row, self.rows("find-hanging"))
        self.assertEqual(self.rows("abort", t, "-p", "0", "--start-offset", "2", "--yes"), [row])
        self.wait_until(lambda: self.rows("find-hanging", t) == [])
        self.ok("topic", "produce", t, stdin="behind\n")
        self.assertEqual(self.ok("topic", "consume", t, "-o", ":end", "-f", "%v "), "committed behind ")


class Topics(Wire):
    def test_create_list_describe_delete(self):
        t = self.topic("-p", "3", "-c", "retention.ms=1000000000")
        self.assertEqual(self.ok("topic", "list", t), "%-*s  PARTITIONS  REPLICAS\n%s           3         1\n"
                         % (len(t), "NAME", t))
        self.ok("topic", "produce", t, "-p", "1", stdin="a\nb\n")
        (row,) = self.json("topic", "list", t, "--format", "json")
        size = row.pop("size_bytes")
        self.assertGreater(size, 60)
        self.assertEqual(row, {"name": t, "partitions": 3, "replicas": 1, "records": 2, "internal": False})
        (d,) = self.json("topic", "describe", t, "--format", "json")
        self.assertEqual(d["summary"], {"name": t, "partitions": 3, "replicas": 1, "internal": False})
        node = d["partitions"][0]["leader"]
        self.assertEqual(d["partitions"][1],
                         {"partition": 1, "log_start_offset": 0, "high_watermark": 2, "size_bytes": size,
                          "leader": node, "replicas": str(node), "in_sync": str(node)})
        self.assertIn({"key": "retention.ms", "value": "1000000000", "source": "DYNAMIC_TOPIC_CONFIG"},
                      d["configs"])
        self.assertEqual(self.ok("topic", "delete", t),
                         "%-*s  STATUS\n%s  OK\n" % (len(t), "TOPIC", t))
        self.assertEqual(self.lines("topic", "list", t), ["NAME  PARTITIONS  REPLICAS"])

    def test_a_detailed_list_tells_where_partitions_live(self):
        t = self.topic("-p", "2")
        self.ok("topic", "produce", t, "-p", "1", stdin="a\nb\n")
        rows = self.json("topic", "list", t, "-d", "--format", "json")
        (d,) = self.json("topic", "describe", t, "-p", "--format", "json")
        self.assertEqual(rows, [dict(row, name=t) for row in d["partitions"]])
        self.assertEqual(self.lines("topic", "list", t, "--detailed")[0].split(),
                         ["NAME", "PARTITION", "LOG-START-OFFSET", "HIGH-WATERMARK", "LEADER", "REPLICAS", "IN-SYNC"])

    def test_names_of_topics_are_completed(self):
        t = self.topic(suffix="-long-name")
        for words in (("topic", "describe", self.name), ("topic", "describe", "-b", self.address, self.name)):
            self.assertEqual(self.lines("__complete", "--", *words), [t])

    def test_trim_by_what_a_file_says(self):
        t = self.topic("-p", "2")
        self.ok("topic", "produce", t, "-p", "1", stdin="a\nb\nc\n")
        self.ok("topic", "trim", "-f", "-", "--yes", stdin="%s 1 2\n" % t)
        self.assertEqual(self.ok("topic", "consume", t, "-o", ":end", "-f", "%o %v "), "2 c ")

    def test_how_records_are_fetched_can_be_told(self):
        t = self.topic("-p", "2")
        for p in "01":
            self.ok("topic", "produce", t, "-p", p, "-D", "5s", stdin="x" * 3000 + "\n" + "y" * 3000 + "\n")
        for args in (("--rack", "r1"), ("--fetch-max-wait", "20ms"), ("--fetch-max-bytes", "1"),
                     ("--fetch-max-partition-bytes", "1"), ("-g", self.group, "--balancer", "range")):
            got = self.ok("topic", "consume", t, "-o", ":end", "-f", "%p/%o %V\\n", "-n", "4", *args).split("\n")
            self.assertEqual(sorted(got), ["", "0/0 3000", "0/1 3000", "1/0 3000", "1/1 3000"], args)

    def test_what_cannot_be_done_says_why(self):
        t = self.topic()
        self.fails(1, 'ksrun topic create: topic "%s" exists already\n' % t, "topic", "create", t)
        self.assertIn("EXISTS", self.ok("topic", "create", t, "--if-not-exists"))
        for args, word in ((("topic", "create", "x/y"), "x/y"),
                           (("topic", "create", t + "x", "-c", "retention.sm=1"), "retention.sm"),
                           (("topic", "create", t + "x", "--replicas", "3"), "3")):
            r = self.run_any(*args)
            self.assertEqual(r.code, 2, r)
            self.assertIn(word, r.err)
        for verb in ("describe", "consume", "delete"):
            self.fails(1, 'ksrun topic %s: no topic "%sz"; did you mean "%s"?\n' % (verb, t, t),
                       "topic", verb, t + "z")
        self.ok("topic", "create", t + "x", "--dry")
        self.assertNotIn(t + "x", self.ok("topic", "list"))

    def test_a_topic_grows_and_changes(self):
        t = self.topic("-p", "2")
        self.ok("topic", "alter", t, "--partitions", "4", "-c", "max.message.bytes=2000")
        self.assertEqual(self.json("topic", "list", t, "--format", "json")[0]["partitions"], 4)
        r = self.run_any("topic", "alter", t, "--partitions", "3")
        self.assertEqual(r.code, 2, r)
        self.ok("config", "alter", "topic", t, "--append", "cleanup.policy=compact")
        rows = {r["key"]: r for r in self.json("config", "describe", "topic", t, "--format", "json")}
        self.assertEqual(rows["max.message.bytes"],
                         {"key": "max.message.bytes", "value": "2000", "source": "DYNAMIC_TOPIC_CONFIG",
                          "type": "INT", "read_only": False, "sensitive": False})
        self.assertEqual(rows["cleanup.policy"]["value"], "delete,compact")
        self.ok("config", "alter", "topic", t, "--delete", "max.message.bytes", "--subtract",
                "cleanup.policy=compact")
        rows = {r["key"]: r for r in self.json("config", "describe", "topic", t, "--format", "json")}
        self.assertEqual(rows["max.message.bytes"]["source"], "DEFAULT_CONFIG")
        self.assertEqual(rows["cleanup.policy"]["value"], "delete")

    def test_trim(self):
        t = self.topic("-p", "2")
        self.ok("topic", "produce", t, "-p", "0", stdin="a\nb\nc\nd\n")
        self.ok("topic", "produce", t, "-p", "1", stdin="e\n")
        self.assertEqual(self.ok("topic", "trim", t, "-o", "3", "-p", "0", "--yes"),
                         "%-*s  PARTITION  PRIOR-START-OFFSET  NEW-START-OFFSET\n"
                         "%s          0                   0                 3\n" % (len(t), "TOPIC", t))
        self.assertEqual(self.ok("topic", "consume", t, "-o", ":end", "-f", "%p/%o %v\\n"),
                         "0/3 d\n1/0 e\n")


class Records(Wire):
    def test_keys_go_where_the_java_client_puts_them(self):
        t = self.topic("-p", "4")
        # What went to several partitions is reported in no order: a leader may not be there yet.
        reports = self.ok("topic", "produce", t, "-f", "%k\\t%v\\n", "-o", "%p/%o %k\\n", stdin="apple\t3\npear\t5\napple\t4\n")
        self.assertEqual(sorted(reports.splitlines()), ["1/0 apple", "1/1 apple", "3/0 pear"])
        self.assertEqual(sorted(self.lines("topic", "consume", t, "-o", ":end", "-f", "%p/%o %k=%v\\n")),
                         ["1/0 apple=3", "1/1 apple=4", "3/0 pear=5"])

    def test_every_codec_and_level_of_acks(self):
        t = self.topic()
        for n, codec in enumerate(("none", "gzip", "snappy", "lz4", "zstd")):
            self.ok("topic", "produce", t, "-z", codec, stdin=codec * 50 + "\n")
            self.assertEqual(self.ok("topic", "consume", t, "-o", "%d:end" % n,
                                     "-f", "%a{compression} %v\\n"), "%s %s\n" % (codec, codec * 50))
        for n, acks in enumerate(("1", "all", "-1")):
            self.ok("topic", "produce", t, "--acks", acks, stdin="x\n")
        self.ok("topic", "produce", t, "--acks", "0", stdin="last\n")
        self.assertEqual(self.ok("topic", "consume", t, "-o", "8", "-n", "1", "-f", "%v\\n"), "last\n")

    def test_headers_times_and_tombstones(self):
        t = self.topic()
        self.assertEqual(
            self.ok("topic", "produce", t, "-f", "%d %v\\n", "-k", "k", "-H", "lang:en", "-H", "x:",
                    "-o", "%o %d\\n", stdin="1600000000000 hello\n1600000060000 bye\n"),
            "0 1600000000000\n1 1600000060000\n")
        self.ok("topic", "produce", t, "-Z", "-k", "k", stdin="\n")
        rows = [json.loads(line) for line in self.lines("topic", "consume", t, "-o", ":end")]
        self.assertEqual(rows[0], {"topic": t, "key": "k", "value": "hello",
                                   "headers": [{"key": "lang", "value": "en"}, {"key": "x", "value": ""}],
                                   "timestamp": 1600000000000, "partition": 0, "offset": 0})
        self.assertIsNone(rows[2]["value"])
        self.assertEqual(self.ok("topic", "consume", t, "-o", "@1600000030000:end", "-n", "1", "-f", "%v\\n"),
                         "bye\n")

    def test_a_hundred_thousand_records(self):
        t = self.topic("-p", "3")
        text = "".join("%d\n" % n for n in range(100000))
        self.ok("topic", "produce", t, "-z", "lz4", stdin=text)
        out = self.lines("topic", "consume", t, "-o", ":end", "-f", "%p %v\\n")
        self.assertEqual(sorted(int(line.split()[1]) for line in out), list(range(100000)))
        for p in "012":
            mine = [int(line.split()[1]) for line in out if line[0] == p]
            self.assertEqual(mine, sorted(mine))

    def test_consume_waits_for_what_comes(self):
        t = self.topic("-p", "2")
        p = self.start("topic", "consume", t, "-f", "%p %v\\n")
        self.ok("topic", "produce", t, "-p", "1", stdin="one\n")
        self.assertEqual(p.stdout.readline(), b"1 one\n")
        self.ok("topic", "produce", t, "-p", "0", stdin="two\n")
        self.assertEqual(p.stdout.readline(), b"0 two\n")
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(60), 0)

    def test_topics_are_made_when_asked_for(self):
        self.assertEqual(self.run_any("topic", "produce", self.name, stdin="x\n").code, 1)
        self.ok("topic", "produce", self.name, "--allow-auto-topic-creation", stdin="x\n")
        self.assertEqual(self.ok("topic", "consume", self.name, "-o", ":end", "-f", "%v\\n"), "x\n")

    def test_a_record_over_the_topics_limit(self):
        t = self.topic("-c", "max.message.bytes=1000")
        r = self.run_any("topic", "produce", t, stdin="short\n" + "x" * 2000 + "\n")
        self.assertEqual(r.code, 1, r)
        self.assertIn("max.message.bytes", r.err)
        self.assertEqual(self.ok("topic", "consume", t, "-o", ":end", "-f", "%v\\n"), "short\n")


class Groups(Wire):
    def test_groups_are_listed_by_state(self):
        t = self.topic()
        p = self.start("topic", "consume", t, "-g", self.group)

        def listed(states):
            return self.group in self.lines("group", "list", "--states", states)

        self.wait_until(lambda: listed("Stable"))
        self.assertFalse(listed("Empty,Dead"))
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(60), 0)
        self.wait_until(lambda: not listed("stable"))

    def test_a_group_goes_on_where_it_was(self):
        t = self.topic("-p", "2")
        self.ok("topic", "produce", t, "-p", "0", stdin="a\nb\nc\n")
        read = ("topic", "consume", t, "-g", self.group, "-f", "%v\\n")
        self.assertEqual(self.ok(*read, "-n", "2"), "a\nb\n")
        self.assertEqual(self.ok(*read, "-n", "1"), "c\n")
        self.assertEqual(self.ok(*read, "-o", ":end"), "")
        rows = self.json("group", "describe", self.group, "--format", "json")
        self.assertEqual(rows, [{"group": self.group, "topic": t, "partition": p, "current_offset": n,
                                 "log_end_offset": n, "lag": 0, "consumer_id": None, "host": None,
                                 "client_id": None} for p, n in ((0, 3), (1, 0))])
        (state,) = self.json("group", "describe", "--state", self.group, "--format", "json")
        self.assertEqual((state["state"], state["members"]), ("Empty", 0))
        self.assertIn(self.group, self.lines("group", "list"))

    def test_seek_and_delete(self):
        t = self.topic()
        self.ok("topic", "produce", t, stdin="a\nb\nc\n")
        header = "%-*s  PARTITION  PRIOR-OFFSET  CURRENT-OFFSET\n" % (len(t), "TOPIC")
        self.assertEqual(self.ok("group", "seek", self.group, "--to", "1", "--topics", t, "--yes"),
                         header + "%s          0             -               1\n" % t)
        self.assertEqual(self.ok("group", "seek", self.group, "--to", "+1", "--dry-run"),
                         header + "%s          0             1               2\n" % t)
        self.assertEqual(self.ok("topic", "consume", t, "-g", self.group, "-o", ":end", "-f", "%v\\n"),
                         "b\nc\n")
        self.assertIn("OK", self.ok("group", "delete", self.group))
        for verb in (("describe",), ("delete",)):
            r = self.run_any("group", *verb, self.group)
            self.assertEqual(r.code, 1, r)
            self.assertIn("no such group", r.err)

    def test_members_share_the_partitions(self):
        t = self.topic("-p", "4")
        read = ("topic", "consume", t, "-g", self.group, "-f", "%p %v\\n")
        first = self.start(*read)
        self.wait_until(lambda: len(self.members(self.group)) == 1)
        second = self.start(*read)
        (state,) = self.wait_until(lambda: [s for s in self.json(
            "group", "describe", "-s", self.group, "--format", "json")
            if s["state"] == "Stable" and s["members"] == 2])
        self.assertEqual(state["assignment_strategy"], "range")
        rows = self.json("group", "describe", self.group, "--format", "json")
        shares = {}
        for row in rows:
            shares.setdefault(row["consumer_id"], []).append(row["partition"])
        self.assertEqual(sorted(shares.values()), [[0, 1], [2, 3]])
        self.assertEqual({row["client_id"] for row in rows}, {"ksrun"})
        r = self.run_any("group", "seek", self.group, "--to", "start", "--topics", t, "--yes")
        self.assertEqual(r.code, 1, r)
        self.assertIn("has members", r.err)
        self.assertEqual(self.run_any("group", "delete", self.group).code, 1)

        for p in range(4):
            self.ok("topic", "produce", t, "-p", str(p), stdin="x%d\n" % p)
        got = {first.stdout.readline(), first.stdout.readline(), second.stdout.readline(),
               second.stdout.readline()}
        self.assertEqual(got, {b"0 x0\n", b"1 x1\n", b"2 x2\n", b"3 x3\n"})
        # The one that stays gets what the other had, and nothing twice.
        first.send_signal(signal.SIGTERM)
        self.assertEqual(first.wait(60), 0)
        self.wait_until(lambda: len(self.members(self.group)) == 1)
        for p in range(4):
            self.ok("topic", "produce", t, "-p", str(p), stdin="y%d\n" % p)
        self.assertEqual({second.stdout.readline() for _ in range(4)},
                         {b"0 y0\n", b"1 y1\n", b"2 y2\n", b"3 y3\n"})
        second.send_signal(signal.SIGTERM)
        self.assertEqual(second.wait(60), 0)
        self.assertEqual(first.stdout.read() + second.stdout.read(), b"")
        self.assertEqual([row["lag"] for row in self.json("group", "describe", self.group, "--format", "json")],
                         [0, 0, 0, 0])

    def test_who_waits_for_a_group_can_be_stopped(self):
        t = self.topic()
        first = self.start("topic", "consume", t, "-g", self.group)
        self.wait_until(lambda: self.members(self.group))
        second = self.start("topic", "consume", t, "-g", self.group)
        # It waits until the first one hears of it, with its next heartbeat.
        self.wait_until(lambda: self.json("group", "describe", "-s", self.group, "--format", "json")[0]
                        ["state"] != "Stable")
        second.send_signal(signal.SIGINT)
        self.assertEqual(second.wait(60), 0)
        first.send_signal(signal.SIGINT)
        self.assertEqual(first.wait(60), 0)


class Cluster(Wire):
    def test_the_cluster_is_described(self):
        host, port = self.address.rsplit(":", 1)
        text = self.ok("cluster", "describe")
        self.assertRegex(text, r"\ACLUSTER  [-_A-Za-z0-9]{22}\n\n"
                               r"ID  HOST +PORT  RACK  CONTROLLER\n +1  %s +%s  -     true\n\Z" % (host, port))
        d = self.json("cluster", "describe", "--format", "json")
        self.assertEqual(d["brokers"], [{"id": 1, "host": host, "port": int(port), "rack": None,
                                         "controller": True}])

    def test_the_brokers_configuration(self):
        rows = {r["key"]: r for r in self.json("config", "describe", "broker", "1", "--format", "json")}
        self.assertEqual(rows["node.id"]["value"], "1")
        self.assertEqual(rows["group.initial.rebalance.delay.ms"]["value"], "0")
        self.assertEqual(rows["log.retention.hours"]["value"], "168")
        self.assertEqual(rows["group.initial.rebalance.delay.ms"]["source"], "STATIC_BROKER_CONFIG")
        self.fails(2, "ksrun config describe: the cluster has no broker \"9\"; 'ksrun cluster describe' "
                      "lists them\n", "config", "describe", "broker", "9")
        self.fails(2, "ksrun config describe: the cluster has no broker \"x\"; 'ksrun cluster describe' "
                      "lists them\n", "config", "describe", "broker", "x")

    @unittest.skipIf(FOREIGN, "about our own broker")
    def test_what_cannot_be_changed_says_so(self):
        r = self.run_any("config", "alter", "broker", "1", "--set", "log.retention.hours=1")
        self.assertEqual(r.code, 1, r)
        self.assertIn("cannot be changed while the broker runs", r.err)


@unittest.skipIf(FOREIGN, "needs brokers of its own")
class Trouble(Case):
    def use(self, broker):
        self.addCleanup(lambda: broker.stop(signal.SIGKILL) if broker.process.poll() is None else None)
        self.env["KS_BOOTSTRAP"] = broker.address
        return broker

    def test_the_broker_and_the_directory_have_the_same_topics(self):
        data = os.path.join(self.dir, "data")
        self.ok("topic", "create", "in", "-p", "2", "--data", data)
        self.ok("topic", "produce", "in", "-p", "1", "--data", data, stdin="before\n")
        broker = self.use(Broker(data=data))
        self.assertEqual(self.ok("topic", "consume", "in", "-g", "g", "-n", "1", "-f", "%p %v\\n"),
                         "1 before\n")
        self.ok("topic", "produce", "in", "-p", "0", stdin="over the wire\n")
        r = self.run_any("topic", "list", "--data", data)
        self.assertEqual(r.code, 75, r)
        self.assertEqual(broker.stop(), 0)
        self.assertEqual(self.ok("topic", "consume", "in", "-g", "g", "-o", ":end", "-f", "%p %v\\n",
                                 "--data", data), "0 over the wire\n")

    def test_a_consumer_outlives_a_restart_of_the_broker(self):
        data = os.path.join(self.dir, "data")
        broker = self.use(Broker(data=data, listen="127.0.0.1:%d" % ports.hold()))
        self.ok("topic", "create", "in")
        p = self.start("topic", "consume", "in", "-f", "%v\\n")
        self.ok("topic", "produce", "in", stdin="one\n")
        self.assertEqual(p.stdout.readline(), b"one\n")
        broker.stop(signal.SIGKILL)
        self.use(Broker(data=data, listen=broker.address))
        self.ok("topic", "produce", "in", stdin="two\n")
        self.assertEqual(p.stdout.readline(), b"two\n")
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(60), 0)

    def test_a_producer_outlives_a_restart_of_the_broker_and_writes_nothing_twice(self):
        data = os.path.join(self.dir, "data")
        broker = self.use(Broker(data=data, listen="127.0.0.1:%d" % ports.hold()))
        self.ok("topic", "create", "in")
        p = self.start("topic", "produce", "in", "-o", "%v\\n")
        p.stdin.write(b"0\n")
        p.stdin.flush()
        acknowledged = [p.stdout.readline()]  # it is connected
        reader = threading.Thread(target=lambda: acknowledged.extend(p.stdout))
        reader.start()
        for n in range(1, 300):
            p.stdin.write(b"%d\n" % n)
            p.stdin.flush()
            if n == 150:
                broker.stop(signal.SIGKILL)
                self.use(Broker(data=data, listen=broker.address))
        p.stdin.close()
        self.assertEqual(p.wait(120), 0)
        reader.join()
        expected = [b"%d\n" % n for n in range(300)]
        self.assertEqual(acknowledged, expected)
        self.assertEqual(self.ok_bytes("topic", "consume", "in", "-o", ":end", "-f", "%v\\n"),
                         b"".join(expected))

    def test_what_listens_there_is_no_broker(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            self.env["KS_BOOTSTRAP"] = "127.0.0.1:%d" % s.getsockname()[1]

            def answer():
                c, _ = s.accept()
                c.recv(1000)
                c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                c.close()

            server = threading.Thread(target=answer)
            server.start()
            r = self.run_any("topic", "list")
            server.join()
        self.assertEqual(r.code, 75, r)
        self.assertIn("is it a Kafka listener without TLS and SASL?", r.err)


if __name__ == "__main__":
    ksrun.main()
