#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# qemu.sh: sees to a QEMU that has vfio-user-pci (11.1 or later) and prints the name
# of a command that runs it:   $(scripts/qemu.sh) qemu-system-x86_64 ...
#
# If the machine's own is recent enough it is that, else one from trixie-backports,
# unpacked under build/ and run in a private mount namespace: QEMU looks for its
# modules and firmware by absolute names.  The build directory, in which the command
# starts, and /tmp have the same names in there.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

MIN=11.1
PKGS=coreutils,qemu-system-x86,qemu-system-s390x,seabios,ipxe-qemu

# own_is_enough: is the machine's QEMU at least MIN?
own_is_enough() {
	local v
	v=$(qemu-system-x86_64 --version 2>/dev/null |
		sed -n 's/.*version \([0-9.]*\).*/\1/p')
	[ -n "$v" ] && dpkg --compare-versions "$v" ge "$MIN"
}

# mirror: where the machine's own apt gets Debian from
mirror() {
	# shellcheck disable=SC2016 # apt's variables, not ours
	apt-get indextargets --format \
		'$(CREATED_BY) $(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)' |
		awk '$1 == "Packages" && $2 == "Debian" && $3 == "main" &&
			$4 !~ /-(security|updates|backports)$/ { print $5; exit }'
}

unpack() {
	local uri=$1 dir=$2 prefs
	prefs=$B/qemu-preferences
	printf 'Package: src:qemu src:seabios src:ipxe\nPin: release n=trixie-backports\n' >"$prefs"
	printf 'Pin-Priority: 900\n' >>"$prefs"
	# shellcheck disable=SC2016 # for the hook's shell
	mmdebstrap --quiet --variant=extract --include="$PKGS" \
		--keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
		--aptopt='APT::Install-Recommends "false"' \
		--setup-hook='cd "$1" && mkdir -p usr/bin usr/sbin usr/lib usr/lib64 &&
			ln -s usr/bin usr/sbin usr/lib usr/lib64 .' \
		--setup-hook="copy-in $prefs /etc/apt/preferences.d" \
		trixie "$dir" "deb $uri trixie main" "deb $uri trixie-backports main" || return
	mkdir -p "$dir/tmp" "$dir/dev" "$dir/proc" "$dir$B"
}

# The command stays one process, so that a signal to it is one to QEMU.
write_runner() {
	cat >"$1" <<-RUN
		#!/bin/bash
		user=
		[ "\$(id -u)" -eq 0 ] || user=-r
		exec unshare -m \$user sh -c '
			r=\$1 b=\$2
			shift 2
			for d in /dev /proc /tmp "\$b"; do
				mount --rbind "\$d" "\$r\$d" || exit 125
			done
			exec chroot "\$r" env --chdir="\$b" "\$@"
		' sh "$B/qemu" "$B" "\$@"
	RUN
	chmod 755 "$1"
}

if own_is_enough; then
	echo env
	exit
fi
# Two guests that start at once wait for one to do it.
exec 9>"$B/qemu.lock"
flock 9
if [ ! -x "$B/qemu-run" ]; then
	need_pkgs mmdebstrap debian-archive-keyring >&2
	uri=$(mirror)
	[ -n "$uri" ] || die "apt's configuration names no Debian mirror"
	say "unpacking QEMU of trixie-backports" >&2
	rm -rf "$B/qemu"
	quietly "$B/log/qemu" unpack "$uri" "$B/qemu"
	write_runner "$B/qemu-run"
fi
echo "$B/qemu-run"
