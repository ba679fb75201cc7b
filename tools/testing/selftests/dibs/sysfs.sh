#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Attributes of dibs devices: there when user space is told of the device, in the
# documented format, and with counters that count exactly.

. "$(dirname "$0")/lib.sh"

STATS='moves move_bytes move_errors signals signals_dropped events events_lost
bad_token bad_gid bad_range bad_signal dmbs max_dmbs attached'
UUID='^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'

names() {
	# shellcheck disable=SC2086 # words to sort
	same "$(printf '%s\n' $STATS | sort)" "$(ls $SYS/lo/statistics)" "statistics/" &&
		[ -e $SYS/lo/gid ] && [ -e $SYS/lo/fabric_id ]
}

formats() {
	local s value rc=0
	grep -qE "$UUID" $SYS/lo/gid || rc=1
	same 0xffff "$(<$SYS/lo/fabric_id)" fabric_id || rc=1
	same 65536 "$(stat_of lo max_dmbs)" max_dmbs || rc=1
	for s in $STATS; do
		value=$(stat_of lo "$s")
		[[ $value =~ ^[0-9]+$ ]] || {
			echo "$s: $value"
			rc=1
		}
	done
	same 444 "$(stat -c %a $SYS/lo/{gid,fabric_id,statistics/*} | sort -u)" modes || rc=1
	return $rc
}

# A device is virtual: nothing below a bus
place() {
	readlink -f $SYS/lo | grep -qx /sys/devices/virtual/dibs/lo
}

gids_differ() {
	local gid
	lo_add lo-s || return
	gid=$(<$SYS/lo-s/gid)
	[ "$gid" != "$(<$SYS/lo/gid)" ] || return
	lo_del lo-s || return
	[ ! -e $SYS/lo-s ] || return
	lo_add lo-s && [ "$gid" != "$(<$SYS/lo-s/gid)" ] && lo_del lo-s
}

# Two devices tell each other that they are there, and one that the other has gone
events() {
	local before
	before=$(stat_of lo events)
	lo_add lo-s || return
	same $((before + 1)) "$(stat_of lo events)" "events after an addition" || return
	same 1 "$(stat_of lo-s events)" "events of the new device" || return
	lo_del lo-s || return
	same $((before + 2)) "$(stat_of lo events)" "events after a removal" &&
		same 0 "$(stat_of lo events_lost)" events_lost
}

none_attached() {
	same 0 "$(stat_of lo attached)" "attached afterwards"
}

# Each end of a connection has a DMB for the other one; they go with the link group
gauges() {
	load_all || return
	unload smc_diag && unload smc || return 4
	same 0 "$(stat_of lo dmbs)" "dmbs without a client" || return
	same 0 "$(stat_of lo attached)" "attached without a client" || return
	load_all || return
	smc_traffic smc hold 3 >"$TMP/hold" &
	within 10 grep -q ready "$TMP/hold" || return
	same 6 "$(stat_of lo dmbs)" "dmbs of 3 connections" || return
	same 6 "$(stat_of lo attached)" "attached of 3 connections" || return
	kill %% && wait %% 2>/dev/null
	within 10 none_attached
}

# What the tracepoints saw is what was counted
counters() {
	local moves bytes signals n
	need_tracing || return 4
	echo 8192 >$TRACE/buffer_size_kb
	echo 0 >$TRACE/tracing_on
	echo >$TRACE/trace
	echo 1 >$TRACE/events/dibs/dibs_move/enable
	echo 1 >$TRACE/events/dibs/dibs_signal/enable
	moves=$(stat_of lo moves) bytes=$(stat_of lo move_bytes) signals=$(stat_of lo signals)
	echo 1 >$TRACE/tracing_on
	smc_traffic smc pingpong 100 50 || return
	sleep 0.5 # the connection closes
	echo 0 >$TRACE/tracing_on
	moves=$(($(stat_of lo moves) - moves))
	bytes=$(($(stat_of lo move_bytes) - bytes))
	signals=$(($(stat_of lo signals) - signals))
	echo 0 >$TRACE/events/dibs/enable
	n=$(grep -c 'dibs_move: lo ' $TRACE/trace)
	same "$n" "$moves" "moves" || return
	n=$(sed -n 's/.*dibs_move: lo .* size=\([0-9]*\) .*/\1/p' $TRACE/trace |
		awk '{ s += $1 } END { print s + 0 }')
	same "$n" "$bytes" "move_bytes" || return
	n=$(grep -c 'dibs_signal: lo ' $TRACE/trace)
	same "$n" "$signals" "signals" || return
	echo "$moves moves, $bytes bytes, $signals signals"
	[ "$moves" -ge 100 ]
}

# Who is told of a device finds everything in place
uevent() {
	dibs_uevent lo-u gid fabric_id statistics/moves statistics/attached
}

need_root
load_all 2>/dev/null || skip_all "no SMC-D"
[ -d $SYS/lo ] || skip_all "no loopback device"
need_configfs
ktap_print_header
ktap_set_plan 8
result "names of the attributes" names
result "formats" formats
result "place in the device tree" place
result "every device has a GID of its own" gids_differ
result "events are counted" events
result "gauges of DMBs and attachments" gauges
result "counters agree with the tracepoints" counters
result "attributes are there when the uevent arrives" uevent
ktap_finished
