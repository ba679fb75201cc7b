// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing
 *
 * Attributes of devices, see Documentation/ABI/testing/sysfs-class-dibs.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "dibs_core.h"

static struct dibs_dev *to_dibs_dev(struct device *dev)
{
	return container_of(dev, struct dibs_dev, dev);
}

static ssize_t gid_show(struct device *dev, struct device_attribute *attr,
			char *buf)
{
	return sysfs_emit(buf, "%pUb\n", &to_dibs_dev(dev)->gid);
}
static DEVICE_ATTR_RO(gid);

static ssize_t fabric_id_show(struct device *dev,
			      struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "0x%04x\n",
			  dibs_get_fabric_id(to_dibs_dev(dev)));
}
static DEVICE_ATTR_RO(fabric_id);

static struct attribute *dibs_dev_attrs[] = {
	&dev_attr_gid.attr,
	&dev_attr_fabric_id.attr,
	NULL
};

static const struct attribute_group dibs_dev_group = {
	.attrs = dibs_dev_attrs,
};

/* A sum over all CPUs while they go on counting: close, and never decreasing */
static ssize_t dibs_stat_show(struct device *dev,
			      struct device_attribute *attr, char *buf)
{
	struct dev_ext_attribute *ext =
		container_of(attr, struct dev_ext_attribute, attr);
	struct dibs_dev *dibs = to_dibs_dev(dev);
	unsigned int stat = (uintptr_t)ext->var;
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(dibs->stats, cpu)->cnt[stat]);
	return sysfs_emit(buf, "%lu\n", sum);
}

#define DIBS_STAT_ATTR(_name, _stat)					\
	static struct dev_ext_attribute dibs_stat_##_name = {		\
		__ATTR(_name, 0444, dibs_stat_show, NULL),		\
		(void *)(uintptr_t)(_stat)				\
	}

DIBS_STAT_ATTR(moves, DIBS_STAT_MOVES);
DIBS_STAT_ATTR(move_bytes, DIBS_STAT_MOVE_BYTES);
DIBS_STAT_ATTR(move_errors, DIBS_STAT_MOVE_ERRORS);
DIBS_STAT_ATTR(signals, DIBS_STAT_SIGNALS);
DIBS_STAT_ATTR(signals_dropped, DIBS_STAT_SIGNALS_DROPPED);
DIBS_STAT_ATTR(events, DIBS_STAT_EVENTS);
DIBS_STAT_ATTR(events_lost, DIBS_STAT_EVENTS_LOST);
DIBS_STAT_ATTR(bad_token, DIBS_STAT_BAD_TOKEN);
DIBS_STAT_ATTR(bad_gid, DIBS_STAT_BAD_GID);
DIBS_STAT_ATTR(bad_range, DIBS_STAT_BAD_RANGE);
DIBS_STAT_ATTR(bad_signal, DIBS_STAT_BAD_SIGNAL);

static ssize_t dmbs_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  atomic_read(&to_dibs_dev(dev)->nr_dmbs));
}
static DEVICE_ATTR_RO(dmbs);

static ssize_t max_dmbs_show(struct device *dev,
			     struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", dibs_max_dmbs(to_dibs_dev(dev)));
}
static DEVICE_ATTR_RO(max_dmbs);

static ssize_t attached_show(struct device *dev,
			     struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  atomic_read(&to_dibs_dev(dev)->nr_attached));
}
static DEVICE_ATTR_RO(attached);

static struct attribute *dibs_stat_attrs[] = {
	&dibs_stat_moves.attr.attr,
	&dibs_stat_move_bytes.attr.attr,
	&dibs_stat_move_errors.attr.attr,
	&dibs_stat_signals.attr.attr,
	&dibs_stat_signals_dropped.attr.attr,
	&dibs_stat_events.attr.attr,
	&dibs_stat_events_lost.attr.attr,
	&dibs_stat_bad_token.attr.attr,
	&dibs_stat_bad_gid.attr.attr,
	&dibs_stat_bad_range.attr.attr,
	&dibs_stat_bad_signal.attr.attr,
	&dev_attr_dmbs.attr,
	&dev_attr_max_dmbs.attr,
	&dev_attr_attached.attr,
	NULL
};

static const struct attribute_group dibs_stat_group = {
	.name = "statistics",
	.attrs = dibs_stat_attrs,
};

const struct attribute_group *dibs_dev_groups[] = {
	&dibs_dev_group,
	&dibs_stat_group,
	NULL
};
