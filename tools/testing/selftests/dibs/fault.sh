#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Allocations fail, one after the other: while modules are loaded (each later step of
# their initialization among them), devices added, DMBs registered and attached, and
# connections made. Needs CONFIG_FAULT_INJECTION, CONFIG_FAILSLAB,
# CONFIG_FAIL_PAGE_ALLOC and CONFIG_FAULT_INJECTION_STACKTRACE_FILTER.

. "$(dirname "$0")/lib.sh"

FAIL=/sys/kernel/debug
MAX=$([ -n "$LONG" ] && echo 0 || echo 40)

# sweep SEQUENCE [ARGUMENT]: the kernel may print what failed, the console is for reports
# of other kinds, which dibs_fail finds in the log
sweep() {
	local rc=0
	dmesg -n 1
	dibs_fail -m "$MAX" "$@" || rc=$?
	dmesg -n 7
	return $rc
}

# spare FUNCTION: no allocation fails in there
spare() {
	local a range
	# what is built in is in the order of addresses
	range=$(awk -v f="$1" 'start && $1 != start { print start, $1; exit }
		$3 == f { start = $1 }' /proc/kallsyms)
	[ -n "$range" ] || return
	for a in failslab fail_page_alloc; do
		put "0x${range% *}" $FAIL/$a/reject-start &&
			put "0x${range#* }" $FAIL/$a/reject-end || return
	done
}

module_file() {
	modinfo -F filename "$1"
}

load_dibs() {
	unload_all || return
	sweep insmod "$(module_file dibs)"
}

load_loopback() {
	unload_all && modprobe dibs || return
	sweep insmod "$(module_file dibs_loopback)" && [ -z "$(ls $SYS)" ]
}

# With a device there, so that SMC registers its client and takes the device
load_smc() {
	unload_all && modprobe dibs_loopback || return
	modprobe --show-depends smc | sed '$d' | while read -r _ file rest; do
		[ -d "/sys/module/$(basename "${file%.ko}" | tr - _)" ] || insmod "$file" || return
	done
	sweep insmod "$(module_file smc)" || return
	load_all && smc_traffic smc pingpong 64 5
}

# With SMC there, which takes the device
add_device() {
	load_all && mkdir -p $CFG/lo2 || return
	sweep live lo2 || return
	[ ! -e $SYS/lo2 ] || put 0 $CFG/lo2/live
	rmdir $CFG/lo2
}

# Handshake, link group, DMB registration and attachment of one side; the device of
# the client is a new one each time, so that there is nothing to reuse
connection() {
	load_all && lo_add lo2 && use_only lo2 || return
	sweep "$1" lo2 || return
	smc_traffic smc pingpong 64 5 || return
	use_only lo
	lo_del lo2
}

nothing_left() {
	unload smc_diag smc || return
	same 0 "$(stat_of lo dmbs)" dmbs && same 0 "$(stat_of lo attached)" attached || return
	unload_all
}

need_root
[ -e /proc/self/fail-nth ] || skip_all "no fault injection"
for a in failslab fail_page_alloc; do
	[ -e $FAIL/$a/reject-start ] || skip_all "no $FAIL/$a/reject-start"
done
need_modules
modprobe dibs_loopback
need_configfs
for a in failslab fail_page_alloc; do
	echo 0 >$FAIL/$a/verbose
	echo N >$FAIL/$a/ignore-gfp-wait
done
echo 0 >$FAIL/fail_page_alloc/min-order
# The kernel warns of a trace event whose fields it has no memory for
spare __trace_define_field || skip_all "no __trace_define_field in /proc/kallsyms"
ktap_print_header
ktap_set_plan 7
result "loading dibs" load_dibs
result "loading dibs_loopback" load_loopback
result "loading smc" load_smc
result "adding a device" add_device
result "a connection, the client's side" connection connect
result "a connection, the server's side" connection accept
result "nothing is left" nothing_left
ktap_finished
