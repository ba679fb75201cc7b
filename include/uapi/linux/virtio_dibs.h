/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/*
 * virtio-dibs: Direct Internal Buffer Sharing between the guests of a host
 *
 * What driver and device exchange. What it means is in
 * Documentation/networking/virtio-dibs.rst. All numbers are little endian.
 */
#ifndef _UAPI_LINUX_VIRTIO_DIBS_H
#define _UAPI_LINUX_VIRTIO_DIBS_H

#include <linux/types.h>

/* -------------------------- features and queues -------------------------- */

/* Remote DMBs can be mapped; reserved, not offered and not accepted so far */
#define VIRTIO_DIBS_F_MAP		0

#define VIRTIO_DIBS_VQ_CTRL		0
#define VIRTIO_DIBS_VQ_EVENT		1
#define VIRTIO_DIBS_VQ_SIGNAL		2
#define VIRTIO_DIBS_VQ_MOVE		3	/* the first of num_move_queues */

/* ----------------------------- configuration ----------------------------- */

#define VIRTIO_DIBS_GID_LEN		16
#define VIRTIO_DIBS_FABRIC_MIN		0xff00
#define VIRTIO_DIBS_FABRIC_MAX		0xfffe
#define VIRTIO_DIBS_MAX_DMBS		65536
#define VIRTIO_DIBS_DMB_ALIGN		4096

struct virtio_dibs_config {
	__u8 gid[VIRTIO_DIBS_GID_LEN];	/* in the order of bytes of RFC 4122 */
	__le16 fabric_id;
	__le16 num_move_queues;
	__le32 max_dmbs;
	__le32 max_dmb_len;
	__le16 max_dmb_ranges;
	__le16 reserved;
};

/* --------------------------------- status -------------------------------- */

#define VIRTIO_DIBS_S_OK		0
#define VIRTIO_DIBS_S_NOENT		1	/* no such DMB */
#define VIRTIO_DIBS_S_PERM		2	/* granted to another device */
#define VIRTIO_DIBS_S_RANGE		3	/* beyond the end of the DMB */
#define VIRTIO_DIBS_S_INVAL		4	/* malformed request */
#define VIRTIO_DIBS_S_BUSY		5	/* index in use */
#define VIRTIO_DIBS_S_NOSPC		6	/* as many DMBs as there can be */
#define VIRTIO_DIBS_S_NOMEM		7	/* more memory than is allowed */
#define VIRTIO_DIBS_S_NETUNREACH	8	/* no device with this GID */
#define VIRTIO_DIBS_S_AGAIN		9	/* too many SW events, or too fast */
#define VIRTIO_DIBS_S_OPNOTSUPP		10	/* unknown command */
#define VIRTIO_DIBS_S_NODEV		11	/* the fabric lets go of the device */
#define VIRTIO_DIBS_S_EXIST		12	/* with VIRTIO_DIBS_F_MAP only */
#define VIRTIO_DIBS_S_IO		13	/* the device failed */

/* ----------------------------- control queue ----------------------------- */

#define VIRTIO_DIBS_C_REGISTER_DMB	1
#define VIRTIO_DIBS_C_UNREGISTER_DMB	2
#define VIRTIO_DIBS_C_QUERY_GID		3
#define VIRTIO_DIBS_C_SIGNAL_EVENT	4
#define VIRTIO_DIBS_C_ATTACH_DMB	5	/* with VIRTIO_DIBS_F_MAP only */
#define VIRTIO_DIBS_C_DETACH_DMB	6	/* with VIRTIO_DIBS_F_MAP only */

struct virtio_dibs_ctrl_hdr {
	__le16 cmd;
	__le16 reserved[3];
};

struct virtio_dibs_range {
	__le64 addr;
	__le32 len;
	__le32 reserved;
};

struct virtio_dibs_register_dmb {
	struct virtio_dibs_ctrl_hdr hdr;
	__u8 rgid[VIRTIO_DIBS_GID_LEN];
	__le32 idx;
	__le32 len;
	__le16 nranges;
	__le16 reserved[3];
	struct virtio_dibs_range ranges[];
};

struct virtio_dibs_unregister_dmb {
	struct virtio_dibs_ctrl_hdr hdr;
	__le64 token;
};

struct virtio_dibs_query_gid {
	struct virtio_dibs_ctrl_hdr hdr;
	__u8 gid[VIRTIO_DIBS_GID_LEN];
};

struct virtio_dibs_signal_event {
	struct virtio_dibs_ctrl_hdr hdr;
	__u8 gid[VIRTIO_DIBS_GID_LEN];
	__le32 code;
	__le32 reserved;
	__le64 info;
};

struct virtio_dibs_ctrl_resp {
	__le32 status;
	__le32 reserved;
	__le64 token;		/* of VIRTIO_DIBS_C_REGISTER_DMB, else 0 */
};

/* ------------------------------ move queues ------------------------------ */

#define VIRTIO_DIBS_MAX_SEGS		8
#define VIRTIO_DIBS_MAX_SIGNALS		16

#define VIRTIO_DIBS_MOVE_F_SIGNAL	(1 << 0)

struct virtio_dibs_move_seg {
	__le32 offset;
	__le32 size;
};

/* Followed by the data of all segments */
struct virtio_dibs_move {
	__le64 token;
	__le16 flags;
	__le16 signal;
	__le16 nsegs;
	__le16 reserved;
	struct virtio_dibs_move_seg segs[];
};

struct virtio_dibs_move_resp {
	__le32 status;
};

/* ------------------------------ signal queue ----------------------------- */

struct virtio_dibs_signal {
	__le64 token;
	__le32 idx;
	__le16 mask;
	__le16 reserved;
};

/* ------------------------------ event queue ------------------------------ */

#define VIRTIO_DIBS_E_DEV		0
#define VIRTIO_DIBS_E_BUF		1
#define VIRTIO_DIBS_E_SW		2
#define VIRTIO_DIBS_E_OTHER		3

/* Subtype of VIRTIO_DIBS_E_BUF */
#define VIRTIO_DIBS_E_BUF_UNREGISTERED	0
/* Subtypes of VIRTIO_DIBS_E_DEV */
#define VIRTIO_DIBS_E_DEV_DISABLED	1
#define VIRTIO_DIBS_E_DEV_ERR_STATE	2
#define VIRTIO_DIBS_E_DEV_ENABLED	4
#define VIRTIO_DIBS_E_DEV_RESTARTED	6
/* Subtype of VIRTIO_DIBS_E_OTHER */
#define VIRTIO_DIBS_E_EVENTS_LOST	5

struct virtio_dibs_event {
	__le32 type;
	__le32 subtype;
	__u8 gid[VIRTIO_DIBS_GID_LEN];
	__le64 token;
	__le64 time;
	__le64 data;
};

#endif /* _UAPI_LINUX_VIRTIO_DIBS_H */
