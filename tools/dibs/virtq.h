/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: split virtqueues, device side
 */
#ifndef DIBS_VIRTQ_H
#define DIBS_VIRTQ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mem.h"

#define VQ_MAX_SIZE	256
#define VQ_NO_VECTOR	0xffff

/* For how long an empty queue is watched, in ns, and how often at most it is not */
#define VQ_WATCH	20000
#define VQ_MAX_SKIP	63

/**
 * struct vq_state - a queue; outlives a worker
 * @size: number of descriptors, a power of two
 * @vector: MSI-X vector, or %VQ_NO_VECTOR
 * @enabled: the driver has set it up
 * @desc: address of the descriptor table
 * @avail: address of the driver's ring
 * @used: address of the device's ring
 * @cursor: commit word: how many buffers were given back (low 16 bits), and what
 *	vq_put() was told with the last of them (high 32 bits)
 *
 * Buffers are given back in order, before the next is taken, so the one number is
 * the position in both rings.
 */
struct vq_state {
	uint16_t size;
	uint16_t vector;
	uint16_t enabled;
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	_Atomic uint64_t cursor;
};

/**
 * struct vq - a worker's view of a queue
 * @st: the state behind it
 * @mem: the guest's memory
 * @event_idx: VIRTIO_RING_F_EVENT_IDX was negotiated
 * @broken: the driver has violated the rules
 * @hushed: doorbells were asked not to come, where that takes a flag
 * @watched: looked at although it is empty
 * @dry: since when it has been empty, 0 if it is not
 * @skip: how often it is not watched when it runs dry, before it is again
 * @vain: @skip after it was watched in vain
 * @told: position up to which the driver was notified, or need not be
 * @done: bytes of the next buffer that were dealt with already; for who serves it
 */
struct vq {
	struct vq_state *st;
	struct mem *mem;
	bool event_idx;
	bool broken;
	bool hushed;
	bool watched;
	uint64_t dry;
	uint32_t skip;
	uint32_t vain;
	uint16_t told;
	uint64_t done;
};

struct vq_seg {
	uint64_t addr;
	uint32_t len;
};

/**
 * struct vq_chain - a buffer
 * @head: its number
 * @nr_out: segments that the device reads; they come first
 * @nr: all of them
 * @out_len: what can be read, in bytes
 * @in_len: what can be written
 * @seg: the segments
 */
struct vq_chain {
	uint16_t head;
	uint32_t nr_out;
	uint32_t nr;
	uint64_t out_len;
	uint64_t in_len;
	struct vq_seg seg[VQ_MAX_SIZE];
};

/**
 * struct vq_reader - a position in the readable part of a buffer
 * @chain: the buffer
 * @seg: segment
 * @at: offset in it
 */
struct vq_reader {
	const struct vq_chain *chain;
	uint32_t seg;
	uint32_t at;
};

void vq_attach(struct vq *q, struct vq_state *st, struct mem *mem, bool event_idx);
bool vq_addresses_ok(const struct vq_state *st);
uint16_t vq_position(const struct vq *q);
uint32_t vq_tag(const struct vq *q);

uint64_t vq_key(const struct vq *q);
bool vq_waiting(struct vq *q);
bool vq_get(struct vq *q, struct vq_chain *chain);
bool vq_put(struct vq *q, const struct vq_chain *chain, uint32_t len, uint32_t tag);
bool vq_resume(struct vq *q);
bool vq_should_notify(struct vq *q);
bool vq_watch(struct vq *q, uint64_t now);
bool vq_reachable(const struct vq *q);
bool vq_rest(struct vq *q);

bool vq_read(struct vq *q, struct vq_reader *r, void *buf, uint32_t len);
void vq_skip(struct vq_reader *r, uint64_t len);
void *vq_read_piece(struct vq *q, struct vq_reader *r, uint32_t want, uint32_t *got);
bool vq_write(struct vq *q, const struct vq_chain *chain, const void *buf, uint32_t len);

#endif /* DIBS_VIRTQ_H */
