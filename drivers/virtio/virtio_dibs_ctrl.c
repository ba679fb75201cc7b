// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing between the guests of a host
 *
 * Requests to the device, one at a time.
 *
 * Request and answer are in memory that belongs to the device for as long as
 * it is not reset. So a request that is abandoned needs no owner: the device
 * has failed then, nothing is requested any more, and an answer that comes late
 * meets nobody.
 */
#include <linux/cache.h>
#include <linux/jiffies.h>
#include <linux/string.h>
#include <linux/virtio.h>
#include <kunit/visibility.h>

#include "virtio_dibs.h"

unsigned int vdibs_ctrl_timeout = 10000;	/* ms */
EXPORT_SYMBOL_IF_KUNIT(vdibs_ctrl_timeout);

/* The device writes to the first cache line and reads the others */
struct vdibs_ctrl_slot {
	struct virtio_dibs_ctrl_resp resp;
	u8 req[SZ_1K] __aligned(L1_CACHE_BYTES);
};

void vdibs_ctrl_callback(struct virtqueue *vq)
{
	struct vdibs *vd = vq->vdev->priv;
	unsigned long flags;
	bool broken = false;
	u32 len;

	spin_lock_irqsave(&vd->ctrl_lock, flags);
	if (vd->ctrl_vq) {
		/* more than one answer breaks the queue */
		while (virtqueue_get_buf(vq, &len)) {
			vd->ctrl_len = len;
			vd->ctrl_done = true;
			wake_up(&vd->ctrl_wait);
		}
		broken = virtqueue_is_broken(vq);
	}
	spin_unlock_irqrestore(&vd->ctrl_lock, flags);
	if (broken)
		vdibs_fail(vd, "control queue broken");
}

static int vdibs_ctrl_submit(struct vdibs *vd, const void *req, size_t len)
{
	struct vdibs_ctrl_slot *slot = vd->ctrl.mem;
	struct scatterlist out, in, *sgs[] = { &out, &in };
	unsigned int unused;
	int rc = -EIO;

	memcpy(slot->req, req, len);
	slot->resp.status = cpu_to_le32(VIRTIO_DIBS_S_IO);
	slot->resp.token = 0;
	vdibs_sg_set(&out, vd->ctrl.dma + offsetof(typeof(*slot), req), len);
	vdibs_sg_set(&in, vd->ctrl.dma, sizeof(slot->resp));

	spin_lock_irq(&vd->ctrl_lock);
	vd->ctrl_done = false;
	if (vd->ctrl_vq) {
		/* an answer to nothing would be taken for that to this one */
		virtqueue_get_buf(vd->ctrl_vq, &unused);
		rc = virtqueue_add_sgs(vd->ctrl_vq, sgs, 1, 1, vd, GFP_ATOMIC);
	}
	if (!rc && !virtqueue_kick(vd->ctrl_vq))
		rc = -EIO;
	spin_unlock_irq(&vd->ctrl_lock);
	return rc;
}

static bool vdibs_ctrl_is_done(struct vdibs *vd)
{
	bool done;

	spin_lock_irq(&vd->ctrl_lock);
	done = vd->ctrl_done;
	spin_unlock_irq(&vd->ctrl_lock);
	return done;
}

/* Return: what went wrong, if the device has failed */
static const char *vdibs_ctrl_exec(struct vdibs *vd, const void *req,
				   size_t len)
{
	if (vdibs_ctrl_submit(vd, req, len))
		return "control queue broken";
	wait_event_timeout(vd->ctrl_wait,
			   vdibs_ctrl_is_done(vd) || vdibs_failed(vd),
			   msecs_to_jiffies(vdibs_ctrl_timeout));
	if (!vdibs_ctrl_is_done(vd))
		return "request not answered";
	if (vd->ctrl_len != sizeof(struct virtio_dibs_ctrl_resp))
		return "bad answer to a request";
	return NULL;
}

/**
 * vdibs_ctrl() - make a request and wait for the answer
 * @vd: the device
 * @req: the request
 * @len: its length, at most 1 KiB
 * @allowed: the statuses that it may be answered with, VDIBS_MAY()
 * @token: out: the token in the answer, if not NULL
 *
 * Context: process context, may sleep.
 * Return: 0, an error that stands for one of @allowed, or -EIO if the device
 *	failed; it is unknown then what has become of the request.
 */
int vdibs_ctrl(struct vdibs *vd, const void *req, size_t len, u32 allowed,
	       u64 *token)
{
	struct vdibs_ctrl_slot *slot;
	const char *why;
	int rc = -EIO;

	if (WARN_ON_ONCE(len > sizeof(slot->req)))
		return -EIO;
	mutex_lock(&vd->ctrl_mutex);
	if (vdibs_failed(vd))
		goto out;
	why = vdibs_ctrl_exec(vd, req, len);
	if (why) {
		/* who comes next must not touch what the device still has */
		vdibs_fail(vd, why);
		goto out;
	}
	slot = vd->ctrl.mem;
	rc = vdibs_errno(le32_to_cpu(READ_ONCE(slot->resp.status)), allowed);
	if (token)
		*token = le64_to_cpu(READ_ONCE(slot->resp.token));
out:
	mutex_unlock(&vd->ctrl_mutex);
	return rc;
}

/* ------------------- requests that concern other devices ----------------- */

int vdibs_query_remote_gid(struct dibs_dev *dibs, const uuid_t *rgid,
			   u32 vid_valid, u32 vid)
{
	struct virtio_dibs_query_gid req = {
		.hdr.cmd = cpu_to_le16(VIRTIO_DIBS_C_QUERY_GID),
	};

	export_uuid(req.gid, rgid);
	return vdibs_ctrl(dibs->drv_priv, &req, sizeof(req),
			  VDIBS_MAY_ALL | VDIBS_MAY(NETUNREACH), NULL);
}

int vdibs_signal_event(struct dibs_dev *dibs, const uuid_t *rgid,
		       u32 trigger_irq, u32 event_code, u64 info)
{
	struct virtio_dibs_signal_event req = {
		.hdr.cmd = cpu_to_le16(VIRTIO_DIBS_C_SIGNAL_EVENT),
		.code = cpu_to_le32(event_code),
		.info = cpu_to_le64(info),
	};

	export_uuid(req.gid, rgid);
	return vdibs_ctrl(dibs->drv_priv, &req, sizeof(req),
			  VDIBS_MAY_ALL | VDIBS_MAY(NETUNREACH) |
			  VDIBS_MAY(AGAIN), NULL);
}

/* -------------------------------- life ----------------------------------- */

void vdibs_ctrl_init(struct vdibs *vd)
{
	mutex_init(&vd->ctrl_mutex);
	spin_lock_init(&vd->ctrl_lock);
	init_waitqueue_head(&vd->ctrl_wait);
}

int vdibs_ctrl_alloc(struct vdibs *vd)
{
	return vdibs_area_alloc(vd, &vd->ctrl, sizeof(struct vdibs_ctrl_slot));
}

void vdibs_ctrl_start(struct vdibs *vd, struct virtqueue *vq)
{
	spin_lock_irq(&vd->ctrl_lock);
	vd->ctrl_vq = vq;
	spin_unlock_irq(&vd->ctrl_lock);
}

void vdibs_ctrl_stop(struct vdibs *vd)
{
	vdibs_ctrl_start(vd, NULL);
}

/* The device has been reset, or was never started */
void vdibs_ctrl_free(struct vdibs *vd)
{
	vdibs_area_free(vd, &vd->ctrl);
}
