// SPDX-License-Identifier: GPL-2.0
/*
 * ISM functions and their blocks, by drivers that behave and drivers that do not, and
 * with what can be made to go wrong
 *
 * The daemon is the one that DIBS_FABRIC names.
 */
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault.h"
#include "guest.h"
#include "tap.h"

#define PAGE		4096u
#define FABRIC		0x07c1
#define NR_DMBS		1920
#define MAX_LEN		(1u << 20)

/* Where things are in a function's memory, as it sees it */
#define AT_SBA		0x010000
#define AT_IEQ		0x020000
#define AT_DMB		0x100000
#define PAGES		(G_MEM / PAGE)

/* Codes of responses */
enum { OK, UNKNOWN, INVAL, NODEV, BUSY, NOENT, PERM, UNREACH, NOMEM, AGAIN, IO };

enum command {
	REG_SBA = 1, REG_IEQ, READ_GID, ADD_VLAN, DEL_VLAN, SET_VLAN, RESET_VLAN, QUERY_INFO,
	QUERY_RGID, REG_DMB, UNREG_DMB, SIGNAL_IEQ = 0x0e, UNREG_SBA = 0x11, UNREG_IEQ,
};

static const struct { uint32_t code; uint32_t len; } commands[] = {
	{ REG_SBA, 16 }, { REG_IEQ, 24 }, { READ_GID, 8 }, { ADD_VLAN, 16 },
	{ DEL_VLAN, 16 }, { SET_VLAN, 8 }, { RESET_VLAN, 8 }, { QUERY_INFO, 8 },
	{ QUERY_RGID, 24 }, { REG_DMB, 40 }, { UNREG_DMB, 16 }, { SIGNAL_IEQ, 32 },
	{ UNREG_SBA, 8 }, { UNREG_IEQ, 8 },
};

#define NR_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

/**
 * struct function - a function, and who drives it
 * @g: the connection of QEMU, and the memory
 * @blocks: the connection that blocks go over
 * @scattered: pages of the memory are mapped one by one and in no order
 * @gid: GID
 * @resp: the last response, as it was in the window
 */
struct function {
	struct guest g;
	struct guest blocks;
	bool scattered;
	uint64_t gid;
	uint8_t resp[200];
};

static struct function a, b, c;

/* ------------------------------ the driver ------------------------------ */

static uint32_t page_of(const struct function *f, uint32_t page)
{
	return f->scattered ? page * 389 % PAGES : page;
}

/* The byte at an address of the function; to be used up to the end of its page only */
static uint8_t *at(struct function *f, uint32_t addr)
{
	return f->g.mem + page_of(f, addr / PAGE) * PAGE + addr % PAGE;
}

static uint32_t be32_at(struct function *f, uint32_t addr)
{
	return be32toh(*(uint32_t *)at(f, addr));
}

static uint64_t be64_at(struct function *f, uint32_t addr)
{
	return be64toh(*(uint64_t *)at(f, addr));
}

static int map_page(struct function *f, uint32_t page)
{
	return g_map(&f->g, G_IOVA + page * PAGE, PAGE, page_of(f, page) * PAGE, 3,
		     f->g.memfd);
}

static int store(struct function *f, uint32_t region, uint64_t offset, const void *data,
		 uint32_t len)
{
	struct { struct vu_region_access h; uint8_t data[4200]; } m = {
		{ offset, region, len }, { 0 },
	};

	memcpy(m.data, data, len);
	return g_call(&f->blocks, VU_REGION_WRITE, &m, sizeof(m.h) + len, NULL, 0, NULL, 0);
}

static uint64_t load(struct function *f, uint32_t offset)
{
	return be64toh(g_reg_read(&f->g, 2, offset, 8));
}

/* A request of so many bytes, that says of itself that it has len; its code */
static uint32_t send_command(struct function *f, uint32_t code, uint32_t len,
			     const uint64_t *payload, uint32_t bytes)
{
	uint64_t head = htobe64((uint64_t)code << 32 | len), v, i;

	if (bytes)
		CHECK_EQ(store(f, 2, 8, payload, bytes), 0);
	CHECK_EQ(store(f, 2, 0, &head, sizeof(head)), 0);
	for (i = 0; i < sizeof(f->resp); i += 8) {
		v = htobe64(load(f, i));
		memcpy(f->resp + i, &v, 8);
	}
	v = load(f, 0);
	CHECK_EQ(v >> 32, code);
	return v >> 16 & 0xffff;
}

static uint64_t resp64(struct function *f, uint32_t offset)
{
	uint64_t v;

	memcpy(&v, f->resp + offset, sizeof(v));
	return be64toh(v);
}

/* A command that is as long as it has to be, with words of the host's order of bytes */
static uint32_t command(struct function *f, uint32_t code, uint64_t w1, uint64_t w2,
			uint64_t w3, uint64_t w4)
{
	uint64_t words[] = { htobe64(w1), htobe64(w2), htobe64(w3), htobe64(w4) };
	uint32_t i;

	for (i = 0; commands[i].code != code; i++)
		;
	return send_command(f, code, commands[i].len, words, commands[i].len - 8);
}

static uint32_t simple(struct function *f, uint32_t code, uint64_t word)
{
	return command(f, code, word, 0, 0, 0);
}

static uint32_t reg_dmb_vlan(struct function *f, uint32_t idx, uint64_t rgid, uint32_t addr,
			     uint32_t len, uint32_t vlan_valid, uint32_t vlan,
			     uint64_t *token)
{
	uint32_t rc = command(f, REG_DMB, G_IOVA + addr, (uint64_t)len << 32 | idx,
			      (uint64_t)vlan_valid << 32 | vlan, rgid);

	if (token)
		*token = rc ? 0 : resp64(f, 8);
	return rc;
}

static uint32_t reg_dmb(struct function *f, uint32_t idx, uint64_t rgid, uint32_t addr,
			uint32_t len, uint64_t *token)
{
	return reg_dmb_vlan(f, idx, rgid, addr, len, 0, 0, token);
}

static uint32_t query_rgid(struct function *f, uint64_t gid, uint32_t valid, uint32_t id)
{
	return command(f, QUERY_RGID, gid, (uint64_t)valid << 32 | id, 0, 0);
}

/* An event of software: of those there can be many in a row, and then so many in a second */
static uint32_t send_event(struct function *f, uint64_t gid, uint32_t code, uint64_t info)
{
	uint32_t rc;

	while ((rc = command(f, SIGNAL_IEQ, gid, 1ull << 32 | code, info, 0)) == AGAIN)
		usleep(5000);
	return rc;
}

static int move(struct function *f, uint64_t token, uint32_t offset, int signal,
		const void *data, uint32_t len)
{
	uint64_t where = token | offset;

	if (signal >= 0)
		where |= 1ull << 23 | (uint64_t)signal << 24;
	return store(f, 0, where, data, len);
}

/* ------------------------------ life of functions ------------------------------ */

static void connect_blocks(struct function *f, int port)
{
	char path[128];

	snprintf(path, sizeof(path), "%s.blk", port_path(port));
	g_connect_path(&f->blocks, path);
	CHECK_EQ(g_version(&f->blocks), 0);
}

static void connect_function(struct function *f, int port)
{
	uint32_t page;

	g_connect(&f->g, port);
	CHECK_EQ(g_version(&f->g), 0);
	connect_blocks(f, port);
	if (!f->scattered)
		CHECK_EQ(g_map(&f->g, G_IOVA, G_MEM, 0, 3, f->g.memfd), 0);
	for (page = PAGES; f->scattered && page--;)
		CHECK_EQ(map_page(f, page), 0);
	CHECK_EQ(g_set_irqs(&f->g, VU_IRQ_EVENTFD | VU_IRQ_TRIGGER, VU_IRQ_MSI, 0, 1,
			    f->g.irq, 1), 0);
}

static void start_function(struct function *f)
{
	memset(at(f, AT_SBA), 0, PAGE);
	memset(at(f, AT_IEQ), 0, PAGE);
	CHECK_EQ(simple(f, REG_SBA, G_IOVA + AT_SBA), OK);
	CHECK_EQ(command(f, REG_IEQ, G_IOVA + AT_IEQ, 512, 0, 0), OK);
	CHECK_EQ(simple(f, READ_GID, 0), OK);
	f->gid = resp64(f, 8);
}

static void open_function(struct function *f, int port)
{
	connect_function(f, port);
	start_function(f);
}

static void close_function(struct function *f)
{
	g_close(&f->g);
	g_close(&f->blocks);
	f->scattered = false;
}

/* Waits until the function has interrupted, and clears what it has set */
static uint8_t irq(struct function *f)
{
	int i;

	for (i = 0; i < 10000 && !g_irq(&f->g, 0); i++)
		usleep(1000);
	CHECK(i < 10000);
	return __atomic_exchange_n(at(f, AT_SBA), 0, __ATOMIC_SEQ_CST);
}

static bool no_irq(struct function *f)
{
	usleep(50000);
	return !g_irq(&f->g, 0);
}

/* Takes the signals of a DMB, and there are no others */
static uint16_t take_signals(struct function *f, uint32_t idx)
{
	static const uint8_t zero[PAGE];
	uint8_t *bits = at(f, AT_SBA) + 4 + idx / 8, *mask = at(f, AT_SBA) + 256 + 2 * idx;
	uint16_t v = mask[0] << 8 | mask[1];

	CHECK_EQ(*bits, 0x80 >> idx % 8);
	*bits = 0;
	memset(mask, 0, 2);
	CHECK(!memcmp(at(f, AT_SBA), zero, PAGE));
	return v;
}

/* The entry with this number has this event, and is the last one */
static void expect_entry(struct function *f, uint32_t nr, uint32_t type, uint32_t code,
			 uint64_t tok, uint64_t info)
{
	uint32_t entry = AT_IEQ + 32 + 32 * nr;

	CHECK_EQ(be64_at(f, AT_IEQ), nr + 1);
	CHECK_EQ(be32_at(f, entry), type);
	CHECK_EQ(be32_at(f, entry + 4), code);
	CHECK_EQ(be64_at(f, entry + 8), tok);
	CHECK_EQ(be64_at(f, entry + 24), info);
}

static void expect_event(struct function *f, uint32_t nr, uint32_t type, uint32_t code,
			 uint64_t tok, uint64_t info)
{
	CHECK_EQ(irq(f), 0xc0);
	expect_entry(f, nr, type, code, tok, info);
}

enum { EV_DMB, EV_GID, EV_SWR };
enum { GID_DISABLED = 1, GID_ENABLED, GID_RESTARTED };

/* a, and b after it: a was told of b */
static void setup(void)
{
	daemon_device("ism", "0x07c1");
	daemon_start(3, NULL);
	open_function(&a, 0);
	open_function(&b, 1);
	expect_event(&a, 0, EV_GID, GID_ENABLED, b.gid, 0);
	CHECK(no_irq(&b));
}

static void teardown(void)
{
	CHECK_EQ(query_rgid(&a, b.gid, 0, 0), OK);
	CHECK_EQ(query_rgid(&b, a.gid, 0, 0), OK);
	CHECK_EQ(status_number("restarts", 0), 0);
	close_function(&a);
	close_function(&b);
	daemon_stop();
}

/* Of b, for a */
static uint64_t dmb(uint32_t idx, uint32_t addr, uint32_t len)
{
	uint64_t token;

	CHECK_EQ(reg_dmb(&b, idx, a.gid, addr, len, &token), OK);
	CHECK(token);
	CHECK_EQ(token & 0xffffffff, 0);
	return token;
}

/* ------------------------------- PCI function ------------------------------- */

static void pci_function(void)
{
	struct vu_region_info info = { .argsz = sizeof(info) };
	struct vu_irq_info irqs = { .argsz = sizeof(irqs) };
	static const uint64_t size[] = { 1ull << 44, 0, PAGE, 0, PAGE, 0, 0, 256, 0 };
	uint32_t i;

	setup();
	CHECK_EQ(g_reg_read(&a.g, 7, PCI_VENDOR_ID, 4), 0x04ed1014);
	CHECK_EQ(g_reg_read(&a.g, 7, PCI_SUBSYSTEM_VENDOR_ID, 4), FABRIC << 16 | 0x1014);
	CHECK_EQ(g_reg_read(&a.blocks, 7, PCI_SUBSYSTEM_VENDOR_ID, 4),
		 FABRIC << 16 | 0x1014);
	CHECK_EQ(g_reg_read(&a.g, 7, 0x40, 2), 0x5011);
	CHECK_EQ(g_reg_read(&a.g, 7, 0x50, 4), 0x00800005);
	for (i = 0; i < VU_NR_IRQS; i++) {
		irqs.index = i;
		CHECK_EQ(g_call(&a.g, VU_GET_IRQ_INFO, &irqs, sizeof(irqs), NULL, 0, &irqs,
				sizeof(irqs)), 0);
		CHECK_EQ(irqs.count, i <= VU_IRQ_MSIX);
	}
	for (i = 0; i < 9; i++) {
		info.index = i;
		CHECK_EQ(g_call(&a.g, VU_GET_REGION_INFO, &info, sizeof(info), NULL, 0,
				&info, sizeof(info)), 0);
		CHECK_EQ(info.size, size[i]);
	}
	g_reg_write(&a.g, 7, PCI_COMMAND, 6, 2);
	CHECK_EQ(g_reg_read(&a.g, 7, PCI_COMMAND, 2), 6);
	g_reg_write(&a.g, 7, PCI_VENDOR_ID, 0, 4);
	g_reg_write(&a.g, 7, PCI_BASE_ADDRESS_0, 0xffffffff, 4);
	CHECK_EQ(g_reg_read(&a.g, 7, PCI_VENDOR_ID, 4), 0x04ed1014);
	CHECK_EQ(g_reg_read(&a.g, 7, PCI_BASE_ADDRESS_0, 4), 0xc);
	teardown();
}

/* Only blocks do something, and they do nothing else */
static void stores_are_blocks(void)
{
	struct { struct vu_region_access h; uint64_t v; } w = {
		{ 0, 2, 8 }, htobe64((uint64_t)READ_GID << 32 | 8),
	};
	uint8_t data[300] = { 0 };

	setup();
	CHECK_EQ(simple(&a, RESET_VLAN, 0), OK);
	CHECK_EQ(g_call(&a.g, VU_REGION_WRITE, &w, sizeof(w), NULL, 0, NULL, 0), EOPNOTSUPP);
	w.h.region = 0;
	CHECK_EQ(g_call(&a.g, VU_REGION_WRITE, &w, sizeof(w), NULL, 0, NULL, 0), EOPNOTSUPP);
	CHECK_EQ(load(&a, 0), (uint64_t)RESET_VLAN << 32 | 8);
	CHECK_EQ(store(&a, 7, 4, data, 2), EOPNOTSUPP);
	CHECK_EQ(store(&a, 4, 0, data, 8), EOPNOTSUPP);
	CHECK_EQ(store(&a, 1, 0, data, 8), EINVAL);
	CHECK_EQ(store(&a, 2, 256, data, 8), ERANGE);
	CHECK_EQ(store(&a, 2, 4088, data, 8), ERANGE);
	CHECK_EQ(store(&a, 2, 4096, data, 8), EINVAL);
	CHECK_EQ(store(&a, 2, 0, data, 257), ERANGE);
	/* neither the payload nor half a header is a command */
	CHECK_EQ(store(&a, 2, 8, data, 248), 0);
	CHECK_EQ(store(&a, 2, 0, data, 7), 0);
	CHECK_EQ(store(&a, 2, 4, data, 4), 0);
	CHECK_EQ(load(&a, 0), (uint64_t)RESET_VLAN << 32 | 8);
	CHECK_EQ(load(&a, 256), 0);
	CHECK_EQ(status_number("commands", 0), 4);
	teardown();
}

/* A store to the start with all of it in one block is one, too */
static void command_in_one_block(void)
{
	uint64_t words[3] = {
		htobe64((uint64_t)QUERY_RGID << 32 | 24), 0, 0,
	};

	setup();
	words[1] = htobe64(b.gid);
	CHECK_EQ(store(&a, 2, 0, words, sizeof(words)), 0);
	CHECK_EQ(load(&a, 0), (uint64_t)QUERY_RGID << 32 | 8);
	words[1]++;
	CHECK_EQ(store(&a, 2, 0, words, sizeof(words)), 0);
	CHECK_EQ(load(&a, 0) >> 16 & 0xffff, UNREACH);
	teardown();
}

/* -------------------------------- commands -------------------------------- */

/* No other length than the right one, and nothing in the field before it */
static void strict_lengths(void)
{
	static const uint64_t payload[31];
	uint32_t i, len;

	setup();
	for (i = 0; i < NR_COMMANDS; i++) {
		for (len = 0; len <= 264; len++) {
			if (len == commands[i].len)
				continue;
			CHECK_EQ(send_command(&a, commands[i].code, len, payload,
					      len == 8 ? 0 : 40), INVAL);
			CHECK_EQ(load(&a, 0) & 0xffff, 8);
		}
		CHECK_EQ(send_command(&a, commands[i].code, 1 << 16 | commands[i].len,
				      payload, 40), INVAL);
	}
	for (i = 0; i < 0x40; i++)
		if (i == 0 || i == 0xc || i == 0xd || i == 0xf || i == 0x10 || i > 0x12)
			CHECK_EQ(send_command(&a, i, 8, NULL, 0), UNKNOWN);
	CHECK_EQ(send_command(&a, 0x80000003, 8, NULL, 0), UNKNOWN);
	teardown();
}

static bool rest_is_zero(struct function *f, uint32_t from)
{
	for (; from < sizeof(f->resp); from++)
		if (f->resp[from])
			return false;
	return true;
}

/* As long as it says, and with nothing of the last one behind that */
static void responses(void)
{
	uint64_t token;

	setup();
	CHECK_EQ(simple(&a, QUERY_INFO, 0), OK);
	CHECK_EQ(resp64(&a, 0), (uint64_t)QUERY_INFO << 32 | 200);
	CHECK_EQ(simple(&a, READ_GID, 0), OK);
	CHECK_EQ(resp64(&a, 0), (uint64_t)READ_GID << 32 | 16);
	CHECK_EQ(resp64(&a, 8), a.gid);
	CHECK(rest_is_zero(&a, 16));
	CHECK_EQ(reg_dmb(&a, 40, b.gid, AT_DMB, PAGE, &token), OK);
	CHECK_EQ(resp64(&a, 0), (uint64_t)REG_DMB << 32 | 16);
	CHECK(rest_is_zero(&a, 16));
	CHECK_EQ(reg_dmb(&a, 40, b.gid, AT_DMB, PAGE, NULL), BUSY);
	CHECK_EQ(resp64(&a, 0), (uint64_t)REG_DMB << 32 | BUSY << 16 | 8);
	CHECK(rest_is_zero(&a, 8));
	CHECK(a.gid && a.gid != b.gid);
	teardown();
}

static void query_info(void)
{
	setup();
	CHECK_EQ(simple(&a, ADD_VLAN, 0x1fff), OK);
	CHECK_EQ(simple(&a, ADD_VLAN, 7), OK);
	CHECK_EQ(simple(&a, SET_VLAN, 0), OK);
	CHECK_EQ(reg_dmb_vlan(&a, 40, c.gid + 1, AT_DMB, PAGE, 1, 7, NULL), OK);
	CHECK_EQ(simple(&a, QUERY_INFO, 0), OK);
	CHECK_EQ(resp64(&a, 8), 1ull << 32 | 200);
	CHECK_EQ(resp64(&a, 16), 0);
	CHECK_EQ(resp64(&a, 24), a.gid);
	CHECK_EQ(resp64(&a, 32), G_IOVA + AT_SBA);
	CHECK_EQ(resp64(&a, 40), G_IOVA + AT_IEQ);
	CHECK_EQ(resp64(&a, 48), 512ull << 32);
	CHECK_EQ(resp64(&a, 56), 1ull << 32 | 1);
	CHECK_EQ(resp64(&a, 64), 1ull << 32 | 2);
	CHECK_EQ(resp64(&a, 72), 0x1fff000700000000);
	CHECK(rest_is_zero(&a, 80));
	CHECK_EQ(simple(&a, RESET_VLAN, 0), OK);
	CHECK_EQ(simple(&a, QUERY_INFO, 0), OK);
	CHECK_EQ(resp64(&a, 64), 2);
	teardown();
}

static void areas(void)
{
	setup();
	CHECK_EQ(simple(&a, REG_SBA, G_IOVA + AT_SBA), BUSY);
	CHECK_EQ(command(&a, REG_IEQ, G_IOVA + AT_IEQ, 512, 0, 0), BUSY);
	connect_function(&c, 2);
	CHECK_EQ(command(&c, REG_IEQ, G_IOVA + AT_IEQ, 512, 0, 0), NODEV);
	CHECK_EQ(simple(&c, UNREG_SBA, 0), NODEV);
	CHECK_EQ(simple(&c, UNREG_IEQ, 0), NODEV);
	CHECK_EQ(simple(&c, REG_SBA, 0), INVAL);
	CHECK_EQ(simple(&c, REG_SBA, G_IOVA + AT_SBA + 8), INVAL);
	CHECK_EQ(simple(&c, REG_SBA, G_IOVA - PAGE), IO);
	CHECK_EQ(simple(&c, REG_SBA, -(uint64_t)PAGE), IO);
	CHECK_EQ(reg_dmb(&c, 40, a.gid, AT_DMB, PAGE, NULL), NODEV);
	CHECK_EQ(query_rgid(&c, a.gid, 0, 0), NODEV);
	CHECK_EQ(query_rgid(&a, c.gid, 0, 0), UNREACH);
	CHECK_EQ(simple(&c, REG_SBA, G_IOVA + AT_SBA), OK);
	CHECK_EQ(command(&c, REG_IEQ, G_IOVA + AT_IEQ + 8, 512, 0, 0), INVAL);
	CHECK_EQ(command(&c, REG_IEQ, 0, 512, 0, 0), INVAL);
	CHECK_EQ(command(&c, REG_IEQ, G_IOVA + AT_IEQ, 511, 0, 0), INVAL);
	CHECK_EQ(command(&c, REG_IEQ, G_IOVA + G_MEM, 512, 0, 0), IO);
	CHECK_EQ(command(&c, REG_IEQ, G_IOVA + AT_IEQ, 512, 0, 0), OK);
	CHECK_EQ(be64_at(&c, AT_IEQ), 0);
	CHECK_EQ(be64_at(&c, AT_IEQ + 8), 512);
	CHECK_EQ(be64_at(&c, AT_IEQ + 16), 32);
	CHECK_EQ(simple(&c, UNREG_IEQ, 0), OK);
	CHECK_EQ(simple(&c, UNREG_IEQ, 0), NODEV);
	CHECK_EQ(simple(&c, UNREG_SBA, 0), OK);
	CHECK_EQ(simple(&c, UNREG_SBA, 0), NODEV);
	CHECK(no_irq(&c));
	close_function(&c);
	teardown();
}

/* Another one's event finds no queue in what was one before the array was taken away */
static void queue_of_before(void)
{
	uint32_t i;

	setup();
	CHECK_EQ(simple(&b, UNREG_SBA, 0), OK);
	expect_event(&a, 1, EV_GID, GID_DISABLED, b.gid, 0);
	CHECK_EQ(simple(&b, UNREG_IEQ, 0), NODEV);
	memset(at(&b, AT_IEQ), 0x5a, PAGE);
	CHECK_EQ(simple(&b, REG_SBA, G_IOVA + AT_SBA), OK);
	expect_event(&a, 2, EV_GID, GID_ENABLED, b.gid, 0);
	CHECK_EQ(send_event(&a, b.gid, 7, 1), OK);
	CHECK(no_irq(&b));
	for (i = 0; i < PAGE; i++)
		CHECK_EQ(at(&b, AT_IEQ)[i], 0x5a);
	CHECK_EQ(command(&b, REG_IEQ, G_IOVA + AT_IEQ, 512, 0, 0), OK);
	CHECK_EQ(send_event(&a, b.gid, 8, 2), OK);
	expect_event(&b, 0, EV_SWR, 8, a.gid, 2);
	teardown();
}

/* A driver that could not give its memory back has this at least */
static void no_bus_master(void)
{
	uint64_t token;

	setup();
	g_reg_write(&b.g, 7, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	token = dmb(40, AT_DMB, PAGE);
	g_reg_write(&b.g, 7, PCI_STATUS, 0, 2);
	CHECK_EQ(query_rgid(&a, b.gid, 0, 0), OK);
	g_reg_write(&b.g, 7, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	expect_event(&a, 1, EV_GID, GID_DISABLED, b.gid, 0);
	CHECK_EQ(query_rgid(&a, b.gid, 0, 0), UNREACH);
	CHECK_EQ(move(&a, token, 0, 1, "x", 1), ENXIO);
	CHECK_EQ(*at(&b, AT_DMB), 0);
	CHECK(no_irq(&b));
	g_reg_write(&b.g, 7, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	start_function(&b);
	expect_event(&a, 2, EV_GID, GID_ENABLED, b.gid, 0);
	teardown();
}

/* Others are told each time, which a function cannot have as often as it likes */
static void joins_without_end(void)
{
	int i, ok = 0;
	uint16_t rc = OK;

	setup();
	connect_function(&c, 2);
	for (i = 0; i < 200; i++) {
		rc = simple(&c, REG_SBA, G_IOVA + AT_SBA);
		if (rc != OK)
			break;
		ok++;
		CHECK_EQ(simple(&c, UNREG_SBA, 0), OK);
	}
	printf("# %d times\n", ok);
	CHECK_EQ(rc, AGAIN);
	CHECK(ok >= 64 && ok < 200);
	usleep(50000);
	CHECK_EQ(simple(&c, REG_SBA, G_IOVA + AT_SBA), OK);
	CHECK_EQ(query_rgid(&c, a.gid, 0, 0), OK);
	close_function(&c);
	teardown();
}

static void vlans(void)
{
	uint32_t i;

	setup();
	CHECK_EQ(simple(&a, ADD_VLAN, 0), INVAL);
	CHECK_EQ(simple(&a, ADD_VLAN, 4095), INVAL);
	CHECK_EQ(simple(&a, ADD_VLAN, 0x1ffe), INVAL);
	CHECK_EQ(simple(&a, ADD_VLAN, 1ull << 32 | 5), INVAL);
	CHECK_EQ(simple(&a, DEL_VLAN, 5), NOENT);
	CHECK_EQ(simple(&a, DEL_VLAN, 0), NOENT);
	/* of which neither is a member, then one, then both */
	CHECK_EQ(query_rgid(&a, b.gid, 1, 5), PERM);
	CHECK_EQ(reg_dmb_vlan(&a, 40, b.gid, AT_DMB, PAGE, 1, 5, NULL), PERM);
	CHECK_EQ(simple(&a, ADD_VLAN, 5), OK);
	CHECK_EQ(simple(&a, ADD_VLAN, 5), OK);
	CHECK_EQ(query_rgid(&a, b.gid, 1, 5), UNREACH);
	CHECK_EQ(reg_dmb_vlan(&a, 40, b.gid, AT_DMB, PAGE, 1, 5, NULL), UNREACH);
	CHECK_EQ(simple(&b, ADD_VLAN, 5), OK);
	CHECK_EQ(query_rgid(&a, b.gid, 1, 5), OK);
	CHECK_EQ(reg_dmb_vlan(&a, 40, b.gid, AT_DMB, PAGE, 1, 5, NULL), OK);
	CHECK_EQ(query_rgid(&a, b.gid, 1, 0), PERM);
	CHECK_EQ(query_rgid(&a, b.gid, 2, 5), INVAL);
	/* one that has to have one */
	CHECK_EQ(simple(&a, SET_VLAN, 0), OK);
	CHECK_EQ(query_rgid(&a, b.gid, 0, 0), INVAL);
	CHECK_EQ(reg_dmb(&a, 41, b.gid, AT_DMB, PAGE, NULL), INVAL);
	CHECK_EQ(query_rgid(&a, b.gid, 1, 5), OK);
	CHECK_EQ(query_rgid(&b, a.gid, 0, 0), OK);
	CHECK_EQ(simple(&a, RESET_VLAN, 0), OK);
	CHECK_EQ(query_rgid(&a, b.gid, 0, 0), OK);
	CHECK_EQ(simple(&a, DEL_VLAN, 5), OK);
	CHECK_EQ(simple(&a, DEL_VLAN, 5), NOENT);
	CHECK_EQ(query_rgid(&a, b.gid, 1, 5), PERM);
	/* 64 of them */
	for (i = 0; i < 64; i++)
		CHECK_EQ(simple(&a, ADD_VLAN, 100 + i), OK);
	CHECK_EQ(simple(&a, ADD_VLAN, 5), NOMEM);
	CHECK_EQ(simple(&a, ADD_VLAN, 163), OK);
	CHECK_EQ(simple(&a, DEL_VLAN, 101), OK);
	CHECK_EQ(simple(&a, ADD_VLAN, 0x1fff), OK);
	teardown();
}

static void dmb_limits(void)
{
	uint64_t token, other;

	setup();
	CHECK_EQ(reg_dmb(&b, 0, a.gid, AT_DMB, PAGE, NULL), INVAL);
	CHECK_EQ(reg_dmb(&b, 31, a.gid, AT_DMB, PAGE, NULL), INVAL);
	CHECK_EQ(reg_dmb(&b, NR_DMBS, a.gid, AT_DMB, PAGE, NULL), INVAL);
	CHECK_EQ(reg_dmb(&b, 0xffffffff, a.gid, AT_DMB, PAGE, NULL), INVAL);
	CHECK_EQ(reg_dmb(&b, 32, a.gid, AT_DMB, 0, NULL), INVAL);
	CHECK_EQ(reg_dmb(&b, 32, a.gid, AT_DMB, PAGE - 1, NULL), INVAL);
	CHECK_EQ(reg_dmb(&b, 32, a.gid, AT_DMB, MAX_LEN + PAGE, NULL), INVAL);
	CHECK_EQ(reg_dmb(&b, 32, a.gid, AT_DMB + 1, PAGE, NULL), INVAL);
	CHECK_EQ(reg_dmb(&b, 32, a.gid, G_MEM - PAGE, 2 * PAGE, NULL), IO);
	CHECK_EQ(reg_dmb(&b, 32, 0, AT_DMB, PAGE, NULL), INVAL);
	token = dmb(32, AT_DMB, MAX_LEN);
	other = dmb(NR_DMBS - 1, AT_DMB + MAX_LEN, PAGE);
	CHECK(token != other);
	CHECK_EQ(reg_dmb(&b, 32, a.gid, AT_DMB, PAGE, NULL), BUSY);
	CHECK_EQ(simple(&a, UNREG_DMB, token), PERM);
	CHECK_EQ(simple(&b, UNREG_DMB, token + 1), NOENT);
	CHECK_EQ(simple(&b, UNREG_DMB, token), OK);
	CHECK_EQ(simple(&b, UNREG_DMB, token), NOENT);
	CHECK_EQ(status_number("dmbs", 1), 1);
	CHECK_EQ(status_number("bytes", 1), PAGE);
	teardown();
}

/* As many as there can be */
static void many_dmbs(void)
{
	static uint64_t token[NR_DMBS];
	uint32_t i;

	setup();
	for (i = 32; i < NR_DMBS; i++)
		token[i] = dmb(i, AT_DMB + i % 256 * PAGE, PAGE);
	for (i = 32; i < NR_DMBS; i += 117) {
		CHECK_EQ(move(&a, token[i], 0, i % 16, &i, sizeof(i)), 0);
		CHECK_EQ(irq(&b), 0x80);
		CHECK_EQ(take_signals(&b, i), 0x8000 >> i % 16);
		CHECK(!memcmp(at(&b, AT_DMB + i % 256 * PAGE), &i, sizeof(i)));
	}
	for (i = 32; i < NR_DMBS; i++)
		CHECK_EQ(simple(&b, UNREG_DMB, token[i]), OK);
	CHECK_EQ(status_number("dmbs", 1), 0);
	teardown();
}

/* ---------------------------------- moves ---------------------------------- */

static uint8_t model[4 * PAGE], data[PAGE + 64];

static void random_data(void)
{
	uint32_t i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = rand();
}

/* Each length, against a copy of all of the memory around */
static void moves_of_every_length(void)
{
	uint32_t len, offset, i;
	uint64_t token;

	b.scattered = true;
	setup();
	srand(11);
	token = dmb(40, AT_DMB + PAGE, 2 * PAGE);
	for (len = 1; len <= PAGE; len++) {
		random_data();
		offset = len % 2 * PAGE + rand() % (PAGE - len + 1);
		CHECK_EQ(move(&a, token, offset, -1, data, len), 0);
		memcpy(model + PAGE + offset, data, len);
		for (i = 0; i < 4; i++)
			CHECK(!memcmp(model + i * PAGE, at(&b, AT_DMB + i * PAGE), PAGE));
	}
	/* and each alignment of those that are written in words */
	for (len = 1; len <= 24; len++) {
		for (offset = 0; offset < 16; offset++) {
			random_data();
			CHECK_EQ(move(&a, token, offset, -1, data, len), 0);
			memcpy(model + PAGE + offset, data, len);
			CHECK(!memcmp(model + PAGE, at(&b, AT_DMB + PAGE), PAGE));
		}
	}
	CHECK(no_irq(&b));
	CHECK_EQ(status_number("moves", 0), PAGE + 24 * 16);
	teardown();
}

static void refused_moves(void)
{
	static uint8_t before[2 * PAGE];
	uint64_t token, foreign, gone;

	setup();
	open_function(&c, 2);
	CHECK_EQ(irq(&b), 0xc0);
	token = dmb(40, AT_DMB, PAGE);
	gone = dmb(41, AT_DMB, PAGE);
	CHECK_EQ(simple(&b, UNREG_DMB, gone), OK);
	CHECK_EQ(reg_dmb(&b, 42, c.gid, AT_DMB, PAGE, &foreign), OK);
	memset(data, 0xdd, sizeof(data));
	memcpy(before, at(&b, AT_DMB), sizeof(before));
	/* no such token, one of somebody else, one that was, and bits that are no field */
	CHECK_EQ(move(&a, 0, 0, 1, data, 8), ENXIO);
	CHECK_EQ(move(&a, token + (1ull << 32), 0, 1, data, 8), ENXIO);
	CHECK_EQ(move(&a, token | 1ull << 28, 0, 1, data, 8), ENXIO);
	CHECK_EQ(move(&a, token | 1ull << 31, 0, 1, data, 8), ENXIO);
	CHECK_EQ(move(&a, foreign, 0, 1, data, 8), ENXIO);
	CHECK_EQ(move(&a, gone, 0, 1, data, 8), ENXIO);
	CHECK_EQ(move(&b, token, 0, 1, data, 8), ENXIO);
	/* beyond the end, over the end of a page, too long, too short */
	CHECK_EQ(move(&a, token, PAGE, 1, data, 1), ENXIO);
	CHECK_EQ(move(&a, token, 0x7fffff, 1, data, 1), ENXIO);
	CHECK_EQ(move(&a, token, 1, 1, data, PAGE), ENXIO);
	CHECK_EQ(move(&a, token, PAGE - 8, 1, data, 9), ENXIO);
	CHECK_EQ(move(&a, token, 0, 1, data, PAGE + 1), ENXIO);
	CHECK_EQ(move(&a, token, 0, 1, data, 0), EINVAL);
	CHECK(!memcmp(before, at(&b, AT_DMB), sizeof(before)));
	CHECK(no_irq(&b));
	CHECK_EQ(status_number("signals", 1), 0);
	CHECK_EQ(move(&c, foreign, 0, 1, data, 8), 0);
	CHECK_EQ(irq(&b), 0x80);
	close_function(&c);
	teardown();
}

/* A function without an array is on no fabric */
static void moves_of_a_function_that_left(void)
{
	uint64_t token;

	setup();
	token = dmb(40, AT_DMB, PAGE);
	CHECK_EQ(move(&a, token, 0, 1, "x", 1), 0);
	CHECK_EQ(irq(&b), 0x80);
	CHECK_EQ(simple(&a, UNREG_SBA, 0), OK);
	CHECK_EQ(move(&a, token, 0, 1, "y", 1), ENXIO);
	CHECK_EQ(*at(&b, AT_DMB), 'x');
	CHECK_EQ(simple(&a, REG_SBA, G_IOVA + AT_SBA), OK);
	CHECK_EQ(move(&a, token, 0, 1, "z", 1), 0);
	CHECK_EQ(*at(&b, AT_DMB), 'z');
	teardown();
}

/* Maps come one by one, go in one go, go away under a DMB, and come back elsewhere */
static void maps(void)
{
	uint32_t i, page = AT_DMB / PAGE;
	uint64_t token;

	b.scattered = true;
	setup();
	token = dmb(40, AT_DMB, MAX_LEN);
	srand(3);
	for (i = 0; i < MAX_LEN; i += PAGE) {
		memset(data, i / PAGE, PAGE);
		CHECK_EQ(move(&a, token, i, -1, data, PAGE), 0);
	}
	for (i = 0; i < MAX_LEN; i += PAGE)
		CHECK(*at(&b, AT_DMB + i) == (uint8_t)(i / PAGE) &&
		      *at(&b, AT_DMB + i + PAGE - 1) == (uint8_t)(i / PAGE));
	/* what was mapped already is mapped */
	CHECK_EQ(map_page(&b, page), 0);
	CHECK_EQ(g_unmap(&b.g, G_IOVA + AT_DMB + PAGE, 16 * PAGE), 0);
	CHECK_EQ(move(&a, token, PAGE, 3, "x", 1), ENXIO);
	CHECK_EQ(move(&a, token, 16 * PAGE, 3, "x", 1), ENXIO);
	CHECK_EQ(move(&a, token, 17 * PAGE, -1, "x", 1), 0);
	CHECK_EQ(reg_dmb(&b, 41, a.gid, AT_DMB, MAX_LEN, NULL), IO);
	CHECK(no_irq(&b));
	CHECK_EQ(g_map(&b.g, G_IOVA + AT_DMB + PAGE, PAGE, page_of(&b, 7) * PAGE, 3,
		       b.g.memfd), 0);
	CHECK_EQ(move(&a, token, PAGE + 5, 3, "new", 3), 0);
	CHECK(!memcmp(at(&b, 7 * PAGE + 5), "new", 3));
	CHECK_EQ(*at(&b, AT_DMB + PAGE + 5), 1);
	CHECK_EQ(irq(&b), 0x80);
	CHECK_EQ(take_signals(&b, 40), 0x8000 >> 3);
	/* read-only is not enough */
	CHECK_EQ(g_map(&b.g, G_IOVA + AT_DMB + 2 * PAGE, PAGE, 0, 1, b.g.memfd), 0);
	CHECK_EQ(move(&a, token, 2 * PAGE, -1, "x", 1), ENXIO);
	teardown();
}

/* --------------------------- signals and events --------------------------- */

static void signals(void)
{
	static const uint32_t idx[] = { 32, 33, 39, 40, 63, 64, 1919 };
	uint64_t token;
	uint32_t i, s;

	setup();
	for (i = 0; i < 7; i++) {
		token = dmb(idx[i], AT_DMB, PAGE);
		for (s = 0; s < 16; s++) {
			CHECK_EQ(move(&a, token, 0, s, "s", 1), 0);
			CHECK_EQ(irq(&b), 0x80);
			CHECK_EQ(take_signals(&b, idx[i]), 0x8000 >> s);
		}
	}
	/* one interrupt until the summary bit is cleared, and all of the signals */
	for (s = 0; s < 16; s += 3)
		CHECK_EQ(move(&a, token, 0, s, "s", 1), 0);
	CHECK_EQ(query_rgid(&b, a.gid, 0, 0), OK);
	CHECK_EQ(g_irqs(&b.g, 0), 1);
	CHECK_EQ(*at(&b, AT_SBA), 0x80);
	*at(&b, AT_SBA) = 0;
	CHECK_EQ(take_signals(&b, 1919), 0x8000 | 0x1000 | 0x0200 | 0x0040 | 0x0008 | 1);
	CHECK(no_irq(&b));
	teardown();
}

/* Memory that is away, and a signal that must not stay in the way of later ones */
static void signals_without_memory(void)
{
	uint64_t token;

	b.scattered = true;
	setup();
	token = dmb(40, AT_DMB, PAGE);
	CHECK_EQ(g_unmap(&b.g, G_IOVA + AT_SBA, PAGE), 0);
	CHECK_EQ(move(&a, token, 0, 1, "1", 1), 0);
	CHECK(no_irq(&b));
	CHECK_EQ(map_page(&b, AT_SBA / PAGE), 0);
	CHECK_EQ(move(&a, token, 0, 2, "2", 1), 0);
	CHECK_EQ(irq(&b), 0x80);
	CHECK_EQ(take_signals(&b, 40), 0x8000 >> 2);
	CHECK_EQ(g_unmap(&b.g, G_IOVA + AT_IEQ, PAGE), 0);
	CHECK_EQ(send_event(&a, b.gid, 1, 1), OK);
	CHECK(no_irq(&b));
	CHECK_EQ(map_page(&b, AT_IEQ / PAGE), 0);
	CHECK_EQ(send_event(&a, b.gid, 2, 22), OK);
	expect_event(&b, 1, EV_SWR, 2, a.gid, 22);
	CHECK(status_number("io", 1) >= 2);
	teardown();
}

static void events_of_functions(void)
{
	setup();
	open_function(&c, 2);
	expect_event(&a, 1, EV_GID, GID_ENABLED, c.gid, 0);
	expect_event(&b, 0, EV_GID, GID_ENABLED, c.gid, 0);
	CHECK(no_irq(&c));
	CHECK_EQ(query_rgid(&a, c.gid, 0, 0), OK);
	CHECK_EQ(g_call(&c.g, VU_RESET, NULL, 0, NULL, 0, NULL, 0), 0);
	expect_event(&a, 2, EV_GID, GID_DISABLED, c.gid, 0);
	expect_event(&b, 1, EV_GID, GID_DISABLED, c.gid, 0);
	CHECK_EQ(query_rgid(&a, c.gid, 0, 0), UNREACH);
	start_function(&c);
	expect_event(&a, 3, EV_GID, GID_ENABLED, c.gid, 0);
	expect_event(&b, 2, EV_GID, GID_ENABLED, c.gid, 0);
	CHECK_EQ(simple(&c, UNREG_IEQ, 0), OK);
	CHECK_EQ(simple(&c, UNREG_SBA, 0), OK);
	expect_event(&a, 4, EV_GID, GID_DISABLED, c.gid, 0);
	expect_event(&b, 3, EV_GID, GID_DISABLED, c.gid, 0);
	/* the time of the events */
	CHECK(be64_at(&a, AT_IEQ + 4 * 32 + 16));
	CHECK(be64_at(&a, AT_IEQ + 4 * 32 + 16) < be64_at(&a, AT_IEQ + 5 * 32 + 16));
	CHECK_EQ(simple(&c, REG_SBA, G_IOVA + AT_SBA), OK);
	expect_event(&a, 5, EV_GID, GID_ENABLED, c.gid, 0);
	expect_event(&b, 4, EV_GID, GID_ENABLED, c.gid, 0);
	close_function(&c);
	expect_event(&a, 6, EV_GID, GID_DISABLED, c.gid, 0);
	expect_event(&b, 5, EV_GID, GID_DISABLED, c.gid, 0);
	teardown();
}

static void events_of_dmbs(void)
{
	uint64_t used, unused;

	setup();
	used = dmb(40, AT_DMB, PAGE);
	unused = dmb(41, AT_DMB, PAGE);
	CHECK_EQ(move(&a, used, 0, -1, "x", 1), 0);
	CHECK_EQ(simple(&b, UNREG_DMB, unused), OK);
	CHECK_EQ(simple(&b, UNREG_DMB, used), OK);
	expect_event(&a, 1, EV_DMB, 0, used, 0);
	CHECK(no_irq(&a));
	teardown();
}

/* 15 entries in turn, and what is not taken in time is written over */
static void event_queue(void)
{
	uint32_t i, n;

	setup();
	CHECK_EQ(send_event(&a, b.gid + 1, 1, 1), UNREACH);
	for (i = 0; i < 40; i++) {
		CHECK_EQ(send_event(&a, b.gid, i, i << 8), OK);
		expect_event(&b, i % 15, EV_SWR, i, a.gid, i << 8);
	}
	memset(at(&b, AT_IEQ), 0, PAGE);
	for (i = 40; i < 60; i++)
		CHECK_EQ(send_event(&a, b.gid, i, i << 8), OK);
	CHECK_EQ(irq(&b), 0xc0);
	CHECK_EQ(g_irqs(&b.g, 0), 0);
	expect_entry(&b, 14, EV_SWR, 59, a.gid, 59 << 8);
	for (i = 45; i < 60; i++) {
		n = AT_IEQ + 32 + 32 * (i % 15);
		CHECK_EQ(be32_at(&b, n + 4), i);
	}
	/* nothing is written behind it */
	CHECK_EQ(be64_at(&b, AT_IEQ + 512), 0);
	teardown();
}

/* Whoever has no queue has lost what happened */
static void events_without_queue(void)
{
	setup();
	CHECK_EQ(simple(&b, UNREG_IEQ, 0), OK);
	CHECK_EQ(send_event(&a, b.gid, 1, 1), OK);
	CHECK(no_irq(&b));
	CHECK_EQ(command(&b, REG_IEQ, G_IOVA + AT_IEQ, 512, 0, 0), OK);
	CHECK_EQ(send_event(&a, b.gid, 2, 2), OK);
	expect_event(&b, 0, EV_SWR, 2, a.gid, 2);
	teardown();
}

/* --------------------------- what goes wrong --------------------------- */

/* A guest that disables the function takes away all of its memory */
static void disabled(void)
{
	uint64_t token;

	setup();
	token = dmb(40, AT_DMB, PAGE);
	CHECK_EQ(g_unmap(&b.g, G_IOVA, G_MEM), 0);
	expect_event(&a, 1, EV_GID, GID_DISABLED, b.gid, 0);
	CHECK_EQ(move(&a, token, 0, 1, "x", 1), ENXIO);
	CHECK_EQ(query_rgid(&a, b.gid, 0, 0), UNREACH);
	CHECK_EQ(g_map(&b.g, G_IOVA, G_MEM, 0, 3, b.g.memfd), 0);
	CHECK_EQ(g_reg_read(&b.g, 7, PCI_VENDOR_ID, 4), 0x04ed1014);
	start_function(&b);
	expect_event(&a, 2, EV_GID, GID_ENABLED, b.gid, 0);
	teardown();
}

static void reset(void)
{
	static const uint8_t zero[PAGE];
	uint64_t token, own;

	setup();
	token = dmb(40, AT_DMB, PAGE);
	CHECK_EQ(reg_dmb(&a, 40, b.gid, AT_DMB, PAGE, &own), OK);
	CHECK_EQ(simple(&b, ADD_VLAN, 9), OK);
	CHECK_EQ(simple(&b, SET_VLAN, 0), OK);
	CHECK_EQ(g_call(&b.g, VU_RESET, NULL, 0, NULL, 0, NULL, 0), 0);
	expect_event(&a, 1, EV_GID, GID_DISABLED, b.gid, 0);
	CHECK_EQ(load(&b, 0), 0);
	CHECK_EQ(move(&a, token, 0, 1, "x", 1), ENXIO);
	CHECK_EQ(move(&b, own, 0, 1, "x", 1), ENXIO);
	memset(at(&b, AT_SBA), 0, PAGE);
	memset(at(&b, AT_IEQ), 0, PAGE);
	CHECK_EQ(send_event(&a, b.gid, 1, 1), UNREACH);
	CHECK(no_irq(&b));
	CHECK(!memcmp(at(&b, AT_SBA), zero, PAGE));
	CHECK(!memcmp(at(&b, AT_IEQ), zero, PAGE));
	start_function(&b);
	CHECK_EQ(simple(&b, DEL_VLAN, 9), NOENT);
	expect_event(&a, 2, EV_GID, GID_ENABLED, b.gid, 0);
	/* what others have granted to it is still there */
	CHECK_EQ(move(&b, own, 0, 1, "x", 1), 0);
	CHECK_EQ(irq(&a), 0x80);
	teardown();
}

static void inject(const char *what, bool good)
{
	char line[128], *answer;

	snprintf(line, sizeof(line), "inject p0 %s\n", what);
	answer = daemon_command(line);
	CHECK_EQ(!strcmp(answer, "{}"), good);
	free(answer);
}

static void injected_commands(void)
{
	uint64_t token;
	uint32_t i;

	setup();
	for (i = 0; i < NR_COMMANDS; i++) {
		inject("command 1 0x1234", true);
		CHECK_EQ(simple(&a, commands[i].code, 0), 0x1234);
		CHECK_EQ(load(&a, 0), (uint64_t)commands[i].code << 32 | 0x12340008);
	}
	inject("command 3 0xffff", true);
	CHECK_EQ(simple(&a, READ_GID, 0), OK);
	CHECK_EQ(reg_dmb(&a, 40, b.gid, AT_DMB, PAGE, &token), OK);
	CHECK_EQ(simple(&a, UNREG_DMB, token), 0xffff);
	CHECK_EQ(simple(&a, UNREG_DMB, token), OK);
	/* none of those above was executed */
	CHECK_EQ(query_rgid(&b, a.gid, 0, 0), OK);
	inject("command 1", false);
	inject("command 1 0", false);
	inject("command 1 0x10000", false);
	inject("command 1 1 1", false);
	inject("command -1 1", false);
	inject("command 4294967296 1", false);
	inject("command 1x 1", false);
	inject("", false);
	inject("errors", false);
	teardown();
}

static void injected_moves(void)
{
	uint64_t token;

	setup();
	token = dmb(40, AT_DMB, PAGE);
	inject("move 2 1", true);
	CHECK_EQ(move(&a, token, 0, 1, "1", 1), 0);
	CHECK_EQ(irq(&b), 0x80);
	CHECK_EQ(move(&a, token, 0, 1, "2", 1), ENXIO);
	CHECK_EQ(*at(&b, AT_DMB), '1');
	CHECK(no_irq(&b));
	inject("move 1 2", true);
	CHECK_EQ(simple(&a, READ_GID, 0), OK);
	CHECK_EQ(move(&a, token, 0, -1, "3", 1), EBUSY);
	CHECK_EQ(move(&a, token, 0, -1, "3", 1), 0);
	inject("move 1 3", true);
	CHECK_EQ(move(&a, token, 0, -1, "4", 1), ENODEV);
	CHECK_EQ(*at(&b, AT_DMB), '3');
	/* a function that others are not affected by */
	CHECK_EQ(query_rgid(&b, a.gid, 0, 0), OK);
	inject("move 1 0", false);
	inject("move 1 4", false);
	inject("move", false);
	teardown();
}

static void injected_delay(void)
{
	uint64_t token, head = htobe64((uint64_t)READ_GID << 32 | 8);
	long began;
	int rc;

	setup();
	token = dmb(40, AT_DMB, PAGE);
	began = now_ms();
	inject("delay 2 1000", true);
	CHECK_EQ(move(&a, token, 0, -1, "1", 1), 0);
	CHECK_EQ(move(&a, token, 0, -1, "2", 1), EBUSY);
	CHECK_EQ(*at(&b, AT_DMB), '1');
	CHECK_EQ(store(&a, 2, 0, &head, 8), EBUSY);
	while ((rc = move(&a, token, 0, -1, "2", 1)) == EBUSY && now_ms() < began + 20000)
		usleep(1000);
	CHECK(now_ms() >= began + 1000);
	CHECK_EQ(rc, 0);
	CHECK_EQ(*at(&b, AT_DMB), '2');
	inject("delay 1", false);
	teardown();
}

static void injected_interrupt(void)
{
	uint64_t token;

	setup();
	CHECK_EQ(reg_dmb(&a, 40, b.gid, AT_DMB, PAGE, &token), OK);
	inject("interrupt 2", true);
	CHECK_EQ(move(&b, token, 0, 1, "1", 1), 0);
	CHECK_EQ(irq(&a), 0x80);
	CHECK_EQ(take_signals(&a, 40), 0x4000);
	CHECK_EQ(move(&b, token, 0, 2, "2", 1), 0);
	CHECK(no_irq(&a));
	CHECK_EQ(*at(&a, AT_SBA), 0x80);
	*at(&a, AT_SBA) = 0;
	CHECK_EQ(move(&b, token, 0, 3, "3", 1), 0);
	CHECK_EQ(irq(&a), 0x80);
	CHECK_EQ(take_signals(&a, 40), 0x3000);
	teardown();
}

static void injected_error(void)
{
	uint64_t token, own, head = htobe64((uint64_t)READ_GID << 32 | 8);

	setup();
	token = dmb(40, AT_DMB, PAGE);
	CHECK_EQ(reg_dmb(&a, 40, b.gid, AT_DMB, PAGE, &own), OK);
	inject("error", true);
	CHECK_EQ(irq(&b), 0xc0);
	expect_entry(&b, 0, EV_GID, GID_DISABLED, a.gid, 0);
	CHECK_EQ(move(&a, token, 0, 1, "x", 1), EIO);
	CHECK_EQ(move(&b, own, 0, 1, "x", 1), ENXIO);
	CHECK_EQ(store(&a, 2, 0, &head, 8), EIO);
	CHECK_EQ(load(&a, 0), UINT64_MAX);
	CHECK_EQ(g_reg_read(&a.g, 7, PCI_VENDOR_ID, 4), 0x04ed1014);
	CHECK_EQ(query_rgid(&b, a.gid, 0, 0), UNREACH);
	CHECK_EQ(g_call(&a.g, VU_RESET, NULL, 0, NULL, 0, NULL, 0), 0);
	CHECK_EQ(load(&a, 0), 0);
	start_function(&a);
	CHECK_EQ(move(&a, token, 0, 1, "x", 1), 0);
	/* a function that is disabled has no memory */
	inject("error", true);
	CHECK_EQ(g_unmap(&a.g, G_IOVA, G_MEM), 0);
	CHECK_EQ(load(&a, 0), 0);
	CHECK_EQ(move(&a, token, 0, 1, "w", 1), ENXIO);
	CHECK_EQ(g_map(&a.g, G_IOVA, G_MEM, 0, 3, a.g.memfd), 0);
	start_function(&a);
	CHECK_EQ(move(&a, token, 0, 1, "x", 1), 0);
	/* or with the third block: a command without a payload is one */
	inject("error 3", true);
	CHECK_EQ(simple(&a, READ_GID, 0), OK);
	CHECK_EQ(move(&a, token, 0, 1, "y", 1), 0);
	CHECK_EQ(move(&a, token, 0, 1, "z", 1), EIO);
	CHECK_EQ(query_rgid(&b, a.gid, 0, 0), UNREACH);
	CHECK_EQ(*at(&b, AT_DMB), 'y');
	CHECK_EQ(g_call(&a.g, VU_RESET, NULL, 0, NULL, 0, NULL, 0), 0);
	start_function(&a);
	inject("error -1", false);
	inject("error 1 1", false);
	teardown();
}

/* Not with blocks, not with devices of another kind, not with ports that are not there */
static void injected_elsewhere(void)
{
	static const char *const lines[] = {
		"inject p0.blk error\n", "inject p9 error\n", "inject p0\n", "inject  error\n",
	};
	char *answer;
	int i;

	setup();
	for (i = 0; i < 4; i++) {
		answer = daemon_command(lines[i]);
		CHECK(strstr(answer, "error"));
		free(answer);
	}
	teardown();
	daemon_device("virtio-dibs", "0xff01");
	daemon_start(1, NULL);
	inject("error", false);
	daemon_stop();
}

/* ------------------------------ hostile clients ------------------------------ */

/* Blocks before the function is there, or after it has gone */
static void blocks_alone(void)
{
	setup();
	connect_blocks(&c, 2);
	CHECK_EQ(store(&c, 2, 8, "\0\0\0\0@\1\0\0", 8), 0);
	CHECK_EQ(store(&c, 2, 0, "\0\0\0\1\0\0\0\20", 8), 0);
	CHECK_EQ(move(&c, 1ull << 32, 0, 1, "x", 1), ENXIO);
	/* what pcistb.so asks for */
	CHECK_EQ(g_reg_read(&c.blocks, 7, PCI_SUBSYSTEM_ID, 2), FABRIC);
	g_connect(&c.g, 2);
	CHECK_EQ(g_version(&c.g), 0);
	/* it has begun anew */
	CHECK_EQ(load(&c, 0), 0);
	close_function(&c);
	teardown();
}

static void bad_messages(void)
{
	int fds;

	setup();
	open_function(&c, 2);
	CHECK_EQ(irq(&a), 0xc0);
	fds = daemon_fds();
	CHECK_EQ(g_map(&c.blocks, G_IOVA, G_MEM, 0, 3, c.blocks.memfd), 0);
	CHECK_EQ(g_set_irqs(&c.blocks, VU_IRQ_EVENTFD | VU_IRQ_TRIGGER, VU_IRQ_MSIX, 0, 1,
			    c.blocks.irq, 1), EINVAL);
	CHECK_EQ(g_set_irqs(&c.g, VU_IRQ_EVENTFD | VU_IRQ_TRIGGER, VU_IRQ_MSI, 0, 2,
			    c.g.irq, 2), EINVAL);
	CHECK_EQ(daemon_fds(), fds + 1);
	g_send(&c.blocks, "this is no message!", 19, NULL, 0);
	CHECK(g_gone(&c.blocks));
	/* a function without its blocks is not on the fabric, and can come back with them */
	CHECK_EQ(irq(&a), 0xc0);
	expect_entry(&a, 2, EV_GID, GID_DISABLED, c.gid, 0);
	CHECK_EQ(query_rgid(&a, c.gid, 0, 0), UNREACH);
	g_close(&c.blocks);
	connect_blocks(&c, 2);
	start_function(&c);
	CHECK_EQ(query_rgid(&a, c.gid, 0, 0), OK);
	close_function(&c);
	teardown();
}

/* --------------------------------- workers --------------------------------- */

/* What a function does from the first to the last, each result looked at */
static void life(void)
{
	uint64_t token, other;
	uint32_t i;

	open_function(&a, 0);
	open_function(&b, 1);
	expect_event(&a, 0, EV_GID, GID_ENABLED, b.gid, 0);
	CHECK_EQ(simple(&a, ADD_VLAN, 5), OK);
	CHECK_EQ(simple(&a, DEL_VLAN, 5), OK);
	CHECK_EQ(simple(&a, DEL_VLAN, 5), NOENT);
	CHECK_EQ(reg_dmb(&b, 40, a.gid, AT_DMB, PAGE, &token), OK);
	CHECK_EQ(reg_dmb(&b, 40, a.gid, AT_DMB, PAGE, &other), BUSY);
	CHECK_EQ(reg_dmb(&b, 41, a.gid, AT_DMB + PAGE, PAGE, &other), OK);
	for (i = 0; i < 20; i++) {
		CHECK_EQ(move(&a, token, i, i % 16, &i, 1), 0);
		/* a signal may come twice, and not too late */
		do {
			irq(&b);
		} while (!(at(&b, AT_SBA + 256 + 80)[i % 16 / 8] & 0x80 >> i % 8));
		memset(at(&b, AT_SBA + 256 + 80), 0, 2);
		CHECK_EQ(*at(&b, AT_DMB + i), i);
	}
	for (i = 0; i < 20; i++) {
		CHECK_EQ(send_event(&a, b.gid, i, i << 8), OK);
		while (be64_at(&b, AT_IEQ) != i % 15 + 1)
			irq(&b);
		expect_entry(&b, i % 15, EV_SWR, i, a.gid, i << 8);
	}
	CHECK_EQ(simple(&b, UNREG_DMB, token), OK);
	CHECK_EQ(simple(&b, UNREG_DMB, token), NOENT);
	while (be64_at(&a, AT_IEQ) != 2)
		irq(&a);
	expect_entry(&a, 1, EV_DMB, 0, token, 0);
	CHECK_EQ(move(&a, token, 0, 1, "x", 1), ENXIO);
	CHECK_EQ(move(&a, other, 0, -1, "x", 1), 0);
	CHECK_EQ(simple(&b, UNREG_IEQ, 0), OK);
	CHECK_EQ(simple(&b, UNREG_SBA, 0), OK);
	CHECK_EQ(simple(&b, UNREG_SBA, 0), NODEV);
	CHECK_EQ(g_call(&b.g, VU_RESET, NULL, 0, NULL, 0, NULL, 0), 0);
	close_function(&b);
	close_function(&a);
}

/* Only a daemon that was built with DIBS_FAULT has such points */
static bool has_points(void)
{
	return !strstr(getenv("DIBS_FABRIC"), "/plain/");
}

static void worker_dies_at_every_point(void)
{
	char fault[32];
	int where, died = 0, points = 0;
	long n;

	daemon_device("ism", "0x07c1");
	for (where = 0; has_points() && where < FAULT_NR; where++) {
		snprintf(fault, sizeof(fault), "%d:%d", where, where % 3 + 1);
		daemon_start(2, fault);
		life();
		n = status_number("restarts", 0);
		CHECK(n <= 1 && (n || where < FAULT_FIRST_ISM));
		died += n;
		points++;
		daemon_stop();
	}
	printf("# %d points, %d deaths\n", points, died);
	CHECK(!points || died > 30);
}

/*
 * Workers that die one after the other of different signals of one function are nothing
 * that it is to blame for
 */
static void workers_die_of_different_signals(void)
{
	uint64_t token;
	int i;

	if (!has_points())
		return;
	daemon_device("ism", "0x07c1");
	daemon_start(2, "all");
	open_function(&a, 0);
	open_function(&b, 1);
	token = dmb(40, AT_DMB, PAGE);
	for (i = 0; i < 40; i++) {
		/* nobody dies so soon after another one */
		usleep(110000);
		CHECK_EQ(move(&a, token, 0, i % 16, "x", 1), 0);
		irq(&b);
	}
	CHECK(status_number("restarts", 0) > 10);
	CHECK_EQ(query_rgid(&a, b.gid, 0, 0), OK);
	close_function(&a);
	close_function(&b);
	daemon_stop();
}

/* All of what a function has, the interrupt that its driver may wait for included */
static void worker_killed(void)
{
	uint64_t token;
	int i;

	daemon_device("ism", "0x07c1");
	daemon_start(3, NULL);
	open_function(&a, 0);
	open_function(&b, 1);
	token = dmb(40, AT_DMB, PAGE);
	CHECK_EQ(simple(&b, ADD_VLAN, 9), OK);
	CHECK_EQ(irq(&a), 0xc0);
	for (i = 0; i < 20; i++) {
		CHECK_EQ(move(&a, token, i, i % 16, &i, 1), 0);
		daemon_kill_worker();
		CHECK_EQ(irq(&b), 0x80);
		CHECK_EQ(take_signals(&b, 40), 0x8000 >> i % 16);
		CHECK_EQ(*at(&b, AT_DMB + i), i);
		g_irqs(&b.g, 0);
	}
	CHECK_EQ(simple(&b, DEL_VLAN, 9), OK);
	CHECK_EQ(simple(&b, UNREG_DMB, token), OK);
	inject("move 1 1", true);
	daemon_kill_worker();
	CHECK_EQ(reg_dmb(&b, 40, a.gid, AT_DMB, PAGE, &token), OK);
	CHECK_EQ(move(&a, token, 0, -1, "x", 1), ENXIO);
	inject("error", true);
	daemon_kill_worker();
	CHECK_EQ(move(&a, token, 0, -1, "x", 1), EIO);
	close_function(&a);
	close_function(&b);
	daemon_stop();
}

/* -------------------------------- the daemon -------------------------------- */

static void added_port(void)
{
	char path[128], *answer;

	setup();
	answer = daemon_command("add late\n");
	CHECK(!strcmp(answer, "{}"));
	free(answer);
	strcpy(path, port_path(0));
	strcpy(strrchr(path, '/'), "/late.sock");
	g_connect_path(&c.g, path);
	strcat(path, ".blk");
	g_connect_path(&c.blocks, path);
	CHECK_EQ(g_version(&c.g), 0);
	CHECK_EQ(g_version(&c.blocks), 0);
	CHECK_EQ(simple(&c, READ_GID, 0), OK);
	CHECK(resp64(&c, 8) && resp64(&c, 8) != a.gid);
	close_function(&c);
	teardown();
}

/* A function whose blocks would have no name is none, and the next one is one */
static void added_port_with_long_name(void)
{
	char line[128], *answer;

	setup();
	snprintf(line, sizeof(line), "add %.*s\n", 60,
		 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn");
	answer = daemon_command(line);
	CHECK(!strcmp(answer, "{}"));
	free(answer);
	usleep(50000);
	CHECK_EQ(status_number("max_dmbs", 0), NR_DMBS);
	answer = daemon_status();
	CHECK(!strstr(answer, "nnnn"));
	free(answer);
	teardown();
	added_port();
}

static bool refused(const char *arguments)
{
	char line[512];

	snprintf(line, sizeof(line), "timeout 5 %s --port /tmp/dibs-test-%d.sock%s 2>/dev/null",
		 getenv("DIBS_FABRIC"), getpid(), arguments);
	return WEXITSTATUS(system(line)) == 1;
}

static void bad_options(void)
{
	CHECK(refused(" --fabric-id 0x07c1"));
	CHECK(refused(" --fabric-id 0xff01 --device ism"));
	CHECK(refused(" --fabric-id 0x07c1 --device isms"));
	CHECK(refused(" --fabric-id 0x07c1 --device ism --max-dmbs 1921"));
	CHECK(refused(",gid=12345678-1234-5678-0000-000000000001 --fabric-id 0x07c1 "
		      "--device ism"));
	CHECK(!refused(",gid=12345678-1234-5678-0000-000000000000 --fabric-id 0x07c1 "
		       "--device ism"));
}

static const struct tap_test tests[] = {
	{ "pci_function", pci_function },
	{ "stores_are_blocks", stores_are_blocks },
	{ "command_in_one_block", command_in_one_block },
	{ "strict_lengths", strict_lengths },
	{ "responses", responses },
	{ "query_info", query_info },
	{ "areas", areas },
	{ "queue_of_before", queue_of_before },
	{ "no_bus_master", no_bus_master },
	{ "joins_without_end", joins_without_end },
	{ "vlans", vlans },
	{ "dmb_limits", dmb_limits },
	{ "many_dmbs", many_dmbs },
	{ "moves_of_every_length", moves_of_every_length },
	{ "refused_moves", refused_moves },
	{ "moves_of_a_function_that_left", moves_of_a_function_that_left },
	{ "maps", maps },
	{ "signals", signals },
	{ "signals_without_memory", signals_without_memory },
	{ "events_of_functions", events_of_functions },
	{ "events_of_dmbs", events_of_dmbs },
	{ "event_queue", event_queue },
	{ "events_without_queue", events_without_queue },
	{ "disabled", disabled },
	{ "reset", reset },
	{ "injected_commands", injected_commands },
	{ "injected_moves", injected_moves },
	{ "injected_delay", injected_delay },
	{ "injected_interrupt", injected_interrupt },
	{ "injected_error", injected_error },
	{ "injected_elsewhere", injected_elsewhere },
	{ "blocks_alone", blocks_alone },
	{ "bad_messages", bad_messages },
	{ "worker_dies_at_every_point", worker_dies_at_every_point },
	{ "workers_die_of_different_signals", workers_die_of_different_signals },
	{ "worker_killed", worker_killed },
	{ "added_port", added_port },
	{ "added_port_with_long_name", added_port_with_long_name },
	{ "bad_options", bad_options },
};

TAP_MAIN(tests)
