// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing between the guests of a host
 *
 * Driver for the virtio-dibs device, see Documentation/networking/virtio-dibs.rst.
 * What a comment calls D-<n> is the statement of that name there.
 *
 * Nothing that the device says is relied upon: a value is read once and checked,
 * and there is an end to waiting for it. A device that has failed is reset
 * and, as a new device, started again; its clients see it leave and come back.
 * All memory that the device knows belongs to the driver and is kept until the
 * reset, whoever has given up on it.
 */
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/pm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "virtio_dibs.h"

/* Queues that every driver sets up, besides those for moves */
#define VDIBS_NR_FIXED_VQS	VIRTIO_DIBS_VQ_MOVE
#define VDIBS_MIN_VRING		16

/* How often the device is looked at, and the least time between two resets */
#define VDIBS_WATCH		HZ
#define VDIBS_MAX_BACKOFF	(60 * HZ)

/*
 * With less, a stream is slower, and with more hardly faster: see "Performance
 * between guests" in Documentation/networking/dibs.rst.
 */
#define VDIBS_DMB_LEN		SZ_512K

/* What is read from a device that is not there any more */
#define VDIBS_STATUS_GONE	0xff

static DEFINE_IDA(vdibs_ida);

/* ------------------------------- failure --------------------------------- */

/**
 * vdibs_fail_quietly() - do not use the device any more
 * @vd: the device
 * @why: reason, for the log
 *
 * Context: any, a panic included. The watch notices.
 */
void vdibs_fail_quietly(struct vdibs *vd, const char *why)
{
	cmpxchg(&vd->why, NULL, why);
}

/**
 * vdibs_fail() - do not use the device any more, and reset it soon
 * @vd: the device
 * @why: reason, for the log
 *
 * Context: any, hard interrupt included. Prints nothing.
 */
void vdibs_fail(struct vdibs *vd, const char *why)
{
	vdibs_fail_quietly(vd, why);
	wake_up(&vd->ctrl_wait);
	mod_delayed_work(system_long_wq, &vd->watch, 0);
}

/**
 * vdibs_errno() - what a status means to the caller
 * @status: from the device
 * @allowed: the ones that the request can end with, VDIBS_MAY()
 *
 * Return: 0 or an error; -EIO for what the device must not answer (D-11).
 */
int vdibs_errno(u32 status, u32 allowed)
{
	static const int errnos[] = {
		[VIRTIO_DIBS_S_NOENT]		= -ENOENT,
		[VIRTIO_DIBS_S_PERM]		= -EPERM,
		[VIRTIO_DIBS_S_RANGE]		= -ERANGE,
		[VIRTIO_DIBS_S_INVAL]		= -EINVAL,
		[VIRTIO_DIBS_S_BUSY]		= -EBUSY,
		[VIRTIO_DIBS_S_NOSPC]		= -ENOSPC,
		[VIRTIO_DIBS_S_NOMEM]		= -ENOMEM,
		[VIRTIO_DIBS_S_NETUNREACH]	= -ENETUNREACH,
		[VIRTIO_DIBS_S_AGAIN]		= -EAGAIN,
		[VIRTIO_DIBS_S_NODEV]		= -ENODEV,
	};

	if (likely(status == VIRTIO_DIBS_S_OK))
		return 0;
	if (status >= ARRAY_SIZE(errnos) || !(allowed & BIT(status)) ||
	    !errnos[status])
		return -EIO;
	return errnos[status];
}

/* -------------------------------- memory --------------------------------- */

int vdibs_area_alloc(struct vdibs *vd, struct vdibs_area *area, size_t len)
{
	area->mem = dma_alloc_coherent(vd->dma_dev, len, &area->dma,
				       GFP_KERNEL | __GFP_NOWARN);
	if (!area->mem)
		return -ENOMEM;
	area->len = len;
	return 0;
}

void vdibs_area_free(struct vdibs *vd, struct vdibs_area *area)
{
	if (!area->mem)
		return;
	dma_free_coherent(vd->dma_dev, area->len, area->mem, area->dma);
	area->mem = NULL;
}

/* ---------------------------- device in class ---------------------------- */

static u16 vdibs_get_fabric_id(struct dibs_dev *dibs)
{
	struct vdibs *vd = dibs->drv_priv;

	return vd->config.fabric_id;
}

static int vdibs_max_dmbs(struct dibs_dev *dibs)
{
	struct vdibs *vd = dibs->drv_priv;

	return vd->config.max_dmbs;
}

static const struct dibs_dev_ops vdibs_ops = {
	.get_fabric_id	  = vdibs_get_fabric_id,
	.max_dmbs	  = vdibs_max_dmbs,

	.query_remote_gid = vdibs_query_remote_gid,
	.register_dmb	  = vdibs_register_dmb,
	.unregister_dmb	  = vdibs_unregister_dmb,

	.move_data	  = vdibs_move_data,
	.move_data_vec	  = vdibs_move_data_vec,
	.move_data_atomic = vdibs_move_data_atomic,

	.signal_event	  = vdibs_signal_event,
};

static int vdibs_dibs_add(struct vdibs *vd)
{
	int rc;

	vd->dibs = dibs_dev_alloc();
	if (!vd->dibs)
		return -ENOMEM;
	vd->dibs->ops = &vdibs_ops;
	vd->dibs->gid = vd->config.gid;
	vd->dibs->dmb_len = min(VDIBS_DMB_LEN, vd->config.max_dmb_len);
	vd->dibs->drv_priv = vd;
	vd->dibs->dev.parent = &vd->vdev->dev;
	rc = dev_set_name(&vd->dibs->dev, "vdibs%d", vd->id);
	if (!rc)
		rc = dibs_dev_add(vd->dibs);
	vd->added = !rc;
	return rc;
}

/* ------------------------------ start, stop ------------------------------ */

static int vdibs_check_vqs(struct virtqueue *vqs[], unsigned int n)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < n && !rc; i++) {
		if (virtqueue_get_vring_size(vqs[i]) < VDIBS_MIN_VRING)
			return -EINVAL;
		rc = virtqueue_set_dma_premapped(vqs[i]);
	}
	return rc;
}

/* D-6. Moves are waited for by looking, without a callback or a vector */
static int vdibs_find_vqs(struct vdibs *vd, struct virtqueue *vqs[],
			  unsigned int n)
{
	struct virtqueue_info *infos;
	unsigned int i;
	int rc;

	infos = kcalloc(n, sizeof(*infos), GFP_KERNEL);
	if (!infos)
		return -ENOMEM;
	infos[VIRTIO_DIBS_VQ_CTRL].name = "control";
	infos[VIRTIO_DIBS_VQ_CTRL].callback = vdibs_ctrl_callback;
	infos[VIRTIO_DIBS_VQ_EVENT].name = "event";
	infos[VIRTIO_DIBS_VQ_EVENT].callback = vdibs_event_callback;
	infos[VIRTIO_DIBS_VQ_SIGNAL].name = "signal";
	infos[VIRTIO_DIBS_VQ_SIGNAL].callback = vdibs_signal_callback;
	for (i = VIRTIO_DIBS_VQ_MOVE; i < n; i++)
		infos[i].name = "move";
	rc = virtio_find_vqs(vd->vdev, n, vqs, infos, NULL);
	kfree(infos);
	if (!rc)
		rc = vdibs_check_vqs(vqs, n);
	return rc;
}

static int vdibs_alloc(struct vdibs *vd)
{
	int rc;

	rc = vdibs_moveqs_alloc(vd);
	if (!rc)
		rc = vdibs_ctrl_alloc(vd);
	if (!rc)
		rc = vdibs_recv_alloc(&vd->signals);
	if (!rc)
		rc = vdibs_recv_alloc(&vd->events);
	return rc;
}

/* D-9: the device has been reset, or was never started */
static void vdibs_free(struct vdibs *vd)
{
	vdibs_dmbs_free(vd);
	vdibs_recv_free(&vd->events);
	vdibs_recv_free(&vd->signals);
	vdibs_ctrl_free(vd);
	vdibs_moveqs_free(vd);
}

/*
 * Signals can arrive as soon as a client has registered a DMB, which it does
 * when the device is added. Events wait until there is somebody to tell.
 */
static int vdibs_start_vqs(struct vdibs *vd, struct virtqueue *vqs[])
{
	unsigned int i;
	int rc;

	for (i = 0; i < vd->nr_moveqs; i++)
		vd->moveqs[i].vq = vqs[VIRTIO_DIBS_VQ_MOVE + i];
	virtio_device_ready(vd->vdev);
	vdibs_ctrl_start(vd, vqs[VIRTIO_DIBS_VQ_CTRL]);
	rc = vdibs_recv_start(&vd->signals, vqs[VIRTIO_DIBS_VQ_SIGNAL]);
	if (!rc)
		rc = vdibs_dibs_add(vd);
	if (!rc)
		rc = vdibs_recv_start(&vd->events, vqs[VIRTIO_DIBS_VQ_EVENT]);
	return rc;
}

/*
 * Features have been negotiated, the watch is not running. After an error
 * vdibs_stop() has to be called.
 */
static int vdibs_start(struct vdibs *vd)
{
	struct virtqueue **vqs;
	unsigned int n;
	int rc;

	WRITE_ONCE(vd->why, NULL);
	rc = vdibs_config_get(vd);
	if (!rc)
		rc = vdibs_alloc(vd);
	if (rc)
		return rc;
	n = VDIBS_NR_FIXED_VQS + vd->nr_moveqs;
	vqs = kcalloc(n, sizeof(*vqs), GFP_KERNEL);
	if (!vqs)
		return -ENOMEM;
	rc = vdibs_find_vqs(vd, vqs, n);
	if (!rc)
		rc = vdibs_start_vqs(vd, vqs);
	kfree(vqs);
	return rc;
}

/* Take the device from all clients; what they hold is kept for the reset */
static void vdibs_leave(struct vdibs *vd)
{
	if (vd->added)
		dibs_dev_del(vd->dibs);
	vd->added = false;
}

static bool vdibs_gone(struct vdibs *vd)
{
	return vd->vdev->config->get_status(vd->vdev) == VDIBS_STATUS_GONE;
}

static void vdibs_stop_vqs(struct vdibs *vd)
{
	vdibs_ctrl_stop(vd);
	vdibs_recv_stop(&vd->signals);
	vdibs_recv_stop(&vd->events);
	vd->vdev->config->del_vqs(vd->vdev);
	if (vd->dibs)
		put_device(&vd->dibs->dev);
	vd->dibs = NULL;
}

/*
 * To reset a device that is gone would never end. Return: does the device know
 * nothing of our memory any more?
 */
static bool vdibs_stop(struct vdibs *vd)
{
	vdibs_leave(vd);
	if (vdibs_gone(vd))
		return false;
	virtio_reset_device(vd->vdev);
	vdibs_stop_vqs(vd);
	vdibs_free(vd);
	return true;
}

/* --------------------------------- watch --------------------------------- */

/* As the core of virtio does it before a driver's probe */
static int vdibs_negotiate(struct virtio_device *vdev)
{
	const struct virtio_config_ops *config = vdev->config;
	int rc;

	virtio_add_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	virtio_add_status(vdev, VIRTIO_CONFIG_S_DRIVER);
	rc = config->finalize_features(vdev);
	if (rc)
		return rc;
	virtio_add_status(vdev, VIRTIO_CONFIG_S_FEATURES_OK);
	if (!(config->get_status(vdev) & VIRTIO_CONFIG_S_FEATURES_OK))
		return -ENODEV;
	return 0;
}

/* A device that goes on failing is reset ever less often */
static void vdibs_back_off(struct vdibs *vd)
{
	u64 now = get_jiffies_64();

	if (time_after64(now, vd->next_reset + VDIBS_MAX_BACKOFF))
		vd->backoff = 0;
	vd->backoff = clamp(2 * vd->backoff, VDIBS_WATCH, VDIBS_MAX_BACKOFF);
	vd->next_reset = now + vd->backoff;
}

static void vdibs_restart(struct vdibs *vd)
{
	int rc;

	vdibs_back_off(vd);
	if (!vdibs_stop(vd))
		return;
	rc = vdibs_negotiate(vd->vdev);
	if (!rc)
		rc = vdibs_start(vd);
	if (rc) {
		dev_err(&vd->vdev->dev, "restart failed: %d\n", rc);
		vdibs_fail_quietly(vd, "not started");
	}
}

/*
 * Looks at the status now and then, as a device that has lost its other half
 * cannot tell that by itself. The system is not kept from shutting down: that
 * stops devices behind the back of their drivers.
 */
static void vdibs_watch(struct work_struct *work)
{
	struct vdibs *vd = container_of(to_delayed_work(work), struct vdibs,
					watch);
	u8 status;

	if (system_state > SYSTEM_RUNNING)
		return;
	status = vd->vdev->config->get_status(vd->vdev);
	if (status & VIRTIO_CONFIG_S_NEEDS_RESET)
		vdibs_fail_quietly(vd, status == VDIBS_STATUS_GONE ?
				   "gone" : "needs a reset");
	if (vdibs_failed(vd)) {
		/* who waits for an answer would be waited for */
		wake_up(&vd->ctrl_wait);
		if (vd->added)
			dev_err(&vd->vdev->dev, "failed: %s\n", vd->why);
		vdibs_leave(vd);
		if (status != VDIBS_STATUS_GONE &&
		    time_after_eq64(get_jiffies_64(), vd->next_reset))
			vdibs_restart(vd);
	}
	queue_delayed_work(system_long_wq, &vd->watch, VDIBS_WATCH);
}

/* It finds what has happened while it was off */
static void vdibs_watch_on(struct vdibs *vd)
{
	enable_delayed_work(&vd->watch);
	mod_delayed_work(system_long_wq, &vd->watch, 0);
}

static void vdibs_watch_off(struct vdibs *vd)
{
	disable_delayed_work_sync(&vd->watch);
}

/* D-5. Whatever it is, the watch finds out */
static void vdibs_config_changed(struct virtio_device *vdev)
{
	struct vdibs *vd = vdev->priv;

	mod_delayed_work(system_long_wq, &vd->watch, 0);
}

/* ---------------------------- virtio driver ------------------------------ */

static struct vdibs *vdibs_new(struct virtio_device *vdev)
{
	struct vdibs *vd;

	vd = kzalloc(sizeof(*vd), GFP_KERNEL);
	if (!vd)
		return ERR_PTR(-ENOMEM);
	vd->id = ida_alloc(&vdibs_ida, GFP_KERNEL);
	if (vd->id < 0) {
		kfree(vd);
		return ERR_PTR(-ENOMEM);
	}
	vd->vdev = vdev;
	vd->dma_dev = vdev->dev.parent;
	vd->next_reset = get_jiffies_64();
	INIT_DELAYED_WORK(&vd->watch, vdibs_watch);
	disable_delayed_work(&vd->watch);
	vdibs_ctrl_init(vd);
	vdibs_dmbs_init(vd);
	vdibs_recv_init(vd);
	return vd;
}

/* Memory that was lost with a device that is gone is not used again */
static void vdibs_delete(struct vdibs *vd)
{
	if (!vdibs_stop(vd))
		vdibs_stop_vqs(vd);
	ida_free(&vdibs_ida, vd->id);
	kfree(vd);
}

static int vdibs_probe(struct virtio_device *vdev)
{
	struct vdibs *vd;
	int rc;

	vd = vdibs_new(vdev);
	if (IS_ERR(vd))
		return PTR_ERR(vd);
	vdev->priv = vd;
	rc = vdibs_start(vd);
	if (rc)
		vdibs_delete(vd);
	else
		vdibs_watch_on(vd);
	return rc;
}

static void vdibs_remove(struct virtio_device *vdev)
{
	struct vdibs *vd = vdev->priv;

	vdibs_watch_off(vd);
	vdibs_delete(vd);
}

static int vdibs_freeze(struct virtio_device *vdev)
{
	struct vdibs *vd = vdev->priv;

	vdibs_watch_off(vd);
	if (vdibs_stop(vd))
		return 0;
	vdibs_watch_on(vd);
	return -EIO;
}

static int vdibs_restore(struct virtio_device *vdev)
{
	struct vdibs *vd = vdev->priv;
	int rc;

	rc = vdibs_start(vd);
	if (rc) {
		vdibs_fail_quietly(vd, "not restored");
		/* not before virtio has marked it, whoever wakes the watch */
		vd->next_reset = get_jiffies_64() + VDIBS_WATCH;
	}
	vdibs_watch_on(vd);
	return rc;
}

static const struct virtio_device_id vdibs_ids[] = {
	{ VIRTIO_ID_DIBS, VIRTIO_DEV_ANY_ID },
	{ }
};
MODULE_DEVICE_TABLE(virtio, vdibs_ids);

static const unsigned int vdibs_features[] = {
	VIRTIO_F_ACCESS_PLATFORM,
};

static struct virtio_driver vdibs_driver = {
	.feature_table		= vdibs_features,
	.feature_table_size	= ARRAY_SIZE(vdibs_features),
	.driver.name		= KBUILD_MODNAME,
	.id_table		= vdibs_ids,
	.validate		= vdibs_validate,
	.probe			= vdibs_probe,
	.remove			= vdibs_remove,
	.config_changed		= vdibs_config_changed,
	.freeze			= pm_sleep_ptr(vdibs_freeze),
	.restore		= pm_sleep_ptr(vdibs_restore),
};
module_virtio_driver(vdibs_driver);

MODULE_DESCRIPTION("Direct Internal Buffer Sharing between the guests of a host");
MODULE_LICENSE("GPL");
