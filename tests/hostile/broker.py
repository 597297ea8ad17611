"""A broker under test and a well-behaved client of it."""

import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import wire

PRODUCE, FETCH, METADATA = 0, 1, 3
GOOD_TOPIC = b"the-good-topic"


class Failure(Exception):
    pass


# --- the broker ---

class Broker:
    def __init__(self, ksrun, files=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="ks-hostile-"))
        env = dict(os.environ, KS_HTTP="off")
        env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=16"
        env["UBSAN_OPTIONS"] = env.get("UBSAN_OPTIONS", "") + ":halt_on_error=1:print_stacktrace=1"
        self.log = open(self.dir / "log", "w+b")
        self.process = subprocess.Popen([ksrun, "broker", "--listen", "127.0.0.1:0", "--data", str(self.dir / "data")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, env=env,
                                        preexec_fn=files and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))))
        line = self.process.stdout.readline().decode()
        found = re.fullmatch(r"ready: listening on .*:(\d+)\n", line)
        if not found:
            raise Failure("the broker did not start: %r, %s" % (line, self.said()))
        self.address = ("127.0.0.1", int(found.group(1)))

    def said(self):
        text = pathlib.Path(self.log.name).read_text(errors="replace")
        at = max(text.find("Sanitizer"), text.find("runtime error"), text.find("ssertion"))
        return text[max(at - 500, 0):][:12000] if at >= 0 else text[-4000:]

    def check_alive(self):
        if self.process.poll() is not None:
            raise Failure("the broker ended with %s:\n%s" % (self.process.returncode, self.said()))

    def rss_mb(self):
        status = pathlib.Path("/proc/%d/status" % self.process.pid).read_text()
        return int(re.search(r"^VmRSS:\s+(\d+)", status, re.M).group(1)) // 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            raise Failure("the broker does not stop:\n" + self.said())
        if code:
            raise Failure("the broker ended with status %d:\n%s" % (code, self.said()))

    def remove(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()
        shutil.rmtree(self.dir, True)


# --- the well-behaved client ---

class Client:
    """Asks one thing after the other, on a connection of its own."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=60)
        self.correlation_id = 0
        self.acknowledged = []

    def ask(self, key, version, value):
        self.correlation_id += 1
        self.socket.sendall(wire.framed(wire.request(key, version, self.correlation_id, value, b"good")))
        body = self.read(struct.unpack(">i", self.read(4))[0])
        got, answer = wire.response(key, version, body)
        if got != self.correlation_id:
            raise Failure("answer %d to request %d" % (got, self.correlation_id))
        return answer

    def read(self, n):
        out = b""
        while len(out) < n:
            part = self.socket.recv(n - len(out))
            if not part:
                raise Failure("the well-behaved client's connection was closed")
            out += part
        return out

    def topics(self, names):
        """Ids by name; they are made if need be."""
        while True:
            answer = self.ask(METADATA, 12, {"topics": [{"topic_id": bytes(16), "name": name} for name in names],
                                             "allow_auto_topic_creation": True,
                                             "include_topic_authorized_operations": False})
            bad = {t["name"]: t["error_code"] for t in answer["topics"] if t["error_code"]}
            if not bad:
                return {t["name"]: t["topic_id"] for t in answer["topics"]}
            if GOOD_TOPIC in bad or set(bad.values()) - {3}:  # the hostile may delete the others at any time
                raise Failure("topics: %s" % bad)

    def produce(self, values):
        answer = self.ask(PRODUCE, 9, {"transactional_id": None, "acks": -1, "timeout_ms": 30000, "topic_data": [
            {"name": GOOD_TOPIC, "partition_data": [{"index": 0, "records": wire.batch(values, int(time.time() * 1000))}]}]})
        part = answer["responses"][0]["partition_responses"][0]
        if part["error_code"]:
            raise Failure("produce: error %d" % part["error_code"])
        self.acknowledged += [(part["base_offset"] + i, value) for i, value in enumerate(values)]

    def check_everything(self):
        """Reads the topic from the beginning."""
        found, offset = [], 0
        while offset < len(self.acknowledged):
            answer = self.ask(FETCH, 11, {
                "replica_id": -1, "max_wait_ms": 10000, "min_bytes": 1, "max_bytes": 1 << 20, "isolation_level": 1,
                "session_id": 0, "session_epoch": -1, "forgotten_topics_data": [], "rack_id": b"",
                "topics": [{"topic": GOOD_TOPIC, "partitions": [
                    {"partition": 0, "current_leader_epoch": -1, "fetch_offset": offset, "log_start_offset": -1,
                     "partition_max_bytes": 1 << 20}]}]})
            part = answer["responses"][0]["partitions"][0]
            if part["error_code"]:
                raise Failure("fetch: error %d" % part["error_code"])
            if part["high_watermark"] != len(self.acknowledged):
                raise Failure("%d records, %d acknowledged" % (part["high_watermark"], len(self.acknowledged)))
            found += [row for row in wire.batch_values(part["records"]) if row[0] >= offset]
            offset = found[-1][0] + 1
        if found != self.acknowledged:
            raise Failure("what was acknowledged is not what is there")
