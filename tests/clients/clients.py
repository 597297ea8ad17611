"""The clients: what each needs, how it is installed, how it is started, which steps it has to pass.

Installed is below build/clients/NAME, so that nothing outside of the build folder changes but the caches of cargo and go.
A client's folder here holds its program and its pinned versions.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
PLAIN = ["topics", *CODECS, "group", "delete"]
CLASSIC = ["topics", *CODECS, "group", "transaction", "delete"]
NEXT = ["topics", *CODECS, "group", "group-consumer", "transaction", "delete"]


class Missing(Exception):
    """Something that this machine lacks; the text says what to do."""


def tool(name, hint):
    if not shutil.which(name):
        raise Missing(f"{name} is not installed ({hint})")


def version_of(*command):
    """The first a.b or a.b.c that the command prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = re.search(r"(\d+)\.(\d+)(\.\d+)?", done.stdout)
    return tuple(int(n) for n in found.group(0).split(".")) if found else (0, 0)


def at_least(name, wanted, *command):
    found = version_of(*command)
    if found < wanted:
        raise Missing(f"{name} {'.'.join(map(str, found))} is too old, {'.'.join(map(str, wanted))} is needed")


class Client:
    """sources: the files and folders here of which a change installs it again."""

    steps, sources = CLASSIC, []

    def __init__(self, name):
        self.name = name

    def check(self):
        """Raises Missing."""

    def install(self, into, run):
        """run(command, **options) raises when the command fails."""

    def command(self, into):
        raise NotImplementedError

    def env(self, into):
        return {}


class Kcat(Client):
    steps = ["topics", *CODECS, "group", "transaction"]

    def check(self):
        tool("kcat", "Debian: kcat")

    def command(self, into):
        return [sys.executable, str(HERE / "kcat" / "client.py")]


class Librdkafka(Client):
    sources = ["librdkafka"]
    flags = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-O1", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion",
             "-Wshadow", "-Werror"]

    def check(self):
        tool("cc", "Debian: gcc")
        if not any(os.path.exists(d + "/librdkafka/rdkafka.h") for d in ("/usr/include", "/usr/local/include")):
            raise Missing("librdkafka's headers are not installed (Debian: librdkafka-dev)")

    def install(self, into, run):
        run(["cc", *self.flags, str(HERE / "librdkafka" / "client.c"), "-o", str(into / "client"), "-lrdkafka"])

    def command(self, into):
        return [str(into / "client")]


class Java(Client):
    steps, sources = NEXT, ["java"]

    def check(self):
        tool("javac", "Debian: default-jdk-headless")
        tool("mvn", "Debian: maven")
        at_least("Java", (17,), "javac", "-version")

    def install(self, into, run):
        run(["mvn", "-B", "-q", "-f", str(HERE / "java" / "pom.xml"), f"-Dmaven.repo.local={into / 'repository'}",
             "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies", "-DincludeScope=runtime",
             f"-DoutputDirectory={into / 'jars'}"])
        run(["javac", "-Xlint:all", "-Werror", "-cp", f"{into / 'jars'}/*", "-d", str(into / "classes"),
             str(HERE / "java" / "Client.java")])

    def command(self, into):
        return ["java", "-XX:+UseSerialGC", "-cp", f"{into / 'classes'}:{into / 'jars'}/*", "Client"]


class Node(Client):
    """built: the packages with native code, and the environment of their build."""

    def __init__(self, name, steps, built, env):
        super().__init__(name)
        self.sources = [f"{name}/package.json", f"{name}/package-lock.json"]
        self.steps, self.built, self.build_env = steps, built, env

    def check(self):
        tool("node", "Debian: nodejs")
        tool("npm", "Debian: npm")
        tool("make", "Debian: make")
        tool("g++", "Debian: g++")
        at_least("Node.js", (18,), "node", "--version")

    @staticmethod
    def headers():
        """Where node's own headers are, so that nothing is downloaded for a native build."""
        prefix = pathlib.Path(shutil.which("node")).resolve().parent.parent
        return {"npm_config_nodedir": str(prefix)} if (prefix / "include" / "node" / "node.h").exists() else {}

    def install(self, into, run):
        for file in ("package.json", "package-lock.json"):
            shutil.copy(HERE / self.name / file, into)
        env = {**os.environ, **self.headers(), **self.build_env, "npm_config_cache": str(into.parent / "npm-cache"),
               "npm_config_update_notifier": "false"}
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=into, env=env)
        run(["npm", "rebuild", self.built], cwd=into, env=env)

    def command(self, into):
        return ["node", str(HERE / self.name / "client.js")]

    def env(self, into):
        return {"NODE_PATH": str(into / "node_modules")}


class Python(Client):
    """below: the first version of Python that it does not run under."""

    def __init__(self, name, steps=CLASSIC, below=(4, 0)):
        super().__init__(name)
        self.sources, self.steps, self.below = [f"{name}/requirements.txt"], steps, below

    def check(self):
        at_least("Python", (3, 10), sys.executable, "--version")
        if sys.version_info[:2] >= self.below:
            raise Missing(f"it does not run under Python {'.'.join(map(str, self.below))} or newer")
        if subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True).returncode:
            raise Missing("Python cannot make environments (Debian: python3-venv)")

    def install(self, into, run):
        # A clone that was moved has one whose programs name the old place.
        run([sys.executable, "-m", "venv", "--clear", str(into / "venv")])
        run([str(into / "venv" / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--cache-dir",
             str(into.parent / "pip-cache"), "--only-binary", ":all:", "-r", str(HERE / self.name / "requirements.txt")])

    def command(self, into):
        return [str(into / "venv" / "bin" / "python"), str(HERE / self.name / "client.py")]


class Go(Client):
    def __init__(self, name, folder, steps):
        super().__init__(name)
        self.sources, self.folder, self.steps = ["go"], folder, steps

    def check(self):
        tool("go", "1.26 or newer; Debian 12 has an older one")
        at_least("Go", (1, 26), "go", "env", "GOVERSION")

    def install(self, into, run):
        env = {**os.environ, "CGO_ENABLED": "0"}
        run(["go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", str(into / "client"), "./" + self.folder],
            cwd=HERE / "go", env=env)

    def command(self, into):
        return [str(into / "client")]


class Rust(Client):
    def __init__(self, name, steps, is_over_librdkafka):
        super().__init__(name)
        self.sources, self.steps, self.is_over_librdkafka = [name], steps, is_over_librdkafka

    def check(self):
        tool("cargo", "Debian: cargo-web")
        tool("cc", "Debian: gcc")
        if self.is_over_librdkafka:
            tool("pkg-config", "Debian: pkg-config")
            if subprocess.run(["pkg-config", "--exists", "rdkafka"]).returncode:
                raise Missing("librdkafka's headers are not installed (Debian: librdkafka-dev)")
        at_least("Rust", (1, 85), "cargo", "--version")

    def install(self, into, run):
        env = {**os.environ, "CARGO_TARGET_DIR": str(into / "target")}
        run(["cargo", "build", "-q", "--locked"], cwd=HERE / self.name, env=env)

    def command(self, into):
        return [str(into / "target" / "debug" / "client")]


class CheckerJava(Client):
    """A program of tests/checker; it takes the jars of the client java, which is installed before it."""

    steps, sources = [], ["../checker/java", "java/pom.xml"]

    def check(self):
        BY_NAME["java"].check()

    def install(self, into, run):
        jars = into.parent / "java" / "jars"
        if not jars.exists():
            raise Missing("the client java is not installed")
        run(["javac", "-Xlint:all", "-Werror", "-cp", f"{jars}/*", "-d", str(into / "classes"),
             str(HERE.parent / "checker" / "java" / "TxnClient.java")])

    def command(self, into):
        return ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
                f"{into / 'classes'}:{into.parent / 'java' / 'jars'}/*", "TxnClient"]


class CheckerGo(Go):
    """A program of tests/checker."""

    def __init__(self, name):
        super().__init__(name, ".", [])
        self.sources = ["../checker/go"]

    def install(self, into, run):
        run(["go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", str(into / "client"), "."],
            cwd=HERE.parent / "checker" / "go", env={**os.environ, "CGO_ENABLED": "0"})


ALL = [
    Kcat("kcat"),
    Librdkafka("librdkafka"),
    Java("java"),
    Node("kafkajs", CLASSIC, "lz4", {}),
    Node("confluent_javascript", NEXT, "@confluentinc/kafka-javascript",
         {"CKJS_LINKING": "dynamic", "npm_config_build_from_source": "true"}),
    Python("confluent_python", NEXT),
    Python("kafka_python"),
    Python("kafka_python_2", PLAIN, below=(3, 12)),
    Python("aiokafka"),
    Go("franz_go", "franz", NEXT),
    Go("sarama", "sarama", CLASSIC),
    Rust("rskafka", ["topics", *CODECS, "offsets", "delete"], False),
    Rust("rdkafka", CLASSIC, True),
    CheckerJava("checker_java"),
    CheckerGo("checker_go"),
]
BY_NAME = {client.name: client for client in ALL}
