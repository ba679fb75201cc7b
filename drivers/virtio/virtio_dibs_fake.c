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

struct fake_client fake_client;

static struct fake *to_fake(struct virtio_device *vdev)
{
	return container_of(vdev, struct fake, vdev);
}

static void *fake_virt(struct fake *fake, u64 addr)
{
	return phys_to_virt(dma_to_phys(&fake->pdev->dev, addr));
}

/* ------------------------- interrupts and steps -------------------------- */

static void fake_vq_irq(struct irq_work *work)
{
	struct fake_vq *q = container_of(work, struct fake_vq, irq);

	if (q->vq)
		vring_interrupt(0, q->vq);
}

static void fake_config_irq(struct irq_work *work)
{
	struct fake *fake = container_of(work, struct fake, config_irq);

	virtio_config_changed(&fake->vdev);
}

void fake_set_needs_reset(struct fake *fake)
{
	fake->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	irq_work_queue(&fake->config_irq);
}

static void fake_step(struct fake *fake, enum fake_step step)
{
	if (fake->needs_reset_at != step)
		return;
	fake->needs_reset_at = FAKE_NEVER;
	fake_set_needs_reset(fake);
}

/* --------------------------------- rings --------------------------------- */

/* Buffers of a chain: what the driver wrote, and what it wants written */
struct fake_chain {
	u16 head;
	void *out[1 + VIRTIO_DIBS_MAX_SEGS];
	u32 out_len[1 + VIRTIO_DIBS_MAX_SEGS];
	unsigned int nr_out;
	void *in;
	u32 in_len;
};

static bool fake_pop(struct fake_vq *q, struct fake_chain *chain)
{
	struct virtio_device *vdev = &q->fake->vdev;
	struct vring *vring = &q->vring;
	struct vring_desc *desc;
	u16 i, flags;
	void *buf;
	u32 len;

	if (!q->vq || q->avail == virtio16_to_cpu(vdev, vring->avail->idx))
		return false;
	virt_rmb();	/* the entry was written before the index */
	*chain = (struct fake_chain) {};
	i = q->avail++ % vring->num;
	i = virtio16_to_cpu(vdev, vring->avail->ring[i]);
	chain->head = i;
	do {
		desc = &vring->desc[i];
		flags = virtio16_to_cpu(vdev, desc->flags);
		buf = fake_virt(q->fake, virtio64_to_cpu(vdev, desc->addr));
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

static void fake_used(struct fake_vq *q, u32 id, u32 len)
{
	struct virtio_device *vdev = &q->fake->vdev;
	struct vring_used *used = q->vring.used;
	u16 idx = virtio16_to_cpu(vdev, used->idx);

	used->ring[idx % q->vring.num].id = cpu_to_virtio32(vdev, id);
	used->ring[idx % q->vring.num].len = cpu_to_virtio32(vdev, len);
	virt_wmb();	/* the entry before the index */
	used->idx = cpu_to_virtio16(vdev, idx + 1);
	q->given++;
}

/* An interrupt on all queues, whether there is a reason or not */
void fake_interrupt(struct fake *fake)
{
	struct fake_vq *q;

	for (q = fake->vqs; q < fake->vqs + fake->nvqs; q++) {
		if (fake->garbage)
			fake_used(q, 0, sizeof(struct virtio_dibs_signal));
		if (!q->vq->callback)
			continue;
		irq_work_queue(&q->irq);
		irq_work_sync(&q->irq);
	}
}

/* A buffer of the ring that the driver has not made available */
static u32 fake_unknown_id(struct fake_vq *q, u32 head)
{
	return (head + q->vring.num / 2) % q->vring.num;
}

static void fake_push(struct fake_vq *q, u32 head, u32 len)
{
	struct fake *fake = q->fake;
	enum fake_id bad = FAKE_ID_GOOD;

	if (fake->bad_queue == q - fake->vqs)
		swap(bad, fake->bad_id);
	switch (bad) {
	case FAKE_ID_HUGE:
		fake_used(q, U32_MAX, len);
		break;
	case FAKE_ID_RANGE:
		fake_used(q, q->vring.num, len);
		break;
	case FAKE_ID_UNKNOWN:
		fake_used(q, fake_unknown_id(q, head), len);
		break;
	case FAKE_ID_TWICE:
		fake_used(q, head, len);
		fallthrough;
	default:
		fake_used(q, head, len);
		break;
	}
	/* the next doorbell too, with VIRTIO_RING_F_EVENT_IDX */
	vring_avail_event(&q->vring) = cpu_to_virtio16(&fake->vdev, q->avail);
	if (q->vq->callback)
		irq_work_queue(&q->irq);
}

/* One entry into a buffer of the event or the signal queue */
static bool fake_report(struct fake_vq *q, const void *entry, u32 size, u32 len)
{
	struct fake_chain chain;

	if (!fake_pop(q, &chain))
		return false;
	memcpy(chain.in, entry, min(size, chain.in_len));
	fake_push(q, chain.head, len);
	return true;
}

bool fake_event(struct fake *fake, const struct virtio_dibs_event *event,
		u32 len)
{
	unsigned long flags;
	bool done;

	raw_spin_lock_irqsave(&fake->lock, flags);
	fake_step(fake, FAKE_EVENT);
	done = fake_report(&fake->vqs[VIRTIO_DIBS_VQ_EVENT], event,
			   sizeof(*event), len);
	raw_spin_unlock_irqrestore(&fake->lock, flags);
	return done;
}

bool fake_signal(struct fake *fake, const struct virtio_dibs_signal *signal,
		 u32 len)
{
	unsigned long flags;
	bool done;

	raw_spin_lock_irqsave(&fake->lock, flags);
	fake_step(fake, FAKE_SIGNAL);
	done = fake_report(&fake->vqs[VIRTIO_DIBS_VQ_SIGNAL], signal,
			   sizeof(*signal), len);
	raw_spin_unlock_irqrestore(&fake->lock, flags);
	return done;
}

/* ---------------------------------- DMBs --------------------------------- */

struct fake_dmb *fake_find_dmb(struct fake *fake, u64 token)
{
	unsigned int i;

	for (i = 0; i < FAKE_DMBS; i++)
		if (fake->dmbs[i].used && fake->dmbs[i].token == token)
			return &fake->dmbs[i];
	return NULL;
}

static u32 fake_register(struct fake *fake,
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

static u32 fake_unregister(struct fake *fake,
			   const struct virtio_dibs_unregister_dmb *req)
{
	struct fake_dmb *dmb = fake_find_dmb(fake, le64_to_cpu(req->token));

	if (!dmb)
		return VIRTIO_DIBS_S_NOENT;
	dmb->used = false;
	return VIRTIO_DIBS_S_OK;
}

static bool fake_is_me(struct fake *fake, const u8 *gid)
{
	return !memcmp(gid, fake->config.gid, VIRTIO_DIBS_GID_LEN);
}

static void fake_flush_events(struct fake *fake)
{
	while (fake->nr_sw_pending &&
	       fake_report(&fake->vqs[VIRTIO_DIBS_VQ_EVENT], fake->sw_pending,
			   sizeof(fake->sw_pending[0]),
			   sizeof(fake->sw_pending[0])))
		memmove(fake->sw_pending, fake->sw_pending + 1,
			--fake->nr_sw_pending * sizeof(fake->sw_pending[0]));
}

static u32 fake_signal_event(struct fake *fake,
			     const struct virtio_dibs_signal_event *req)
{
	struct virtio_dibs_event *event;

	if (!fake_is_me(fake, req->gid))
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
	fake_flush_events(fake);
	return VIRTIO_DIBS_S_OK;
}

/* -------------------------------- requests ------------------------------- */

static u32 fake_ctrl(struct fake *fake, const void *req, u64 *token)
{
	const struct virtio_dibs_ctrl_hdr *hdr = req;
	const struct virtio_dibs_query_gid *query = req;

	switch (le16_to_cpu(hdr->cmd)) {
	case VIRTIO_DIBS_C_REGISTER_DMB:
		return fake_register(fake, req, token);
	case VIRTIO_DIBS_C_UNREGISTER_DMB:
		return fake_unregister(fake, req);
	case VIRTIO_DIBS_C_QUERY_GID:
		return fake_is_me(fake, query->gid) ? VIRTIO_DIBS_S_OK :
						      VIRTIO_DIBS_S_NETUNREACH;
	case VIRTIO_DIBS_C_SIGNAL_EVENT:
		return fake_signal_event(fake, req);
	default:
		return VIRTIO_DIBS_S_OPNOTSUPP;
	}
}

static void fake_do_ctrl(struct fake *fake)
{
	struct fake_vq *q = &fake->vqs[VIRTIO_DIBS_VQ_CTRL];
	struct virtio_dibs_ctrl_resp resp = {};
	struct fake_chain chain;
	u64 token = 0;
	u32 status;

	if (fake->ctrl_silent || !fake_pop(q, &chain))
		return;
	memset(fake->last_ctrl, 0, sizeof(fake->last_ctrl));
	memcpy(fake->last_ctrl, chain.out[0],
	       min_t(size_t, chain.out_len[0], sizeof(fake->last_ctrl)));
	if (fake->ctrl_status >= 0)
		status = fake->ctrl_status;
	else
		status = fake_ctrl(fake, chain.out[0], &token);
	resp.status = cpu_to_le32(status);
	resp.token = cpu_to_le64(token);
	memcpy(chain.in, &resp, min_t(size_t, chain.in_len, sizeof(resp)));
	fake_push(q, chain.head, fake->ctrl_len);
	fake_step(fake, FAKE_CTRL);
}

/* --------------------------------- moves --------------------------------- */

static void fake_flush_signals(struct fake *fake)
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
		if (!fake_report(&fake->vqs[VIRTIO_DIBS_VQ_SIGNAL], &signal,
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

static bool fake_read(struct fake_stream *s, void *to, u32 len)
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

static u32 fake_copy(struct fake *fake, struct fake_dmb *dmb,
		     struct fake_stream *s, u32 offset, u32 size)
{
	if (offset > dmb->len || size > dmb->len - offset)
		return VIRTIO_DIBS_S_RANGE;
	if (!fake_read(s, fake_virt(fake, dmb->addr + offset), size))
		return VIRTIO_DIBS_S_INVAL;
	fake->moved.len += size;
	return VIRTIO_DIBS_S_OK;
}

static u32 fake_move(struct fake *fake, struct fake_chain *chain)
{
	struct virtio_dibs_move_seg segs[VIRTIO_DIBS_MAX_SEGS];
	struct fake_stream s = { .chain = chain };
	struct virtio_dibs_move hdr;
	uuid_t gid = fake_gid(fake);
	struct fake_dmb *dmb;
	unsigned int i;
	u32 rc = 0;

	if (!fake_read(&s, &hdr, sizeof(hdr)))
		return VIRTIO_DIBS_S_INVAL;
	fake->moved.token = le64_to_cpu(hdr.token);
	fake->moved.flags = le16_to_cpu(hdr.flags);
	fake->moved.signal = le16_to_cpu(hdr.signal);
	fake->moved.nsegs = le16_to_cpu(hdr.nsegs);
	fake->moved.len = 0;
	if (!fake->moved.nsegs || fake->moved.nsegs > VIRTIO_DIBS_MAX_SEGS ||
	    fake->moved.signal >= VIRTIO_DIBS_MAX_SIGNALS || hdr.reserved ||
	    fake->moved.flags & ~VIRTIO_DIBS_MOVE_F_SIGNAL ||
	    !fake_read(&s, segs, fake->moved.nsegs * sizeof(segs[0])))
		return VIRTIO_DIBS_S_INVAL;
	dmb = fake_find_dmb(fake, fake->moved.token);
	if (!dmb)
		return VIRTIO_DIBS_S_NOENT;
	if (!uuid_equal(&dmb->rgid, &gid))
		return VIRTIO_DIBS_S_PERM;
	for (i = 0; i < fake->moved.nsegs && !rc; i++)
		rc = fake_copy(fake, dmb, &s, le32_to_cpu(segs[i].offset),
			       le32_to_cpu(segs[i].size));
	if (!rc && s.i < chain->nr_out)
		return VIRTIO_DIBS_S_INVAL;
	if (!rc && fake->moved.flags & VIRTIO_DIBS_MOVE_F_SIGNAL)
		dmb->pending |= BIT(fake->moved.signal);
	return rc;
}

static void fake_do_moves(struct fake *fake, struct fake_vq *q)
{
	struct virtio_dibs_move_resp resp;
	struct fake_chain chain;
	u32 status;

	fake_step(fake, FAKE_MOVE);
	while (!fake->move_silent && fake_pop(q, &chain)) {
		fake->moved.queue = q - fake->vqs;
		fake->moves++;
		if (fake->on_move)
			fake->on_move(fake);
		status = fake_move(fake, &chain);
		if (fake->move_status >= 0)
			status = fake->move_status;
		resp.status = cpu_to_le32(status);
		memcpy(chain.in, &resp, sizeof(resp));
		fake_push(q, chain.head, fake->move_len);
	}
	fake_flush_signals(fake);
}

/* Answer what was not answered */
void fake_answer(struct fake *fake)
{
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&fake->lock, flags);
	fake->ctrl_silent = false;
	fake->move_silent = false;
	fake_do_ctrl(fake);
	for (i = VIRTIO_DIBS_VQ_MOVE; i < fake->nvqs; i++)
		fake_do_moves(fake, &fake->vqs[i]);
	raw_spin_unlock_irqrestore(&fake->lock, flags);
}

static bool fake_notify(struct virtqueue *vq)
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
		fake_do_ctrl(fake);
	else if (vq->index == VIRTIO_DIBS_VQ_SIGNAL)
		fake_flush_signals(fake);
	else if (vq->index == VIRTIO_DIBS_VQ_EVENT)
		fake_flush_events(fake);
	else
		fake_do_moves(fake, q);
out:
	raw_spin_unlock_irqrestore(&fake->lock, flags);
	return true;
}

/* ------------------------------- transport ------------------------------- */

static void fake_get(struct virtio_device *vdev, unsigned int offset, void *buf,
		     unsigned int len)
{
	struct fake *fake = to_fake(vdev);

	fake->config_reads++;
	memset(buf, 0xff, len);
	if (offset + len <= sizeof(fake->config) && !fake->gone)
		memcpy(buf, (void *)&fake->config + offset, len);
}

/* Every change gives the device another GID, and another number of DMBs */
static u32 fake_generation(struct virtio_device *vdev)
{
	struct fake *fake = to_fake(vdev);

	if (!fake->restless)
		return fake->generation;
	fake->restless--;
	fake->config.gid[15]++;
	le32_add_cpu(&fake->config.max_dmbs, 1);
	return fake->generation++;
}

static u8 fake_get_status(struct virtio_device *vdev)
{
	struct fake *fake = to_fake(vdev);

	return fake->gone ? 0xff : fake->status;
}

static void fake_set_status(struct virtio_device *vdev, u8 status)
{
	struct fake *fake = to_fake(vdev);

	if (fake->gone)
		return;
	if (fake->refuse)
		status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if (status & ~fake->status & VIRTIO_CONFIG_S_DRIVER_OK &&
	    fake->irq_at == FAKE_DRIVER_OK)
		fake_interrupt(fake);
	fake->status = status;
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		fake_step(fake, FAKE_DRIVER_OK);
}

static void fake_count_waiting(struct fake *fake)
{
	struct fake_vq *q;
	u16 n;

	for (q = &fake->vqs[VIRTIO_DIBS_VQ_MOVE];
	     q < fake->vqs + fake->nvqs; q++) {
		n = virtio16_to_cpu(&fake->vdev, q->vring.avail->idx) - q->avail;
		fake->waiting = max(n, fake->waiting);
	}
}

static void fake_reset(struct virtio_device *vdev)
{
	struct fake *fake = to_fake(vdev);
	unsigned long flags;

	if (fake->on_reset)
		fake->on_reset(fake);
	fake_count_waiting(fake);
	if (fake->late)
		fake_answer(fake);
	raw_spin_lock_irqsave(&fake->lock, flags);
	fake->status = 0;
	fake->resets++;
	memset(fake->dmbs, 0, sizeof(fake->dmbs));
	fake->nr_sw_pending = 0;
	raw_spin_unlock_irqrestore(&fake->lock, flags);
	if (fake->irq_at == FAKE_RESET)
		fake_interrupt(fake);
}

static void fake_del_vqs(struct virtio_device *vdev)
{
	struct fake *fake = to_fake(vdev);
	struct virtqueue *vq;
	unsigned int i;

	if (fake->irq_at == FAKE_DEL_VQS)
		fake_interrupt(fake);
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

static void fake_vq_init(struct fake *fake, unsigned int i,
			 struct virtqueue *vq)
{
	fake->vqs[i].avail = 0;
	fake->vqs[i].given = 0;
	fake->vqs[i].vring = *virtqueue_get_vring(vq);
	fake->vqs[i].vq = vq;
}

static int fake_find_vqs(struct virtio_device *vdev, unsigned int nvqs,
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
						fake_notify, infos[i].callback,
						infos[i].name);
		if (!vqs[i]) {
			fake_del_vqs(vdev);
			return -ENOMEM;
		}
		fake_vq_init(fake, i, vqs[i]);
		fake->nvqs++;
	}
	fake_step(fake, FAKE_FIND_VQS);
	if (fake->irq_at == FAKE_FIND_VQS)
		fake_interrupt(fake);
	return 0;
}

static u64 fake_get_features(struct virtio_device *vdev)
{
	struct fake *fake = to_fake(vdev);

	fake_step(fake, FAKE_FEATURES);
	return fake->features;
}

static int fake_finalize_features(struct virtio_device *vdev)
{
	vring_transport_features(vdev);
	return 0;
}

static const struct virtio_config_ops fake_config_ops = {
	.get			= fake_get,
	.generation		= fake_generation,
	.get_status		= fake_get_status,
	.set_status		= fake_set_status,
	.reset			= fake_reset,
	.find_vqs		= fake_find_vqs,
	.del_vqs		= fake_del_vqs,
	.get_features		= fake_get_features,
	.finalize_features	= fake_finalize_features,
};

/* ------------------------------- life ------------------------------------ */

static void fake_release(struct device *dev)
{
	struct fake *fake = to_fake(dev_to_virtio(dev));

	complete(&fake->released);
}

/* Return: did the driver take it? */
bool fake_plug(struct fake *fake)
{
	fake->vdev = (struct virtio_device) {
		.dev.parent	= &fake->pdev->dev,
		.dev.release	= fake_release,
		.id.device	= VIRTIO_ID_DIBS,
		.id.vendor	= 0x1af4,
		.config		= &fake_config_ops,
	};
	reinit_completion(&fake->released);
	if (register_virtio_device(&fake->vdev)) {
		put_device(&fake->vdev.dev);
		return false;
	}
	fake->plugged = true;
	return fake->vdev.dev.driver;
}

void fake_unplug(struct fake *fake)
{
	if (!fake->plugged)
		return;
	fake->plugged = false;
	unregister_virtio_device(&fake->vdev);
	wait_for_completion(&fake->released);
	irq_work_sync(&fake->config_irq);
}

static void fake_delete(void *data)
{
	struct fake *fake = data;

	fake_unplug(fake);
	platform_device_unregister(fake->pdev);
	vdibs_move_timeout = 1000;
	vdibs_ctrl_timeout = 10000;
	fake_client.fake = NULL;
}

/* Before the end of the test */
void fake_free(struct kunit *test, struct fake *fake)
{
	kunit_release_action(test, fake_delete, fake);
	kunit_kfree(test, fake);
}

static void fake_config_init(struct virtio_dibs_config *config)
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
struct fake *fake_new(struct kunit *test)
{
	struct fake *fake;
	unsigned int i;

	fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake);
	raw_spin_lock_init(&fake->lock);
	init_completion(&fake->released);
	init_irq_work(&fake->config_irq, fake_config_irq);
	for (i = 0; i < FAKE_VQS; i++) {
		fake->vqs[i].fake = fake;
		init_irq_work(&fake->vqs[i].irq, fake_vq_irq);
	}
	fake_config_init(&fake->config);
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
	fake_client.fake = fake;
	fake_client.added = 0;
	fake_client.deleted = 0;
	fake_client.nr_events = 0;
	atomic_set(&fake_client.runs, 0);
	for (i = 0; i < FAKE_DMBS; i++)
		atomic_set(&fake_client.mask[i], 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, fake_delete,
							   fake));
	return fake;
}

/* A good device that the driver has taken */
struct fake *fake_start(struct kunit *test)
{
	struct fake *fake = fake_new(test);

	KUNIT_ASSERT_TRUE(test, fake_plug(fake));
	KUNIT_ASSERT_EQ(test, 1, fake_client.added);
	return fake;
}

/* The dibs device, with a reference: it can leave, but does not go away */
struct dibs_dev *fake_get_dibs(void)
{
	struct dibs_dev *dibs;

	spin_lock(&fake_client.lock);
	dibs = fake_client.dibs;
	if (dibs)
		get_device(&dibs->dev);
	spin_unlock(&fake_client.lock);
	return dibs;
}

static void fake_put_dibs(void *data)
{
	put_device(data);
}

/* The same until the end of the test */
struct dibs_dev *fake_dibs(struct kunit *test, struct fake *fake)
{
	struct dibs_dev *dibs = fake_get_dibs();

	KUNIT_ASSERT_NOT_NULL(test, dibs);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, fake_put_dibs,
							   &dibs->dev));
	return dibs;
}

/* -------------------------------- client --------------------------------- */

static int fake_add_dev(struct dibs_dev *dibs)
{
	if (!fake_client.fake || dibs->dev.parent != &fake_client.fake->vdev.dev)
		return -ENODEV;
	spin_lock(&fake_client.lock);
	fake_client.dibs = dibs;
	spin_unlock(&fake_client.lock);
	fake_client.added++;
	return 0;
}

static void fake_del_dev(struct dibs_dev *dibs)
{
	spin_lock(&fake_client.lock);
	fake_client.dibs = NULL;
	spin_unlock(&fake_client.lock);
	fake_client.deleted++;
}

static void fake_handle_irq(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
	if (idx < FAKE_DMBS)
		atomic_or(mask, &fake_client.mask[idx]);
	atomic_inc(&fake_client.runs);
}

static void fake_handle_event(struct dibs_dev *dibs,
			      const struct dibs_event *event)
{
	spin_lock(&fake_client.lock);
	fake_client.events[fake_client.nr_events % FAKE_EVENTS] = *event;
	/* pairs with the acquire in fake_event_at() */
	smp_store_release(&fake_client.nr_events, fake_client.nr_events + 1);
	spin_unlock(&fake_client.lock);
}

/* Event number @i, or one of no type if it does not come */
void fake_event_at(unsigned int i, struct dibs_event *event)
{
	*event = (struct dibs_event) { .type = U32_MAX };
	/* pairs with the release in fake_handle_event() */
	if (fake_wait(smp_load_acquire(&fake_client.nr_events) > i))
		*event = fake_client.events[i % FAKE_EVENTS];
}

static const struct dibs_client_ops fake_client_ops = {
	.add_dev	= fake_add_dev,
	.del_dev	= fake_del_dev,
	.handle_irq	= fake_handle_irq,
	.handle_event	= fake_handle_event,
};

int fake_suite_init(struct kunit_suite *suite)
{
	fake_client = (struct fake_client) {
		.client.name	= "virtio-dibs-kunit",
		.client.ops	= &fake_client_ops,
		.client.flags	= DIBS_CLIENT_THREADED_EVENT,
	};
	spin_lock_init(&fake_client.lock);
	return dibs_register_client(&fake_client.client);
}

void fake_suite_exit(struct kunit_suite *suite)
{
	dibs_unregister_client(&fake_client.client);
}
