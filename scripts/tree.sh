#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes $B/tree: the base kernel with the series applied, as a git repository
# with the base as its first commit and one commit per entry of patches/series.
# Only files that differ are written, so that a rebuild compiles no more than
# that.  With --base: $B/base instead, the base kernel alone.  With --compose only
# the commits are made, and the last one is printed.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

TREE=$B/tree

# Commits must not depend on who makes them, or unchanged input would differ.
AUTHOR=$(maintainer)
GIT_AUTHOR_EMAIL=${AUTHOR#*<}
export GIT_AUTHOR_NAME=${AUTHOR% <*} GIT_AUTHOR_EMAIL=${GIT_AUTHOR_EMAIL%>}
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
export GIT_CONFIG_GLOBAL=/dev/null

tree_git() {
	git -c gc.auto=0 -c advice.detachedHead=false -C "$TREE" "$@"
}

# unpack DIR: the base kernel into DIR, whole or not at all
unpack() {
	rm -rf "$1" "$1.new"
	mkdir -p "$1.new"
	XZ_OPT="-T$JOBS" tar -C "$1.new" --strip-components=1 -xf "/usr/src/$KSRC.tar.xz"
	mv "$1.new" "$1"
}

make_base() {
	[ "$(cat "$B/base.version" 2>/dev/null)" = "$BASE_VERSION" ] && return
	say "unpacking $KSRC $BASE_VERSION"
	unpack "$B/base"
	echo "$BASE_VERSION" >"$B/base.version"
}

make_tree_base() {
	[ "$(cat "$TREE/.git/dibs-base" 2>/dev/null)" = "$BASE_VERSION" ] && return
	say "unpacking $KSRC $BASE_VERSION"
	unpack "$TREE"
	tree_git init -q
	tree_git config core.preloadIndex true
	# 80,000 files, of which few are ever read again
	tree_git config core.looseCompression 0
	# what is generated in a tree is not in it: the build is out of tree
	tree_git add -A -f .
	tree_git commit -q -m "Linux $BASE_VERSION"
	tree_git tag base
	echo "$BASE_VERSION" >"$TREE/.git/dibs-base"
}

# what is there of them: a file that was deleted is still listed
overlay() {
	overlay_files | while read -r path; do
		[ -e "$TOP/$path" ] && echo "$path"
	done
}

# A file of the overlay belongs to one commit at most, and replaces a file of the
# base only where patches/replaces says so. Those of no commit yet: in $strays.
check_overlay() {
	local path count
	strays=()
	while read -r path; do
		count=$(cat "$TOP"/patches/*/files | grep -cxF "$path" || true)
		[ "$count" -le 1 ] || die "$path is named by $count commits in patches/*/files"
		[ "$count" -eq 1 ] || strays+=("$path")
		if tree_git cat-file -e "base:$path" 2>/dev/null &&
		   ! grep -qxF "$path" "$TOP/patches/replaces"; then
			die "$path is a file of the base $BASE_VERSION and not in patches/replaces"
		fi
	done < <(overlay)
}

# stage PATH CONTENT: PATH with the content of the file CONTENT, in the index
stage() {
	local mode=100644 blob
	[ -x "$2" ] && mode=100755
	blob=$(tree_git hash-object -w --path="$1" "$2")
	tree_git update-index --add --cacheinfo "$mode,$blob,$1"
}

stage_maintainers() {
	tree_git show base:MAINTAINERS >"$B/MAINTAINERS.base"
	"$TOP/scripts/merge-maintainers.py" "$B/MAINTAINERS.base" \
		"$TOP/MAINTAINERS" >"$B/MAINTAINERS.merged"
	stage MAINTAINERS "$B/MAINTAINERS.merged"
}

stage_entry() {
	local dir=$TOP/patches/$1 path
	if [ -e "$dir/diff" ]; then
		tree_git apply --cached --whitespace=nowarn "$dir/diff" ||
			die "patches/$1/diff does not apply to $KSRC $BASE_VERSION"
	fi
	[ -e "$dir/files" ] || return 0
	while read -r path; do
		if [ "$path" = MAINTAINERS ]; then
			stage_maintainers
		else
			[ -e "$TOP/$path" ] || die "patches/$1/files: there is no $path"
			stage "$path" "$TOP/$path"
		fi
	done <"$dir/files"
}

# Builds the commits without touching the work tree; prints the last one.
commit_series() {
	local name parent
	export GIT_INDEX_FILE=$TREE/.git/index.series
	parent=$(tree_git rev-parse base)
	tree_git read-tree base
	while read -r name; do
		stage_entry "$name"
		parent=$(tree_git commit-tree -p "$parent" \
			-F "$TOP/patches/$name/message" "$(tree_git write-tree)")
		tree_git update-ref "refs/series/$name" "$parent"
	done < <(series_names)
	# what a developer has just begun is built, though not mailed
	if [ ${#strays[@]} -gt 0 ]; then
		for name in "${strays[@]}"; do
			stage "$name" "$TOP/$name"
		done
		parent=$(tree_git commit-tree -p "$parent" -m 'files of no commit yet' \
			"$(tree_git write-tree)")
	fi
	rm -f "$GIT_INDEX_FILE"
	echo "$parent"
}

# edits: whether the work tree differs from the commit $1. New files count, also
# those that Debian's .gitignore hides (it hides everything).
edits() {
	tree_git add -A -f .
	! tree_git diff --cached --quiet "$1"
}

# Edits of a developer are never lost: they stay, or nothing is changed. Those
# that were written back with `make refresh` are what the new commits bring.
move_to() {
	if [ "$(tree_git rev-parse HEAD)" = "$1" ]; then
		! edits HEAD ||
			say "note: $TREE has edits that are not in the repository (make refresh)"
	elif ! edits HEAD; then
		tree_git checkout -q --detach "$1"
	elif ! edits "$1"; then
		tree_git update-ref --no-deref HEAD "$1"
	else
		tree_git reset -q
		die "$TREE has edits: keep them with 'make refresh', or drop them with 'git -C $TREE reset --hard'"
	fi
	tree_git reset -q
	[ ${#strays[@]} -eq 0 ] ||
		say "note: in no patches/*/files yet: ${strays[*]}"
	say "tree: $(tree_git rev-list --count base..HEAD) commits on $KSRC $BASE_VERSION"
}

need_pkgs "$KSRC" xz-utils git python3
BASE_VERSION=$(dpkg-query -W -f '${Version}' "$KSRC")
if [ "${1-}" = --base ]; then
	make_base
	exit
fi
# A second make in another shell waits for its turn.
exec 9>"$B/tree.lock"
flock 9
make_tree_base
check_overlay
new=$(commit_series)
if [ "${1-}" = --compose ]; then
	echo "$new"
else
	move_to "$new"
fi
