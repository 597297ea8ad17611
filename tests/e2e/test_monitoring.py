#!/usr/bin/env python3
"""Metrics, health and logs of `ksrun broker`, with real traffic: what docs/monitoring.md says."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request

import ksrun
from ksrun import Case, main

DEADLINE_S = 120
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?[0-9.e+-]+)')


class Broker:
    """A broker of its own on ports of its own; env: what its environment has besides."""

    def __init__(self, case, *args, http="127.0.0.1:0", verb="broker", **env):
        command = [ksrun.BINARY, verb, "--listen", "127.0.0.1:0", *args]
        command += ["--http", http] if http else []
        self.log_path = os.path.join(case.dir, "log")
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen(command, env=dict(case.env, **env), stdout=subprocess.PIPE,
                                        stderr=self.log)
        case.addCleanup(self.kill)
        ready = self.process.stdout.readline().decode()
        case.assertRegex(ready, r"^ready: listening on 127\.0\.0\.1:\d+\n$", self.text())
        self.port = int(ready.rsplit(":", 1)[1])
        self.bootstrap = "127.0.0.1:%d" % self.port
        found = re.search(r'port[="]+:?(\d+)', self.text())
        self.http = int(found.group(1)) if found else None

    def ready(self, case):
        """Waits for its jobs, too."""
        end = time.monotonic() + DEADLINE_S
        while self.get("/readyz")[0] != 200:
            case.assertLess(time.monotonic(), end)
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def text(self):
        with open(self.log_path, encoding="utf-8") as f:
            return f.read()

    def get(self, path):
        """(status, text)"""
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.http, path), timeout=DEADLINE_S) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.read().decode()

    def figures(self, path="/metrics"):
        """{'name{labels}': value}"""
        status, text = self.get(path)
        assert status == 200, text
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if not line.startswith("#")}

    def exchange(self, frame):
        """Sends one request; the answer without its length, b"" when the broker hangs up."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S) as s:
            s.sendall(struct.pack(">i", len(frame)) + frame)
            answer = b""
            while len(answer) < 4 or len(answer) < 4 + struct.unpack(">i", answer[:4])[0]:
                part = s.recv(65536)
                if not part:
                    return b""
                answer += part
            return answer[4:]


def copy_job(case):
    """A script that copies what is ok from in to out."""
    path = os.path.join(case.dir, "copy.lua")
    with open(path, "w", encoding="utf-8") as f:
        f.write('local ks = require "ks"\n'
                'return ks.job "copy" { defaults = { key = "string", value = "json" }, on_error = ks.dead_letter "dead",\n'
                '  flows = { f = { ks.from "in", ks.filter(function(v) return v.ok end), ks.to "out" } } }\n')
    return path


def header(key, version, client_id=b"tester"):
    return struct.pack(">hhih", key, version, 7, len(client_id)) + client_id


def string(text):
    return struct.pack(">h", len(text)) + text


def list_offsets_of(topic):
    """Version 1: the end of partition 0."""
    return header(2, 1) + struct.pack(">ii", -1, 1) + string(topic) + struct.pack(">iiq", 1, 0, -1)


class Figures(Case):
    def until(self, look):
        """Counters follow what a client sees: asks until it is so."""
        end = time.monotonic() + DEADLINE_S
        while not look():
            self.assertLess(time.monotonic(), end)

    def test_what_was_produced_and_fetched_is_counted(self):
        b = Broker(self)
        self.ok("topic", "create", "in", "-p", "2", "-b", b.bootstrap)
        self.ok("topic", "produce", "in", "-b", b.bootstrap, stdin="".join("%d\n" % i for i in range(100)))
        out = self.ok("topic", "consume", "in", "-b", b.bootstrap, "-o", ":end")
        self.assertEqual(len(out.splitlines()), 100)

        self.until(lambda: b.figures()["ks_broker_connections"] == 0)
        f = b.figures()
        self.assertEqual(f["kafka_brokers"], 1)
        self.assertEqual(f["ks_broker_produced_records_total"], 100)
        self.assertEqual(f["ks_broker_fetched_records_total"], 100)
        self.assertEqual(f["ks_broker_fetched_bytes_total"], f["ks_broker_produced_bytes_total"])
        self.assertEqual(f["ks_shard_appended_bytes_total"], f["ks_broker_produced_bytes_total"])
        self.assertGreater(f["ks_broker_produced_bytes_total"], 100)
        self.assertEqual(f['kafka_topic_partitions{topic="in"}'], 2)
        ends = [f['kafka_topic_partition_current_offset{topic="in",partition="%d"}' % p] for p in (0, 1)]
        self.assertEqual(sum(ends), 100)
        self.assertEqual(f['kafka_topic_partition_oldest_offset{topic="in",partition="1"}'], 0)
        sizes = [f['ks_topic_partition_bytes{topic="in",partition="%d"}' % p] for p in (0, 1)]
        self.assertEqual(sum(sizes), f["ks_broker_produced_bytes_total"])
        self.assertGreaterEqual(f["ks_broker_connections_opened_total"], 3)
        self.assertEqual(f["ks_broker_connections_refused_total"], 0)

    def test_requests_are_counted_and_timed_by_api(self):
        b = Broker(self)
        self.assertEqual(b.figures().get('ks_broker_request_seconds_count{api="api_versions"}'), None)
        for _ in range(3):
            answer = b.exchange(header(18, 0))
        self.until(lambda: b.figures().get('ks_broker_request_seconds_count{api="api_versions"}') == 3)
        f = b.figures()
        self.assertEqual(f['ks_broker_request_seconds_bucket{api="api_versions",le="+Inf"}'], 3)
        self.assertEqual(f['ks_broker_request_bytes_total{api="api_versions"}'], 3 * (4 + len(header(18, 0))))
        self.assertEqual(f['ks_broker_response_bytes_total{api="api_versions"}'], 3 * (4 + len(answer)))
        total = f['ks_broker_request_seconds_sum{api="api_versions"}']
        self.assertTrue(0 < total < 3 * DEADLINE_S, total)
        buckets = [v for k, v in f.items() if k.startswith('ks_broker_request_seconds_bucket{api="api_versions"')]
        self.assertEqual(buckets, sorted(buckets))

    def test_errors_are_counted_by_api_and_name(self):
        b = Broker(self)
        self.assertEqual(struct.unpack(">h", b.exchange(list_offsets_of(b"nowhere"))[4 + 4 + 9 + 4 + 4:][:2]), (3,))
        b.exchange(header(18, 99))
        name = 'ks_broker_errors_total{api="%s",error="%s"}'
        for api, error in (("api_versions", "UNSUPPORTED_VERSION"), ("list_offsets", "UNKNOWN_TOPIC_OR_PARTITION")):
            self.until(lambda: b.figures().get(name % (api, error)) == 1)

    def test_how_far_groups_are_behind(self):
        self.ok("topic", "create", "in", "-p", "2")
        self.ok("topic", "produce", "in", "-p", "1", stdin="a\nb\nc\n")
        self.ok("group", "seek", 'g "1"', "--topics", "in", "--to", "start", "--yes")
        b = Broker(self)
        f = b.figures()
        group = 'consumergroup="g \\"1\\"",topic="in"'
        self.assertEqual(f["kafka_consumergroup_lag_sum{%s}" % group], 3)
        self.assertEqual(f["kafka_consumergroup_current_offset_sum{%s}" % group], 0)
        self.assertEqual(f['kafka_consumergroup_lag{%s,partition="0"}' % group], 0)
        self.assertEqual(f['kafka_consumergroup_lag{%s,partition="1"}' % group], 3)
        self.assertEqual(f['kafka_consumergroup_current_offset{%s,partition="1"}' % group], 0)
        self.ok("topic", "produce", "in", "-p", "0", "-b", b.bootstrap, stdin="d\n")
        self.assertEqual(b.figures()["kafka_consumergroup_lag_sum{%s}" % group], 4)

    def test_members_of_groups_are_counted(self):
        b = Broker(self, "-X", "group.initial.rebalance.delay.ms=0")
        join = (header(11, 1) + string(b"team") + struct.pack(">ii", 60000, 60000) + string(b"") + string(b"consumer") +
                struct.pack(">i", 1) + string(b"range") + struct.pack(">i", 0))
        error, = struct.unpack(">h", b.exchange(join)[4:6])
        if error == 15:
            self.skipTest("there is no coordinator of groups yet")
        self.assertEqual(error, 0)
        self.assertEqual(b.figures()['kafka_consumergroup_members{consumergroup="team"}'], 1)

    def test_many_partitions_are_told_only_when_asked_for(self):
        self.ok("topic", "create", "large", "-p", "1001")
        b = Broker(self)
        f = b.figures()
        self.assertEqual(f["ks_metrics_topic_partitions_omitted"], 1)
        self.assertEqual(f['kafka_topic_partitions{topic="large"}'], 1001)
        self.assertFalse([k for k in f if k.startswith("kafka_topic_partition_current_offset")])
        f = b.figures("/metrics?full=1")
        self.assertEqual(f["ks_metrics_topic_partitions_omitted"], 0)
        self.assertEqual(len([k for k in f if k.startswith("kafka_topic_partition_current_offset")]), 1001)

    def test_the_text_is_what_prometheus_reads(self):
        self.ok("topic", "create", "in")
        b = Broker(self)
        b.exchange(header(18, 0))
        families, seen, family = set(), set(), None
        for line in b.get("/metrics")[1].splitlines():
            if line.startswith("# HELP "):
                family = line.split()[2]
                self.assertNotIn(family, families)
                families.add(family)
                continue
            if line.startswith("# TYPE "):
                self.assertEqual(line.split()[2], family)
                self.assertIn(line.split()[3], ("counter", "gauge", "histogram"))
                continue
            match = SAMPLE.fullmatch(line)
            self.assertTrue(match, line)
            self.assertIn(match.group(1), [family + end for end in ("", "_bucket", "_sum", "_count")])
            self.assertNotIn(line.rsplit(" ", 1)[0], seen)
            seen.add(line.rsplit(" ", 1)[0])
        self.assertGreater(len(families), 25)

    def test_the_documentation_names_every_metric(self):
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        with open(os.path.join(root, "docs/monitoring.md"), encoding="utf-8") as f:
            text = f.read()
        documented = set(re.findall(r"^\| `((?:ks|kafka|process)_[a-z_]+)", text, re.M))
        self.ok("topic", "create", "in")
        b = Broker(self, copy_job(self), verb="run").ready(self)
        b.exchange(header(18, 99))
        told = set(re.findall(r"^# TYPE (\S+)", b.get("/metrics?full=1")[1], re.M))
        self.assertEqual(documented, told)


class Health(Case):
    def test_a_broker_that_serves_is_alive_and_ready(self):
        b = Broker(self)
        self.assertEqual(b.get("/healthz"), (200, "alive\n"))
        self.assertEqual(b.get("/readyz"), (200, "ready\n"))
        self.assertEqual(b.get("/nowhere")[0], 404)
        self.assertEqual(b.stop(), 0)

    def test_an_address_that_somebody_else_has_is_an_error(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            r = self.run_any("broker", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:%d" % taken.getsockname()[1])
        self.assertEqual(r.code, 1, r)
        self.assertIn("Address already in use", r.err)

    def test_a_broker_starts_even_when_the_default_address_is_taken(self):
        try:
            taken = socket.create_server(("127.0.0.1", 8092))
            self.addCleanup(taken.close)
        except OSError:
            pass  # by somebody else: as good
        b = Broker(self, http=None)
        self.assertIn("no metrics: cannot listen on 127.0.0.1:8092", b.text())
        self.assertEqual(b.stop(), 0)

    def test_it_can_be_switched_off(self):
        b = Broker(self, http="off")
        self.assertNotIn("module=http", b.text())
        self.assertEqual(b.stop(), 0)
        self.assertNotIn("module=http", Broker(self, http=None, KS_HTTP_LISTENER="off").text())

    def test_the_properties_file_chooses_the_address_too(self):
        path = os.path.join(self.dir, "server.properties")
        with open(path, "w", encoding="utf-8") as f:
            f.write("http.listener = 127.0.0.1:0\n")
        b = Broker(self, "--config", path, http=None)
        self.assertEqual(b.get("/healthz"), (200, "alive\n"))
        with open(path, "a", encoding="utf-8") as f:
            f.write("http.listener = nowhere\n")
        r = self.run_any("broker", "--config", path)
        self.assertEqual(r.code, 2, r)
        self.assertIn('http.listener "nowhere": it is HOST:PORT, or off', r.err)

    def test_a_wrong_address_is_bad_usage(self):
        r = self.run_any("broker", "--http", "8092")
        self.assertEqual((r.code, "HOST:PORT" in r.err), (2, True), r)


class Jobs(Case):
    """The same beside jobs."""

    def test_what_jobs_do_is_counted(self):
        self.ok("topic", "create", "in")
        b = Broker(self, copy_job(self), verb="run").ready(self)
        self.ok("topic", "produce", "in", "-b", b.bootstrap, stdin='{"ok":true}\n{"ok":false}\n{oops\n')
        end = time.monotonic() + DEADLINE_S
        while b.figures()['ks_job_records_in_total{job="copy"}'] < 3:
            self.assertLess(time.monotonic(), end)
        f = b.figures()
        self.assertEqual(f['ks_job_records_out_total{job="copy"}'], 1 + 1)
        self.assertEqual(f['ks_job_dead_lettered_total{job="copy"}'], 1)
        self.assertEqual(f['ks_job_skipped_total{job="copy"}'], 0)
        self.assertGreaterEqual(f['ks_job_commits_total{job="copy"}'], 1)
        self.assertEqual(f['kafka_topic_partition_current_offset{topic="dead",partition="0"}'], 1)
        self.assertEqual(b.get("/readyz"), (200, "ready\n"))
        self.assertEqual(b.stop(), 0)

    def test_jobs_that_serve_no_clients_are_watched_when_asked_for(self):
        self.ok("topic", "create", "in")
        p = self.start("run", copy_job(self), "--http", "127.0.0.1:0")
        port = re.search(rb"port=(\d+)", p.stderr.readline()).group(1).decode()

        def get(path):
            try:
                with urllib.request.urlopen("http://127.0.0.1:%s%s" % (port, path), timeout=DEADLINE_S) as r:
                    return r.status, r.read().decode()
            except urllib.error.HTTPError as e:
                with e:
                    return e.code, e.read().decode()

        end = time.monotonic() + DEADLINE_S
        while get("/readyz")[0] != 200:
            self.assertLess(time.monotonic(), end)
        self.assertEqual(get("/healthz"), (200, "alive\n"))
        self.assertIn('\nks_job_records_in_total{job="copy"} 0\n', get("/metrics")[1])
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(DEADLINE_S), 0)

    def test_nobody_watches_jobs_unless_asked(self):
        self.ok("topic", "create", "in")
        r = self.run_any("run", "--once", copy_job(self))
        self.assertEqual((r.code, "http" in r.err), (0, False), r)


class Logs(Case):
    def lines(self, b, wanted, count=1):
        """Waits for so many lines that contain the text."""
        end = time.monotonic() + DEADLINE_S
        while True:
            found = [line for line in b.text().splitlines() if wanted in line]
            if len(found) >= count:
                return found
            self.assertLess(time.monotonic(), end, b.text())

    def test_a_refused_connection_is_a_line_with_fields(self):
        b = Broker(self)
        b.exchange(header(2, 1, b'my "app"') + b"\0")
        line = self.lines(b, "connection closed")[0]
        self.assertRegex(line, r'^ts=\S+Z level=info module=server msg="connection closed: its list_offsets request '
                               r'of version 1 is malformed.*" client=127\.0\.0\.1 client_id="my \\"app\\"" '
                               r'api=list_offsets version=1$')
        self.assertEqual(b.figures()["ks_broker_connections_refused_total"], 1)

    def test_json_has_the_same_fields(self):
        b = Broker(self, KS_LOG_FORMAT="json")
        b.exchange(header(2, 1, b"\x1b\xff") + b"\0")
        for line in b.text().splitlines():
            json.loads(line)
        event = json.loads(self.lines(b, "connection closed")[0])
        self.assertEqual({k: event[k] for k in ("level", "module", "client", "client_id", "api", "version")},
                         {"level": "info", "module": "server", "client": "127.0.0.1", "client_id": "\x1b\ufffd",
                          "api": "list_offsets", "version": 1})

    def test_people_read_the_fields_in_brackets(self):
        b = Broker(self, KS_LOG_FORMAT="text", http="off")
        b.exchange(struct.pack(">hhi", 77, 0, 1))
        self.lines(b, "connection closed: it asked for an API that is not served (client=127.0.0.1 "
                      "api_key=77 version=0)")

    def test_requests_are_logged_when_asked_for(self):
        b = Broker(self, KS_LOG="debug")
        b.exchange(struct.pack(">hhi", 77, 0, 1))
        with socket.create_connection(("127.0.0.1", b.port)) as s:
            s.sendall(struct.pack(">i", 1 << 30))  # refused before there is a request
            self.assertEqual(s.recv(1), b"")
        b.exchange(list_offsets_of(b"nowhere"))
        self.assertRegex(self.lines(b, 'msg="request"')[0],
                         r'level=debug module=server msg="request" client=127\.0\.0\.1 client_id=tester api=list_offsets '
                         r'version=1 correlation_id=7 request_bytes=\d+ response_bytes=\d+ us=\d+ '
                         r'error=UNKNOWN_TOPIC_OR_PARTITION$')

    def test_a_peer_cannot_fill_the_log(self):
        b = Broker(self)
        start = time.monotonic()
        for _ in range(300):
            b.exchange(struct.pack(">hhi", 77, 0, 1))
        seconds = int(time.monotonic() - start) + 2
        self.assertEqual(b.figures()["ks_broker_connections_refused_total"], 300)
        self.assertLessEqual(b.text().count("connection closed"), 10 * seconds)


if __name__ == "__main__":
    main()
