#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Static checks of what is ours: files of the overlay as a whole, and in files of
# the base the lines that the series adds. A finding anywhere else is the base's.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

OUT=$B/log/lint
pass=0 fail=0

need_pkgs gcc make flex bison bc libelf-dev libssl-dev ccache perl python3 git gawk \
	gcc-s390x-linux-gnu sparse coccinelle ocaml-nox ocaml-findlib codespell shellcheck \
	python3-ply python3-git
command -v ccache >/dev/null && CCACHE=ccache
TREE=$B/tree
mkdir -p "$OUT"

# verdict NAME: NAME passed if there is nothing in its list of findings
verdict() {
	local found=$OUT/$1.findings
	if [ -s "$found" ]; then
		echo "  not ok $1"
		head -n 60 "$found"
		fail=$((fail + 1))
	else
		echo "  ok     $1"
		pass=$((pass + 1))
	fi
}

: >"$OUT/series.findings"
"$TOP/scripts/series.sh" >"$OUT/series" 2>&1 ||
	cp "$OUT/series" "$OUT/series.findings"
verdict series

# The lines that the series adds, as file:line
git -C "$TREE" diff -U0 base HEAD | gawk '
	/^\+\+\+ b\// { file = substr($0, 7) }
	match($0, /^@@ -[0-9,]+ \+([0-9]+)(,([0-9]+))? @@/, m) {
		n = m[3] == "" ? 1 : m[3]
		for (i = 0; i < n; i++)
			print file ":" m[1] + i
	}' >"$OUT/ours"

# ours: of compiler-like findings on stdin, those about a line of ours
ours() {
	gawk -v list="$OUT/ours" -v tree="$TREE/" '
		BEGIN { while ((getline line < list) > 0) mine[line] }
		{
			at = $1
			sub("^" tree, "", at)
			sub(/^(\.\.\/)+tree\//, "", at)
			split(at, part, ":")
			if ((part[1] ":" part[2]) in mine)
				print
		}' | sort -u
}

overlay() {
	overlay_files | while read -r f; do
		[ ! -e "$TOP/$f" ] || echo "$f"
	done
}

checkpatch() {
	local mails
	mapfile -t mails < <(find "$B/series" -name '*.patch' ! -name '0000-*' | sort)
	"$TOP/scripts/checkpatch.sh" "${mails[@]}" >"$OUT/checkpatch.findings" 2>&1 ||
		echo "checkpatch failed" >>"$OUT/checkpatch.findings"
	verdict checkpatch
}

kernel_doc() {
	(
		cd "$TREE"
		overlay | grep -E '^(include|net|drivers|samples)/.*\.[ch]$' |
			xargs scripts/kernel-doc -none -Wall
	) >"$OUT/kernel-doc.findings" 2>&1 || true
	verdict kernel-doc
}

# built ARCH: the C files of the kernel with lines of ours that are compiled there
built() {
	cut -d: -f1 "$OUT/ours" | sort -u | grep -v '^tools/' | grep '\.c$' |
		if [ "$1" = s390 ]; then cat; else grep -v '^drivers/s390/'; fi
}

# compile ARCH: sparse and W=1 for all of ours, in an output directory of its own
compile() {
	local f files log=$OUT/compile-$1
	use_variant "$1"
	"$TOP/scripts/kernel.sh" --config "$1" >/dev/null
	local config=$KOUT/.config
	KOUT=$B/o-lint-$1
	mkdir -p "$KOUT"
	cmp -s "$config" "$KOUT/.config.from" || cp "$config" "$KOUT/.config"
	cp "$config" "$KOUT/.config.from"
	quietly "$log" kmake olddefconfig
	quietly "$log" kmake prepare modules_prepare
	mapfile -t files < <(built "$1")
	(cd "$KOUT" && rm -f "${files[@]/%.c/.o}")
	: >"$OUT/sparse-W1-$1.findings"
	kmake C=2 CF=-D__CHECK_ENDIAN__ W=1 "${files[@]/%.c/.o}" >"$log" 2>&1 ||
		echo "the build failed, see $log" >>"$OUT/sparse-W1-$1.findings"
	for f in "${files[@]}"; do
		grep -qE "^  CHECK +.*/$f\$" "$log" || echo "sparse did not look at $f, see $log"
	done >>"$OUT/sparse-W1-$1.findings"
	grep -E '^[^ ]+:[0-9]+:' "$log" | ours >>"$OUT/sparse-W1-$1.findings" || true
	verdict "sparse-W1-$1"
}

# All C files of the kernel that we touch, copied to one place: so one run looks at nothing else,
# and at a file with a known mistake, which proves that it looks at all.
coccicheck() {
	local f src=$OUT/coccicheck.src log=$OUT/coccicheck
	use_variant s390
	KOUT=$B/o-lint-s390
	rm -rf "$src"
	cut -d: -f1 "$OUT/ours" | sort -u | grep -vE '^tools/' | grep -E '\.[ch]$' | while read -r f; do
		install -D -m 644 "$TREE/$f" "$src/$f"
	done
	printf 'static void probe(void *p)\n{\n\tif (p)\n\t\tkfree(p);\n}\n' >"$src/probe.c"
	: >"$OUT/coccicheck.findings"
	# M= must be absolute with O=, or nothing is looked at without a word
	kmake coccicheck MODE=report M="$src" J="$JOBS" >"$log" 2>&1 ||
		echo "coccicheck failed, see $log" >>"$OUT/coccicheck.findings"
	grep -q 'probe\.c:.*WARNING' "$log" ||
		echo "coccicheck does not find a known mistake, see $log" >>"$OUT/coccicheck.findings"
	grep -E '^[^ ]+:[0-9]+' "$log" | sed -E "s|^$src/||; s/^([^:]+:[0-9]+)([:-])/\1: \2/" |
		ours >>"$OUT/coccicheck.findings" || true
	verdict coccicheck
}

spelling() {
	(
		cd "$TOP"
		repo_git ls-files -co --exclude-standard | grep -v '^patches/.*/diff$' |
			xargs codespell -L inflight --skip '*.awk'
		# of what is the base's, what we add
		grep -h '^+' patches/*/diff | codespell -L inflight -
	) >"$OUT/codespell.findings" 2>&1 || true
	verdict codespell
}

shell() {
	(
		cd "$TOP"
		repo_git ls-files -co --exclude-standard -- scripts tools .ci | while read -r f; do
			[ ! -e "$f" ] || ! head -n 1 "$f" | grep -qE '^#!.*(ba)?sh' || echo "$f"
		# SC2119: a function whose argument is optional
		done | xargs shellcheck -x -P SCRIPTDIR -e SC2119
	) >"$OUT/shellcheck.findings" 2>&1 || true
	verdict shellcheck
}

say "checkpatch --strict"
checkpatch
say "kernel-doc"
kernel_doc
for arch in x86 s390; do
	say "sparse, W=1 on $arch"
	compile "$arch"
done
say "coccicheck"
coccicheck
say "codespell, shellcheck"
spelling
shell
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
