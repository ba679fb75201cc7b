#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# SMC-D when DMBs cannot be attached: data is moved. All of smc_data runs again, and
# the counters show which way the data went.

. "$(dirname "$0")/lib.sh"

SIZE=10000
COUNT=100

# moved DEVICE...: bytes of data moved by one transfer through these devices
moved() {
	local d before=0 after=0
	for d; do
		before=$((before + $(stat_of "$d" move_bytes)))
	done
	smc_traffic smc message $SIZE $COUNT >/dev/null || return
	for d; do
		after=$((after + $(stat_of "$d" move_bytes)))
	done
	echo $((after - before))
}

# Everything went through moves
copied() {
	local n
	n=$(moved "$@") || return
	echo "$n bytes moved"
	[ "$n" -ge $((SIZE * COUNT)) ]
}

# Only cursors were moved
mapped() {
	local n
	n=$(moved lo) || return
	echo "$n bytes moved"
	[ "$n" -gt 0 ] && [ "$n" -lt $((SIZE * COUNT / 2)) ]
}

# data VARIANT: the tests of smc_data
data() {
	smc_data -v "$1" >"$TMP/data" 2>&1 && return
	grep -v '^ok' "$TMP/data"
	return 1
}

# The client's device cannot attach, the server's can: one direction is copied
mixed() {
	need_configfs_here || return 4
	lo_add lo2 0 && use_only lo2 || return
	copied lo2 || return
	same 0 "$(stat_of lo2 attached)" "attached through lo2" || return
	data v4 || return
	use_only lo
	lo_del lo2
}

need_configfs_here() {
	mountpoint -q /sys/kernel/config ||
		mount -t configfs none /sys/kernel/config 2>/dev/null
	[ -d $CFG ]
}

# no_map: lo without mapping
no_map() {
	modinfo -p dibs_loopback 2>/dev/null | grep -q ^map: || return 4
	unload dibs_loopback && modprobe dibs_loopback map=0 || return
	copied lo || return
	same 0 "$(stat_of lo attached)" attached
}

data_copied() {
	[ "$(cat /sys/module/dibs_loopback/parameters/map 2>/dev/null)" = N ] || return 4
	data v4 && data small || return
	same 0 "$(stat_of lo attached)" attached
}

need_root
need_smcd
use_only lo
ktap_print_header
ktap_set_plan 4
result "attached: data is written in place" mapped
result "the client's device copies, the server's attaches" mixed
result "both copy" no_map
result "all tests of data, copied" data_copied
! is_module dibs_loopback || { unload dibs_loopback && modprobe dibs_loopback; }
ktap_finished
