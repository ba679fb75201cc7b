// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of virtq.c alone: what is in the rings between one step of the device and the
 * next, which no driver could look at
 */
#include <linux/virtio_ring.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../virtq.h"
#include "tap.h"

#define SIZE	16
#define LEN	0x10000
#define DESC	0x0000
#define AVAIL	0x1000
#define USED	0x2000
#define DATA	0x3000

static uint8_t *memory;
static struct mem_state *mem_state;
static struct mem_room room = { .shares = MEM_MIN_SHARES };
static struct mem mem;
static struct vq_state st;
static struct vq q;
static struct vq_chain chain;

static struct vring_desc *desc;
static struct vring_avail *avail;
static struct vring_used *used;

static void setup(bool event_idx)
{
	int fd = memfd_create("rings", MFD_CLOEXEC);

	CHECK(fd >= 0 && !ftruncate(fd, LEN));
	if (memory)
		munmap(memory, LEN);
	if (mem_state)
		mem_map_del_all(&mem);
	mem_close(&mem);
	mem_state = mem_state ? mem_state : calloc(1, sizeof(*mem_state));
	CHECK_EQ(mem_open(&mem, mem_state, &room), 0);
	CHECK_EQ(mem_map_add(&mem, 0, LEN, 0, true, fd), 0);
	memory = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	desc = (void *)(memory + DESC);
	avail = (void *)(memory + AVAIL);
	used = (void *)(memory + USED);
	st = (struct vq_state){
		.size = SIZE, .desc = DESC, .avail = AVAIL, .used = USED, .enabled = 1,
	};
	vq_attach(&q, &st, &mem, event_idx);
}

static void add(int nr)
{
	for (; nr; nr--) {
		uint16_t head = avail->idx % SIZE;

		desc[head] = (struct vring_desc){ DATA, 8, VRING_DESC_F_WRITE, 0 };
		avail->ring[head] = head;
		avail->idx++;
	}
}

static void serve(int nr)
{
	for (; nr; nr--) {
		CHECK(vq_get(&q, &chain));
		CHECK(vq_put(&q, &chain, 8, 0));
	}
}

static uint16_t *avail_event(void)
{
	return (uint16_t *)&used->ring[SIZE];
}

static uint16_t *used_event(void)
{
	return &avail->ring[SIZE];
}

/* The flag is there from the first buffer to the rest; what came before it is seen */
static void hushed_by_flag(void)
{
	setup(false);
	add(2);
	CHECK_EQ(used->flags, 0);
	serve(1);
	CHECK_EQ(used->flags, VRING_USED_F_NO_NOTIFY);
	serve(1);
	CHECK(!vq_get(&q, &chain));
	CHECK_EQ(used->flags, VRING_USED_F_NO_NOTIFY);
	add(1);
	CHECK(vq_rest(&q));
	CHECK_EQ(used->flags, 0);
	serve(1);
	CHECK_EQ(used->flags, VRING_USED_F_NO_NOTIFY);
	CHECK(!vq_rest(&q));
	CHECK_EQ(used->flags, 0);
}

/* The index stays behind until the rest */
static void hushed_by_index(void)
{
	setup(true);
	add(3);
	serve(3);
	CHECK_EQ(*avail_event(), 0);
	CHECK_EQ(used->flags, 0);
	CHECK(!vq_get(&q, &chain));
	add(1);
	CHECK(vq_rest(&q));
	serve(1);
	CHECK_EQ(*avail_event(), 3);
	CHECK(!vq_rest(&q));
	CHECK_EQ(*avail_event(), 4);
}

/* A worker that died has left the flag; the next one rests all the same */
static void flag_of_the_dead(void)
{
	setup(false);
	add(1);
	serve(1);
	CHECK_EQ(used->flags, VRING_USED_F_NO_NOTIFY);
	vq_attach(&q, &st, &mem, false);
	CHECK(vq_resume(&q));
	CHECK(!vq_get(&q, &chain));
	CHECK(!vq_rest(&q));
	CHECK_EQ(used->flags, 0);
}

/* So often is the queue looked at in 1 us steps before it is time to rest */
static uint32_t watched(uint64_t *now)
{
	uint32_t n = 0;

	CHECK(!vq_get(&q, &chain));
	for (; n < 1000 && vq_watch(&q, *now); *now += 1000)
		n++;
	CHECK(n < 1000);
	CHECK(!vq_rest(&q));
	*now += 1000000;
	add(1);
	serve(1);
	return n;
}

/* In vain: after ever more turns without, up to a limit; and no more than a while */
static void watched_in_vain(void)
{
	uint32_t turn, skip, nr[] = { 0, 1, 3, 7, 15, 31, 63, 63, 63 };
	uint64_t now = 1;

	setup(true);
	for (turn = 0; turn < sizeof(nr) / sizeof(nr[0]); turn++) {
		for (skip = 0; skip < nr[turn]; skip++)
			CHECK_EQ(watched(&now), 0);
		CHECK_EQ(watched(&now), VQ_WATCH / 1000);
	}
}

/* Worth it: the next time again, however often it was in vain before */
static void watched_with_success(void)
{
	uint64_t now = 1;
	int i;

	setup(false);
	/* in vain, one turn without, in vain again, three turns without */
	for (i = 0; i < 6; i++)
		watched(&now);
	CHECK(!vq_get(&q, &chain));
	CHECK(vq_watch(&q, now));
	CHECK_EQ(used->flags, VRING_USED_F_NO_NOTIFY);
	for (i = 0; i < 100; i++) {
		now += VQ_WATCH - 1;
		add(1);
		serve(1);
		CHECK(!vq_get(&q, &chain));
		CHECK(vq_watch(&q, now));
	}
	now += VQ_WATCH;
	CHECK(!vq_watch(&q, now));
	CHECK(!vq_rest(&q));
	/* and then as at first: one turn without */
	add(1);
	serve(1);
	CHECK_EQ(watched(&now), 0);
	CHECK_EQ(watched(&now), VQ_WATCH / 1000);
}

static void interrupts_by_flag(void)
{
	setup(false);
	CHECK(!vq_should_notify(&q));
	add(3);
	serve(2);
	CHECK(vq_should_notify(&q));
	CHECK(!vq_should_notify(&q));
	avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	serve(1);
	CHECK(!vq_should_notify(&q));
	/* what was not wanted is not made up for */
	avail->flags = 0;
	CHECK(!vq_should_notify(&q));
}

static void interrupts_by_index(void)
{
	setup(true);
	add(8);
	*used_event() = 4;
	serve(4);
	CHECK(!vq_should_notify(&q));
	serve(1);
	CHECK(vq_should_notify(&q));
	serve(3);
	CHECK(!vq_should_notify(&q));
	/* one for several, among which is the one */
	add(4);
	*used_event() = 9;
	serve(4);
	CHECK(vq_should_notify(&q));
}

/* A worker that died before it notified; and one that had */
static void interrupt_of_the_dead(void)
{
	setup(true);
	add(3);
	*used_event() = 0;
	serve(3);
	vq_attach(&q, &st, &mem, true);
	CHECK(vq_resume(&q));
	CHECK(vq_should_notify(&q));
	*used_event() = 3;
	vq_attach(&q, &st, &mem, true);
	CHECK(vq_resume(&q));
	CHECK(!vq_should_notify(&q));
}

static const struct tap_test tests[] = {
	{ "hushed_by_flag", hushed_by_flag },
	{ "hushed_by_index", hushed_by_index },
	{ "flag_of_the_dead", flag_of_the_dead },
	{ "watched_in_vain", watched_in_vain },
	{ "watched_with_success", watched_with_success },
	{ "interrupts_by_flag", interrupts_by_flag },
	{ "interrupts_by_index", interrupts_by_index },
	{ "interrupt_of_the_dead", interrupt_of_the_dead },
};

TAP_MAIN(tests)
