"""Ports for brokers that are started, killed and started again."""

import socket

_held = []


def hold():
    """A port of 127.0.0.1 that is ours until this process ends.

    It is bound here, but nobody listens: connections are refused until a broker does, as often as it likes, since a broker
    sets SO_REUSEADDR as we do. Nobody else is given it meanwhile, neither to listen on nor to connect from."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    _held.append(s)
    return s.getsockname()[1]
