#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# shell.sh [VARIANT]: a guest to play in, with the selftests and their tools in /opt/dibs.
# x86-debug or any other VARIANT chooses the kernel, s390 the other architecture.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

VARIANT=${1:-x86}

"$TOP/scripts/kernel.sh" "$VARIANT"
opts=(-d "$TOP/scripts/guest")
case $VARIANT in
s390*) ;; # its test programs would need a cross C library
*)
	"$TOP/scripts/selftest.sh" --build
	opts+=(-d "$B/selftests")
	;;
esac
exec "$TOP/scripts/guest.sh" "${opts[@]}" -m 2048 -s "$VARIANT"
