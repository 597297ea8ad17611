"""What a newcomer types: the commands of README.md and those in the headers of the examples, literally.

    test_first_contact.py KSRUN
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import ports  # noqa: E402

KSRUN = os.path.abspath(sys.argv.pop(1))
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
EXAMPLES = sorted(n for n in os.listdir(os.path.join(ROOT, "examples"))
                  if n.endswith(".lua") and not n.endswith("_test.lua") and n != "countries.lua")
# The last lines that the commands of a header print.
LAST = {
    "dead_letter.lua": "dead_letter.lua:12: cents must be positive\n",
    "dedup.lua": '"value":"{"event_id":2,"value":2}"',
    "enrich.lua": '"country":"DE"',
    "filter_map.lua": '"celsius":100.0',
    "packages.lua": "libsystemd0 2\n",
    "split.lua": '"amount":1500',
}


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


class FirstContact(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ks-newcomer-")
        self.addCleanup(folder.cleanup)
        self.where = folder.name
        os.makedirs(os.path.join(self.where, "build/release"))
        os.symlink(KSRUN, os.path.join(self.where, "build/release/ksrun"))
        os.symlink(os.path.join(ROOT, "examples"), os.path.join(self.where, "examples"))

    def shell(self, text, code=0):
        env = {k: v for k, v in os.environ.items() if not k.startswith("KS_")}
        env.update(LC_ALL="C", PATH=os.path.join(self.where, "build/release") + ":" + env["PATH"])
        done = subprocess.run(["bash", "-ec", "set -o pipefail\n" + text], cwd=self.where, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, code, text + out + err)
        return out, err

    def test_the_commands_of_the_readme(self):
        text = read("README.md")
        with open(os.path.join(self.where, "orders.lua"), "w", encoding="utf-8") as f:
            f.write(re.search(r"```lua\n(.*?)```", text, re.S)[1])
        job, broker = text.split("## A broker")
        commands = re.findall(r"^    (build/release/ksrun .*|printf .*)$", job, re.M)
        self.assertGreaterEqual(len(commands), 4)
        out, _ = self.shell("\n".join(commands))
        self.assertTrue(out.endswith('a {"customer":"ann","amount":1500}\n'), out)
        self.shell("ksrun check orders.lua; ksrun plan orders.lua; ksrun graph orders.lua")
        serving = re.findall(r"(?:build/release/)?ksrun [^`\n]*--listen localhost:9092", broker)
        self.assertEqual(len(serving), 2, "the broker alone and the broker beside a job")
        for command in serving:
            with self.subTest(command):
                self.serve(command)

    def serve(self, command):
        """Runs a command that serves until SIGTERM, on a free port instead of 9092, and asks it for its topics."""
        address = "localhost:%d" % ports.hold()
        out, err = self.shell(command.replace("localhost:9092", address) + """ & broker=$!
            for try in $(seq 1200); do ksrun topic list -b %s > list 2> why && break; sleep 0.1; done
            kill $broker; wait $broker; cat list""" % address)
        self.assertIn("orders.large", out, err)

    def test_what_the_readme_links_to_is_there(self):
        for target in re.findall(r"\]\(([^)#:]+)", read("README.md")):
            self.assertTrue(os.path.exists(os.path.join(ROOT, target)), target)

    def header(self, name):
        """(the commands of "Run me", the command of "Test me")"""
        text = read("examples/" + name)
        run, test = re.search(r"^-- Run me:   (.*?)^(?:-- With.*?)?-- Test me:  (ksrun .*?)$", text, re.M | re.S).groups()
        return re.sub(r"^--( {11})?", "", run, flags=re.M), test

    def test_the_headers_of_the_examples(self):
        log = os.path.join(self.where, "dpkg.log")
        with open(log, "w", encoding="utf-8") as f:
            f.write("2025-06-24 14:36:25 startup archives unpack\n"
                    "2025-06-24 14:36:25 install libsystemd0:amd64 <none> 252.38-1\n"
                    "2025-06-24 14:36:26 status installed libsystemd0:amd64 252.38-1\n")
        for name in EXAMPLES:
            with self.subTest(name):
                run, test = self.header(name)
                out, _ = self.shell("rm -rf ks-data\n" + run.replace("/var/log/dpkg.log", log))
                self.assertIn(LAST[name], out[-500:].replace('\\"', '"'), out)
                self.shell(test)
                self.shell("ksrun check examples/%s; ksrun graph examples/%s; ksrun plan --exit-code examples/%s" % ((name,) * 3))

    def test_the_other_way_to_feed_the_packages(self):
        text = read("examples/packages.lua")
        command = re.search(r"^-- With.*?\n(.*?)-- Test me", text, re.M | re.S)[1].replace("--  ", "")
        with open(os.path.join(self.where, "dpkg.log"), "w", encoding="utf-8") as f:
            f.write("2025-06-24 14:36:26 status installed libsystemd0:amd64 252.38-1\n")
        self.shell("ksrun topic create dpkg\n" + command.replace("/var/log/dpkg.log", "dpkg.log"))
        out, _ = self.shell("ksrun topic consume dpkg -o :end -f '%k=%v\n'")
        self.assertEqual(out, "libsystemd0:amd64=2025-06-24 14:36:26 status installed libsystemd0:amd64 252.38-1\n")

    def test_every_verb_has_help(self):
        out, _ = self.shell("ksrun help")
        verbs = re.findall(r"^  (\S+(?: \S+)?)  ", out, re.M)
        self.assertGreater(len(verbs), 20)
        for verb in verbs:
            text, err = self.shell("ksrun %s --help" % verb)
            self.assertTrue(text.startswith("Usage: ksrun %s " % verb), text)
            self.assertEqual(err, "")
            self.assertIn("--accept-lost-writes", text)

    def test_two_jobs_in_one_run(self):
        self.shell("ksrun topic create orders payments\n"
                   "echo '{\"amount\":1}' | ksrun topic produce orders\necho '{\"cents\":1}' | ksrun topic produce payments")
        _, err = self.shell("sed 's/partitions = [46]/partitions = 1/' examples/split.lua > split.lua\n"
                            "sed 's/partitions = [46]/partitions = 1/' examples/dead_letter.lua > pay.lua\n"
                            "ksrun run --once split.lua pay.lua")
        self.assertIn("split-orders: 1 records in, 1 out", err)
        self.assertIn("check-payments: 1 records in, 1 out", err)

    def test_nothing_comes_from_nothing(self):
        self.shell("ksrun topic create t; ksrun topic produce t < /dev/null")
        self.assertEqual(self.shell("ksrun topic consume t -o :end")[0], "")
        self.shell("seq 100000 | ksrun topic produce t; ksrun topic consume t -o :end | head -1")


if __name__ == "__main__":
    unittest.main()
