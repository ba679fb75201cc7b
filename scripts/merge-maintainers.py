#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Merge sections into a MAINTAINERS file, in alphabetical order.

usage: merge-maintainers.py BASE ENTRIES > MERGED
"""
import re
import sys


def sections(text):
    """Split into blocks that are separated by empty lines."""
    return [s for s in re.split(r"\n\n+", text.strip("\n")) if s]


def main():
    base = open(sys.argv[1], encoding="utf-8").read()
    start = base.index("\n3C59X ") + 1
    head, known = base[:start], sections(base[start:])
    for entry in sections(open(sys.argv[2], encoding="utf-8").read()):
        title = entry.split("\n", 1)[0]
        pos = next((i for i, s in enumerate(known)
                    if s.split("\n", 1)[0] > title and s[0].isalnum()
                    and not s.startswith("THE REST")), len(known) - 1)
        known.insert(pos, entry)
    sys.stdout.write(head + "\n\n".join(known) + "\n")


if __name__ == "__main__":
    main()
