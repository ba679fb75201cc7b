// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing between the guests of a host
 *
 * DMBs: memory of this system that the device writes to.
 *
 * Memory goes back to the system when the device has confirmed that it does
 * not write to it any more, or has been reset.
 */
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/virtio.h>

#include "virtio_dibs.h"

/**
 * struct vdibs_dmb - memory of a DMB
 * @dmb: what the core knows of it; NULL while there are no signals to report
 * @folio: the memory
 * @dma: its address for the device
 * @len: its length, in full pages
 * @kept: the device may still write to it, and nobody owns it
 * @token: token that the device gave it
 */
struct vdibs_dmb {
	struct dibs_dmb *dmb;
	struct folio *folio;
	dma_addr_t dma;
	u32 len;
	bool kept;
	u64 token;
};

static struct vdibs_dmb *vdibs_dmb_alloc(struct vdibs *vd, u32 len)
{
	struct vdibs_dmb *buf;

	buf = kzalloc(sizeof(*buf), GFP_KERNEL);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	buf->len = len;
	buf->folio = folio_alloc(GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN |
				 __GFP_NOMEMALLOC | __GFP_NORETRY,
				 get_order(len));
	if (!buf->folio)
		goto out_buf;
	buf->dma = dma_map_page(vd->dma_dev, folio_page(buf->folio, 0), 0, len,
				DMA_FROM_DEVICE);
	if (dma_mapping_error(vd->dma_dev, buf->dma))
		goto out_folio;
	/* a copy of the memory, such as in a bounce buffer, is of no use */
	if (dma_need_sync(vd->dma_dev, buf->dma))
		goto out_unmap;
	return buf;

out_unmap:
	dma_unmap_page(vd->dma_dev, buf->dma, len, DMA_FROM_DEVICE);
out_folio:
	folio_put(buf->folio);
out_buf:
	kfree(buf);
	return ERR_PTR(-ENOMEM);
}

/* The pages live on while somebody refers to them, but nobody writes to them */
static void vdibs_dmb_free(struct vdibs *vd, struct vdibs_dmb *buf)
{
	dma_unmap_page(vd->dma_dev, buf->dma, buf->len, DMA_FROM_DEVICE);
	folio_put(buf->folio);
	kfree(buf);
}

/* @idx: in: the one that is wanted, 0 for any; out: the one that it is */
static int vdibs_dmb_insert(struct vdibs *vd, struct vdibs_dmb *buf, u32 *idx)
{
	int rc;

	if (*idx)
		return xa_insert(&vd->dmbs, *idx, buf, GFP_KERNEL);
	rc = xa_alloc(&vd->dmbs, idx, buf, XA_LIMIT(0, vd->config.max_dmbs - 1),
		      GFP_KERNEL);
	return rc == -EBUSY ? -ENOSPC : rc;
}

/* Who has looked for the DMB by its index has ended when this returns */
static void vdibs_dmb_publish(struct vdibs *vd, struct vdibs_dmb *buf,
			      struct dibs_dmb *dmb)
{
	spin_lock_irq(&vd->signals.lock);
	buf->dmb = dmb;
	spin_unlock_irq(&vd->signals.lock);
}

/*
 * Nobody owns the memory any more. It can be used for something else if the
 * device does not have it.
 */
static void vdibs_dmb_drop(struct vdibs *vd, struct vdibs_dmb *buf, u32 idx,
			   bool safe)
{
	if (safe)
		xa_erase(&vd->dmbs, idx);
	else
		buf->kept = true;
	vdibs_dmb_publish(vd, buf, NULL);
	if (safe)
		vdibs_dmb_free(vd, buf);
}

/* Caller holds the lock of the signal queue, so that @buf stays */
void vdibs_dmb_signal(struct vdibs *vd, u64 token, u32 idx, u16 mask)
{
	struct vdibs_dmb *buf;

	lockdep_assert_held(&vd->signals.lock);
	buf = xa_load(&vd->dmbs, idx);
	if (buf && buf->dmb && buf->token == token && mask)
		dibs_dmb_signal(buf->dmb, mask);
}

static int vdibs_request_dmb(struct vdibs *vd, struct vdibs_dmb *buf, u32 idx,
			     const uuid_t *rgid)
{
	DEFINE_RAW_FLEX(struct virtio_dibs_register_dmb, req, ranges, 1);
	int rc;

	req->hdr.cmd = cpu_to_le16(VIRTIO_DIBS_C_REGISTER_DMB);
	export_uuid(req->rgid, rgid);
	req->idx = cpu_to_le32(idx);
	req->len = cpu_to_le32(buf->len);
	req->nranges = cpu_to_le16(1);
	req->ranges[0].addr = cpu_to_le64(buf->dma);
	req->ranges[0].len = cpu_to_le32(buf->len);
	rc = vdibs_ctrl(vd, req, struct_size(req, ranges, 1),
			VDIBS_MAY_ALL | VDIBS_MAY(BUSY) | VDIBS_MAY(NOSPC) |
			VDIBS_MAY(NOMEM), &buf->token);
	if (rc || buf->token)
		return rc;
	vdibs_fail(vd, "DMB without a token");
	return -EIO;
}

static bool vdibs_dmb_valid(struct vdibs *vd, const struct dibs_dmb *dmb)
{
	size_t max = min(vd->config.max_dmb_len, PAGE_SIZE << MAX_PAGE_ORDER);

	max = round_down(min(max, dma_max_mapping_size(vd->dma_dev)), PAGE_SIZE);
	return dmb->dmb_len && dmb->dmb_len <= max &&
	       dmb->idx < vd->config.max_dmbs;
}

int vdibs_register_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	struct vdibs *vd = dibs->drv_priv;
	struct vdibs_dmb *buf;
	u32 idx = dmb->idx;
	int rc;

	if (!vdibs_dmb_valid(vd, dmb) || uuid_is_null(&dmb->rgid))
		return -EINVAL;
	buf = vdibs_dmb_alloc(vd, PAGE_ALIGN(dmb->dmb_len));
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	rc = vdibs_dmb_insert(vd, buf, &idx);
	if (rc) {
		vdibs_dmb_free(vd, buf);
		return rc;
	}
	rc = vdibs_request_dmb(vd, buf, idx, &dmb->rgid);
	if (rc) {
		/* without an answer the device may have it, until the reset */
		vdibs_dmb_drop(vd, buf, idx, !vdibs_failed(vd));
		return rc;
	}
	dmb->dmb_tok = buf->token;
	dmb->cpu_addr = folio_address(buf->folio);
	dmb->dma_addr = buf->dma;
	dmb->dmb_len = buf->len;
	dmb->idx = idx;
	vdibs_dmb_publish(vd, buf, dmb);
	return 0;
}

int vdibs_unregister_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	struct vdibs *vd = dibs->drv_priv;
	struct virtio_dibs_unregister_dmb req = {
		.hdr.cmd = cpu_to_le16(VIRTIO_DIBS_C_UNREGISTER_DMB),
		.token = cpu_to_le64(dmb->dmb_tok),
	};
	struct vdibs_dmb *buf;
	int rc;

	buf = xa_load(&vd->dmbs, dmb->idx);
	if (!buf || buf->kept || buf->token != dmb->dmb_tok)
		return -ENOENT;
	rc = vdibs_ctrl(vd, &req, sizeof(req), VDIBS_MAY_ALL |
			VDIBS_MAY(NOENT) | VDIBS_MAY(PERM), NULL);
	vdibs_dmb_drop(vd, buf, dmb->idx, !rc || rc == -ENOENT);
	return rc && rc != -ENOENT ? -EIO : 0;
}

void vdibs_dmbs_init(struct vdibs *vd)
{
	xa_init_flags(&vd->dmbs, XA_FLAGS_ALLOC);
}

/* The device has been reset, or was never started */
void vdibs_dmbs_free(struct vdibs *vd)
{
	struct vdibs_dmb *buf;
	unsigned long idx;

	xa_for_each(&vd->dmbs, idx, buf)
		vdibs_dmb_free(vd, buf);
	xa_destroy(&vd->dmbs);
}
