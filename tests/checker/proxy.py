"""A TCP proxy before a broker that does what networks do: cuts, holds, loses answers, delivers late and twice.

It reads the length, the api key, the correlation id and the client id of every request and changes no byte. A request that is
held delays all that follows it on its connection, as TCP would; it is delivered even when the client has long gone to
another connection: that is how an old request comes after a newer one. A second copy of a request travels over a
connection that is older than the one it was sent on, as if the client had tried there first.

It runs in a thread of its own; all methods may be called from any thread.
"""
import asyncio
import collections
import concurrent.futures
import socket
import struct
import threading

PRODUCE, FETCH, INIT_PRODUCER_ID, ADD_PARTITIONS, ADD_OFFSETS, END_TXN, TXN_OFFSET_COMMIT = 0, 1, 22, 24, 25, 26, 28
FRAME_MAX = 128 << 20
LINGER_S = 2.0  # how long the broker's side of a late request stays open


class Gone(Exception):
    pass


async def read_frame(reader):
    head = await reader.readexactly(4)
    size = struct.unpack(">i", head)[0]
    if not 0 <= size <= FRAME_MAX:
        raise Gone(f"a frame of {size} bytes")
    return head + await reader.readexactly(size)


async def within(awaitable, seconds):
    try:
        await asyncio.wait_for(awaitable, seconds)
    except asyncio.TimeoutError:
        pass


def reset(writer):
    """Closes with RST, nothing is flushed."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
    writer.transport.abort()


class Order:
    """Something to be done with the next request of one of these kinds. met: one came; done: the broker has answered it."""

    def __init__(self, what, keys, seconds):
        self.what, self.keys, self.seconds = what, frozenset(keys), seconds
        self.met, self.done = concurrent.futures.Future(), concurrent.futures.Future()
        self.released = asyncio.Event()


class Connection:
    def __init__(self, proxy, reader, writer):
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.client, self.is_cut, self.lost, self.waiting = None, False, set(), {}

    async def run(self):
        try:
            # The older one first: it is what second copies travel on.
            self.old_reader, self.old_writer = await asyncio.open_connection("127.0.0.1", self.proxy.broker_port)
            self.up_reader, self.up_writer = await asyncio.open_connection("127.0.0.1", self.proxy.broker_port)
        except OSError:
            reset(self.writer)
            return
        tasks = [asyncio.ensure_future(t) for t in (self.requests(), self.answers(), self.swallow())]
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in (self.old_writer, self.up_writer):
            writer.close()

    def cut(self):
        if not self.is_cut:
            self.is_cut = True
            reset(self.writer)
            reset(self.up_writer)
            reset(self.old_writer)

    async def requests(self):
        """Ends when the client has, after all that it sent was delivered."""
        try:
            while not self.is_cut:
                frame = await read_frame(self.reader)
                await self.request(frame)
        except (OSError, Gone, asyncio.IncompleteReadError):
            pass
        finally:
            await self.proxy.open_to_broker.wait()
            self.up_writer.close()
            self.old_writer.close()

    async def request(self, frame):
        key, _, correlation, size = struct.unpack_from(">hhih", frame, 4)
        if size > 0 and self.client is None:
            self.client = frame[14:14 + size].decode(errors="replace")
        self.proxy.requests[key] += 1
        order = self.proxy.take_order(key)
        if order:
            self.waiting[correlation] = order
        await self.proxy.open_to_broker.wait()
        if order and order.what == "lose":
            self.lost.add(correlation)
        if order and order.what == "hold":
            await within(order.released.wait(), order.seconds)
        self.up_writer.write(frame)
        await self.up_writer.drain()
        if order and order.what == "duplicate":
            await asyncio.sleep(order.seconds)
            self.old_writer.write(frame)
            await self.old_writer.drain()
        if order and order.what == "hold":  # else the broker finds the connection closed before it has read
            await within(asyncio.shield(asyncio.wrap_future(order.done)), LINGER_S)

    async def answers(self):
        try:
            while not self.is_cut:
                frame = await read_frame(self.up_reader)
                correlation = struct.unpack_from(">i", frame, 4)[0]
                if correlation in self.waiting:
                    self.waiting.pop(correlation).done.set_result(True)
                await self.proxy.open_to_client.wait()
                if correlation in self.lost:
                    self.cut()
                    return
                await self.answer(frame)
        except (OSError, Gone, asyncio.IncompleteReadError):
            pass
        finally:
            for order in self.waiting.values():
                order.done.set_result(False)
            self.writer.close()

    async def answer(self, frame):
        """A client that has gone gets nothing, and the broker's further answers are still read."""
        try:
            self.writer.write(frame)
            await self.writer.drain()
        except OSError:
            pass

    async def swallow(self):
        try:
            while await self.old_reader.read(65536):
                pass
        except OSError:
            pass


class Proxy:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.broker_port = self.listener.getsockname()[1], None
        self.connections, self.orders, self.requests = set(), [], collections.Counter()
        self.refuses = False
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def start(self, broker_port):
        self.broker_port = broker_port
        self.thread.start()

    def serve(self):
        asyncio.set_event_loop(self.loop)
        self.open_to_broker, self.open_to_client = asyncio.Event(), asyncio.Event()
        self.open_to_broker.set()
        self.open_to_client.set()
        self.loop.run_until_complete(asyncio.start_server(self.accept, sock=self.listener))
        self.loop.run_forever()

    async def accept(self, reader, writer):
        if self.refuses:
            reset(writer)
            return
        connection = Connection(self, reader, writer)
        self.connections.add(connection)
        try:
            await connection.run()
        finally:
            self.connections.discard(connection)
            writer.close()

    def take_order(self, key):
        for order in self.orders:
            if key in order.keys:
                self.orders.remove(order)
                order.met.set_result(True)
                return order
        return None

    def call(self, function, *args):
        """In the proxy's thread; what it returns."""
        done = concurrent.futures.Future()

        def run():
            try:
                done.set_result(function(*args))
            except Exception as e:  # handed to the caller
                done.set_exception(e)

        self.loop.call_soon_threadsafe(run)
        return done.result(10)

    # --- faults ---

    def cut(self, client=None):
        """All connections, or those of one client, end with RST. Returns how many."""
        def run():
            chosen = [c for c in self.connections if client is None or c.client == client]
            for c in chosen:
                if hasattr(c, "up_writer"):
                    c.cut()
            return len(chosen)
        return self.call(run)

    def refuse(self, is_on):
        self.call(setattr, self, "refuses", is_on)

    def block(self, to_broker, to_client):
        """Nothing gets through in these directions until it is called again."""
        def run():
            for event, is_blocked in ((self.open_to_broker, to_broker), (self.open_to_client, to_client)):
                if is_blocked:
                    event.clear()
                else:
                    event.set()
        self.call(run)

    def order(self, what, keys, seconds=0.0):
        """what: hold, lose (its answer, and then the connection) or duplicate. The Order's `met` is done when one came."""
        order = Order(what, keys, seconds)
        self.call(self.orders.append, order)
        return order

    def release(self, order):
        """Lets a held request go before its time."""
        self.call(order.released.set)

    def withdraw_all(self):
        self.call(self.orders.clear)

    def withdraw(self, order):
        self.call(lambda: order in self.orders and self.orders.remove(order))
