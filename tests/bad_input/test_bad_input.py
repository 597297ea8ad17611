#!/usr/bin/env python3
"""Bad scripts, bad records, bad disks: the message names the place and the fix, the exit code is right, and nothing that
was acknowledged is lost. Runs the real binary: KSRUN=build/release/ksrun tests/bad_input/test_bad_input.py
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from peer import Peer

KSRUN = os.environ.get("KSRUN", "build/release/ksrun")
ENOSPC_PRELOAD = os.environ.get("KS_ENOSPC_PRELOAD", "")

JOB = """local ks = require "ks"
return ks.job "bad" {{
  defaults = {{ key = "string", value = "json" }},
  {policy}
  flows = {{ f = {{ ks.from "in", {steps} ks.to "out" }} }},
}}
"""


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ks-bad-")
        self.data = os.path.join(self.folder, "data")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def ksrun(self, *args, text=None, env=None, timeout=300):
        return subprocess.run([KSRUN, *args], input=text, capture_output=True, timeout=timeout, text=True,
                              env=dict(os.environ, KS_LOG_FORMAT="text", **(env or {})))

    def script(self, text, name="job.lua"):
        path = os.path.join(self.folder, name)
        mode = "wb" if isinstance(text, bytes) else "w"
        with open(path, mode) as out:
            out.write(text)
        return path

    def job(self, steps="", policy=""):
        return self.script(JOB.format(steps=steps, policy=policy))

    def topics(self, *names, partitions="1"):
        for name in names:
            self.assertEqual(self.ksrun("topic", "create", name, "-p", partitions, "--data", self.data).returncode, 0)

    def produce(self, lines, topic="in"):
        r = self.ksrun("topic", "produce", topic, "-f", "%k\t%v\n", "--data", self.data, text=lines)
        self.assertEqual(r.returncode, 0, r.stderr)

    def consume(self, topic, form="%k\t%v\n"):
        r = self.ksrun("topic", "consume", topic, "-o", ":end", "-f", form, "--data", self.data)
        self.assertEqual(r.returncode, 0, r.stderr)
        return r.stdout

    def run_once(self, path, **kw):
        return self.ksrun("run", "--once", "--data", self.data, path, **kw)

    def says(self, result, code, *patterns):
        self.assertEqual(result.returncode, code, result.stderr)
        for pattern in patterns:
            self.assertRegex(result.stderr, pattern)


class BadScripts(Case):
    """Found when the script is loaded: exit 2, no data touched."""

    def refused(self, text, *patterns, name="job.lua"):
        path = self.script(text, name)
        for verb in (["check"], ["run", "--once", "--data", self.data]):
            self.says(self.ksrun(*verb, path), 2, *patterns)
        self.assertFalse(os.path.exists(self.data), "a refused script must not create data")

    def test_a_syntax_error_names_its_line(self):
        self.refused('local ks = require "ks"\nreturn ks.job "x" {{\n', r"job\.lua:\d+")

    def test_a_runtime_error_while_loading_names_its_line(self):
        self.refused('local ks = require "ks"\nlocal t = nil\nprint(t.x)\n', r"job\.lua:3", "nil")

    def test_an_endless_loop_while_loading_is_stopped(self):
        self.refused("while true do end", r"job\.lua:1", "ran longer than 1000 ms")

    def test_unbounded_memory_while_loading_is_stopped(self):
        self.refused("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end", "memory")

    def test_a_global_write_is_refused_with_advice(self):
        self.refused("count = 1", r"job\.lua:1", "local")

    def test_bytecode_is_refused(self):
        self.refused(b"\x1bLua\x54\x00\x19\x93\r\n\x1a\n", "bytecode|binary|text")

    def test_a_typo_of_a_step_gets_a_suggestion(self):
        self.refused('local ks = require "ks"\nreturn ks.job "x" { flows = { f = { ks.from "in",\n'
                     '  ks.fliter(function() end), ks.to "out" } } }', r"job\.lua:3", 'did you mean .*filter')

    def test_a_typo_of_a_topic_gets_a_suggestion(self):
        self.refused('local ks = require "ks"\nreturn ks.job "x" { topics = { orders = {}, out = {} },\n'
                     'flows = { f = { ks.from "ordres", ks.to "out" } } }', "ordres", 'did you mean "orders"')

    def test_a_script_that_returns_nothing(self):
        self.refused('local ks = require "ks"\n', "return")

    def test_a_missing_file(self):
        self.says(self.ksrun("run", "--once", "--data", self.data, os.path.join(self.folder, "no.lua")), 2, r"no\.lua")


class BadRecords(Case):
    """Found while the job runs: what came before is committed, the place is named, exit 1."""

    def fails(self, steps, *patterns, lines='a\t{"x":1}\nb\t{"x":2}\n', timeout=300):
        self.topics("in", "out")
        self.produce(lines)
        self.says(self.run_once(self.job(steps), timeout=timeout), 1, *patterns)

    def test_a_runtime_error_names_script_line_and_record(self):
        self.fails("\n ks.map(function(v) if v.x == 2 then error('two is bad') end return v end),",
                   r"job\.lua:6", "two is bad", r"in\b.*0.*1")
        self.assertEqual(self.consume("out"), 'a\t{"x":1}\n', "the record before the bad one is committed")

    def test_an_endless_loop(self):
        self.fails("ks.map(function(v) while true do end end),", r"job\.lua:5", "ran longer than 1000 ms")

    def test_an_endless_loop_inside_pcall(self):
        self.fails("ks.map(function(v) while true do pcall(function() while true do end end) end end),",
                   "ran longer than 1000 ms")

    def test_an_endless_loop_in_a_coroutine(self):
        self.fails("ks.map(function(v) coroutine.wrap(function() while true do end end)() end),",
                   "ran longer than 1000 ms")

    def test_a_finalizer_is_refused(self):
        self.fails("ks.map(function(v) setmetatable({}, { __gc = function() while true do end end }) return v end),",
                   "__gc")

    def test_an_endless_sort_comparator(self):
        self.fails("ks.map(function(v) table.sort({3, 2, 1}, function() while true do end end) return v end),",
                   "ran longer than 1000 ms")

    def test_a_pattern_that_never_ends(self):
        self.fails("ks.map(function(v) string.find(('a'):rep(3000), '.-.-.-.-.-b') return v end),",
                   "ran longer than 1000 ms")

    def test_unbounded_memory(self):
        self.fails("ks.map(function(v) local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end end),", "memory")

    def test_a_global_write_in_a_callback(self):
        self.fails("ks.map(function(v) counter = 1 return v end),", r"job\.lua:5", "counter", "local")

    def test_json_that_does_not_parse(self):
        self.fails("ks.filter(function(v) return v.x end),", "JSON|json", r"in\b.*0.*1",
                   lines='a\t{"x":1}\nb\t{oops\n')

    def test_a_forgotten_return(self):
        self.fails("ks.map(function(v) v.y = 1 end),", "forgot `return`", r"job\.lua:5")

    def test_a_record_over_the_limit(self):
        self.topics("in")
        self.assertEqual(self.ksrun("topic", "create", "out", "-c", "max.message.bytes=1000", "--data",
                                    self.data).returncode, 0)
        self.produce('a\t{"x":1}\n')
        self.says(self.run_once(self.job("ks.map(function(v) return { y = ('z'):rep(5000) } end),")), 1,
                  "max.message.bytes", "1000", r"in\b.*0.*0")

    def test_a_topic_that_does_not_exist(self):
        self.topics("inn")
        self.says(self.run_once(self.job()), 2, r"job\.lua:5", '"in"', 'did you mean "inn"', "ksrun topic create in")

    def test_bad_records_go_to_the_dead_letter_topic_in_the_same_commit(self):
        self.topics("in", "out")
        self.produce('a\t{"x":1}\nb\t{oops\nc\t{"x":3}\n')
        path = self.job("ks.filter(function(v) return v.x end),", 'on_error = ks.dead_letter "dlq",')
        self.says(self.run_once(path), 0)
        self.assertEqual(self.consume("out"), 'a\t{"x":1}\nc\t{"x":3}\n')
        self.assertEqual(self.consume("dlq"), "b\t{oops\n")

    def test_skip_goes_on(self):
        self.topics("in", "out")
        self.produce('a\t{oops\nb\t{"x":2}\n')
        self.says(self.run_once(self.job("ks.filter(function(v) return v.x end),", "on_error = ks.skip,")), 0)
        self.assertEqual(self.consume("out"), 'b\t{"x":2}\n')


class BadData(Case):
    """Data directories that are not what they should be."""

    def filled(self):
        self.topics("in", "out")
        self.produce("".join(f'k{i}\t{{"x":{i}}}\n' for i in range(1000)))

    def wait_for_owner(self, pid):
        """Looks at the lock without taking it."""
        lock = pathlib.Path(self.data, "lock")
        for _ in range(6000):
            if lock.exists() and lock.read_text().strip() == str(pid):
                return
            time.sleep(0.02)
        self.fail(f"process {pid} never took {lock}")

    def describe(self):
        return self.ksrun("topic", "list", "--data", self.data)

    def test_a_data_directory_of_another_version(self):
        self.filled()
        path = pathlib.Path(self.data, "mark")
        mark = bytearray(path.read_bytes())
        for slot in range(0, len(mark), 4096):
            mark[slot + 88:slot + 92] = (7).to_bytes(4, "big")
            mark[slot + 92:slot + 96] = crc32c(mark[slot:slot + 92]).to_bytes(4, "big")
        path.write_bytes(mark)
        for verb in (["topic", "list"], ["topic", "produce", "in"], ["run", "--once", self.job()], ["plan", self.job()],
                     ["topic", "list", "--accept-lost-writes"]):
            self.says(self.ksrun(*verb, "--data", self.data, text="a\n"), 1,
                      f"{re.escape(self.data)} has data format 7, this program has 2; use the program that wrote it$")
        self.assertEqual(path.read_bytes(), mark)

    def test_a_directory_of_something_else(self):
        os.makedirs(self.data)
        pathlib.Path(self.data, "something").write_text("else")
        r = self.ksrun("topic", "list", "--data", self.data)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn(self.data, r.stderr)

    def as_nobody(self, *args):
        """Runs a copy of ksrun as somebody who may not do everything."""
        os.chmod(self.folder, 0o755)
        copy = shutil.copy(KSRUN, self.folder)
        user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        return subprocess.run([copy, *args], capture_output=True, timeout=60, text=True, stdin=subprocess.DEVNULL,
                              cwd=self.folder, env=dict(os.environ, KS_LOG_FORMAT="text"), **user)

    def test_a_data_directory_that_may_not_be_read(self):
        self.topics("in")
        for path, rights in ((self.data, 0o000), (self.data, 0o711), (os.path.join(self.data, "db"), 0o000)):
            os.chmod(path, rights)
            for verb in ("list", "create"):
                r = self.as_nobody("topic", verb, *["t"] * (verb == "create"), "--data", self.data)
                self.says(r, 1, f"^ksrun topic {verb}: cannot \\w+ {re.escape(self.data)}[a-z/]*: Permission denied$")
            os.chmod(path, 0o755)
        self.assertRegex(self.describe().stdout, r"(?m)^in +1")

    def test_a_data_directory_that_may_not_be_made(self):
        os.makedirs(self.data)
        os.chmod(self.data, 0o555)
        below = os.path.join(self.data, "below")
        self.says(self.as_nobody("topic", "create", "t", "--data", below), 1,
                  f"^ksrun topic create: cannot create {re.escape(below)}: Permission denied$")

    def damaged(self):
        """A writer was killed after its records were durable, and then a byte of the write-ahead log changed."""
        self.topics("in", "out")
        lines = "".join(f'k{i}\t{{"x":{i}}}\n' for i in range(1000))
        killed = self.ksrun("topic", "produce", "in", "-f", "%k\t%v\n", "--data", self.data, text=lines,
                            env={"KS_FAILPOINT": "shard-reply"})
        self.assertEqual(killed.returncode, -9, "the writer dies before it can close the store")
        logs = sorted(pathlib.Path(self.data).rglob("*.log"), key=lambda p: p.stat().st_size)
        self.assertGreater(logs[-1].stat().st_size, 1000)
        blob = bytearray(logs[-1].read_bytes())
        blob[len(blob) // 2] ^= 0xFF
        logs[-1].write_bytes(blob)
        return logs[-1], lines

    def test_a_damaged_write_ahead_log_is_refused_and_left_alone(self):
        log, _ = self.damaged()
        before = log.read_bytes()
        for verb in (["topic", "list"], ["topic", "consume", "in"], ["topic", "produce", "in"], ["group", "list"],
                     ["plan", self.job()], ["run", "--once", self.job()]):
            r = self.ksrun(*verb, "--data", self.data, text="")
            self.says(r, 1, r"ends at write number \d+, and writes up to number \d+ were acknowledged: the last \d+ are "
                      "missing; .* open it with --accept-lost-writes to go on without them")
        self.assertEqual(log.read_bytes(), before)

    def test_lost_writes_can_be_accepted_once(self):
        _, lines = self.damaged()
        refused = self.ksrun("topic", "list", "--data", self.data)
        have, acknowledged = map(int, re.search(r"ends at write number (\d+), .* up to number (\d+)", refused.stderr).groups())
        r = self.ksrun("topic", "list", "--data", self.data, "--accept-lost-writes")
        self.says(r, 0, f"^warn.*{re.escape(self.data)}: going on without write numbers {have + 1} to {acknowledged}, "
                  "which were acknowledged$")
        self.assertEqual(self.ksrun("topic", "list", "--data", self.data).stderr, "", "nothing is missing any more")
        self.assertTrue(lines.startswith(self.consume("in")), "what is left is a beginning of what was written")
        self.produce("after\t{}\n")
        self.assertTrue(self.consume("in").endswith("after\t{}\n"))

    def test_a_run_can_accept_lost_writes(self):
        self.damaged()
        self.says(self.run_once(self.job()), 1, "--accept-lost-writes")
        self.says(self.ksrun("run", "--once", "--accept-lost-writes", "--data", self.data, self.job()), 0, "going on without")

    def test_a_lost_mark_can_be_accepted(self):
        self.filled()
        os.unlink(os.path.join(self.data, "mark"))
        self.says(self.describe(), 1, "mark is gone", "--accept-lost-writes")
        r = self.ksrun("topic", "list", "--data", self.data, "--accept-lost-writes")
        self.says(r, 0, "mark: No such file.*; going on with what .*/db holds, without knowing whether acknowledged writes")
        self.assertEqual(self.consume("in").count("\n"), 1000)

    def test_a_damaged_table_file_is_never_served_as_data(self):
        self.filled()
        files = [p for p in pathlib.Path(self.data).rglob("*") if p.suffix in (".sst", ".blob")]
        self.assertTrue(files)
        for path in files:
            blob = bytearray(path.read_bytes())
            for at in range(0, max(len(blob) - 60, 1), 97):
                blob[at] ^= 0x55
            path.write_bytes(blob)
        r = self.ksrun("topic", "consume", "in", "-o", ":end", "-f", "%k\t%v\n", "--data", self.data)
        self.assertNotEqual(r.returncode, 0)
        self.assertRegex(r.stderr.lower(), "corrupt|checksum|crc|bad")

    def test_a_second_process_is_told_who_owns_the_directory(self):
        self.topics("in", "out")
        path = self.job()
        with subprocess.Popen([KSRUN, "run", "--data", self.data, path], stderr=subprocess.PIPE) as first:
            try:
                self.wait_for_owner(first.pid)
                for verb in (["topic", "list"], ["topic", "describe", "in"], ["topic", "consume", "in"],
                             ["topic", "produce", "in"], ["plan", path], ["run", path]):
                    r = self.ksrun(*verb, "--data", self.data, text="")
                    self.says(r, 75, f"{re.escape(self.data)} is in use by process {first.pid} \\(.*ksrun run .*, running "
                              "since .*\\); stop it, or name another directory$")
            finally:
                first.terminate()
                self.assertEqual(first.wait(60), 0, "SIGTERM ends a job with 0")

    @unittest.skipUnless(ENOSPC_PRELOAD, "KS_ENOSPC_PRELOAD names no library")
    def test_a_full_disk_loses_nothing_that_was_acknowledged(self):
        self.filled()
        before = self.consume("in")
        more = "".join(f'm{i}\t{{"x":{i},"pad":"{"y" * 500}"}}\n' for i in range(20000))
        env = {"LD_PRELOAD": ENOSPC_PRELOAD, "KS_ENOSPC_DIR": self.data, "KS_ENOSPC_AFTER_BYTES": "3000000"}
        r = self.ksrun("topic", "produce", "in", "-f", "%k\t%v\n", "-o", "%o\n", "--data", self.data, text=more, env=env)
        self.says(r, 1, "[Nn]o space")
        acknowledged = len(r.stdout.split())
        after = self.consume("in")
        self.assertTrue(after.startswith(before))
        self.assertGreaterEqual(after.count("\n") - before.count("\n"), acknowledged)


@unittest.skipUnless(ENOSPC_PRELOAD, "KS_ENOSPC_PRELOAD names no library")
class FullDisk(Case):
    """A broker whose disk becomes full under the load of several producers."""

    PRODUCERS = 4

    def serve(self, *command, bytes_left=None):
        """Starts what serves clients; its port."""
        env = dict(os.environ, KS_LOG_FORMAT="text")
        if bytes_left:
            env.update(LD_PRELOAD=ENOSPC_PRELOAD, KS_ENOSPC_DIR=self.data, KS_ENOSPC_AFTER_BYTES=str(bytes_left))
        self.process = subprocess.Popen([KSRUN, *command, "--listen", "localhost:0", "--data", self.data], env=env,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.process.kill)
        line = self.process.stdout.readline()
        self.assertRegex(line, r"^ready: listening on localhost:\d+\n$")
        return int(line.rsplit(":", 1)[1])

    def load(self, port, number, acknowledged):
        """Produces until the broker hangs up: nothing else ends it, least of all an answer that is an error."""
        peer = Peer(port)
        try:
            for i in range(1000000):
                value = b"%d-%d-" % (number, i) + b"x" * 2000
                error, offset = peer.produce("t", value, acks=(-1, 1)[number % 2])
                acknowledged.append((error, offset, value))
        except (EOFError, OSError):
            pass
        finally:
            peer.close()

    def fill(self, port):
        acknowledged = [[] for _ in range(self.PRODUCERS)]
        threads = [threading.Thread(target=self.load, args=(port, i, acknowledged[i])) for i in range(self.PRODUCERS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return [each for one in acknowledged for each in one]

    def ends_and_has_kept(self, acknowledged):
        out, err = self.process.communicate(timeout=60)
        self.assertEqual((self.process.returncode, out), (1, ""), err)
        self.assertRegex(err, "the store has failed, nothing more can be acknowledged: .*[Nn]o space")
        self.assertGreater(len(acknowledged), 100)
        self.assertEqual({error for error, _, _ in acknowledged}, {0})
        found = dict(line.split("\t") for line in self.consume("t", "%o\t%v\n").splitlines())
        for _, offset, value in acknowledged:
            self.assertEqual(found[str(offset)], value.decode())

    def test_a_broker_ends_and_has_acknowledged_only_what_is_there(self):
        self.topics("t")
        port = self.serve("broker", "--http", "off", bytes_left=3000000)
        self.ends_and_has_kept(self.fill(port))

    def test_jobs_that_have_nothing_to_do_end_with_their_broker(self):
        self.topics("in", "out", "t")
        port = self.serve("run", self.job(), bytes_left=3000000)
        self.ends_and_has_kept(self.fill(port))


if __name__ == "__main__":
    unittest.main(verbosity=1)
