"""The command line on a data directory, run literally."""

import json
import os
import pty
import select
import signal
import subprocess
import time

import ksrun
from ksrun import Case


def try_help(verb):
    return "Try 'ksrun %s--help'.\n" % (verb + " " if verb else "")


class Topics(Case):
    def test_create_list_describe_delete(self):
        self.assertEqual(self.ok("topic", "create", "in", "-p", "4"),
                         "TOPIC  STATUS\nin     OK\n")
        self.ok("topic", "create", "out", "other", "--partitions=2", "-c", "retention.ms=1000",
                "--config", "cleanup.policy=delete")
        self.assertEqual(self.ok("topic", "list"),
                         "NAME   PARTITIONS  REPLICAS\n"
                         "in              4         1\n"
                         "other           2         1\n"
                         "out             2         1\n")
        self.assertEqual(self.ok("topic", "list", "-r", "^o"),
                         "NAME   PARTITIONS  REPLICAS\n"
                         "other           2         1\n"
                         "out             2         1\n")
        self.assertEqual(self.json("topic", "list", "in", "--format", "json"),
                         [{"name": "in", "partitions": 4, "replicas": 1, "records": 0,
                           "size_bytes": 0, "internal": False}])
        self.assertEqual(self.ok("topic", "delete", "in", "other"),
                         "TOPIC  STATUS\nin     OK\nother  OK\n")
        self.assertEqual(self.ok("topic", "list"), "NAME  PARTITIONS  REPLICAS\n"
                                                   "out            2         1\n")

    def test_describe_has_three_sections(self):
        self.ok("topic", "create", "in", "-p", "2", "-c", "retention.ms=1000")
        self.ok("topic", "produce", "in", "-p", "1", stdin="a\nb\n")
        self.assertEqual(self.ok("topic", "describe", "in", "-s", "-p"),
                         "SUMMARY\n=======\n"
                         "NAME        in\nPARTITIONS  2\nREPLICAS    1\n"
                         "\nPARTITIONS\n==========\n"
                         "PARTITION  LOG-START-OFFSET  HIGH-WATERMARK\n"
                         "        0                 0               0\n"
                         "        1                 0               2\n")
        text = self.ok("topic", "describe", "in")
        self.assertLess(text.index("SUMMARY\n"), text.index("CONFIGS\n=======\n"))
        self.assertLess(text.index("CONFIGS\n"), text.index("PARTITIONS\n=========="))
        self.assertRegex(text, r"retention\.ms +1000 +DYNAMIC_TOPIC_CONFIG\n")
        self.assertRegex(text, r"retention\.bytes +-1 +DEFAULT_CONFIG\n")
        (d,) = self.json("topic", "describe", "in", "--format=json")
        self.assertEqual(d["summary"], {"name": "in", "partitions": 2, "replicas": 1,
                                        "internal": False})
        self.assertEqual([p["high_watermark"] for p in d["partitions"]], [0, 2])
        self.assertIn({"key": "retention.ms", "value": "1000", "source": "DYNAMIC_TOPIC_CONFIG"},
                      d["configs"])

    def test_describe_of_several_topics_is_one_json_document(self):
        self.ok("topic", "create", "a", "b")
        names = [d["summary"]["name"] for d in self.json("topic", "describe", "-r", ".", "--format",
                                                         "json")]
        self.assertEqual(names, ["a", "b"])

    def test_alter_changes_the_configuration(self):
        self.ok("topic", "create", "in")
        self.assertEqual(self.ok("topic", "alter", "in", "-c", "retention.ms=5000"), "")
        self.assertRegex(self.ok("topic", "describe", "in", "-c"),
                         r"retention\.ms +5000 +DYNAMIC_TOPIC_CONFIG")
        self.fails(2, "ksrun topic alter: nothing to change: -c key=value or --partitions N is needed\n" +
                   try_help("topic alter"), "topic", "alter", "in")

    def test_what_cannot_be_created_says_why(self):
        self.ok("topic", "create", "in")
        self.assertEqual(
            self.fails(1, 'ksrun topic create: topic "in" exists already\n',
                       "topic", "create", "in"),
            "TOPIC  STATUS\nin     TOPIC_ALREADY_EXISTS\n")
        self.assertEqual(self.ok("topic", "create", "in", "--if-not-exists"),
                         "TOPIC  STATUS\nin     EXISTS\n")
        r = self.run_any("topic", "create", "x/y")
        self.assertEqual(r.code, 2, r)
        self.assertIn("x/y", r.err)
        r = self.run_any("topic", "create", "x", "-c", "retention.sm=1")
        self.assertEqual(r.code, 2, r)
        self.assertIn("retention.sm", r.err)
        self.assertIn("retention.ms", r.err)
        self.fails(2, 'ksrun topic create: --config "x": key=value is needed\n' +
                   try_help("topic create"), "topic", "create", "x", "-c", "x")
        self.fails(2, "ksrun topic create: --replicas must be 1: this is one node\n" +
                   try_help("topic create"), "topic", "create", "x", "--replicas", "3")
        self.fails(2, "ksrun topic create: --partitions must be 1 to 100000\n" +
                   try_help("topic create"), "topic", "create", "x", "-p", "0")

    def test_a_dry_create_creates_nothing(self):
        self.ok("topic", "create", "in")
        self.ok("topic", "create", "x", "--dry")
        self.assertNotIn("x", self.ok("topic", "list"))

    def test_a_missing_topic_names_its_neighbour(self):
        self.ok("topic", "create", "orders")
        for verb in ("describe", "consume", "delete"):
            self.fails(1, 'ksrun topic %s: no topic "order"; did you mean "orders"?\n' % verb,
                       "topic", verb, "order")
        self.fails(1, 'ksrun topic consume: no topic "zzz"\n',
                   "topic", "consume", "zzz")

    def test_trim_moves_the_start(self):
        self.ok("topic", "create", "in", "-p", "2")
        self.ok("topic", "produce", "in", "-p", "0", stdin="a\nb\nc\nd\n")
        self.ok("topic", "produce", "in", "-p", "1", stdin="e\n")
        self.fails(2, "TOPIC  PARTITION  PRIOR-START-OFFSET  NEW-START-OFFSET\n"
                      "in             0                   0                 3\n"
                      "ksrun topic trim: nobody is there to confirm; --yes does it without asking\n"
                      + try_help("topic trim"), "topic", "trim", "in", "-o", "3", "-p", "0")
        self.assertEqual(self.ok("topic", "trim", "in", "-o", "3", "-p", "0", "--yes"),
                         "TOPIC  PARTITION  PRIOR-START-OFFSET  NEW-START-OFFSET\n"
                         "in             0                   0                 3\n")
        self.assertEqual(self.ok("topic", "consume", "in", "-o", ":end", "-f", "%p/%o %v,"),
                         "0/3 d,1/0 e,")
        self.fails(1, "ksrun topic trim: partition 1 ends at 1: it cannot be trimmed to 2\n",
                   "topic", "trim", "in", "-o", "2", "--no-confirm")
        self.assertEqual(self.ok("topic", "trim", "in", "-o", "end", "--no-confirm"),
                         "TOPIC  PARTITION  PRIOR-START-OFFSET  NEW-START-OFFSET\n"
                         "in             0                   3                 4\n"
                         "in             1                   0                 1\n")
        self.assertEqual(self.ok("topic", "consume", "in", "-o", ":end"), "")
        self.fails(2, "ksrun topic trim: --offset is needed: up to where shall records be deleted?\n"
                   + try_help("topic trim"), "topic", "trim", "in")

    def test_trim_by_what_a_file_says(self):
        path = os.path.join(self.dir, "offsets")

        def write(text):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)

        self.ok("topic", "create", "in", "other", "-p", "2")
        for name in ("in", "other"):
            self.ok("topic", "produce", name, "-p", "1", stdin="a\nb\nc\n")
        write("in 1 2\n\nother\t1 1\r\n")
        self.assertEqual(self.ok("topic", "trim", "--from-file", path, "--yes"),
                         "TOPIC  PARTITION  PRIOR-START-OFFSET  NEW-START-OFFSET\n"
                         "in             1                   0                 2\n"
                         "other          1                   0                 1\n")
        self.assertEqual(self.ok("topic", "consume", "in", "other", "-o", ":end", "-f", "%t/%o "),
                         "in/2 other/1 other/2 ")
        self.ok("topic", "trim", "-f", "-", "--yes", stdin="in 1 3\n")
        self.assertEqual(self.ok("topic", "consume", "in", "-o", ":end"), "")
        for text, code, why in (("in 1 4\n", 1, "partition 1 ends at 3: it cannot be trimmed to 4"),
                                ("other 1 2\nin 2 1\n", 1, path + ':2: topic "in" has no partition 2; its partitions are 0 to 1'),
                                ("other 1\n", 2, path + ":1: it is TOPIC PARTITION OFFSET")):
            write(text)
            self.fails(code, "ksrun topic trim: %s\n" % why, "topic", "trim", "-f", path, "-y")
        write("\n")
        for args, why in ((("-f", path), path + " names no partition"), ((), "it needs TOPIC, or --from-file"),
                          (("in", "-f", path), "the file of --from-file says topics, partitions and offsets; give no others"),
                          (("-o", "1", "-f", path), "the file of --from-file says topics, partitions and offsets; give no others")):
            self.fails(2, "ksrun topic trim: %s\n%s" % (why, try_help("topic trim")), "topic", "trim", *args)
        self.assertEqual(self.ok("topic", "consume", "other", "-o", ":end", "-f", "%o "), "1 2 ")

    def test_a_detailed_list_has_a_row_for_every_partition(self):
        self.ok("topic", "create", "in", "-p", "2")
        self.ok("topic", "create", "out")
        self.ok("topic", "produce", "in", "-p", "1", stdin="a\nb\n")
        self.ok("topic", "trim", "in", "-p", "1", "-o", "1", "-y")
        self.assertEqual(self.ok("topic", "list", "-d"),
                         "NAME  PARTITION  LOG-START-OFFSET  HIGH-WATERMARK\n"
                         "in            0                 0               0\n"
                         "in            1                 1               2\n"
                         "out           0                 0               0\n")
        (row,) = self.json("topic", "list", "out", "--detailed", "--format", "json")
        self.assertEqual(row, {"name": "out", "partition": 0, "log_start_offset": 0, "high_watermark": 0, "size_bytes": 0})

    def test_the_last_stable_offset_is_shown_when_asked_for(self):
        self.ok("topic", "create", "in")
        self.ok("topic", "produce", "in", stdin="a\nb\n")
        self.assertEqual(self.ok("topic", "describe", "in", "-p", "--stable"),
                         "PARTITIONS\n==========\n"
                         "PARTITION  LOG-START-OFFSET  LAST-STABLE-OFFSET  HIGH-WATERMARK\n"
                         "        0                 0                   2               2\n")
        (d,) = self.json("topic", "describe", "in", "-p", "--stable", "--format", "json")
        self.assertEqual(d["partitions"][0]["last_stable_offset"], 2)

    def test_trim_by_time(self):
        self.ok("topic", "create", "in", "-c", "retention.ms=-1")
        self.ok("topic", "produce", "in", "-f", "%d %v\\n",
                stdin="1600000000000 a\n1600000001000 b\n1600000002000 c\n")
        self.ok("topic", "trim", "in", "-o", "@1600000001000", "-y")
        self.assertEqual(self.ok("topic", "consume", "in", "-o", ":end", "-f", "%o%v "), "1b 2c ")


class Produce(Case):
    def setUp(self):
        super().setUp()
        self.ok("topic", "create", "in", "-p", "4", "-c", "retention.ms=-1")
        self.ok("topic", "create", "one", "-c", "retention.ms=-1")

    def all(self, topic, layout):
        return self.ok("topic", "consume", topic, "-o", ":end", "-f", layout)

    def test_lines_come_back(self):
        self.assertEqual(self.ok("topic", "produce", "one", stdin="a\nb\n\nlast"), "")
        self.assertEqual(self.all("one", "%o=%v;"), "0=a;1=b;2=;3=last;")

    def test_keys_choose_the_partition_of_the_java_client(self):
        # murmur2 of these keys, as Utils.murmur2 of the Java client has it, modulo 4.
        self.ok("topic", "produce", "in", "-f", "%k\\t%v\\n", stdin="foobar\t1\n21\t2\na-little-bit-long-string\t3\n")
        text = sorted(self.all("in", "%k:%p\\n").split())
        murmur = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536}
        self.assertEqual(text, sorted("%s:%d" % (k, (m & 0x7fffffff) % 4) for k, m in murmur.items()))

    def test_records_without_key_stay_together_for_a_batch(self):
        self.ok("topic", "produce", "in", stdin="x\n" * 100)
        self.assertEqual(len(set(self.all("in", "%p\\n").split())), 1)

    def test_many_records_without_key_spread(self):
        self.ok("topic", "produce", "in", stdin=("x" * 1000 + "\n") * 5000)
        partitions = self.all("in", "%p\\n").split()
        self.assertEqual(len(partitions), 5000)
        self.assertEqual(len(set(partitions)), 4)

    def test_partition_key_headers_and_acknowledgement(self):
        out = self.ok("topic", "produce", "in", "-p", "3", "-k", "key", "-H", "a:1", "-H", "b:x:y",
                      "-o", "%t %p %o %k %v %h{%k=%v,}\\n", stdin="v1\nv2\n")
        self.assertEqual(out, "in 3 0 key v1 a=1,b=x:y,\nin 3 1 key v2 a=1,b=x:y,\n")
        self.assertEqual(self.all("in", "%p %k %h{%k=%v,} %v\\n"),
                         "3 key a=1,b=x:y, v1\n3 key a=1,b=x:y, v2\n")

    def test_headers_of_flag_and_input_are_joined(self):
        self.ok("topic", "produce", "one", "-H", "a:1", "-f", "%H %h{%k=%v }%v\\n",
                stdin="2 b=2 c=3 x\n0 y\n")
        self.assertEqual(self.all("one", "%H %h{%k=%v,} %v\\n"), "3 a=1,b=2,c=3, x\n1 a=1, y\n")

    def test_topic_and_partition_and_time_from_the_input(self):
        self.ok("topic", "produce", "-f", "%t/%p@%d %v\\n",
                stdin="in/2@1600000000000 a\none/0@1600000000001 b\nin/2@3 c\n")
        self.assertEqual(self.all("in", "%p@%d %v\\n"), "2@1600000000000 a\n2@3 c\n")
        self.assertEqual(self.all("one", "%d{strftime[%F]} %v\\n"), "2020-09-13 b\n")

    def test_tombstones(self):
        self.ok("topic", "produce", "one", "-Z", "-f", "%k %v\\n", stdin="a 1\nb \n")
        self.ok("topic", "produce", "one", "-f", "%k %v\\n", stdin="c \n")
        self.assertEqual(self.all("one", "%k=%v{json}\\n"), 'a="1"\nb=null\nc=""\n')
        rows = [json.loads(line) for line in
                self.ok("topic", "consume", "one", "-o", ":end").splitlines()]
        self.assertEqual([r["value"] for r in rows], ["1", None, ""])

    def test_binary_keys_and_values(self):
        every_byte = bytes(range(256))
        self.ok("topic", "produce", "one", "-f", "%K{big32}%k%V{big32}%v",
                stdin=b"\0\0\1\0" + every_byte + b"\0\0\0\2\xff\n")
        self.assertEqual(self.ok_bytes("topic", "consume", "one", "-o", ":end", "-f", "%k%v"),
                         every_byte + b"\xff\n")
        self.assertEqual(self.all("one", "%K %V %v{hex} %v{base64}\\n"), "256 2 ff0a /wo=\n")
        row = json.loads(self.ok("topic", "consume", "one", "-o", ":end"))
        self.assertEqual(row["value"], "/wo=")
        self.assertEqual(row["value_encoding"], "base64")
        self.assertEqual(row["key_encoding"], "base64")

    def test_every_codec(self):
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            self.ok("topic", "produce", "one", "-z", codec, "-f", "%k %v\\n",
                    stdin=codec + " " + "x" * 500 + "\n")
        self.assertEqual(self.all("one", "%k=%a{compression}=%V "),
                         "none=none=500 gzip=gzip=500 snappy=snappy=500 lz4=lz4=500 zstd=zstd=500 ")

    def test_every_acks(self):
        for acks in ("0", "1", "all", "-1"):
            self.ok("topic", "produce", "one", "--acks", acks, stdin=acks + "\n")
        self.assertEqual(self.all("one", "%v "), "0 1 all -1 ")

    def test_a_bad_line_is_named_and_those_before_it_are_written(self):
        self.fails(1, 'ksrun topic produce: line 3: no "\\t" behind the key\n'
                      "2 records were written.\n",
                   "topic", "produce", "one", "-f", "%k\\t%v\\n", stdin="a\t1\nb\t2\nbad\nc\t3\n")
        self.assertEqual(self.all("one", "%k=%v "), "a=1 b=2 ")

    def test_a_bad_line_far_into_the_input_is_counted_right(self):
        self.fails(1, "ksrun topic produce: line 200001: the value is not hexadecimal\n"
                      "200000 records were written.\n",
                   "topic", "produce", "one", "-f", "%v{hex}\\n", stdin="00ff00ff\n" * 200000 + "x\n")

    def test_a_record_that_is_too_large_is_named(self):
        r = self.run_any("topic", "produce", "one", stdin="ok\n" + "x" * 2000000 + "\n")
        self.assertEqual(r.code, 1, r)
        self.assertIn("line 2: the record has 2000000 bytes, 1048588 are the limit", r.err)
        r = self.run_any("topic", "produce", "one", "--max-message-bytes", "100",
                         stdin="x" * 200 + "\n")
        self.assertIn("line 1: the record has 200 bytes, 100 are the limit", r.err)
        # Compressed it fits: only the broker can tell.
        self.ok("topic", "produce", "one", "-z", "zstd", stdin="x" * 2000000 + "\n")

    def test_times_that_are_too_far_away_are_named_with_their_line(self):
        now = int(time.time() * 1000)
        hour = 3600000
        for name, config in (("old", "before"), ("older", "difference"), ("new", "after")):
            self.ok("topic", "create", name, "-c", "message.timestamp.%s.max.ms=%d" % (config, hour))
            bad = now + (2 * hour if name == "new" else -2 * hour)
            good = now - 2 * hour if name == "new" else now + 2 * hour
            side = "after" if name == "new" else "before"
            self.fails(1, "ksrun topic produce: line 3: the timestamp %d is more than %d ms %s now, the limit of topic "
                          '"%s" (message.timestamp.%s.max.ms)\n2 records were written.\n' % (bad, hour, side, name, side),
                       "topic", "produce", name, "-f", "%d %v\\n", stdin="%d a\n%d b\n%d c\n" % (now, good, bad))
            self.assertEqual(self.all(name, "%d %v "), "%d a %d b " % (now, good))
        self.ok("topic", "produce", "old", stdin="no time of its own\n")
        self.ok("topic", "create", "stamped", "-c", "message.timestamp.type=LogAppendTime",
                "-c", "message.timestamp.before.max.ms=0")
        self.ok("topic", "produce", "stamped", "-f", "%d %v\\n", stdin="1 a\n")

    def test_a_compacted_topic_wants_keys(self):
        self.ok("topic", "create", "table", "-c", "cleanup.policy=delete,compact")
        self.fails(1, 'ksrun topic produce: line 1: topic "table" is compacted, so its records need a key: %k in --format, '
                      "or --key\n0 records were written.\n", "topic", "produce", "table", stdin="1\n")
        self.ok("topic", "produce", "table", "-k", "a", stdin="2\n")
        self.ok("topic", "produce", "table", "-f", "%k %v\n", stdin=" 3\n")  # an empty key is a key
        self.assertEqual(self.all("table", "%k=%v "), "a=2 =3 ")

    def test_topics_are_created_when_allowed(self):
        self.fails(1, 'ksrun topic produce: no topic "fresh" (--allow-auto-topic-creation makes '
                      "it)\n", "topic", "produce", "fresh", stdin="a\n")
        self.ok("topic", "produce", "fresh", "--allow-auto-topic-creation", stdin="a\n")
        self.assertEqual(self.all("fresh", "%v"), "a")

    def test_mistakes_in_the_options(self):
        rows = [
            (["-f", "%k%v\\n"], "--format: where does %k end? Put its size (%K) before it or text "
                                "after it"),
            (["-o", "%z"], "--output-format: unknown verb %z in a format; a percent sign is "
                           "written %%"),
            (["-z", "rar"], '--compression "rar": none, gzip, snappy, lz4 and zstd are known'),
            (["--acks", "2"], '--acks "2": 0, 1 and all (-1) are known'),
            (["-H", "x"], '--header "x": key:value is needed'),
            (["-p", "x"], '--partition needs a number, not "x"'),
            (["-p", "-2"], "--partition -2 is out of range"),
            (["--max-message-bytes", "0"], "--max-message-bytes must be -1, or 1 and more"),
        ]
        for args, why in rows:
            self.fails(2, "ksrun topic produce: %s\n%s" % (why, try_help("topic produce")),
                       "topic", "produce", "in", *args, stdin="a\n")
        self.fails(1, 'ksrun topic produce: topic "in" has no partition 7; its partitions are 0 to '
                      "3\n", "topic", "produce", "in", "-p", "7", stdin="a\n")
        self.fails(2, "ksrun topic produce: it needs a topic: as an argument, or as %t in --format\n"
                   + try_help("topic produce"), "topic", "produce", stdin="a\n")

    def test_a_slow_writer_is_not_kept_waiting(self):
        p = self.start("topic", "produce", "one", "-o", "%o %v\\n")
        for i, word in enumerate((b"first", b"second")):
            p.stdin.write(word + b"\n")
            p.stdin.flush()
            self.assertTrue(select.select([p.stdout], [], [], 60)[0])
            self.assertEqual(os.read(p.stdout.fileno(), 100), b"%d %s\n" % (i, word))
        p.stdin.close()
        self.assertEqual(p.wait(60), 0)

    def test_sigterm_writes_what_was_read(self):
        p = self.start("topic", "produce", "one", "-o", "%v\\n")
        p.stdin.write(b"a\nb\nhalf")  # in one piece: who has "b" has all of it
        p.stdin.flush()
        self.assertEqual([p.stdout.readline(), p.stdout.readline()], [b"a\n", b"b\n"])
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(60), 0)
        self.assertEqual(p.stderr.read(), b"")
        self.assertEqual(self.all("one", "%v "), "a b ")

    def test_a_million_lines_in_and_out(self):
        lines = b"".join(b"key%d\tthis is the value of line number %d\n" % (i % 1000, i)
                         for i in range(1000000))
        self.ok("topic", "produce", "in", "-f", "%k\\t%v\\n", stdin=lines)
        out = self.ok_bytes("topic", "consume", "in", "-o", ":end", "-f", "%k\\t%v\\n")
        self.assertEqual(sorted(out.splitlines()), sorted(lines.splitlines()))
        self.assertEqual(sum(p["high_watermark"] for p in
                             self.json("topic", "describe", "in", "--format", "json")[0]["partitions"]),
                         1000000)


class Consume(Case):
    """in: one partition with offsets 0 to 9, value vN, timestamp 1600000000000 + N s."""

    def setUp(self):
        super().setUp()
        self.ok("topic", "create", "in", "-c", "retention.ms=-1")
        self.ok("topic", "produce", "in", "-f", "%d %v\\n",
                stdin="".join("%d v%d\n" % (1600000000000 + i * 1000, i) for i in range(10)))

    def values(self, *args):
        return self.ok("topic", "consume", "in", "-f", "%v ", *args)

    def test_ranges(self):
        rows = [
            (":end", 0, 10), ("start:end", 0, 10), ("3:7", 3, 7), ("3-7", 3, 7), (":4", 0, 4),
            ("7:end", 7, 10), ("+2:end", 2, 10), ("-3:end", 7, 10), ("-99:end", 0, 10),
            ("5:99", 5, 10), ("-4:-2", 6, 8), ("end:99", 0, 0), ("99:end", 0, 0),
            ("@1600000003000:end", 3, 10), ("@1600000002500:end", 3, 10),
            ("@1600000003:end", 3, 10), ("@1600000003000:1600000006000", 3, 6),
            ("@2020-09-13:end", 0, 10), ("@2020-09-13T12:26:43Z:end", 3, 10),
            ("@2020-09-13T12:26:43.000Z:2s", 3, 5), ("@:1600000002000", 0, 2),
            ("@2020-09-14:end", 0, 0), ("@-1h:end", 0, 0), ("@:-1h", 0, 10),
        ]
        for text, low, high in rows:
            self.assertEqual(self.values("-o", text), "".join("v%d " % i for i in range(low, high)),
                             text)

    def test_starts(self):
        for text, low in (("start", 0), ("7", 7), ("7:", 7), ("+8", 8), ("-3", 7),
                          ("@1600000005000", 5), ("@1600000005000:", 5)):
            self.assertEqual(self.values("-o", text, "-n", "2"), "v%d v%d " % (low, low + 1), text)

    def until_it_waits(self, p):
        """Its main thread sleeps, and the signals that end it are taken by another one."""
        while True:
            with open("/proc/%d/status" % p.pid, encoding="ascii") as f:
                status = dict(line.split(":", 1) for line in f)
            if int(status["SigBlk"], 16) >> (signal.SIGTERM - 1) & 1 and status["State"].split()[0] == "S":
                return
            self.assertIsNone(p.poll())
            time.sleep(0.01)

    def test_end_waits_for_what_is_new(self):
        p = self.start("topic", "consume", "in", "-o", "end", "-f", "%v\\n")
        self.until_it_waits(p)
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(60), 0)
        self.assertEqual((p.stdout.read(), p.stderr.read()), (b"", b""))

    def test_num_stops(self):
        self.assertEqual(self.values("-n", "3"), "v0 v1 v2 ")
        self.assertEqual(self.values("-n", "3", "-o", "8:end"), "v8 v9 ")

    def test_partitions_and_regex(self):
        self.ok("topic", "create", "in2", "-p", "3")
        for p in range(3):
            self.ok("topic", "produce", "in2", "-p", str(p), stdin="p%d\n" % p)
        self.assertEqual(self.ok("topic", "consume", "in2", "-p", "0,2", "-o", ":end", "-f", "%v "),
                         "p0 p2 ")
        self.assertEqual(self.ok("topic", "consume", "-r", "^in.$", "-o", ":end", "-f", "%t/%p "),
                         "in2/0 in2/1 in2/2 ")
        self.assertEqual(self.ok("topic", "consume", "in2", "in", "-o", ":1", "-f", "%t/%p "),
                         "in2/0 in2/1 in2/2 in/0 ")
        self.fails(1, 'ksrun topic consume: topic "in2" has no partition 3; its partitions are 0 to '
                      "2\n", "topic", "consume", "in2", "-p", "3")
        self.fails(1, "ksrun topic consume: no topic matches \"zzz\"; 'ksrun topic list' shows them all\n", "topic", "consume", "-r", "zzz")
        self.fails(2, 'ksrun topic consume: bad regular expression "(": Unmatched ( or \\(\n' +
                   try_help("topic consume"), "topic", "consume", "-r", "(")

    def test_json_when_piped(self):
        self.ok("topic", "create", "j", "-c", "retention.ms=-1")
        self.ok("topic", "produce", "j", "-f", "%k %v\\n", "-H", "h:1", stdin="k {\"a\": 1}\n")
        self.ok("topic", "produce", "j", "-f", "%d %v\\n", stdin="5 \u00e4\n")
        lines = self.ok("topic", "consume", "j", "-o", ":end").splitlines()
        first = json.loads(lines[0])
        self.assertEqual(list(first), ["topic", "key", "value", "headers", "timestamp",
                                       "partition", "offset"])
        self.assertEqual((first["key"], first["value"], first["headers"]),
                         ("k", '{"a": 1}', [{"key": "h", "value": "1"}]))
        self.assertEqual(lines[1], '{"topic":"j","key":null,"value":"\u00e4","timestamp":5,'
                                   '"partition":0,"offset":1}')
        meta = self.ok("topic", "consume", "j", "-o", "1:end", "--meta-only")
        self.assertEqual(json.loads(meta)["value_size"], 2)
        pretty = self.ok("topic", "consume", "j", "-o", "1:end", "--pretty-print")
        self.assertEqual(json.loads(pretty)["offset"], 1)
        self.assertGreater(len(pretty.splitlines()), 5)

    def test_a_line_for_people_on_a_terminal(self):
        self.assertEqual(self.ok("topic", "consume", "in", "-o", "3:4", "-f", "text"),
                         "in/0 3 2020-09-13T12:26:43.000Z v3\n")
        text = self.on_terminal("topic", "consume", "in", "-o", "3:4")
        self.assertEqual(text, "\033[2min/0 3 2020-09-13T12:26:43.000Z\033[0m v3\r\n")
        self.env["NO_COLOR"] = "1"
        self.assertEqual(self.on_terminal("topic", "consume", "in", "-o", "3:4"),
                         "in/0 3 2020-09-13T12:26:43.000Z v3\r\n")

    def on_terminal(self, *args, answer=None, code=0):
        """Runs ksrun on a terminal of its own; what it shows there."""
        master, slave = pty.openpty()
        env = dict(self.env, TERM="xterm")
        p = subprocess.Popen([ksrun.BINARY, *args], env=env, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        text = b""
        if answer:
            os.write(master, answer)
        while True:
            try:
                part = os.read(master, 10000)
            except OSError:
                break
            if not part:
                break
            text += part
        os.close(master)
        self.assertEqual(p.wait(60), code, text)
        return text.decode()

    def test_questions_are_asked_on_a_terminal(self):
        text = self.on_terminal("topic", "trim", "in", "-o", "2", answer=b"n\n", code=1)
        self.assertIn("Delete these records? [y/N]", text)
        self.assertIn("Nothing was changed.", text)
        self.on_terminal("topic", "trim", "in", "-o", "2", answer=b"y\n")
        self.assertEqual(self.values("-o", ":4"), "v2 v3 ")

    def test_typing_records_shows_where_they_went(self):
        text = self.on_terminal("topic", "produce", "in", answer=b"typed\n\x04")
        self.assertRegex(text, r"Produced to partition 0 at offset 10 with timestamp \d{13}\.")

    def test_watermarks_and_counts_in_formats(self):
        self.assertEqual(self.ok("topic", "consume", "in", "-o", "8:end", "-f",
                                 "%i:%o %[ %| %] %e{bool}\\n")[:11], "1:8 0 10 10")

    def test_head_ends_it_quietly(self):
        self.ok("topic", "produce", "in", stdin="x" * 50 + "\n" + ("y" * 50 + "\n") * 20000)
        p = self.start("topic", "consume", "in", "-f", "%v\\n")
        self.assertEqual(p.stdout.readline(), b"v0\n")
        p.stdout.close()
        self.assertEqual(p.wait(60), 0)
        self.assertEqual(p.stderr.read(), b"")

    def test_a_full_disk_behind_stdout_is_an_error(self):
        with open("/dev/full", "wb") as full:
            p = subprocess.run([ksrun.BINARY, "topic", "consume", "in", "-o", ":end"], env=self.env,
                               stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(p.returncode, 1)
        self.assertEqual(p.stderr, b"ksrun topic consume: cannot write to standard output: No space "
                                   b"left on device\n")

    def test_mistakes_in_the_options(self):
        rows = [
            (["-o", "soon"], '--offset: cannot read offset "soon": start, end, 47, +2, -3, @time and '
                             "ranges such as :end, 10:20 or @-1h:end are known"),
            (["-f", "%q"], "--format: unknown verb %q in a format; a percent sign is written %%"),
            (["-n", "-1"], "--num must not be negative"),
            (["-p", "x"], '--partitions: cannot read the list of partitions "x": 0,2 and 4-7 are '
                          "known"),
            (["-g", "g", "-p", "0"], "only one of --group and --partitions can be given"),
            (["--ofset", "1"], "unknown option --ofset; did you mean --offset?"),
        ]
        for args, why in rows:
            self.fails(2, "ksrun topic consume: %s\n%s" % (why, try_help("topic consume")),
                       "topic", "consume", "in", *args)


class Groups(Case):
    def setUp(self):
        super().setUp()
        self.ok("topic", "create", "in", "-p", "2")
        for p in range(2):
            self.ok("topic", "produce", "in", "-p", str(p),
                    stdin="".join("p%d-%d\n" % (p, i) for i in range(5)))

    def read(self, *args):
        return self.ok("topic", "consume", "in", "-g", "g", "-f", "%v ", *args)

    def offsets(self):
        return [(r["partition"], r["current_offset"], r["lag"])
                for r in self.json("group", "describe", "g", "--format", "json")]

    def test_a_group_resumes_where_it_stopped(self):
        self.assertEqual(self.read("-n", "3"), "p0-0 p0-1 p0-2 ")
        self.assertEqual(self.read("-n", "4"), "p0-3 p0-4 p1-0 p1-1 ")
        self.assertEqual(self.read("-o", ":end"), "p1-2 p1-3 p1-4 ")
        self.assertEqual(self.read("-o", ":end"), "")
        self.assertEqual(self.offsets(), [(0, 5, 0), (1, 5, 0)])

    def test_sigterm_commits(self):
        p = self.start("topic", "consume", "in", "-G", "g", "-f", "%v\\n")
        for _ in range(10):
            p.stdout.readline()
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(60), 0)
        self.assertEqual(self.offsets(), [(0, 5, 0), (1, 5, 0)])

    def test_list_and_describe(self):
        self.assertEqual(self.ok("group", "list"), "GROUP\n")
        self.read("-n", "7")
        self.assertEqual(self.ok("group", "list"), "GROUP\ng\n")
        self.assertEqual(
            self.ok("group", "describe", "g"),
            "GROUP  TOPIC  PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG  CONSUMER-ID  HOST  CLIENT-ID\n"
            "g      in             0               5               5    0  -            -     -\n"
            "g      in             1               2               5    3  -            -     -\n")
        r = self.run_any("group", "describe", "nobody")
        self.assertEqual(r.code, 1, r)
        self.assertIn('"nobody"', r.err)

    def test_seek(self):
        self.read("-o", ":end")
        rows = [("start", [0, 0]), ("end", [5, 5]), ("3", [3, 3]), ("+1", [4, 4]), ("-2", [2, 2]),
                ("-9", [0, 0]), ("+99", [5, 5]), ("@-1h", [0, 0]), ("@1h", [5, 5])]
        for to, after in rows:
            self.ok("group", "seek", "g", "--to", to, "--yes")
            self.assertEqual([o for _, o, _ in self.offsets()], after, to)

    def test_seek_asks_and_shows(self):
        self.read("-o", ":end")
        shown = ("TOPIC  PARTITION  PRIOR-OFFSET  CURRENT-OFFSET\n"
                 "in             0             5               0\n"
                 "in             1             5               0\n")
        self.assertEqual(self.ok("group", "seek", "g", "--to", "start", "--dry-run"), shown)
        self.assertEqual(self.offsets(), [(0, 5, 0), (1, 5, 0)])
        self.fails(2, shown + "ksrun group seek: nobody is there to confirm; --yes does it without "
                              "asking, --dry-run shows it\n" + try_help("group seek"),
                   "group", "seek", "g", "--to", "start")
        self.assertEqual(self.offsets(), [(0, 5, 0), (1, 5, 0)])
        self.assertEqual(self.ok("group", "seek", "g", "--to", "start", "-y"), shown)
        self.assertEqual(self.offsets(), [(0, 0, 5), (1, 0, 5)])

    def test_seek_begins_a_group_on_named_topics(self):
        self.fails(2, "ksrun group seek: --to is needed: where shall the group go?\n" +
                   try_help("group seek"), "group", "seek", "new")
        self.assertEqual(self.run_any("group", "seek", "new", "--to", "end", "-y").code, 1)
        self.assertEqual(self.ok("group", "seek", "new", "--to", "4", "--topics", "in,in", "-y"),
                         "TOPIC  PARTITION  PRIOR-OFFSET  CURRENT-OFFSET\n"
                         "in             0             -               4\n"
                         "in             1             -               4\n")
        self.assertEqual(self.ok("topic", "consume", "in", "-g", "new", "-o", ":end", "-f", "%v "),
                         "p0-4 p1-4 ")

    def test_seek_to_where_another_group_is(self):
        self.ok("group", "seek", "other", "--to", "3", "--topics", "in", "-y")
        self.assertEqual(self.ok("group", "seek", "new", "--to-group", "other", "-y"),
                         "TOPIC  PARTITION  PRIOR-OFFSET  CURRENT-OFFSET\n"
                         "in             0             -               3\n"
                         "in             1             -               3\n")
        self.fails(1, "ksrun group seek: --to-group: group \"nobody\": no such group\n",
                   "group", "seek", "new", "--to-group", "nobody", "-y")
        self.fails(1, 'ksrun group seek: group "new" has no offset to move\n',
                   "group", "seek", "new", "--to-group", "other", "--topics", "elsewhere,inn", "-y")
        self.fails(2, "ksrun group seek: only one of --to, --to-group and --to-file can be given\n" +
                   try_help("group seek"), "group", "seek", "new", "--to-group", "other", "--to", "1")

    def test_groups_are_listed_by_state(self):
        self.read("-n", "1")
        self.assertEqual(self.ok("group", "list", "-s", "Stable,empty"), "GROUP\ng\n")
        self.assertEqual(self.ok("group", "list", "--states", "Stable"), "GROUP\n")
        self.fails(2, 'ksrun group list: --states: groups have no state "Stabel"; did you mean "Stable"?\n' +
                   try_help("group list"), "group", "list", "--states", "Empty,Stabel")

    def test_seek_to_what_a_file_says(self):
        path = os.path.join(self.dir, "offsets")

        def write(text):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)

        self.ok("group", "seek", "g", "--to", "1", "--topics", "in", "-y")
        write("in 1 2\n\n  in\t0   4\r\nin 1 3\n")
        self.assertEqual(self.ok("group", "seek", "g", "--to-file", path, "-y"),
                         "TOPIC  PARTITION  PRIOR-OFFSET  CURRENT-OFFSET\n"
                         "in             1             1               3\n"
                         "in             0             1               4\n")
        self.assertEqual([(p, at) for p, at, _ in self.offsets()], [(0, 4), (1, 3)])
        for line, why in (("in 0", "it is TOPIC PARTITION OFFSET"), ("in 0 1 2", "it is TOPIC PARTITION OFFSET"),
                          ("in x 1", "it is TOPIC PARTITION OFFSET"), ("in 0 -1", '"-1" is no offset'),
                          ("in 0 1x", '"1x" is no offset')):
            write("in 0 1\n%s\n" % line)
            self.fails(2, "ksrun group seek: %s:2: %s\n" % (path, why), "group", "seek", "g", "--to-file", path, "-y")
        for line, why in (("in 2 1", 'topic "in" has no partition 2; its partitions are 0 to 1'),
                          ("inn 0 1", 'no topic "inn"; did you mean "in"?')):
            write(line)
            self.fails(1, "ksrun group seek: %s:1: %s\n" % (path, why), "group", "seek", "g", "--to-file", path, "-y")
        os.unlink(path)
        self.fails(2, "ksrun group seek: cannot open %s: No such file or directory\n" % path,
                   "group", "seek", "g", "--to-file", path, "-y")
        self.assertEqual([(p, at) for p, at, _ in self.offsets()], [(0, 4), (1, 3)])

    def test_delete(self):
        self.read("-o", ":end")
        self.assertEqual(self.ok("group", "delete", "g"), "GROUP  STATUS\ng      OK\n")
        self.assertEqual(self.ok("group", "list"), "GROUP\n")
        self.assertEqual(self.run_any("group", "delete", "g").err, 'ksrun group delete: group "g": no such group\n')
        r = self.run_any("group", "delete", "g")
        self.assertEqual(r.code, 1, r)


class Process(Case):
    def test_the_owner_of_the_directory_is_named(self):
        self.ok("topic", "create", "in")
        self.ok("topic", "produce", "in", stdin="a\n")
        p = self.start("topic", "consume", "in", "-f", "%v\\n")
        self.assertEqual(p.stdout.readline(), b"a\n")
        r = self.run_any("topic", "list")
        self.assertEqual(r.code, 75, r)
        self.assertIn(str(p.pid), r.err)
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(60), 0)
        self.ok("topic", "list")

    def test_a_directory_that_is_not_there(self):
        for args in (("topic", "list"), ("topic", "consume", "in"), ("group", "list")):
            self.fails(1, "ksrun %s %s: no data directory %s; --data DIR or KS_DATA names another, "
                          "and 'ksrun topic create' makes it\n" % (args[0], args[1], self.data), *args)
        self.assertFalse(os.path.exists(self.data))

    def test_flag_beats_environment(self):
        other = self.data + "2"
        self.ok("topic", "create", "a")
        self.ok("topic", "create", "b", "--data", other)
        self.assertIn("b", self.ok("topic", "list", "--data=" + other))
        self.assertNotIn("b", self.ok("topic", "list").replace("number", ""))

    def test_what_works_on_files_does_not_work_on_a_cluster(self):
        for verb in (("run", "x.lua"), ("plan", "x.lua"), ("job", "state", "x.lua", "s"), ("perf", "log")):
            r = self.run_any(*verb, "-b", "localhost:9092")
            self.assertEqual(r.code, 2)
            self.assertIn(": --bootstrap: this verb works on a data directory, not yet on a cluster; "
                          "--data names one\n", r.err)
        self.fails(2, "ksrun topic list: only one of --bootstrap and --data can be given\n" +
                   try_help("topic list"), "topic", "list", "-b", "localhost:9092", "--data", self.data)
        self.fails(2, "ksrun cluster describe: a data directory is no cluster; -b HOST:PORT names one\n" +
                   try_help("cluster describe"), "cluster", "describe")

    def test_options_about_a_cluster_want_one(self):
        self.ok("topic", "create", "in")
        for verb, *option in (("consume", "--rack", "r"), ("consume", "--fetch-max-wait", "1s"),
                              ("consume", "--balancer", "range"), ("produce", "--delivery-timeout", "5s")):
            self.fails(2, "ksrun topic %s: %s is about a cluster; -b HOST:PORT names one\n%s"
                       % (verb, option[0], try_help("topic " + verb)), "topic", verb, "in", *option)
        for verb, option, value, why in (
                ("produce", "-D", "5", '--delivery-timeout "5": a duration is needed, such as 500ms or 1m30s'),
                ("produce", "-D", "999ms", "--delivery-timeout 999ms: it is 1000 ms to 86400000 ms"),
                ("consume", "--fetch-max-wait", "0s", "--fetch-max-wait 0s: it is 1 ms to 300000 ms"),
                ("consume", "--balancer", "range", "--balancer is about a group; --group names one")):
            self.fails(2, "ksrun topic %s: %s\n%s" % (verb, why, try_help("topic " + verb)),
                       "topic", verb, "in", option, value, "-b", "localhost:1")
        self.fails(2, 'ksrun topic consume: --balancer "sticky": range is known\n' + try_help("topic consume"),
                   "topic", "consume", "in", "-g", "g", "--balancer", "sticky", "-b", "localhost:1")
        for option in ("--fetch-max-bytes", "--fetch-max-partition-bytes"):
            self.fails(2, "ksrun topic consume: %s must be 1 to 2147483647\n%s" % (option, try_help("topic consume")),
                       "topic", "consume", "in", option, "0")

    def test_an_option_beats_the_environment(self):
        self.ok("topic", "create", "a")
        self.env["KS_BOOTSTRAP"] = "127.0.0.1:1"
        self.assertIn("a", self.ok("topic", "list", "--data", self.data))
        self.fails(75, "ksrun topic list: cannot reach 127.0.0.1:1: connection refused\n",
                   "topic", "list")
        self.fails(75, "ksrun topic list: cannot reach 127.0.0.1:2: connection refused\n",
                   "topic", "list", "-b", "127.0.0.1:2")
        self.env["KS_BOOTSTRAP"] = ""
        self.assertIn("a", self.ok("topic", "list"))
        self.fails(2, 'ksrun topic list: cannot read the address "x:y": HOST:PORT is needed\n',
                   "topic", "list", "-b", "x:y")

    def test_the_configuration_of_a_topic(self):
        self.ok("topic", "create", "in")
        self.ok("config", "alter", "topic", "in", "--set", "retention.ms=5000", "--append",
                "cleanup.policy=compact")
        self.assertEqual(self.ok("config", "describe", "topic", "in", "--changed"),
                         "KEY             VALUE           SOURCE\n"
                         "cleanup.policy  delete,compact  DYNAMIC_TOPIC_CONFIG\n"
                         "retention.ms    5000            DYNAMIC_TOPIC_CONFIG\n")
        self.ok("config", "alter", "topic", "in", "--delete", "retention.ms", "--subtract",
                "cleanup.policy=delete")
        self.ok("config", "alter", "topic", "in", "--set", "retention.ms=1", "--dry")
        rows = {r["key"]: r for r in self.json("config", "describe", "topic", "in", "--format", "json")}
        self.assertEqual(rows["cleanup.policy"],
                         {"key": "cleanup.policy", "value": "compact", "source": "DYNAMIC_TOPIC_CONFIG",
                          "type": "LIST", "read_only": False, "sensitive": False})
        self.assertEqual(rows["retention.ms"]["source"], "DEFAULT_CONFIG")
        r = self.run_any("config", "alter", "topic", "in", "--set", "retention.sm=1")
        self.assertEqual(r.code, 2, r)
        self.assertIn("retention.ms", r.err)
        self.fails(2, "ksrun config alter: nothing to change: --set key=value is needed, or --delete key\n" +
                   try_help("config alter"), "config", "alter", "topic", "in")
        self.fails(2, 'ksrun config describe: "topics": topic NAME and broker [ID] are known\n' +
                   try_help("config describe"), "config", "describe", "topics", "in")
        self.fails(2, "ksrun config describe: a data directory has no broker to configure; -b HOST:PORT "
                      "names a cluster\n", "config", "describe", "broker", "1")
        self.fails(1, 'ksrun config describe: no topic "inn"; did you mean "in"?\n',
                   "config", "describe", "topic", "inn")

    def test_a_topic_grows(self):
        self.ok("topic", "create", "in", "-p", "2")
        self.ok("topic", "alter", "in", "--partitions", "5", "-c", "retention.ms=1000")
        self.assertEqual(self.json("topic", "list", "--format", "json")[0]["partitions"], 5)
        r = self.run_any("topic", "alter", "in", "--partitions", "4")
        self.assertEqual(r.code, 2, r)
        self.ok("topic", "alter", "in", "--delete-config", "retention.ms")
        self.assertIn("DEFAULT_CONFIG", [r["source"] for r in self.json(
            "config", "describe", "topic", "in", "--format", "json") if r["key"] == "retention.ms"])

    def test_help_and_usage(self):
        text = self.ok("--help")
        for word in ("topic create", "group seek", "run", "perf log"):
            self.assertIn("  " + word, text)
        self.assertEqual(self.ok("help"), text)
        self.assertIn("topic trim", self.ok("topic", "--help"))
        self.assertNotIn("group", self.ok("help", "topic"))
        consume = self.ok("topic", "consume", "--help")
        self.assertTrue(consume.startswith("Usage: ksrun topic consume [OPTIONS] TOPIC...\n"))
        self.assertIn("-o, --offset OFFSETS", consume)
        self.assertIn("(default start)", consume)
        self.assertIn("[KS_DATA]", consume)
        self.assertEqual(self.ok("help", "topic", "consume"), consume)
        self.assertEqual(self.run_any().code, 2)
        self.assertEqual(self.run_any("topic").code, 2)
        self.fails(2, 'ksrun: unknown verb "topic lsit"; did you mean "topic list"?\n' + try_help(""),
                   "topic", "lsit")
        self.fails(2, 'ksrun: unknown verb "tpoic"; did you mean "topic"?\n' + try_help(""), "tpoic")
        self.fails(2, 'ksrun: unknown verb "xyzzy"\n' + try_help(""), "xyzzy")
        self.fails(2, 'ksrun: unknown verb "xyzzy"\n' + try_help(""), "help", "xyzzy")
        self.fails(2, 'ksrun: unknown verb "consume"; did you mean "topic consume"?\n' + try_help(""),
                   "consume", "in")
        self.fails(2, "ksrun topic create: it needs TOPIC...\n" + try_help("topic create"),
                   "topic", "create")
        self.fails(2, 'ksrun topic trim: "b" is one argument too many\n' + try_help("topic trim"),
                   "topic", "trim", "a", "b")
        self.fails(2, 'ksrun group list: it takes no argument; what is "a"?\n' +
                   try_help("group list"), "group", "list", "a")

    def shell(self, text):
        """What bash makes of it: its exit code and all that it said on stderr."""
        p = subprocess.run(["bash", "-c", text], env=dict(self.env, KSRUN=ksrun.BINARY), stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        return p.returncode, p.stderr.decode()

    def test_what_cannot_be_written_is_an_error_of_every_verb(self):
        full = "cannot write to standard output: No space left on device\n"
        self.assertEqual(self.shell("$KSRUN topic create in > /dev/full"), (1, "ksrun topic create: " + full))
        for verb in ("topic list", "topic describe in", "topic alter in -p 2 && $KSRUN config describe topic in",
                     "version", "help topic", "completion bash"):
            code, err = self.shell("$KSRUN %s > /dev/full" % verb)
            self.assertEqual(code, 1, verb)
            self.assertRegex(err, "^ksrun[a-z ]*: " + full + "$")

    def test_a_closed_descriptor_is_not_taken_by_a_file_of_the_database(self):
        self.ok("topic", "create", "in")
        bad = ": Bad file descriptor\n"
        self.assertEqual(self.shell("$KSRUN topic list >&-"),
                         (1, "ksrun topic list: cannot write to standard output" + bad))
        self.assertEqual(self.shell("$KSRUN topic produce in <&-"),
                         (1, "ksrun topic produce: cannot read standard input" + bad + "0 records were written.\n"))
        self.assertEqual(self.shell("echo a | $KSRUN topic produce in -o '%v' >&-"),
                         (1, "ksrun topic produce: cannot write to standard output" + bad + "1 record was written.\n"))
        self.assertEqual(self.shell("$KSRUN topic list xyzzy -v 2>&-")[0], 0)
        self.assertEqual(self.ok("topic", "consume", "in", "-o", ":end", "-f", "%v\n"), "a\n")

    def test_what_cannot_be_measured(self):
        for args, why in ((["perf", "job", "pass", "--latency", "-5"], "--latency is from 0 to 10000000"),
                          (["perf", "job", "pass", "--seconds", "0"], "--seconds is from 1 to 1000000"),
                          (["perf", "job", "pass", "-n", "0"], "--num is from 1 to 1099511627776"),
                          (["perf", "log", "--mb", "0"], "--mb is from 1 to 16777216"),
                          (["perf", "log", "--partitions", "0"], "--partitions is from 1 to 10000"),
                          (["perf", "restart", "--phase", "x"], '--phase "x": fill and again are known')):
            self.fails(2, "ksrun %s: %s\n%s" % (" ".join(args[:2]), why, try_help(" ".join(args[:2]))), *args)

    def test_a_table_without_its_header(self):
        self.ok("topic", "create", "in", "-p", "12")
        self.ok("topic", "create", "out")
        self.assertEqual(self.ok("topic", "list", "--no-header"), "in   12  1\nout   1  1\n")
        self.assertEqual(self.ok("group", "list", "--no-header"), "")
        self.assertEqual(self.json("topic", "list", "out", "--no-header", "--format", "json")[0]["partitions"], 1)
        self.assertEqual(self.ok("topic", "describe", "out", "-p", "--no-header"), "PARTITIONS\n==========\n0  0  0\n")

    def test_an_empty_name_is_not_the_default(self):
        self.ok("topic", "create", "in")
        self.fails(2, "ksrun topic list: --data is empty: it is the name of a directory\n" + try_help("topic list"),
                   "topic", "list", "--data", "")
        self.fails(2, "ksrun topic list: --bootstrap is empty: it is HOST:PORT, several with commas\n" +
                   try_help("topic list"), "topic", "list", "-b", "")
        self.fails(2, "ksrun run: --threads 0: 1 to 1024\n" + try_help("run"), "run", "--threads", "0", "x.lua")
        self.env.update(KS_BOOTSTRAP="")  # an empty variable is none
        self.ok("topic", "list")

    def test_a_topic_that_is_named_twice_is_read_once(self):
        self.ok("topic", "create", "in")
        self.ok("topic", "produce", "in", stdin="a\n")
        self.assertEqual(self.ok("topic", "consume", "in", "in", "-o", ":end", "-f", "%v "), "a ")
        self.assertEqual(self.ok("topic", "delete", "in", "in"), "TOPIC  STATUS\nin     OK\n")

    def test_an_unknown_key_has_no_value(self):
        self.ok("topic", "create", "in")
        self.fails(2, 'ksrun config alter: there is no topic configuration "retention.sm"; did you mean "retention.ms"?\n',
                   "config", "alter", "topic", "in", "--delete", "retention.sm")

    def test_the_environment_of_the_log_is_looked_at(self):
        self.ok("topic", "create", "in")
        self.env.update(KS_LOG="loud", KS_LOG_FORMAT="xml")
        self.assertRegex(self.run_any("topic", "list").err,
                         r'level=warn module=log msg="KS_LOG_FORMAT is \\"xml\\": text, logfmt and json are known"\n.*'
                         r'level=warn module=log msg="KS_LOG is \\"loud\\": debug, info, warn, error and off are known"\n$')
        self.env.update(KS_LOG="", KS_LOG_FORMAT="")
        self.ok("topic", "list")

    def test_version(self):
        self.assertRegex(self.ok("version"), r"^ksrun \d+\.\d+\.\d+\n$")
        self.assertEqual(self.ok("--version"), self.ok("version"))

    def test_help_about_formats(self):
        self.ok("topic", "create", "in")
        for args in (("topic", "consume", "in", "-f", "help"), ("topic", "produce", "in", "-f", "help"),
                     ("topic", "list", "--format", "help")):
            text = self.ok(*args)
            self.assertEqual(text, self.ok(args[0], args[1], "--help"))
            self.assertIn("--format FORMAT", text)

    def test_completion(self):
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("ksrun __complete", self.ok("completion", shell))
        self.fails(2, 'ksrun completion: unknown shell "csh": bash, zsh and fish are known\n' +
                   try_help("completion"), "completion", "csh")
        complete = lambda *words: self.ok("__complete", "--", *words).split()
        self.assertEqual(complete("to"), ["topic"])
        self.assertEqual(complete("topic", "c"), ["create", "consume"])
        self.assertEqual(complete("topic", "consume", "--of"), ["--offset"])
        self.assertEqual(complete("topic", "consume", "x"), [])
        self.assertNotIn("__complete", complete(""))
        self.assertFalse(os.path.exists(self.data), "completion makes nothing")
        self.ok("topic", "create", "orders", "orders.dlq", "other")
        self.ok("topic", "consume", "orders", "-g", "readers", "-o", ":end")
        self.ok("group", "seek", "readers", "--to", "start", "--topics", "orders", "-y")
        self.assertEqual(complete("topic", "consume", "ord"), ["orders", "orders.dlq"])
        self.assertEqual(complete("topic", "consume", "-n", "3", "orders", "ot"), ["other"])
        self.assertEqual(complete("topic", "consume", "-o", ""), [], "it is the value of an option")
        self.assertEqual(complete("topic", "trim", "orders", "o"), [], "it takes one")
        self.assertEqual(complete("group", "describe", ""), ["readers"])
        self.assertEqual(complete("--data", "nowhere", "topic", "list", "o"), [])
        self.assertEqual(complete("topic", "list", "--data", "nowhere", "o"), [])
        self.env["PATH"] = os.path.dirname(ksrun.BINARY) + ":" + self.env["PATH"]
        done = subprocess.run(
            ["bash", "-c", "eval \"$(ksrun completion bash)\"; COMP_WORDS=(ksrun topic de); "
                           "COMP_CWORD=2; _ksrun; echo \"${COMPREPLY[@]}\""],
            env=self.env, stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout.split(), [b"describe", b"delete"])


if __name__ == "__main__":
    ksrun.main()
