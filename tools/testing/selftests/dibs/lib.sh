# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the test scripts share: TAP output, modules, devices, traffic.

# The tools and the test modules lie beside the scripts.
DIR=$(cd "$(dirname "$0")" && pwd)
PATH=$DIR:$PATH:/usr/sbin:/sbin
# shellcheck source=/dev/null
. "$DIR/../kselftest/ktap_helpers.sh"

SYS=/sys/class/dibs
CFG=/sys/kernel/config/dibs_loopback
TRACE=/sys/kernel/tracing
TMP=$(mktemp -d)
UEID=DIBS-SELFTEST
LONG=${LONG:-}

skip_all() {
	ktap_print_header
	ktap_skip_all "$*"
	exit "$KSFT_SKIP"
}

# note TEXT...: for who reads the output
note() {
	printf '# %s\n' "$*"
}

# result NAME COMMAND...: one test, with what the command prints as comments
result() {
	local name=$1 rc=0 line
	shift
	"$@" >"$TMP/out" 2>&1 || rc=$?
	while IFS= read -r line || [ -n "$line" ]; do
		note "$line"
	done <"$TMP/out"
	case $rc in
	0) ktap_test_pass "$name" ;;
	4) ktap_test_skip "$name" ;;
	*) ktap_test_fail "$name" ;;
	esac
}

# fails ERRNO COMMAND...: does it fail, and does it say why?
fails() {
	local text rc=0 want=$1
	shift
	text=$(LC_ALL=C "$@" 2>&1) || rc=$?
	if [ "$rc" -eq 0 ]; then
		echo "succeeded: $*"
		return 1
	fi
	case $want:$text in
	EBUSY:*"resource busy"* | EBUSY:*"in use"* | EEXIST:*"File exists"* | \
	EINVAL:*"Invalid argument"* | ENOENT:*"No such file"* | \
	ENODEV:*"No such device"*) return 0 ;;
	esac
	echo "not $want: $*: $text"
	return 1
}

# put VALUE FILE: writes and returns whether that went well
put() {
	{ echo "$1" >"$2"; } 2>&1
}

# same WANT GOT WHAT
same() {
	[ "$1" = "$2" ] && return
	echo "$3 is $2, not $1"
	return 1
}

# within SECONDS COMMAND...: does it come true in time?
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || {
			echo "not in time: $*"
			return 1
		}
		sleep 0.05
	done
}

is_module() {
	[[ $(modinfo -F filename "$1" 2>/dev/null) == */* ]]
}

loaded() {
	[ -d "/sys/module/$1" ]
}

# unload MODULE...: those that are loaded
unload() {
	local m there=()
	for m; do
		[ ! -e "/sys/module/$m/initstate" ] || there+=("$m")
	done
	[ ${#there[@]} -eq 0 ] || rmmod "${there[@]}"
}

# The modules in the order in which they can be unloaded
unload_all() {
	unload smc_diag smc && unload dibs_loopback ism dibs
}

# Loads what SMC-D needs and makes it possible
load_all() {
	modprobe -a dibs_loopback smc smc_diag || return
	smc_proof ueid $UEID
}

need_root() {
	[ "$(id -u)" -eq 0 ] || skip_all "needs root"
}

need_modules() {
	local m
	for m in dibs dibs_loopback smc smc_diag; do
		is_module $m || skip_all "$m is not a module"
	done
	unload_all 2>/dev/null || skip_all "the modules are in use"
}

need_smcd() {
	load_all || skip_all "no SMC-D"
	[ -d $SYS/lo ] || skip_all "no loopback device"
}

need_configfs() {
	mountpoint -q /sys/kernel/config ||
		mount -t configfs none /sys/kernel/config 2>/dev/null
	[ -d $CFG ] || skip_all "no $CFG"
}

need_tracing() {
	mountpoint -q $TRACE || mount -t tracefs none $TRACE 2>/dev/null
	[ -d $TRACE/events/dibs ]
}

# lo_add NAME [MAP]: makes a loopback device
lo_add() {
	[ -d "$CFG/$1" ] || mkdir "$CFG/$1" || return
	[ -z "${2-}" ] || put "$2" "$CFG/$1/map" || return
	put 1 "$CFG/$1/live"
}

lo_del() {
	put 0 "$CFG/$1/live" && rmdir "$CFG/$1"
}

# use_only DEVICE: clients of SMC use this loopback device and not lo
use_only() {
	smc_proof pnet-flush
	[ "$1" = lo ] || smc_proof pnet NOSUCHNET lo
}

# stat DEVICE NAME
stat_of() {
	local value
	read -r value <"$SYS/$1/statistics/$2" && echo "$value"
}

# smc_stat NAME
smc_stat() {
	local name value
	while read -r name value; do
		[ "$name" != "$1" ] || echo "$value"
	done < <(smc_proof stats)
}

cleanup() {
	local d
	# shellcheck disable=SC2046 # one word per process
	kill $(jobs -p) 2>/dev/null
	wait 2>/dev/null
	loaded smc && smc_proof pnet-flush 2>/dev/null
	for d in "$CFG"/*/; do
		[ ! -e "$d/live" ] || put 0 "$d/live"
		[ ! -d "$d" ] || rmdir "$d"
	done
	rm -rf "$TMP"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
