/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: the control socket
 *
 * A client sends one line and gets one JSON object:
 *	status		what there is
 *	add NAME	make a port in the socket directory
 *	inject NAME WHAT	something is to go wrong with the device of that port
 */
#ifndef DIBS_CONTROL_H
#define DIBS_CONTROL_H

#include <stdint.h>

#include "fabric.h"

#define CONTROL_CLIENTS		8
#define CONTROL_LINE_MAX	128

/* What an event of epoll is about, in the high half of its data */
enum source { FROM_LISTENER, FROM_CLIENT, FROM_CONTROL, FROM_CONTROL_CLIENT, FROM_NUDGE };

struct port;
struct state;

/**
 * struct control_client - a client
 * @fd: socket, or 0
 * @have: length of @line
 * @line: what it has sent
 * @out: what it gets, NULL before the line is complete
 * @sent: how much of it was sent
 */
struct control_client {
	int fd;
	uint32_t have;
	char line[CONTROL_LINE_MAX];
	char *out;
	size_t sent;
};

/**
 * struct control - the control socket
 * @st: the state
 * @fabric: the fabric
 * @ports: the ports
 * @epoll: the worker's epoll descriptor
 * @next: slot that is taken for the next client, whoever is in it
 * @client: clients
 */
struct control {
	struct state *st;
	struct fabric *fabric;
	struct port *ports;
	int epoll;
	uint32_t next;
	struct control_client client[CONTROL_CLIENTS];
};

void control_init(struct control *c, struct state *st, struct fabric *fabric,
		  struct port *ports, int epoll);
void control_accept(struct control *c);
void control_serve(struct control *c, uint32_t nr);

#endif /* DIBS_CONTROL_H */
