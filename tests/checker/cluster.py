"""The broker under test: ours, or Apache Kafka from bench/peer; killed, stopped and started again on its data."""
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "crash"))
import broker as crash  # noqa: E402

SETTINGS = {
    "group.initial.rebalance.delay.ms": 0,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
}


class Ours:
    """data and log in `folder`; clients are told the proxy's port, or with None its own."""

    def __init__(self, ksrun, folder, proxy_port, settings=()):
        self.port, self.log = crash.ports.hold(), folder / "broker.log"
        config = folder / "server.properties"
        told = {"listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{proxy_port or self.port}"}
        config.write_text("".join(f"{k}={v}\n" for k, v in {**told, **SETTINGS, **dict(settings)}.items()))
        self.command = [ksrun, "broker", "--config", str(config), "--data", str(folder / "data"), "--http", "off"]

    def start(self, failpoint=None):
        """With a failpoint it may end before it answers."""
        env = dict(os.environ, KS_LOG=os.environ.get("KS_LOG", "warn"))
        env.pop("KS_FAILPOINT", None)
        if failpoint:
            env["KS_FAILPOINT"] = failpoint
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not crash.answers(self.port):
            if self.process.poll() == -signal.SIGKILL and failpoint:
                return
            if self.process.poll() is not None:
                sys.exit(f"the broker ended with {self.process.returncode}:\n{self.said()}")
            if time.monotonic() > end:
                sys.exit("the broker does not answer after 60 s")
            time.sleep(0.005)

    def check_alive(self):
        if self.process.poll() is not None:
            sys.exit(f"the broker ended by itself with {self.process.returncode}:\n{self.said()}")

    def said(self):
        return self.log.read_text(errors="replace")[-8000:]

    def kill(self):
        self.check_alive()
        self.process.kill()
        self.process.wait()

    def wait_killed(self, limit_s):
        """For a failpoint; when it is not reached in time the broker is killed all the same."""
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
        if self.process.wait() != -signal.SIGKILL:
            sys.exit(f"the broker ended by itself with {self.process.returncode}:\n{self.said()}")

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        """None, or what was wrong with its end."""
        if self.process.poll() is not None:
            return f"the broker ended by itself with {self.process.returncode}:\n{self.said()}"
        self.process.terminate()
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return f"the broker does not end after SIGTERM:\n{self.said()}"
        return f"the broker ended with {code} after SIGTERM:\n{self.said()}" if code else None


class Kafka:
    """KS_PEER_PORT and KS_BENCH_DIR as bench/peer knows them."""

    def __init__(self, proxy_port):
        self.port = int(os.environ.get("KS_PEER_PORT", "19092"))
        settings = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{proxy_port or self.port}", **SETTINGS}
        self.settings = [part for k, v in settings.items() for part in ("--set", f"{k}={v}")]
        self.has_data = False

    def peer(self, *args):
        return subprocess.run([str(ROOT / "bench/peer/peer"), *args], check=True, stdout=subprocess.PIPE, text=True).stdout

    def start(self):
        self.peer("start", *(["--keep"] if self.has_data else []), *self.settings)
        self.has_data = True
        words = dict(w.split("=", 1) for w in self.peer("status").split())
        self.pid = int(words["pid"])

    def check_alive(self):
        """As far as we can see it is."""

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        while pathlib.Path(f"/proc/{self.pid}").exists():
            time.sleep(0.01)

    def pause(self):
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)

    def stop(self):
        self.peer("stop")
