#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernel.sh VARIANT: builds a kernel and its modules in build/o-VARIANT
# kernel.sh --image VARIANT: prints where the bootable image is
# kernel.sh --config VARIANT: only the configuration and what it generates
#
#  x86        for tests and benchmarks
#  x86-debug  with KASAN, lockdep, kmemleak, UBSAN and fault injection
#  x86-kcsan  with KCSAN
#  x86-console  with what a console over dibs takes built in
#  x86-base   the base without the series, configured as x86: to compare with
#  s390       cross-built
#  s390-debug with KASAN, lockdep, kmemleak and UBSAN, and with the lines counted that
#             are executed of the ISM driver
#  s390-base  the base with its own ISM driver, configured as s390

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

mode=build
case ${1-} in
--image | --config) mode=${1#--}; shift ;;
esac
[ $# -eq 1 ] || die "which variant?"
VARIANT=$1
use_variant "$VARIANT"

image() {
	case $KARCH in
	x86_64) echo "$KOUT/arch/x86/boot/bzImage" ;;
	s390) echo "$KOUT/arch/s390/boot/bzImage" ;;
	esac
}

fragments() {
	local f=(common)
	case $VARIANT in
	x86) f+=(x86 dibs) ;;
	x86-base) f+=(x86 base) ;;
	x86-console) f+=(x86 dibs console) ;;
	x86-debug) f+=(x86 dibs debug debug-x86 kasan) ;;
	x86-kcsan) f+=(x86 dibs debug debug-x86 kcsan) ;;
	s390) f+=(s390 dibs ism) ;;
	s390-debug) f+=(s390 dibs ism debug kasan gcov) ;;
	s390-base) f+=(s390 base) ;;
	esac
	printf "$TOP/scripts/kconfig/%s.config\n" "${f[@]}"
}

# What a fragment asks for and Kconfig does not grant is an error, also when it
# asks for something to be off.
check_config() {
	local want have
	while read -r want; do
		case $want in
		"# CONFIG_"*" is not set")
			have=${want#\# }
			have=${have%% *}
			grep -q "^$have=" "$KOUT/.config" && die "$VARIANT: $have is set"
			;;
		CONFIG_*)
			grep -qxF "$want" "$KOUT/.config" ||
				die "$VARIANT: $want is not in the final configuration"
			;;
		esac
	done < <(fragments | xargs cat | awk -F'[= ]' '
		# the last word on an option counts
		/^CONFIG_/ { v[$1] = $0 }
		/^# CONFIG_/ { v[$2] = $0 }
		END { for (o in v) print v[o] }')
	return 0
}

configure() {
	local stamp
	stamp=$(fragments | xargs cat | sha256sum)
	if [ -e "$KOUT/.config" ] && [ "$(cat "$KOUT/.fragments" 2>/dev/null)" = "$stamp" ]; then
		quietly "$B/log/config-$VARIANT" kmake olddefconfig
	else
		mkdir -p "$KOUT"
		quietly "$B/log/config-$VARIANT" kmake allnoconfig
		(
			cd "$KTREE"
			export ARCH=$KARCH CROSS_COMPILE=$CROSS
			# shellcheck disable=SC2046 # one word per fragment
			quietly "$B/log/merge-$VARIANT" scripts/kconfig/merge_config.sh -m -O "$KOUT" \
				"$KOUT/.config" $(fragments)
		)
		quietly "$B/log/config-$VARIANT" kmake olddefconfig
		echo "$stamp" >"$KOUT/.fragments"
	fi
	check_config
}

# seed: a kernel that differs from x86 in a few options begins with what was compiled for
# that one. objtool is made anew for another directory, which is no reason to compile
# everything again.
seed() {
	local from=$B/o-x86
	[ "$VARIANT" = x86-console ] && [ ! -e "$KOUT/.config" ] && [ -e "$from/vmlinux" ] ||
		return 0
	cp -a "$from/." "$KOUT/"
	rm -rf "$KOUT/modroot"
	configure
	quietly "$B/log/seed-$VARIANT" kmake prepare
	find "$KOUT/tools/objtool" -type f -exec touch -r "$from/tools/objtool/objtool" {} +
}

# progress LOG: how far a running build is. A build from nothing compiles about
# 1000 files, one of a kept directory as many as changed.
progress() {
	# a sleep that outlives this holds neither the lock nor anybody's pipe
	while sleep 30 >/dev/null 2>&1 8>&-; do
		say "  $VARIANT: $(grep -c '^  CC' "$1" || true) files compiled (of about 1000 if from nothing)"
	done
}

build() {
	local log=$B/log/build-$VARIANT rc=0
	: >"$log"
	progress "$log" &
	local pid=$!
	quietly "$log" kmake || rc=$?
	kill "$pid"
	wait "$pid" 2>/dev/null || true
	[ "$rc" -eq 0 ] || exit "$rc"
	rm -rf "$KOUT/modroot"
	quietly "$log-modules" kmake INSTALL_MOD_PATH="$KOUT/modroot" INSTALL_MOD_STRIP=1 \
		modules_install
}

if [ "$mode" = image ]; then
	image
	exit
fi
need_pkgs gcc make flex bison bc libelf-dev libssl-dev kmod ccache perl python3 rsync
command -v ccache >/dev/null && CCACHE=ccache
[ -z "$CROSS" ] || need_pkgs gcc-s390x-linux-gnu
case $VARIANT in
*-base) "$TOP/scripts/tree.sh" --base ;;
*) "$TOP/scripts/tree.sh" ;;
esac
# A second make in another shell waits for its turn.
mkdir -p "$KOUT"
exec 8>"$KOUT/.lock"
flock 8
began=$(date +%s)
say "building $VARIANT"
seed
configure
if [ "$mode" = config ]; then
	quietly "$B/log/prepare-$VARIANT" kmake prepare modules_prepare
	exit
fi
build
say "built $VARIANT in $(($(date +%s) - began)) s"
