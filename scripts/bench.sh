#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh [pair]: SMC-D over dibs against the base kernel's SMC_LO, TCP and AF_UNIX, with
# applications as well, the costs of the dibs layer itself, and two guests; pair: only
# those, which is bench-pair.sh.  PAIRS=N pairs of boots (default 10).
#
# Times need a quiet host; instruction counts do not.  The same guest image is
# used throughout, and the two kernels take turns (A B B A).

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

case ${1-} in
pair) exec "$TOP/scripts/bench-pair.sh" ;;
?*) die "only pair can be run alone" ;;
esac
PAIRS=${PAIRS:-10}
CPUS=${CPUS:-2}
OUT=$B/results/bench

# shellcheck disable=SC2317 # quietly calls it
build_module() {
	rm -rf "$B/bench"
	mkdir -p "$B/bench"
	cp "$TOP"/tools/testing/selftests/dibs/bench/* "$B/bench/"
	use_variant x86
	kmake M="$B/bench" modules
}

# guest VARIANT MODE [OPTIONS of guest.sh]: emulated CPUs have one counter, which the
# kernel does not use as a clock for more than one CPU without being told, nor if it could
# not find out how fast it is, because the host was busy: then once more
guest() {
	local v=$1 mode=$2 tries rc env="${ROUNDS:+ROUNDS=$ROUNDS }${SCALE:+SCALE=$SCALE }"
	shift 2
	for ((tries = 0; tries < 5; tries++)); do
		rc=0
		"$TOP/scripts/guest.sh" -n "bench-$v-$mode" -t 900 -c "$CPUS" -a tsc=reliable \
			"$@" -d "$B/selftests" -d "$TOP/scripts/guest" -d "$B/bench" "$v" \
			"$env/opt/dibs/bench $mode" || rc=$?
		[ $rc -eq 75 ] || return $rc
		say "the guest has no clock" >&2
	done
	return $rc
}

# pair N SIDE: one boot, A is ours and B the base
pair() {
	local v=x86
	[ "$2" = a ] || v=x86-base
	guest $v pair >"$OUT.boot" || die "the guest failed: $(tail -n 5 "$OUT.boot")"
	gawk -v n="$1" -v side="$2" '/^figure 1 smc / { print n, side, $4, $5 }' "$OUT.boot" |
		tee -a "$OUT.pairs"
}

# console: once more if a guest had no clock
console() {
	local tries rc
	for ((tries = 0; tries < 3; tries++)); do
		rc=0
		"$TOP/scripts/bench-console.sh" || rc=$?
		[ $rc -eq 75 ] || return $rc
	done
	return $rc
}

# module: what dibs_bench.ko printed, as a table; its times are in ps
module_table() {
	gawk -v unit="$1" '
		/^bench (memcpy|move|lookup)_/ { v[$2] = $3 / 1000 }
		/^bench lookup_/ { if ($2 != "lookup_1") many = $2 }
		/^bench (dmbs|memory)/ { sub(/^bench /, ""); print "  " $0 }
		END {
			n = split("64 4096 65536 1048576", size)
			for (i = 1; i <= n; i++) {
				c = v["memcpy_" size[i]]
				m = v["move_" size[i]]
				printf "  %8d bytes: memcpy %11.1f, dibs_move_data %11.1f %s (%.2f)\n",
					size[i], c, m, unit, m / c
			}
			printf "  64 bytes with 1 DMB: %.1f, with %s: %.1f %s (%.2f)\n", v["lookup_1"],
				substr(many, 8), v[many], unit, v[many] / v["lookup_1"]
		}'
}

mkdir -p "$B/results"
need_pkgs gawk
step 1/12 "kernels and programs"
for v in x86 x86-base; do
	"$TOP/scripts/kernel.sh" $v
done
"$TOP/scripts/selftest.sh" --build
quietly "$B/log/bench-module" build_module

step 2/12 "move_data against memcpy, look-up, memory per DMB"
guest x86 module -m 2048 >"$OUT.module"
module_table ns <"$OUT.module"

step 3/12 "the same in guest instructions"
guest x86 module -m 2048 -i >"$OUT.module-insns"
module_table instructions <"$OUT.module-insns"

step 4/12 "instructions of SMC-D (a: dibs loopback, b: the base kernel's SMC_LO)"
bad=0
guest x86 insns -i >"$OUT.insns-a"
guest x86-base insns -i >"$OUT.insns-b"
grep -h idle "$OUT".insns-[ab]
for side in a b; do
	gawk -v side=$side '/^figure / { print $2, side, $4, $5 }' "$OUT.insns-$side"
done | gawk -f "$TOP/scripts/bench-stats.awk" \
	-v bounds='instructions_per_round_trip_64B=<1.03 instructions_per_64B_message=<1.03' ||
	bad=1

step 5/12 "what SMC-D, TCP and AF_UNIX take in instructions: 1 us is 1,000, 1 s is 10^9 of them"
ROUNDS=3 SCALE=1 guest x86 costs -i -m 2048 >"$OUT.costs"
gawk -f "$TOP/scripts/bench-table.awk" -v nets="tcp=TCP smc=SMC-D unix=AF_UNIX" \
	-v ratios="smc/tcp smc/unix" "$OUT.costs"

step 6/12 "SMC-D, TCP and AF_UNIX in one guest, medians and spread"
guest x86 nets >"$OUT.nets"
s=stream_64K_writes_64K_buffers_MB/s
aims="$s:smc/tcp:>2.5:>1 stream_64K_writes_1024K_buffers_MB/s:smc/tcp:>3"
aims+=" stream_1K_writes_64K_buffers_MB/s:smc/tcp:>1.5 round_trip_64B_us:smc/tcp:<0.45:<0.67"
aims+=" $s:smc/unix:>1.2 round_trip_64B_us:smc/unix:<0.9"
gawk -f "$TOP/scripts/bench-table.awk" -v nets="tcp=TCP smc=SMC-D unix=AF_UNIX copy=only_copied" \
	-v ratios="smc/tcp smc/unix smc/copy" -v aims="$aims" "$OUT.nets" || bad=1

step 7/12 "applications in one guest, with default buffers"
guest x86 apps -m 2048 >"$OUT.apps"
aims=sockperf_64B_beside_iperf3_p99_us:smc/tcp:'<1'
for f in redis_SET_1K redis_GET_1K nginx_1000_connections; do
	aims+=" ${f}_requests/s:smc/tcp:>1.5"
done
gawk -f "$TOP/scripts/bench-table.awk" -v nets="tcp=TCP smc=SMC-D unix=AF_UNIX" \
	-v ratios="smc/tcp smc/unix" -v aims="$aims" "$OUT.apps" || bad=1

step 8/12 "SMC-D over dibs (a) against the base kernel's SMC_LO (b), $PAIRS pairs of boots"
: >"$OUT.pairs"
for ((i = 1; i <= PAIRS; i++)); do
	say "pair $i of $PAIRS"
	order='a b'
	[ $((i % 2)) -eq 1 ] || order='b a'
	for side in $order; do
		pair "$i" "$side"
	done
done
bounds="round_trip_64B_us=<1.03 KiB_per_idle_connection=<1.03"
for b in 64K 1024K; do
	for w in 64K 16K; do
		bounds+=" stream_${w}_writes_${b}_buffers_MB/s=>0.97"
	done
done
gawk -f "$TOP/scripts/bench-stats.awk" -v bounds="$bounds" "$OUT.pairs" || bad=1

step 9/12 "SMC-D over virtio-dibs (two guests) against TCP over virtio-net"
"$TOP/scripts/bench-pair.sh" || bad=1

step 10/12 "what a guest that floods the fabric costs two others"
"$TOP/scripts/bystander.sh" || bad=1

step 11/12 "SMC-D over ISM functions (two s390x guests) against TCP over virtio-net"
"$TOP/scripts/bench-pair.sh" s390 || bad=1

step 12/12 "1 MiB through a console over dibs and through hvc (aim: 10 times as fast)"
console || bad=1
say "accelerator: $(cat "$B"/accel-amd64-* 2>/dev/null || echo "${ACCEL:-?}"), CPUs: $CPUS"
exit $bad
