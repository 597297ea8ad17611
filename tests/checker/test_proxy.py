#!/usr/bin/env python3
"""The proxy changes no byte, and its faults do what their names say. The broker is a few lines that answer every request."""
import queue
import socket
import struct
import threading
import unittest

import proxy


def request(key, correlation, body=b"", client=b"me"):
    payload = struct.pack(">hhih", key, 0, correlation, len(client)) + client + body
    return struct.pack(">i", len(payload)) + payload


def take(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data


def frame(sock):
    head = take(sock, 4)
    return head + take(sock, struct.unpack(">i", head)[0])


class Broker:
    """Puts what it gets into `seen` as (connection's number, frame) and answers with the correlation id and that number."""

    def __init__(self):
        self.listener, self.seen = socket.create_server(("127.0.0.1", 0)), queue.Queue()
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        number = 0
        while True:
            sock, _ = self.listener.accept()
            number += 1
            threading.Thread(target=self.serve, args=(sock, number), daemon=True).start()

    def serve(self, sock, number):
        try:
            while True:
                got = frame(sock)
                self.seen.put((number, got))
                sock.sendall(struct.pack(">i", 8) + got[8:12] + struct.pack(">i", number))
        except OSError:
            sock.close()


class Proxied(unittest.TestCase):
    def setUp(self):
        self.broker, self.proxy = Broker(), proxy.Proxy()
        self.proxy.start(self.broker.port)

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.proxy.port), 60)
        self.addCleanup(sock.close)
        return sock

    def seen(self):
        return self.broker.seen.get(timeout=60)

    def answered(self, sock, correlation):
        """The number of the connection that the answer came over."""
        size, found, number = struct.unpack(">iii", frame(sock))
        self.assertEqual((size, found), (8, correlation))
        return number

    def test_requests_and_answers_pass_unchanged(self):
        sock, sent = self.connect(), request(3, 7, b"x" * 100_000)
        sock.sendall(sent)
        self.answered(sock, 7)
        self.assertEqual(self.seen()[1], sent)

    def test_a_lost_answer_ends_the_connection_after_the_broker_has_acted(self):
        self.proxy.order("lose", [26])
        sock = self.connect()
        sock.sendall(request(26, 1))
        self.seen()
        with self.assertRaises(ConnectionResetError):
            frame(sock)

    def test_an_order_waits_for_its_kind_of_request(self):
        self.proxy.order("lose", [26])
        sock = self.connect()
        sock.sendall(request(3, 1))
        self.answered(sock, 1)

    def test_a_second_copy_comes_over_an_older_connection(self):
        self.proxy.order("duplicate", [26])
        sock = self.connect()
        sock.sendall(request(26, 1))
        number = self.answered(sock, 1)
        seen = sorted([self.seen(), self.seen()])
        self.assertEqual(seen, [(number - 1, request(26, 1)), (number, request(26, 1))])

    def test_a1_a_held_request_comes_after_a_newer_one_of_another_connection_though_its_client_is_gone(self):
        order = self.proxy.order("hold", [26], 0.3)
        old = self.connect()
        old.sendall(request(26, 1))
        order.met.result(60)
        old.close()
        new = self.connect()
        new.sendall(request(26, 2))
        self.answered(new, 2)
        self.assertEqual([self.seen()[1], self.seen()[1]], [request(26, 2), request(26, 1)])

    def test_nothing_passes_while_a_direction_is_blocked(self):
        sock = self.connect()
        self.proxy.block(False, True)
        sock.sendall(request(3, 1))
        self.seen()
        sock.settimeout(0.1)
        with self.assertRaises(TimeoutError):
            sock.recv(1)
        self.proxy.block(False, False)
        sock.settimeout(60)
        self.answered(sock, 1)

    def test_a_cut_resets_the_connections_of_one_client_alone(self):
        mine, other = self.connect(), self.connect()
        mine.sendall(request(3, 1, client=b"mine"))
        other.sendall(request(3, 2, client=b"other"))
        self.answered(mine, 1)
        self.answered(other, 2)
        self.assertEqual(self.proxy.cut("mine"), 1)
        with self.assertRaises(ConnectionResetError):
            take(mine, 1)
        other.sendall(request(3, 3, client=b"other"))
        self.answered(other, 3)

    def test_a_refused_connection_is_reset(self):
        self.proxy.refuse(True)
        with self.assertRaises(OSError):
            sock = self.connect()
            sock.sendall(request(3, 1))
            frame(sock)
        self.proxy.refuse(False)
        sock = self.connect()
        sock.sendall(request(3, 2))
        self.answered(sock, 2)


if __name__ == "__main__":
    unittest.main()
