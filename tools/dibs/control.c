// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: the control socket
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "fault.h"
#include "state.h"
#include "uuid.h"

void control_init(struct control *c, struct state *st, struct fabric *fabric,
		  struct port *ports, int epoll)
{
	/* from the random source, which cannot be opened later */
	json_object_seed(0);
	memset(c, 0, sizeof(*c));
	c->st = st;
	c->fabric = fabric;
	c->ports = ports;
	c->epoll = epoll;
}

/* ---------------------------------- status ---------------------------------- */

static const char *const error_names[FABRIC_NR_STATUS] = {
	[FABRIC_NOENT] = "noent", [FABRIC_PERM] = "perm", [FABRIC_RANGE] = "range",
	[FABRIC_INVAL] = "inval", [FABRIC_BUSY] = "busy", [FABRIC_NOMEM] = "nomem",
	[FABRIC_UNREACH] = "unreach", [FABRIC_AGAIN] = "again",
	[FABRIC_NODEV] = "nodev", [FABRIC_UNSUPPORTED] = "unsupported",
	[FABRIC_IO] = "io",
};

static json_t *status_errors(const struct fabric_counters *nr)
{
	json_t *o = json_object();
	int i;

	for (i = FABRIC_OK + 1; i < FABRIC_NR_STATUS; i++)
		json_object_set_new(o, error_names[i], json_integer(nr->errors[i]));
	return o;
}

static json_t *status_port(const struct control *c, uint32_t nr)
{
	const struct fabric_port *fp = &c->fabric->st->ports[nr];
	const struct fabric_view *v = &c->fabric->view[nr];
	const struct port_state *ps = &c->st->ports[nr];
	char gid[UUID_TEXT_LEN];

	uuid_format(fp->gid, gid);
	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
			 "s:I, s:I, s:I, s:I, s:o}",
			 "name", ps->name, "socket", ps->path, "gid", gid,
			 "connected", atomic_load(&ps->vu.fd) != 0,
			 "joined", fabric_joined(c->fabric, nr),
			 "dmbs", (json_int_t)v->nr_dmbs, "bytes", (json_int_t)v->bytes,
			 "messages", (json_int_t)ps->vu.messages,
			 "doorbells", (json_int_t)ps->vpci.doorbells,
			 "commands", (json_int_t)ps->ism.commands,
			 "interrupts", (json_int_t)ps->vu.interrupts,
			 "moves", (json_int_t)fp->nr.moves,
			 "move_bytes", (json_int_t)fp->nr.move_bytes,
			 "signals", (json_int_t)fp->nr.signals,
			 "events", (json_int_t)fp->nr.events,
			 "events_pending", (json_int_t)v->nr_events,
			 "errors", status_errors(&fp->nr));
}

static char *status(const struct control *c)
{
	json_t *ports = json_array(), *o;
	char id[8], *text;
	uint32_t i;

	for (i = 0; i < atomic_load(&c->fabric->st->nr_ports); i++)
		if (!state_has_blocks(c->st, i))
			json_array_append_new(ports, status_port(c, i));
	snprintf(id, sizeof(id), "0x%04x", c->st->fabric_id);
	o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "fabric_id", id,
		      "max_dmbs", (json_int_t)c->fabric->st->max_dmbs,
		      "max_bytes", (json_int_t)c->fabric->st->max_bytes,
		      "restarts", (json_int_t)atomic_load(&c->st->restarts),
		      "wakeups", (json_int_t)c->st->wakeups,
		      "ports", ports);
	text = json_dumps(o, JSON_INDENT(1));
	json_decref(o);
	return text;
}

/* --------------------------------- commands --------------------------------- */

/* The holder makes the socket: the worker cannot see files */
static const char *add(struct control *c, const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	static const uint64_t one = 1;
	size_t len = strspn(name, allowed);
	bool busy = atomic_load(&c->st->want_port);

	if (!len || name[len] || len >= PORT_NAME_MAX)
		return "{\"error\": \"bad name\"}";
	if (!busy) {
		strcpy(c->st->want_name, name);
		atomic_store(&c->st->want_port, 1);
		fault_point(FAULT_WANTED);
	}
	/* also if busy: a worker may have died before it came to that */
	if (write(c->st->want_fd, &one, sizeof(one)) < 0)
		return "{\"error\": \"no holder\"}";
	return busy ? "{\"error\": \"busy\"}" : "{}";
}

static const char *inject(struct control *c, const char *line)
{
	size_t len = strcspn(line, " ");
	uint32_t i;

	for (i = 0; line[len] && i < atomic_load(&c->fabric->st->nr_ports); i++) {
		struct port *p = &c->ports[i];

		if (strncmp(p->st->name, line, len) || p->st->name[len])
			continue;
		if (!p->ops->inject || !p->ops->inject(p, line + len + 1))
			return "{\"error\": \"cannot go wrong like that\"}";
		return "{}";
	}
	return "{\"error\": \"no such port\"}";
}

static char *answer(struct control *c, const char *line)
{
	if (!strcmp(line, "status"))
		return status(c);
	if (!strncmp(line, "add ", 4))
		return strdup(add(c, line + 4));
	if (!strncmp(line, "inject ", 7))
		return strdup(inject(c, line + 7));
	return strdup("{\"error\": \"unknown command\"}");
}

/* --------------------------------- clients --------------------------------- */

static void drop(struct control_client *cl)
{
	if (cl->fd)
		close(cl->fd);
	free(cl->out);
	memset(cl, 0, sizeof(*cl));
}

/* Somebody who connects and says nothing loses his place to the ninth after him */
void control_accept(struct control *c)
{
	struct control_client *cl = &c->client[c->next];
	struct epoll_event e = {
		.events = EPOLLIN | EPOLLOUT | EPOLLET,
		.data.u64 = (uint64_t)FROM_CONTROL_CLIENT << 32 | c->next,
	};
	int fd = accept4(c->st->control_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	drop(cl);
	cl->fd = fd;
	c->next = (c->next + 1) % CONTROL_CLIENTS;
	if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &e))
		drop(cl);
}

/* More of the line; false if that is the end of this client */
static bool receive(struct control *c, struct control_client *cl)
{
	ssize_t n = recv(cl->fd, cl->line + cl->have, sizeof(cl->line) - 1 - cl->have, 0);
	char *end;

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	cl->have += n;
	cl->line[cl->have] = '\0';
	end = strchr(cl->line, '\n');
	if (!end)
		return cl->have < sizeof(cl->line) - 1;
	*end = '\0';
	cl->out = answer(c, cl->line);
	return cl->out;
}

void control_serve(struct control *c, uint32_t nr)
{
	struct control_client *cl = &c->client[nr];
	size_t len;
	ssize_t n;

	if (!cl->fd)
		return;
	if (!cl->out && !receive(c, cl)) {
		drop(cl);
		return;
	}
	if (!cl->out)
		return;
	len = strlen(cl->out);
	n = send(cl->fd, cl->out + cl->sent, len - cl->sent, MSG_NOSIGNAL);
	if (n > 0)
		cl->sent += n;
	if (cl->sent == len || (n < 0 && errno != EAGAIN))
		drop(cl);
}
