// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: the virtio-dibs device, Documentation/networking/virtio-dibs.rst
 *
 * Numbers such as V-18 are those of the requirements there.
 */
#include <endian.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <string.h>

#include "../../include/uapi/linux/virtio_dibs.h"
#include "fault.h"
#include "port.h"
#include "virtio_dibs.h"

#define NR_MOVE_QUEUES	(VPCI_MAX_QUEUES - VIRTIO_DIBS_VQ_MOVE)
#define DEVICE_ID	44

/* To look at a descriptor takes about as long as to move so many bytes */
#define DESC_COST	256

/* To serve a request takes about as long as to move so many bytes, unless it is a move */
#define REQUEST_COST	2048

/* For one event it is looked through all that are pending */
#define EVENT_COST	16384

/* Segments up to this length are written in whole words (V-20) */
#define SMALL_SEG	64

static const uint32_t status_of[FABRIC_NR_STATUS] = {
	[FABRIC_OK]		= VIRTIO_DIBS_S_OK,
	[FABRIC_NOENT]		= VIRTIO_DIBS_S_NOENT,
	[FABRIC_PERM]		= VIRTIO_DIBS_S_PERM,
	[FABRIC_RANGE]		= VIRTIO_DIBS_S_RANGE,
	[FABRIC_INVAL]		= VIRTIO_DIBS_S_INVAL,
	[FABRIC_BUSY]		= VIRTIO_DIBS_S_BUSY,
	[FABRIC_NOMEM]		= VIRTIO_DIBS_S_NOMEM,
	[FABRIC_UNREACH]	= VIRTIO_DIBS_S_NETUNREACH,
	[FABRIC_AGAIN]		= VIRTIO_DIBS_S_AGAIN,
	[FABRIC_NODEV]		= VIRTIO_DIBS_S_NODEV,
	[FABRIC_UNSUPPORTED]	= VIRTIO_DIBS_S_OPNOTSUPP,
	[FABRIC_IO]		= VIRTIO_DIBS_S_IO,
};

static uint32_t answer(struct port *p, enum fabric_status status)
{
	fabric_count(p->fabric, p->nr, status);
	return htole32(status_of[status]);
}

static void device_config(struct port *p, uint8_t *buf)
{
	const struct fabric_state *st = p->fabric->st;
	struct virtio_dibs_config config = {
		.fabric_id = htole16(p->fabric_id),
		.num_move_queues = htole16(NR_MOVE_QUEUES),
		.max_dmbs = htole32(st->max_dmbs),
		.max_dmb_len = htole32(VIRTIO_DIBS_MAX_LEN),
		.max_dmb_ranges = htole16(FABRIC_MAX_RANGES),
	};

	memcpy(config.gid, st->ports[p->nr].gid, sizeof(config.gid));
	memcpy(buf, &config, sizeof(config));
}

/* A buffer takes time, whatever comes of it */
static void spend(struct vpci_turn *turn, const struct vq_chain *c, uint64_t moved)
{
	uint64_t cost = c->nr * DESC_COST + moved;

	turn->buffers--;
	turn->bytes -= cost < turn->bytes ? cost : turn->bytes;
}

/* ------------------------------- control queue ------------------------------- */

/* V-12: the ranges, checked; what is left to check belongs to the fabric */
static bool get_grant(const struct virtio_dibs_register_dmb *req, uint32_t len,
		      struct fabric_grant *grant)
{
	uint64_t sum = 0;
	uint32_t i;

	grant->nr_ranges = le16toh(req->nranges);
	if (!grant->nr_ranges || grant->nr_ranges > FABRIC_MAX_RANGES ||
	    len != sizeof(*req) + grant->nr_ranges * sizeof(req->ranges[0]))
		return false;
	memcpy(grant->rgid, req->rgid, sizeof(grant->rgid));
	grant->idx = le32toh(req->idx);
	for (i = 0; i < grant->nr_ranges; i++) {
		grant->ranges[i].addr = le64toh(req->ranges[i].addr);
		grant->ranges[i].len = le32toh(req->ranges[i].len);
		if ((grant->ranges[i].addr | grant->ranges[i].len) %
		    VIRTIO_DIBS_DMB_ALIGN)
			return false;
		sum += grant->ranges[i].len;
	}
	return sum == le32toh(req->len) && sum <= VIRTIO_DIBS_MAX_LEN;
}

static enum fabric_status do_register(struct port *p, uint64_t request, const void *msg,
				      uint32_t len, uint64_t *token)
{
	struct fabric_grant grant = { 0 };

	if (len < sizeof(struct virtio_dibs_register_dmb) ||
	    !get_grant(msg, len, &grant))
		return FABRIC_INVAL;
	return fabric_register(p->fabric, p->nr, request, &grant, token);
}

static enum fabric_status do_unregister(struct port *p, uint64_t request,
					const void *msg, uint32_t len)
{
	const struct virtio_dibs_unregister_dmb *req = msg;

	if (len != sizeof(*req))
		return FABRIC_INVAL;
	return fabric_unregister(p->fabric, p->nr, request, le64toh(req->token),
				 port_now());
}

static enum fabric_status do_query(struct port *p, const void *msg, uint32_t len)
{
	const struct virtio_dibs_query_gid *req = msg;

	if (len != sizeof(*req))
		return FABRIC_INVAL;
	return fabric_query(p->fabric, p->nr, req->gid);
}

static enum fabric_status do_signal_event(struct port *p, uint64_t request,
					  const void *msg, uint32_t len)
{
	const struct virtio_dibs_signal_event *req = msg;

	if (len != sizeof(*req))
		return FABRIC_INVAL;
	return fabric_send(p->fabric, p->nr, request, req->gid, le32toh(req->code),
			   le64toh(req->info), port_now());
}

static enum fabric_status do_control(struct port *p, uint64_t request, const void *msg,
				     uint32_t len, uint64_t *token)
{
	const struct virtio_dibs_ctrl_hdr *hdr = msg;

	if (len < sizeof(*hdr))
		return FABRIC_INVAL;
	switch (le16toh(hdr->cmd)) {
	case VIRTIO_DIBS_C_REGISTER_DMB:
		return do_register(p, request, msg, len, token);
	case VIRTIO_DIBS_C_UNREGISTER_DMB:
		return do_unregister(p, request, msg, len);
	case VIRTIO_DIBS_C_QUERY_GID:
		return do_query(p, msg, len);
	case VIRTIO_DIBS_C_SIGNAL_EVENT:
		return do_signal_event(p, request, msg, len);
	}
	return FABRIC_UNSUPPORTED;
}

static uint64_t cost_of(const struct virtio_dibs_ctrl_hdr *hdr)
{
	switch (le16toh(hdr->cmd)) {
	case VIRTIO_DIBS_C_UNREGISTER_DMB: /* its sender is told */
	case VIRTIO_DIBS_C_SIGNAL_EVENT:
		return EVENT_COST;
	}
	return REQUEST_COST;
}

/* Longer than any request, so what does not fit in is wrong whatever it is */
union request {
	struct virtio_dibs_ctrl_hdr hdr;
	struct virtio_dibs_register_dmb reg;
	uint8_t room[sizeof(struct virtio_dibs_register_dmb) +
		     FABRIC_MAX_RANGES * sizeof(struct virtio_dibs_range) + 8];
};

static bool serve_control_one(struct port *p, struct vq *q, const struct vq_chain *c,
			      struct vpci_turn *turn)
{
	struct vq_reader r = { .chain = c };
	struct virtio_dibs_ctrl_resp resp = { 0 };
	uint32_t len, tag = vq_tag(q) + 1;
	uint64_t token = 0;
	union request req = { 0 };

	if (c->in_len < sizeof(resp)) {
		q->broken = true;
		return false;
	}
	len = c->out_len < sizeof(req) ? c->out_len : sizeof(req);
	if (!vq_read(q, &r, &req, len))
		return false;
	spend(turn, c, cost_of(&req.hdr));
	/* 0 is the number of no request */
	tag += !tag;
	resp.status = answer(p, do_control(p, tag, &req, len, &token));
	resp.token = htole64(token);
	return vq_write(q, c, &resp, sizeof(resp)) && vq_put(q, c, sizeof(resp), tag);
}

/* ------------------------------- move queues ------------------------------- */

/**
 * struct move - a move that is being executed
 * @q: queue that it is from
 * @r: position in it
 * @signal: that is raised at the end, or -1
 * @segs: its segments
 * @nsegs: how many
 * @len: length of its data
 * @ref: where it goes
 * @mem: memory of the owner of that
 * @room: how much may be copied in this turn
 * @copied: how much was
 */
struct move {
	struct vq *q;
	struct vq_reader r;
	int signal;
	struct virtio_dibs_move_seg segs[VIRTIO_DIBS_MAX_SEGS];
	uint32_t nsegs;
	uint64_t len;
	struct fabric_ref ref;
	struct mem *mem;
	uint64_t room;
	uint64_t copied;
};

/* The place of an offset of a DMB, and how much of want is in one piece there */
static void *dmb_at(struct move *m, uint32_t offset, uint32_t want, uint64_t *got)
{
	const struct fabric_range *range = m->ref.dmb->ranges;

	for (; offset >= range->len; range++)
		offset -= range->len;
	if (want > range->len - offset)
		want = range->len - offset;
	return mem_at(m->mem, range->addr + offset, want, true, got);
}

static enum fabric_status copy_out(struct move *m, uint32_t offset, const void *from,
				   uint32_t size)
{
	uint64_t got;
	void *to;

	for (; size; size -= got, offset += got, from = (const char *)from + got) {
		to = dmb_at(m, offset, size, &got);
		if (!to)
			return FABRIC_IO;
		mem_copy(to, from, got);
	}
	return FABRIC_OK;
}

/* A segment, or what there is room for of one that is not small */
static enum fabric_status move_seg(struct move *m, uint32_t offset, uint32_t size)
{
	uint64_t room = m->room > m->copied ? m->room - m->copied : 0;
	uint8_t small[SMALL_SEG] __attribute__((aligned(8)));
	enum fabric_status status = FABRIC_OK;
	uint32_t got;
	void *from;

	if (size <= SMALL_SEG) {
		m->copied += size;
		return vq_read(m->q, &m->r, small, size) ?
		       copy_out(m, offset, small, size) : FABRIC_IO;
	}
	if (size > room)
		size = room;
	for (; size && status == FABRIC_OK; size -= got, offset += got) {
		from = vq_read_piece(m->q, &m->r, size, &got);
		if (!from)
			return FABRIC_IO;
		status = copy_out(m, offset, from, got);
		m->copied += got;
	}
	return status;
}

/* V-17, V-18: one after another, from where the last turn has ended */
static enum fabric_status move_segs(struct move *m)
{
	uint64_t done = m->q->done, skip = done, end = 0;
	enum fabric_status status = FABRIC_OK;
	uint32_t i, offset, size;

	vq_skip(&m->r, done);
	for (i = 0; i < m->nsegs && status == FABRIC_OK && done + m->copied >= end; i++) {
		offset = le32toh(m->segs[i].offset);
		size = le32toh(m->segs[i].size);
		end += size;
		if (skip && skip >= size) {
			skip -= size;
			continue;
		}
		status = fabric_check(&m->ref, offset, size);
		if (status == FABRIC_OK)
			status = move_seg(m, offset + skip, size - skip);
		skip = 0;
		/* an owner that watches sees one segment after another */
		atomic_thread_fence(memory_order_release);
	}
	return status;
}

/* V-19: what can be said without a look at the DMB */
static bool move_ok(struct move *m)
{
	uint32_t i;

	m->len = 0;
	for (i = 0; i < m->nsegs; i++)
		m->len += le32toh(m->segs[i].size);
	return m->signal < FABRIC_MAX_SIGNALS &&
	       m->r.chain->out_len == sizeof(struct virtio_dibs_move) +
				      m->nsegs * sizeof(m->segs[0]) + m->len;
}

/* Everything about the move but its data */
static enum fabric_status find_move(struct port *p, struct move *m)
{
	uint64_t out_len = m->r.chain->out_len;
	struct virtio_dibs_move hdr;
	enum fabric_status status;

	if (out_len < sizeof(hdr) || !vq_read(m->q, &m->r, &hdr, sizeof(hdr)))
		return FABRIC_INVAL;
	m->signal = le16toh(hdr.flags) & VIRTIO_DIBS_MOVE_F_SIGNAL ?
		    le16toh(hdr.signal) : -1;
	m->nsegs = le16toh(hdr.nsegs);
	if (!m->nsegs || m->nsegs > VIRTIO_DIBS_MAX_SEGS ||
	    out_len < sizeof(hdr) + m->nsegs * sizeof(m->segs[0]) ||
	    !vq_read(m->q, &m->r, m->segs, m->nsegs * sizeof(m->segs[0])) ||
	    !move_ok(m))
		return FABRIC_INVAL;
	status = fabric_find(p->fabric, p->nr, le64toh(hdr.token), &m->ref);
	if (status == FABRIC_OK)
		m->mem = &p->all[m->ref.port].mem;
	return status;
}

/* All of it was copied */
static void end_move(struct port *p, struct move *m)
{
	fault_point(FAULT_MOVE_COPIED);
	fabric_moved(p->fabric, p->nr, &m->ref, m->len);
	if (m->signal >= 0)
		fabric_raise(p->fabric, &m->ref, m->signal);
}

/*
 * A move that is longer than a turn takes several. It is looked up and checked in each
 * of them, as its DMB may have ceased to exist.
 */
static bool serve_move_one(struct port *p, struct vq *q, const struct vq_chain *c,
			   struct vpci_turn *turn)
{
	struct virtio_dibs_move_resp resp;
	enum fabric_status status;
	struct move m;

	if (c->in_len < sizeof(resp)) {
		q->broken = true;
		return false;
	}
	m.q = q;
	m.r = (struct vq_reader){ .chain = c };
	m.room = turn->bytes > VPCI_TURN_BYTES ? turn->bytes : VPCI_TURN_BYTES;
	m.copied = 0;
	status = find_move(p, &m);
	if (status == FABRIC_OK)
		status = move_segs(&m);
	spend(turn, c, m.copied);
	if (q->broken)
		return false;
	q->done += m.copied;
	if (status == FABRIC_OK) {
		if (q->done < m.len)
			return true;
		end_move(p, &m);
	}
	resp.status = answer(p, status);
	return vq_write(q, c, &resp, sizeof(resp)) && vq_put(q, c, sizeof(resp), 0);
}

/* Requests of the driver; true if there are more */
static bool serve_requests(struct port *p, struct vq *q, bool control,
			   struct vpci_turn *turn)
{
	struct vq_chain chain;
	bool waiting;

	while (turn->buffers && turn->bytes) {
		waiting = vq_waiting(q);
		/* nothing is taken that was not noted */
		if (waiting)
			port_begin(p, q - p->vpci.queue, vq_key(q));
		if (!waiting || !vq_get(q, &chain)) {
			if (!q->broken && vq_watch(q, port_now()))
				return true;
			if (q->broken || !vq_rest(q))
				return false;
			turn->buffers--;
			continue;
		}
		if (control)
			serve_control_one(p, q, &chain, turn);
		else
			serve_move_one(p, q, &chain, turn);
		if (q->broken)
			return false;
	}
	return true;
}

/* ----------------------------- events and signals ----------------------------- */

/*
 * A buffer to put something into, which there is. Doorbells are asked for only when
 * there is none.
 */
static bool get_room(struct vq *q, struct vq_chain *c, uint32_t len, uint64_t cost,
		     struct vpci_turn *turn)
{
	while (!vq_get(q, c))
		if (q->broken || !vq_rest(q))
			return false;
	spend(turn, c, cost);
	if (!c->nr_out && c->in_len >= len)
		return true;
	q->broken = true;
	return false;
}

static void event_of(const struct fabric_event *from, struct virtio_dibs_event *to)
{
	static const uint32_t dev[] = {
		[FABRIC_DEV_DISABLED]	= VIRTIO_DIBS_E_DEV_DISABLED,
		[FABRIC_DEV_ENABLED]	= VIRTIO_DIBS_E_DEV_ENABLED,
		[FABRIC_DEV_RESTARTED]	= VIRTIO_DIBS_E_DEV_RESTARTED,
	};
	uint32_t type = 0, subtype = 0;

	switch (from->type) {
	case FABRIC_EV_DEV:
		type = VIRTIO_DIBS_E_DEV;
		subtype = dev[from->code];
		break;
	case FABRIC_EV_BUF:
		type = VIRTIO_DIBS_E_BUF;
		subtype = VIRTIO_DIBS_E_BUF_UNREGISTERED;
		break;
	case FABRIC_EV_SW:
		type = VIRTIO_DIBS_E_SW;
		subtype = from->code;
		break;
	case FABRIC_EV_LOST:
		type = VIRTIO_DIBS_E_OTHER;
		subtype = VIRTIO_DIBS_E_EVENTS_LOST;
		break;
	}
	*to = (struct virtio_dibs_event){
		.type = htole32(type),
		.subtype = htole32(subtype),
		.token = htole64(from->token),
		.time = htole64(from->time),
		.data = htole64(from->info),
	};
	memcpy(to->gid, from->gid, sizeof(to->gid));
}

/* An event that the queue says was delivered is one that a worker died with */
static bool serve_events(struct port *p, struct vq *q, struct vpci_turn *turn)
{
	struct virtio_dibs_event out;
	struct fabric_event event;
	struct vq_chain chain;

	while (turn->buffers && turn->bytes) {
		if (!fabric_next_event(p->fabric, p->nr, &event))
			return false;
		port_begin(p, VIRTIO_DIBS_VQ_EVENT, event.seq);
		if ((uint32_t)event.seq != vq_tag(q)) {
			if (!get_room(q, &chain, sizeof(out), EVENT_COST, turn))
				return false;
			event_of(&event, &out);
			if (!vq_write(q, &chain, &out, sizeof(out)) ||
			    !vq_put(q, &chain, sizeof(out), event.seq))
				return false;
		}
		fabric_event_done(p->fabric, p->nr, event.seq);
	}
	return true;
}

static bool serve_signals(struct port *p, struct vq *q, struct vpci_turn *turn)
{
	struct virtio_dibs_signal out;
	struct fabric_signal sig;
	struct vq_chain chain;

	while (turn->buffers && turn->bytes) {
		if (!fabric_next_signal(p->fabric, p->nr, &sig))
			return false;
		port_begin(p, VIRTIO_DIBS_VQ_SIGNAL, vq_key(q));
		if (!get_room(q, &chain, sizeof(out), 0, turn))
			return false;
		out = (struct virtio_dibs_signal){
			.token = htole64(sig.token),
			.idx = htole32(sig.idx),
			.mask = htole16(sig.mask),
		};
		if (!vq_write(q, &chain, &out, sizeof(out)) ||
		    !vq_put(q, &chain, sizeof(out), 0))
			return false;
		fabric_signal_done(p->fabric, p->nr, &sig);
	}
	return true;
}

static bool device_serve(struct port *p, uint32_t queue, struct vpci_turn *turn)
{
	struct vq *q = &p->vpci.queue[queue];

	if (queue == VIRTIO_DIBS_VQ_EVENT)
		return serve_events(p, q, turn);
	if (queue == VIRTIO_DIBS_VQ_SIGNAL)
		return serve_signals(p, q, turn);
	return serve_requests(p, q, queue == VIRTIO_DIBS_VQ_CTRL, turn);
}

/* An owner that is told of a move may take the DMB away at once: moves first */
static bool device_repeats(uint32_t queue, unsigned int pass)
{
	return pass ? queue == VIRTIO_DIBS_VQ_CTRL : queue >= VIRTIO_DIBS_VQ_MOVE;
}

/* -------------------------------- life-cycle -------------------------------- */

static void device_start(struct port *p)
{
	fabric_join(p->fabric, p->nr, port_now());
}

static void device_stop(struct port *p)
{
	fabric_leave(p->fabric, p->nr, port_now());
}

static void device_wake(struct port *p)
{
	vpci_kick(p, VIRTIO_DIBS_VQ_EVENT);
	vpci_kick(p, VIRTIO_DIBS_VQ_SIGNAL);
}

const struct virtio_ops virtio_dibs_ops = {
	.id		= DEVICE_ID,
	.nr_queues	= VPCI_MAX_QUEUES,
	.features	= 1ULL << VIRTIO_F_VERSION_1 |
			  1ULL << VIRTIO_F_ACCESS_PLATFORM |
			  1ULL << VIRTIO_RING_F_EVENT_IDX |
			  1ULL << VIRTIO_RING_F_INDIRECT_DESC,
	.required	= 1ULL << VIRTIO_F_VERSION_1 |
			  1ULL << VIRTIO_F_ACCESS_PLATFORM,
	.config_len	= sizeof(struct virtio_dibs_config),
	.config		= device_config,
	.start		= device_start,
	.stop		= device_stop,
	.wake		= device_wake,
	.serve		= device_serve,
	.repeats	= device_repeats,
};
