// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing between the guests of a host
 *
 * Features and configuration of the device.
 */
#include <linux/minmax.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "virtio_dibs.h"

static u32 vdibs_config_generation(struct virtio_device *vdev)
{
	return vdev->config->generation ? vdev->config->generation(vdev) : 0;
}

/* Transports read numbers as a whole, and bytes one by one */
static void vdibs_config_fetch(struct virtio_device *vdev,
			       struct virtio_dibs_config *config, void *field,
			       unsigned int len)
{
	vdev->config->get(vdev, field - (void *)config, field, len);
}

static void vdibs_config_fetch_all(struct virtio_device *vdev,
				   struct virtio_dibs_config *config)
{
	unsigned int i;

	for (i = 0; i < sizeof(config->gid); i++)
		vdibs_config_fetch(vdev, config, &config->gid[i], 1);
	vdibs_config_fetch(vdev, config, &config->fabric_id, 2);
	vdibs_config_fetch(vdev, config, &config->num_move_queues, 2);
	vdibs_config_fetch(vdev, config, &config->max_dmbs, 4);
	vdibs_config_fetch(vdev, config, &config->max_dmb_len, 4);
	vdibs_config_fetch(vdev, config, &config->max_dmb_ranges, 2);
}

/* D-3: all of one state, and not for ever if the device keeps changing it */
static int vdibs_config_read(struct virtio_device *vdev,
			     struct virtio_dibs_config *config)
{
	unsigned int tries;
	u32 generation;

	for (tries = 0; tries < 16; tries++) {
		generation = vdibs_config_generation(vdev);
		vdibs_config_fetch_all(vdev, config);
		if (generation == vdibs_config_generation(vdev))
			return 0;
	}
	return -EIO;
}

/* D-4 */
static int vdibs_config_check(const struct virtio_dibs_config *raw,
			      struct vdibs_config *config)
{
	import_uuid(&config->gid, raw->gid);
	config->fabric_id = le16_to_cpu(raw->fabric_id);
	config->num_move_queues = le16_to_cpu(raw->num_move_queues);
	config->max_dmbs = min(le32_to_cpu(raw->max_dmbs), DIBS_MAX_DMBS);
	config->max_dmb_len = le32_to_cpu(raw->max_dmb_len);
	if (uuid_is_null(&config->gid) || !config->num_move_queues ||
	    !config->max_dmbs || !config->max_dmb_len || !raw->max_dmb_ranges)
		return -EINVAL;
	if (config->fabric_id < VIRTIO_DIBS_FABRIC_MIN ||
	    config->fabric_id > VIRTIO_DIBS_FABRIC_MAX)
		return -EINVAL;
	return 0;
}

/**
 * vdibs_config_get() - read the configuration, once, and check it
 * @vd: the device; its &vdibs.config is filled in
 *
 * Context: process context, may sleep.
 * Return: 0, or
 *  * -EINVAL: a device with this configuration must not be used
 *  * -EIO: the device does not stop changing it
 */
int vdibs_config_get(struct vdibs *vd)
{
	struct virtio_dibs_config raw = {};
	int rc;

	rc = vdibs_config_read(vd->vdev, &raw);
	if (!rc)
		rc = vdibs_config_check(&raw, &vd->config);
	if (rc)
		dev_err(&vd->vdev->dev, "configuration makes no sense\n");
	return rc;
}

/* D-1, D-2. No use of indirect descriptors, which would be allocated per move */
int vdibs_validate(struct virtio_device *vdev)
{
	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1) ||
	    !virtio_has_feature(vdev, VIRTIO_F_ACCESS_PLATFORM)) {
		dev_err(&vdev->dev, "a mandatory feature is not offered\n");
		return -ENODEV;
	}
	__virtio_clear_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	return 0;
}
