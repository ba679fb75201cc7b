#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# series.sh: writes each series as mails, with a cover letter, to build/series/NAME
# series.sh check: builds each commit on x86-64 and s390x, with dibs built in, as
# modules and off, and has checkpatch look at each

# Two builds run at once.
[ "${1-}" != check ] || JOBS=${JOBS:-$((($(nproc) + 1) / 2))}
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

MAX=15
OUT=$B/series

tree_git() {
	git -C "$B/tree" "$@"
}

# series_lasts: each series and its last commit, "NAME COMMIT"
series_lasts() {
	sed -e 's/#.*//' -e 's/[[:space:]]*$//' "$TOP/patches/series" | awk '
		/^\[.*\]$/ { if (last) print name, last; name = substr($0, 2, length() - 2); next }
		NF { last = $1 }
		END { print name, last }'
}

# write_mails NAME RANGE: one series
write_mails() {
	local from subject mail dir=$OUT/$1 cover=$TOP/patches/cover-$1
	from=$(maintainer)
	subject=$(head -n 1 "$cover")
	mail=${from#*<}
	GIT_COMMITTER_NAME=${from% <*} GIT_COMMITTER_EMAIL=${mail%>} \
		git -C "$B/tree" -c format.signOff=true format-patch -q --cover-letter \
		--from="$from" -o "$dir" "$2"
	{
		sed -n '1,/^$/p' "$dir/0000-cover-letter.patch" |
			sed "s|\*\*\* SUBJECT HERE \*\*\*|$subject|"
		tail -n +2 "$cover"
		echo
		sed -n '/BLURB HERE/,$p' "$dir/0000-cover-letter.patch" | tail -n +2
	} >"$dir/cover.new"
	mv "$dir/cover.new" "$dir/0000-cover-letter.patch"
}

# write_all: every series, each on top of the one before
write_all() {
	local name last from=base count
	rm -rf "$OUT"
	while read -r name last; do
		last=refs/series/$last
		count=$(tree_git rev-list --count "$from..$last")
		[ "$count" -le "$MAX" ] || die "$name: $count commits, a series has at most $MAX"
		write_mails "$name" "$from..$last"
		say "$count patches and a cover letter in $OUT/$name"
		from=$last
	done < <(series_lasts)
}

# configure MODE: everything of ours on (y), as modules (m), or off (n)
configure() {
	local o mode=$1
	for o in DIBS DIBS_LO DIBS_KUNIT_TEST SMC SMC_DIAG ISM ISM_KUNIT_TEST \
		VIRTIO_DIBS VIRTIO_DIBS_KUNIT_TEST SAMPLE_DIBS; do
		case $o in
		# a sample is a module or nothing
		SAMPLE_DIBS) set_option "$o" "$([ "$mode" = n ] && echo n || echo m)" ;;
		*) set_option "$o" "$mode" ;;
		esac
	done
	quietly "$B/log/series-config-${KOUT##*-series-}" kmake olddefconfig
}

# At the end of the series everything can be what was asked for.
is_configured() {
	local o
	for o in DIBS DIBS_LO SMC; do
		case $1 in
		n) ! grep -q "^CONFIG_$o=" "$KOUT/.config" ;;
		*) grep -qx "CONFIG_$o=$1" "$KOUT/.config" ;;
		esac || { echo "CONFIG_$o is not $1"; return 1; }
	done
}

# Options that a commit does not have yet vanish again in olddefconfig.
set_option() {
	sed -i -e "/^CONFIG_$1=/d" -e "/^# CONFIG_$1 is not set/d" "$KOUT/.config"
	if [ "$2" = n ]; then
		echo "# CONFIG_$1 is not set"
	else
		echo "CONFIG_$1=$2"
	fi >>"$KOUT/.config"
}

# The directories that the series touches. The last commit is linked as well.
compile() {
	local dirs=() d
	quietly "$1" kmake prepare modules_prepare
	for d in net/dibs net/smc samples/dibs drivers/s390/net drivers/virtio; do
		[ -e "$KTREE/$d/Makefile" ] || continue
		[ "$d" != drivers/s390/net ] || [ "$KARCH" = s390 ] || continue
		[ "$d" = net/smc ] || [ "$d" = drivers/s390/net ] ||
			grep -q '^CONFIG_DIBS=' "$KOUT/.config" || continue
		dirs+=("$d/")
	done
	quietly "$1" kmake KCFLAGS=-Werror "${dirs[@]}"
}

# source_of VARIANT: where its commits are checked out, one after the other
source_of() {
	echo "$B/series-tree-$1"
}

# check_arch VARIANT: builds each commit on one architecture; what came of it is
# written to a file as two numbers
check_arch() {
	local v=$1 c mode n=0 total fail=0 done_=0
	total=$((${#commits[@]} * 3))
	for mode in y m n; do
		series_variant "$v" "$mode"
		for c in "${commits[@]}"; do
			n=$((n + 1))
			git -C "$KTREE" checkout -q --detach "$c"
			say "$v $n/$total, dibs=$mode: $(git -C "$KTREE" log -1 --format=%s)"
			configure "$mode"
			if compile "$B/log/series-$v-$mode-$c"; then
				done_=$((done_ + 1))
			else
				fail=$((fail + 1))
			fi
		done
		say "linking $v, dibs=$mode"
		if is_configured "$mode" &&
		   quietly "$B/log/series-link-$v-$mode" kmake vmlinux modules; then
			done_=$((done_ + 1))
		else
			fail=$((fail + 1))
		fi
	done
	echo "$done_ $fail" >"$B/results/series-$v"
}

check() {
	local commits c d f v log done_=0 fail=0
	mapfile -t commits < <(tree_git rev-list --reverse base..HEAD)
	rm -f "$B"/results/series-{x86,s390}
	tree_git worktree prune
	for v in x86 s390; do
		git -C "$(source_of $v)" rev-parse -q --verify HEAD >/dev/null 2>&1 &&
			continue
		# of a tree that is there no more
		rm -rf "$(source_of $v)"
		tree_git worktree add -q --detach "$(source_of $v)" base
	done
	# Each has much that keeps one processor busy only
	for v in x86 s390; do
		check_arch $v &
	done
	wait
	for v in x86 s390; do
		read -r d f <"$B/results/series-$v" || d=0 f=1
		done_=$((done_ + d)) fail=$((fail + f))
	done
	for c in "$OUT"/*/*.patch; do
		case $c in *0000-cover-letter.patch) continue ;; esac
		log=$("$TOP/scripts/checkpatch.sh" "$c" 2>&1) || log=failed:$log
		if [ -z "$log" ]; then
			done_=$((done_ + 1))
		else
			echo "checkpatch $c: $log"
			fail=$((fail + 1))
		fi
	done
	echo "$done_ passed, $fail failed"
	[ "$fail" -eq 0 ]
}

# series_variant VARIANT MODE: an output directory of its own, so that from one
# commit to the next only what changed is compiled
series_variant() {
	use_variant "$1"
	KTREE=$(source_of "$1")
	KOUT=$B/o-series-$1-$2
	mkdir -p "$KOUT"
	cp "$B/o-$1/.config" "$KOUT/.config"
}

"$TOP/scripts/tree.sh"
write_all
last=$(series_names | tail -n 1)
[ "$(tree_git rev-parse HEAD)" = "$(tree_git rev-parse "refs/series/$last")" ] ||
	die "patches/*/files do not name every file of the overlay"
case ${1-} in
'') ;;
check)
	need_pkgs gcc make flex bison bc libelf-dev libssl-dev perl ccache gcc-s390x-linux-gnu
	command -v ccache >/dev/null && CCACHE=ccache
	for v in x86 s390; do
		[ -e "$B/o-$v/.config" ] || "$TOP/scripts/kernel.sh" --config "$v"
	done
	# What does not depend on the options that differ is compiled once: only the
	# preprocessor finds that out.
	unset CCACHE_DEPEND
	check
	;;
*) die "usage: series.sh [check]" ;;
esac
