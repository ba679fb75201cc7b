# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What every script of the bench shares: places, progress, packages, and how the
# kernel is made.  Sourced, never run:   . "$(dirname "$0")/lib.sh"

set -euo pipefail
shopt -s inherit_errexit

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
mkdir -p "${DIBS_BUILD:-$TOP/build}"
B=$(cd "${DIBS_BUILD:-$TOP/build}" && pwd -P)
JOBS=${JOBS:-$(nproc)}
KSRC=linux-source-6.12

# One clock for a whole run: a script that calls another hands its start on.
export DIBS_T0=${DIBS_T0:-$(date +%s)}
export LC_ALL=C

# shellcheck disable=SC2034 # for the scripts that source this file
readonly TOP B JOBS KSRC

# say TEXT: progress, with the seconds since the run began.
say() {
	printf '[%4ds] %s\n' $(($(date +%s) - DIBS_T0)) "$*"
}

# step N/M TEXT: a headline of a run that has M parts.
step() {
	local pos=$1
	shift
	say "== $pos: $*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# quietly LOG COMMAND...: runs COMMAND with its output in LOG, and shows the end
# of LOG only when it fails.  So long builds stay readable and failures complete.  In
# a function that is the COMMAND, set -e has no effect: it returns its failures itself.
quietly() {
	local log=$1
	shift
	mkdir -p "$(dirname "$log")"
	"$@" >"$log" 2>&1 && return
	local rc=$?
	{
		echo "failed ($rc): $*"
		echo "the end of $log:"
		grep -nE ' (error|warning):|\*\*\*' "$log" | head -n 20 || true
		echo ...
		tail -n 40 "$log"
	} >&2
	return "$rc"
}

pkg_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

apt_lists_fresh() {
	[ -n "$(find /var/lib/apt/lists -name '*_Packages*' -mtime -1 -print -quit 2>/dev/null)" ]
}

# need_pkgs PACKAGE...: installs what is missing; who is not root gets the command.
need_pkgs() {
	local p missing=()
	for p; do
		pkg_installed "$p" || missing+=("$p")
	done
	[ ${#missing[@]} -eq 0 ] && return
	if [ "$(id -u)" -ne 0 ]; then
		echo "Debian packages are missing. Run this as root, then try again:" >&2
		echo "  apt-get update && apt-get install --no-install-recommends -y ${missing[*]}" >&2
		exit 1
	fi
	say "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	# Several targets may run at once: one after the other, also with other users of apt.
	local apt=(apt-get -o DPkg::Lock::Timeout=300 -q) lock
	exec {lock}>"$B/apt.lock"
	flock "$lock"
	apt_lists_fresh ||
		quietly "$B/log/apt-update" "${apt[@]}" update || exit 1
	quietly "$B/log/apt-install" "${apt[@]}" install --no-install-recommends -y \
		"${missing[@]}" || exit 1
	exec {lock}>&-
}

# git in the repository, which may belong to another user than the one who builds.
repo_git() {
	git -c safe.directory="$TOP" -C "$TOP" "$@"
}

# Same input, same output, wherever and whenever it is built.
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 2026'
export KBUILD_BUILD_USER=dibs KBUILD_BUILD_HOST=dibs KBUILD_BUILD_VERSION=1
export CCACHE_BASEDIR=$B CCACHE_NOHASHDIR=1
# The kernel's time stamp is in CCACHE's way nowhere, the preprocessor's would be.
export CCACHE_SLOPPINESS=time_macros
# The compiler lists what it included; having the preprocessor find out before
# takes a fifth longer.
export CCACHE_DEPEND=1

CCACHE=
if command -v ccache >/dev/null; then
	CCACHE=ccache
fi

# use_variant VARIANT: sets KARCH, CROSS, KTREE (source), KOUT (output), KARGS (for make).
use_variant() {
	KTREE=$B/tree
	KOUT=$B/o-$1
	KARGS=()
	case $1 in
	x86 | x86-*) KARCH=x86_64 CROSS='' ;;
	s390 | s390-*) KARCH=s390 CROSS=s390x-linux-gnu- ;;
	*) die "unknown kernel variant $1" ;;
	esac
	case $1 in
	*-base) KTREE=$B/base ;;
	s390-debug) KARGS=(GCOV_PROFILE_ism_drv.o=y) ;;
	esac
}

# kmake ARGS...: make for the variant chosen last.  LOCALVERSION is set (and empty)
# so that the release does not get a '+' for being built from a git repository. One
# more compiler than processors has work where another waits for a file.
kmake() {
	make -C "$KTREE" O="$KOUT" ARCH="$KARCH" CROSS_COMPILE="$CROSS" LOCALVERSION= \
		CC="${CCACHE:+$CCACHE }${CROSS}gcc" -j$((JOBS + 1)) "${KARGS[@]}" "$@"
}

# can_bridge: can guests be on a bridge of the host's (pair.sh -b)?
can_bridge() {
	[ "$(id -u)" -eq 0 ] && [ -w /dev/net/tun ] &&
		unshare -n ip link add bridge type bridge 2>/dev/null
}

# Who sends the series: "NAME <MAIL>"
maintainer() {
	sed -n 's/^M:[[:space:]]*//p' "$TOP/MAINTAINERS" | head -n 1
}

# The commits of all series, in order.
series_names() {
	sed -e 's/#.*//' -e '/^\[/d' -e '/^[[:space:]]*$/d' "$TOP/patches/series"
}

# The files that are laid over the base, tracked or new.
overlay_files() {
	repo_git ls-files -co --exclude-standard -- arch Documentation drivers include \
		net samples tools
}
