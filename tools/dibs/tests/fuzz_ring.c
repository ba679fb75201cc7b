// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz target: what a driver has in its memory
 *
 * The input is the beginning of the memory, which has the rings of the first
 * queues in it and everything that they point to. The other port has a DMB for this
 * one, and this one has a DMB for itself; their tokens are 01.. and 02..
 */
#include <linux/virtio_config.h>

#include "fuzz.h"

/* Rings of 16 entries */
#define RING_SIZE	16
#define RING_STEP	0x300
#define AT_AVAIL	0x100
#define AT_USED		0x180

static uint8_t *memory[2];

static void setup_port(struct port *p)
{
	int fd = fuzz_memfd(), i;

	memory[p->nr] = mmap(NULL, FUZZ_MEM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem_map_add(&p->mem, 0, FUZZ_MEM / 2, 0, true, fd) ||
	    mem_map_add(&p->mem, FUZZ_MEM / 2, FUZZ_MEM / 4, FUZZ_MEM / 2, true, fd) ||
	    mem_map_add(&p->mem, FUZZ_MEM * 3 / 4, FUZZ_MEM / 4, FUZZ_MEM * 3 / 4, false, fd))
		abort();
	p->ops->reset(p);
	for (i = 0; i < 5; i++) {
		struct vq_state *q = &p->st->vpci.queue[i];

		q->size = RING_SIZE;
		q->desc = i * RING_STEP;
		q->avail = i * RING_STEP + AT_AVAIL;
		q->used = i * RING_STEP + AT_USED;
		q->enabled = 1;
	}
}

static void start_port(struct port *p, uint64_t features)
{
	static const uint8_t ok = 15;

	p->st->vpci.driver_features = 3ULL << 32 | features;
	p->ops->region_write(p, 0, 20, &ok, 1);
}

static void grant(uint32_t owner, uint32_t to, uint32_t idx)
{
	struct fabric_grant g = { .idx = idx, .nr_ranges = 2 };
	uint64_t token;

	memcpy(g.rgid, st->fabric.ports[to].gid, sizeof(g.rgid));
	g.ranges[0] = (struct fabric_range){ 0x8000, 0x1000, 0 };
	g.ranges[1] = (struct fabric_range){ 0xf000, 0x2000, 0 };
	if (fabric_register(&fabric, owner, 1, &g, &token))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t zero;
	struct port *p = &ports[0];
	int n;

	fuzz_begin();
	if (!memory[0]) {
		setup_port(&ports[0]);
		setup_port(&ports[1]);
	}
	if (!len || len > FUZZ_MEM)
		return 0;
	next_token = 0;
	memset(memory[1], 0, 0x2000);
	start_port(&ports[1], 0);
	memcpy(memory[0], data + 1, len - 1);
	memset(memory[0] + len - 1, 0, 0x4000);
	start_port(p, (data[0] & 1ull) << 29 | (data[0] & 2ull) << 27);
	if (fabric_joined(&fabric, 0) && fabric_joined(&fabric, 1)) {
		grant(1, 0, 3);
		grant(0, 0, 5);
	}
	for (n = 0; n < 64 && p->ready; n++)
		p->ready = p->ops->serve(p);
	for (n = 0; n < 2; n++) {
		struct vpci_state saved = ports[n].st->vpci;
		int i;

		ports[n].ops->region_write(&ports[n], 0, 20, &zero, 1);
		for (i = 0; i < 5; i++) {
			ports[n].st->vpci.queue[i] = saved.queue[i];
			atomic_store(&ports[n].st->vpci.queue[i].cursor, 0);
		}
		if (fabric.view[n].nr_dmbs || fabric.view[n].nr_events ||
		    fabric.view[n].nr_signals)
			abort();
	}
	return 0;
}
