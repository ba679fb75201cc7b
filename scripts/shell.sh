#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# shell.sh: a guest to play in, with the selftests and their tools in /opt/dibs.
# VARIANT=x86-debug or any other chooses the kernel, ARCH=s390x that architecture.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

case ${ARCH:-x86_64} in
s390x) VARIANT=${VARIANT:-s390} ;;
x86_64 | amd64) VARIANT=${VARIANT:-x86} ;;
*) die "ARCH=$ARCH is not one of x86_64, s390x" ;;
esac

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
