#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# pair-test.sh [VARIANT]: the tests of two guests on one fabric, once as they are and
# once with a daemon whose worker is killed all the time, which must not be noticed.
# LONG=1 takes more rounds.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

VARIANT=${1:-x86}
pass=0 fail=0

# run NAME OPTION...: counts the results of one pair
run() {
	local name=$1 rc=0 p f
	shift
	say "two guests, $name"
	"$TOP/scripts/pair.sh" -n "$name" "$@" -t "$((${LONG:-0} ? 3600 : 600))" \
		-d "$B/selftests" "$VARIANT" \
		"CHECK_SECONDS=$((${LONG:-0} ? 600 : 20)); . /opt/dibs/pair-tests" || rc=$?
	p=$(grep -cE '^[ab]: ok ' "$B/results/$name" || true)
	f=$(grep -cE '^[ab]: not ok ' "$B/results/$name" || true)
	# both have to have come to their end
	[ "$(grep -cE '^[ab]: 1\.\.' "$B/results/$name" || true)" -eq 2 ] || f=$((f + 1))
	[ "$rc" -eq 0 ] || [ "$f" -gt 0 ] || f=1
	pass=$((pass + p)) fail=$((fail + f))
}

mkdir -p "$B/results"
[ -e "$B/selftests/dibs/smc_peer" ] || "$TOP/scripts/selftest.sh" --build
run pair
run pair-killed -k 0.5
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
