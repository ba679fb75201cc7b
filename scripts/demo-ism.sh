#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# demo-ism.sh: two s390x guests, emulated on any machine, whose ISM functions are on one
# fabric: nginx and curl transfer a file over SMC-D.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# status_ok: did the daemon, which has said this, do what was shown?  A move can be
# under way when the DMB goes that it is for.
status_ok() {
	sed -n 's/^host: //p' "$B/results/demo-ism" | jq -es '
		.[0].restarts == 0 and (.[1:] | length == 2 and
		all(.joined and .commands > 0 and .moves > 0 and .signals > 0 and
		    .interrupts > 0 and (.errors | del(.noent) | add == 0)))' >/dev/null
}

step 1/3 "the guests' root file system, QEMU, and the kernel"
need_pkgs mmdebstrap squashfs-tools qemu-system-misc gcc make libseccomp-dev libjansson-dev \
	netcat-openbsd jq
{
	"$TOP/scripts/rootfs.sh" s390x >"$B/rootfs-name-s390x"
	"$TOP/scripts/qemu.sh" >/dev/null
} &
fetched=$!
trap 'kill $fetched 2>/dev/null || true' EXIT
"$TOP/scripts/kernel.sh" s390
wait $fetched
trap - EXIT

step 2/3 "the preload library and the programs that look at SMC"
"$TOP/scripts/selftest.sh" --build s390

step 3/3 "two guests"
"$TOP/scripts/pair.sh" -n demo-ism -t 900 -c 1 -d "$B/selftests-s390x" s390 \
	'. /opt/dibs/demo-ism'
status_ok || die "the daemon's status is not what it should be"
say "done"
