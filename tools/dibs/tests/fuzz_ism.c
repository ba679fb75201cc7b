// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz target: what the drivers of two ISM functions do
 *
 * An input is a sequence of records: one byte that is the function (lowest bit), the
 * region (3 bits) and what is done there (4 bits), one byte that is the length, 8 bytes
 * that are the offset, and that many bytes. Both functions are on the fabric at first, and
 * the second one has a DMB for the first one, whose token is 01010101 00000000.
 */
#include <endian.h>

#include "fuzz.h"

#define PAGE_SIZE	0x1000u
#define BAR_MOVE	0
#define BAR_COMMAND	2

#define MOVE_OFFSET	0x7fffffu
#define MOVE_TOKEN	(~0ull << 28)

#define HEADER_LEN	8
#define WINDOW_LEN	200
#define CODE_AGAIN	9

/* What is mapped page by page, and what can be written to */
#define AT_MANY		0x8000
#define AT_READONLY	(FUZZ_MEM * 3 / 4)

/* The DMB has to be moved to in two pieces */
#define AT_SBA		0x1000
#define AT_IEQ		0x2000
#define AT_DMB		(AT_MANY - PAGE_SIZE)
#define DMB_LEN		(2 * PAGE_SIZE)
#define DMB_IDX		40

/**
 * struct record - a piece of the input
 * @region: number of a region, or what else tells variants of the same from each other
 * @len: length of @data
 * @offset: in the region, or an address
 * @data: what follows
 */
struct record {
	uint32_t region;
	uint32_t len;
	uint64_t offset;
	const uint8_t *data;
};

static struct port_state block_states[2];
static struct port blocks[2];
static uint8_t *memory[2];
static int files[2];
static bool remapped;

/* --------------------------------- memory --------------------------------- */

static void map(struct port *p, uint64_t iova, uint64_t size, bool writable, bool file)
{
	int fd = file ? dup(files[p->nr]) : -1;

	if (!mem_map_add(&p->mem, iova, size, iova % FUZZ_MEM, writable, fd))
		p->ops->mapped(p);
	if (fd >= 0 && !mem_owns_fd(p->mem.st, fd))
		close(fd);
}

static void map_all(struct port *p)
{
	uint64_t iova;

	mem_map_del_all(&p->mem);
	for (iova = 0; iova < AT_MANY; iova += PAGE_SIZE)
		map(p, iova, PAGE_SIZE, true, true);
	map(p, AT_MANY, AT_READONLY - AT_MANY, true, true);
	map(p, AT_READONLY, FUZZ_MEM - AT_READONLY, false, true);
}

static uint64_t size_of(const struct record *r)
{
	return PAGE_SIZE * (uint64_t)(r->len ? r->data[0] : 1);
}

static void do_map(struct port *p, const struct record *r)
{
	remapped = true;
	map(p, r->offset & -PAGE_SIZE, size_of(r), r->region & 1, !(r->region & 2));
}

static void do_unmap(struct port *p, const struct record *r)
{
	remapped = true;
	if (r->region & 1)
		mem_map_del_all(&p->mem);
	else
		mem_map_del(&p->mem, r->offset & -PAGE_SIZE, size_of(r));
	p->ops->unmapped(p);
}

/* -------------------------------- accesses -------------------------------- */

/* What the connection lets through */
static bool within(const struct port *p, const struct record *r)
{
	uint64_t size = p->ops->region_size(r->region);

	return r->len && r->offset <= size && r->len <= size - r->offset;
}

/* What answers the request, to which it has to belong; its code */
static uint32_t response(struct port *p, const uint8_t *request)
{
	uint8_t head[HEADER_LEN];
	uint32_t len;

	p->ops->region_read(p, BAR_COMMAND, 0, head, sizeof(head));
	len = head[6] << 8 | head[7];
	if (memcmp(head, request, 4) || len < HEADER_LEN || len > WINDOW_LEN)
		abort();
	return head[4] << 8 | head[5];
}

/* It was within a DMB that was granted, and the data is there */
static void check_move(struct port *p, const struct record *r)
{
	uint32_t at = r->offset & MOVE_OFFSET;
	uint8_t buf[UINT8_MAX];
	struct fabric_ref ref;

	if (fabric_find(&fabric, p->nr, r->offset & MOVE_TOKEN, &ref) != FABRIC_OK ||
	    at + r->len > ref.dmb->len ||
	    !mem_read(&ports[ref.port].mem, ref.dmb->ranges[0].addr + at, buf, r->len) ||
	    memcmp(buf, r->data, r->len))
		abort();
}

/* A block; the code, if that was a command */
static uint32_t store(struct port *p, const struct record *r)
{
	struct port *b = &blocks[p->nr];
	int rc = b->ops->region_write(b, r->region, r->offset, r->data, r->len);

	if (!rc && r->region == BAR_MOVE)
		check_move(p, r);
	if (rc || r->region != BAR_COMMAND || r->offset || r->len < HEADER_LEN)
		return 0;
	return response(p, r->data);
}

static void do_block(struct port *p, const struct record *r)
{
	if (!within(&blocks[p->nr], r))
		return;
	store(p, r);
	block_states[p->nr].vu.messages++;
}

/* How often there has been something is known to one worker only */
static void forget(const struct port *p)
{
	fabric.view[p->nr].join_due = 0;
	fabric.view[0].sw_due[p->nr] = 0;
	fabric.view[1].sw_due[p->nr] = 0;
}

/*
 * A worker dies before it has noted that a command is done, and one after that. Whoever
 * comes next answers the same, but that what came too often for the first one need not for
 * the next one.
 */
static void do_repeat(struct port *p, const struct record *r)
{
	struct ism_state *ism = &p->st->ism;
	uint64_t done = atomic_load(&ism->done);
	uint8_t before[ISM_WINDOW];

	if (r->region != BAR_COMMAND || !within(&blocks[p->nr], r))
		return;
	memset(&ism->faults, 0, sizeof(ism->faults));
	if (store(p, r) != CODE_AGAIN) {
		memcpy(before, ism->response, sizeof(before));
		forget(p);
		atomic_store(&ism->done, done);
		store(p, r);
		store(p, r);
		if (memcmp(before, ism->response, sizeof(before)))
			abort();
	}
	block_states[p->nr].vu.messages++;
}

static void do_write(struct port *p, const struct record *r)
{
	if (within(p, r))
		p->ops->region_write(p, r->region, r->offset, r->data, r->len);
}

static void do_read(struct port *p, const struct record *r)
{
	struct port *b = &blocks[p->nr];
	uint8_t buf[UINT8_MAX];

	if (within(p, r))
		p->ops->region_read(p, r->region, r->offset, buf, r->len);
	if (within(b, r))
		b->ops->region_read(b, r->region, r->offset, buf, r->len);
}

/* ------------------------------- other than that ------------------------------- */

/* The driver clears the summary, if it comes to look */
static void do_serve(struct port *p, const struct record *r)
{
	p->ready = p->ops->serve(p);
	if (!(r->region & 1))
		memory[p->nr][AT_SBA] = 0;
}

static void do_restart(struct port *p, const struct record *r)
{
	(void)r;
	p->ops->restart(p);
}

static void do_reset(struct port *p, const struct record *r)
{
	if (r->region & 1)
		p = &blocks[p->nr];
	p->ops->reset(p);
}

static void do_inject(struct port *p, const struct record *r)
{
	char what[UINT8_MAX + 1] = { 0 };

	memcpy(what, r->data, r->len);
	p->ops->inject(p, what);
}

static void (*const actions[])(struct port *p, const struct record *r) = {
	do_block, do_repeat, do_write, do_read, do_map, do_unmap, do_serve, do_restart,
	do_reset, do_inject,
};

/* ---------------------------------- inputs ---------------------------------- */

static void setup(void)
{
	int i;

	st->fabric.token_mask = ISM_TOKEN_MASK;
	for (i = 0; i < 2; i++) {
		ports[i].ops = &ism_ops;
		files[i] = fuzz_memfd();
		memory[i] = mmap(NULL, FUZZ_MEM, PROT_READ | PROT_WRITE, MAP_SHARED,
				 files[i], 0);
		if (memory[i] == MAP_FAILED)
			abort();
		blocks[i] = (struct port){
			.nr = i + 1, .st = &block_states[i], .all = ports,
			.fabric = &fabric, .fabric_id = ports[i].fabric_id,
			.ops = &ism_block_ops,
		};
	}
	remapped = true;
}

/* One that cannot fail, of words of the host's order of bytes */
static void command(struct port *p, uint32_t code, uint32_t len, const uint64_t *words)
{
	uint64_t request[5] = { htobe64((uint64_t)code << 32 | len) };
	struct record r = { BAR_COMMAND, len, 0, (const uint8_t *)request };
	uint32_t i;

	for (i = 1; i < len / 8; i++)
		request[i] = htobe64(words[i - 1]);
	if (store(p, &r))
		abort();
	block_states[p->nr].vu.messages++;
}

static void start(struct port *p)
{
	static const uint64_t sba[] = { AT_SBA }, ieq[] = { AT_IEQ, 512 };

	p->ops->reset(p);
	memset(&p->st->ism.faults, 0, sizeof(p->st->ism.faults));
	if (remapped)
		map_all(p);
	memset(memory[p->nr] + AT_SBA, 0, PAGE_SIZE);
	command(p, 1, 16, sba);
	command(p, 2, 24, ieq);
}

/* The first half of the GID of the first function is all that there is of it */
static void start_both(void)
{
	uint64_t dmb[] = { AT_DMB, (uint64_t)DMB_LEN << 32 | DMB_IDX, 0, 0 };

	next_token = 0;
	memcpy(&dmb[3], st->fabric.ports[0].gid, sizeof(dmb[3]));
	dmb[3] = be64toh(dmb[3]);
	start(&ports[0]);
	start(&ports[1]);
	command(&ports[1], 10, 40, dmb);
	remapped = false;
}

/* On the fabric with an array only, and only there with anything else */
static void check(const struct port *p)
{
	const struct ism_state *ism = &p->st->ism;
	bool sba = atomic_load(&ism->sba);

	if (fabric_joined(&fabric, p->nr) != sba || (sba && atomic_load(&ism->error)) ||
	    (!sba && (atomic_load(&ism->ieq) || fabric.view[p->nr].nr_dmbs)))
		abort();
}

static void end(void)
{
	int n;

	ports[0].ops->reset(&ports[0]);
	ports[1].ops->reset(&ports[1]);
	for (n = 0; n < 2; n++)
		if (fabric.view[n].nr_dmbs || fabric.view[n].nr_events ||
		    fabric.view[n].nr_signals)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *stop = data + len;

	fuzz_begin();
	if (!memory[0])
		setup();
	start_both();
	while (stop - data >= 10) {
		struct record r = { .region = data[0] >> 1 & 7, .len = data[1] };
		uint32_t what = (data[0] >> 4) % (sizeof(actions) / sizeof(actions[0]));

		memcpy(&r.offset, data + 2, sizeof(r.offset));
		r.data = data + 10;
		if (r.len > stop - r.data)
			r.len = stop - r.data;
		actions[what](&ports[data[0] & 1], &r);
		check(&ports[0]);
		check(&ports[1]);
		data = r.data + r.len;
	}
	end();
	return 0;
}
