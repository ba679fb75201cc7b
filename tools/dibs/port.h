/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: a port, that is one device of one guest
 *
 * What a &struct port_state holds outlives the worker; a &struct port is what a
 * worker makes of it. See fabric.h for the rules of such state.
 */
#ifndef DIBS_PORT_H
#define DIBS_PORT_H

#include "fabric.h"
#include "ism.h"
#include "mem.h"
#include "vfio_user.h"
#include "virtio_pci.h"

#define PORT_NAME_MAX	64
#define PORT_PATH_MAX	108

/**
 * struct port_state - what outlives a worker
 * @name: for people
 * @path: of the socket
 * @listen_fd: socket that is listening
 * @poison: set by the holder: what this port asks for kills workers
 * @died_at: what was being done for this port when a worker died last
 * @deaths: workers that died of what was done for this port, and not by SIGKILL
 * @vu: the connection
 * @vpci: the device, if it is a virtio device
 * @ism: the device, if it is an ISM function
 */
struct port_state {
	char name[PORT_NAME_MAX];
	char path[PORT_PATH_MAX];
	int32_t listen_fd;
	_Atomic uint32_t poison;
	_Atomic uint64_t died_at;
	_Atomic uint32_t deaths;
	struct vu_state vu;
	struct vpci_state vpci;
	struct ism_state ism;
};

#define PORT_PASSES	2

/**
 * struct port_ops - a type of device, as the connection sees it
 * @nr_vectors: MSI-X vectors
 * @msi: MSI can take the place of the first one
 * @region_size: size of a region, 0 if there is none
 * @region_read: read from a region; the range is within it
 * @region_write: write to a region; the range is within it. Returns 0 or a negative
 *	errno for the client
 * @reset: the device is as at first; nothing of the guest is in use afterwards
 * @intx_pending: an interrupt is waiting for its line
 * @serve: work off some of what the guest asks for; true if there is more
 * @restart: a worker goes on with what another has begun
 * @repeat: execute again what another may have half done; called for all ports with
 *	0, and then with each number below %PORT_PASSES
 * @mapped: there is more of the guest's memory
 * @unmapped: there is less of it
 * @wake: the fabric has something for the guest
 * @inject: something is to go wrong with the device; false if that is not known.
 *	Optional
 */
struct port_ops {
	uint32_t nr_vectors;
	bool msi;
	uint64_t (*region_size)(uint32_t region);
	void (*region_read)(struct port *p, uint32_t region, uint64_t offset,
			    void *buf, uint32_t len);
	int (*region_write)(struct port *p, uint32_t region, uint64_t offset,
			    const void *buf, uint32_t len);
	void (*reset)(struct port *p);
	bool (*intx_pending)(struct port *p);
	bool (*serve)(struct port *p);
	void (*restart)(struct port *p);
	void (*repeat)(struct port *p, unsigned int pass);
	void (*mapped)(struct port *p);
	void (*unmapped)(struct port *p);
	void (*wake)(struct port *p);
	bool (*inject)(struct port *p, const char *what);
};

/**
 * struct port - a worker's view of a port
 * @nr: number on the fabric
 * @st: the state behind it
 * @all: all ports, by number
 * @fabric: the fabric
 * @fabric_id: its number
 * @ops: type of the device
 * @mem: the guest's memory
 * @vu: the connection
 * @vpci: the device
 * @serving: where the worker notes what it is about to do
 * @reply_pipe: both ends of the pipe that replies are put through
 * @readable: there may be a message
 * @ready: there is something to do in the queues
 * @used: time that the worker has spent on it, in ns, more if it had nothing to do
 * @failed: why the connection has to be closed, NULL if it has not
 */
struct port {
	uint32_t nr;
	struct port_state *st;
	struct port *all;
	struct fabric *fabric;
	uint16_t fabric_id;
	const struct port_ops *ops;
	struct mem mem;
	struct vu vu;
	struct vpci vpci;
	_Atomic uint64_t *serving;
	const int32_t *reply_pipe;
	bool readable;
	bool ready;
	uint64_t used;
	const char *failed;
};

/*
 * What a worker notes before it begins something, see &struct port.serving. The end of a
 * connection is part of its last message.
 */
enum port_work { PORT_RESTART = 0xfe, PORT_MESSAGE };

void port_begin(struct port *p, uint8_t what, uint64_t which);
void port_end(struct port *p);
uint64_t port_now(void);

#endif /* DIBS_PORT_H */
