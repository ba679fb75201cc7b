// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: split virtqueues, device side
 *
 * Security: rings and descriptors are in memory that the driver writes at any time.
 * Each is fetched once into a copy, the copy is checked, and only the copy is used.
 * Addresses are looked up at each use.
 */
#include <endian.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "fault.h"
#include "virtq.h"

void vq_attach(struct vq *q, struct vq_state *st, struct mem *mem, bool event_idx)
{
	*q = (struct vq){
		.st = st, .mem = mem, .event_idx = event_idx,
		.told = (uint16_t)atomic_load(&st->cursor),
	};
}

/* So aligned, a 16 bit field is in one piece wherever pages end */
bool vq_addresses_ok(const struct vq_state *st)
{
	return st->size && st->size <= VQ_MAX_SIZE && !(st->size & (st->size - 1)) &&
	       st->desc % 16 == 0 && st->avail % 2 == 0 && st->used % 4 == 0;
}

uint16_t vq_position(const struct vq *q)
{
	return (uint16_t)atomic_load(&q->st->cursor);
}

/* What vq_put() was told last */
uint32_t vq_tag(const struct vq *q)
{
	return atomic_load(&q->st->cursor) >> 32;
}

static bool broken(struct vq *q)
{
	q->broken = true;
	return false;
}

static uint16_t *field(struct vq *q, uint64_t addr, bool write)
{
	uint64_t got;
	void *at = mem_at(q->mem, addr, sizeof(uint16_t), write, &got);

	if (!at || got < sizeof(uint16_t)) {
		q->broken = true;
		return NULL;
	}
	return at;
}

static bool field_read(struct vq *q, uint64_t addr, uint16_t *value)
{
	uint16_t *at = field(q, addr, false);

	if (!at)
		return false;
	*value = le16toh(__atomic_load_n(at, __ATOMIC_ACQUIRE));
	return true;
}

static bool field_write(struct vq *q, uint64_t addr, uint16_t value)
{
	uint16_t *at = field(q, addr, true);

	if (!at)
		return false;
	__atomic_store_n(at, htole16(value), __ATOMIC_RELEASE);
	return true;
}

/* ------------------------------ taking buffers ------------------------------ */

/**
 * struct walk - on the way through a descriptor table
 * @table: address of the table
 * @size: number of descriptors
 * @left: how many may follow, so that a loop ends
 */
struct walk {
	uint64_t table;
	uint32_t size;
	uint32_t left;
};

static bool fetch(struct vq *q, const struct walk *w, uint16_t idx,
		  struct vring_desc *desc)
{
	if (idx >= w->size ||
	    !mem_read(q->mem, w->table + idx * sizeof(*desc), desc, sizeof(*desc)))
		return false;
	desc->addr = le64toh(desc->addr);
	desc->len = le32toh(desc->len);
	desc->flags = le16toh(desc->flags);
	desc->next = le16toh(desc->next);
	return true;
}

static bool add_seg(struct vq_chain *c, const struct vring_desc *desc)
{
	bool in = desc->flags & VRING_DESC_F_WRITE;

	if (c->nr == VQ_MAX_SIZE || (!in && c->nr_out < c->nr))
		return false;
	c->seg[c->nr++] = (struct vq_seg){ desc->addr, desc->len };
	if (in) {
		c->in_len += desc->len;
	} else {
		c->out_len += desc->len;
		c->nr_out++;
	}
	return true;
}

/* An indirect table is where the walk goes on; none is in another, none follows */
static bool enter(struct walk *w, const struct vring_desc *desc)
{
	uint32_t n = desc->len / sizeof(*desc);

	if (desc->flags & (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE) || !n ||
	    n > VQ_MAX_SIZE || desc->len % sizeof(*desc))
		return false;
	*w = (struct walk){ .table = desc->addr, .size = n, .left = n };
	return true;
}

static bool walk_chain(struct vq *q, struct vq_chain *c)
{
	struct walk w = { q->st->desc, q->st->size, q->st->size };
	bool indirect = false;
	uint16_t idx = c->head;
	struct vring_desc desc;

	for (; w.left; w.left--) {
		if (!fetch(q, &w, idx, &desc))
			return false;
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (indirect || !enter(&w, &desc))
				return false;
			indirect = true;
			idx = 0;
			w.left++;
			continue;
		}
		if (!add_seg(c, &desc))
			return false;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return true;
		idx = desc.next;
	}
	return false;
}

/*
 * No doorbells while the queue is worked on. With an event index none comes anyway:
 * the driver has passed the one that vq_rest() has left there.
 */
static bool hush(struct vq *q)
{
	if (q->event_idx || q->hushed)
		return true;
	q->hushed = true;
	return field_write(q, q->st->used, VRING_USED_F_NO_NOTIFY);
}

/* It is not empty: if it was watched, it was worth it */
static void found(struct vq *q)
{
	if (q->watched)
		q->vain = 0;
	q->watched = false;
	q->dry = 0;
}

/* What tells the next buffer from those before and after, also if only the lowest 40
 * bits are kept
 */
uint64_t vq_key(const struct vq *q)
{
	return (uint64_t)vq_tag(q) << 16 | vq_position(q);
}

/* Is there a buffer, as far as the driver says? */
bool vq_waiting(struct vq *q)
{
	uint16_t idx;

	return !q->broken && field_read(q, q->st->avail + 2, &idx) &&
	       idx != vq_position(q);
}

/**
 * vq_get() - take the next buffer
 * @q: the queue
 * @chain: out: the buffer
 *
 * Return: false if there is none, or if @q->broken is set.
 */
bool vq_get(struct vq *q, struct vq_chain *chain)
{
	uint16_t idx, at = vq_position(q);

	if (q->broken || !field_read(q, q->st->avail + 2, &idx) || idx == at)
		return false;
	if ((uint16_t)(idx - at) > q->st->size)
		return broken(q);
	found(q);
	if (!hush(q) ||
	    !field_read(q, q->st->avail + 4 + 2 * (at % q->st->size), &chain->head))
		return false;
	chain->nr = 0;
	chain->nr_out = 0;
	chain->out_len = 0;
	chain->in_len = 0;
	return walk_chain(q, chain) || broken(q);
}

/* ---------------------------- giving them back ---------------------------- */

/**
 * vq_put() - give back the buffer that was taken
 * @q: the queue
 * @chain: the buffer
 * @len: how many bytes were written to it
 * @tag: what vq_tag() returns from now on
 *
 * Until the cursor is saved the buffer counts as not served and would be served
 * again by the next worker, and from then on as given back, which the next worker
 * would tell the driver.
 *
 * Return: false if @q is broken.
 */
bool vq_put(struct vq *q, const struct vq_chain *chain, uint32_t len, uint32_t tag)
{
	struct vring_used_elem elem = {
		.id = htole32(chain->head), .len = htole32(len),
	};
	uint16_t at = vq_position(q);

	if (!mem_write(q->mem, q->st->used + 4 + sizeof(elem) * (at % q->st->size),
		       &elem, sizeof(elem)))
		return broken(q);
	fault_point(FAULT_USED_WRITTEN);
	at++;
	atomic_store(&q->st->cursor, (uint64_t)tag << 32 | at);
	q->done = 0;
	fault_point(FAULT_CURSOR_SAVED);
	if (!field_write(q, q->st->used + 2, at))
		return false;
	fault_point(FAULT_USED_PUBLISHED);
	return true;
}

/* Are the rings in memory that the client has mapped? */
bool vq_reachable(const struct vq *q)
{
	const struct vq_state *st = q->st;

	return mem_reachable(q->mem, st->desc, sizeof(struct vring_desc) * st->size,
			     false) &&
	       mem_reachable(q->mem, st->avail, 6 + 2 * st->size, false) &&
	       mem_reachable(q->mem, st->used, 6 + sizeof(struct vring_used_elem) *
			     st->size, true);
}

/**
 * vq_resume() - go on where another worker has stopped
 * @q: the queue
 *
 * Or where this one has, because the memory was away. What was given back may not have
 * been published, nor the driver been notified of it.
 *
 * Return: false if the rings cannot be reached, or if @q is broken.
 */
bool vq_resume(struct vq *q)
{
	const struct vq_state *st = q->st;

	if (!vq_addresses_ok(st))
		return broken(q);
	/* so much at most is given back before a driver is notified */
	q->told = vq_position(q) - VQ_MAX_SIZE;
	return vq_reachable(q) && field_write(q, st->used + 2, vq_position(q));
}

/* Does the driver want to be notified of what was given back since the last time? */
bool vq_should_notify(struct vq *q)
{
	uint16_t at = vq_position(q), told = q->told, event;

	if (q->broken || at == told)
		return false;
	q->told = at;
	atomic_thread_fence(memory_order_seq_cst);
	if (!q->event_idx) {
		if (!field_read(q, q->st->avail, &event))
			return false;
		return !(event & VRING_AVAIL_F_NO_INTERRUPT);
	}
	if (!field_read(q, q->st->avail + 4 + 2 * q->st->size, &event))
		return false;
	return vring_need_event(event, at, told);
}

/**
 * vq_watch() - is an empty queue to be looked at again, with no doorbell asked for?
 * @q: the queue, of which vq_get() has just found that it is empty
 * @now: the time in ns
 *
 * For a while, if that was worth it the last time. If not, then ever more seldom: a
 * driver that takes its time costs next to nothing, and one that begins to hurry is
 * noticed.
 *
 * Return: false if it is time for vq_rest().
 */
bool vq_watch(struct vq *q, uint64_t now)
{
	if (!q->dry) {
		q->dry = now;
		q->watched = !q->skip;
		q->skip -= !!q->skip;
	}
	if (!q->watched)
		return false;
	if (now - q->dry < VQ_WATCH)
		return true;
	q->vain = q->vain < VQ_MAX_SKIP ? q->vain * 2 + 1 : VQ_MAX_SKIP;
	q->skip = q->vain;
	return false;
}

/**
 * vq_rest() - ask for a doorbell with the next buffer
 * @q: the queue
 *
 * A worker that died may have left the flag as it was, so the first rest of a worker
 * writes it in any case.
 *
 * Return: true if there is a buffer already, for which there may be no doorbell.
 */
bool vq_rest(struct vq *q)
{
	uint16_t idx, at = vq_position(q);

	if (q->broken)
		return false;
	q->hushed = false;
	q->watched = false;
	if (!(q->event_idx ?
	      field_write(q, q->st->used + 4 + sizeof(struct vring_used_elem) *
			     q->st->size, at) :
	      field_write(q, q->st->used, 0)))
		return false;
	atomic_thread_fence(memory_order_seq_cst);
	return field_read(q, q->st->avail + 2, &idx) && idx != at;
}

/* -------------------------------- contents -------------------------------- */

/**
 * vq_read_piece() - the next piece of what a buffer has to read
 * @q: the queue
 * @r: where; goes on behind the piece
 * @want: at most so many bytes
 * @got: out: length of the piece
 *
 * Return: the piece, or NULL if there is no more, or if @q is broken.
 */
void *vq_read_piece(struct vq *q, struct vq_reader *r, uint32_t want, uint32_t *got)
{
	const struct vq_seg *seg;
	uint64_t n;
	void *at;

	while (r->seg < r->chain->nr_out && r->at == r->chain->seg[r->seg].len) {
		r->seg++;
		r->at = 0;
	}
	if (r->seg == r->chain->nr_out)
		return NULL;
	seg = &r->chain->seg[r->seg];
	if (seg->len - r->at < want)
		want = seg->len - r->at;
	at = mem_at(q->mem, seg->addr + r->at, want, false, &n);
	if (!at) {
		q->broken = true;
		return NULL;
	}
	r->at += n;
	*got = n;
	return at;
}

bool vq_read(struct vq *q, struct vq_reader *r, void *buf, uint32_t len)
{
	uint32_t got;
	void *at;

	for (; len; len -= got, buf = (char *)buf + got) {
		at = vq_read_piece(q, r, len, &got);
		if (!at)
			return false;
		memcpy(buf, at, got);
	}
	return true;
}

/* Go on behind so many bytes, or at the end */
void vq_skip(struct vq_reader *r, uint64_t len)
{
	uint32_t n;

	for (; len && r->seg < r->chain->nr_out; len -= n) {
		n = r->chain->seg[r->seg].len - r->at;
		if (len < n) {
			r->at += len;
			return;
		}
		r->seg++;
		r->at = 0;
	}
}

/* Write to the beginning of the writable part, which is as long as that */
bool vq_write(struct vq *q, const struct vq_chain *chain, const void *buf, uint32_t len)
{
	uint32_t i, n;

	for (i = chain->nr_out; len && i < chain->nr; i++) {
		n = chain->seg[i].len < len ? chain->seg[i].len : len;
		if (!mem_write(q->mem, chain->seg[i].addr, buf, n))
			return broken(q);
		buf = (const char *)buf + n;
		len -= n;
	}
	return !len || broken(q);
}
