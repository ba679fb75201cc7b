#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make_corpus.py DIR: inputs for the fuzz targets to begin with, in DIR/message and
DIR/ring: each does one thing that a good client or driver does."""

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
    peer = b"B" * 16
    move = struct.pack("<QHHHHII", 0x0101010101010101, 1, 3, 1, 0, 16, 8) + b"12345678"
    two = struct.pack("<QHHHHIIII", 0x0202020202020202, 0, 0, 2, 0, 0xff0, 32, 0, 3) + b"x" * 35
    reg = struct.pack("<Q", 1) + b"A" * 16 + struct.pack("<IIQQII", 1, 0x1000, 1, 0x9000,
                                                         0x1000, 0)
    ring("register", (0, reg, 16))
    ring("unregister", (0, struct.pack("<QQ", 2, 0x0202020202020202), 16))
    ring("query", (0, struct.pack("<Q", 3) + peer, 16))
    ring("event", (0, struct.pack("<Q", 4) + peer + struct.pack("<IIQ", 1, 0, 2), 16))
    ring("move", (3, move, 4), features=1)
    ring("segments", (3, two, 4), features=3)
    ring("buffers", (1, b"", 48), (2, b"", 16), (3, move, 4))


messages()
rings()
