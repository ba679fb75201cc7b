#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# selftest.sh [--long] [VARIANT...]: builds tools/testing/selftests/dibs and runs it in
# guests (default: x86).  TEST='NAME...' runs some of it; --long, or LONG=1, takes many
# more rounds and the tests marked 'long'.  --build only builds them, into
# build/selftests, or with VARIANT s390 what pairs of guests use, into
# build/selftests-s390x.
# --modules VARIANT builds the tests' modules for a kernel, into build/selftests-VARIANT.
#
# Tests share a guest, which is quick, and when it dies the rest goes on in a new one.
# A line "# Guest: own" in a test's source gives it one to itself.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

LONG=${LONG:-}
case ${1-} in
--build)
	BUILD_ONLY=y
	shift
	;;
--modules)
	MODULES_ONLY=y
	shift
	;;
--long)
	LONG=1
	shift
	;;
esac
[ $# -gt 0 ] || set -- x86
SRC=tools/testing/selftests/dibs
INST=$B/selftests

# build_tests ARCH: only if they changed, as guests of another run may be copying what is
# there.
build_tests() {
	local sum lock cross=()
	if [ "$1" = s390 ]; then
		need_pkgs gcc-s390x-linux-gnu libc6-dev-s390x-cross
		INST=$B/selftests-s390x
		cross=(CROSS_COMPILE=s390x-linux-gnu-)
	fi
	sum=$(find "$B/tree/tools/testing/selftests/dibs" -type f ! -name '*.ko' -print0 |
		sort -z | xargs -0 sha256sum | sha256sum) || return
	exec {lock}>"$B/selftests.lock"
	flock "$lock"
	if [ "$(cat "$INST.sum" 2>/dev/null)" != "$sum" ]; then
		rm -rf "$INST" "$INST.sum"
		make -C "$B/tree/tools/testing/selftests" TARGETS=dibs FORCE_TARGETS=1 \
			ARCH="$1" "${cross[@]}" O="$B/o-${INST##*/}" KDIR=/nonexistent \
			INSTALL_PATH="$INST" install || return
		echo "$sum" >"$INST.sum"
	fi
	exec {lock}>&-
}

# build_modules VARIANT: the tests' kernel modules, which have to fit their kernel
build_modules() {
	local work=$B/o-selftests-$1
	mods=$B/selftests-$1
	rm -rf "$mods" "$work"
	mkdir -p "$mods/dibs/test_modules" "$work"
	cp "$TOP/$SRC"/test_modules/*.[ch] "$work/"
	grep -E '^(obj-m|ifdef|endif)' "$TOP/$SRC/test_modules/Makefile" >"$work/Makefile"
	use_variant "$1"
	quietly "$B/log/selftest-modules-$1" kmake M="$work" modules
	cp "$work"/*.ko "$mods/dibs/test_modules/"
}

# marked TEST WORD: does TEST's source have WORD in its "Guest:" line?
marked() {
	local f
	for f in "$TOP/$SRC/$1" "$TOP/$SRC/$1.c"; do
		[ ! -f "$f" ] || ! grep -qE "^[ /#*]*Guest:.*\\<$2\\>" "$f" || return 0
	done
	return 1
}

# run_guest VARIANT TEST...: the output goes to the terminal and to $out
run_guest() {
	local v=$1
	shift
	rc=0
	"$TOP/scripts/guest.sh" -n "selftest-$v-$1" -t "$((LONG ? 7200 : 2400))" -m 1536 \
		-d "$INST" -d "$mods" -d "$TOP/scripts/guest" "$v" \
		"LONG=$LONG /opt/dibs/selftest $*" 2>&1 | tee "$out.guest" || rc=$?
	cat "$out.guest" >>"$out"
}

# run_tests VARIANT TEST...: until all have run, in as many guests as it takes
run_tests() {
	local v=$1 ended
	shift
	while [ $# -gt 0 ]; do
		run_guest "$v" "$@"
		ended=$(grep -c '^@status ' "$out.guest" || true)
		if [ "$ended" -ge $# ]; then
			# All ran, and what was wrong is known only of the whole guest.
			[ "$rc" -eq 0 ] || echo "@guest $* (status $rc)" >>"$out"
			return 0
		fi
		shift "$ended"
		echo "@died $1" >>"$out"
		shift
	done
}

# count: every TAP line of the outermost level is a test; a test program that fails
# without one, has none, or whose guest died, counts as one that failed.
count() {
	gawk -v variant="$1" '
		function flaw(text) { n["fail"]++; print "not ok " text }
		/^@test / { t = $2; planned = -1; ran = bad = 0; open = 1 }
		/^@died / { flaw($2 ": the guest died"); open = 0 }
		/^@guest / { flaw(substr($0, 8)) }
		/^1\.\.[0-9]+/ { planned = substr($0, 4) + 0 }
		/^(not )?ok / {
			k = /# *(SKIP|XFAIL)/ ? "skip" : /^ok/ ? "pass" : "fail"
			n[k]++; ran++; bad += k == "fail"
			if (k != "pass")
				print t ": " $0
		}
		/^@status / {
			open = 0
			if (!ran && $2 == 4)
				n["skip"]++
			else if (!ran && $2 == 0 && planned != 0)
				flaw(t ": printed no result")
			else if ($2 != 0 && $2 != 4 && !bad)
				flaw(t ": status " $2)
			else if (planned >= 0 && planned != ran)
				flaw(t ": " ran " results of " planned)
		}
		END {
			printf "selftests on %s: %d passed, %d failed, %d skipped\n", variant,
				n["pass"], n["fail"], n["skip"]
		}'
}

if [ -n "${MODULES_ONLY:-}" ]; then
	build_modules "$1"
	exit
fi
say "building the selftests"
need_pkgs gcc make rsync libc6-dev gawk
case $1 in
s390) quietly "$B/log/selftest-build-s390" build_tests s390 ;;
*) quietly "$B/log/selftest-build" build_tests x86 ;;
esac
[ -z "${BUILD_ONLY:-}" ] || exit 0
mapfile -t all < <(sed -n 's/^dibs://p' "$INST/kselftest-list.txt")
[ ${#all[@]} -gt 0 ] || die "no selftests in $INST/kselftest-list.txt"

pass=0 fail=0 skip=0
mkdir -p "$B/results"
for variant; do
	out=$B/results/selftest-$variant
	: >"$out"
	build_modules "$variant"
	shared=()
	for t in "${all[@]}"; do
		case " ${TEST:-$t} " in *" $t "*) ;; *) continue ;; esac
		[ -n "$LONG" ] || ! marked "$t" long || continue
		if marked "$t" own; then
			say "selftest $t on $variant, in a guest of its own"
			run_tests "$variant" "$t"
		else
			shared+=("$t")
		fi
	done
	if [ ${#shared[@]} -gt 0 ]; then
		say "selftests on $variant: ${shared[*]}"
		run_tests "$variant" "${shared[@]}"
	fi
	count "$variant" <"$out" | tee "$out.count"
	read -r p f s < <(sed -nE '$s/.*: ([0-9]+) .*, ([0-9]+) .*, ([0-9]+) .*/\1 \2 \3/p' "$out.count")
	pass=$((pass + p)) fail=$((fail + f)) skip=$((skip + s))
done
echo "$pass passed, $fail failed, $skip skipped"
[ "$fail" -eq 0 ] && [ "$pass" -gt 0 ]
