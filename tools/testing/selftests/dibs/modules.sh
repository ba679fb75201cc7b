#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Modules are loaded and unloaded in every order, also under traffic.

. "$(dirname "$0")/lib.sh"

RELOADS=${RELOADS:-$([ -n "$LONG" ] && echo 500 || echo 10)}
SMC_RELOADS=${SMC_RELOADS:-$([ -n "$LONG" ] && echo 50 || echo 10)}

# A handshake and data over SMC-D, and nothing else
works() {
	smc_proof ueid $UEID && smc_traffic smc pingpong 64 5 >/dev/null
}

# permutations A B C D: every order of them, one a line
permutations() {
	local a b c d
	for a; do
		for b; do
			for c; do
				for d; do
					case $b in "$a") continue ;; esac
					case $c in "$a" | "$b") continue ;; esac
					case $d in "$a" | "$b" | "$c") continue ;; esac
					echo "$a $b $c $d"
				done
			done
		done
	done
}

# needed MODULE OF...: does one of these use it?
needed() {
	case $1:" ${*:2} " in
	dibs:*" dibs_loopback "* | dibs:*" smc "* | smc:*" smc_diag "*) return 0 ;;
	esac
	return 1
}

# left ORDER: what is loaded after all four were to be unloaded in ORDER
left() {
	local m rest=" $1 "
	for m in $1; do
		# shellcheck disable=SC2086 # words
		needed "$m" $rest || rest=${rest/ $m / }
	done
	# shellcheck disable=SC2086 # without the blanks around
	echo $rest
}

# Whatever comes first, dependencies come along: then it works. What is unloaded
# first is refused as long as somebody needs it, and only then.
orders() {
	local order m n=0 still=()
	while read -r order; do
		# shellcheck disable=SC2086 # one after the other
		modprobe -a $order || return
		works || {
			echo "does not work after $order"
			return 1
		}
		# shellcheck disable=SC2086 # one after the other, whatever is refused
		rmmod $order 2>/dev/null
		still=()
		for m in $order; do
			! loaded "$m" || still+=("$m")
		done
		same "$(left "$order")" "${still[*]}" "what is left of $order" || return
		unload_all || return
		n=$((n + 1))
	done < <(permutations dibs dibs_loopback smc smc_diag)
	same 24 $n "number of orders"
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
	smc_traffic -m any smc load 20000 >"$TMP/load" 2>&1 &
	pid=$!
	sleep 0.5
	for ((i = 0; i < RELOADS; i++)); do
		rmmod dibs_loopback || return
		modprobe dibs_loopback || return
		sleep 0.$((RANDOM % 3))
	done
	kill -TERM $pid || return # there was traffic until now
	wait $pid || {
		cat "$TMP/load"
		return 1
	}
	echo "$RELOADS reloads: $(<"$TMP/load")"
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
