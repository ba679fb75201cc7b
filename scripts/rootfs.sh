#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# rootfs.sh [amd64|s390x]: makes the guests' root file system of the host's own
# Debian release and prints the name of the image.
#
# The packages are unpacked and not configured (--variant=extract): that takes a
# quarter of the time, runs no foreign code, and so works for s390x on any host.
# The image is not compressed: the guests' CPU is the bottleneck, not the disk.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

ARCH=${1:-amd64}

# What the guests' own scripts and the tests use.
PKGS=(base-files base-passwd bash busybox coreutils dash diffutils gawk grep
	iproute2 kmod libc-bin login mount procps psmisc sed util-linux)
# What make demo and make bench show.
APPS=(nginx-light curl redis-server redis-tools iperf3 sockperf wrk)

case $ARCH in
amd64) PKGS+=("${APPS[@]}") ;;
s390x) PKGS+=(nginx-light curl) ;;
*) die "no root file system for architecture $ARCH" ;;
esac

# debian_sources: the Debian part of the machine's own apt configuration, in
# whatever format it is and whatever mirror it names, as one-line entries.
debian_sources() {
	local codename
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	# shellcheck disable=SC2016 # apt's variables, not ours
	apt-get indextargets --format \
		'$(CREATED_BY) $(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI) $(RELEASE)' |
		awk -v c="$codename" '
			$1 == "Packages" && $2 == "Debian" && $3 == "main" &&
			($4 == c || $4 == c "-updates" || $4 == c "-security") &&
			!seen[$4 $5]++ { print "deb", $5, $6, $3 }'
}

# shellcheck disable=SC2016 # for the hooks' shell
# What the packages' own scripts would have made.
HOOK_SETUP='cd "$1" && mkdir -p usr/bin usr/sbin usr/lib usr/lib64 &&
	ln -s usr/bin usr/sbin usr/lib usr/lib64 .'
# shellcheck disable=SC2016
HOOK_EXTRACT='cd "$1" &&
	cp usr/share/base-passwd/passwd.master etc/passwd &&
	cp usr/share/base-passwd/group.master etc/group &&
	echo "127.0.0.1 localhost" >etc/hosts && ln -sf gawk usr/bin/awk &&
	mkdir -p var/log/nginx var/lib/nginx var/lib/redis proc sys dev run mnt tmp &&
	rm -rf usr/share/doc usr/share/man usr/share/locale usr/share/info'

make_image() {
	local sources=$1 out=$2
	mmdebstrap --quiet --architectures="$ARCH" --variant=extract \
		--keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
		--keyring=/etc/apt/trusted.gpg.d \
		--include="${PKGS[*]}" \
		--setup-hook="$HOOK_SETUP" --extract-hook="$HOOK_EXTRACT" \
		'' - - <"$sources" |
		sqfstar -quiet -no-progress -noI -noD -noF -noX "$out"
}

need_pkgs mmdebstrap squashfs-tools debian-archive-keyring >&2

# apt takes a second to say it, and each guest asks
sources_cached() {
	local key cache=$B/rootfs-known
	key=$(stat -c '%n %Y' /etc/apt/sources.list /etc/apt/sources.list.d{,/*} \
		/var/lib/apt/lists 2>/dev/null || true)
	if [ "$(cat "$cache.key" 2>/dev/null)" != "$key" ]; then
		debian_sources >"$cache.$$"
		mv "$cache.$$" "$cache"
		echo "$key" >"$cache.key"
	fi
	cat "$cache"
}

sources=$(sources_cached)
if [ -z "$sources" ] && [ "$(id -u)" -eq 0 ]; then
	quietly "$B/log/apt-update" apt-get -q update
	sources=$(debian_sources)
fi
[ -n "$sources" ] || die "apt's configuration names no Debian mirror; is 'apt-get update' due?"
hash=$({ echo "$sources $ARCH" "${PKGS[@]}"; cat "$0"; } | sha256sum | cut -c 1-12)
image=$B/rootfs-$ARCH.$hash
# Two guests that start at once wait for one to do it.
exec 9>"$B/root-$ARCH.lock"
flock 9
if [ ! -e "$image" ]; then
	say "unpacking the guests' root file system ($ARCH): ${PKGS[*]}" >&2
	rm -f "$B/rootfs-$ARCH".*
	echo "$sources" >"$B/rootfs-sources"
	quietly "$B/log/rootfs-$ARCH" make_image "$B/rootfs-sources" "$image.new"
	mv "$image.new" "$image"
fi
echo "$image"
