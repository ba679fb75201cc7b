#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check.sh [long]: builds, lints and tests everything and counts.  A step that could
# not run is a failure, and every other step runs nevertheless.
#
# 'long' is what takes hours: the tests on the KCSAN kernel, with many more rounds on
# the debug kernel, and every commit of the series built in every way.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -eq 0 ] || [ "$*" = long ] || die "usage: check.sh [long]"
MODE=check${1:+-$1}
unset TEST LONG # all of them, whatever a shell has left there

# What is there decides whether this run is called cold.
COLD=y
[ ! -e "$B/o-x86/vmlinux" ] || COLD=

# A step that ends with & runs beside the next one: compilers and checkers fill the
# time for which guests boot and wait.
if [ "$MODE" = check ]; then
	STEPS=(
		"tree:tree.sh"
		"kernel x86:kernel.sh x86"
		"kernel x86-debug:kernel.sh x86-debug"
		"kernel s390:kernel.sh s390"
		"lint:lint.sh &"
		"kunit:kunit.sh x86 x86-debug s390"
		"fabric:fabric.sh"
		"pair x86:pair-test.sh x86"
		"selftest x86:selftest.sh x86"
		"selftest x86-debug:selftest.sh x86-debug"
	)
else
	STEPS=(
		"tree:tree.sh"
		"kernel x86:kernel.sh x86"
		"kernel x86-kcsan:kernel.sh x86-kcsan"
		"kernel x86-debug:kernel.sh x86-debug"
		"kunit x86-kcsan:kunit.sh x86-kcsan"
		"fabric:fabric.sh --long"
		"pair x86:pair-test.sh --long x86"
		"selftest x86-kcsan:selftest.sh x86-kcsan"
		"selftest x86-debug:selftest.sh --long x86-debug"
		"series:series.sh check"
	)
fi

# numbers LOG: what the last line of a step's output counted, if it did
numbers() {
	sed -nE '$s/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 \4/p' "$1"
}

# why NAME LOG: the lines of a failed step's output that say what was wrong
why() {
	echo
	echo "=== $1 failed:"
	{
		sed -n '/^--- the guest/,/^---$/p' "$2"
		grep -E -B 8 -A 8 '^ *not ok |(^| )(error|ERROR): |\*\*\* ' "$2" || true
	} | tail -n 200
}

mkdir -p "$B/log" "$B/results"
reasons=$B/results/$MODE-reasons
: >"$reasons"
pass=0 fail=0 skip=0 n=0
summary=$B/results/$MODE
: >"$summary"
began=$(date +%s)

# run NAME COMMAND...: status and seconds go to files of their own, and what was
# there of an earlier run is gone at once
run() {
	local log="$B/log/$MODE-${1// /-}" rc=0 t
	rm -f "$log.end"
	t=$(date +%s)
	shift
	"$TOP/scripts/$1" "${@:2}" 2>&1 | tee "$log" || rc=$?
	echo "$rc $(($(date +%s) - t))" >"$log.end"
}

# counted NAME: adds up what a step printed that has ended
counted() {
	local log="$B/log/$MODE-${1// /-}" rc=1 secs=0 p f k
	read -r rc secs <"$log.end" || true
	read -r p f k <<<"$(numbers "$log")" || true
	# A step that counts nothing is itself one test, and one that fails without
	# saying what failed has a failure all the same.
	if [ -z "${p:-}" ]; then
		p=$((rc == 0)) f=$((rc != 0)) k=0
	elif [ "$rc" -ne 0 ] && [ "$f" -eq 0 ]; then
		f=1
	fi
	[ "$f" -eq 0 ] || why "$1" "$log" >>"$reasons"
	pass=$((pass + p)) fail=$((fail + f)) skip=$((skip + ${k:-0}))
	printf '%-20s %5d s  %4d passed, %d failed, %d skipped\n' "$1" "$secs" "$p" "$f" \
		"${k:-0}" >>"$summary"
}

beside=
for s in "${STEPS[@]}"; do
	name=${s%%:*}
	read -ra command <<<"${s#*:}"
	n=$((n + 1))
	step "$n/${#STEPS[@]}" "$name"
	if [ "${command[-1]}" = '&' ]; then
		say "$name goes on beside the next step, and is shown after it"
		run "$name" "${command[@]:0:${#command[@]}-1}" >/dev/null &
		beside=$name
		continue
	fi
	run "$name" "${command[@]}"
	if [ -n "$beside" ]; then
		say "$beside:"
		wait
		cat "$B/log/$MODE-${beside// /-}"
		counted "$beside"
		beside=
	fi
	counted "$name"
done

took=$(($(date +%s) - began))
[ -z "$COLD" ] || echo "$took" >"$B/results/$MODE-cold"
cat "$reasons"
echo
cat "$summary"
if [ -n "$COLD" ]; then
	echo "$MODE took $((took / 60)) min $((took % 60)) s, from nothing"
else
	cold=$(cat "$B/results/$MODE-cold" 2>/dev/null || true)
	took_cold=${cold:+$((cold / 60)) min $((cold % 60)) s}
	echo "$MODE took $((took / 60)) min $((took % 60)) s with what was built before;" \
		"from nothing: ${took_cold:-never run so}"
fi
echo "$pass passed, $fail failed, $skip skipped"
[ "$fail" -eq 0 ]
