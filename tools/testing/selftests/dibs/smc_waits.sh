#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The two ends of an SMC-D connection over loopback work at the same time: a long
# message is announced in pieces, and who waits does not sleep at once.

. "$(dirname "$0")/lib.sh"

WRITES=200
TRIPS=1000
SPIN=/proc/sys/net/smc/smcd_spin_us

# switches: context switches of the whole system so far
switches() {
	awk '$1 == "ctxt" { print $2 }' /proc/stat
}

# With buffers of the default size a long write is at least two pieces and a rest, each
# with a signal, and as a rule there are two for room. If what fits were one piece there
# would be three signals: two for what fits and the rest, and one for room.
pieces() {
	local before after
	before=$(stat_of lo signals)
	smc_traffic smc stream 65536 $WRITES >/dev/null || return
	after=$(stat_of lo signals)
	echo "$((after - before)) signals for $WRITES writes"
	[ $((after - before)) -ge $((4 * WRITES)) ]
}

# Each round trip would take four switches. In a guest whose host is busy the peer may not
# be there in time however long one looks.
awake() {
	local before n best=$((4 * TRIPS))
	[ "$(nproc)" -gt 1 ] || {
		echo "one CPU: there is nobody to wait for"
		return 4
	}
	if [ -e /proc/lockdep ] || [ -e /sys/kernel/debug/kcsan ]; then
		echo "a debug kernel: answers take longer than is looked for them"
		return 4
	fi
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		before=$(switches)
		smc_traffic smc pingpong 64 $TRIPS >/dev/null || return
		n=$(($(switches) - before))
		echo "$n context switches in $TRIPS round trips"
		[ $n -ge $TRIPS ] || return 0
		best=$((n < best ? n : best))
	done
	[ $best -lt $((3 * TRIPS)) ] || return 1
	echo "the CPUs of this system are too busy to tell"
	return 4
}

# Who is told not to look sleeps: each round trip takes four switches, of two CPUs
asleep() {
	local before n spin

	spin=$(cat $SPIN)
	echo 0 >$SPIN || return
	before=$(switches)
	smc_traffic smc pingpong 64 $TRIPS >/dev/null
	n=$(($(switches) - before))
	echo "$spin" >$SPIN
	echo "$n context switches in $TRIPS round trips; it was $spin, by default 200"
	[ "$spin" = 200 ] && [ $n -ge $((2 * TRIPS)) ]
}

# ticks: of CPU time that the ends have used so far
ticks() {
	local pid
	for pid in $(pidof smc_peer); do
		sed 's/.*) //' "/proc/$pid/stat"
	done | awk '{ n += $12 + $13 } END { print n + 0 }'
}

# Both ends of a quiet connection wait for data
quiet() {
	local before after server
	smc_peer smc 127.0.0.1 5000 serve &
	server=$!
	until smc_peer smc 127.0.0.1 5000 pingpong 1 1 >/dev/null; do sleep 0.2; done
	smc_peer smc 127.0.0.1 5000 hold >"$TMP/hold" 2>&1 &
	within 10 grep -q ready "$TMP/hold" || return
	before=$(ticks)
	sleep 2
	after=$(ticks)
	kill $! $server
	echo "$((after - before)) ticks of CPU time in 2 s"
	[ $((after - before)) -lt $(($(getconf CLK_TCK) / 2)) ]
}

need_root
need_smcd
use_only lo
ktap_print_header
ktap_set_plan 4
result "a long message is announced in pieces" pieces
result "who waits does not sleep at once" awake
result "who waits sleeps at once if smcd_spin_us is 0" asleep
result "who waits for long sleeps" quiet
ktap_finished
