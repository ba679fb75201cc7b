#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fabric.sh [--long|--fuzz]: builds the fabric daemon and runs its own tests, which need
# no guest; --long with many more rounds. --fuzz feeds it 1.5 * 10^7 inputs of libFuzzer.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

RUNS=5000000 # for each of the three fuzzers

daemon() {
	make --no-print-directory -C "$TOP/tools/dibs" OUT="$B/dibs" "$@"
}

unset LONG
need_pkgs gcc make libseccomp-dev libjansson-dev
case ${1-} in
--fuzz)
	need_pkgs clang python3
	need_pkgs "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
	daemon -j2 fuzz RUNS="$RUNS"
	;;
--long)
	export LONG=1
	daemon check
	;;
*)
	daemon check
	;;
esac
