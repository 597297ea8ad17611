"""The protocol as wire/api.def and wire/msg/*.def describe it, for tests: requests from random or given values, answers back.

A value is what Python has for it: a dict for a struct, a list for an array, bytes for strings, bytes, uuids and records.
"""

import pathlib
import re
import struct

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEVER = 1 << 15
INTS = {"INT8": ">b", "INT16": ">h", "INT32": ">i", "INT64": ">q"}


class Malformed(Exception):
    pass


class Api:
    def __init__(self, key, name, low, high, flexible):
        self.key, self.name, self.low, self.high, self.flexible = key, name, low, high, flexible


class Field:
    def __init__(self, what, kind, name, options):
        self.what, self.kind, self.name = what, kind, name
        self.since, self.until, self.null_since, self.tag = 0, NEVER, NEVER, None
        for option, number in re.findall(r"(\w+)(?:\((-?\w+)\))?", options):
            if option == "SINCE":
                self.since = int(number)
            elif option == "UNTIL":
                self.until = int(number)
            elif option == "NULLABLE":
                self.null_since = 0
            elif option == "NULLABLE_SINCE":
                self.null_since = int(number)
            elif option == "TAG":
                self.tag = int(number)

    def lives(self, version):
        return self.since <= version <= self.until

    def may_be_null(self, version):
        return version >= self.null_since


def read_apis():
    rows = re.findall(r"^API\((\d+), (\w+), (\d+), (\d+), (\w+)\)", (ROOT / "wire/api.def").read_text(), re.M)
    return {int(key): Api(int(key), name, int(low), int(high), NEVER if flexible == "WIRE_NEVER" else int(flexible))
            for key, name, low, high, flexible in rows}


def read_structs():
    structs = {}
    for path in sorted((ROOT / "wire/msg").glob("*.def")):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
        for name, body in re.findall(r"^STRUCT\((\w+)\)(.*?)^END", text, re.M | re.S):
            structs[name] = [Field(*row) for row in re.findall(
                r"^\t(FIELD|LIST|ARRAY|NESTED)\((\w+), (\w+)((?:, \w+(?:\(-?\w+\))?)*)\)", body, re.M)]
    return structs


APIS, STRUCTS = read_apis(), read_structs()


def uvarint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


# --- writing ---

class Writer:
    def __init__(self, version, is_flexible):
        self.version, self.is_flexible, self.out = version, is_flexible, bytearray()

    def length(self, n, form):
        """n is None: null."""
        n = -1 if n is None else n
        self.out += uvarint(n + 1) if self.is_flexible else struct.pack(form, n)

    def one(self, kind, value):
        if kind in INTS:
            self.out += struct.pack(INTS[kind], value)
        elif kind == "BOOL":
            self.out.append(value)
        elif kind == "UUID":
            self.out += value
        elif kind in STRUCTS:
            self.struct(kind, value)
        else:
            self.length(None if value is None else len(value), ">h" if kind == "STRING" else ">i")
            self.out += value or b""

    def field(self, f, value):
        if f.what in ("LIST", "ARRAY"):
            self.length(None if value is None else len(value), ">i")
            for element in value or []:
                self.one(f.kind, element)
        elif f.what == "NESTED" and f.may_be_null(self.version):
            self.out.append(0xff if value is None else 1)
            if value is not None:
                self.struct(f.kind, value)
        else:
            self.one(f.kind, value)

    def struct(self, name, value):
        fields = [f for f in STRUCTS[name] if f.lives(self.version)]
        for f in fields:
            if f.tag is None:
                self.field(f, value[f.name])
        if not self.is_flexible:
            return
        tags = sorted((f for f in fields if f.tag is not None and f.name in value), key=lambda f: f.tag)
        self.out += uvarint(len(tags))
        for f in tags:
            w = Writer(self.version, True)
            w.field(f, value[f.name])
            self.out += uvarint(f.tag) + uvarint(len(w.out)) + w.out


def request(key, version, correlation_id, value, client_id=b"hostile"):
    """A request without its length."""
    api = APIS[key]
    w = Writer(version, version >= api.flexible)
    w.out += struct.pack(">hhih", key, version, correlation_id, len(client_id)) + client_id
    if w.is_flexible:
        w.out.append(0)
    w.struct(api.name + "_request", value)
    return bytes(w.out)


def framed(body):
    return struct.pack(">i", len(body)) + body


# --- reading ---

class Reader:
    def __init__(self, data, version, is_flexible):
        self.data, self.at, self.version, self.is_flexible = data, 0, version, is_flexible

    def take(self, n):
        if n < 0 or self.at + n > len(self.data):
            raise Malformed("it ends too early")
        self.at += n
        return self.data[self.at - n:self.at]

    def uvarint(self):
        n = shift = 0
        while True:
            byte = self.take(1)[0]
            n |= (byte & 0x7f) << shift
            if byte < 0x80:
                return n
            shift += 7
            if shift > 28:
                raise Malformed("a varint is too long")

    def length(self, form):
        n = self.uvarint() - 1 if self.is_flexible else struct.unpack(form, self.take(struct.calcsize(form)))[0]
        if n < -1:
            raise Malformed("a length is negative")
        return n

    def one(self, kind, is_nullable):
        if kind in INTS:
            return struct.unpack(INTS[kind], self.take(struct.calcsize(INTS[kind])))[0]
        if kind == "BOOL":
            return self.take(1)[0] != 0
        if kind == "UUID":
            return self.take(16)
        if kind in STRUCTS:
            return self.struct(kind)
        n = self.length(">h" if kind == "STRING" else ">i")
        if n < 0 and not is_nullable:
            raise Malformed("a %s is null" % kind)
        return None if n < 0 else self.take(n)

    def field(self, f):
        is_nullable = f.may_be_null(self.version)
        if f.what in ("LIST", "ARRAY"):
            n = self.length(">i")
            if n < 0 and not is_nullable:
                raise Malformed("the array %s is null" % f.name)
            return None if n < 0 else [self.one(f.kind, False) for _ in range(n)]
        if f.what == "NESTED" and is_nullable:
            return None if self.take(1) == b"\xff" else self.struct(f.kind)
        return self.one(f.kind, is_nullable)

    def struct(self, name):
        fields = [f for f in STRUCTS[name] if f.lives(self.version)]
        value = {f.name: self.field(f) for f in fields if f.tag is None}
        if self.is_flexible:
            self.tags(fields, value)
        return value

    def tags(self, fields, value):
        known = {f.tag: f for f in fields if f.tag is not None}
        for _ in range(self.uvarint()):
            tag, size = self.uvarint(), self.uvarint()
            end = self.at + size
            if tag in known:
                value[known[tag].name] = self.field(known[tag])
                if self.at != end:
                    raise Malformed("the size of tag %d is wrong" % tag)
            else:
                self.take(size)


def response(key, version, body):
    """(correlation id, value) of an answer without its length."""
    api = APIS[key]
    if key == 18 and not api.low <= version <= api.high:
        version = 0  # as it is answered
    r = Reader(body, version, version >= api.flexible)
    correlation_id = r.one("INT32", False)
    if r.is_flexible and key != 18:
        r.tags([], {})
    value = r.struct(api.name + "_response")
    if r.at != len(body):
        raise Malformed("%d bytes are left over" % (len(body) - r.at))
    return correlation_id, value


# --- record batches ---

CRC = []
for i in range(256):
    c = i
    for _ in range(8):
        c = c >> 1 ^ 0x82f63b78 * (c & 1)
    CRC.append(c)


def crc32c(data):
    c = 0xffffffff
    for byte in data:
        c = CRC[(c ^ byte) & 0xff] ^ c >> 8
    return c ^ 0xffffffff


def varint(n):
    n = n << 1 ^ n >> 63
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def batch(values, now_ms=1700000000000, producer=(-1, -1, -1), attributes=0):
    records = bytearray()
    for i, value in enumerate(values):
        record = b"\0" + varint(0) + varint(i) + varint(1) + b"k" + varint(len(value)) + value + varint(0)
        records += varint(len(record)) + record
    body = struct.pack(">hiqqqhii", attributes, len(values) - 1, now_ms, now_ms, *producer, len(values)) + bytes(records)
    return struct.pack(">qiibI", 0, len(body) + 9, 0, 2, crc32c(body)) + body


def batch_values(data):
    """The (offset, value) of each record of uncompressed batches made by batch()."""
    out, at = [], 0
    while at + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        if at + 12 + length > len(data):
            break
        r = Reader(data[at + 61:at + 12 + length], 0, False)
        for i in range(struct.unpack_from(">i", data, at + 57)[0]):
            signed(r), r.take(1), signed(r), signed(r)
            r.take(max(signed(r), 0))
            out.append((base + i, r.take(signed(r))))
            signed(r)
        at += 12 + length
    return out


def signed(r):
    n = r.uvarint()
    return n >> 1 ^ -(n & 1)
