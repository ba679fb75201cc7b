/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: the virtio-dibs device
 */
#ifndef DIBS_VIRTIO_DIBS_H
#define DIBS_VIRTIO_DIBS_H

#include "virtio_pci.h"

#define VIRTIO_DIBS_MAX_LEN	(4u << 20)

extern const struct virtio_ops virtio_dibs_ops;

#endif /* DIBS_VIRTIO_DIBS_H */
