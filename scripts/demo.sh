#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# demo.sh: from nothing to unmodified Debian applications that talk SMC-D over dibs
# in a guest.  The kernel and the root file system are made at the same time: one
# needs the processors, the other the network.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

step 1/3 "the guests' root file system, and the kernel"
need_pkgs mmdebstrap squashfs-tools qemu-system-x86 seabios gcc make libc6-dev
"$TOP/scripts/rootfs.sh" >"$B/rootfs-name" &
rootfs=$!
trap 'kill $rootfs 2>/dev/null || true' EXIT
"$TOP/scripts/kernel.sh" x86
wait $rootfs
trap - EXIT

step 2/3 "the preload library and the programs that look at SMC"
"$TOP/scripts/selftest.sh" --build

step 3/3 "the guest"
"$TOP/scripts/guest.sh" -n demo -m 2048 -t 420 -d "$B/selftests" -d "$TOP/scripts/guest" \
	x86 /opt/dibs/demo
say "done"
