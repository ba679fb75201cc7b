#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What can only be done from inside the kernel: a client with threaded handlers, DMBs
# that are unregistered while they are attached, bad input, and a hostile SMC-D peer.

. "$(dirname "$0")/lib.sh"

KO=$DIR/test_modules/dibs_selftest.ko

# in_kernel TEST [PARAMETER...]
in_kernel() {
	local t=$1 rc=0
	shift
	insmod "$KO" test="$t" "$@" || {
		rc=1
		dmesg | tail -n 5
	}
	unload dibs_selftest
	return $rc
}

input() {
	local c rc=0
	local -A before
	for c in bad_token bad_gid bad_range bad_signal move_errors; do
		before[$c]=$(stat_of lo $c)
	done
	in_kernel input || return
	for c in bad_token:1 bad_gid:1 bad_range:2 bad_signal:1 move_errors:5; do
		same $((${before[${c%:*}]} + ${c#*:})) "$(stat_of lo "${c%:*}")" "${c%:*}" || rc=1
	done
	return $rc
}


# poke CONNECTION OFFSET SIZE FILL: writes into the DMB of a connection's client
poke() {
	local token
	token=$(smc_proof list | sed -n "s/^SMCD .* token=\(0x[0-9a-f]*\) .*/\1/p" | head -n 1)
	[ -n "$token" ] || return
	in_kernel poke token="$token" offset="$1" size="$2" fill="$3"
}

messages() {
	dmesg | grep -c 'peer sent invalid cursors'
}

# The cursors of one connection become nonsense: it ends, with one message, and
# connections that were there before go on
garbage() {
	local victim other before lines
	smc_traffic smc hold 1 >"$TMP/hold" &
	victim=$!
	within 10 grep -q ready "$TMP/hold" || return
	poke_token=$(smc_proof list | sed -n 's/.* token=\(0x[0-9a-f]*\) .*/\1/p' | head -n 1)
	smc_traffic smc pingpong 500 3000 >"$TMP/pp" &
	other=$!
	sleep 0.2
	before=$(messages)
	in_kernel poke token="$poke_token" offset="$1" size="$2" fill="$3" || return
	wait $victim || {
		cat "$TMP/hold"
		return 1
	}
	tail -n 1 "$TMP/hold"
	wait $other || return
	lines=$(($(messages) - before))
	same 1 $lines "number of messages"
}

# Data that nobody announced is not looked at
silent() {
	local before
	before=$(messages)
	smc_traffic smc hold 1 >"$TMP/hold" &
	within 10 grep -q ready "$TMP/hold" || return
	poke 64 4000 255 || return
	sleep 0.5
	kill -0 %% && same "$before" "$(messages)" messages || return
	kill %%
	wait %% 2>/dev/null
	return 0
}

need_root
need_smcd
[ -f "$KO" ] || skip_all "no $KO"
use_only lo
ktap_print_header
ktap_set_plan 8
result "threaded handlers" in_kernel threaded
result "handlers that echo on their own device" in_kernel atomic
result "a DMB is unregistered while it is attached" in_kernel attached
result "bad input is refused and counted" input
result "garbage cursors reset one connection, with one message" garbage 8 16 255
result "a producer that runs away" garbage 8 6 127
result "a consumer that runs away" garbage 16 6 127
result "unannounced data is ignored" silent
ktap_finished
