"""Properties of a cluster's client: that they reach the wire, where they come from, and what is refused.

KS_TEST_BOOTSTRAP=HOST:PORT runs the tests against another cluster instead, such as Apache Kafka.
"""

import json
import os
import shutil
import signal
import subprocess
import unittest

import ksrun
import peer
import test_wire
from test_wire import FOREIGN

USAGE = "Try 'ksrun %s --help'.\n"


class OnTheWire(test_wire.Wire):
    def produce(self, text, *args):
        self.ok("topic", "produce", self.name, "-f", "%k:%v\\n", *args, stdin=text)

    def consume(self, *args):
        return self.lines("topic", "consume", self.name, "-o", ":end", *args)

    def test_the_broker_knows_the_client_by_its_id(self):
        t = self.topic()
        p = self.start("topic", "consume", t, "-g", self.group, "-X", "client.id=" + self.name + "-me",
                       "--command-property", "session.timeout.ms=10000")
        self.wait_until(lambda: self.members(self.group))
        (row,) = self.json("group", "describe", self.group, "--format", "json")
        self.assertEqual(row["client_id"], self.name + "-me")
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(60), 0)

    def test_a_session_timeout_that_the_broker_does_not_allow_is_refused(self):
        t = self.topic()
        r = self.run_any("topic", "consume", t, "-g", self.group, "-X", "session.timeout.ms=1")
        self.assertEqual((r.code, r.err), (1, "ksrun topic consume: cannot join group \"%s\": the session timeout is out of "
                                           "range\n" % self.group))

    def test_batches_are_compressed_as_the_property_says_unless_the_option_does(self):
        self.topic()
        value = "a:" + "x" * 1000 + "\n"
        self.produce(value, "-X", "compression.type=zstd")
        self.produce(value, "-X", "compression.codec=LZ4")
        self.produce(value, "-X", "compression.type=zstd", "-z", "gzip")
        self.produce(value)
        self.assertEqual(self.consume("-f", "%a{compression}\\n"), ["zstd", "lz4", "gzip", "none"])

    def test_the_isolation_level_decides_about_open_transactions(self):
        t = self.topic()
        host, port = self.address.rsplit(":", 1)
        p = peer.Producer(int(port), self.name, host, is_patient=bool(FOREIGN))
        self.addCleanup(p.close)
        self.assertEqual(p.put(t, b"open"), (0, 0))
        level = "isolation.level=read_uncommitted"
        self.assertEqual(self.consume("-f", "%v\\n"), [])
        self.assertEqual(self.consume("-f", "%v\\n", "-X", level), ["open"])
        self.assertEqual(self.consume("-f", "%v\\n", "-X", level, "--read-committed"), [])
        self.assertEqual(p.end(False), 0)

    def test_batches_have_as_many_records_and_bytes_as_the_properties_allow(self):
        self.topic("-p", "3")
        lines = "k:v\n" * 50

        def size(partition):
            (d,) = self.json("topic", "describe", self.name, "-p", "--format", "json")
            return d["partitions"][partition]["size_bytes"]

        self.produce(lines, "-p", "0")
        self.produce(lines, "-p", "1", "-X", "batch.num.messages=1")
        self.produce(lines, "-p", "2", "-X", "batch.size=1")
        self.assertEqual(size(1), size(2))
        self.assertGreaterEqual(size(1) - size(0), 49 * 61)  # 61 bytes: the header of a batch
        self.assertEqual(len(self.consume("-p", "1", "-f", "%v\\n")), 50)

    def test_without_idempotence_there_is_no_producer_id(self):
        self.topic()
        self.produce("a:1\n")
        self.produce("a:2\n", "-X", "enable.idempotence=false")
        first, second = (int(x) for x in self.consume("-f", "%x\\n"))
        self.assertGreaterEqual(first, 0)
        self.assertEqual(second, -1)

    def test_keys_go_where_the_named_partitioner_puts_them(self):
        self.topic("-p", "7")
        keys = ("a", "hello", "key-3", "1234567890abc")
        for name, expected in (("murmur2_random", (5, 4, 4, 3)), ("consistent_random", (4, 2, 5, 3)),
                               ("fnv1a", (6, 2, 5, 5))):
            with self.subTest(name):
                self.produce("".join("%s:%s\n" % (k, name) for k in keys), "-X", "partitioner=" + name)
                found = dict(line.split("=") for line in self.consume("-f", "%k/%v=%p\\n"))
                self.assertEqual([found[k + "/" + name] for k in keys], [str(p) for p in expected])

    def test_a_group_without_offsets_begins_where_it_is_told(self):
        self.topic()
        self.produce("a:1\n")
        args = ("-g", self.group, "-f", "%v\\n", "-X", "enable.auto.commit=false", "-X")
        for reset, expected in (("smallest", b"1\n"), ("latest", b"2\n")):
            with self.subTest(reset):
                p = self.start("topic", "consume", self.name, *args, "auto.offset.reset=" + reset, "-n", "1")
                # Where the end is is asked at some moment after the start, so what comes behind it has to come again.
                if reset == "latest":
                    self.wait_until(lambda: p.poll() is not None or self.produce("a:2\n"))
                out, err = p.communicate(timeout=120)
                self.assertEqual((p.returncode, out, err), (0, expected, b""))
        r = self.run_any("topic", "consume", self.name, *args, "auto.offset.reset=error")
        self.assertEqual((r.code, r.err), (1, "ksrun topic consume: group \"%s\" has committed nothing for %s [0], and "
                                           "auto.offset.reset is error\n" % (self.group, self.name)))

    def test_without_auto_commit_everything_is_printed_again(self):
        self.topic()
        self.produce("a:1\na:2\n")
        manual = ("-g", self.group, "-n", "2", "-f", "%v\\n", "-X", "enable.auto.commit=false")
        for _ in range(2):
            self.assertEqual(self.lines("topic", "consume", self.name, *manual), ["1", "2"])
        self.assertEqual(self.lines("topic", "consume", self.name, "-g", self.group, "-n", "1", "-f", "%v\\n"), ["1"])
        self.assertEqual(self.lines("topic", "consume", self.name, *manual[:3], "1", *manual[4:]), ["2"])

    def test_a_group_can_be_a_property_and_yields_to_partitions(self):
        self.topic()
        self.produce("a:1\n")
        group = ("-X", "group.id=" + self.group)
        self.assertEqual(self.consume("-p", "0", "-f", "%v\\n", *group), ["1"])
        self.assertNotIn(self.group, self.ok("group", "list"))
        self.assertEqual(self.lines("topic", "consume", self.name, "-n", "1", "-f", "%v\\n", *group), ["1"])
        self.assertIn(self.group, self.ok("group", "list"))

    def test_the_family_of_addresses_is_kept_to(self):
        if not self.address.startswith("127.0.0.1:"):
            self.skipTest("the cluster is elsewhere")
        self.ok("topic", "list", "-X", "broker.address.family=v4")
        r = self.run_any("topic", "list", "-X", "broker.address.family=v6")
        self.assertEqual(r.code, 75, r)
        self.assertTrue(r.err.startswith("ksrun topic list: cannot reach %s: " % self.address), r)

    def test_an_answer_larger_than_allowed_is_refused(self):
        self.topic()
        self.produce("a:" + "x" * 5000 + "\n")
        r = self.run_any("topic", "consume", self.name, "-o", ":end", "-X", "receive.message.max.bytes=4000")
        self.assertEqual((r.code, r.out), (1, b""), r)
        self.assertIn("4000 are the limit", r.err)

    @unittest.skipUnless(shutil.which("kcat"), "kcat is not installed")
    def test_kcats_envelope_is_what_kcat_prints(self):
        self.topic("-p", "2")
        self.produce("k:v\n:\"quoted\" \\ \x01\u00e4\n")
        self.produce("gone:\n", "-Z", "-H", "a:b", "-H", "c:", "-H", "a:2")
        self.ok("topic", "produce", self.name, stdin="no key\n")
        done = subprocess.run(["kcat", "-C", "-J", "-q", "-e", "-b", self.address, "-t", self.name], check=True,
                              stdout=subprocess.PIPE, timeout=120)
        theirs = sorted(done.stdout.decode().splitlines())
        self.assertEqual(len(theirs), 4)
        self.assertEqual(sorted(self.consume("--envelope", "kcat")), theirs)
        self.assertEqual({json.loads(line)["broker"] for line in theirs}, {self.json(
            "cluster", "describe", "--format", "json")["brokers"][0]["id"]})


class Sources(test_wire.Wire):
    def setUp(self):
        super().setUp()
        del self.env["KS_BOOTSTRAP"], self.env["KS_DATA"]

    def file(self, text, name="config/ks/config"):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def explain(self, key, *args):
        (row,) = self.json("config", "explain", key, "--format", "json", *args)
        return row["value"], row["origin"]

    def test_a_cluster_of_the_file_is_used(self):
        path = self.file("bootstrap.servers=%s\n[nowhere]\nbootstrap.servers=127.0.0.1:1\n" % self.address)
        self.assertEqual(self.explain("bootstrap.servers"), (self.address, path + ":1"))
        self.topic()
        self.assertIn(self.name, self.ok("topic", "list"))
        self.assertEqual(self.run_any("topic", "list", "--profile", "nowhere").code, 75)
        self.env["KS_PROFILE"] = "nowhere"
        self.assertEqual(self.run_any("topic", "list").code, 75)
        self.assertIn(self.name, self.ok("topic", "list", "-X", "metadata.broker.list=" + self.address))
        self.assertIn(self.name, self.ok("topic", "list", "-b", self.address, "-X", "bootstrap.servers=127.0.0.1:1"))

    def test_a_data_directory_closer_to_hand_counts_more(self):
        self.file("bootstrap.servers=127.0.0.1:1\n")
        self.ok("topic", "create", "local", "--data", self.data)
        self.assertIn("local", self.ok("topic", "list", "--data", self.data))
        self.env["KS_DATA"] = self.data
        self.assertIn("local", self.ok("topic", "list"))
        self.env["KS_BOOTSTRAP"] = self.address
        self.assertNotIn("local", self.ok("topic", "list"))

    def test_a_data_directory_takes_no_properties(self):
        for args, name in ((("-X", "client.id=x"), "command-property"), (("-F", "/dev/null"), "config-file"),
                           (("--command-config", "/dev/null"), "command-config")):
            with self.subTest(name):
                self.fails(2, "ksrun topic list: --%s is about a cluster, and none is named; -b HOST:PORT does, or the "
                           "property bootstrap.servers\n" % name + USAGE % "topic list",
                           "topic", "list", "--data", self.data, *args)
        self.fails(2, "ksrun topic list: only one of -X bootstrap.servers and --data can be given\n" + USAGE % "topic list",
                   "topic", "list", "--data", self.data, "-X", "bootstrap.servers=h")

    def test_command_config_reads_a_java_file(self):
        path = self.file("# of an admin\nbootstrap.servers : \\\n    %s\nsecurity.protocol=PLAINTEXT\n" % self.address,
                         "a.properties")
        self.topic("--command-config", path)
        self.assertIn(self.name, self.ok("topic", "list", "--command-config", path))
        self.assertEqual(self.explain("security.protocol", "--command-config", path), ("plaintext", path + ":4"))

    def test_what_is_not_there_is_never_passed_over(self):
        path = self.file("acks=all\nsecurity.protocol=SASL_SSL\nsasl.password=secret\n", "a.properties")
        r = self.run_any("topic", "list", "-b", self.address, "--command-config", path)
        self.assertEqual((r.code, r.err), (2, "ksrun topic list: %s:2: security.protocol = \"SASL_SSL\" is not supported; it "
                                           "can be plaintext\n" % path + USAGE % "topic list"))
        path = self.file("sasl.password=secret\n", "a.properties")
        r = self.run_any("cluster", "describe", "-b", self.address, "-F", path)
        self.assertEqual((r.code, r.err), (2, "ksrun cluster describe: %s:1: the client property \"sasl.password\" is not "
                                           "supported here; -X list shows those that are\n" % path + USAGE % "cluster describe"))

    def test_list_and_dump_need_nobody(self):
        self.file("linger.ms=9\n[p\n")
        self.assertIn("queue.buffering.max.ms", self.ok("txn", "list", "-X", "list"))
        path = self.file("linger.ms=9\n")
        rows = dict((line.split()[0], line.split()[1:]) for line in self.lines(
            "topic", "produce", "-X", "acks=1", "-z", "gzip", "-X", "dump"))
        self.assertEqual([rows[k] for k in ("linger.ms", "acks", "compression.type", "client.id")],
                         [["9", path + ":1"], ["1", "-X"], ["gzip", "--compression"], ["ksrun", "default"]])

    def test_explain_knows_clients_brokers_and_topics(self):
        rows = self.json("config", "explain", "message.max.bytes", "--format", "json")
        self.assertEqual([(r["of"], r["value"], r["origin"]) for r in rows], [("client", None, "default"),
                                                                             ("broker", "1048588", "default")])
        (row,) = self.json("config", "explain", "num.partitions", "--format", "json")
        self.assertEqual((row["of"], row["default"], row["meaning"]),
                         ("broker", "1", "partitions of topics that do not say"))
        (row,) = self.json("config", "explain", "ssl.ca.location", "--format", "json")
        self.assertEqual((row["of"], row["meaning"]), ("client", "not supported: an error wherever it is set"))
        self.fails(2, "ksrun config explain: no client, broker or topic has a key \"num.partition\"; did you mean "
                   "\"num.partitions\"?\n" + USAGE % "config explain", "config", "explain", "num.partition")

    def test_the_shell_completes_keys(self):
        self.assertEqual(self.ok("__complete", "--", "topic", "list", "-X", "linger"), "linger.ms=\n")
        self.assertIn("--profile\n", self.ok("__complete", "--", "topic", "list", "--pro"))

    def test_envelopes_have_names(self):
        for name, hint in (("kkat", 'did you mean "kcat"?'), ("xyzzy", "rpk and kcat are known")):
            self.fails(2, 'ksrun topic consume: --envelope "%s": %s\n' % (name, hint) + USAGE % "topic consume",
                       "topic", "consume", "t", "--envelope", name)
        self.fails(2, "ksrun topic consume: --envelope is about JSON; --format \"%v\" is not\n" + USAGE % "topic consume",
                   "topic", "consume", "t", "--envelope", "kcat", "-f", "%v")


if __name__ == "__main__":
    ksrun.main()
