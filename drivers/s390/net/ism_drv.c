// SPDX-License-Identifier: GPL-2.0
/*
 * Internal Shared Memory (ISM)
 *
 * Driver for the PCI function through which partitions and guests of one
 * machine write into each other's memory. The function becomes a dibs device;
 * what is moved over it is the business of the clients of dibs.
 *
 * Nothing that the function returns is relied upon: a response is read up to
 * the size of what is expected, an event entry is copied once and an index into
 * the event queue is checked. Memory goes back to the system when the function
 * has confirmed that it does not write to it any more, or when it has been
 * disabled.
 */
#include <linux/bitfield.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <asm/debug.h>
#include <asm/pci_insn.h>
#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "ism.h"

#define ISM_DRV_NAME		"ism"
#define PCI_DEVICE_ID_IBM_ISM	0x04ed

#define ISM_BAR_MOVE		0
#define ISM_BAR_CMD		2

static debug_info_t *ism_debug;
static DEFINE_IDA(ism_ida);

/* ----------------------- access to the function -------------------------- */

VISIBLE_IF_KUNIT int ism_read_cmd(struct ism_dev *ism, void *data,
				  unsigned long offset, unsigned long len)
{
	unsigned long pos;
	u64 req;
	int rc;

	KUNIT_STATIC_STUB_REDIRECT(ism_read_cmd, ism, data, offset, len);
	req = ZPCI_CREATE_REQ(to_zpci(ism->pdev)->fh, ISM_BAR_CMD, sizeof(u64));
	for (pos = 0; pos < len; pos += sizeof(u64)) {
		rc = __zpci_load(data + pos, req, offset + pos);
		if (rc)
			return rc;
	}
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(ism_read_cmd);

VISIBLE_IF_KUNIT int ism_write_cmd(struct ism_dev *ism, const void *data,
				   unsigned long offset, unsigned long len)
{
	KUNIT_STATIC_STUB_REDIRECT(ism_write_cmd, ism, data, offset, len);
	return __zpci_store_block(data,
				  ZPCI_CREATE_REQ(to_zpci(ism->pdev)->fh,
						  ISM_BAR_CMD, len), offset);
}
EXPORT_SYMBOL_IF_KUNIT(ism_write_cmd);

VISIBLE_IF_KUNIT int ism_move_block(struct ism_dev *ism, u64 dmb_req,
				    const void *data, unsigned int size)
{
	KUNIT_STATIC_STUB_REDIRECT(ism_move_block, ism, dmb_req, data, size);
	return __zpci_store_block(data,
				  ZPCI_CREATE_REQ(to_zpci(ism->pdev)->fh,
						  ISM_BAR_MOVE, size), dmb_req);
}
EXPORT_SYMBOL_IF_KUNIT(ism_move_block);

/* ------------------------------- commands -------------------------------- */

/* The payload first: it is the header that starts the execution */
static int ism_send_request(struct ism_dev *ism, const struct ism_req_hdr *req)
{
	int rc = 0;

	if (req->len > sizeof(*req))
		rc = ism_write_cmd(ism, req + 1, sizeof(*req),
				   req->len - sizeof(*req));
	if (!rc)
		rc = ism_write_cmd(ism, req, 0, sizeof(*req));
	return rc ? -EIO : 0;
}

static int ism_read_response(struct ism_dev *ism, struct ism_resp_hdr *resp,
			     size_t expected)
{
	int rc = 0;

	if (ism_read_cmd(ism, resp, 0, sizeof(*resp)))
		return -EBADMSG;
	if (resp->ret)
		return resp->ret;
	if (resp->len < expected || resp->len % sizeof(u64))
		return -EBADMSG;
	if (expected > sizeof(*resp))
		rc = ism_read_cmd(ism, resp + 1, sizeof(*resp),
				  expected - sizeof(*resp));
	return rc ? -EBADMSG : 0;
}

/**
 * ism_cmd() - have the function execute a command
 * @ism: the function
 * @cmd: the request, replaced by the response
 * @expected: size of the response, a multiple of 8
 *
 * A longer response than expected is cut off, it may come from a newer
 * function.
 *
 * Context: any.
 * Return: 0, or
 *  * positive: the function refused the command, with this code
 *  * -EIO: the command did not reach the function
 *  * -EBADMSG: it did, but there is no valid response; it may have been executed
 */
static int ism_cmd(struct ism_dev *ism, void *cmd, size_t expected)
{
	struct ism_req_hdr req = *(struct ism_req_hdr *)cmd;
	unsigned long flags;
	int rc;

	spin_lock_irqsave(&ism->cmd_lock, flags);
	rc = ism_send_request(ism, cmd);
	if (!rc)
		rc = ism_read_response(ism, cmd, expected);
	spin_unlock_irqrestore(&ism->cmd_lock, flags);
	if (rc) {
		debug_text_event(ism_debug, 0, "cmd failure");
		debug_event(ism_debug, 0, &req, sizeof(req));
		debug_event(ism_debug, 0, &rc, sizeof(rc));
	}
	return rc;
}

/* What a client is told; @refused is what a refusal of this command means */
static int ism_errno(int rc, int refused)
{
	if (rc <= 0)
		return rc ? -EIO : 0;
	return rc == ISM_RC_GONE ? -ENODEV : refused;
}

static int ism_cmd_simple(struct ism_dev *ism, enum ism_cmd_code code)
{
	union ism_simple cmd = {
		.request.hdr = { .cmd = code, .len = sizeof(cmd.request) },
	};

	return ism_cmd(ism, &cmd, sizeof(cmd.response));
}

static int ism_cmd_reg_sba(struct ism_dev *ism)
{
	union ism_reg_sba cmd = {
		.request = {
			.hdr.cmd = ISM_REG_SBA,
			.hdr.len = sizeof(cmd.request),
			.sba = ism->sba_dma,
		},
	};

	return ism_cmd(ism, &cmd, sizeof(cmd.response));
}

static int ism_cmd_reg_ieq(struct ism_dev *ism)
{
	union ism_reg_ieq cmd = {
		.request = {
			.hdr.cmd = ISM_REG_IEQ,
			.hdr.len = sizeof(cmd.request),
			.ieq = ism->ieq_dma,
			.len = sizeof(*ism->ieq),
		},
	};

	return ism_cmd(ism, &cmd, sizeof(cmd.response));
}

static int ism_cmd_read_gid(struct ism_dev *ism, u64 *gid)
{
	union ism_read_gid cmd = {
		.request = {
			.hdr.cmd = ISM_READ_GID,
			.hdr.len = sizeof(cmd.request),
		},
	};
	int rc;

	rc = ism_cmd(ism, &cmd, sizeof(cmd.response));
	if (!rc)
		*gid = cmd.response.gid;
	return rc;
}

/* For the debug feature only, so a failure is of no consequence */
static void ism_cmd_query_info(struct ism_dev *ism)
{
	union ism_query_info cmd = {
		.request = {
			.hdr.cmd = ISM_QUERY_INFO,
			.hdr.len = sizeof(cmd.request),
		},
	};

	if (ism_cmd(ism, &cmd, sizeof(cmd.response)))
		return;
	debug_text_event(ism_debug, 3, "query info");
	debug_event(ism_debug, 3, &cmd.response, sizeof(cmd.response));
}

static int ism_cmd_reg_dmb(struct ism_dev *ism, struct ism_buf *buf,
			   const struct dibs_dmb *dmb, u32 idx, u64 rgid)
{
	union ism_reg_dmb cmd = {
		.request = {
			.hdr.cmd = ISM_REG_DMB,
			.hdr.len = sizeof(cmd.request),
			.dmb = buf->dma_addr,
			.dmb_len = buf->len,
			.sba_idx = idx,
			.vlan_valid = dmb->vlan_valid,
			.vlan_id = dmb->vlan_id,
			.rgid = rgid,
		},
	};
	int rc;

	rc = ism_cmd(ism, &cmd, sizeof(cmd.response));
	if (!rc)
		buf->tok = cmd.response.dmb_tok;
	return rc;
}

static int ism_cmd_unreg_dmb(struct ism_dev *ism, u64 dmb_tok)
{
	union ism_unreg_dmb cmd = {
		.request = {
			.hdr.cmd = ISM_UNREG_DMB,
			.hdr.len = sizeof(cmd.request),
			.dmb_tok = dmb_tok,
		},
	};

	return ism_cmd(ism, &cmd, sizeof(cmd.response));
}

static int ism_cmd_vlan_id(struct ism_dev *ism, enum ism_cmd_code code,
			   u64 vlan_id)
{
	union ism_vlan_id cmd = {
		.request = {
			.hdr.cmd = code,
			.hdr.len = sizeof(cmd.request),
			.vlan_id = vlan_id,
		},
	};

	return ism_errno(ism_cmd(ism, &cmd, sizeof(cmd.response)), -EIO);
}

/* --------------------------------- GIDs ---------------------------------- */

static void ism_gid_to_uuid(u64 gid, uuid_t *uuid)
{
	put_unaligned_be64(gid, &uuid->b[0]);
	put_unaligned_be64(0, &uuid->b[8]);
}

/* A GID with a second half is not one of an ISM function */
static bool ism_uuid_to_gid(const uuid_t *uuid, u64 *gid)
{
	*gid = get_unaligned_be64(&uuid->b[0]);
	return !get_unaligned_be64(&uuid->b[8]);
}

static int ism_query_remote_gid(struct dibs_dev *dibs, const uuid_t *rgid,
				u32 vid_valid, u32 vid)
{
	union ism_query_rgid cmd = {
		.request = {
			.hdr.cmd = ISM_QUERY_RGID,
			.hdr.len = sizeof(cmd.request),
			.vlan_valid = vid_valid,
			.vlan_id = vid,
		},
	};

	if (!ism_uuid_to_gid(rgid, &cmd.request.rgid))
		return -ENETUNREACH;
	return ism_errno(ism_cmd(dibs->drv_priv, &cmd, sizeof(cmd.response)),
			 -ENETUNREACH);
}

/* No code is known to tell why: the receiver is the one thing to object to */
static int ism_signal_event(struct dibs_dev *dibs, const uuid_t *rgid,
			    u32 trigger_irq, u32 event_code, u64 info)
{
	union ism_signal_ieq cmd = {
		.request = {
			.hdr.cmd = ISM_SIGNAL_IEQ,
			.hdr.len = sizeof(cmd.request),
			.trigger_irq = trigger_irq,
			.event_code = event_code,
			.info = info,
		},
	};

	if (!ism_uuid_to_gid(rgid, &cmd.request.rgid))
		return -ENETUNREACH;
	return ism_errno(ism_cmd(dibs->drv_priv, &cmd, sizeof(cmd.response)),
			 -ENETUNREACH);
}

/* --------------------------------- DMBs ---------------------------------- */

static struct ism_buf *ism_buf_alloc(struct ism_dev *ism, u32 len)
{
	struct ism_buf *buf;

	buf = kzalloc(sizeof(*buf), GFP_KERNEL);
	if (!buf)
		return NULL;
	buf->len = len;
	buf->folio = folio_alloc(GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN |
				 __GFP_NOMEMALLOC | __GFP_NORETRY,
				 get_order(len));
	if (!buf->folio)
		goto out_buf;
	buf->dma_addr = dma_map_page(ism->dev, folio_page(buf->folio, 0), 0,
				     len, DMA_FROM_DEVICE);
	if (dma_mapping_error(ism->dev, buf->dma_addr))
		goto out_folio;
	return buf;

out_folio:
	folio_put(buf->folio);
out_buf:
	kfree(buf);
	return NULL;
}

/* The pages live on while somebody refers to them, but nobody writes to them */
static void ism_buf_free(struct ism_dev *ism, struct ism_buf *buf)
{
	dma_unmap_page(ism->dev, buf->dma_addr, buf->len, DMA_FROM_DEVICE);
	folio_put(buf->folio);
	kfree(buf);
}

/* @idx: in: the one that is wanted, 0 for any; out: the one that it is */
static int ism_buf_insert(struct ism_dev *ism, struct ism_buf *buf, u32 *idx)
{
	int rc;

	if (*idx)
		return xa_insert(&ism->dmbs, *idx, buf, GFP_KERNEL);
	rc = xa_alloc(&ism->dmbs, idx, buf,
		      XA_LIMIT(ISM_FIRST_DMB, ISM_NR_DMBS - 1), GFP_KERNEL);
	return rc == -EBUSY ? -ENOSPC : rc;
}

/*
 * Called when nobody owns the memory any more. It can be used for something
 * else if the function said that it does not have it, or is gone.
 */
static void ism_buf_drop(struct ism_dev *ism, struct ism_buf *buf, u32 idx,
			 bool safe)
{
	if (safe) {
		xa_erase(&ism->dmbs, idx);
		ism_buf_free(ism, buf);
		return;
	}
	buf->kept = true;
	dev_warn_ratelimited(ism->dev, "keeping the memory of DMB %u until removal\n",
			     idx);
}

static bool ism_dmb_valid(struct ism_dev *ism, const struct dibs_dmb *dmb)
{
	size_t max = min_t(size_t, ISM_MAX_DMB_LEN,
			   dma_get_max_seg_size(ism->dev));

	if (!dmb->dmb_len || dmb->dmb_len > max)
		return false;
	return !dmb->idx ||
	       (dmb->idx >= ISM_FIRST_DMB && dmb->idx < ISM_NR_DMBS);
}

static int ism_register_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	struct ism_dev *ism = dibs->drv_priv;
	struct ism_buf *buf;
	u32 idx = dmb->idx;
	u64 rgid;
	int rc;

	if (!ism_dmb_valid(ism, dmb) || !ism_uuid_to_gid(&dmb->rgid, &rgid))
		return -EINVAL;
	buf = ism_buf_alloc(ism, PAGE_ALIGN(dmb->dmb_len));
	if (!buf)
		return -ENOMEM;
	rc = ism_buf_insert(ism, buf, &idx);
	if (rc) {
		ism_buf_free(ism, buf);
		return rc;
	}
	rc = ism_cmd_reg_dmb(ism, buf, dmb, idx, rgid);
	if (rc) {
		ism_buf_drop(ism, buf, idx, rc != -EBADMSG);
		return ism_errno(rc, -EIO);
	}
	dmb->dmb_tok = buf->tok;
	dmb->cpu_addr = folio_address(buf->folio);
	dmb->dma_addr = buf->dma_addr;
	dmb->dmb_len = buf->len;
	dmb->idx = idx;
	return 0;
}

/* What is taken here was raised by a peer that has lost the DMB meanwhile */
static void ism_discard_signals(struct ism_dev *ism, u32 idx)
{
	unsigned long flags;

	/* the handler reports what it has taken before it lets go of the lock */
	spin_lock_irqsave(&ism->irq_lock, flags);
	test_and_clear_bit_inv(ISM_SBA_DMB(idx), ism->sba->bits);
	xchg(&ism->sba->dmbe_mask[idx], 0);
	spin_unlock_irqrestore(&ism->irq_lock, flags);
}

static int ism_unregister_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	struct ism_dev *ism = dibs->drv_priv;
	struct ism_buf *buf;
	int rc;

	buf = xa_load(&ism->dmbs, dmb->idx);
	if (!buf || buf->kept || buf->tok != dmb->dmb_tok)
		return -ENOENT;
	rc = ism_cmd_unreg_dmb(ism, buf->tok);
	if (rc == ISM_RC_GONE)
		rc = 0;		/* and with the function the DMB */
	ism_discard_signals(ism, dmb->idx);
	ism_buf_drop(ism, buf, dmb->idx, !rc);
	return rc ? -EIO : 0;
}

/* --------------------------------- moves --------------------------------- */

static u64 ism_move_req(u64 dmb_tok, unsigned int idx, bool sf,
			unsigned int offset)
{
	return dmb_tok | FIELD_PREP(ISM_MOVE_IDX, idx) |
	       FIELD_PREP(ISM_MOVE_SIGNAL, sf) |
	       FIELD_PREP(ISM_MOVE_OFFSET, offset);
}

/*
 * A signal without data is a block without bytes. Whether the function takes
 * such a block is for the function to say: a byte cannot be sent along
 * instead, because its owner may have changed any byte of a DMB since it was
 * moved there (SMC-D clears the buffers that it uses again). A refusal is
 * reported; a signal is never lost in silence.
 */
static int ism_signal(struct ism_dev *ism, u64 dmb_req)
{
	int rc = ism_move_block(ism, dmb_req, page_address(ZERO_PAGE(0)), 0);

	if (rc == -ENXIO)
		return -EOPNOTSUPP;
	return rc ? -EIO : 0;
}

static int ism_move_data(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
			 bool sf, unsigned int offset, const void *data,
			 unsigned int size)
{
	struct ism_dev *ism = dibs->drv_priv;
	unsigned int bytes;
	u64 req;

	/* both come from the peer and must not reach into the other fields */
	if (dmb_tok & ISM_MOVE_FIELDS)
		return -ENOENT;
	if (offset > ISM_MOVE_OFFSET || size > ISM_MOVE_OFFSET + 1 - offset)
		return -ERANGE;
	if (!size && sf)
		return ism_signal(ism, ism_move_req(dmb_tok, idx, sf, offset));
	for (; size; size -= bytes) {
		bytes = min(size, ISM_MAX_BLOCK - offset % ISM_MAX_BLOCK);
		req = ism_move_req(dmb_tok, idx, sf && bytes == size, offset);
		if (ism_move_block(ism, req, data, bytes))
			return -EIO;
		data += bytes;
		offset += bytes;
	}
	return 0;
}

/* The signal goes with the last byte, not with an empty piece behind it */
static int ism_move_data_vec(struct dibs_dev *dibs, u64 dmb_tok,
			     unsigned int idx, bool sf,
			     const struct dibs_move_seg *segs,
			     unsigned int nsegs)
{
	unsigned int i;
	int rc = 0;

	while (nsegs > 1 && !segs[nsegs - 1].size)
		nsegs--;
	for (i = 0; i < nsegs && !rc; i++)
		rc = ism_move_data(dibs, dmb_tok, idx, sf && i == nsegs - 1,
				   segs[i].offset, segs[i].data, segs[i].size);
	return rc;
}

/* ------------------------ the other operations --------------------------- */

static u16 ism_get_fabric_id(struct dibs_dev *dibs)
{
	struct ism_dev *ism = dibs->drv_priv;

	return ism->fabric_id;
}

static int ism_max_dmbs(struct dibs_dev *dibs)
{
	return ISM_NR_DMBS - ISM_FIRST_DMB;
}

static int ism_add_vlan_id(struct dibs_dev *dibs, u64 vlan_id)
{
	return ism_cmd_vlan_id(dibs->drv_priv, ISM_ADD_VLAN_ID, vlan_id);
}

static int ism_del_vlan_id(struct dibs_dev *dibs, u64 vlan_id)
{
	return ism_cmd_vlan_id(dibs->drv_priv, ISM_DEL_VLAN_ID, vlan_id);
}

VISIBLE_IF_KUNIT const struct dibs_dev_ops ism_ops = {
	.get_fabric_id	  = ism_get_fabric_id,
	.max_dmbs	  = ism_max_dmbs,

	.query_remote_gid = ism_query_remote_gid,
	.register_dmb	  = ism_register_dmb,
	.unregister_dmb	  = ism_unregister_dmb,

	.move_data	  = ism_move_data,
	.move_data_vec	  = ism_move_data_vec,

	.add_vlan_id	  = ism_add_vlan_id,
	.del_vlan_id	  = ism_del_vlan_id,
	.signal_event	  = ism_signal_event,
};
EXPORT_SYMBOL_IF_KUNIT(ism_ops);

/* ------------------------- signals and events ---------------------------- */

VISIBLE_IF_KUNIT void ism_report_signal(struct ism_dev *ism, unsigned int idx,
					u16 mask)
{
	KUNIT_STATIC_STUB_REDIRECT(ism_report_signal, ism, idx, mask);
	dibs_dev_signal(ism->dibs, idx, mask);
}
EXPORT_SYMBOL_IF_KUNIT(ism_report_signal);

VISIBLE_IF_KUNIT void ism_report_event(struct ism_dev *ism,
				       const struct dibs_event *event)
{
	KUNIT_STATIC_STUB_REDIRECT(ism_report_event, ism, event);
	dibs_dev_event(ism->dibs, event);
}
EXPORT_SYMBOL_IF_KUNIT(ism_report_event);

/* For the function signal 0 is the highest bit, for dibs the lowest */
static u16 ism_signal_mask(u16 mask)
{
	mask = (mask & 0xff00) >> 8 | (mask & 0x00ff) << 8;
	mask = (mask & 0xf0f0) >> 4 | (mask & 0x0f0f) << 4;
	mask = (mask & 0xcccc) >> 2 | (mask & 0x3333) << 2;
	return (mask & 0xaaaa) >> 1 | (mask & 0x5555) << 1;
}

/*
 * The bit is cleared before the mask is taken, the opposite of the order in
 * which the function sets them. A signal raised in between is in the mask
 * already, or comes with a bit of its own. The second look at a mask that was
 * taken too early finds nothing, and there is nothing to report then.
 */
static void ism_handle_signals(struct ism_dev *ism)
{
	struct ism_sba *sba = ism->sba;
	unsigned long bit = ISM_SBA_DMB(ISM_FIRST_DMB);
	unsigned int idx;
	u16 mask;

	for (;; bit++) {
		bit = find_next_bit_inv(sba->bits, ISM_SBA_DMB(ISM_NR_DMBS),
					bit);
		if (bit >= ISM_SBA_DMB(ISM_NR_DMBS))
			break;
		test_and_clear_bit_inv(bit, sba->bits);
		idx = bit - ISM_SBA_DMB(0);
		mask = xchg(&sba->dmbe_mask[idx], 0);
		if (mask)
			ism_report_signal(ism, idx, ism_signal_mask(mask));
	}
}

static void ism_translate_event(const struct ism_event *event,
				struct dibs_event *to)
{
	*to = (struct dibs_event) {
		.time = event->time,
		.data = event->info,
	};
	switch (event->type) {
	case ISM_EVENT_DMB:
		to->type = DIBS_BUF_EVENT;
		to->subtype = DIBS_BUF_UNREGISTERED;
		to->buffer_tok = event->tok;
		break;
	case ISM_EVENT_GID:
		/* no code is known: what all of them have in common */
		to->type = DIBS_DEV_EVENT;
		to->subtype = DIBS_DEV_DISABLED;
		ism_gid_to_uuid(event->tok, &to->gid);
		break;
	case ISM_EVENT_SWR:
		to->type = DIBS_SW_EVENT;
		to->subtype = event->code;
		ism_gid_to_uuid(event->tok, &to->gid);
		break;
	default:
		to->type = DIBS_OTHER_EVENT;
		to->subtype = DIBS_OTHER_SUBTYPE;
		break;
	}
}

/*
 * Entries that were taken are cleared, that is how it is seen later whether
 * the function went around the queue. Return: was there anything to take?
 */
static bool ism_take_event(struct ism_dev *ism, struct ism_event *entry)
{
	struct ism_event event = {
		.type = READ_ONCE(entry->type),
		.code = READ_ONCE(entry->code),
		.tok = READ_ONCE(entry->tok),
		.time = READ_ONCE(entry->time),
		.info = READ_ONCE(entry->info),
	};
	struct dibs_event to;

	if (!memchr_inv(&event, 0, sizeof(event)))
		return false;
	memset(entry, 0, sizeof(*entry));
	debug_event(ism_debug, 2, &event, sizeof(event));
	ism_translate_event(&event, &to);
	ism_report_event(ism, &to);
	return true;
}

/* Take what the index announces. Return: is that all there was? */
static bool ism_take_events(struct ism_dev *ism)
{
	struct ism_event *entry = ism->ieq->entry;
	u64 idx = READ_ONCE(ism->ieq->idx);
	unsigned int i, next;
	bool complete = true;

	if (idx > ISM_NR_EVENTS)
		return false;
	dma_rmb();	/* the entries were written before the index */
	next = idx % ISM_NR_EVENTS;
	while (ism->ieq_pos != next) {
		complete &= ism_take_event(ism, &entry[ism->ieq_pos]);
		ism->ieq_pos = (ism->ieq_pos + 1) % ISM_NR_EVENTS;
	}
	if (!memchr_inv(&entry[next], 0, sizeof(*entry)))
		return complete;

	/*
	 * Full, or overrun, or (rarely) the next entry is just being written,
	 * which is why that one stays.
	 */
	for (i = 1; i < ISM_NR_EVENTS; i++)
		memset(&entry[(next + i) % ISM_NR_EVENTS], 0, sizeof(*entry));
	return false;
}

static void ism_handle_events(struct ism_dev *ism)
{
	const struct dibs_event lost = {
		.type = DIBS_OTHER_EVENT,
		.subtype = DIBS_EVENTS_LOST,
	};

	if (ism_take_events(ism))
		return;
	debug_text_event(ism_debug, 1, "events lost");
	ism_report_event(ism, &lost);
}

VISIBLE_IF_KUNIT irqreturn_t ism_handle_irq(int irq, void *data)
{
	struct ism_dev *ism = data;

	spin_lock(&ism->irq_lock);
	/* what is set from here on comes with an interrupt of its own */
	test_and_clear_bit_inv(ISM_SBA_SUMMARY, ism->sba->bits);
	ism_handle_signals(ism);
	if (test_and_clear_bit_inv(ISM_SBA_EVENT, ism->sba->bits))
		ism_handle_events(ism);
	spin_unlock(&ism->irq_lock);
	return IRQ_HANDLED;
}
EXPORT_SYMBOL_IF_KUNIT(ism_handle_irq);

/* --------------------------- life of a function -------------------------- */

static int ism_areas_alloc(struct ism_dev *ism)
{
	ism->sba = dma_alloc_coherent(ism->dev, sizeof(*ism->sba),
				      &ism->sba_dma, GFP_KERNEL);
	if (!ism->sba)
		return -ENOMEM;
	ism->ieq = dma_alloc_coherent(ism->dev, PAGE_SIZE, &ism->ieq_dma,
				      GFP_KERNEL);
	if (ism->ieq)
		return 0;
	dma_free_coherent(ism->dev, sizeof(*ism->sba), ism->sba, ism->sba_dma);
	return -ENOMEM;
}

/**
 * ism_dev_alloc() - allocate all that is there before the function is used
 * @dev: the function
 *
 * Return: to be given back with ism_dev_free(), or NULL.
 */
VISIBLE_IF_KUNIT struct ism_dev *ism_dev_alloc(struct device *dev)
{
	struct ism_dev *ism;

	ism = kzalloc(sizeof(*ism), GFP_KERNEL);
	if (!ism)
		return NULL;
	ism->dev = dev;
	spin_lock_init(&ism->cmd_lock);
	spin_lock_init(&ism->irq_lock);
	xa_init_flags(&ism->dmbs, XA_FLAGS_ALLOC);
	ism->dibs = dibs_dev_alloc();
	if (!ism->dibs)
		goto out_free;
	ism->dibs->ops = &ism_ops;
	ism->dibs->drv_priv = ism;
	ism->dibs->dev.parent = dev;
	if (ism_areas_alloc(ism))
		goto out_dibs;
	return ism;

out_dibs:
	put_device(&ism->dibs->dev);
out_free:
	kfree(ism);
	return NULL;
}
EXPORT_SYMBOL_IF_KUNIT(ism_dev_alloc);

/**
 * ism_dev_free() - give all memory back
 * @ism: a function that cannot write to memory and does not interrupt any more
 */
VISIBLE_IF_KUNIT void ism_dev_free(struct ism_dev *ism)
{
	struct ism_buf *buf;
	unsigned long idx;

	xa_for_each(&ism->dmbs, idx, buf)
		ism_buf_free(ism, buf);
	xa_destroy(&ism->dmbs);
	dma_free_coherent(ism->dev, PAGE_SIZE, ism->ieq, ism->ieq_dma);
	dma_free_coherent(ism->dev, sizeof(*ism->sba), ism->sba, ism->sba_dma);
	put_device(&ism->dibs->dev);
	kfree(ism);
}
EXPORT_SYMBOL_IF_KUNIT(ism_dev_free);

/**
 * ism_start() - tell the function where to write signals and events
 * @ism: the function, able to interrupt
 *
 * Return: 0, -ENODEV if the function is gone or -EIO if it fails; then it needs
 *	no ism_stop().
 */
VISIBLE_IF_KUNIT int ism_start(struct ism_dev *ism)
{
	u64 gid;
	int rc;

	rc = ism_cmd_reg_sba(ism);
	if (rc)
		goto out;
	rc = ism_cmd_reg_ieq(ism);
	if (rc)
		goto out_sba;
	rc = ism_cmd_read_gid(ism, &gid);
	if (rc)
		goto out_ieq;
	ism_gid_to_uuid(gid, &ism->dibs->gid);
	ism_cmd_query_info(ism);
	return 0;

out_ieq:
	ism_cmd_simple(ism, ISM_UNREG_IEQ);
out_sba:
	ism_cmd_simple(ism, ISM_UNREG_SBA);
out:
	return ism_errno(rc, -EIO);
}
EXPORT_SYMBOL_IF_KUNIT(ism_start);

/* It interrupts only while it has the two; who fails here loses bus mastering next */
VISIBLE_IF_KUNIT void ism_stop(struct ism_dev *ism)
{
	ism_cmd_simple(ism, ISM_UNREG_IEQ);
	ism_cmd_simple(ism, ISM_UNREG_SBA);
}
EXPORT_SYMBOL_IF_KUNIT(ism_stop);

VISIBLE_IF_KUNIT int ism_dibs_add(struct ism_dev *ism)
{
	int rc;

	ism->id = ida_alloc(&ism_ida, GFP_KERNEL);
	if (ism->id < 0)
		return ism->id;
	rc = dev_set_name(&ism->dibs->dev, "ism%d", ism->id);
	if (!rc)
		rc = dibs_dev_add(ism->dibs);
	if (rc)
		ida_free(&ism_ida, ism->id);
	return rc;
}
EXPORT_SYMBOL_IF_KUNIT(ism_dibs_add);

VISIBLE_IF_KUNIT void ism_dibs_del(struct ism_dev *ism)
{
	dibs_dev_del(ism->dibs);
	ida_free(&ism_ida, ism->id);
}
EXPORT_SYMBOL_IF_KUNIT(ism_dibs_del);

static int ism_irq_request(struct ism_dev *ism)
{
	struct pci_dev *pdev = ism->pdev;
	int rc;

	rc = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI);
	if (rc < 0)
		return rc;
	rc = request_irq(pci_irq_vector(pdev, 0), ism_handle_irq, 0,
			 pci_name(pdev), ism);
	if (rc)
		pci_free_irq_vectors(pdev);
	return rc;
}

static void ism_irq_free(struct ism_dev *ism)
{
	free_irq(pci_irq_vector(ism->pdev, 0), ism);
	/*
	 * zPCI handles its interrupts per CPU: free_irq() does not know whether
	 * a handler is running. But it runs with interrupts disabled.
	 */
	synchronize_rcu();
	pci_free_irq_vectors(ism->pdev);
}

static int ism_pci_enable(struct ism_dev *ism)
{
	struct pci_dev *pdev = ism->pdev;
	int rc;

	rc = pci_enable_device_mem(pdev);
	if (rc)
		return rc;
	rc = pci_request_mem_regions(pdev, ISM_DRV_NAME);
	if (rc)
		goto out_disable;
	pci_set_master(pdev);
	rc = ism_irq_request(ism);
	if (rc)
		goto out_regions;
	return 0;

out_regions:
	pci_release_mem_regions(pdev);
out_disable:
	pci_disable_device(pdev);
	return rc;
}

/* No memory is written to after this */
static void ism_pci_disable(struct ism_dev *ism)
{
	ism_irq_free(ism);
	pci_release_mem_regions(ism->pdev);
	pci_disable_device(ism->pdev);
}

static struct ism_dev *ism_pci_alloc(struct pci_dev *pdev)
{
	struct ism_dev *ism;
	int rc;

	rc = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (rc)
		return ERR_PTR(rc);
	dma_set_seg_boundary(&pdev->dev, ISM_MAX_DMB_LEN - 1);
	dma_set_max_seg_size(&pdev->dev, ISM_MAX_DMB_LEN);
	ism = ism_dev_alloc(&pdev->dev);
	if (!ism)
		return ERR_PTR(-ENOMEM);
	ism->pdev = pdev;
	ism->fabric_id = to_zpci(pdev)->pchid;
	return ism;
}

static int ism_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ism_dev *ism;
	int rc;

	ism = ism_pci_alloc(pdev);
	if (IS_ERR(ism))
		return PTR_ERR(ism);
	rc = ism_pci_enable(ism);
	if (rc)
		goto out_free;
	rc = ism_start(ism);
	if (rc)
		goto out_disable;
	pci_set_drvdata(pdev, ism);
	rc = ism_dibs_add(ism);
	if (rc)
		goto out_stop;
	return 0;

out_stop:
	ism_stop(ism);
out_disable:
	ism_pci_disable(ism);
out_free:
	ism_dev_free(ism);
	return rc;
}

static void ism_remove(struct pci_dev *pdev)
{
	struct ism_dev *ism = pci_get_drvdata(pdev);

	ism_dibs_del(ism);
	ism_stop(ism);
	ism_pci_disable(ism);
	ism_dev_free(ism);
}

static const struct pci_device_id ism_device_table[] = {
	{ PCI_VDEVICE(IBM, PCI_DEVICE_ID_IBM_ISM), 0 },
	{ 0, }
};
MODULE_DEVICE_TABLE(pci, ism_device_table);

static struct pci_driver ism_driver = {
	.name	  = ISM_DRV_NAME,
	.id_table = ism_device_table,
	.probe	  = ism_probe,
	.remove	  = ism_remove,
};

static int __init ism_init(void)
{
	int rc;

	ism_debug = debug_register(ISM_DRV_NAME, 2, 1, 16);
	if (!ism_debug)
		return -ENODEV;
	debug_register_view(ism_debug, &debug_hex_ascii_view);
	rc = pci_register_driver(&ism_driver);
	if (rc)
		debug_unregister(ism_debug);
	return rc;
}

static void __exit ism_exit(void)
{
	pci_unregister_driver(&ism_driver);
	debug_unregister(ism_debug);
}

module_init(ism_init);
module_exit(ism_exit);

MODULE_DESCRIPTION("ISM driver for s390");
MODULE_LICENSE("GPL");
