#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bystander.sh: what a guest that floods the fabric costs two others that use it
#
# Two guests talk SMC-D, and beside them, in turn, there is nothing (quiet), a guest that
# sends doorbells, events, registrations and moves as fast as it can (flood), and a process
# that takes as much of a processor as the flood and the daemon for it did, and does not know
# the fabric (burn): that much any process of the host can take from others where there are
# not enough processors, and a fabric has no say in it.  What the fabric is to answer for is
# flood against burn.
#
# ROUNDS=N (default 10), SECONDS_EACH=N for each measurement (default 2).

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

VARIANT=x86 NAME=bystander
ROUNDS=${ROUNDS:-10} SECONDS_EACH=${SECONDS_EACH:-2}
OUT=$B/results/bystander
# shellcheck source=scripts/agents.sh
. "$TOP/scripts/agents.sh"
FLOOD=$B/dibs/plain/tests/flood
A_IP=10.0.0.2

need_pkgs gawk
quietly "$B/log/dibs-fabric" make -C "$TOP/tools/dibs" OUT="$B/dibs" flood

# measured TEST SIZE COUNT: what b has of a
measured() {
	has b "smc_peer smc $A_IP 5000 $1 $2 $3" || return
	grep -v '^@' "$RUN/b.out" | tail -n 1
}

# count TEST SIZE FIRST: how often it has to be done to take SECONDS_EACH
count() {
	local n=$3 result
	# the first time warms up
	for _ in 1 2; do
		result=$(measured "$1" "$2" "$n") || return
		n=$(gawk -v test="$1" -v size="$2" -v x="$result" -v s="$SECONDS_EACH" 'BEGIN {
			printf "%d", 1 + s * 1e6 * (test == "pingpong" ? 1 / x : x / size) }')
	done
	echo "$n"
}

# ms PID...: of CPU time that processes have used
ms() {
	local pid
	for pid; do
		sed 's/.*) //' "/proc/$pid/stat"
	done | gawk -v hz="$(getconf CLK_TCK)" '{ n += $12 + $13 } END { print n * 1000 / hz }'
}

# beside KIND: what is there while measurements are made; its number is in LOAD
percent=50
beside() {
	LOAD=''
	case $1 in
	flood) "$FLOOD" "$RUN/main/evil.sock" 1000000 >"$RUN/flood" & ;;
	burn) "$FLOOD" burn "$percent" 1000000 >/dev/null & ;;
	*) return 0 ;;
	esac
	LOAD=$!
	sleep 0.5
}

# round N KIND: all measurements
round() {
	local stream rtt='' used began part
	beside "$2"
	# shellcheck disable=SC2086 # it can be none
	used=$(ms $WORKER $LOAD) began=$(now_ms)
	if stream=$(measured stream 65536 "$streams"); then
		rtt=$(measured pingpong 64 "$rtts") || true
	fi
	# shellcheck disable=SC2086
	part=$((100 * ($(ms $WORKER $LOAD) - used) / ($(now_ms) - began)))
	[ -z "$LOAD" ] || kill $LOAD
	[ -n "$rtt" ] || return
	[ -z "$LOAD" ] || wait $LOAD || return
	case $2 in
	quiet) own=$part ;;
	flood) percent=$((part - own > 100 ? 100 : part - own)) ;;
	esac
	printf "$1 $2 %s %s\n" stream_64K_MB/s "$stream" round_trip_64B_us "$rtt" >>"$OUT"
	echo "  $2: $stream MB/s, $rtt us, daemon and load $part % of a processor"
}

# against KIND: flood against that
against() {
	gawk -v other="$1" '$2 == "flood" { $2 = "a"; print } $2 == other { $2 = "b"; print }' "$OUT" |
		gawk -f "$TOP/scripts/bench-stats.awk"
}

# bearable: does the stream beside a flood reach nine tenths of that beside other work?
# That is the median of the rounds.
bearable() {
	gawk '$3 == "stream_64K_MB/s" && $2 == "flood" { a[$1] = $4 }
		$3 == "stream_64K_MB/s" && $2 == "burn" { b[$1] = $4 }
		END {
			for (r in a)
				v[++n] = a[r] / b[r]
			asort(v)
			m = n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
			printf "a flood leaves %.2f of the stream, at least 0.90: %s\n", m,
				m >= 0.9 ? "yes" : "NO"
			exit m < 0.9
		}' "$OUT"
}

mkdir -p "$B/results"
: >"$OUT"
daemon main plain 0xff01 a b evil
WORKER=$(pgrep -P "${DAEMON[main]}") own=0
guest a 2 main/a
guest b 3 main/b
for g in a b; do await $g '^@ready' 1; done
# shellcheck disable=SC2016 # the guest knows its address
has a 'serve 5000 smc_peer smc $ME 5000 serve'
has b "contact $A_IP"
streams=$(count stream 65536 64) rtts=$(count pingpong 64 400)
for ((i = 1; i <= ROUNDS; i++)); do
	say "round $i of $ROUNDS"
	order='quiet flood burn'
	[ $((i % 2)) -eq 1 ] || order='burn flood quiet' # burn: as the flood of the last round
	for kind in $order; do
		round "$i" "$kind" || die "the guests failed"
	done
done
say "the last flood: $(cat "$RUN/flood")"
for g in b a; do bye $g || fail=1; done
echo "a: beside a flood, b: beside nothing"
against quiet || true
echo "a: beside a flood, b: beside a process that takes as much of a processor ($percent %)"
against burn || true
bearable || fail=1
echo "$((1 - fail)) passed, $fail failed"
[ "$fail" -eq 0 ]
