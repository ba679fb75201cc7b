#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check.sh [long]: builds, lints and tests everything and counts.  A step that could
# not run is a failure, and every other step runs nevertheless.
#
# 'long' is what takes hours: the tests on the KCSAN kernel, with many more rounds on
# the debug kernel, guests and daemons that are killed, inputs and devices at random, and
# every commit of the series built in every way.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -eq 0 ] || [ "$*" = long ] || die "usage: check.sh [long]"
MODE=check${1:+-$1}
unset TEST LONG # all of them, whatever a shell has left there

# What is there decides whether this run is called cold.
COLD=y
[ ! -e "$B/o-x86/vmlinux" ] || COLD=

# Lanes run at the same time, each one step after the other: what compiles, lint, what
# runs on the debug kernel, which takes longest, guests with ISM functions if that is much,
# and the rest. Guests seldom keep two
# processors busy, and the compilers, which make way for them, have what they leave.
#   LANE|NAME|COMMAND[|NAME OF A STEP THAT HAS TO END BEFORE]...
if [ "$MODE" = check ]; then
	STEPS=(
		"build|tree|tree.sh"
		"build|kernel x86-debug|kernel.sh x86-debug"
		"build|kernel x86|kernel.sh x86"
		"build|kernel s390|kernel.sh s390"
		"lint|lint|lint.sh|tree"
		"rest|root amd64|rootfs.sh amd64"
		"rest|root s390x|rootfs.sh s390x"
		"rest|fabric|fabric.sh"
		"rest|kunit x86|kunit.sh x86|kernel x86"
		"rest|selftest x86|selftest.sh x86"
		"rest|pair x86|pair-test.sh x86"
		"rest|trio x86|trio-test.sh x86"
		"rest|console|console-test.sh|kernel x86"
		"rest|kunit s390|kunit.sh s390|kernel s390"
		"rest|pair s390|ism-test.sh s390"
		"rest|console s390|console-test.sh s390"
		"debug|kunit x86-debug|kunit.sh x86-debug|kernel x86-debug|root amd64"
		"debug|selftest x86-debug|selftest.sh x86-debug"
	)
else
	STEPS=(
		"build|tree|tree.sh"
		"build|kernel x86-debug|kernel.sh x86-debug"
		"build|kernel x86|kernel.sh x86"
		"build|kernel x86-kcsan|kernel.sh x86-kcsan"
		"build|kernel s390|kernel.sh s390"
		"build|kernel s390-base|kernel.sh s390-base"
		"build|kernel s390-debug|kernel.sh s390-debug"
		"build|series|series.sh check"
		"rest|root amd64|rootfs.sh amd64"
		"rest|root s390x|rootfs.sh s390x"
		"rest|fabric|fabric.sh --long"
		"rest|fuzz|fabric.sh --fuzz"
		"rest|pair x86|pair-test.sh --long x86|kernel x86"
		"rest|pair s390|pair-test.sh --virtio s390|kernel s390"
		"rest|storm x86|storm.sh x86"
		"rest|console|console-test.sh --long"
		"rest|kunit random|kunit.sh --random x86"
		"rest|kunit x86-kcsan|kunit.sh x86-kcsan|kernel x86-kcsan"
		"rest|selftest x86-kcsan|selftest.sh x86-kcsan"
		"debug|selftest x86-debug|selftest.sh --long x86-debug|kernel x86-debug|root amd64"
		"ism|ism s390|ism-test.sh --long s390|kernel s390-base|root s390x"
		"ism|pair ism|pair-test.sh --long s390"
		"ism|console s390|console-test.sh s390"
		"ism|kunit s390-debug|kunit.sh s390-debug|kernel s390-debug"
		"ism|ism s390-debug|ism-test.sh --long s390-debug"
		"ism|coverage|coverage.sh"
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
pass=0 fail=0 skip=0
summary=$B/results/$MODE
: >"$summary"
began=$(date +%s)

# log_of NAME: where the output of a step goes; its status and seconds are in LOG.end
log_of() {
	echo "$B/log/$MODE-${1// /-}"
}

# run NAME COMMAND...: what it says is shown with the step in front
run() {
	local name=$1 log rc=0 t
	log=$(log_of "$name")
	t=$(date +%s)
	shift
	"$TOP/scripts/$1" "${@:2}" 2>&1 | tee "$log" | sed -u "s/^/$name: /" || rc=$?
	echo "$rc $(($(date +%s) - t))" >"$log.end.new"
	mv "$log.end.new" "$log.end"
	say "$name ended after $(($(date +%s) - t)) s$([ "$rc" -eq 0 ] || echo ": it failed")"
}

# let_go LANE: what a lane has not come to has failed, and nobody waits for it
let_go() {
	local s part
	for s in "${STEPS[@]}"; do
		IFS='|' read -ra part <<<"$s"
		if [ "${part[0]}" = "$1" ] && [ ! -e "$(log_of "${part[1]}").end" ]; then
			: >>"$(log_of "${part[1]}")"
			echo "1 0" >"$(log_of "${part[1]}").end"
		fi
	done
}

# lane NAME: runs its steps one after the other
lane() {
	local s part need
	# shellcheck disable=SC2064 # the name of this lane
	trap "let_go $1" EXIT
	for s in "${STEPS[@]}"; do
		IFS='|' read -ra part <<<"$s"
		[ "${part[0]}" = "$1" ] || continue
		for need in "${part[@]:3}"; do
			until [ -e "$(log_of "$need").end" ]; do sleep 1; done
		done
		say "== ${part[1]}"
		# shellcheck disable=SC2086 # words
		run "${part[1]}" ${part[2]}
	done
}

# counted NAME: adds up what a step printed that has ended
counted() {
	local log rc=1 secs=0 p f k
	log=$(log_of "$1")
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

# What there is of an earlier run says nothing about this one.
for s in "${STEPS[@]}"; do
	IFS='|' read -ra part <<<"$s"
	rm -f "$(log_of "${part[1]}")"{,.end}
done
trap 'trap - TERM; kill 0' INT TERM HUP
for l in build lint; do
	(
		renice -n 10 $BASHPID >/dev/null
		lane $l
	) &
done
for l in debug ism rest; do
	lane $l &
done
wait
for s in "${STEPS[@]}"; do
	IFS='|' read -ra part <<<"$s"
	counted "${part[1]}"
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
