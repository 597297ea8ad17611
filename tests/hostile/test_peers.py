#!/usr/bin/env python3
"""What single peers may do to a broker, each told as one story.

    test_peers.py KSRUN [unittest's arguments]
"""

import os
import pathlib
import socket
import struct
import sys
import time
import unittest

import wire
from broker import FETCH, GOOD_TOPIC, METADATA, PRODUCE, Broker, Client

KSRUN = None
FOR_EVER = (1 << 31) - 1
ENOUGH_S = 60  # nothing here takes as long


def fetch_value(topics, max_wait_ms=0, min_bytes=1, session=(0, -1), forgotten=(), max_bytes=1 << 20):
    """topics: (name, [(partition, offset)])"""
    return {"replica_id": -1, "max_wait_ms": max_wait_ms, "min_bytes": min_bytes, "max_bytes": max_bytes,
            "isolation_level": 0, "session_id": session[0], "session_epoch": session[1], "rack_id": b"",
            "forgotten_topics_data": [{"topic": name, "partitions": list(parts)} for name, parts in forgotten],
            "topics": [{"topic": name, "partitions": [
                {"partition": index, "current_leader_epoch": -1, "fetch_offset": offset, "log_start_offset": -1,
                 "partition_max_bytes": max_bytes} for index, offset in parts]} for name, parts in topics]}


def fetch(correlation_id, *args, **kwargs):
    return wire.framed(wire.request(FETCH, 11, correlation_id, fetch_value(*args, **kwargs)))


def api_versions(correlation_id):
    return wire.framed(struct.pack(">hhih", 18, 0, correlation_id, -1))


class Case(unittest.TestCase):
    files = None  # that the broker may open

    def setUp(self):
        self.broker = Broker(KSRUN, self.files)
        self.addCleanup(self.broker.remove)
        self.client = Client(self.broker.address)
        self.addCleanup(self.client.socket.close)
        self.client.topics([GOOD_TOPIC])

    def tearDown(self):
        self.client.produce([b"afterwards"])
        self.client.check_everything()
        self.broker.stop()

    def connect(self):
        s = socket.create_connection(self.broker.address, timeout=ENOUGH_S)
        self.addCleanup(s.close)
        return s

    def read(self, s, n):
        out = bytearray()
        while len(out) < n:
            part = s.recv(n - len(out))
            self.assertTrue(part, "closed after %d of %d bytes" % (len(out), n))
            out += part
        return bytes(out)

    def body(self, s):
        return self.read(s, struct.unpack(">i", self.read(s, 4))[0])

    def answer(self, s, key, version):
        return wire.response(key, version, self.body(s))

    def correlation_ids(self, s, n):
        return [struct.unpack(">i", self.body(s)[:4])[0] for _ in range(n)]

    def sockets(self):
        n = 0
        for fd in pathlib.Path("/proc/%d/fd" % self.broker.process.pid).iterdir():
            try:
                n += os.readlink(fd).startswith("socket:")
            except OSError:
                pass  # closed meanwhile
        return n

    def wait_for(self, what, is_so):
        end = time.monotonic() + ENOUGH_S
        while not is_so():
            self.assertLess(time.monotonic(), end, what)
            self.broker.check_alive()
            time.sleep(.01)


class Sessions(Case):
    def test_a_partition_that_is_forgotten_as_it_is_first_asked_for_is_in_the_session(self):
        answer = self.client.ask(FETCH, 11, fetch_value([(GOOD_TOPIC, [(0, 0)])], session=(0, 0), forgotten=[(GOOD_TOPIC, [0])]))
        self.assertEqual(answer["error_code"], 0)
        self.client.produce([b"first"])
        answer = self.client.ask(FETCH, 11, fetch_value([], session=(answer["session_id"], 1)))
        self.assertEqual([t["topic"] for t in answer["responses"]], [GOOD_TOPIC])

    def test_a_name_with_a_nul_is_a_topic_that_is_not_there(self):
        answer = self.client.ask(FETCH, 11, fetch_value([(GOOD_TOPIC + b"\0x", [(0, 0)])], session=(0, 0)))
        self.assertEqual(answer["responses"][0]["topic"], GOOD_TOPIC + b"\0x")
        self.assertEqual(answer["responses"][0]["partitions"][0]["error_code"], 3)

    def test_a_partition_that_is_asked_for_twice_is_answered_once(self):
        answer = self.client.ask(FETCH, 11, fetch_value([(GOOD_TOPIC, [(0, 0), (0, 0)])] * 2, session=(0, 0)))
        self.assertEqual(answer["error_code"], 0)
        self.assertEqual([len(t["partitions"]) for t in answer["responses"]], [1])


class Limits(Case):
    def test_a_fetch_does_not_wait_for_more_than_fits(self):
        for _ in range(3):
            self.client.produce([bytes(600)])
        # One batch fits and is less than is asked for; more will never fit.
        value = fetch_value([(GOOD_TOPIC, [(0, 0)])], max_wait_ms=FOR_EVER, min_bytes=1000, max_bytes=1000)
        answer = self.client.ask(FETCH, 11, value)
        self.assertEqual(len(wire.batch_values(answer["responses"][0]["partitions"][0]["records"])), 1)


class Ends(Case):
    def test_a_peer_that_goes_while_all_its_fetches_wait_is_forgotten(self):
        before = self.sockets()
        peers = [self.connect() for _ in range(4)]
        for s in peers:
            # More than are taken from one connection at once: nobody reads what follows, nor the end.
            s.sendall(b"".join(fetch(i, [(GOOD_TOPIC, [(0, 0)])], max_wait_ms=FOR_EVER) for i in range(400)))
        self.wait_for("they are connected", lambda: self.sockets() == before + len(peers))
        for s in peers:
            s.close()
        self.wait_for("they are forgotten", lambda: self.sockets() == before)

    def test_fetches_behind_the_end_of_what_a_peer_sends_do_not_wait(self):
        s = self.connect()
        # The second and third begin when a worker has described the configurations, after the end was seen.
        describe = wire.request(32, 1, 0, {"resources": [{"resource_type": 2, "resource_name": GOOD_TOPIC, "configuration_keys": None}],
                                           "include_synonyms": False})
        waits = [fetch(i, [(GOOD_TOPIC, [(0, 0)])], max_wait_ms=FOR_EVER) for i in (1, 2)]
        s.sendall(wire.framed(describe) + b"".join(waits))
        s.shutdown(socket.SHUT_WR)
        self.assertEqual(self.correlation_ids(s, 3), [0, 1, 2])
        self.assertEqual(s.recv(1), b"")

    def test_a_peer_that_reads_nothing_is_not_answered_without_end(self):
        s = self.connect()

        def create(name):
            return {"topics": [{"name": name, "num_partitions": 20000, "replication_factor": 1, "assignments": [],
                                "configs": []}], "timeout_ms": 60000, "validate_only": False}

        self.client.ask(19, 2, create(b"many"))
        before = self.broker.rss_mb()
        # Each answer is some 500 KB. They begin when a worker has made a topic, and all are read by then.
        metadata = b"".join(wire.framed(wire.request(METADATA, 1, i, {"topics": [{"name": b"many"}]})) for i in range(1, 251))
        s.sendall(wire.framed(wire.request(19, 2, 0, create(b"more"))) + metadata)
        self.wait_for("it is answered", lambda: s.recv(1, socket.MSG_PEEK))
        for i in range(50):  # time for others is time for them
            self.client.produce([b"%d" % i])
        self.assertLess(self.broker.rss_mb() - before, 80)
        self.assertEqual(self.correlation_ids(s, 251), list(range(251)))


class Memory(Case):
    def create(self, name, partitions):
        self.client.ask(19, 2, {"topics": [{"name": name, "num_partitions": partitions, "replication_factor": 1, "assignments": [],
                                            "configs": []}], "timeout_ms": 60000, "validate_only": False})

    def test_small_requests_of_a_large_session_wait_one_after_the_other(self):
        self.create(b"many", 20000)
        every = fetch_value([(b"many", [(i, 0) for i in range(20000)])], session=(0, 0))
        session = self.client.ask(FETCH, 11, every)["session_id"]
        before = self.broker.rss_mb()
        s = self.connect()
        s.sendall(b"".join(fetch(i, [], max_wait_ms=FOR_EVER, session=(session, i)) for i in range(1, 101)) + api_versions(101))
        for i in range(50):  # time for others is time for them
            self.client.produce([b"%d" % i])
        self.assertLess(self.broker.rss_mb() - before, 150)

    def test_requests_that_wait_make_room_for_others(self):
        # Each is 2 MB, and ten times that when it is decoded.
        every = fetch(1, [(GOOD_TOPIC, [(0, 0)] * 80000)], max_wait_ms=FOR_EVER)
        peers = [self.connect() for _ in range(30)]
        for s in peers:
            s.sendall(every)
        for i in range(20):
            self.client.produce([b"%d" % i])
        for s in peers:
            s.close()


class Files(Case):
    files = 200

    def test_connections_leave_files_to_the_store(self):
        peers = [self.connect() for _ in range(300)]
        closed = 0
        for s in peers:
            try:
                s.sendall(api_versions(1))
                closed += not s.recv(1)
            except ConnectionError:
                closed += 1
        self.assertGreaterEqual(closed, 200)
        # New files of the store, and many of them.
        for _ in range(5):
            self.client.produce([os.urandom(900000)])
        for s in peers:
            s.close()


if __name__ == "__main__":
    KSRUN = os.path.abspath(sys.argv.pop(1))
    unittest.main()
