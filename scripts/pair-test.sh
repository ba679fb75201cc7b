#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# pair-test.sh [--long] [--virtio] [VARIANT]: the tests of two guests on one fabric;
# --long takes longer, and does it again with a daemon whose worker is killed all the time,
# which must not be noticed.  On s390x, devices are ISM functions unless --virtio is given.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

LONG=
if [ "${1-}" = --long ]; then
	LONG=y
	shift
fi
VIRTIO=()
if [ "${1-}" = --virtio ]; then
	VIRTIO=(-v)
	shift
fi
VARIANT=${1:-x86}
case $VARIANT in
s390*) ARCH=s390 TOOLS=$B/selftests-s390x PAIR=pair-$VARIANT${VIRTIO[*]} ;;
*) ARCH=x86 TOOLS=$B/selftests PAIR=pair ;;
esac
pass=0 fail=0

# run NAME OPTION...: counts the results of one pair
run() {
	local name=$1 rc=0 p f
	shift
	say "two guests, $name"
	"$TOP/scripts/pair.sh" -n "$name" "${VIRTIO[@]}" "$@" -t "${LONG:+3}600" \
		-d "$TOOLS" "$VARIANT" \
		"CHECK_SECONDS=${LONG:+600}; . /opt/dibs/pair-tests" || rc=$?
	p=$(grep -cE '^[ab]: ok ' "$B/results/$name" || true)
	f=$(grep -cE '^[ab]: not ok ' "$B/results/$name" || true)
	# both have to have come to their end
	[ "$(grep -cE '^[ab]: 1\.\.' "$B/results/$name" || true)" -eq 2 ] || f=$((f + 1))
	[ "$rc" -eq 0 ] || [ "$f" -gt 0 ] || f=1
	pass=$((pass + p)) fail=$((fail + f))
}

mkdir -p "$B/results"
"$TOP/scripts/selftest.sh" --build $ARCH
run "$PAIR"
[ -z "$LONG" ] || run "$PAIR-killed" -k 0.5
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
