/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: all that outlives a worker, in memory that holder and worker share
 */
#ifndef DIBS_STATE_H
#define DIBS_STATE_H

#include "port.h"

enum device { DEVICE_VIRTIO_DIBS, DEVICE_ISM };

/**
 * struct state - the state of the daemon
 * @serving: commit word: what the worker is doing, see port_begin()
 * @restarts: how many workers have died
 * @wakeups: how often a worker has had to be woken
 * @early: how many have died in a row before they had begun to serve
 * @fabric_id: number of the fabric
 * @device: one of &enum device, what its ports are
 * @control_fd: socket that is listening for control connections, or 0
 * @reply_pipe: see &struct port
 * @nudge_fd: eventfd: the holder has added a port
 * @signal_fd: the holder's
 * @want_fd: eventfd: the worker wants something of the holder
 * @want_port: commit word: it is to add a port of the name @want_name
 * @want_name: name of that port
 * @size: of all of this
 * @ports: the ports; how many is in @fabric
 * @fabric: the fabric
 */
struct state {
	_Atomic uint64_t serving;
	_Atomic uint32_t restarts;
	uint64_t wakeups;
	_Atomic uint32_t early;
	uint16_t fabric_id;
	uint16_t device;
	int32_t control_fd;
	int32_t reply_pipe[2];
	int32_t nudge_fd;
	int32_t signal_fd;
	int32_t want_fd;
	_Atomic uint32_t want_port;
	char want_name[PORT_NAME_MAX];
	size_t size;
	struct port_state ports[FABRIC_MAX_PORTS];
	struct fabric_state fabric;
};

/* A worker; returns only if it cannot work */
int worker_run(struct state *st);

/* The GID that a port of this name gets if it is given none */
void state_default_gid(const struct state *st, const char *name, uint8_t *gid);

/* Is this port there for the blocks of the one before it? */
bool state_has_blocks(const struct state *st, uint32_t nr);

/*
 * A port whose socket is listening; 0, or -1 if there is no room, the GID is taken or the
 * port needs another socket that cannot be made
 */
int state_add_port(struct state *st, const char *name, const char *path, int fd,
		   const uint8_t *gid);

/* The holder; returns the exit status of the daemon */
int holder_run(struct state *st, const char *socket_dir);

#endif /* DIBS_STATE_H */
