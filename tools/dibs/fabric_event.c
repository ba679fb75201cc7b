// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: events that are pending
 *
 * Each event has a place in one order of all events of the fabric. Storing that
 * place in a slot makes the event pending, storing 0 ends it. There is one slot per
 * other port for what became of that port, so such events cannot pile up, and a
 * bounded number of slots for SW and BUF events.
 */
#include <string.h>

#include "fabric_event.h"
#include "fault.h"

static uint64_t next_seq(struct fabric *f)
{
	return atomic_fetch_add(&f->st->seq, 1) + 1;
}

uint32_t event_count(const struct fabric_port *p)
{
	uint32_t i, n = !!atomic_load(&p->lost);

	for (i = 0; i < FABRIC_MAX_PORTS; i++)
		n += !!atomic_load(&p->dev_events[i]);
	for (i = 0; i < FABRIC_EVENT_SLOTS; i++)
		n += !!atomic_load(&p->slots[i].seq);
	return n;
}

static void queued(struct fabric *f, uint32_t to)
{
	f->view[to].nr_events++;
	f->st->ports[to].nr.events++;
	if (f->wake)
		f->wake(f->arg, to);
}

/* Keeps the meaning of both: to leave and to join again is not nothing */
static enum fabric_dev_event merge(enum fabric_dev_event old, enum fabric_dev_event new)
{
	if (new == FABRIC_DEV_ENABLED &&
	    (old == FABRIC_DEV_DISABLED || old == FABRIC_DEV_RESTARTED))
		return FABRIC_DEV_RESTARTED;
	return new;
}

/* Tell a port what became of another one */
void event_dev(struct fabric *f, uint32_t to, uint32_t about,
	       enum fabric_dev_event what, uint64_t now)
{
	struct fabric_port *p = &f->st->ports[to];
	uint64_t old = atomic_load(&p->dev_events[about]);

	what = merge(old & 0xff, what);
	p->dev_times[about] = now;
	atomic_store(&p->dev_events[about], next_seq(f) << 8 | what);
	fault_point(FAULT_EVENT_DEV);
	if (old)
		f->view[to].nr_events--;
	queued(f, to);
}

/* A free slot of those from first to end - 1 */
static struct fabric_slot *free_slot(struct fabric_port *p, uint32_t first, uint32_t end)
{
	uint32_t i;

	for (i = first; i < end; i++)
		if (!atomic_load(&p->slots[i].seq))
			return &p->slots[i];
	return NULL;
}

static void lose(struct fabric *f, uint32_t to)
{
	struct fabric_port *p = &f->st->ports[to];

	if (atomic_exchange(&p->lost, next_seq(f)))
		f->view[to].nr_events--;
	queued(f, to);
}

static bool buf_is_pending(struct fabric_port *p, uint64_t token)
{
	uint32_t i;

	for (i = FABRIC_SW_EVENTS; i < FABRIC_EVENT_SLOTS; i++)
		if (atomic_load(&p->slots[i].seq) && p->slots[i].event.token == token)
			return true;
	return false;
}

/* Tell a port that a DMB which it has written to is going away */
void event_buf(struct fabric *f, uint32_t to, uint32_t owner, uint64_t token,
	       uint64_t now)
{
	struct fabric_port *p = &f->st->ports[to];
	struct fabric_slot *slot;

	if (buf_is_pending(p, token))
		return;
	slot = free_slot(p, FABRIC_SW_EVENTS, FABRIC_EVENT_SLOTS);
	if (!slot) {
		lose(f, to);
		return;
	}
	slot->sender = owner;
	slot->request = 0;
	slot->event = (struct fabric_event){
		.type = FABRIC_EV_BUF, .token = token, .time = now,
	};
	memcpy(slot->event.gid, f->st->ports[owner].gid, FABRIC_GID_LEN);
	fault_point(FAULT_EVENT_BUF);
	atomic_store(&slot->seq, next_seq(f));
	queued(f, to);
}

/* How many a sender has pending, and whether this request is one of them */
static uint32_t sw_pending(const struct fabric_port *p, uint32_t sender,
			   uint64_t request, bool *again)
{
	uint32_t i, n = 0;

	for (i = 0; i < FABRIC_SW_EVENTS; i++) {
		if (!atomic_load(&p->slots[i].seq) || p->slots[i].sender != sender)
			continue;
		n++;
		*again |= p->slots[i].request == request;
	}
	return n;
}

/*
 * Is this more than a sender may send in the long run? Never what is executed again: that
 * comes first in a process, when nothing is due.
 */
static bool sw_too_early(const struct fabric *f, uint32_t to, uint32_t sender, uint64_t now)
{
	uint64_t due = f->view[to].sw_due[sender];

	return due > now && due - now >= FABRIC_SW_QUOTA * (uint64_t)FABRIC_SW_PERIOD;
}

static void sw_sent(struct fabric *f, uint32_t to, uint32_t sender, uint64_t now)
{
	uint64_t *due = &f->view[to].sw_due[sender];

	*due = (*due > now ? *due : now) + FABRIC_SW_PERIOD;
}

/* Tell a port what another one sent; false if that has to wait */
bool event_sw(struct fabric *f, uint32_t to, uint32_t sender, uint64_t request,
	      const struct fabric_event *event)
{
	struct fabric_port *p = &f->st->ports[to];
	struct fabric_slot *slot;
	bool again = false;
	uint32_t n;

	/* before a walk, which takes time for the asking */
	if (sw_too_early(f, to, sender, event->time))
		return false;
	n = sw_pending(p, sender, request, &again);
	if (again)
		return true;
	slot = free_slot(p, 0, FABRIC_SW_EVENTS);
	if (n >= FABRIC_SW_QUOTA || !slot)
		return false;
	sw_sent(f, to, sender, event->time);
	slot->sender = sender;
	slot->request = request;
	slot->event = *event;
	fault_point(FAULT_EVENT_SW);
	atomic_store(&slot->seq, next_seq(f));
	fault_point(FAULT_EVENT_SENT);
	queued(f, to);
	return true;
}

/* Forget what a port has for another one: it has left */
void event_drop_from(struct fabric *f, uint32_t to, uint32_t sender)
{
	struct fabric_port *p = &f->st->ports[to];
	uint32_t i;

	if (!f->view[to].nr_events)
		return;
	for (i = 0; i < FABRIC_EVENT_SLOTS; i++) {
		if (p->slots[i].sender != sender)
			continue;
		if (atomic_exchange(&p->slots[i].seq, 0))
			f->view[to].nr_events--;
	}
}

/* Forget all that is pending for a port */
void event_drop_all(struct fabric *f, uint32_t to)
{
	struct fabric_port *p = &f->st->ports[to];
	uint32_t i;

	for (i = 0; i < FABRIC_EVENT_SLOTS; i++)
		if (atomic_load(&p->slots[i].seq))
			atomic_store(&p->slots[i].seq, 0);
	for (i = 0; i < FABRIC_MAX_PORTS; i++)
		if (atomic_load(&p->dev_events[i]))
			atomic_store(&p->dev_events[i], 0);
	atomic_store(&p->lost, 0);
	f->view[to].nr_events = 0;
}

static void older(uint64_t seq, uint32_t at, uint64_t *best, uint32_t *best_at)
{
	if (seq && seq < *best) {
		*best = seq;
		*best_at = at;
	}
}

/* Slots are numbered as they come: ports, other events, loss */
enum { AT_SLOTS = FABRIC_MAX_PORTS, AT_LOST = AT_SLOTS + FABRIC_EVENT_SLOTS };

/* The place in the order of what is pending there, or 0 */
static uint64_t seq_at(const struct fabric_port *p, uint32_t at)
{
	if (at == AT_LOST)
		return atomic_load(&p->lost);
	if (at >= AT_SLOTS)
		return atomic_load(&p->slots[at - AT_SLOTS].seq);
	return atomic_load(&p->dev_events[at]) >> 8;
}

/* What comes is newer, so the oldest stays so until it is gone, or merged with a new one */
static uint64_t oldest(struct fabric *f, uint32_t port)
{
	const struct fabric_port *p = &f->st->ports[port];
	struct fabric_view *v = &f->view[port];
	uint32_t i, nr_ports = atomic_load(&f->st->nr_ports);
	uint64_t best = UINT64_MAX;

	if (v->oldest && seq_at(p, v->oldest_at) == v->oldest)
		return v->oldest;
	for (i = 0; i < nr_ports; i++)
		older(seq_at(p, i), i, &best, &v->oldest_at);
	for (i = AT_SLOTS; i <= AT_LOST; i++)
		older(seq_at(p, i), i, &best, &v->oldest_at);
	v->oldest = best == UINT64_MAX ? 0 : best;
	return v->oldest;
}

/**
 * fabric_next_event() - what to tell the driver of a port next
 * @f: the fabric
 * @port: the port
 * @event: out: the oldest event
 *
 * Return: false if there is none. Call fabric_event_done() when the driver has
 * got it.
 */
bool fabric_next_event(struct fabric *f, uint32_t port, struct fabric_event *event)
{
	struct fabric_port *p = &f->st->ports[port];
	uint64_t seq;
	uint32_t at;

	if (!f->view[port].nr_events)
		return false;
	seq = oldest(f, port);
	if (!seq)
		return false;
	at = f->view[port].oldest_at;
	memset(event, 0, sizeof(*event));
	if (at == AT_LOST) {
		event->type = FABRIC_EV_LOST;
	} else if (at >= AT_SLOTS) {
		*event = p->slots[at - AT_SLOTS].event;
	} else {
		event->type = FABRIC_EV_DEV;
		event->code = atomic_load(&p->dev_events[at]) & 0xff;
		event->time = p->dev_times[at];
		memcpy(event->gid, f->st->ports[at].gid, FABRIC_GID_LEN);
	}
	event->seq = seq;
	return true;
}

/* The driver has got the event with this place in the order, which was the next */
void fabric_event_done(struct fabric *f, uint32_t port, uint64_t seq)
{
	struct fabric_port *p = &f->st->ports[port];
	uint32_t at = f->view[port].oldest_at;

	if (seq != f->view[port].oldest || seq_at(p, at) != seq)
		return;
	if (at == AT_LOST)
		atomic_store(&p->lost, 0);
	else if (at >= AT_SLOTS)
		atomic_store(&p->slots[at - AT_SLOTS].seq, 0);
	else
		atomic_store(&p->dev_events[at], 0);
	f->view[port].nr_events--;
}
