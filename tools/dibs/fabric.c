// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: ports and DMBs
 *
 * How a DMB comes and goes: all of its slot is written, then the number of the
 * request is stored in it, which makes it exist; storing 0 ends it. A slot that
 * has the number of a request already is the answer to that request.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "fabric.h"
#include "fabric_event.h"
#include "fault.h"

static const uint8_t no_gid[FABRIC_GID_LEN];

size_t fabric_state_size(uint32_t nr_ports, uint32_t max_dmbs)
{
	return sizeof(struct fabric_state) +
	       sizeof(struct fabric_dmb) * nr_ports * max_dmbs;
}

void fabric_state_init(struct fabric_state *st, uint32_t max_dmbs, uint64_t max_bytes)
{
	st->max_dmbs = max_dmbs;
	st->max_bytes = max_bytes;
	st->token_mask = UINT64_MAX;
}

/**
 * fabric_add_port() - a port that has not joined yet
 * @st: the state; who has it open calls fabric_ports_added()
 * @gid: its GID
 *
 * Return: number of the port, or -1 if there is no room for it, or if the GID is
 *	all 0 or taken.
 */
int fabric_add_port(struct fabric_state *st, const uint8_t *gid)
{
	uint32_t i, nr = atomic_load(&st->nr_ports);

	if (nr >= FABRIC_MAX_PORTS || !memcmp(gid, no_gid, FABRIC_GID_LEN))
		return -1;
	for (i = 0; i < nr; i++)
		if (!memcmp(st->ports[i].gid, gid, FABRIC_GID_LEN))
			return -1;
	memcpy(st->ports[nr].gid, gid, FABRIC_GID_LEN);
	atomic_store(&st->nr_ports, nr + 1);
	return nr;
}

static struct fabric_dmb *dmb_at(const struct fabric *f, uint32_t port, uint32_t idx)
{
	return &f->st->dmbs[(size_t)port * f->st->max_dmbs + idx];
}

static bool in_use(const struct fabric_dmb *dmb)
{
	return atomic_load_explicit(&dmb->request, memory_order_acquire);
}

/* ------------------------------ find by token ------------------------------ */

/*
 * Entries are the place of a DMB plus 1. The upper half of a token is random, so that is
 * the hash.
 */
static uint32_t entry_of(uint32_t port, uint32_t idx)
{
	return (port << 16 | idx) + 1;
}

static struct fabric_dmb *entry_dmb(const struct fabric *f, uint32_t entry)
{
	return dmb_at(f, (entry - 1) >> 16, (entry - 1) & 0xffff);
}

static void table_put(struct fabric *f, uint64_t token, uint32_t entry)
{
	uint32_t at = token >> 32 & f->mask;

	while (f->table[at])
		at = (at + 1) & f->mask;
	f->table[at] = entry;
}

static int table_grow(struct fabric *f)
{
	uint32_t i, old_size = f->mask + 1, *old = f->table;
	uint32_t *table = calloc(old_size * 2, sizeof(*table));

	if (!table)
		return -1;
	f->table = table;
	f->mask = old_size * 2 - 1;
	for (i = 0; i < old_size; i++)
		if (old[i])
			table_put(f, entry_dmb(f, old[i])->token, old[i]);
	free(old);
	return 0;
}

static int table_add(struct fabric *f, uint64_t token, uint32_t entry)
{
	if ((f->nr_tokens + 1) * 2 > f->mask && table_grow(f))
		return -1;
	table_put(f, token, entry);
	f->nr_tokens++;
	return 0;
}

/* Where the entry of a token is, or the empty one at which the search ended */
static uint32_t table_find(const struct fabric *f, uint64_t token)
{
	uint32_t at = token >> 32 & f->mask;

	while (f->table[at] && entry_dmb(f, f->table[at])->token != token)
		at = (at + 1) & f->mask;
	return at;
}

/* What follows without a gap is put again, or the gap would hide it */
static void table_del(struct fabric *f, uint64_t token)
{
	uint32_t at = table_find(f, token), entry;

	if (!f->table[at])
		return;
	f->table[at] = 0;
	f->nr_tokens--;
	for (at = (at + 1) & f->mask; f->table[at]; at = (at + 1) & f->mask) {
		entry = f->table[at];
		f->table[at] = 0;
		table_put(f, entry_dmb(f, entry)->token, entry);
	}
}

/* ------------------------------- find by GID ------------------------------- */

/* Who runs the fabric chooses GIDs, and no guest, so any hash that spreads them will do */
static uint32_t gid_hash(const uint8_t *gid)
{
	uint64_t half[2];

	memcpy(half, gid, sizeof(half));
	return ((half[0] ^ half[1]) * 0x9e3779b97f4a7c15) >> 32;
}

/* Where the entry of a GID is, or the empty one at which the search ended */
static uint32_t gid_find(const struct fabric *f, const uint8_t *gid)
{
	uint32_t at = gid_hash(gid) % FABRIC_GID_SLOTS;

	while (f->gids[at] && memcmp(f->st->ports[f->gids[at] - 1].gid, gid, FABRIC_GID_LEN))
		at = (at + 1) % FABRIC_GID_SLOTS;
	return at;
}

/* Number of the port with this GID if it has joined, or -1 */
int fabric_port_of(const struct fabric *f, const uint8_t *gid)
{
	int port = f->gids[gid_find(f, gid)] - 1;

	return port >= 0 && fabric_joined(f, port) ? port : -1;
}

/* --------------------------- what is derived --------------------------- */

static void mark_pending(struct fabric *f, uint32_t port, uint32_t idx)
{
	struct fabric_view *v = &f->view[port];
	uint64_t bit = 1ULL << (idx % 64);

	if (v->pending[idx / 64] & bit)
		return;
	v->pending[idx / 64] |= bit;
	v->nr_signals++;
}

static void clear_pending(struct fabric *f, uint32_t port, uint32_t idx)
{
	struct fabric_view *v = &f->view[port];
	uint64_t bit = 1ULL << (idx % 64);

	if (!(v->pending[idx / 64] & bit))
		return;
	v->pending[idx / 64] &= ~bit;
	v->nr_signals--;
}

static int view_add(struct fabric *f, uint32_t port, uint32_t idx)
{
	struct fabric_dmb *dmb = dmb_at(f, port, idx);

	if (table_add(f, dmb->token, entry_of(port, idx)))
		return -1;
	f->view[port].used[idx / 64] |= 1ULL << (idx % 64);
	f->view[port].nr_dmbs++;
	f->view[port].bytes += dmb->len;
	return 0;
}

static void view_del(struct fabric *f, uint32_t port, uint32_t idx)
{
	struct fabric_dmb *dmb = dmb_at(f, port, idx);

	table_del(f, dmb->token);
	f->view[port].used[idx / 64] &= ~(1ULL << (idx % 64));
	f->view[port].nr_dmbs--;
	f->view[port].bytes -= dmb->len;
	clear_pending(f, port, idx);
}

static int view_open(struct fabric *f, uint32_t port)
{
	struct fabric_port *p = &f->st->ports[port];
	struct fabric_view *v = &f->view[port];
	uint32_t idx;

	v->used = calloc(FABRIC_MAX_DMBS / 64, sizeof(*v->used));
	v->pending = calloc(FABRIC_MAX_DMBS / 64, sizeof(*v->pending));
	v->sw_due = calloc(FABRIC_MAX_PORTS, sizeof(*v->sw_due));
	if (!v->used || !v->pending || !v->sw_due)
		return -1;
	f->gids[gid_find(f, p->gid)] = port + 1;
	for (idx = 0; idx < atomic_load(&p->nr_used); idx++) {
		if (!in_use(dmb_at(f, port, idx)))
			continue;
		if (view_add(f, port, idx))
			return -1;
		if (atomic_load(&dmb_at(f, port, idx)->pending))
			mark_pending(f, port, idx);
	}
	v->nr_events = event_count(p);
	return 0;
}

/**
 * fabric_open() - begin, or go on after another process has died
 * @f: to be filled in
 * @st: the state
 *
 * A port that was joining or leaving does so again.
 *
 * Return: 0, or -1 without memory.
 */
int fabric_open(struct fabric *f, struct fabric_state *st)
{
	uint32_t i;

	memset(f, 0, sizeof(*f));
	f->st = st;
	f->mask = 1023;
	f->table = calloc(f->mask + 1, sizeof(*f->table));
	f->view = calloc(FABRIC_MAX_PORTS, sizeof(*f->view));
	if (!f->table || !f->view)
		goto fail;
	if (fabric_ports_added(f, 0))
		goto fail;
	for (i = 0; i < atomic_load(&st->nr_ports); i++) {
		if (atomic_load(&st->ports[i].phase) == FABRIC_LEAVING)
			fabric_leave(f, i, 0);
		else if (atomic_load(&st->ports[i].phase) == FABRIC_JOINING)
			fabric_join(f, i, 0);
	}
	return 0;
fail:
	fabric_close(f);
	return -1;
}

/* Ports from first on were added by fabric_add_port(); 0, or -1 without memory */
int fabric_ports_added(struct fabric *f, uint32_t first)
{
	for (; first < atomic_load(&f->st->nr_ports); first++)
		if (view_open(f, first))
			return -1;
	return 0;
}

void fabric_close(struct fabric *f)
{
	uint32_t i;

	for (i = 0; f->view && i < FABRIC_MAX_PORTS; i++) {
		free(f->view[i].used);
		free(f->view[i].pending);
		free(f->view[i].sw_due);
	}
	free(f->view);
	free(f->table);
	memset(f, 0, sizeof(*f));
}

/* ---------------------------- join and leave ---------------------------- */

bool fabric_joined(const struct fabric *f, uint32_t port)
{
	return atomic_load(&f->st->ports[port].phase) == FABRIC_UP;
}

/**
 * fabric_may_join() - is this not more often than a port can join in the long run?
 * @f: the fabric
 * @port: the port, which is going to join if so
 * @now: time
 *
 * All others are told each time that it has left and joined, and that costs them time.
 * It is forgotten with a worker.
 */
bool fabric_may_join(struct fabric *f, uint32_t port, uint64_t now)
{
	uint64_t *due = &f->view[port].join_due;
	uint64_t from = *due > now ? *due : now;

	if (from - now >= FABRIC_JOIN_BURST * (uint64_t)FABRIC_JOIN_PERIOD)
		return false;
	*due = from + FABRIC_JOIN_PERIOD;
	return true;
}

/**
 * fabric_join() - a port takes part from now on
 * @f: the fabric
 * @port: the port; nothing happens if it has joined
 * @now: time for the events
 *
 * It is told of all that have joined, and they are told of it.
 */
void fabric_join(struct fabric *f, uint32_t port, uint64_t now)
{
	struct fabric_port *p = &f->st->ports[port];
	uint32_t i;

	if (fabric_joined(f, port))
		return;
	atomic_store(&p->phase, FABRIC_JOINING);
	fault_point(FAULT_JOIN);
	for (i = 0; i < atomic_load(&f->st->nr_ports); i++) {
		if (i == port || !fabric_joined(f, i))
			continue;
		event_dev(f, i, port, FABRIC_DEV_ENABLED, now);
		event_dev(f, port, i, FABRIC_DEV_ENABLED, now);
	}
	fault_point(FAULT_JOINED);
	atomic_store(&p->phase, FABRIC_UP);
}

static void drop_dmb(struct fabric *f, uint32_t port, uint32_t idx)
{
	struct fabric_dmb *dmb = dmb_at(f, port, idx);

	if (!in_use(dmb))
		return;
	view_del(f, port, idx);
	atomic_store(&dmb->request, 0);
	fault_point(FAULT_DMB_DROPPED);
}

/* Few of many, perhaps: the slots are too long to look at all of them */
static void drop_all_dmbs(struct fabric *f, uint32_t port)
{
	uint64_t bits;
	uint32_t i;

	for (i = 0; i < FABRIC_MAX_DMBS / 64; i++)
		for (bits = f->view[port].used[i]; bits; bits &= bits - 1)
			drop_dmb(f, port, i * 64 + __builtin_ctzll(bits));
}

/**
 * fabric_leave() - a port takes part no more
 * @f: the fabric
 * @port: the port; nothing happens if it has not joined
 * @now: time for the events
 *
 * When this returns its DMBs are gone, and so is what was pending for it or
 * came from it. The others are told.
 */
void fabric_leave(struct fabric *f, uint32_t port, uint64_t now)
{
	struct fabric_port *p = &f->st->ports[port];
	uint32_t i;

	if (atomic_load(&p->phase) == FABRIC_DOWN)
		return;
	atomic_store(&p->phase, FABRIC_LEAVING);
	fault_point(FAULT_LEAVE);
	drop_all_dmbs(f, port);
	atomic_store(&p->nr_used, 0);
	atomic_store(&p->unregistered, 0);
	event_drop_all(f, port);
	for (i = 0; i < atomic_load(&f->st->nr_ports); i++) {
		if (i == port || !fabric_joined(f, i))
			continue;
		event_drop_from(f, i, port);
		event_dev(f, i, port, FABRIC_DEV_DISABLED, now);
	}
	fault_point(FAULT_LEFT);
	atomic_store(&p->phase, FABRIC_DOWN);
}

/* --------------------------------- DMBs --------------------------------- */

/* Sum of the ranges, or 0 if they are not as they must be */
static uint64_t grant_len(const struct fabric_grant *grant)
{
	uint64_t len = 0;
	uint32_t i;

	if (!grant->nr_ranges || grant->nr_ranges > FABRIC_MAX_RANGES)
		return 0;
	for (i = 0; i < grant->nr_ranges; i++) {
		const struct fabric_range *r = &grant->ranges[i];

		if (!r->len || r->addr + r->len < r->addr)
			return 0;
		len += r->len;
	}
	return len > UINT32_MAX ? 0 : len;
}

static enum fabric_status may_register(struct fabric *f, uint32_t port,
				       const struct fabric_grant *grant, uint64_t len)
{
	struct fabric_view *v = &f->view[port];

	if (!len || grant->idx >= f->st->max_dmbs ||
	    !memcmp(grant->rgid, no_gid, FABRIC_GID_LEN))
		return FABRIC_INVAL;
	if (in_use(dmb_at(f, port, grant->idx)))
		return FABRIC_BUSY;
	if (len > f->st->max_bytes || v->bytes > f->st->max_bytes - len)
		return FABRIC_NOMEM;
	return FABRIC_OK;
}

/* The kernel's random source is ready long before there are guests */
static uint64_t new_token(const struct fabric *f)
{
	uint64_t token;

	do {
		if (getrandom(&token, sizeof(token), 0) != sizeof(token))
			abort();
		token &= f->st->token_mask;
	} while (!token || f->table[table_find(f, token)]);
	return token;
}

/**
 * fabric_register() - a DMB from now on
 * @f: the fabric
 * @port: of the owner
 * @request: number of the request, not 0, and another for each of this port since
 *	it joined, except when it is the same request again
 * @grant: what and to whom
 * @token: out: its name
 *
 * Return: FABRIC_OK, FABRIC_INVAL, FABRIC_BUSY, FABRIC_NOMEM or FABRIC_NODEV.
 */
enum fabric_status fabric_register(struct fabric *f, uint32_t port, uint64_t request,
				   const struct fabric_grant *grant, uint64_t *token)
{
	struct fabric_port *p = &f->st->ports[port];
	uint64_t len = grant_len(grant);
	enum fabric_status status;
	struct fabric_dmb *dmb;

	if (!fabric_joined(f, port))
		return FABRIC_NODEV;
	status = may_register(f, port, grant, len);
	if (status == FABRIC_BUSY) {
		dmb = dmb_at(f, port, grant->idx);
		if (atomic_load(&dmb->request) != request)
			return status;
		*token = dmb->token;
		return FABRIC_OK;
	}
	if (status != FABRIC_OK)
		return status;
	dmb = dmb_at(f, port, grant->idx);
	dmb->token = new_token(f);
	dmb->len = len;
	dmb->nr_ranges = grant->nr_ranges;
	memcpy(dmb->rgid, grant->rgid, FABRIC_GID_LEN);
	memcpy(dmb->ranges, grant->ranges, sizeof(dmb->ranges));
	atomic_store(&dmb->pending, 0);
	atomic_store(&dmb->written, 0);
	if (view_add(f, port, grant->idx))
		return FABRIC_NOMEM;
	if (atomic_load(&p->nr_used) <= grant->idx)
		atomic_store(&p->nr_used, grant->idx + 1);
	fault_point(FAULT_REGISTER);
	atomic_store(&dmb->request, request);
	fault_point(FAULT_REGISTERED);
	*token = dmb->token;
	return FABRIC_OK;
}

/**
 * fabric_unregister() - a DMB no more
 * @f: the fabric
 * @port: of the owner
 * @request: as for fabric_register()
 * @token: its name
 * @now: time for the event
 *
 * When this returns nobody finds the DMB, and no signal of it is pending.
 *
 * Return: FABRIC_OK, FABRIC_NOENT, FABRIC_PERM or FABRIC_NODEV.
 */
enum fabric_status fabric_unregister(struct fabric *f, uint32_t port,
				     uint64_t request, uint64_t token, uint64_t now)
{
	struct fabric_port *p = &f->st->ports[port];
	uint32_t at = table_find(f, token);
	struct fabric_dmb *dmb;
	int peer;

	if (!fabric_joined(f, port))
		return FABRIC_NODEV;
	if (!f->table[at])
		return atomic_load(&p->unregistered) == request ? FABRIC_OK :
								 FABRIC_NOENT;
	if ((f->table[at] - 1) >> 16 != port)
		return FABRIC_PERM;
	dmb = entry_dmb(f, f->table[at]);
	peer = atomic_load(&dmb->written) ? fabric_port_of(f, dmb->rgid) : -1;
	if (peer >= 0)
		event_buf(f, peer, port, token, now);
	fault_point(FAULT_UNREGISTER);
	atomic_store(&p->unregistered, request);
	fault_point(FAULT_UNREGISTERING);
	drop_dmb(f, port, (f->table[at] - 1) & 0xffff);
	fault_point(FAULT_UNREGISTERED);
	return FABRIC_OK;
}

/* Has a port with this GID joined? FABRIC_OK, FABRIC_UNREACH or FABRIC_NODEV */
enum fabric_status fabric_query(struct fabric *f, uint32_t port, const uint8_t *gid)
{
	if (!fabric_joined(f, port))
		return FABRIC_NODEV;
	return fabric_port_of(f, gid) < 0 ? FABRIC_UNREACH : FABRIC_OK;
}

/**
 * fabric_send() - an SW event to another port
 * @f: the fabric
 * @port: of the sender
 * @request: as for fabric_register()
 * @gid: of the receiver
 * @code: for the receiver
 * @info: for the receiver
 * @now: time for the event
 *
 * Return: FABRIC_OK, FABRIC_UNREACH, FABRIC_AGAIN or FABRIC_NODEV.
 */
enum fabric_status fabric_send(struct fabric *f, uint32_t port, uint64_t request,
			       const uint8_t *gid, uint32_t code, uint64_t info,
			       uint64_t now)
{
	struct fabric_event event = {
		.type = FABRIC_EV_SW, .code = code, .time = now, .info = info,
	};
	int to;

	if (!fabric_joined(f, port))
		return FABRIC_NODEV;
	to = fabric_port_of(f, gid);
	if (to < 0)
		return FABRIC_UNREACH;
	memcpy(event.gid, f->st->ports[port].gid, FABRIC_GID_LEN);
	return event_sw(f, to, port, request, &event) ? FABRIC_OK : FABRIC_AGAIN;
}

/* --------------------------------- moves --------------------------------- */

/**
 * fabric_find() - the DMB that a port wants to write to
 * @f: the fabric
 * @port: of the sender
 * @token: name of the DMB
 * @ref: out: the DMB
 *
 * Return: FABRIC_OK, FABRIC_NOENT, FABRIC_PERM or FABRIC_NODEV.
 */
enum fabric_status fabric_find(struct fabric *f, uint32_t port, uint64_t token,
			       struct fabric_ref *ref)
{
	uint32_t entry = f->table[table_find(f, token)];

	if (!fabric_joined(f, port))
		return FABRIC_NODEV;
	if (!entry)
		return FABRIC_NOENT;
	ref->dmb = entry_dmb(f, entry);
	ref->port = (entry - 1) >> 16;
	ref->idx = (entry - 1) & 0xffff;
	if (memcmp(ref->dmb->rgid, f->st->ports[port].gid, FABRIC_GID_LEN))
		return FABRIC_PERM;
	return FABRIC_OK;
}

/* Is this a part of the DMB? FABRIC_OK or FABRIC_RANGE */
enum fabric_status fabric_check(const struct fabric_ref *ref, uint32_t offset,
				uint32_t size)
{
	if (offset > ref->dmb->len || size > ref->dmb->len - offset)
		return FABRIC_RANGE;
	return FABRIC_OK;
}

/* A port has written to a DMB */
void fabric_moved(struct fabric *f, uint32_t port, const struct fabric_ref *ref,
		  uint64_t bytes)
{
	struct fabric_counters *nr = &f->st->ports[port].nr;

	if (!atomic_load_explicit(&ref->dmb->written, memory_order_relaxed))
		atomic_store(&ref->dmb->written, 1);
	nr->moves++;
	nr->move_bytes += bytes;
}

/* Raise a signal, below FABRIC_MAX_SIGNALS, on a DMB */
void fabric_raise(struct fabric *f, const struct fabric_ref *ref, unsigned int signal)
{
	atomic_fetch_or(&ref->dmb->pending, 1u << signal);
	fault_point(FAULT_RAISED);
	f->st->ports[ref->port].nr.signals++;
	mark_pending(f, ref->port, ref->idx);
	if (f->wake)
		f->wake(f->arg, ref->port);
}

void fabric_count(struct fabric *f, uint32_t port, enum fabric_status status)
{
	f->st->ports[port].nr.errors[status]++;
}

/**
 * fabric_next_signal() - what to tell the driver of a port next
 * @f: the fabric
 * @port: the port
 * @sig: out: signals of one DMB; DMBs take turns
 *
 * Return: false if there is nothing. Call fabric_signal_done() when the driver has
 * got them.
 */
bool fabric_next_signal(struct fabric *f, uint32_t port, struct fabric_signal *sig)
{
	struct fabric_view *v = &f->view[port];
	uint32_t n, words = FABRIC_MAX_DMBS / 64, at = v->next / 64;
	uint64_t bits;

	if (!v->nr_signals)
		return false;
	bits = v->pending[at] & ~0ULL << (v->next % 64);
	for (n = 0; !bits && n < words; n++) {
		at = (at + 1) % words;
		bits = v->pending[at];
	}
	sig->idx = at * 64 + __builtin_ctzll(bits);
	sig->token = dmb_at(f, port, sig->idx)->token;
	sig->mask = atomic_load(&dmb_at(f, port, sig->idx)->pending);
	return true;
}

void fabric_signal_done(struct fabric *f, uint32_t port,
			const struct fabric_signal *sig)
{
	struct fabric_dmb *dmb = dmb_at(f, port, sig->idx);
	uint16_t mask = sig->mask;

	if (!(atomic_fetch_and(&dmb->pending, ~mask) & ~mask))
		clear_pending(f, port, sig->idx);
	f->view[port].next = (sig->idx + 1) % FABRIC_MAX_DMBS;
}
