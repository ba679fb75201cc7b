// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing between the guests of a host
 *
 * A virtio-dibs device, its transport and a client, for tests. The device works
 * in the doorbell, and interrupts from an irq_work. It is alone on its fabric,
 * and writes to DMBs that were granted to itself.
 */
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/string.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "virtio_dibs.h"
#include "virtio_dibs_fake.h"

struct fake_client vfake_client;

static struct fake *to_fake(struct virtio_device *vdev)
{
	return container_of(vdev, struct fake, vdev);
}

static void *vfake_virt(struct fake *fake, u64 addr)
{
	return phys_to_virt(dma_to_phys(&fake->pdev->dev, addr));
}

/* ------------------------- interrupts and steps -------------------------- */

static void vfake_vq_irq(struct irq_work *work)
{
	struct fake_vq *q = container_of(work, struct fake_vq, irq);

	if (q->vq)
		vring_interrupt(0, q->vq);
}

static void vfake_config_irq(struct irq_work *work)
{
	struct fake *fake = container_of(work, struct fake, config_irq);

	virtio_config_changed(&fake->vdev);
}

void vfake_set_needs_reset(struct fake *fake)
{
	fake->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	irq_work_queue(&fake->config_irq);
}

static void vfake_step(struct fake *fake, enum fake_step step)
{
	if (fake->needs_reset_at != step)
		return;
	fake->needs_reset_at = FAKE_NEVER;
	vfake_set_needs_reset(fake);
}

/*
 * --------------------------------- rings ---------------------------------
 *
 * Each end has words that the other one reads at any time. For a real device KCSAN
 * does not see that, and here it is told not to look.
 */

/* Buffers of a chain: what the driver wrote, and what it wants written */
struct fake_chain {
	u16 head;
	void *out[1 + VIRTIO_DIBS_MAX_SEGS];
	u32 out_len[1 + VIRTIO_DIBS_MAX_SEGS];
	unsigned int nr_out;
	void *in;
	u32 in_len;
};

static bool vfake_pop(struct fake_vq *q, struct fake_chain *chain)
{
	struct virtio_device *vdev = &q->fake->vdev;
	struct vring *vring = &q->vring;
	struct vring_desc *desc;
	__virtio16 idx;
	u16 i, flags;
	void *buf;
	u32 len;

	if (!q->vq)
		return false;
	/* data_race: of the driver */
	idx = data_race(READ_ONCE(vring->avail->idx));
	if (q->avail == virtio16_to_cpu(vdev, idx))
		return false;
	virt_rmb();	/* the entry was written before the index */
	*chain = (struct fake_chain) {};
	i = q->avail++ % vring->num;
	i = virtio16_to_cpu(vdev, vring->avail->ring[i]);
	chain->head = i;
	do {
		desc = &vring->desc[i];
		flags = virtio16_to_cpu(vdev, desc->flags);
		buf = vfake_virt(q->fake, virtio64_to_cpu(vdev, desc->addr));
		len = virtio32_to_cpu(vdev, desc->len);
		if (flags & VRING_DESC_F_WRITE) {
			chain->in = buf;
			chain->in_len = len;
		} else {
			chain->out[chain->nr_out] = buf;
			chain->out_len[chain->nr_out++] = len;
		}
		i = virtio16_to_cpu(vdev, desc->next);
	} while (flags & VRING_DESC_F_NEXT);
	return true;
}

static void vfake_used(struct fake_vq *q, u32 id, u32 len)
{
	struct virtio_device *vdev = &q->fake->vdev;
	struct vring_used *used = q->vring.used;
	u16 idx = virtio16_to_cpu(vdev, used->idx);

	used->ring[idx % q->vring.num].id = cpu_to_virtio32(vdev, id);
	used->ring[idx % q->vring.num].len = cpu_to_virtio32(vdev, len);
	virt_wmb();	/* the entry before the index */
	data_race(used->idx = cpu_to_virtio16(vdev, idx + 1));
	q->given++;
}

/* An answer to nothing, with the length of a good one */
static void vfake_put_garbage(struct fake_vq *q)
{
	vfake_used(q, 0, q < &q->fake->vqs[VIRTIO_DIBS_VQ_MOVE] ?
		   sizeof(struct virtio_dibs_ctrl_resp) :
		   sizeof(struct virtio_dibs_move_resp));
}

/* An interrupt on all queues, whether there is a reason or not */
void vfake_interrupt(struct fake *fake)
{
	struct fake_vq *q;

	for (q = fake->vqs; q < fake->vqs + fake->nvqs; q++) {
		if (fake->garbage & BIT(q - fake->vqs))
			vfake_put_garbage(q);
		if (!q->vq->callback)
			continue;
		irq_work_queue(&q->irq);
		irq_work_sync(&q->irq);
	}
}

/* A buffer of the ring that the driver has not made available */
static u32 vfake_unknown_id(struct fake_vq *q, u32 head)
{
	return (head + q->vring.num / 2) % q->vring.num;
}

/* Does the driver want to be interrupted for what was given back since? */
static bool vfake_wants_irq(struct fake_vq *q, u16 old)
{
	struct virtio_device *vdev = &q->fake->vdev;
	u16 idx = virtio16_to_cpu(vdev, q->vring.used->idx);
	__virtio16 event, flags;

	if (!q->vq->callback)
		return false;
	virt_mb();	/* the index before it is looked at what the driver wants */
	/* data_race: of the driver */
	event = data_race(vring_used_event(&q->vring));
	if (virtio_has_feature(vdev, VIRTIO_RING_F_EVENT_IDX))
		return vring_need_event(virtio16_to_cpu(vdev, event), idx, old);
	/* data_race: of the driver */
	flags = data_race(q->vring.avail->flags);
	return !(virtio16_to_cpu(vdev, flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

static void vfake_push(struct fake_vq *q, u32 head, u32 len)
{
	struct fake *fake = q->fake;
	u16 old = virtio16_to_cpu(&fake->vdev, q->vring.used->idx);
	enum fake_id bad = FAKE_ID_GOOD;

	if (fake->bad_queue == q - fake->vqs)
		swap(bad, fake->bad_id);
	switch (bad) {
	case FAKE_ID_HUGE:
		vfake_used(q, U32_MAX, len);
		break;
	case FAKE_ID_RANGE:
		vfake_used(q, q->vring.num, len);
		break;
	case FAKE_ID_UNKNOWN:
		vfake_used(q, vfake_unknown_id(q, head), len);
		break;
	case FAKE_ID_TWICE:
		vfake_used(q, head, len);
		fallthrough;
	default:
		vfake_used(q, head, len);
		break;
	}
	/* the next doorbell too, with VIRTIO_RING_F_EVENT_IDX */
	data_race(vring_avail_event(&q->vring) =
		  cpu_to_virtio16(&fake->vdev, q->avail));
	if (vfake_wants_irq(q, old))
		irq_work_queue(&q->irq);
}

/* One entry into a buffer of the event or the signal queue */
static bool vfake_report(struct fake_vq *q, const void *entry, u32 size,
			 u32 len)
{
	struct fake_chain chain;

	if (!vfake_pop(q, &chain))
		return false;
	memcpy(chain.in, entry, min(size, chain.in_len));
	vfake_push(q, chain.head, len);
	return true;
}

bool vfake_event(struct fake *fake, const struct virtio_dibs_event *event,
		 u32 len)
{
	unsigned long flags;
	bool done;

	raw_spin_lock_irqsave(&fake->lock, flags);
	vfake_step(fake, FAKE_EVENT);
	done = vfake_report(&fake->vqs[VIRTIO_DIBS_VQ_EVENT], event,
			    sizeof(*event), len);
	raw_spin_unlock_irqrestore(&fake->lock, flags);
	return done;
}

bool vfake_signal(struct fake *fake, const struct virtio_dibs_signal *signal,
		  u32 len)
{
	unsigned long flags;
	bool done;

	raw_spin_lock_irqsave(&fake->lock, flags);
	vfake_step(fake, FAKE_SIGNAL);
	done = vfake_report(&fake->vqs[VIRTIO_DIBS_VQ_SIGNAL], signal,
			    sizeof(*signal), len);
	raw_spin_unlock_irqrestore(&fake->lock, flags);
	return done;
}

/* ---------------------------------- DMBs --------------------------------- */

struct fake_dmb *vfake_find_dmb(struct fake *fake, u64 token)
{
	unsigned int i;

	for (i = 0; i < FAKE_DMBS; i++)
		if (fake->dmbs[i].used && fake->dmbs[i].token == token)
			return &fake->dmbs[i];
	return NULL;
}

static u32 vfake_register(struct fake *fake,
			  const struct virtio_dibs_register_dmb *req, u64 *token)
{
	u32 idx = le32_to_cpu(req->idx);
	struct fake_dmb *dmb;

	if (idx >= FAKE_DMBS)
		return VIRTIO_DIBS_S_NOSPC;
	dmb = &fake->dmbs[idx];
	if (dmb->used)
		return VIRTIO_DIBS_S_BUSY;
	*token = fake->zero_token ? 0 : fake->next_token++;
	*dmb = (struct fake_dmb) {
		.used = true,
		.token = *token,
		.idx = idx,
		.len = le32_to_cpu(req->len),
		.addr = le64_to_cpu(req->ranges[0].addr),
	};
	import_uuid(&dmb->rgid, req->rgid);
	return VIRTIO_DIBS_S_OK;
}

static u32 vfake_unregister(struct fake *fake,
			    const struct virtio_dibs_unregister_dmb *req)
{
	struct fake_dmb *dmb = vfake_find_dmb(fake, le64_to_cpu(req->token));

	if (!dmb)
		return VIRTIO_DIBS_S_NOENT;
	dmb->used = false;
	return VIRTIO_DIBS_S_OK;
}

static bool vfake_is_me(struct fake *fake, const u8 *gid)
{
	return !memcmp(gid, fake->config.gid, VIRTIO_DIBS_GID_LEN);
}

static void vfake_flush_events(struct fake *fake)
{
	while (fake->nr_sw_pending &&
	       vfake_report(&fake->vqs[VIRTIO_DIBS_VQ_EVENT], fake->sw_pending,
			    sizeof(fake->sw_pending[0]),
			    sizeof(fake->sw_pending[0])))
		memmove(fake->sw_pending, fake->sw_pending + 1,
			--fake->nr_sw_pending * sizeof(fake->sw_pending[0]));
}

static u32 vfake_signal_event(struct fake *fake,
			      const struct virtio_dibs_signal_event *req)
{
	struct virtio_dibs_event *event;

	if (!vfake_is_me(fake, req->gid))
		return VIRTIO_DIBS_S_NETUNREACH;
	if (fake->nr_sw_pending == FAKE_QUOTA)
		return VIRTIO_DIBS_S_AGAIN;
	event = &fake->sw_pending[fake->nr_sw_pending++];
	*event = (struct virtio_dibs_event) {
		.type = cpu_to_le32(VIRTIO_DIBS_E_SW),
		.subtype = req->code,
		.data = req->info,
	};
	memcpy(event->gid, fake->config.gid, sizeof(event->gid));
	vfake_flush_events(fake);
	return VIRTIO_DIBS_S_OK;
}

/* -------------------------------- requests ------------------------------- */

static u32 vfake_ctrl(struct fake *fake, const void *req, u64 *token)
{
	const struct virtio_dibs_ctrl_hdr *hdr = req;
	const struct virtio_dibs_query_gid *query = req;

	switch (le16_to_cpu(hdr->cmd)) {
	case VIRTIO_DIBS_C_REGISTER_DMB:
		return vfake_register(fake, req, token);
	case VIRTIO_DIBS_C_UNREGISTER_DMB:
		return vfake_unregister(fake, req);
	case VIRTIO_DIBS_C_QUERY_GID:
		return vfake_is_me(fake, query->gid) ? VIRTIO_DIBS_S_OK :
						      VIRTIO_DIBS_S_NETUNREACH;
	case VIRTIO_DIBS_C_SIGNAL_EVENT:
		return vfake_signal_event(fake, req);
	default:
		return VIRTIO_DIBS_S_OPNOTSUPP;
	}
}

static void vfake_do_ctrl(struct fake *fake)
{
	struct fake_vq *q = &fake->vqs[VIRTIO_DIBS_VQ_CTRL];
	struct virtio_dibs_ctrl_resp resp = {};
	struct fake_chain chain;
	u64 token = 0;
	u32 status;

	if (fake->ctrl_silent || !vfake_pop(q, &chain))
		return;
	memset(fake->last_ctrl, 0, sizeof(fake->last_ctrl));
	memcpy(fake->last_ctrl, chain.out[0],
	       min_t(size_t, chain.out_len[0], sizeof(fake->last_ctrl)));
	if (fake->ctrl_status >= 0)
		status = fake->ctrl_status;
	else
		status = vfake_ctrl(fake, chain.out[0], &token);
	resp.status = cpu_to_le32(status);
	resp.token = cpu_to_le64(token);
	memcpy(chain.in, &resp, min_t(size_t, chain.in_len, sizeof(resp)));
	vfake_push(q, chain.head, fake->ctrl_len);
	vfake_step(fake, FAKE_CTRL);
}

/* --------------------------------- moves --------------------------------- */

static void vfake_flush_signals(struct fake *fake)
{
	struct virtio_dibs_signal signal = {};
	struct fake_dmb *dmb;
	unsigned int i;

	for (i = 0; i < FAKE_DMBS; i++) {
		dmb = &fake->dmbs[i];
		if (!dmb->used || !dmb->pending)
			continue;
		signal.token = cpu_to_le64(dmb->token);
		signal.idx = cpu_to_le32(dmb->idx);
		signal.mask = cpu_to_le16(dmb->pending);
		if (!vfake_report(&fake->vqs[VIRTIO_DIBS_VQ_SIGNAL], &signal,
				  sizeof(signal), sizeof(signal)))
			return;
		dmb->pending = 0;
	}
}

/* Header and data without gaps, as one device would see them */
struct fake_stream {
	struct fake_chain *chain;
	unsigned int i;
	u32 pos;
};

static bool vfake_read(struct fake_stream *s, void *to, u32 len)
{
	u32 part;

	while (len) {
		if (s->i == s->chain->nr_out)
			return false;
		part = min(len, s->chain->out_len[s->i] - s->pos);
		memcpy(to, s->chain->out[s->i] + s->pos, part);
		to += part;
		len -= part;
		s->pos += part;
		if (s->pos == s->chain->out_len[s->i]) {
			s->i++;
			s->pos = 0;
		}
	}
	return true;
}

static u32 vfake_copy(struct fake *fake, struct fake_dmb *dmb,
		      struct fake_stream *s, u32 offset, u32 size)
{
	if (offset > dmb->len || size > dmb->len - offset)
		return VIRTIO_DIBS_S_RANGE;
	if (!vfake_read(s, vfake_virt(fake, dmb->addr + offset), size))
		return VIRTIO_DIBS_S_INVAL;
	fake->moved.len += size;
	return VIRTIO_DIBS_S_OK;
}

static u32 vfake_move(struct fake *fake, struct fake_chain *chain)
{
	struct virtio_dibs_move_seg segs[VIRTIO_DIBS_MAX_SEGS];
	struct fake_stream s = { .chain = chain };
	struct virtio_dibs_move hdr;
	uuid_t gid = vfake_gid(fake);
	struct fake_dmb *dmb;
	unsigned int i;
	u32 rc = 0;

	if (!vfake_read(&s, &hdr, sizeof(hdr)))
		return VIRTIO_DIBS_S_INVAL;
	fake->moved.token = le64_to_cpu(hdr.token);
	fake->moved.flags = le16_to_cpu(hdr.flags);
	fake->moved.signal = le16_to_cpu(hdr.signal);
	fake->moved.nsegs = le16_to_cpu(hdr.nsegs);
	fake->moved.len = 0;
	if (!fake->moved.nsegs || fake->moved.nsegs > VIRTIO_DIBS_MAX_SEGS ||
	    fake->moved.signal >= VIRTIO_DIBS_MAX_SIGNALS || hdr.reserved ||
	    fake->moved.flags & ~VIRTIO_DIBS_MOVE_F_SIGNAL ||
	    !vfake_read(&s, segs, fake->moved.nsegs * sizeof(segs[0])))
		return VIRTIO_DIBS_S_INVAL;
	dmb = vfake_find_dmb(fake, fake->moved.token);
	if (!dmb)
		return VIRTIO_DIBS_S_NOENT;
	if (!uuid_equal(&dmb->rgid, &gid))
		return VIRTIO_DIBS_S_PERM;
	for (i = 0; i < fake->moved.nsegs && !rc; i++)
		rc = vfake_copy(fake, dmb, &s, le32_to_cpu(segs[i].offset),
				le32_to_cpu(segs[i].size));
	if (!rc && s.i < chain->nr_out)
		return VIRTIO_DIBS_S_INVAL;
	if (!rc && fake->moved.flags & VIRTIO_DIBS_MOVE_F_SIGNAL)
		dmb->pending |= BIT(fake->moved.signal);
	return rc;
}

static void vfake_do_moves(struct fake *fake, struct fake_vq *q)
{
	struct virtio_dibs_move_resp resp;
	struct fake_chain chain;
	u32 status;

	vfake_step(fake, FAKE_MOVE);
	while (!fake->move_silent && vfake_pop(q, &chain)) {
		fake->moved.queue = q - fake->vqs;
		fake->moves++;
		if (fake->on_move)
			fake->on_move(fake);
		status = vfake_move(fake, &chain);
		if (fake->move_status >= 0)
			status = fake->move_status;
		resp.status = cpu_to_le32(status);
		memcpy(chain.in, &resp, sizeof(resp));
		vfake_push(q, chain.head, fake->move_len);
	}
	vfake_flush_signals(fake);
}

/* Answer what was not answered */
void vfake_answer(struct fake *fake)
{
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&fake->lock, flags);
	fake->ctrl_silent = false;
	fake->move_silent = false;
	vfake_do_ctrl(fake);
	for (i = VIRTIO_DIBS_VQ_MOVE; i < fake->nvqs; i++)
		vfake_do_moves(fake, &fake->vqs[i]);
	raw_spin_unlock_irqrestore(&fake->lock, flags);
}

static bool vfake_notify(struct virtqueue *vq)
{
	struct fake *fake = to_fake(vq->vdev);
	struct fake_vq *q = &fake->vqs[vq->index];
	unsigned long flags;

	raw_spin_lock_irqsave(&fake->lock, flags);
	q->notified++;
	if (fake->gone || !(fake->status & VIRTIO_CONFIG_S_DRIVER_OK) ||
	    fake->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		goto out;
	if (vq->index == VIRTIO_DIBS_VQ_CTRL)
		vfake_do_ctrl(fake);
	else if (vq->index == VIRTIO_DIBS_VQ_SIGNAL)
		vfake_flush_signals(fake);
	else if (vq->index == VIRTIO_DIBS_VQ_EVENT)
		vfake_flush_events(fake);
	else
		vfake_do_moves(fake, q);
out:
	raw_spin_unlock_irqrestore(&fake->lock, flags);
	return true;
}

/* ------------------------------- transport ------------------------------- */

static void vfake_get(struct virtio_device *vdev, unsigned int offset,
		      void *buf, unsigned int len)
{
	struct fake *fake = to_fake(vdev);

	fake->config_reads++;
	vfake_step(fake, FAKE_CONFIG);
	memset(buf, 0xff, len);
	if (offset + len <= sizeof(fake->config) && !fake->gone)
		memcpy(buf, (void *)&fake->config + offset, len);
}

/* Every change gives the device another GID, and another number of DMBs */
static u32 vfake_generation(struct virtio_device *vdev)
{
	struct fake *fake = to_fake(vdev);

	if (!fake->restless)
		return fake->generation;
	fake->restless--;
	fake->config.gid[15]++;
	le32_add_cpu(&fake->config.max_dmbs, 1);
	return fake->generation++;
}

static u8 vfake_get_status(struct virtio_device *vdev)
{
	struct fake *fake = to_fake(vdev);

	return fake->gone ? 0xff : fake->status;
}

static void vfake_set_status(struct virtio_device *vdev, u8 status)
{
	struct fake *fake = to_fake(vdev);

	if (fake->gone)
		return;
	if (fake->refuse)
		status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if (status & ~fake->status & VIRTIO_CONFIG_S_DRIVER_OK &&
	    fake->irq_at == FAKE_DRIVER_OK)
		vfake_interrupt(fake);
	fake->status = status;
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		vfake_step(fake, FAKE_DRIVER_OK);
}

static void vfake_count_waiting(struct fake *fake)
{
	struct fake_vq *q;
	__virtio16 idx;
	u16 n;

	for (q = fake->vqs; q < fake->vqs + fake->nvqs; q++) {
		if (q == &fake->vqs[VIRTIO_DIBS_VQ_EVENT] ||
		    q == &fake->vqs[VIRTIO_DIBS_VQ_SIGNAL])
			continue;
		/* data_race: of the driver */
		idx = data_race(q->vring.avail->idx);
		n = virtio16_to_cpu(&fake->vdev, idx) - q->avail;
		fake->waiting = max(n, fake->waiting);
	}
}

static void vfake_reset(struct virtio_device *vdev)
{
	struct fake *fake = to_fake(vdev);
	unsigned long flags;

	if (fake->on_reset)
		fake->on_reset(fake);
	vfake_count_waiting(fake);
	if (fake->late)
		vfake_answer(fake);
	raw_spin_lock_irqsave(&fake->lock, flags);
	fake->status = 0;
	fake->resets++;
	memset(fake->dmbs, 0, sizeof(fake->dmbs));
	fake->nr_sw_pending = 0;
	raw_spin_unlock_irqrestore(&fake->lock, flags);
	if (fake->irq_at == FAKE_RESET)
		vfake_interrupt(fake);
}

static void vfake_del_vqs(struct virtio_device *vdev)
{
	struct fake *fake = to_fake(vdev);
	struct virtqueue *vq;
	unsigned int i;

	if (fake->irq_at == FAKE_DEL_VQS)
		vfake_interrupt(fake);
	for (i = 0; i < fake->nvqs; i++) {
		raw_spin_lock_irq(&fake->lock);
		vq = fake->vqs[i].vq;
		fake->vqs[i].vq = NULL;
		raw_spin_unlock_irq(&fake->lock);
		irq_work_sync(&fake->vqs[i].irq);
		vring_del_virtqueue(vq);
	}
	fake->nvqs = 0;
}

static void vfake_vq_init(struct fake *fake, unsigned int i,
			  struct virtqueue *vq)
{
	fake->vqs[i].avail = 0;
	fake->vqs[i].given = 0;
	fake->vqs[i].vring = *virtqueue_get_vring(vq);
	fake->vqs[i].vq = vq;
}

static int vfake_find_vqs(struct virtio_device *vdev, unsigned int nvqs,
			  struct virtqueue *vqs[], struct virtqueue_info infos[],
			  struct irq_affinity *desc)
{
	struct fake *fake = to_fake(vdev);
	unsigned int i;

	if (nvqs > FAKE_VQS)
		return -EINVAL;
	for (i = 0; i < nvqs; i++) {
		vqs[i] = vring_create_virtqueue(i, fake->ring_size, PAGE_SIZE,
						vdev, true, false, false,
						vfake_notify, infos[i].callback,
						infos[i].name);
		if (!vqs[i]) {
			vfake_del_vqs(vdev);
			return -ENOMEM;
		}
		vfake_vq_init(fake, i, vqs[i]);
		fake->nvqs++;
	}
	vfake_step(fake, FAKE_FIND_VQS);
	if (fake->irq_at == FAKE_FIND_VQS)
		vfake_interrupt(fake);
	return 0;
}

static u64 vfake_get_features(struct virtio_device *vdev)
{
	struct fake *fake = to_fake(vdev);

	vfake_step(fake, FAKE_FEATURES);
	return fake->features;
}

static int vfake_finalize_features(struct virtio_device *vdev)
{
	vring_transport_features(vdev);
	return 0;
}

static const struct virtio_config_ops vfake_config_ops = {
	.get			= vfake_get,
	.generation		= vfake_generation,
	.get_status		= vfake_get_status,
	.set_status		= vfake_set_status,
	.reset			= vfake_reset,
	.find_vqs		= vfake_find_vqs,
	.del_vqs		= vfake_del_vqs,
	.get_features		= vfake_get_features,
	.finalize_features	= vfake_finalize_features,
};

/* ------------------------------- life ------------------------------------ */

static void vfake_release(struct device *dev)
{
	struct fake *fake = to_fake(dev_to_virtio(dev));

	complete(&fake->released);
}

/* Return: did the driver take it? */
bool vfake_plug(struct fake *fake)
{
	fake->vdev = (struct virtio_device) {
		.dev.parent	= &fake->pdev->dev,
		.dev.release	= vfake_release,
		.id.device	= VIRTIO_ID_DIBS,
		.id.vendor	= 0x1af4,
		.config		= &vfake_config_ops,
	};
	reinit_completion(&fake->released);
	if (register_virtio_device(&fake->vdev)) {
		put_device(&fake->vdev.dev);
		return false;
	}
	fake->plugged = true;
	return fake->vdev.dev.driver;
}

void vfake_unplug(struct fake *fake)
{
	if (!fake->plugged)
		return;
	fake->plugged = false;
	unregister_virtio_device(&fake->vdev);
	wait_for_completion(&fake->released);
	irq_work_sync(&fake->config_irq);
}

static void vfake_delete(void *data)
{
	struct fake *fake = data;

	vfake_unplug(fake);
	platform_device_unregister(fake->pdev);
	vdibs_move_timeout = 1000;
	vdibs_ctrl_timeout = 10000;
	vfake_client.fake = NULL;
}

/* Before the end of the test */
void vfake_free(struct kunit *test, struct fake *fake)
{
	kunit_release_action(test, vfake_delete, fake);
	kunit_kfree(test, fake);
}

static void vfake_config_init(struct virtio_dibs_config *config)
{
	uuid_t gid = UUID_INIT(0x5dba1b05, 0x7e57, 0x4c0d, 0xa5, 0x1e, 0xd1,
			       0xb5, 0xd1, 0xb5, 0x00, 0x01);

	export_uuid(config->gid, &gid);
	config->fabric_id = cpu_to_le16(FAKE_FABRIC);
	config->num_move_queues = cpu_to_le16(3);
	config->max_dmbs = cpu_to_le32(FAKE_DMBS);
	config->max_dmb_len = cpu_to_le32(SZ_1M);
	config->max_dmb_ranges = cpu_to_le16(1);
}

/* A good device, not yet plugged in */
struct fake *vfake_new(struct kunit *test)
{
	struct fake *fake;
	unsigned int i;

	fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake);
	raw_spin_lock_init(&fake->lock);
	init_completion(&fake->released);
	init_irq_work(&fake->config_irq, vfake_config_irq);
	for (i = 0; i < FAKE_VQS; i++) {
		fake->vqs[i].fake = fake;
		init_irq_work(&fake->vqs[i].irq, vfake_vq_irq);
	}
	vfake_config_init(&fake->config);
	fake->features = BIT_ULL(VIRTIO_F_VERSION_1) |
			 BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) |
			 BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |
			 BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |
			 BIT_ULL(VIRTIO_DIBS_F_MAP);
	fake->ring_size = FAKE_RING;
	fake->next_token = 0x8000000000000001;
	fake->ctrl_status = -1;
	fake->ctrl_len = sizeof(struct virtio_dibs_ctrl_resp);
	fake->move_status = -1;
	fake->move_len = sizeof(struct virtio_dibs_move_resp);
	fake->bad_queue = FAKE_VQS;
	fake->pdev = platform_device_register_simple("virtio-dibs-kunit",
						     PLATFORM_DEVID_AUTO, NULL,
						     0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, fake->pdev);
	KUNIT_ASSERT_EQ(test, 0, dma_set_mask_and_coherent(&fake->pdev->dev,
							   DMA_BIT_MASK(64)));
	/* for tests that do not wait for the end of it, on a slow machine too */
	vdibs_move_timeout = 5000;
	vdibs_ctrl_timeout = 20000;
	vfake_client.fake = fake;
	vfake_client.added = 0;
	vfake_client.deleted = 0;
	vfake_client.nr_events = 0;
	atomic_set(&vfake_client.runs, 0);
	for (i = 0; i < FAKE_DMBS; i++)
		atomic_set(&vfake_client.mask[i], 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, vfake_delete,
							   fake));
	return fake;
}

/* A good device that the driver has taken */
struct fake *vfake_start(struct kunit *test)
{
	struct fake *fake = vfake_new(test);

	KUNIT_ASSERT_TRUE(test, vfake_plug(fake));
	KUNIT_ASSERT_EQ(test, 1, vfake_client.added);
	return fake;
}

/* The dibs device, with a reference: it can leave, but does not go away */
struct dibs_dev *vfake_get_dibs(void)
{
	struct dibs_dev *dibs;

	spin_lock(&vfake_client.lock);
	dibs = vfake_client.dibs;
	if (dibs)
		get_device(&dibs->dev);
	spin_unlock(&vfake_client.lock);
	return dibs;
}

static void vfake_put_dibs(void *data)
{
	put_device(data);
}

/* The same until the end of the test */
struct dibs_dev *vfake_dibs(struct kunit *test, struct fake *fake)
{
	struct dibs_dev *dibs = vfake_get_dibs();

	KUNIT_ASSERT_NOT_NULL(test, dibs);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, vfake_put_dibs,
							   &dibs->dev));
	return dibs;
}

/* -------------------------------- client --------------------------------- */

static int vfake_add_dev(struct dibs_dev *dibs)
{
	if (!vfake_client.fake ||
	    dibs->dev.parent != &vfake_client.fake->vdev.dev)
		return -ENODEV;
	spin_lock(&vfake_client.lock);
	vfake_client.dibs = dibs;
	spin_unlock(&vfake_client.lock);
	vfake_client.added++;
	return 0;
}

static void vfake_del_dev(struct dibs_dev *dibs)
{
	spin_lock(&vfake_client.lock);
	vfake_client.dibs = NULL;
	spin_unlock(&vfake_client.lock);
	vfake_client.deleted++;
}

static void vfake_handle_irq(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
	if (idx < FAKE_DMBS)
		atomic_or(mask, &vfake_client.mask[idx]);
	atomic_inc(&vfake_client.runs);
}

static void vfake_handle_event(struct dibs_dev *dibs,
			       const struct dibs_event *event)
{
	spin_lock(&vfake_client.lock);
	vfake_client.events[vfake_client.nr_events % FAKE_EVENTS] = *event;
	/* pairs with the acquire in vfake_event_at() */
	smp_store_release(&vfake_client.nr_events, vfake_client.nr_events + 1);
	spin_unlock(&vfake_client.lock);
}

/* Event number @i, or one of no type if it does not come */
void vfake_event_at(unsigned int i, struct dibs_event *event)
{
	*event = (struct dibs_event) { .type = U32_MAX };
	/* pairs with the release in vfake_handle_event() */
	if (vfake_wait(smp_load_acquire(&vfake_client.nr_events) > i))
		*event = vfake_client.events[i % FAKE_EVENTS];
}

static const struct dibs_client_ops vfake_client_ops = {
	.add_dev	= vfake_add_dev,
	.del_dev	= vfake_del_dev,
	.handle_irq	= vfake_handle_irq,
	.handle_event	= vfake_handle_event,
};

int vfake_suite_init(struct kunit_suite *suite)
{
	vfake_client = (struct fake_client) {
		.client.name	= "virtio-dibs-kunit",
		.client.ops	= &vfake_client_ops,
		.client.flags	= DIBS_CLIENT_THREADED_EVENT,
	};
	spin_lock_init(&vfake_client.lock);
	return dibs_register_client(&vfake_client.client);
}

void vfake_suite_exit(struct kunit_suite *suite)
{
	dibs_unregister_client(&vfake_client.client);
}
