#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# check.sh OUT: runs the tests of what was built in OUT and counts
#
# LONG=1 takes more rounds.

OUT=$1
pass=0 fail=0

# run NAME FLAVOUR: a test program, with the daemon of that flavour
run() {
	echo "# $1, daemon: $2"
	DIBS_FABRIC=$OUT/$2/dibs-fabric "$OUT/asan/tests/$1" >"$OUT/tap" 2>"$OUT/stderr"
	rc=$?
	cat "$OUT/tap"
	p=$(grep -c '^ok ' "$OUT/tap")
	f=$(grep -c '^not ok ' "$OUT/tap")
	[ $rc -eq 0 ] || [ "$f" -gt 0 ] || f=1
	if grep -qE 'Sanitizer|runtime error' "$OUT/stderr"; then
		f=$((f + 1))
	fi
	[ "$f" -eq 0 ] || tail -n 50 "$OUT/stderr"
	pass=$((pass + p)) fail=$((fail + f))
}

run fabric_test plain
run virtq_test plain
run holder_test plain
run conform_test asan
run hostile_test asan
run hostile_test plain
run fault_test fault
run death_test asan
run ism_test asan
run ism_test plain
run notify_test asan
run notify_test plain
run scale_test plain
run socket_test asan
run socket_test plain
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
