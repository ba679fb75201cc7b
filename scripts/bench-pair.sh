#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench-pair.sh [VARIANT]: SMC-D between two guests over virtio-dibs, or with VARIANT s390
# over ISM functions, against TCP over virtio-net.  ROUNDS=N interleaved rounds (default 5), SECONDS_EACH=N for each measurement
# (default 2).
#
# Guests have one CPU.  TCP takes the faster of two ways: a socket between the QEMUs, or
# a bridge of the host's, where root and /dev/net/tun allow it.  CPU time is that of both
# QEMUs and the daemon; what the host's kernel does for the bridge in interrupts of its
# own is not in it.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

VARIANT=${1:-x86}
ROUNDS=${ROUNDS:-5}
SECONDS_EACH=${SECONDS_EACH:-2}
OUT=$B/results/bench-pair-$VARIANT.figures
case $VARIANT in
s390*) TOOLS=$B/selftests-s390x ;;
*) TOOLS=$B/selftests ;;
esac
TABLE=(gawk -f "$TOP/scripts/bench-table.awk" -v
	nets="tcp=TCP default=SMC-D 1M=SMC-D,_1_MiB"
	-v ratios="default/tcp 1M/tcp")

# pair NAME SETTINGS [OPTION...]: two guests that measure
pair() {
	local name=$1 settings=$2 log=$B/log/$1
	shift 2
	"$TOP/scripts/pair.sh" -n "$name" -t $((600 + ROUNDS * SECONDS_EACH * 120)) -c 1 "$@" \
		-d "$TOOLS" "$VARIANT" "$settings; . /opt/dibs/bench-pair" >"$log" 2>&1 ||
		die "the guests failed: $(tail -n 20 "$log")"
	grep -q '^b: measured' "$log" || die "the guests did not come to the end"
}

# figures NAME: what the guests and the host said, as lines for bench-table.awk
figures() {
	gawk '
		BEGIN {
			net["tcp"] = "tcp"
			net[65536] = "default"
			net[1048576] = "1M"
		}
		function figure(name, value) {
			print "figure", $3, net[$4], what "_" name, value
		}
		$1 == "host:" && $2 == "usage" {
			split(now, before)
			now = $0
		}
		$1 == "b:" && $2 == "phase" {
			split(now, after)
			size = $6 < 1024 ? $6 "B" : $6 / 1024 "K"
			stream = $5 == "stream"
			what = (stream ? "stream_" : "round_trip_") size
			unit = stream ? "ns/byte" : "us"
			per = stream ? $6 * $7 / 1e6 : $7 / 1e3
			figure(stream ? "MB/s" : "us", $8)
			figure("CPU_" unit, (after[3] + after[4] - before[3] - before[4]) / per)
			figure("daemon_CPU_" unit, (after[4] - before[4]) / per)
			figure("moves", (after[7] - before[7]) / $7)
			figure("signals", (after[8] - before[8]) / $7)
			figure("doorbells", (after[6] - before[6]) / $7)
			figure("interrupts", $9 / $7)
			figure("wake-ups", (after[5] - before[5]) / $7)
		}' "$B/log/$1"
}

# way NAME OPTION...: how fast TCP is that way, which is remembered if it is the fastest
best=0
way() {
	local name=$1 speed
	shift
	ROUNDS=3 pair "bench-$name" \
		"ROUNDS=3 SECONDS_EACH=1 KINDS=tcp TESTS=stream:65536" "$@"
	speed=$(figures "bench-$name" | gawk '/_MB\/s / { v[++n] = $5 + 0 }
		END { asort(v); printf "%.1f", v[int((n + 1) / 2)] }')
	echo "  TCP over virtio-net, $name: $speed MB/s"
	if gawk "BEGIN { exit !($speed > $best) }"; then
		best=$speed fastest=$name options=("$@")
	fi
}

mkdir -p "$B/results" "$B/log"
need_pkgs gawk iproute2
if [ "$VARIANT" != x86 ]; then
	# for the record, without aims: what is measured is an emulation
	"$TOP/scripts/kernel.sh" "$VARIANT"
	"$TOP/scripts/selftest.sh" --build "${VARIANT%%-*}"
	pair "bench-pair-$VARIANT" "ROUNDS=$ROUNDS SECONDS_EACH=$SECONDS_EACH
		TESTS='stream:65536 pingpong:64'"
	figures "bench-pair-$VARIANT" >"$OUT"
	grep -E '_(MB/s|64B_us) ' "$OUT" | "${TABLE[@]}"
	exit
fi
step 1/3 "two guests: kernel, programs and daemon"
"$TOP/scripts/kernel.sh" x86
"$TOP/scripts/selftest.sh" --build

step 2/3 "the faster Ethernet"
way socket
if can_bridge; then
	way bridge -b
else
	echo "  no bridge: needs root and /dev/net/tun"
fi
say "TCP goes over the $fastest"

step 3/3 "SMC-D against TCP, $ROUNDS rounds"
pair bench-pair "ROUNDS=$ROUNDS SECONDS_EACH=$SECONDS_EACH" "${options[@]}"
figures bench-pair >"$OUT"
bad=0
aims="stream_64K_MB/s:default/tcp:>4:>1.5 stream_64K_MB/s:1M/tcp:>4:>1.5"
aims+=" round_trip_64B_us:default/tcp:<0.4:<0.8 round_trip_4K_us:default/tcp:<0.4"
echo "speed, medians and spread:"
grep -E '_(MB/s|[0-9]+[BK]_us) ' "$OUT" | "${TABLE[@]}" -v aims="$aims" || bad=1
echo
echo "CPU time of the host, both QEMUs and the daemon:"
grep CPU "$OUT" | "${TABLE[@]}" -v aims="stream_64K_CPU_ns/byte:1M/tcp:<0.4"
echo
echo "per message, a write of a stream or a round trip (interrupts: of both guests; doorbells,"
echo "moves, signals and wake-ups: of the daemon):"
grep -E '_(moves|signals|doorbells|interrupts|wake-ups) ' "$OUT" | "${TABLE[@]}"
say "accelerator: $(cat "$B"/accel-amd64-* 2>/dev/null || echo "${ACCEL:-?}"), CPUs: 1 each"
exit $bad
