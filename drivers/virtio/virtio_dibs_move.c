// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing between the guests of a host
 *
 * Moves: copied into memory that the device knows, and waited for by looking
 * at the used ring. Nothing here sleeps, allocates or prints.
 *
 * When a move is not given back in time, the device has failed: the queue, with
 * the memory that the device may still read, is left alone until the reset.
 */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/virtio.h>
#include <kunit/visibility.h>

#include "virtio_dibs.h"

unsigned int vdibs_move_timeout = 1000;
EXPORT_SYMBOL_IF_KUNIT(vdibs_move_timeout);
module_param_named(move_timeout, vdibs_move_timeout, uint, 0644);
MODULE_PARM_DESC(move_timeout, "time in ms after which a move has failed");

/* How often the used ring is looked at without a pause, at first */
#define VDIBS_SPINS		4096

#define VDIBS_MOVE_STATUSES	(VDIBS_MAY_ALL | VDIBS_MAY(NOENT) | \
				 VDIBS_MAY(PERM) | VDIBS_MAY(RANGE))

/* The device writes to the first cache line and reads the others */
struct vdibs_move_head {
	struct virtio_dibs_move_resp resp;
	struct virtio_dibs_move req __aligned(L1_CACHE_BYTES);
};

#define VDIBS_HEAD_REQ		offsetof(struct vdibs_move_head, req)
#define VDIBS_HEAD_LEN		SZ_4K
#define VDIBS_INLINE		(VDIBS_HEAD_LEN - VDIBS_HEAD_REQ - \
				 struct_size_t(struct virtio_dibs_move, segs, \
					       VIRTIO_DIBS_MAX_SEGS))

static_assert(VIRTIO_DIBS_MAX_SEGS == DIBS_MAX_SEGS);
static_assert(VIRTIO_DIBS_MAX_SIGNALS == DIBS_MAX_SIGNALS);

/**
 * struct vdibs_move - what is left to do of a move
 * @token: the DMB
 * @signal: the signal to raise at the end
 * @sf: raise @signal
 * @segs: segments that are left
 * @nsegs: their number
 * @done: bytes of the first of them that are done
 * @left: bytes that are left
 * @usecs: time that is left
 */
struct vdibs_move {
	u64 token;
	u16 signal;
	bool sf;
	const struct dibs_move_seg *segs;
	unsigned int nsegs;
	u32 done;
	u64 left;
	u64 usecs;
};

/* Put the next piece of a segment into the request. Return: its length */
static u32 vdibs_put_seg(struct vdibs_move *move,
			 struct virtio_dibs_move_seg *to, void *data, u32 room)
{
	const struct dibs_move_seg *seg = move->segs;
	u32 len = min(seg->size - move->done, room);

	to->offset = cpu_to_le32(seg->offset + move->done);
	to->size = cpu_to_le32(len);
	memcpy(data, seg->data + move->done, len);
	move->done += len;
	move->left -= len;
	if (move->done == seg->size) {
		move->segs++;
		move->nsegs--;
		move->done = 0;
	}
	return len;
}

/*
 * Fill the request with as much as it can take, @nsegs segments. Nothing of it
 * is read again, as the device could have changed it. Return: bytes of data
 */
static u32 vdibs_put_move(struct vdibs_move *move, struct virtio_dibs_move *req,
			  unsigned int *nsegs, void *data, u32 room)
{
	unsigned int n = 0;
	u32 len = 0;

	do {
		len += vdibs_put_seg(move, &req->segs[n++], data + len,
				     room - len);
	} while (move->nsegs && len < room);
	*nsegs = n;
	req->token = cpu_to_le64(move->token);
	req->signal = cpu_to_le16(move->signal);
	req->nsegs = cpu_to_le16(n);
	req->reserved = 0;
	req->flags = 0;
	if (move->sf && !move->nsegs)
		req->flags = cpu_to_le16(VIRTIO_DIBS_MOVE_F_SIGNAL);
	return len;
}

/*
 * The queue belongs to the caller, who has made one request available. What
 * comes back is that one: the ring knows of no other.
 *
 * Time is what was spent in udelay(): where interrupts are disabled, a clock may
 * stand still.
 */
static bool vdibs_wait(struct vdibs_moveq *q, u64 *usecs, u32 *len)
{
	unsigned int spins = VDIBS_SPINS;

	while (!virtqueue_get_buf(q->vq, len)) {
		if (virtqueue_is_broken(q->vq) || !*usecs)
			return false;
		if (spins) {
			spins--;
			cpu_relax();
		} else {
			--*usecs;
			udelay(1);
		}
	}
	return true;
}

/* @data_len: bytes in the area for data; what is in the head is in @req_len */
static int vdibs_exec(struct vdibs_moveq *q, u64 *usecs, u32 req_len,
		      u32 data_len, const char **why)
{
	struct vdibs_move_head *head = q->head.mem;
	struct scatterlist req, data, resp, *sgs[3];
	unsigned int n = 0;
	u32 len;

	vdibs_sg_set(&req, q->head.dma + VDIBS_HEAD_REQ, req_len);
	sgs[n++] = &req;
	if (data_len) {
		vdibs_sg_set(&data, q->data.dma, data_len);
		sgs[n++] = &data;
	}
	vdibs_sg_set(&resp, q->head.dma, sizeof(head->resp));
	sgs[n] = &resp;

	head->resp.status = cpu_to_le32(VIRTIO_DIBS_S_IO);
	*why = "move queue broken";
	/* an answer to nothing would be taken for that to this move */
	virtqueue_get_buf(q->vq, &len);
	if (virtqueue_add_sgs(q->vq, sgs, n, 1, q, GFP_ATOMIC) ||
	    !virtqueue_kick(q->vq))
		return -EIO;
	*why = "move not answered";
	if (!vdibs_wait(q, usecs, &len))
		return -EIO;
	*why = "bad answer to a move";
	if (len != sizeof(head->resp))
		return -EIO;
	*why = NULL;
	return vdibs_errno(le32_to_cpu(READ_ONCE(head->resp.status)),
			   VDIBS_MOVE_STATUSES);
}

static int vdibs_exec_small(struct vdibs_moveq *q, struct vdibs_move *move,
			    const char **why)
{
	struct vdibs_move_head *head = q->head.mem;
	unsigned int nsegs = move->nsegs;
	u32 len = struct_size(&head->req, segs, nsegs);

	len += vdibs_put_move(move, &head->req, &nsegs,
			      (void *)&head->req + len, VDIBS_INLINE);
	return vdibs_exec(q, &move->usecs, len, 0, why);
}

static int vdibs_exec_large(struct vdibs_moveq *q, struct vdibs_move *move,
			    const char **why)
{
	struct vdibs_move_head *head = q->head.mem;
	unsigned int nsegs;
	u32 len;
	int rc;

	do {
		len = vdibs_put_move(move, &head->req, &nsegs, q->data.mem,
				     VDIBS_CHUNK);
		rc = vdibs_exec(q, &move->usecs,
				struct_size(&head->req, segs, nsegs), len, why);
	} while (!rc && move->nsegs);
	return rc;
}

/*
 * Caller holds the lock of the queue: who gets it next must not touch what the
 * device has not given back.
 */
static int vdibs_move(struct vdibs *vd, struct vdibs_moveq *q,
		      struct vdibs_move *move, const char **why)
{
	int rc;

	*why = NULL;
	if (vdibs_failed(vd))
		return -EIO;
	move->usecs = vdibs_move_timeout * (u64)USEC_PER_MSEC;
	/* smaller than the room, or empty segments at the end would be left */
	if (move->left < VDIBS_INLINE)
		rc = vdibs_exec_small(q, move, why);
	else
		rc = vdibs_exec_large(q, move, why);
	if (unlikely(*why))
		vdibs_fail_quietly(vd, *why);
	return rc;
}

/*
 * All moves to one DMB go through one queue, so that they become visible in
 * the order in which they are made.
 */
static struct vdibs_moveq *vdibs_moveq_of(struct vdibs *vd, u64 token)
{
	unsigned int n = max(vd->nr_moveqs - 1, 1u);

	return &vd->moveqs[reciprocal_scale(hash_64(token, 32), n)];
}

/*
 * Callers may have disabled interrupts or soft interrupts, or neither. The wait
 * is longer than what interrupts should be disabled for by the lock.
 */
static int vdibs_move_locked(struct vdibs *vd, struct vdibs_move *move)
{
	struct vdibs_moveq *q = vdibs_moveq_of(vd, move->token);
	bool irqs_off = irqs_disabled();
	const char *why;
	int rc;

	if (irqs_off)
		raw_spin_lock(&q->lock);
	else
		raw_spin_lock_bh(&q->lock);
	rc = vdibs_move(vd, q, move, &why);
	if (irqs_off)
		raw_spin_unlock(&q->lock);
	else
		raw_spin_unlock_bh(&q->lock);
	if (unlikely(why))
		vdibs_fail(vd, why);
	return rc;
}

int vdibs_move_data(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
		    bool sf, unsigned int offset, const void *data,
		    unsigned int size)
{
	struct dibs_move_seg seg = {
		.data = data, .offset = offset, .size = size,
	};
	struct vdibs_move move = {
		.token = dmb_tok, .signal = idx, .sf = sf,
		.segs = &seg, .nsegs = 1, .left = size,
	};

	return vdibs_move_locked(dibs->drv_priv, &move);
}

int vdibs_move_data_vec(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
			bool sf, const struct dibs_move_seg *segs,
			unsigned int nsegs)
{
	struct vdibs_move move = {
		.token = dmb_tok, .signal = idx, .sf = sf,
		.segs = segs, .nsegs = nsegs,
	};
	unsigned int i;

	for (i = 0; i < nsegs; i++)
		move.left += segs[i].size;
	return vdibs_move_locked(dibs->drv_priv, &move);
}

/* The reset is left to the watch, as queueing work takes locks */
int vdibs_move_data_atomic(struct dibs_dev *dibs, u64 dmb_tok,
			   unsigned int idx, bool sf, unsigned int offset,
			   const void *data, unsigned int size)
{
	struct dibs_move_seg seg = {
		.data = data, .offset = offset, .size = size,
	};
	struct vdibs_move move = {
		.token = dmb_tok, .signal = idx, .sf = sf,
		.segs = &seg, .nsegs = 1, .left = size,
	};
	struct vdibs *vd = dibs->drv_priv;
	struct vdibs_moveq *q = &vd->moveqs[vd->nr_moveqs - 1];
	unsigned long flags;
	const char *why;
	int rc;

	if (!raw_spin_trylock_irqsave(&q->lock, flags))
		return -EBUSY;
	rc = vdibs_move(vd, q, &move, &why);
	raw_spin_unlock_irqrestore(&q->lock, flags);
	if (why)
		vdibs_fail_quietly(vd, why);
	return rc;
}

/* ------------------------------- life ------------------------------------ */

/* One per CPU, and one for emergencies, as far as the device has them */
int vdibs_moveqs_alloc(struct vdibs *vd)
{
	struct vdibs_moveq *q;
	unsigned int i;
	int rc = 0;

	vd->nr_moveqs = min(vd->config.num_move_queues, num_possible_cpus() + 1);
	vd->moveqs = kvcalloc(vd->nr_moveqs, sizeof(*vd->moveqs), GFP_KERNEL);
	if (!vd->moveqs)
		return -ENOMEM;
	for (i = 0; i < vd->nr_moveqs && !rc; i++) {
		q = &vd->moveqs[i];
		raw_spin_lock_init(&q->lock);
		rc = vdibs_area_alloc(vd, &q->head, VDIBS_HEAD_LEN);
		if (!rc)
			rc = vdibs_area_alloc(vd, &q->data, VDIBS_CHUNK);
	}
	return rc;
}

void vdibs_moveqs_free(struct vdibs *vd)
{
	unsigned int i;

	if (!vd->moveqs)
		return;
	for (i = 0; i < vd->nr_moveqs; i++) {
		vdibs_area_free(vd, &vd->moveqs[i].head);
		vdibs_area_free(vd, &vd->moveqs[i].data);
	}
	kvfree(vd->moveqs);
	vd->moveqs = NULL;
}
