/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Direct Internal Buffer Sharing between the guests of a host
 *
 * What the files of the virtio-dibs driver share.
 */
#ifndef _DRIVERS_VIRTIO_DIBS_H
#define _DRIVERS_VIRTIO_DIBS_H

#include <linux/cache.h>
#include <linux/dibs.h>
#include <linux/kconfig.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uuid.h>
#include <linux/virtio_dibs.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct virtio_device;
struct virtqueue;

/* Largest piece of a move that is handed to the device at a time */
#define VDIBS_CHUNK		SZ_64K

/* Buffers in eventq and signalq, and handled without a pause, at most */
#define VDIBS_MAX_BUFS		64

/**
 * struct vdibs_area - memory that is shared with the device
 * @mem: the memory, coherent; anything in it can change at any time
 * @dma: its address for the device
 * @len: its length in bytes
 *
 * Belongs to the driver and is freed when the device has been reset, so that it
 * does not matter what the device still refers to.
 */
struct vdibs_area {
	void *mem;
	dma_addr_t dma;
	size_t len;
};

/**
 * struct vdibs_config - configuration of the device, as checked
 * @gid: GID of the device
 * @fabric_id: number of its fabric
 * @num_move_queues: number of move queues, at least 1
 * @max_dmbs: number of DMBs, 1 to %DIBS_MAX_DMBS
 * @max_dmb_len: length of the longest DMB in bytes
 */
struct vdibs_config {
	uuid_t gid;
	u16 fabric_id;
	u16 num_move_queues;
	u32 max_dmbs;
	u32 max_dmb_len;
};

struct vdibs;

/**
 * struct vdibs_inq - queue in which the device reports something
 * @vd: the device
 * @vq: the virtqueue; NULL while nothing is to be taken from it
 * @area: the buffers, one after the other
 * @size: length of a buffer
 * @lock: serializes use of @vq and calls of @handle
 * @handle: called with @lock held for a copy of what the device wrote
 * @work: goes on when the interrupt handler has had enough
 */
struct vdibs_inq {
	struct vdibs *vd;
	struct virtqueue *vq;
	struct vdibs_area area;
	unsigned int size;
	spinlock_t lock;	/* see above */
	void (*handle)(struct vdibs *vd, const void *entry, u32 len);
	struct work_struct work;
};

/**
 * struct vdibs_pin - data that the device reads where it is
 * @folio: where it is, with a reference
 * @dma: its address for the device
 * @len: its length in bytes
 */
struct vdibs_pin {
	struct folio *folio;
	dma_addr_t dma;
	u32 len;
};

/**
 * struct vdibs_moveq - queue of moves, one of which is under way at a time
 * @lock: held from making a move available until the device gives it back
 * @vq: the virtqueue
 * @head: status, header, and data of a small move
 * @data: data of a large move that is copied, %VDIBS_CHUNK bytes
 * @pins: data of a large move that is not; kept until the device is reset if it
 *	does not give the move back
 * @nr_pins: number of @pins
 * @out: what the device reads: the header, then data
 * @nr_out: number of pieces in @out
 */
struct vdibs_moveq {
	raw_spinlock_t lock;	/* see above */
	struct virtqueue *vq;
	struct vdibs_area head;
	struct vdibs_area data;
	struct vdibs_pin pins[VIRTIO_DIBS_MAX_SEGS];
	unsigned int nr_pins;
	struct scatterlist out[1 + VIRTIO_DIBS_MAX_SEGS];
	unsigned int nr_out;
} ____cacheline_aligned_in_smp;

/**
 * struct vdibs - one virtio-dibs device
 * @vdev: the virtio device
 * @dma_dev: device that memory is mapped for
 * @dibs: the device in class dibs; NULL while there is none
 * @added: @dibs was added
 * @id: number in the name of @dibs
 * @config: what the device said about itself
 * @why: why the device cannot be used any more, NULL as long as it can
 * @watch: looks after the device, resets it when it has failed
 * @next_reset: no reset before that time, in jiffies
 * @backoff: how long to wait after the next reset, in jiffies
 * @ctrl_mutex: one request at a time; protects @ctrl
 * @ctrl_lock: protects @ctrl_vq, @ctrl_done and @ctrl_len
 * @ctrl_wait: for @ctrl_done
 * @ctrl_vq: virtqueue of requests; NULL while there are none
 * @ctrl: request and answer
 * @ctrl_done: the answer is there
 * @ctrl_len: length of the answer, as claimed by the device
 * @dmbs: &struct vdibs_dmb by index
 * @signals: queue of signals, its lock protects &vdibs_dmb.dmb
 * @events: queue of events
 * @direct: pages can be mapped for the device where nothing can be waited for
 * @nr_moveqs: number of move queues in use
 * @moveqs: move queues; the last one is for emergencies if there are several
 */
struct vdibs {
	struct virtio_device *vdev;
	struct device *dma_dev;
	struct dibs_dev *dibs;
	bool added;
	int id;
	struct vdibs_config config;

	const char *why;
	struct delayed_work watch;
	u64 next_reset;
	unsigned int backoff;

	struct mutex ctrl_mutex;	/* see above */
	spinlock_t ctrl_lock;		/* see above */
	wait_queue_head_t ctrl_wait;
	struct virtqueue *ctrl_vq;
	struct vdibs_area ctrl;
	bool ctrl_done;
	u32 ctrl_len;

	struct xarray dmbs;
	struct vdibs_inq signals;
	struct vdibs_inq events;

	bool direct;
	unsigned int nr_moveqs;
	struct vdibs_moveq *moveqs;
};

/* ------------------------- virtio_dibs_main.c ---------------------------- */

void vdibs_fail(struct vdibs *vd, const char *why);
void vdibs_fail_quietly(struct vdibs *vd, const char *why);
int vdibs_errno(u32 status, u32 allowed);

int vdibs_area_alloc(struct vdibs *vd, struct vdibs_area *area, size_t len);
void vdibs_area_free(struct vdibs *vd, struct vdibs_area *area);

static inline bool vdibs_failed(struct vdibs *vd)
{
	return unlikely(READ_ONCE(vd->why));
}

/* Status that a request may end with, as a bit */
#define VDIBS_MAY(status)	BIT(VIRTIO_DIBS_S_##status)
#define VDIBS_MAY_ALL		(VDIBS_MAY(INVAL) | VDIBS_MAY(NODEV) | \
				 VDIBS_MAY(IO))

/* The queues do no mapping of their own, so these are all that they look at */
static inline void vdibs_sg_set(struct scatterlist *sg, dma_addr_t dma,
				unsigned int len)
{
	sg_init_table(sg, 1);
	sg_dma_address(sg) = dma;
	sg->length = len;
}

/* ------------------------ virtio_dibs_config.c --------------------------- */

int vdibs_validate(struct virtio_device *vdev);
int vdibs_config_get(struct vdibs *vd);

/* ------------------------- virtio_dibs_ctrl.c ---------------------------- */

extern unsigned int vdibs_ctrl_timeout;

void vdibs_ctrl_init(struct vdibs *vd);
int vdibs_ctrl_alloc(struct vdibs *vd);
void vdibs_ctrl_start(struct vdibs *vd, struct virtqueue *vq);
void vdibs_ctrl_stop(struct vdibs *vd);
void vdibs_ctrl_free(struct vdibs *vd);
void vdibs_ctrl_callback(struct virtqueue *vq);
int vdibs_ctrl(struct vdibs *vd, const void *req, size_t len, u32 allowed,
	       u64 *token);

int vdibs_query_remote_gid(struct dibs_dev *dibs, const uuid_t *rgid,
			   u32 vid_valid, u32 vid);
int vdibs_signal_event(struct dibs_dev *dibs, const uuid_t *rgid,
		       u32 trigger_irq, u32 event_code, u64 info);

/* ------------------------- virtio_dibs_dmb.c ----------------------------- */

void vdibs_dmbs_init(struct vdibs *vd);
void vdibs_dmbs_free(struct vdibs *vd);
int vdibs_register_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb);
int vdibs_unregister_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb);
void vdibs_dmb_signal(struct vdibs *vd, u64 token, u32 idx, u16 mask);

/* ------------------------- virtio_dibs_recv.c ---------------------------- */

void vdibs_recv_init(struct vdibs *vd);
int vdibs_recv_alloc(struct vdibs_inq *q);
int vdibs_recv_start(struct vdibs_inq *q, struct virtqueue *vq);
void vdibs_recv_stop(struct vdibs_inq *q);
void vdibs_recv_free(struct vdibs_inq *q);
void vdibs_signal_callback(struct virtqueue *vq);
void vdibs_event_callback(struct virtqueue *vq);

/* ------------------------- virtio_dibs_move.c ---------------------------- */

extern unsigned int vdibs_move_timeout;

int vdibs_moveqs_alloc(struct vdibs *vd);
void vdibs_moveqs_free(struct vdibs *vd);

int vdibs_move_data(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
		    bool sf, unsigned int offset, const void *data,
		    unsigned int size);
int vdibs_move_data_vec(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
			bool sf, const struct dibs_move_seg *segs,
			unsigned int nsegs);
int vdibs_move_data_atomic(struct dibs_dev *dibs, u64 dmb_tok,
			   unsigned int idx, bool sf, unsigned int offset,
			   const void *data, unsigned int size);

#endif /* _DRIVERS_VIRTIO_DIBS_H */
