"""run, check, plan, graph and test as a user sees them: what they print, their exit codes, signals."""

import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import unittest

KSRUN = os.path.abspath(sys.argv.pop(1))
EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples")
JOB = 'local ks = require "ks"\nreturn ks.job "j" { %s flows = { f = { ks.from "in", %s ks.to "out" } } }\n'


class Jobs(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ks-jobs-")
        self.where = self.folder.name
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("KS_")}
        self.env.update(LC_ALL="C", KS_DATA=os.path.join(self.where, "data"))

    def tearDown(self):
        self.folder.cleanup()

    def ksrun(self, *args, stdin="", code=0):
        done = subprocess.run([KSRUN, *args], cwd=self.where, env=self.env, input=stdin.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, code, out + err)
        return out, err

    def produce(self, text):
        if not os.path.exists(self.env["KS_DATA"]):
            self.ksrun("topic", "create", "in")
        self.ksrun("topic", "produce", "in", stdin=text)

    def write(self, name, text):
        with open(os.path.join(self.where, name), "w", encoding="utf-8") as f:
            f.write(text)
        return name

    def script(self, steps="", keys="", name="job.lua"):
        return self.write(name, JOB % (keys, steps))

    def test_once_reads_what_is_there_and_goes_on_there(self):
        script = self.script("ks.map(function(v) v.n = v.n + 1 return v end),")
        self.produce('{"n":1}\n{"n":2}\n')
        _, err = self.ksrun("run", "--once", script)
        self.assertIn("j: 2 records in, 2 out", err)
        _, err = self.ksrun("run", "--once", script)
        self.assertIn("j: 0 records in, 0 out", err)
        self.produce('{"n":3}\n')
        self.ksrun("run", "--once", "-q", script)
        out, _ = self.ksrun("topic", "consume", "out", "-o", ":end", "-f", "%v\n")
        self.assertEqual(sorted(out.split()), ['{"n":2}', '{"n":3}', '{"n":4}'])

    def test_a_wrong_script_starts_nothing(self):
        good, bad = self.script(), self.script("ks.fliter(print),", name="bad.lua")
        _, err = self.ksrun("run", good, bad, code=2)
        self.assertIn("bad.lua:2: ks has no \"fliter\"; did you mean ks.filter?", err)
        self.assertFalse(os.path.exists(self.env["KS_DATA"]))

    def test_two_jobs_of_one_name_are_refused(self):
        _, err = self.ksrun("run", self.script(), self.script(name="twin.lua"), code=2)
        self.assertIn('the name "j" is taken by the job at job.lua:2', err)

    def test_a_job_that_fails_tells_where(self):
        self.produce('{"n":1}\n')
        _, err = self.ksrun("run", "--once", self.script("ks.map(function(v) error 'no way' end),"), code=1)
        self.assertIn("no way", err)
        self.assertIn("job.lua:2", err)

    def test_dead_letters_are_pointed_at(self):
        self.produce("{oops\n")
        _, err = self.ksrun("run", "--once", self.script("ks.rekey 'n',", "on_error = ks.dead_letter 'dlq',"))
        self.assertIn("1 dead-lettered", err)
        self.assertIn("look: ksrun topic consume dlq", err)

    def test_sigterm_commits_and_ends_well(self):
        self.produce('{"n":1}\n')
        script = self.script("ks.map(function(v) print 'seen' return v end),")
        p = subprocess.Popen([KSRUN, "run", script], cwd=self.where, env=self.env, stderr=subprocess.PIPE)
        while b"seen" not in p.stderr.readline():
            self.assertIsNone(p.poll())
        p.send_signal(signal.SIGTERM)
        _, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 0, err)
        self.assertIn(b"j: 1 records in, 1 out", err)

    def on_terminal(self, *args, stdin=subprocess.DEVNULL):
        """What is drawn on a terminal that is stderr, by line, also those drawn over."""
        master, slave = pty.openpty()
        p = subprocess.Popen([KSRUN, *args], cwd=self.where, env=dict(self.env, TERM="xterm"), stdin=stdin,
                             stdout=subprocess.PIPE, stderr=slave)
        os.close(slave)
        text = b""
        while True:
            try:
                text += os.read(master, 10000)
            except OSError:
                break
        os.close(master)
        p.stdout.close()
        self.assertEqual(p.wait(60), 0, text)
        return re.split("\r\n|\r", text.decode().replace("\033[K", ""))

    def test_a_bar_on_a_terminal(self):
        self.produce('{"pad":"%s"}\n' % ("x" * 40000) * 200)
        script = self.script("ks.map(function(v) for i = 1, 200000 do v.n = i end return v end),")
        lines = self.on_terminal("run", "--once", script)
        self.assertTrue(any(re.fullmatch(r"run \[#+\.*\] \d+% \d+ records, [\d.]+( k)?/s, \d+ s left", s) for s in lines), lines)
        self.assertRegex("\n".join(lines), r"\nrun: 200 records of 200 in [\d.]+ s, [\d.]+( k)?/s\nj: 200 records in")
        self.assertEqual(self.on_terminal("run", "--once", "-q", script), [""])

    def test_a_file_that_is_produced_has_an_end(self):
        self.ksrun("topic", "create", "in")
        name = self.write("lines", "".join(os.urandom(50).hex() + "\n" for _ in range(400000)))
        with open(os.path.join(self.where, name), encoding="utf-8") as f:
            lines = self.on_terminal("topic", "produce", "in", "-z", "gzip", stdin=f)
        self.assertTrue(any(re.fullmatch(r"produce \[#*\.+\] \d+% \d+ records, [\d.]+( [kM])?/s, \d+ s left", s)
                            for s in lines), lines)
        self.assertRegex("\n".join(lines), r"\nproduce: 400000 records of 400000 in ")

    def test_check(self):
        _, err = self.ksrun("check", self.script())
        self.assertIn("1 script: no mistake", err)
        _, err = self.ksrun("check", self.script("ks.map(5),"), code=2)
        self.assertIn("ks.map cannot be the number 5", err)
        state = self.write("state.lua", 'local ks = require "ks"\nlocal n = 0\nreturn ks.job "j" { flows = { f = {\n'
                           'ks.from "a", ks.peek(function() n = n + 1 end), ks.to "b" } } }\n')
        _, err = self.ksrun("check", state)
        self.assertIn('state.lua:4: warning: this function changes "n"', err)
        self.ksrun("check", "--strict", state, code=2)

    def test_plan_and_graph(self):
        script = self.script("ks.group 'user', ks.count(),")
        self.ksrun("topic", "create", "in")
        out, _ = self.ksrun("plan", script)
        self.assertIn("j-f-repartition", out)
        self.ksrun("plan", "--exit-code", script, code=3)
        self.ksrun("run", "--once", script)
        self.ksrun("plan", "--exit-code", script)
        out, _ = self.ksrun("graph", script)
        self.assertIn("f.count", out)
        out, _ = self.ksrun("graph", "--format", "dot", script)
        self.assertIn("digraph", out)
        self.ksrun("graph", "--format", "svg", script, code=2)

    def test_plan_tells_what_a_run_would_find(self):
        script = self.script("ks.group 'user', ks.count { as = 'n' },",
                             "topics = { ['in'] = {}, out = { partitions = 2 }, dlq = {} },")
        out, _ = self.ksrun("plan", script)
        self.assertIn("+ topic in     ", out)
        self.assertIn("+ topic j-f-repartition", out)
        self.assertTrue(out.endswith("4 topics would be created.\n"), out)
        self.ksrun("run", "--once", script)
        out, _ = self.ksrun("plan", "--exit-code", script)
        self.assertRegex(out, "= topic out +2 partitions, string/json, written\n")
        self.assertRegex(out, "= topic j-f-repartition +1 partition, string/json, internal\n")
        self.assertTrue(out.endswith("Nothing would be created.\n"), out)

    def test_plan_tells_that_a_run_would_be_refused(self):
        script = self.script()
        out, err = self.ksrun("plan", script, code=2)
        self.assertRegex(out, "! topic in +missing, string/json, read\n")
        self.assertTrue(out.endswith("1 topic would be created.\nA run would be refused.\n"), out)
        self.assertEqual(err, 'job.lua:2: there is no topic "in"\n'
                              '    2 | return ks.job "j" {  flows = { f = { ks.from "in",  ks.to "out" } } }\n'
                              '                                                      ^\n'
                              "declare it in the job's topics, or: ksrun topic create in\n")
        self.assertEqual(self.ksrun("run", "--once", script, code=2)[1], err)
        self.ksrun("topic", "create", "inn", "out")
        _, err = self.ksrun("plan", "--exit-code", script, code=2)
        self.assertIn('job.lua:2: there is no topic "in"; did you mean "inn"?\n', err)
        self.assertEqual(self.ksrun("run", "--once", script, code=2)[1], err)

    def test_plan_refuses_other_numbers_of_partitions_as_a_run_does(self):
        self.ksrun("topic", "create", "in", "out")
        script = self.script(keys="topics = { ['in'] = {}, out = { partitions = 2 } },")
        out, err = self.ksrun("plan", "--exit-code", script, code=2)
        self.assertRegex(out, r"! topic out +1 partition \(declared: 2\), string/json, written\n")
        self.assertIn('job.lua:2: topic "out" has 1 partition, not 2\n', err)
        self.assertIn("declare 1, or: ksrun topic alter out --partitions 2\n", err)
        self.assertEqual(self.ksrun("run", "--once", script, code=2)[1], err)
        self.ksrun("topic", "alter", "out", "--partitions", "2")
        self.ksrun("plan", "--exit-code", script)
        self.ksrun("run", "--once", script)

    def test_plan_refuses_a_configuration_as_a_run_does(self):
        script = self.script(keys="topics = { ['in'] = {}, out = { config = { ['retention.sm'] = 1 } } },")
        for _ in range(2):  # without a data directory, and with one
            _, planned = self.ksrun("plan", script, code=2)
            _, run = self.ksrun("run", "--once", script, code=2)
            self.assertIn('job.lua:2: topic "out": there is no topic configuration "retention.sm" (= "1"); did you mean', run)
            self.assertEqual(planned, run.replace("ksrun run:", "ksrun plan:"))
            self.ksrun("topic", "create", "other", "--if-not-exists")

    def test_a_refused_run_leaves_no_data_directory(self):
        for n, keys in enumerate(("", "topics = { ['in'] = {}, out = { config = { ['retention.sm'] = 1 } } },")):
            script = self.script(keys=keys, name="bad%d.lua" % n)
            self.ksrun("run", "--once", script, code=2)
            self.assertFalse(os.path.exists(self.env["KS_DATA"]), keys)
        os.mkdir(self.env["KS_DATA"])
        self.ksrun("run", "--once", script, code=2)
        self.ksrun("plan", script, code=2)
        self.assertEqual(os.listdir(self.env["KS_DATA"]), [])

    def test_a_refused_job_leaves_no_topics(self):
        self.ksrun("topic", "create", "other")
        self.ksrun("run", "--once", self.script(), code=2)
        self.assertEqual(self.ksrun("topic", "list", "--no-header")[0].split(), ["other", "1", "1"])

    def test_a_job_may_read_what_an_earlier_one_writes(self):
        first = self.script(keys="topics = { ['in'] = {}, out = { partitions = 3 } },")
        second = self.write("second.lua", JOB.replace('"j"', '"k"').replace('"out"', '"end"').replace('"in"', '"out"')
                            % ("", ""))
        out, _ = self.ksrun("plan", first, second)
        self.assertRegex(out, r"= topic out +3 partitions, string/json, read\n")
        _, err = self.ksrun("plan", second, first, code=2)
        self.assertIn('second.lua:2: there is no topic "out"', err)
        self.assertEqual(self.ksrun("run", "--once", second, first, code=2)[1], err)
        self.ksrun("run", "--once", first, second)

    def test_a_flow_that_feeds_itself_is_warned_of(self):
        script = self.write("loop.lua", 'local ks = require "ks"\nreturn ks.job "j" { topics = { ["in"] = {}, mid = {} },\n'
                            'flows = {\nf = { ks.from "in",\n  ks.to "in" },\ng = { ks.from "in",\n  ks.to "mid" },\n'
                            'h = { ks.from { pattern = "m.d" },\n  ks.split { { when = "x", ks.to "in" },\n'
                            '    { ks.to "mid" } } } } }\n')
        _, err = self.ksrun("check", script)
        self.assertIn('loop.lua:5: warning: flow "f" writes to the topic "in" that it reads', err)
        self.assertIn('    5 |   ks.to "in" },\n                 ^ write to another topic\n', err)
        self.assertIn('loop.lua:9: warning: flow "h" writes to the topic "in", and flow "g" reads it', err)
        self.assertIn('loop.lua:10: warning: flow "h" writes to the topic "mid" that it reads', err)
        self.assertIn("1 script: no mistake, but look at the warnings", err)
        self.assertEqual(err.count("warning:"), 3, err)
        _, strict = self.ksrun("check", "--strict", script, code=2)
        self.assertEqual(strict.count("warning:"), 3)
        _, err = self.ksrun("plan", script)
        self.assertEqual(err, strict)
        _, err = self.ksrun("check", self.script())
        self.assertNotIn("warning", err)

    def test_plan_knows_topics_that_a_function_chooses(self):
        self.ksrun("topic", "create", "readings.north", "readings.south")
        out, _ = self.ksrun("plan", os.path.join(EXAMPLES, "filter_map.lua"))
        self.assertIn("  ? topics that a function chooses are created when it does\n", out)

    def test_job_state_names_the_stores_there_are(self):
        script = self.script("ks.group 'user', ks.count { as = 'n' },")
        self.produce('{"user":"ann"}\n{"user":"bob"}\n{"user":"ann"}\n')
        self.ksrun("run", "--once", script)
        out, _ = self.ksrun("job", "state", script, "n")
        self.assertEqual(sorted(out.splitlines()), ["ann\t2", "bob\t1"])
        _, err = self.ksrun("job", "state", script, "m", code=1)
        self.assertEqual(err, 'ksrun job state: the job has no store "m"; it has: n\n')
        _, err = self.ksrun("job", "state", script, "n", "--data", "nowhere", code=1)
        self.assertIn("no data directory nowhere", err)

    def test_parameters(self):
        script = self.write("p.lua", 'local ks = require "ks"\nreturn ks.job "j" { flows = { f = {\n'
                            'ks.from "in", ks.to(ks.param "out") } } }\n')
        _, err = self.ksrun("plan", script, code=2)
        self.assertIn("-p out=VALUE", err)
        self.ksrun("topic", "create", "in")
        out, _ = self.ksrun("plan", "-p", "out=there", script)
        self.assertIn("there", out)
        _, err = self.ksrun("plan", "-p", "out=there", "-p", "otu=x", script)
        self.assertIn("does not ask for the parameter otu", err)
        self.ksrun("plan", "-p", "out", script, code=2)

    def test_tests(self):
        self.script()
        test = self.write("job_test.lua", 'local test = require "ks.test"\ndescribe("j", function()\n'
                          '  it("works", function() test.driver(dofile "job.lua") end)\n'
                          '  it("does not", function()\n    assert.equal(1, 2)\n  end)\n'
                          '  it("loops", function() while true do end end)\n  pending "later"\nend)\n')
        out, _ = self.ksrun("test", test, code=1)
        self.assertIn("ok   works", out)
        self.assertIn("FAIL does not", out)
        self.assertIn("job_test.lua:5: expected 1, got 2", out)
        self.assertIn("FAIL loops", out)
        self.assertIn("todo later", out)
        self.assertIn("1 ok, 2 failed", out)
        out, _ = self.ksrun("test", "--filter", "works", test)
        self.assertIn("1 ok, 0 failed", out)
        _, err = self.ksrun("test", self.write("bad_test.lua", "describe('x',\n"), code=2)
        self.assertIn("bad_test.lua:2", err)
        self.ksrun("test", self.write("none_test.lua", "\n"), code=2)

    def test_the_log_of_dpkg_is_counted_exactly(self):
        lines = ["2025-06-24 14:36:25 status unpacked p%d:amd64 1.0" % (i % 50) for i in range(2000)]
        self.ksrun("topic", "create", "dpkg", "-p", "4")
        self.ksrun("topic", "produce", "dpkg", stdin="\n".join(lines) + "\n")
        self.ksrun("run", "--once", os.path.join(EXAMPLES, "packages.lua"))
        out, _ = self.ksrun("topic", "consume", "packages.lines", "-o", ":end", "-f", "%k %v\n")
        counts = dict(line.split() for line in out.splitlines())
        self.assertEqual(counts, {"p%d" % i: "40" for i in range(50)})


if __name__ == "__main__":
    unittest.main()
