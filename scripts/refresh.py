#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Write edits made in the work tree back to overlay and patches.

usage: refresh.py TOP TREE [ENTRY]

TREE is the git repository that tree.sh makes: tag base, and refs/series/NAME
for each entry of patches/series. An edit of a file of the overlay goes to that
file. An edit of a file of the base goes to the patch that the lines around it
come from, or to ENTRY. Nothing is written unless everything has one place.
"""
import difflib
import os
import shutil
import subprocess
import sys
import tempfile

OVERLAY = ("arch/", "Documentation/", "drivers/", "include/", "net/",
           "samples/", "tools/")


class Refused(Exception):
    """An edit that has no place, or more than one."""


def read_lines(path):
    """The lines of a file with their ends, [] if there is none."""
    if not os.path.lexists(path):
        return []
    with open(path, "rb") as f:
        return f.read().splitlines(keepends=True)


class Tree:
    """The work tree and the commits under it."""

    def __init__(self, top, path):
        self.path = path
        self.names = [line.split("#")[0].strip() for line in
                      open(f"{top}/patches/series", encoding="utf-8")]
        self.names = [n for n in self.names if n and n[0] != "["]
        self.commits = ["base"] + [f"refs/series/{n}" for n in self.names]

    def git(self, *args, env=None, stdin=None):
        return subprocess.run(["git", "-C", self.path, *args], check=True,
                              stdout=subprocess.PIPE, input=stdin,
                              env={**os.environ, **(env or {})}).stdout

    def changed(self):
        """(path, status) of each edit; Debian's .gitignore hides everything,
        so new files are looked for without it."""
        out = self.git("diff", "--name-status", "--no-renames", "-z", "HEAD")
        words = out.decode().split("\0")[:-1]
        edits = list(zip(words[1::2], words[0::2]))
        new = self.git("ls-files", "-o", "-z").decode().split("\0")[:-1]
        return edits + [(path, "A") for path in new]

    def lines(self, commit, path):
        show = subprocess.run(["git", "-C", self.path, "show", f"{commit}:{path}"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=False)
        return show.stdout.splitlines(keepends=True) if show.returncode == 0 else []

    def blame(self, path):
        """For each line the index of the entry that it comes from, 0: base."""
        index = {self.git("rev-parse", c).decode().strip(): i
                 for i, c in enumerate(self.commits)}
        out = self.git("blame", "-s", "-l", "--root", "HEAD", "--", path)
        return [index.get(line.split(b" ")[0].decode().lstrip("^"), 0)
                for line in out.splitlines()]

    def blob(self, lines):
        return self.git("hash-object", "-w", "--stdin",
                        stdin=b"".join(lines)).decode().strip()


def merge(ours, base, theirs):
    """Three-way merge of lists of lines, None on a conflict."""
    with tempfile.TemporaryDirectory() as tmp:
        names = []
        for name, lines in (("ours", ours), ("base", base), ("theirs", theirs)):
            names.append(f"{tmp}/{name}")
            with open(names[-1], "wb") as f:
                f.writelines(lines)
        done = subprocess.run(["git", "merge-file", "-p", "-q", *names],
                              stdout=subprocess.PIPE, check=False)
    return done.stdout.splitlines(keepends=True) if done.returncode == 0 else None


class BaseFile:
    """An edited file of the base: which patch gets which of its hunks."""

    def __init__(self, tree, path, entry):
        self.tree, self.path = tree, path
        self.versions = [tree.lines(c, path) for c in tree.commits]
        self.head = self.versions[-1]
        self.work = read_lines(f"{tree.path}/{path}")
        match = difflib.SequenceMatcher(None, self.head, self.work, autojunk=False)
        self.hunks = [op[1:] for op in match.get_opcodes() if op[0] != "equal"]
        touching = [k for k in range(1, len(self.versions))
                    if self.versions[k] != self.versions[k - 1]]
        if entry:
            self.owners = [entry] * len(self.hunks)
        elif len(touching) == 1:
            self.owners = touching * len(self.hunks)
        else:
            blame = tree.blame(path) if self.head else []
            self.owners = [self.owner(h, blame, touching) for h in self.hunks]

    def name(self, k):
        return self.tree.names[k - 1]

    def owner(self, hunk, blame, touching):
        """The patch whose lines HUNK changes, or else the nearest."""
        first, last = hunk[0], hunk[1]
        for reach in (0, 1, 3):
            near = {k for k in blame[max(first - reach, 0):last + reach] if k}
            if near:
                break
        else:
            near = set(touching)
        if len(near) == 1:
            return near.pop()
        where = f"{self.path}:{hunk[2] + 1}"
        if not near:
            raise Refused(f"{where}: no patch touches this file")
        raise Refused(f"{where}: this hunk would belong to each of " +
                      ", ".join(self.name(k) for k in sorted(near)))

    def edited(self, last):
        """The final file with those hunks only that go to entry LAST or before."""
        out, pos = [], 0
        for (a0, a1, b0, b1), k in zip(self.hunks, self.owners):
            out += self.head[pos:a0]
            out += self.work[b0:b1] if k <= last else self.head[a0:a1]
            pos = a1
        return out + self.head[pos:]

    def rewrite(self):
        """All versions of the file with the hunks in their places."""
        new = list(self.versions)
        for k in range(min(self.owners), len(new)):
            edited = self.edited(k)
            if edited != self.head:
                new[k] = merge(self.versions[k], self.head, edited)
            if new[k] is None:
                later = [self.name(j) for j in range(k + 1, len(new))
                         if self.versions[j] != self.versions[j - 1]]
                raise Refused(f"{self.path}: an edit would belong to {self.name(k)}"
                              f" and to {', '.join(later)}")
        return new


def write_diffs(top, tree, files, overlay):
    """Write patches/*/diff anew where FILES (path: versions) change them."""
    trees = []
    index = {"GIT_INDEX_FILE": f"{tree.path}/.git/index.refresh"}
    for k, commit in enumerate(tree.commits):
        tree.git("read-tree", commit, env=index)
        for path, versions in files.items():
            if versions[k]:
                mode = tree.git("ls-tree", "base", path).decode()[:6] or "100644"
                info = f"{mode},{tree.blob(versions[k])},{path}"
                tree.git("update-index", "--add", "--cacheinfo", info, env=index)
            else:
                tree.git("update-index", "--force-remove", path, env=index)
        trees.append(tree.git("write-tree", env=index).decode().strip())
    os.unlink(index["GIT_INDEX_FILE"])
    skip = [f":(exclude){p}" for p in sorted(overlay | {"MAINTAINERS"})]
    for k, name in enumerate(tree.names, 1):
        if all(v[k] == v[k - 1] for v in files.values()):
            continue
        diff = tree.git("diff", "--no-renames", trees[k - 1], trees[k],
                        "--", ".", *skip)
        with open(f"{top}/patches/{name}/diff", "wb") as f:
            # without the blob ids, which change with each earlier patch
            f.writelines(line for line in diff.splitlines(keepends=True)
                         if not line.startswith(b"index "))
        print(f"patches/{name}/diff")


def write_overlay(top, tree, path, entry):
    """Copy one file, and give a new one to ENTRY."""
    source, target = f"{tree.path}/{path}", f"{top}/{path}"
    if os.path.exists(source):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    else:
        os.unlink(target)
    if entry:
        with open(f"{top}/patches/{tree.names[entry - 1]}/files", "a",
                  encoding="utf-8") as f:
            f.write(path + "\n")
    print(path)


def main(top, path, entry=None):
    tree = Tree(top, path)
    if entry and entry not in tree.names:
        sys.exit(f"refresh: patches/series has no {entry}")
    number = tree.names.index(entry) + 1 if entry else None
    overlay = set()
    for name in tree.names:
        if os.path.exists(f"{top}/patches/{name}/files"):
            overlay |= set(open(f"{top}/patches/{name}/files",
                                encoding="utf-8").read().split())
    overlay -= {"MAINTAINERS"}
    refused, copies, files = [], [], {}
    for path_, status in tree.changed():
        try:
            if path_ == "MAINTAINERS":
                raise Refused("MAINTAINERS: edit the entries in the repository")
            if path_ in overlay or os.path.exists(f"{top}/{path_}"):
                if status == "D":
                    raise Refused(f"{path_}: delete it in the repository, and its "
                                  "line in patches/*/files")
                copies.append((path_, None))
            elif status == "A":
                if not path_.startswith(OVERLAY) or not number:
                    raise Refused(f"{path_}: a new file of which commit?")
                copies.append((path_, number))
            else:
                files[path_] = BaseFile(tree, path_, number).rewrite()
        except Refused as e:
            refused.append(str(e))
    if refused:
        sys.exit("refresh: nothing was written\n  " + "\n  ".join(refused) +
                 "\nname the entry of patches/series that is meant: "
                 "make refresh PATCH=NAME")
    for path_, new in copies:
        write_overlay(top, tree, path_, new)
    if files:
        write_diffs(top, tree, files, overlay)


if __name__ == "__main__":
    main(*sys.argv[1:])
