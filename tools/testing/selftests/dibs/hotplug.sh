#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A loopback device that goes away while SMC-D uses it: its connections end at once,
# nothing else does, and the next connections use what is there.

. "$(dirname "$0")/lib.sh"

CYCLES=${CYCLES:-$([ -n "$LONG" ] && echo 200 || echo 12)}

# hold_and_remove TEST DEVICE COMMAND...: connections that live when COMMAND runs
hold_and_remove() {
	local test=$1 dev=$2 pid
	shift 2
	smc_traffic smc "$test" 5 >"$TMP/hold" 2>&1 &
	pid=$!
	within 15 grep -q ready "$TMP/hold" || return
	[ "$(stat_of "$dev" dmbs)" -ge 5 ] || {
		echo "$dev is not used"
		return 1
	}
	"$@" || return
	wait $pid || {
		cat "$TMP/hold"
		return 1
	}
	tail -n 1 "$TMP/hold"
}

# The clients' ends are on lo2 and the servers' on lo
remove_client_side() {
	lo_add lo2 && use_only lo2 || return
	hold_and_remove "$1" lo2 lo_del lo2 || return
	use_only lo
	[ ! -e $SYS/lo2 ] && smc_traffic smc pingpong 64 10
}

# Both ends are on lo, which only rmmod removes
remove_both_sides() {
	is_module dibs_loopback || return 4
	hold_and_remove "$1" lo rmmod dibs_loopback || return
	[ ! -e $SYS/lo ] || return
	modprobe dibs_loopback && smc_traffic smc pingpong 64 10
}

# moved_since MOVES: has lo made more than these?
moved_since() {
	[ "$(stat_of lo moves)" -gt "$1" ]
}

# Connections on lo do not notice what happens to another device
unaffected() {
	local pid before moves
	before=$(stat_of lo events) moves=$(stat_of lo moves)
	smc_traffic smc pingpong 1000 2000 >"$TMP/pp" &
	pid=$!
	within 10 moved_since $((moves + 100)) || return
	for _ in 1 2 3; do
		lo_add lo3 && lo_del lo3 || return
	done
	wait $pid || return
	same $((before + 6)) "$(stat_of lo events)" events
}

# Connections come and go as quickly as they can while lo2 does, too
cycles() {
	local i pid
	lo_add lo2 && use_only lo2 || return
	smc_traffic -m any smc load 20000 >"$TMP/load" 2>&1 &
	pid=$!
	sleep 0.5
	for ((i = 0; i < CYCLES; i++)); do
		put 0 $CFG/lo2/live || return
		sleep 0.0$((RANDOM % 9))
		put 1 $CFG/lo2/live || return
		sleep 0.$((RANDOM % 4 + 1))
	done
	kill -TERM $pid || return # there was traffic until now
	wait $pid || {
		cat "$TMP/load"
		return 1
	}
	echo "$CYCLES cycles: $(<"$TMP/load")"
	use_only lo
	lo_del lo2 && smc_traffic smc pingpong 64 10
}

# Everything is given back
nothing_left() {
	is_module smc || {
		echo "smc is not a module"
		return 4
	}
	within 30 unload smc_diag smc || return
	same 0 "$(stat_of lo dmbs)" dmbs && same 0 "$(stat_of lo attached)" attached || return
	# nor had the core to do it
	! dmesg | grep 'client SMC-D left'
}

need_root
need_smcd
need_configfs
use_only lo
ktap_print_header
ktap_set_plan 7
result "removing the clients' device ends its connections at once" remove_client_side hold
result "the same with received data in pipes" remove_client_side splice
result "removing the device of both ends" remove_both_sides hold
result "the same with received data in pipes, both ends" remove_both_sides splice
result "other devices coming and going disturb nobody" unaffected
result "add and remove cycles under traffic" cycles
result "nothing is left when SMC has gone" nothing_left
ktap_finished
