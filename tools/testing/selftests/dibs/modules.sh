#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Modules are loaded and unloaded in every order, also under traffic.

. "$(dirname "$0")/lib.sh"

RELOADS=${RELOADS:-$([ -n "$LONG" ] && echo 500 || echo 10)}
SMC_RELOADS=${SMC_RELOADS:-$([ -n "$LONG" ] && echo 50 || echo 10)}

works() {
	local v2
	smc_proof ueid $UEID || return
	v2=$(smc_stat v2)
	smc_traffic smc pingpong 64 5 >/dev/null || return
	[ "$(smc_stat v2)" -gt "$v2" ]
}

# permutations WORD...: one order a line
permutations() {
	local w rest
	[ $# -gt 0 ] || {
		echo
		return
	}
	for w; do
		rest=" $* "
		# shellcheck disable=SC2086 # words
		permutations ${rest/ $w / } | while read -r line; do
			echo "$w $line"
		done
	done
}

# Whatever comes first, dependencies come along: then it works. What is unloaded
# first is refused as long as somebody needs it, and only then.
orders() {
	local order m rc n=0
	while read -r order; do
		for m in $order; do
			modprobe "$m" || return
		done
		works || {
			echo "does not work after $order"
			return 1
		}
		for m in $order; do
			rc=0
			rmmod "$m" 2>/dev/null || rc=$?
			if [ -n "$(needed_by "$m")" ]; then
				[ $rc -ne 0 ] || return
			elif [ $rc -ne 0 ]; then
				echo "rmmod $m in $order failed"
				return 1
			fi
		done
		unload_all || return
		n=$((n + 1))
	done < <(permutations dibs dibs_loopback smc smc_diag)
	same 24 $n "number of orders"
}

# needed_by MODULE: those that are loaded and use it
needed_by() {
	case $1 in
	dibs) ls -d /sys/module/dibs_loopback /sys/module/smc ;;
	smc) ls -d /sys/module/smc_diag ;;
	esac 2>/dev/null
}

# A device that comes when SMC is there already, and one that was there before
late_device() {
	modprobe -a smc smc_diag && [ ! -e $SYS/lo ] || return
	modprobe dibs_loopback && works || return
	unload dibs_loopback && modprobe dibs_loopback && works || return
	unload_all
}

# smc is held by its sockets
sockets_hold_smc() {
	local pid
	load_all || return
	smc_traffic smc hold 1 >"$TMP/hold" &
	pid=$!
	within 10 grep -q ready "$TMP/hold" || return
	unload smc_diag
	fails EBUSY rmmod smc || return
	kill $pid
	wait $pid 2>/dev/null
	within 10 unload smc && [ "$(stat_of lo dmbs)" = 0 ] && unload_all
}

# The device does not wait for its users, they learn of its end
device_under_traffic() {
	local i pid
	load_all || return
	smc_traffic -m any smc load 3000 >"$TMP/load" 2>&1 &
	pid=$!
	sleep 0.5
	for ((i = 0; i < RELOADS; i++)); do
		rmmod dibs_loopback || return
		modprobe dibs_loopback || return
		sleep 0.$((RANDOM % 3))
	done
	kill -TERM $pid
	wait $pid || {
		cat "$TMP/load"
		return 1
	}
	echo "$RELOADS reloads: $(cat "$TMP/load")"
	works && within 10 unload_all
}

# smc can go as soon as the last connection has been closed, which is while its
# link groups and their work are still there
smc_after_traffic() {
	local i
	load_all || return
	for ((i = 0; i < SMC_RELOADS; i++)); do
		smc_traffic smc message 20000 20 >/dev/null || return
		unload smc_diag
		within 10 unload smc || return
		same 0 "$(stat_of lo dmbs)" "dmbs without smc" || return
		load_all || return
	done
	echo "$SMC_RELOADS reloads"
	within 10 unload_all
}

need_root
need_modules
ktap_print_header
ktap_set_plan 5
result "all orders of loading and unloading" orders
result "a device that comes after smc" late_device
result "sockets hold smc" sockets_hold_smc
result "the loopback device is reloaded under traffic" device_under_traffic
result "smc is reloaded after traffic" smc_after_traffic
ktap_finished
