#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Removes everything that was built or downloaded.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

rm -rf "${B:?}"/*
say "removed what was in $B"
