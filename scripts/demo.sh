#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# demo.sh: from nothing to unmodified Debian applications that talk SMC-D over dibs,
# in a guest alone and between two, and to a console without a network.  The kernel is made while the root file system and
# QEMU are: it needs the processors, they need the network.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# status_ok: did the daemon, which has said this, do what was shown?  A move can be
# under way when the DMB goes that it is for.
status_ok() {
	sed -n 's/^host: //p' "$B/results/demo-pair" | jq -es '
		.[0].restarts == 0 and (.[1:] | length == 2 and
		all(.joined and .moves > 0 and .signals > 0 and
		    (.errors | del(.noent) | add == 0)))' >/dev/null
}

step 1/5 "the guests' root file system, QEMU, and the kernel"
need_pkgs mmdebstrap squashfs-tools qemu-system-x86 seabios gcc make libc6-dev \
	libseccomp-dev libjansson-dev netcat-openbsd jq iproute2
{
	"$TOP/scripts/rootfs.sh" >"$B/rootfs-name"
	"$TOP/scripts/qemu.sh" >/dev/null
} &
fetched=$!
trap 'kill $fetched 2>/dev/null || true' EXIT
"$TOP/scripts/kernel.sh" x86
wait $fetched
trap - EXIT

step 2/5 "the preload library and the programs that look at SMC"
"$TOP/scripts/selftest.sh" --build

step 3/5 "a guest with itself"
"$TOP/scripts/guest.sh" -n demo -m 2048 -t 420 -d "$B/selftests" -d "$TOP/scripts/guest" \
	x86 /opt/dibs/demo

step 4/5 "two guests"
way="a socket between the QEMUs" options=()
if can_bridge; then
	# TCP is faster that way, and is to have its due
	way="a bridge of the host" options=(-b)
fi
"$TOP/scripts/pair.sh" -n demo-pair -t 600 -c 1 -d "$B/selftests" "${options[@]}" x86 \
	"WAY='$way'; . /opt/dibs/demo-pair"
status_ok || die "the daemon's status is not what it should be"

step 5/5 "two guests without a network: one is the terminal of the other"
"$TOP/scripts/console-test.sh" --demo
say "done; make demo-ism shows the same with two mainframe guests"
