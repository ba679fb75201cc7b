// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing between the guests of a host
 *
 * Moves: copied into memory that the device knows, or pinned where they are if
 * they are large, and waited for by looking at the used ring. Nothing here
 * sleeps, allocates or prints.
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

/* Pieces of this size are pinned rather than copied */
#define VDIBS_DIRECT		SZ_4K

/* Segments of this size are in one request: nobody sees half a word of them */
#define VDIBS_WHOLE		64

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
 * @direct: data can be left where it is
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
	bool direct;
	const struct dibs_move_seg *segs;
	unsigned int nsegs;
	u32 done;
	u64 left;
	u64 usecs;
};

/* ------------------------- what is not copied ---------------------------- */

/*
 * Is a page mapped for the device by nothing but arithmetic? Whatever else there
 * may be, from the drivers of IOMMUs to bounce buffers, takes locks or prints,
 * which a move must not.
 */
static bool vdibs_can_pin(struct vdibs *vd)
{
	struct device *dev = vd->dma_dev;
	struct page *page;
	dma_addr_t dma;
	bool can = false;

	if (device_iommu_mapped(dev) || dma_addressing_limited(dev) ||
	    (IS_ENABLED(CONFIG_PREEMPT_RT) && IS_ENABLED(CONFIG_DMA_API_DEBUG)))
		return false;
	page = alloc_page(GFP_KERNEL);
	if (!page)
		return false;
	dma = dma_map_page(dev, page, 0, PAGE_SIZE, DMA_TO_DEVICE);
	if (!dma_mapping_error(dev, dma)) {
		can = !dma_need_sync(dev, dma);
		dma_unmap_page(dev, dma, PAGE_SIZE, DMA_TO_DEVICE);
	}
	__free_page(page);
	return can;
}

/*
 * A reference keeps pages from being used for something else, but not what is in
 * a slab, nor the kernel's image.
 */
static bool vdibs_pin(struct vdibs *vd, struct vdibs_moveq *q,
		      const void *data, u32 len)
{
	struct vdibs_pin *pin = &q->pins[q->nr_pins];
	struct folio *folio;
	size_t offset;

	/* the second is for what is mapped at some other place, as by kmap() */
	if (!virt_addr_valid(data) ||
	    page_address(virt_to_page(data)) + offset_in_page(data) != data)
		return false;
	folio = virt_to_folio(data);
	offset = offset_in_folio(folio, data);
	if (folio_test_slab(folio) || folio_test_reserved(folio) ||
	    offset + len > folio_size(folio) || !folio_try_get(folio))
		return false;
	pin->dma = dma_map_page(vd->dma_dev, folio_page(folio, 0), offset, len,
				DMA_TO_DEVICE);
	if (dma_mapping_error(vd->dma_dev, pin->dma)) {
		folio_put(folio);
		return false;
	}
	pin->folio = folio;
	pin->len = len;
	q->nr_pins++;
	return true;
}

/* The device does not read any more */
static void vdibs_unpin(struct vdibs *vd, struct vdibs_moveq *q)
{
	struct vdibs_pin *pin;

	while (q->nr_pins) {
		pin = &q->pins[--q->nr_pins];
		dma_unmap_page(vd->dma_dev, pin->dma, pin->len, DMA_TO_DEVICE);
		folio_put(pin->folio);
	}
}

/* ------------------------------ requests --------------------------------- */

static void vdibs_out(struct vdibs_moveq *q, dma_addr_t dma, u32 len)
{
	struct scatterlist *sg = &q->out[q->nr_out++];

	sg_dma_address(sg) = dma;
	sg->length = len;
}

/* The next piece of a segment is in the request */
static void vdibs_piece(struct vdibs_move *move,
			struct virtio_dibs_move_seg *to, u32 len)
{
	const struct dibs_move_seg *seg = move->segs;

	to->offset = cpu_to_le32(seg->offset + move->done);
	to->size = cpu_to_le32(len);
	move->done += len;
	move->left -= len;
	if (move->done == seg->size) {
		move->segs++;
		move->nsegs--;
		move->done = 0;
	}
}

/* Copy the next piece of a segment, as long as there is room. Return: its length */
static u32 vdibs_copy(struct vdibs_move *move, struct virtio_dibs_move_seg *to,
		      void *data, u32 room)
{
	const struct dibs_move_seg *seg = move->segs;
	u32 len = min(seg->size - move->done, room);

	memcpy(data, seg->data + move->done, len);
	vdibs_piece(move, to, len);
	return len;
}

/* What is left of a segment, if it can stay where it is */
static bool vdibs_refer(struct vdibs *vd, struct vdibs_moveq *q,
			struct vdibs_move *move,
			struct virtio_dibs_move_seg *to)
{
	const struct dibs_move_seg *seg = move->segs;
	u32 len = seg->size - move->done;

	if (!move->direct || len < VDIBS_DIRECT ||
	    !vdibs_pin(vd, q, seg->data + move->done, len))
		return false;
	vdibs_out(q, q->pins[q->nr_pins - 1].dma, len);
	vdibs_piece(move, to, len);
	return true;
}

/* Complete a request that has the next @nsegs segments */
static void vdibs_put_head(struct vdibs_moveq *q, struct vdibs_move *move,
			   unsigned int nsegs)
{
	struct vdibs_move_head *head = q->head.mem;

	head->req.token = cpu_to_le64(move->token);
	head->req.signal = cpu_to_le16(move->signal);
	head->req.nsegs = cpu_to_le16(nsegs);
	head->req.reserved = 0;
	head->req.flags = 0;
	if (move->sf && !move->nsegs)
		head->req.flags = cpu_to_le16(VIRTIO_DIBS_MOVE_F_SIGNAL);
}

/* ------------------------------ execution -------------------------------- */

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

static int vdibs_exec(struct vdibs_moveq *q, u64 *usecs, const char **why)
{
	struct vdibs_move_head *head = q->head.mem;
	struct scatterlist resp, *sgs[] = { q->out, &resp };
	u32 len;
	int rc;

	vdibs_sg_set(&resp, q->head.dma, sizeof(head->resp));
	head->resp.status = cpu_to_le32(VIRTIO_DIBS_S_IO);
	*why = "move queue broken";
	/* an answer to nothing would be taken for that to this move */
	virtqueue_get_buf(q->vq, &len);
	sg_mark_end(&q->out[q->nr_out - 1]);
	rc = virtqueue_add_sgs(q->vq, sgs, 1, 1, q, GFP_ATOMIC);
	sg_unmark_end(&q->out[q->nr_out - 1]);
	if (rc || !virtqueue_kick(q->vq))
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

/* Nothing of a request is read again, as the device could have changed it */
static int vdibs_exec_small(struct vdibs_moveq *q, struct vdibs_move *move,
			    const char **why)
{
	struct vdibs_move_head *head = q->head.mem;
	unsigned int i, nsegs = move->nsegs;
	u32 len = 0, at = struct_size(&head->req, segs, nsegs);

	for (i = 0; i < nsegs; i++)
		len += vdibs_copy(move, &head->req.segs[i],
				  (void *)&head->req + at + len,
				  VDIBS_INLINE - len);
	vdibs_put_head(q, move, nsegs);
	q->nr_out = 0;
	vdibs_out(q, q->head.dma + VDIBS_HEAD_REQ, at + len);
	return vdibs_exec(q, &move->usecs, why);
}

/* Is there room for the next piece, or for a part of it that is worth it? */
static bool vdibs_fits(const struct vdibs_move *move, u32 room)
{
	return room >= min_t(u32, move->segs->size, VDIBS_WHOLE + 1);
}

/* As much as fits into one request. Return: the number of segments */
static unsigned int vdibs_put_large(struct vdibs *vd, struct vdibs_moveq *q,
				    struct vdibs_move *move)
{
	struct vdibs_move_head *head = q->head.mem;
	unsigned int n = 0;
	u32 len, copied = 0;

	do {
		if (!vdibs_refer(vd, q, move, &head->req.segs[n])) {
			len = vdibs_copy(move, &head->req.segs[n],
					 q->data.mem + copied,
					 VDIBS_CHUNK - copied);
			if (len)
				vdibs_out(q, q->data.dma + copied, len);
			copied += len;
		}
		n++;
	} while (move->nsegs && vdibs_fits(move, VDIBS_CHUNK - copied));
	return n;
}

static int vdibs_exec_large(struct vdibs *vd, struct vdibs_moveq *q,
			    struct vdibs_move *move, const char **why)
{
	struct vdibs_move_head *head = q->head.mem;
	unsigned int nsegs;
	int rc;

	do {
		q->nr_out = 0;
		vdibs_out(q, q->head.dma + VDIBS_HEAD_REQ, 0);
		nsegs = vdibs_put_large(vd, q, move);
		vdibs_put_head(q, move, nsegs);
		q->out[0].length = struct_size(&head->req, segs, nsegs);
		rc = vdibs_exec(q, &move->usecs, why);
		if (likely(!*why))
			vdibs_unpin(vd, q);
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
		rc = vdibs_exec_large(vd, q, move, why);
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

	move->direct = vd->direct;
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

	vd->direct = vdibs_can_pin(vd);
	vd->nr_moveqs = min(vd->config.num_move_queues, num_possible_cpus() + 1);
	vd->moveqs = kvcalloc(vd->nr_moveqs, sizeof(*vd->moveqs), GFP_KERNEL);
	if (!vd->moveqs)
		return -ENOMEM;
	for (i = 0; i < vd->nr_moveqs && !rc; i++) {
		q = &vd->moveqs[i];
		raw_spin_lock_init(&q->lock);
		sg_init_table(q->out, ARRAY_SIZE(q->out));
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
		vdibs_unpin(vd, &vd->moveqs[i]);
		vdibs_area_free(vd, &vd->moveqs[i].head);
		vdibs_area_free(vd, &vd->moveqs[i].data);
	}
	kvfree(vd->moveqs);
	vd->moveqs = NULL;
}
