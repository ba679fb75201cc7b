/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: the PCI transport of virtio 1.2, device side
 */
#ifndef DIBS_VIRTIO_PCI_H
#define DIBS_VIRTIO_PCI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "virtq.h"

#define VPCI_MAX_QUEUES		20
#define VPCI_CONFIG_SIZE	256
#define VPCI_DEVICE_CONFIG_MAX	64

struct port;
struct port_ops;

/* What is done for a port before it is the turn of others */
#define VPCI_TURN_BUFFERS	64
#define VPCI_TURN_BYTES		(64u << 10)

/**
 * struct vpci_state - a virtio device; outlives a worker
 * @config: PCI configuration space
 * @device_feature_select: register
 * @driver_feature_select: register
 * @driver_features: register
 * @msix_config: register
 * @queue_select: register
 * @status: register
 * @isr: register
 * @doorbells: how many there have been
 * @queue: the queues
 */
struct vpci_state {
	uint8_t config[VPCI_CONFIG_SIZE];
	uint32_t device_feature_select;
	uint32_t driver_feature_select;
	uint64_t driver_features;
	uint16_t msix_config;
	uint16_t queue_select;
	_Atomic uint8_t status;
	_Atomic uint8_t isr;
	uint64_t doorbells;
	struct vq_state queue[VPCI_MAX_QUEUES];
};

/**
 * struct vpci_turn - what is left of a port's turn, which ends when either is 0
 * @buffers: how many can be worked on
 * @bytes: how much can be moved, and looked at for it
 */
struct vpci_turn {
	uint32_t buffers;
	uint64_t bytes;
};

/**
 * struct vpci - a worker's view of a virtio device
 * @queue: the queues, valid while the driver is there
 * @kicked: bit per queue: there may be buffers
 * @stalled: bit per queue: its rings are in memory that is away
 * @next: the queue that is looked at first in the next turn
 */
struct vpci {
	struct vq queue[VPCI_MAX_QUEUES];
	uint32_t kicked;
	uint32_t stalled;
	uint32_t next;
};

/**
 * struct virtio_ops - a type of virtio device
 * @id: device id
 * @nr_queues: number of queues
 * @features: features that are offered
 * @required: features that the driver has to accept
 * @config_len: length of the device configuration
 * @config: the device configuration, @config_len bytes
 * @start: the driver has set DRIVER_OK
 * @stop: the device is being reset, or has failed; nothing of the driver is in
 *	use afterwards
 * @wake: the fabric has something for the driver
 * @serve: work on a queue that was kicked, for as long as the turn lasts; true if there
 *	is more to do
 * @repeats: is the buffer that was worked on when a worker died to be worked on again
 *	in this pass of &port_ops.repeat?
 */
struct virtio_ops {
	uint16_t id;
	uint16_t nr_queues;
	uint64_t features;
	uint64_t required;
	uint32_t config_len;
	void (*config)(struct port *p, uint8_t *buf);
	void (*start)(struct port *p);
	void (*stop)(struct port *p);
	void (*wake)(struct port *p);
	bool (*serve)(struct port *p, uint32_t queue, struct vpci_turn *turn);
	bool (*repeats)(uint32_t queue, unsigned int pass);
};

extern const struct port_ops vpci_ops;

bool vpci_running(const struct port *p);
void vpci_kick(struct port *p, uint32_t queue);

#endif /* DIBS_VIRTIO_PCI_H */
