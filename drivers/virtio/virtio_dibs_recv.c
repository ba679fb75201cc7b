// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing between the guests of a host
 *
 * Signals and events: entries that the device writes into buffers of the
 * driver. Each is copied once and checked, and its buffer is made available
 * again.
 *
 * Entries are handled in the interrupt, as they only have to be handed to the
 * core. Where a burst does not end, a work item takes over, which has to compete
 * with everything else that wants to run.
 */
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/virtio.h>

#include "virtio_dibs.h"

/* ------------------------------- queues ---------------------------------- */

static int vdibs_recv_add(struct vdibs_inq *q, void *buf)
{
	struct scatterlist sg;

	vdibs_sg_set(&sg, q->area.dma + (buf - q->area.mem), q->size);
	return virtqueue_add_inbuf(q->vq, &sg, 1, buf, GFP_ATOMIC);
}

/* Return: was there one? */
static bool vdibs_recv_one(struct vdibs_inq *q)
{
	u8 entry[sizeof(struct virtio_dibs_event)];
	void *buf;
	u32 len;

	buf = virtqueue_get_buf(q->vq, &len);
	if (!buf)
		return false;
	memcpy(entry, buf, q->size);
	barrier();	/* from here on it is the copy that counts */
	q->handle(q->vd, entry, len);
	return !vdibs_recv_add(q, buf);
}

/* Return: is there more, although as many as allowed were taken? */
static bool vdibs_recv_some(struct vdibs_inq *q)
{
	unsigned int budget = VDIBS_MAX_BUFS;

	do {
		virtqueue_disable_cb(q->vq);
		while (budget && vdibs_recv_one(q))
			budget--;
	} while (budget && !virtqueue_is_broken(q->vq) &&
		 !virtqueue_enable_cb(q->vq));
	virtqueue_kick(q->vq);
	return !budget;
}

/* Any context, also when there are no buffers yet, or none any more */
static void vdibs_recv(struct vdibs_inq *q)
{
	bool more = false, broken = false;
	unsigned long flags;

	if (vdibs_failed(q->vd))
		return;
	spin_lock_irqsave(&q->lock, flags);
	if (q->vq) {
		more = vdibs_recv_some(q);
		broken = virtqueue_is_broken(q->vq);
	}
	spin_unlock_irqrestore(&q->lock, flags);
	if (broken)
		vdibs_fail(q->vd, "signal or event queue broken");
	else if (more)
		queue_work(system_unbound_wq, &q->work);
}

static void vdibs_recv_work(struct work_struct *work)
{
	vdibs_recv(container_of(work, struct vdibs_inq, work));
}

void vdibs_signal_callback(struct virtqueue *vq)
{
	struct vdibs *vd = vq->vdev->priv;

	vdibs_recv(&vd->signals);
}

void vdibs_event_callback(struct virtqueue *vq)
{
	struct vdibs *vd = vq->vdev->priv;

	vdibs_recv(&vd->events);
}

/* ------------------------------- signals --------------------------------- */

static void vdibs_handle_signal(struct vdibs *vd, const void *entry, u32 len)
{
	const struct virtio_dibs_signal *signal = entry;

	if (len < sizeof(*signal))
		return;
	vdibs_dmb_signal(vd, le64_to_cpu(signal->token),
			 le32_to_cpu(signal->idx), le16_to_cpu(signal->mask));
}

/* ------------------------------- events ---------------------------------- */

static void vdibs_report(struct vdibs *vd, struct dibs_event *event,
			 enum dibs_event_type type, u32 subtype)
{
	event->type = type;
	event->subtype = subtype;
	dibs_dev_event(vd->dibs, event);
}

static void vdibs_handle_dev_event(struct vdibs *vd, struct dibs_event *event,
				   u32 subtype)
{
	switch (subtype) {
	case VIRTIO_DIBS_E_DEV_RESTARTED:
		vdibs_report(vd, event, DIBS_DEV_EVENT, DIBS_DEV_DISABLED);
		vdibs_report(vd, event, DIBS_DEV_EVENT, DIBS_DEV_ENABLED);
		break;
	case VIRTIO_DIBS_E_DEV_DISABLED:
		vdibs_report(vd, event, DIBS_DEV_EVENT, DIBS_DEV_DISABLED);
		break;
	case VIRTIO_DIBS_E_DEV_ERR_STATE:
		vdibs_report(vd, event, DIBS_DEV_EVENT, DIBS_DEV_ERR_STATE);
		break;
	case VIRTIO_DIBS_E_DEV_ENABLED:
		vdibs_report(vd, event, DIBS_DEV_EVENT, DIBS_DEV_ENABLED);
		break;
	}
}

static void vdibs_events_lost(struct vdibs *vd)
{
	struct dibs_event event = {};

	vdibs_report(vd, &event, DIBS_OTHER_EVENT, DIBS_EVENTS_LOST);
}

static void vdibs_handle_event(struct vdibs *vd, const void *entry, u32 len)
{
	const struct virtio_dibs_event *from = entry;
	struct dibs_event event = {};
	u32 subtype;

	if (len < sizeof(*from)) {
		vdibs_events_lost(vd);
		return;
	}
	subtype = le32_to_cpu(from->subtype);
	import_uuid(&event.gid, from->gid);
	event.time = le64_to_cpu(from->time);
	switch (le32_to_cpu(from->type)) {
	case VIRTIO_DIBS_E_DEV:
		vdibs_handle_dev_event(vd, &event, subtype);
		break;
	case VIRTIO_DIBS_E_BUF:
		event.buffer_tok = le64_to_cpu(from->token);
		if (subtype == VIRTIO_DIBS_E_BUF_UNREGISTERED)
			vdibs_report(vd, &event, DIBS_BUF_EVENT,
				     DIBS_BUF_UNREGISTERED);
		break;
	case VIRTIO_DIBS_E_SW:
		event.data = le64_to_cpu(from->data);
		vdibs_report(vd, &event, DIBS_SW_EVENT, subtype);
		break;
	case VIRTIO_DIBS_E_OTHER:
		if (subtype == VIRTIO_DIBS_E_EVENTS_LOST)
			vdibs_events_lost(vd);
		break;
	}
}

/* -------------------------------- life ----------------------------------- */

void vdibs_recv_init(struct vdibs *vd)
{
	struct vdibs_inq *qs[] = { &vd->signals, &vd->events };
	unsigned int i;

	vd->signals.size = sizeof(struct virtio_dibs_signal);
	vd->signals.handle = vdibs_handle_signal;
	vd->events.size = sizeof(struct virtio_dibs_event);
	vd->events.handle = vdibs_handle_event;
	for (i = 0; i < ARRAY_SIZE(qs); i++) {
		qs[i]->vd = vd;
		spin_lock_init(&qs[i]->lock);
		INIT_WORK(&qs[i]->work, vdibs_recv_work);
		disable_work(&qs[i]->work);
	}
}

int vdibs_recv_alloc(struct vdibs_inq *q)
{
	return vdibs_area_alloc(q->vd, &q->area, VDIBS_MAX_BUFS * q->size);
}

/* Nothing is taken from the queue before this: it makes all buffers available */
int vdibs_recv_start(struct vdibs_inq *q, struct virtqueue *vq)
{
	unsigned int n = min(virtqueue_get_vring_size(vq), VDIBS_MAX_BUFS);
	unsigned int i, unused;
	int rc = 0;

	enable_work(&q->work);
	spin_lock_irq(&q->lock);
	q->vq = vq;
	/* what the device may have put there before breaks the queue (D-7) */
	virtqueue_get_buf(vq, &unused);
	for (i = 0; i < n && !rc; i++)
		rc = vdibs_recv_add(q, q->area.mem + i * q->size);
	if (!rc && !virtqueue_kick(vq))
		rc = -EIO;
	spin_unlock_irq(&q->lock);
	return rc;
}

/*
 * Nothing is taken from the queue after this. An interrupt handler may be about
 * to queue the work, as that of a device that is gone is not waited for before.
 */
void vdibs_recv_stop(struct vdibs_inq *q)
{
	struct virtqueue *vq;

	spin_lock_irq(&q->lock);
	vq = q->vq;
	q->vq = NULL;
	spin_unlock_irq(&q->lock);
	if (vq)
		disable_work_sync(&q->work);
}

/* The device has been reset, or was never started */
void vdibs_recv_free(struct vdibs_inq *q)
{
	vdibs_area_free(q->vd, &q->area);
}
