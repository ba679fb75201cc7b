#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# shell.sh [VARIANT]: a guest to play in, with the selftests and their tools in /opt/dibs.
# x86-debug or any other VARIANT chooses the kernel, s390 the other architecture, where
# the guest has an ISM function.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

VARIANT=${1:-x86}

"$TOP/scripts/kernel.sh" "$VARIANT"
opts=(-d "$TOP/scripts/guest")
case $VARIANT in
s390*)
	"$TOP/scripts/selftest.sh" --build s390
	need_pkgs libseccomp-dev libjansson-dev
	quietly "$B/log/dibs-fabric" make -C "$TOP/tools/dibs" OUT="$B/dibs"
	mkdir -p "$B/run"
	RUN=$(mktemp -d "$B/run/shell.XXXXXX")
	"$B/dibs/plain/dibs-fabric" --device ism --fabric-id 0x07c1 --port "$RUN/a.sock" \
		2>"$B/log/shell-fabric" &
	trap 'kill $!; rm -rf "$RUN"' EXIT
	until [ -S "$RUN/a.sock.blk" ]; do
		kill -0 $! 2>/dev/null || die "the daemon ended: $(cat "$B/log/shell-fabric")"
		sleep 0.05
	done
	opts+=(-d "$B/selftests-s390x" -f "$RUN/a.sock")
	;;
*)
	"$TOP/scripts/selftest.sh" --build
	opts+=(-d "$B/selftests")
	;;
esac
"$TOP/scripts/guest.sh" "${opts[@]}" -m 2048 -s "$VARIANT"
