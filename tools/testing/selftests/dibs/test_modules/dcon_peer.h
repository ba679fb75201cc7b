/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Consoles over dibs for tests: the protocol, as in
 * Documentation/networking/dibs-console.rst
 */
#ifndef DCON_PEER_H
#define DCON_PEER_H

#include <linux/build_bug.h>
#include <linux/sizes.h>
#include <linux/stddef.h>
#include <linux/types.h>

#define PEER_MAGIC		0x4e4f4344
#define PEER_VERSION		1
#define PEER_CONSOLE_OFFER	0xdc010101
#define PEER_CONSOLE_BYE	0xdc010102
#define PEER_TERMINAL_OFFER	0xdc010201
#define PEER_TERMINAL_BYE	0xdc010202

#define PEER_RING		SZ_4K
#define PEER_RING_SIZE		SZ_32K

struct peer_setup {
	__le32 magic;
	__le16 version;
	__le16 reserved;
	__le32 size;
	__le32 reserved2;
	__le64 nonce;
	__le64 echo;
};

/* A position in a ring */
struct peer_pos {
	__le32 pos;
	__le32 reserved;
};

#define PEER_READY		1	/* in @flags: the line is open */

struct peer_header {
	struct peer_setup setup;
	u8 reserved[32];
	__le32 brk[2];
	__le16 size[2];
	__le32 flags;
	struct peer_pos prod;
	struct peer_pos cons;
};

static_assert(offsetof(struct peer_header, prod) == 80);
static_assert(sizeof(struct peer_header) == 96);

#endif
