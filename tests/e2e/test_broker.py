"""ksrun broker from outside: how it starts and ends, what it says, what it keeps."""

import fcntl
import os
import signal
import struct
import subprocess
import termios
import unittest

import ksrun
from peer import Peer, batch


class Broker(ksrun.Case):
    def broker(self, *args, env=None):
        """Starts one; its process and its port."""
        if env:
            self.env.update(env)
        self.process = self.start("broker", "--listen", "localhost:0", "--http", "off", *args)
        line = self.process.stdout.readline().decode()
        self.assertRegex(line, r"^ready: listening on localhost:\d+\n$")
        self.port = int(line.rsplit(":", 1)[1])
        return self.port

    def peer(self):
        peer = Peer(self.port)
        self.addCleanup(peer.close)
        return peer

    def stop(self):
        """Its exit code and what it said."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self):
        out, err = self.process.communicate(timeout=60)
        self.assertEqual(out, b"")
        return self.process.returncode, err.decode()

    # --- start and end ---

    def test_it_serves_until_it_is_told_to_stop(self):
        self.broker()
        peer = self.peer()
        self.assertEqual(peer.api_versions()[0], (3, 13))
        self.assertEqual(peer.create("t"), 0)
        self.assertEqual(peer.produce("t", b"a", b"b"), (0, 0))
        self.assertEqual(peer.produce("t", b"c"), (0, 2))
        self.assertEqual(peer.fetch("t", 0)[:2], (0, 3))
        self.assertEqual(self.stop(), (0, ""))
        self.assertTrue(peer.is_closed())

    def test_stopping_answers_those_who_wait(self):
        self.broker()
        peer = self.peer()
        peer.create("t")
        # In one piece: when the first is answered the second has been read.
        first, asked = peer.send_all((18, 0, b""), (1, 4, peer.fetch_body("t", 0, wait_ms=1000000)))
        peer.receive(first)
        self.process.send_signal(signal.SIGINT)
        error, high_watermark, records = peer.fetched(peer.receive(asked), "t")
        self.assertEqual((error, high_watermark, records), (0, 0, b""))
        self.assertEqual(self.end(), (0, ""))

    def taken(self, process, number):
        """Waits until a signal that was sent is no longer pending: two of them at a time would be one."""
        while True:
            with open("/proc/%d/status" % process.pid, encoding="ascii") as f:
                pending = int(next(line for line in f if line.startswith("ShdPnd:")).split()[1], 16)
            if not pending >> (number - 1) & 1:
                return

    def test_the_second_signal_ends_at_once_what_the_first_would_finish(self):
        port = self.broker()
        self.peer().create("t")
        p = self.start("topic", "produce", "t", "-b", "localhost:%d" % port, "-o", "%o\\n")
        p.stdin.write(b"a\n")
        p.stdin.flush()
        self.assertEqual(p.stdout.readline(), b"0\n")
        self.process.send_signal(signal.SIGSTOP)  # so that it waits for an answer
        p.stdin.write(b"b\n")
        p.stdin.flush()
        while struct.unpack("i", fcntl.ioctl(p.stdin, termios.FIONREAD, b"\0" * 4))[0]:
            pass  # until it has been read: what was read is written
        p.send_signal(signal.SIGTERM)
        self.taken(p, signal.SIGTERM)
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(20), 1)
        self.process.send_signal(signal.SIGCONT)
        self.assertEqual(self.stop(), (0, ""))

    def test_what_was_acknowledged_survives_kill_9(self):
        self.broker()
        peer = self.peer()
        peer.create("t")
        for i in range(50):
            self.assertEqual(peer.produce("t", b"value %d" % i), (0, i))
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.broker()
        error, high_watermark, records = self.peer().fetch("t", 0)
        self.assertEqual((error, high_watermark), (0, 50))
        self.assertEqual(records.count(b"value "), 50)
        self.assertEqual(self.stop()[0], 0)

    def test_the_directory_is_one_process_at_a_time(self):
        self.broker()
        r = self.run_any("broker", "--listen", "localhost:0", "--http", "off")
        self.assertEqual(r.code, 75, r)
        self.assertIn(str(self.process.pid), r.err)

    def test_an_address_in_use_is_named(self):
        port = self.broker()
        env = dict(self.env, KS_DATA=self.data + "2")
        r = subprocess.run([ksrun.BINARY, "broker", "--listen", "localhost:%d" % port, "--http", "off"], env=env,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(r.returncode, 1)
        self.assertEqual(r.stderr.decode(),
                         "ksrun broker: cannot listen on localhost:%d: Address already in use; "
                         "stop what listens there, or choose another port\n" % port)

    # --- strangers ---

    def test_other_protocols_are_recognised_in_the_log(self):
        self.broker()
        for first, words in ((b"GET / HTTP/1.1\r\n\r\n", "it speaks HTTP"), (b"\x16\x03\x01\x02\x00\x01", "it speaks TLS"),
                             (b"\x7f\xff\xff\xff", "larger than socket.request.max.bytes"), (b"\0\0\0\1", "too short")):
            peer = self.peer()
            peer.socket.sendall(first)
            self.assertTrue(peer.is_closed())
            line = self.process.stderr.readline().decode()
            self.assertIn(words, line)
            self.assertRegex(line, "connection closed: .*client=\"?(127.0.0.1|::1)")
        self.assertEqual(self.peer().create("t"), 0)

    def test_the_limit_of_connections_is_kept(self):
        self.broker("-X", "max.connections=2")
        peers = [self.peer(), self.peer()]
        for peer in peers:
            peer.api_versions()
        self.assertTrue(self.peer().is_closed())
        self.assertIn("max.connections = 2", self.process.stderr.readline().decode())
        peers[0].close()
        # Its end may be seen a moment later than the next connection.
        while True:
            peer = self.peer()
            try:
                peer.api_versions()
                break
            except (EOFError, ConnectionError):
                pass

    def test_the_limit_per_address_is_kept(self):
        self.broker("-X", "max.connections.per.ip=1")
        self.peer().api_versions()
        self.assertTrue(self.peer().is_closed())
        self.assertIn("max.connections.per.ip = 1", self.process.stderr.readline().decode())

    # --- configuration ---

    def test_a_file_written_for_kafka_is_understood(self):
        path = os.path.join(self.dir, "server.properties")
        with open(path, "w") as f:
            f.write("# as in a container\nprocess.roles=broker,controller\nnode.id=4\n"
                    "listeners=IN://localhost:0,CTL://:9093\ncontroller.listener.names=CTL\n"
                    "advertised.listeners=IN://broker.example:19092\n"
                    "listener.security.protocol.map=IN:PLAINTEXT,CTL:PLAINTEXT\n"
                    "controller.quorum.voters=4@localhost:9093\nlog.dirs=%s\nnum.partitions=3\n"
                    "num.io.threads=8\n" % (self.data + "-of-file"))
        self.env.pop("KS_DATA")
        self.process = self.start("broker", "--config", path, "--http", "off")
        line = self.process.stdout.readline().decode()
        self.port = int(line.rsplit(":", 1)[1])
        self.assertIn("known to Kafka, without effect here: controller.quorum.voters, num.io.threads",
                      self.process.stderr.readline().decode())
        peer = self.peer()
        answer = peer.ask(3, 4, struct.pack(">i", -1) + b"\1")
        self.assertIn(b"broker.example" + struct.pack(">i", 19092), answer)
        self.assertEqual(struct.unpack_from(">iii", answer), (0, 1, 4))
        self.assertTrue(os.path.isdir(self.data + "-of-file"))

    def test_the_environment_outranks_the_file_and_flags_outrank_both(self):
        path = os.path.join(self.dir, "server.properties")
        with open(path, "w") as f:
            f.write("broker.id=1\nsocket.request.max.bytes=1000\n")
        self.broker("-c", path, "-X", "broker.id=3", env={"KAFKA_BROKER_ID": "2", "KAFKA_HEAP_OPTS": "-Xmx1g"})
        answer = self.peer().ask(3, 4, struct.pack(">i", -1) + b"\1")
        self.assertEqual(struct.unpack_from(">iii", answer), (0, 1, 3))

    def test_mistakes_are_named_with_their_place(self):
        path = os.path.join(self.dir, "server.properties")
        with open(path, "w") as f:
            f.write("\nnum.partitons=3\n")
        tail = "Try 'ksrun broker --help'.\n"
        self.fails(2, "ksrun broker: %s:2: no broker has a key \"num.partitons\"; did you mean \"num.partitions\"?\n%s"
                   % (path, tail), "broker", "-c", path)
        self.fails(2, "ksrun broker: cannot read %s: Is a directory\n%s" % (self.dir, tail), "broker", "-c", self.dir)
        self.fails(2, "ksrun broker: -X: num.partitions = 0: it is from 1 to 100000\n" + tail,
                   "broker", "-X", "num.partitions=0")
        self.fails(2, "ksrun broker: -X num.partitions: it is KEY=VALUE\n" + tail, "broker", "-X", "num.partitions")
        self.fails(2, "ksrun broker: listeners: the protocol of SSL is SSL, and only PLAINTEXT is served\n" + tail,
                   "broker", "-X", "listeners=SSL://:9093")
        self.fails(2, "ksrun broker: \"nowhere\" is no address to listen on: HOST:PORT, or [IPV6]:PORT\n" + tail,
                   "broker", "--listen", "nowhere")

    def test_a_variable_that_is_nearly_a_key_is_named(self):
        self.broker(env=dict(KAFKA_NUM_PARTITONS="3", KAFKA_HEAP_OPTS="-Xmx1G", KAFKA_OPTS="", KAFKA_JMX_PORT="9999",
                             KAFKA_LOG4J_OPTS="x", KAFKA_VERSION="4.3.1", KAFKA_HOME="/opt/kafka", CLUSTER_ID="x",
                             KAFKA_GC_LOG_OPTS="x", KAFKA_JVM_PERFORMANCE_OPTS="x", KAFKA_DEBUG="y"))
        code, said = self.stop()
        self.assertEqual(code, 0)
        self.assertRegex(said, r'^ts=\S+ level=warn module=config msg="KAFKA_NUM_PARTITONS in the environment is passed over: '
                               r'no broker has a key \\"num.partitons\\"; did you mean \\"num.partitions\\"\?"\n$')

    # --- beside a job ---

    def test_a_job_serves_clients_with_listen(self):
        script = os.path.join(self.dir, "copy.lua")
        with open(script, "w") as f:
            f.write('local ks = require "ks"\nreturn ks.job "copy" {\n'
                    '  defaults = { key = "bytes", value = "bytes" },\n'
                    '  topics = { ["in"] = { partitions = 1 }, out = { partitions = 1 } },\n'
                    '  flows = { main = { ks.from "in", ks.to "out" } },\n}\n')
        self.process = self.start("run", script, "--listen", "localhost:0", "--http", "off")
        self.port = int(self.process.stdout.readline().decode().rsplit(":", 1)[1])
        peer = self.peer()
        self.assertEqual(peer.create("in"), 0)
        # The job makes the topics as it starts; the first record may be earlier.
        while peer.create("out") != 0:
            pass
        self.assertEqual(peer.produce("in", b"through the job"), (0, 0))
        error, _, records = peer.fetch("out", 0, wait_ms=100000)
        self.assertEqual(error, 0)
        self.assertIn(b"through the job", records)
        self.assertEqual(self.stop()[0], 0)


if __name__ == "__main__":
    ksrun.main()
