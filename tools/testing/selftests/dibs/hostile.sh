#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What a peer does that does not keep to the protocol of SMC-D in a handshake, and
# a receive handler that is slower than the end of its connection.

. "$(dirname "$0")/lib.sh"

KO=$DIR/test_modules/smc_hostile.ko
CLIENT=$DIR/test_modules/dibs_selftest.ko
STATE=/sys/module/smc_hostile/parameters

# with_messages PARAMETER... -- COMMAND...: while messages are changed on arrival
with_messages() {
	local params=() rc=0
	while [ "$1" != -- ]; do
		params+=("$1")
		shift
	done
	shift
	insmod "$KO" "${params[@]}" || return
	"$@" >"$TMP/traffic" 2>&1 || rc=$?
	changed=$(<$STATE/changed)
	rmmod smc_hostile || rc=99
	[ "$changed" -gt 0 ] || {
		echo "no message was changed"
		return 99
	}
	return $rc
}

# Moves to where there is nothing, and signals that there are not
strays() {
	echo "$(stat_of lo bad_range)+$(stat_of lo bad_signal)"
}

# The server says in its accept where in its DMB the client is to write: the client
# declines what SMC-D cannot mean, and TCP serves
bad_accept() {
	local before
	before=$(strays)
	with_messages type=2 "$@" -- smc_traffic -m any smc pingpong 64 20 || {
		cat "$TMP/traffic"
		return 1
	}
	if with_messages type=2 "$@" -- smc_traffic smc pingpong 64 20; then
		echo "that was SMC-D"
		return 1
	fi
	grep -q 'not SMC-D' "$TMP/traffic" || {
		cat "$TMP/traffic"
		return 1
	}
	same "$before" "$(strays)" strays
}

# The client's confirm comes too late for a decline: a reset
bad_confirm() {
	local before rc=0
	before=$(strays)
	with_messages type=3 "$@" -- smc_traffic -m any smc pingpong 64 20 || rc=$?
	cat "$TMP/traffic"
	[ $rc -eq 1 ] || {
		echo "status $rc"
		return 1
	}
	same "$before" "$(strays)" strays &&
		smc_traffic smc pingpong 64 20 >/dev/null
}

# The peer aborts the connection in the server's DMB before it declines: the server
# ends what there is of it once
aborted_and_declined() {
	local i rc
	for ((i = 0; i < 10; i++)); do
		rc=0
		with_messages type=2 index=200 tell=1 -- \
			timeout 30 smc_traffic -m any smc pingpong 64 20 || rc=$?
		echo "status $rc"
		[ $rc -ne 99 ] && [ $rc -ne 124 ] || return
	done
	smc_traffic smc pingpong 64 20 >/dev/null || return
	within 10 unload smc_diag smc || return
	same 0 "$(stat_of lo dmbs)" "dmbs without smc" && load_all && use_only lo
}

# Connections are closed while the handler of the peer's close is under way, and
# aborted while others are
slow_handler() {
	local load i rc=0 runs late
	insmod "$KO" slow_ms=20 || return
	smc_traffic smc close 40 || rc=1
	smc_traffic smc load 6 >"$TMP/load" &
	load=$!
	for ((i = 0; i < 8; i++)); do
		sleep 0.5
		insmod "$CLIENT" test=event event=dev_disabled named=1 || rc=1
		rmmod dibs_selftest
	done
	wait $load || rc=1
	cat "$TMP/load"
	runs=$(<$STATE/runs)
	late=$(<$STATE/late)
	rmmod smc_hostile || rc=1
	echo "$runs runs, $late of them outlived their connection"
	[ "$runs" -gt 20 ] && [ "$late" -eq 0 ] && return $rc
}

need_root
need_smcd
[ -f "$KO" ] || skip_all "no $KO"
use_only lo
{ insmod "$KO" && rmmod smc_hostile; } 2>/dev/null || skip_all "no kretprobes"
ktap_print_header
ktap_set_plan 9
result "an accept with an index beyond the DMB" bad_accept index=200
result "an accept with a DMB that is too large" bad_accept size=15
result "an accept with the first index there is not" bad_accept index=16 size=0
result "an accept with a size that overflows" bad_accept index=3 size=15
result "an accept with too many large elements" bad_accept index=15 size=6
result "a confirm with an index beyond the DMB" bad_confirm index=200
result "a confirm with a DMB that is too large" bad_confirm size=15
result "an accepted connection is aborted and declined" aborted_and_declined
result "a slow receive handler ends before its connection" slow_handler
ktap_finished
