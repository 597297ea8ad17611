#!/usr/bin/env python3
"""Runs librdkafka's own integration tests against a broker.

    suite.py --ksrun PATH [--release R] [--jobs N] [TEST...]    against a broker that it starts
    suite.py --bootstrap HOST:PORT [TEST...]                    against any cluster of one node
    suite.py --build-only                                       get and build the suite, run nothing

The suite is that of librdkafka 2.0.2, Debian's source package, or (--release 2.15.1) the one that comes with
@confluentinc/kafka-javascript, which tests/clients/setup.py installs. It is built below build/librdkafka; nothing of it
is in this tree. One process for each test, with a time limit; at the end a table. The exit status is 0 when all have
passed but those that are known not to, 77 when the suite cannot be built here.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))
import run as client_run  # noqa: E402
import setup as client_setup  # noqa: E402

SKIPPED = 77
DEBIAN = "2.0.2-1"
PACKAGE = "confluent_javascript/node_modules/@confluentinc/kafka-javascript/deps/librdkafka"
BUILT = ("*.o", "*.a", "*.d", "*.so", "*.so.*", "config.*", "Makefile.config", "*.lds")
PATIENCE = 4            # times the suite's own time limits: they are those of a machine that does nothing else
CLIENTS = HERE.parent.parent / "build" / "clients"
BROKER_CONFIG = """\
num.partitions=4
group.initial.rebalance.delay.ms=3000
log.cleaner.backoff.ms=1000
accepted.replication.factor=3
"""

# All tests that talk to a broker.
BROKER_TESTS = """
0001 0002 0003 0005 0007 0008 0011 0012 0013 0014 0015 0016 0017 0018 0019 0020 0021 0022 0026 0028 0029 0030 0031 0033
0034 0035 0036 0038 0039 0040 0041 0042 0044 0045 0047 0048 0049 0050 0051 0052 0053 0054 0055 0056 0057 0059 0060 0061
0063 0064 0065 0067 0068 0069 0070 0073 0075 0076 0077 0081 0082 0083 0084 0085 0086 0088 0089 0090 0091 0092 0093 0094
0097 0098 0099 0101 0102 0103 0107 0109 0110 0111 0112 0113 0114 0115 0118 0119 0122 0123 0125 0126 0129 0130 0132 0135
0137
""".split()
NEWER_TESTS = """
0127 0140 0142 0170 0171 0172 0173 0174 0175 0176 0177 0178 0179 0180 0181 0184 0185
""".split()
LEFT_OUT = {
    "0028": "the suite itself calls it a known issue",
    "0047": "the suite itself calls it a known issue",
    "0101": "needs several brokers",
    "0107": "needs a broker that does not create topics by itself",
    "0109": "needs access control",
    "0111": "needs a broker that does not create topics by itself",
    "0115": "needs access control",
    "0119": "needs access control",
    "0126": "needs SASL",
    "0135": "needs SASL",
    "0142": "needs SASL",
    **{f"01{n}": "needs share groups" for n in (*range(70, 82), 84, 85)},
}


class Release:
    """kafka: what the tests take for the broker's version; they leave out what an older or a newer one lacks. kafka_fails:
    the tests that Apache Kafka 4.3.1 as one node does not pass, and why; ours_fail: which of them ksrun does not."""

    def __init__(self, kafka, tests, limit_s, kafka_fails, ours_fail):
        self.kafka, self.limit_s, self.kafka_fails, self.ours_fail = kafka, limit_s, kafka_fails, ours_fail
        self.tests = [test for test in tests if test not in LEFT_OUT]


RELEASES = {
    "2.0.2": Release("3.4.0", BROKER_TESTS, 240, {
        "0052": "produces in the format of 0.9, which Kafka 4 no longer takes",
        "0077": "segment.bytes=10000, of which Kafka 4 takes 1 MiB at least",
        "0081": "creates topics with a time-out of 0, which Kafka's controller lets run out; then rules of access control",
        "0092": "message.format.version, which Kafka 4 no longer has",
        "0103": "topics with three replicas",
        "0113": "this librdkafka waits for ever when it is destroyed after a topic that it consumed was deleted",
        "0129": "segment.bytes=20000, of which Kafka 4 takes 1 MiB at least",
    }, ["0052", "0081", "0113"]),
    "2.15.1": Release("4.3.1", BROKER_TESTS + NEWER_TESTS, 1200, {
        "0081": "rules of access control",
        "0103": "topics with three replicas",
    }, ["0081"]),
}
# Which run a program of the suite in Java, with Apache Kafka's client that tests/clients/setup.py has installed.
JAVA_TESTS = ["0098"]


class Missing(Exception):
    pass


def call(command, log, **options):
    with open(log, "ab") as out:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, **options)
    if done.returncode:
        raise Missing(f"{' '.join(map(str, command[:4]))} failed, see {log}")


def source_lists():
    """Source entries for each of the machine's own package repositories."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"],
                          capture_output=True, text=True)
    if done.returncode:
        raise Missing("apt-get is not here")
    places = sorted({tuple(line.split()) for line in done.stdout.splitlines() if len(line.split()) == 3})
    keyring = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    return "".join(f"deb-src {keyring} {uri} {release} {part}\n" for uri, release, part in places if part == "main")


def get_debian(build, tree, log):
    """apt-get source with a configuration of its own: the machine's stays as it is."""
    apt = build / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "sources.list").write_text(source_lists())
    options = ["-o", f"Dir::Etc::sourcelist={apt}/sources.list", "-o", "Dir::Etc::sourceparts=-",
               "-o", f"Dir::State::lists={apt}/lists", "-o", f"Dir::Cache={apt}/cache", "-o", "APT::Sandbox::User=root"]
    call(["apt-get", *options, "update"], log)
    call(["apt-get", *options, "source", "--download-only", f"librdkafka={DEBIAN}"], log, cwd=build)
    call(["tar", "xf", f"{tree.name.replace('-', '_')}.orig.tar.gz"], log, cwd=build)


def get_package(build, tree, log):
    """The sources that the client brings along."""
    source = build.parent / "clients" / PACKAGE
    if not source.exists() and not client_setup.attempt("confluent_javascript", build.parent / "clients"):
        raise Missing("the client confluent_javascript cannot be installed here")
    shutil.copytree(source, tree, symlinks=True, ignore=shutil.ignore_patterns(*BUILT))


def build_suite(build, release, jobs):
    """The folder of the test runner."""
    tree = build / f"librdkafka-{release}"
    runner, complete, log = tree / "tests" / "test-runner", tree / "complete", build / "log"
    if complete.exists() and runner.exists():
        return runner.parent
    for name in ("gcc", "g++", "make", "apt-get"):
        if not shutil.which(name):
            raise Missing(f"{name} is not installed")
    if not os.path.exists("/usr/include/rapidjson/rapidjson.h"):
        raise Missing("rapidjson is not installed (Debian: rapidjson-dev)")
    build.mkdir(parents=True, exist_ok=True)
    if not tree.exists():
        (get_debian if DEBIAN.startswith(release) else get_package)(build, tree, log)
    print(f"librdkafka {release}: building its test suite", flush=True)
    call(["./configure", "--disable-gssapi", "--disable-curl", "--enable-static", "--disable-optimization"], log, cwd=tree)
    call(["make", f"-j{jobs}", "libs"], log, cwd=tree)
    call(["make", f"-j{jobs}", "-C", "tests", "build"], log, cwd=tree)
    complete.touch()
    return runner.parent


def build_java(tests_dir, clients_dir):
    """Compiles the suite's programs in Java; None, or why they cannot be run."""
    jars = clients_dir / "java" / "jars"
    if not shutil.which("javac") or not jars.exists():
        return "Java, or its client, is not installed: tests/clients/setup.py java"
    done = subprocess.run(["javac", "-cp", f"{jars}/*", *(p.name for p in sorted((tests_dir / "java").glob("*.java")))], cwd=tests_dir / "java",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        return f"javac failed: {done.stdout}"
    return None


def one(tests_dir, out_dir, bootstrap, release, test):
    """(test, "pass" | "FAIL" | "skip" | "time", seconds); skip: the test itself left everything out"""
    where = out_dir / test
    shutil.rmtree(where, True)
    where.mkdir(parents=True)
    (where / "test.conf").write_text(f"bootstrap.servers={bootstrap}\ntest.topic.prefix=rdk{test}\ntest.topic.random=true\n"
                                     f"test.timeout.multiplier={PATIENCE}\n")
    (where / "bin").mkdir()
    (where / "bin" / "kafka-topics.sh").symlink_to(HERE / "kafka_topics.py")
    run_class = where / "bin" / "kafka-run-class.sh"
    run_class.write_text(f'#!/bin/sh\nexec java -XX:+UseSerialGC -cp "$CLASSPATH:{CLIENTS}/java/jars/*" "$@"\n')
    run_class.chmod(0o755)
    env = {**os.environ, "TESTS": test, "TEST_KAFKA_VERSION": RELEASES[release].kafka, "RDKAFKA_TEST_CONF": str(where / "test.conf"),
           "RDKAFKA_GITVER": release, "KAFKA_PATH": str(where), "BROKERS": bootstrap}
    env["LD_LIBRARY_PATH"] = f"{tests_dir.parent / 'src'}:{tests_dir.parent / 'src-cpp'}"
    began = time.monotonic()
    with open(where / "log", "wb") as log:
        process = subprocess.Popen([str(tests_dir / "test-runner"), "-p1"], cwd=tests_dir, env=env, stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, start_new_session=True)
        try:
            code = process.wait(PATIENCE * RELEASES[release].limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return test, "time", time.monotonic() - began
    said = (where / "log").read_text(errors="replace")
    verdicts = re.findall(r"\| (\S+) *\| +(PASSED|FAILED|SKIPPED)", re.sub(r"\x1b\[[0-9;]*m", "", said))
    ran = [v for name, v in verdicts if name.startswith(test)]
    if code or not ran or "FAILED" in ran:
        return test, "FAIL", time.monotonic() - began
    return test, "pass" if "PASSED" in ran else "skip", time.monotonic() - began


def run_tests(tests_dir, out_dir, bootstrap, release, tests, jobs):
    lock, results = threading.Lock(), []

    def go(test):
        result = one(tests_dir, out_dir, bootstrap, release, test)
        with lock:
            print(f"{result[0]}  {result[1]}  {result[2]:6.1f} s", flush=True)
        return result

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(go, tests))
    passed = [t for t, verdict, _ in results if verdict == "pass"]
    print(f"{len(passed)} of {len(results)} passed; not: "
          f"{' '.join(f'{t} ({v})' for t, v, _ in results if v != 'pass') or 'none'}. Logs: {out_dir}")
    return {t for t, verdict, _ in results if verdict in ("FAIL", "time")}


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--ksrun")
    args.add_argument("--bootstrap", default=os.environ.get("KS_TEST_BOOTSTRAP"))
    args.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build" / "librdkafka")
    args.add_argument("--release", choices=RELEASES, default="2.0.2")
    args.add_argument("--jobs", type=int, default=1)
    args.add_argument("--build-only", action="store_true")
    args.add_argument("tests", nargs="*", metavar="TEST")
    args = args.parse_args()
    build = args.build.resolve()
    try:
        tests_dir = build_suite(build, args.release, os.cpu_count() if args.jobs > 1 else 1)
    except Missing as e:
        print(f"skipped: {e}")
        return SKIPPED
    if args.build_only:
        return 0
    tests, out_dir = args.tests or RELEASES[args.release].tests, build / f"runs-{args.release}"
    why = build_java(tests_dir, CLIENTS) if set(tests) & set(JAVA_TESTS) else None
    if why:
        print(f"{' '.join(JAVA_TESTS)} left out: {why}")
        tests = [test for test in tests if test not in JAVA_TESTS]
    if args.bootstrap:
        return 1 if run_tests(tests_dir, out_dir, args.bootstrap, args.release, tests, args.jobs) else 0
    broker = client_run.Broker(args.ksrun, BROKER_CONFIG)
    failed = run_tests(tests_dir, out_dir, broker.bootstrap, args.release, tests, args.jobs)
    known = failed.intersection(RELEASES[args.release].ours_fail)
    if known:
        print(f"known to fail: {' '.join(sorted(known))}")
    broken = broker.stop()
    if broken:
        print(broken)
    return 1 if failed - known or broken else 0


if __name__ == "__main__":
    sys.exit(main())
