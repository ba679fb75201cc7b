#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make_corpus.py DIR: inputs for the fuzz targets to begin with, in DIR/message,
DIR/ring and DIR/ism: each does one thing that a good client or driver does."""

import os
import struct
import sys


def write(kind, name, data):
    path = os.path.join(sys.argv[1], kind)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, name), "wb") as f:
        f.write(data)


def message(cmd, body=b"", flags=0, fds=0):
    m = struct.pack("<HHIII", 7, cmd, 16 + len(body), flags, 0) + body
    return bytes([fds, len(m)]) + m


def access(region, offset, value, size):
    return struct.pack("<QII", offset, region, size) + value.to_bytes(size, "little")


def register(offset, value, size):
    return message(9, access(0, offset, value, size))


def messages():
    """One message of each kind, and a driver that starts"""
    dma_map = message(2, struct.pack("<IIQQQ", 32, 3, 0, 0, 0x20000), fds=1)
    start = dma_map + register(8, 1, 4) + register(12, 3, 4) + register(20, 11, 1)
    for q in range(4):
        start += register(22, q, 2) + register(24, 16, 2)
        start += register(32, 0x300 * q, 4) + register(40, 0x300 * q + 0x100, 4)
        start += register(48, 0x300 * q + 0x180, 4) + register(28, 1, 2)
    start += register(20, 15, 1)
    write("message", "map", dma_map)
    write("message", "unmap", dma_map + message(3, struct.pack("<IIQQ", 24, 0, 0, 0x20000)))
    write("message", "unmap_all", dma_map + message(3, struct.pack("<IIQQ", 24, 2, 0, 0)))
    write("message", "info", message(4) + message(5, struct.pack("<IIIIQQ", 32, 0, 0, 0, 0, 0)))
    write("message", "irq_info", message(7, struct.pack("<IIII", 16, 0, 2, 0)))
    write("message", "irqs", message(8, struct.pack("<IIIII", 20, 0x24, 2, 0, 2), fds=2))
    write("message", "intx", message(8, struct.pack("<IIIII", 20, 0x24, 0, 0, 1), fds=1))
    write("message", "read", message(8 + 0, b"") + message(9, access(7, 0, 0, 4)))
    write("message", "start", start)
    write("message", "doorbell", start + message(9, access(0, 0x3000, 0, 2), flags=0x10))
    write("message", "reset", start + message(13))


def chain(memory, queue, out, into):
    """A buffer in a queue: what the device reads, and how much it may write"""
    base = 0x300 * queue
    at = 0x2000 + 0x400 * queue
    memory[at:at + len(out)] = out
    descs = []
    if out:
        descs.append((at, len(out), 0))
    if into:
        descs.append((at + 0x300, into, 2))
    for i, (addr, size, flags) in enumerate(descs):
        more = i + 1 < len(descs)
        struct.pack_into("<QIHH", memory, base + 16 * i, addr, size, flags | more, i + 1)
    struct.pack_into("<HHH", memory, base + 0x100, 0, 1, 0)


def ring(name, *chains, features=0):
    memory = bytearray(0x4000)
    for c in chains:
        chain(memory, *c)
    write("ring", name, bytes([features]) + bytes(memory))


def rings():
    """One request of each kind"""
    own, peer = b"A" * 8 + bytes(8), b"B" * 8 + bytes(8)
    move = struct.pack("<QHHHHII", 0x0101010101010101, 1, 3, 1, 0, 16, 8) + b"12345678"
    two = struct.pack("<QHHHHIIII", 0x0202020202020202, 0, 0, 2, 0, 0xff0, 32, 0, 3) + b"x" * 35
    reg = struct.pack("<Q", 1) + own + struct.pack("<IIQQII", 1, 0x1000, 1, 0x9000, 0x1000,
                                                   0)
    ring("register", (0, reg, 16))
    ring("unregister", (0, struct.pack("<QQ", 2, 0x0202020202020202), 16))
    ring("query", (0, struct.pack("<Q", 3) + peer, 16))
    ring("event", (0, struct.pack("<Q", 4) + peer + struct.pack("<IIQ", 1, 0, 2), 16))
    ring("move", (3, move, 4), features=1)
    ring("segments", (3, two, 4), features=3)
    ring("buffers", (1, b"", 48), (2, b"", 16), (3, move, 4))


# What fuzz_ism.c does with a record
BLOCK, REPEAT, WRITE, READ, MAP, UNMAP, SERVE, RESTART, RESET, INJECT = range(10)
A, B = 0, 1
TOKEN = 0x0101010100000000


def record(function, what, region=0, offset=0, data=b""):
    return struct.pack("<BBQ", what << 4 | region << 1 | function, len(data), offset) + data


def command(function, code, *words, what=BLOCK):
    data = struct.pack(f">II{len(words)}Q", code, 8 + 8 * len(words), *words)
    return record(function, what, 2, 0, data)


def move(where, data=b"12345678"):
    return record(A, BLOCK, 0, TOKEN | where, data)


def commands():
    """One command of each kind, also again, and after what it needs"""
    gid = 0x4141414141414141
    kinds = {
        "reg_sba": (1, 0x3000), "reg_ieq": (2, 0x4000, 512), "read_gid": (3,),
        "add_vlan": (4, 5), "del_vlan": (5, 5), "set_vlan": (6,), "reset_vlan": (7,),
        "query_info": (8,), "query_rgid": (9, gid, 0), "unknown": (13,), "short": (10,),
        "reg_dmb": (10, 0x5000, 0x1000 << 32 | 33, 0, gid), "unreg_dmb": (11, TOKEN),
        "signal_ieq": (14, gid, 1 << 32 | 7, 9), "unreg_sba": (17,), "unreg_ieq": (18,),
    }
    needs = {"reg_sba": "unreg_sba", "reg_ieq": "unreg_ieq", "del_vlan": "add_vlan"}
    for name, words in kinds.items():
        write("ism", name, command(B, *words))
        need = command(B, *kinds[needs[name]]) if name in needs else b""
        write("ism", name + "_again", need + command(B, *words, what=REPEAT))
    event, sba = command(B, *kinds["signal_ieq"]), command(B, *kinds["reg_sba"])
    for name, where in ("event", 0x10000), ("no_queue", 0x2000), ("no_array", 0x1000):
        write("ism", name, record(A, UNMAP, 0, where) + event + record(A, SERVE))
    write("ism", "gone", move(0) + command(B, 11, TOKEN) + record(A, SERVE))
    write("ism", "vlan", command(B, 4, 5) + command(A, 4, 5) +
          command(B, 9, gid, 1 << 32 | 5) + command(B, 8))
    write("ism", "vlans", b"".join(command(B, 4, i + 1) for i in range(65)))
    write("ism", "joins", (command(B, 17) + sba) * 65)


def functions():
    """Moves, and what else comes to a function"""
    signal = move(1 << 23 | 3 << 24 | 0xff8)
    write("ism", "move", move(16))
    write("ism", "signal", signal + record(B, SERVE))
    write("ism", "restart", signal + record(B, SERVE, 1) + record(B, RESTART))
    write("ism", "unmap", record(B, UNMAP, 0, 0x7000) + move(0) +
          record(B, MAP, 1, 0x7000) + move(0))
    write("ism", "unmap_all", record(B, UNMAP, 1) + signal + record(B, SERVE))
    write("ism", "readonly", record(B, UNMAP, 0, 0x1000) + record(B, MAP, 0, 0x1000) +
          signal + record(B, SERVE))
    write("ism", "no_master", record(B, WRITE, 7, 4, b"\6\0") +
          record(B, WRITE, 7, 4, b"\2\0") + move(0))
    write("ism", "config", record(B, READ, 7, 0, bytes(64)))
    write("ism", "read", command(B, 3) + record(B, READ, 2, 0, bytes(16)))
    write("ism", "reset", record(B, RESET, 0) + record(A, RESET, 1))
    for what in (b"command 1 4", b"move 1 2", b"delay 1 100", b"interrupt 1", b"error",
                 b"error 1"):
        write("ism", "fault_" + what.decode().replace(" ", "_"),
              record(A, INJECT, data=what) + record(B, INJECT, data=what) + signal +
              record(B, SERVE) + command(B, 3) + record(B, READ, 2, 0, bytes(8)))


messages()
rings()
commands()
functions()
