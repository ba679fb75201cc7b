// SPDX-License-Identifier: GPL-2.0
/*
 * A device as hardware would have it: a fabric with a number that is not
 * loopback's, a GID of 64 bits, DMBs that cannot be attached. It reaches itself
 * only, and the loopback device does the work.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/dibs.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/string.h>

#define HWLIKE_FABRIC	0x07c1
#define HWLIKE_DMBS	1920

/* Moves that cannot be a cursor */
#define HWLIKE_DATA	100

static unsigned int fail_moves;
module_param(fail_moves, uint, 0644);
MODULE_PARM_DESC(fail_moves, "number of moves of data that are going to fail");

static unsigned int dmb_len;
module_param(dmb_len, uint, 0444);
MODULE_PARM_DESC(dmb_len, "how large a DMB should be at least");

static struct dibs_dev *hwlike_lo;
static struct dibs_dev *hwlike_dev;
static struct device *hwlike_parent;

static int hwlike_add_lo(struct dibs_dev *dibs)
{
	if (strcmp(dev_name(&dibs->dev), "lo"))
		return -ENODEV;
	hwlike_lo = dibs;
	return 0;
}

/* The test that removes the loopback device removes this module before */
static void hwlike_del_lo(struct dibs_dev *dibs)
{
}

static void hwlike_handle_irq(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
}

static const struct dibs_client_ops hwlike_client_ops = {
	.add_dev	= hwlike_add_lo,
	.del_dev	= hwlike_del_lo,
	.handle_irq	= hwlike_handle_irq,
};

static struct dibs_client hwlike_client = {
	.name	= "hwlike",
	.ops	= &hwlike_client_ops,
};

static u16 hwlike_get_fabric_id(struct dibs_dev *dibs)
{
	return HWLIKE_FABRIC;
}

static int hwlike_max_dmbs(struct dibs_dev *dibs)
{
	return HWLIKE_DMBS;
}

static int hwlike_query_remote_gid(struct dibs_dev *dibs, const uuid_t *rgid,
				   u32 vid_valid, u32 vid)
{
	return uuid_equal(rgid, &dibs->gid) ? 0 : -ENETUNREACH;
}

/* Moves are made in the name of the loopback device */
static int hwlike_register_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	uuid_t rgid = dmb->rgid;
	int rc;

	if (!uuid_equal(&rgid, &dibs->gid))
		return -EINVAL;
	dmb->rgid = hwlike_lo->gid;
	rc = hwlike_lo->ops->register_dmb(hwlike_lo, dmb);
	dmb->rgid = rgid;
	return rc;
}

static int hwlike_unregister_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	return hwlike_lo->ops->unregister_dmb(hwlike_lo, dmb);
}

static int hwlike_move_data(struct dibs_dev *dibs, u64 dmb_tok,
			    unsigned int idx, bool sf, unsigned int offset,
			    const void *data, unsigned int size)
{
	if (fail_moves && size >= HWLIKE_DATA) {
		fail_moves--;
		return -EIO;
	}
	return hwlike_lo->ops->move_data(hwlike_lo, dmb_tok, idx, sf, offset,
					 data, size);
}

static const struct dibs_dev_ops hwlike_ops = {
	.get_fabric_id		= hwlike_get_fabric_id,
	.max_dmbs		= hwlike_max_dmbs,
	.query_remote_gid	= hwlike_query_remote_gid,
	.register_dmb		= hwlike_register_dmb,
	.unregister_dmb		= hwlike_unregister_dmb,
	.move_data		= hwlike_move_data,
};

static int hwlike_add(void)
{
	int rc;

	hwlike_dev = dibs_dev_alloc();
	if (!hwlike_dev)
		return -ENOMEM;
	hwlike_dev->ops = &hwlike_ops;
	hwlike_dev->dmb_len = dmb_len;
	hwlike_dev->dev.parent = hwlike_parent;
	get_random_bytes(&hwlike_dev->gid, sizeof(u64));
	rc = dev_set_name(&hwlike_dev->dev, "hwlike");
	if (!rc)
		rc = dibs_dev_add(hwlike_dev);
	if (rc)
		put_device(&hwlike_dev->dev);
	return rc;
}

static int __init hwlike_init(void)
{
	int rc;

	hwlike_parent = root_device_register("hwlike-parent");
	if (IS_ERR(hwlike_parent))
		return PTR_ERR(hwlike_parent);
	rc = dibs_register_client(&hwlike_client);
	if (rc)
		goto out_parent;
	rc = hwlike_lo ? hwlike_add() : -ENODEV;
	if (rc)
		goto out_client;
	return 0;

out_client:
	dibs_unregister_client(&hwlike_client);
out_parent:
	root_device_unregister(hwlike_parent);
	return rc;
}

static void __exit hwlike_exit(void)
{
	dibs_dev_del(hwlike_dev);
	put_device(&hwlike_dev->dev);
	dibs_unregister_client(&hwlike_client);
	root_device_unregister(hwlike_parent);
}

module_init(hwlike_init);
module_exit(hwlike_exit);

MODULE_DESCRIPTION("dibs device as of hardware, for tests");
MODULE_LICENSE("GPL");
