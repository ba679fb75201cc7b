// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: the ISM function, Documentation/networking/dibs-ism-emulation.rst
 *
 * There is no public specification. What is not implied by the driver is said to be
 * assumed in that document. All numbers in the guest's memory and in commands are big
 * endian.
 *
 * A command can be executed again by the next worker. It has a number, which is that of
 * the message it came with, and leaves it behind before its first effect and after its
 * last: from then on what the effects have made is no reason to refuse it. Only what is
 * made to go wrong is counted again if a worker dies with it.
 */
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "port.h"

#define PAGE_SIZE	4096u

#define BAR_MOVE	0
#define BAR_COMMAND	2
#define BAR_MSIX	4

#define BAR_MOVE_SIZE	(1ull << 44)
#define BAR_SMALL_SIZE	0x1000

/* Offsets in configuration space, and in BAR_MSIX */
#define CAP_MSIX	0x40
#define CAP_MSI		0x50
#define AT_PBA		0x800

/* What is done for the guest in one go */
#define TURN		64

/* What is being served, for port_begin() */
enum { SERVE_SIGNAL, SERVE_EVENT };

static uint32_t get32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return be32toh(v);
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return be64toh(v);
}

static void put16(uint8_t *at, uint16_t v)
{
	v = htobe16(v);
	memcpy(at, &v, sizeof(v));
}

static void put32(uint8_t *at, uint32_t v)
{
	v = htobe32(v);
	memcpy(at, &v, sizeof(v));
}

static void put64(uint8_t *at, uint64_t v)
{
	v = htobe64(v);
	memcpy(at, &v, sizeof(v));
}

/* The first half of a GID of the fabric; the second one is 0 */
static void gid_of(uint64_t gid, uint8_t *to)
{
	put64(to, gid);
	put64(to + sizeof(gid), 0);
}

static uint64_t own_gid(const struct port *p)
{
	return get64(p->fabric->st->ports[p->nr].gid);
}

/* ------------------------- signals and interrupts ------------------------- */

#define SBA_SUMMARY	0x80
#define SBA_EVENT	0x40
#define SBA_BITS	4
#define SBA_MASKS	256

/* Sets bits in a byte of the state bit array; false if it cannot be reached */
static bool sba_set(struct port *p, uint32_t at, uint8_t bits, uint8_t *old)
{
	uint64_t got;
	uint8_t *byte = mem_at(&p->mem, atomic_load(&p->st->ism.sba) + at, 1, true, &got);

	if (!byte)
		return false;
	*old = __atomic_fetch_or(byte, bits, __ATOMIC_SEQ_CST);
	return true;
}

static void interrupt(struct port *p)
{
	struct ism_faults *faults = &p->st->ism.faults;

	if (faults->interrupts && !--faults->interrupts)
		return;
	vu_irq(p, 0);
}

/* The driver clears the summary bit before it looks, so it looks if the bit was set */
static bool summary_set(struct port *p, uint8_t bits)
{
	uint8_t old;

	if (!sba_set(p, 0, SBA_SUMMARY | bits, &old))
		return false;
	fault_point(FAULT_ISM_SUMMARY_SET);
	if (!(old & SBA_SUMMARY))
		interrupt(p);
	return true;
}

/* Signal 0 is the highest bit of the first byte of a mask, 8 that of the second one */
static bool write_signal(struct port *p, const struct fabric_signal *sig)
{
	uint32_t at = SBA_MASKS + 2 * sig->idx, i;
	uint8_t bits[2] = { 0 }, old;

	for (i = 0; i < FABRIC_MAX_SIGNALS; i++)
		if (sig->mask >> i & 1)
			bits[i / 8] |= 0x80 >> i % 8;
	return sba_set(p, at, bits[0], &old) && sba_set(p, at + 1, bits[1], &old) &&
	       sba_set(p, SBA_BITS + sig->idx / 8, 0x80 >> sig->idx % 8, &old) &&
	       summary_set(p, 0);
}

/* What tells this delivery from others: what was raised since is part of it */
static uint64_t signal_key(const struct port *p, const struct fabric_signal *sig)
{
	return p->fabric->st->ports[p->nr].nr.signals << 16 | sig->idx;
}

static bool serve_signal(struct port *p)
{
	struct fabric_signal sig;

	if (!fabric_next_signal(p->fabric, p->nr, &sig))
		return false;
	port_begin(p, SERVE_SIGNAL, signal_key(p, &sig));
	if (!write_signal(p, &sig))
		fabric_count(p->fabric, p->nr, FABRIC_IO);
	fault_point(FAULT_ISM_SIGNAL_WRITTEN);
	fabric_signal_done(p->fabric, p->nr, &sig);
	return true;
}

/* --------------------------------- events --------------------------------- */

#define IEQ_LEN		512u
#define IEQ_ENTRY	32u
#define IEQ_ENTRIES	15u

enum { EVENT_DMB, EVENT_GID, EVENT_SWR };

/* What was lost shows by itself: the entries of the queue are written in turn */
static bool event_of(const struct fabric_event *from, uint8_t *entry)
{
	static const uint32_t type[] = {
		[FABRIC_EV_DEV] = EVENT_GID,
		[FABRIC_EV_BUF] = EVENT_DMB,
		[FABRIC_EV_SW] = EVENT_SWR,
	};

	if (from->type == FABRIC_EV_LOST)
		return false;
	put32(entry, type[from->type]);
	put32(entry + 4, from->code);
	put64(entry + 8, from->type == FABRIC_EV_BUF ? from->token : get64(from->gid));
	put64(entry + 16, from->time);
	put64(entry + 24, from->info);
	return true;
}

/* The number of the entry after the entry: who sees the one sees the other */
static bool write_event(struct port *p, const uint8_t *entry, uint32_t nr)
{
	uint64_t ieq = atomic_load(&p->st->ism.ieq);
	uint8_t idx[8];

	put64(idx, nr + 1);
	if (!mem_write(&p->mem, ieq + IEQ_ENTRY * (nr + 1), entry, IEQ_ENTRY))
		return false;
	atomic_thread_fence(memory_order_release);
	return mem_write(&p->mem, ieq, idx, sizeof(idx)) && summary_set(p, SBA_EVENT);
}

/* An event whose place has been noted is one that a worker has died with */
static bool serve_event(struct port *p)
{
	struct ism_state *ism = &p->st->ism;
	uint64_t last = atomic_load(&ism->last_event);
	uint32_t nr = last & 0xff;
	struct fabric_event event;
	uint8_t entry[IEQ_ENTRY];

	if (!atomic_load(&ism->ieq) || !fabric_next_event(p->fabric, p->nr, &event))
		return false;
	port_begin(p, SERVE_EVENT, event.seq);
	if (event.seq != last >> 8 && event_of(&event, entry)) {
		if (!write_event(p, entry, nr))
			fabric_count(p->fabric, p->nr, FABRIC_IO);
		fault_point(FAULT_ISM_EVENT_WRITTEN);
		atomic_store(&ism->last_event, event.seq << 8 | (nr + 1) % IEQ_ENTRIES);
	}
	fault_point(FAULT_ISM_EVENT_NOTED);
	fabric_event_done(p->fabric, p->nr, event.seq);
	return true;
}

static void discard_events(struct port *p)
{
	struct fabric_event event;

	while (fabric_next_event(p->fabric, p->nr, &event))
		fabric_event_done(p->fabric, p->nr, event.seq);
}

/* -------------------------------- commands -------------------------------- */

#define HEADER_LEN	8

/**
 * struct call - a command that is being executed
 * @p: the function
 * @nr: number of the command
 * @in: the request
 * @out: the response, zeroes at first
 */
struct call {
	struct port *p;
	uint64_t nr;
	const uint8_t *in;
	uint8_t *out;
};

/* Is this what another worker has begun with? */
static bool again(const struct call *c)
{
	return atomic_load(&c->p->st->ism.doing) == c->nr;
}

/* There is no reason to refuse it, and from here on it has effects */
static void begin(const struct call *c)
{
	atomic_store(&c->p->st->ism.doing, c->nr);
	fault_point(FAULT_ISM_BEGUN);
}

/* A function is on the fabric as long as it has an array to set bits in */
static enum fabric_status reg_sba(const struct call *c)
{
	struct port *p = c->p;
	uint64_t sba = get64(c->in + 8);

	if (!again(c) && atomic_load(&p->st->ism.sba))
		return FABRIC_BUSY;
	if (!sba || sba % PAGE_SIZE)
		return FABRIC_INVAL;
	if (!mem_reachable(&p->mem, sba, PAGE_SIZE, true))
		return FABRIC_IO;
	if (!again(c) && !fabric_may_join(p->fabric, p->nr, port_now()))
		return FABRIC_AGAIN;
	begin(c);
	atomic_store(&p->st->ism.sba, sba);
	fabric_join(p->fabric, p->nr, port_now());
	return FABRIC_OK;
}

static enum fabric_status unreg_sba(const struct call *c)
{
	struct port *p = c->p;

	if (!again(c) && !atomic_load(&p->st->ism.sba))
		return FABRIC_NODEV;
	begin(c);
	fabric_leave(p->fabric, p->nr, port_now());
	atomic_store(&p->st->ism.sba, 0);
	/* or events would be written to what was its memory, were it to come back */
	atomic_store(&p->st->ism.ieq, 0);
	return FABRIC_OK;
}

/* What has happened before is not told: the driver finds out by asking */
static enum fabric_status reg_ieq(const struct call *c)
{
	struct port *p = c->p;
	uint64_t ieq = get64(c->in + 8);
	uint8_t head[IEQ_ENTRY] = { 0 };

	if (!atomic_load(&p->st->ism.sba))
		return FABRIC_NODEV;
	if (!again(c) && atomic_load(&p->st->ism.ieq))
		return FABRIC_BUSY;
	if (!ieq || ieq % IEQ_LEN || get64(c->in + 16) != IEQ_LEN)
		return FABRIC_INVAL;
	put64(head + 8, IEQ_LEN);
	put64(head + 16, IEQ_ENTRY);
	if (!mem_reachable(&p->mem, ieq, IEQ_LEN, true) ||
	    !mem_write(&p->mem, ieq, head, sizeof(head)))
		return FABRIC_IO;
	begin(c);
	discard_events(p);
	atomic_store(&p->st->ism.last_event, 0);
	atomic_store(&p->st->ism.ieq, ieq);
	return FABRIC_OK;
}

static enum fabric_status unreg_ieq(const struct call *c)
{
	if (!again(c) && !atomic_load(&c->p->st->ism.ieq))
		return FABRIC_NODEV;
	begin(c);
	atomic_store(&c->p->st->ism.ieq, 0);
	return FABRIC_OK;
}

static enum fabric_status read_gid(const struct call *c)
{
	put64(c->out + 8, own_gid(c->p));
	return FABRIC_OK;
}

/* ---------------------------------- VLANs ---------------------------------- */

/* The id that says: this system knows SMC-D version 2 */
#define VLAN_RESERVED	0x1fff
#define VLAN_MAX	4094

static _Atomic uint16_t *vlan_find(struct ism_state *ism, uint64_t id)
{
	uint32_t i;

	for (i = 0; i < ISM_MAX_VLANS; i++)
		if (atomic_load(&ism->vlan[i]) == id)
			return &ism->vlan[i];
	return NULL;
}

static enum fabric_status add_vlan(const struct call *c)
{
	struct ism_state *ism = &c->p->st->ism;
	uint64_t id = get64(c->in + 8);
	_Atomic uint16_t *room;

	if (!id || (id > VLAN_MAX && id != VLAN_RESERVED))
		return FABRIC_INVAL;
	if (vlan_find(ism, id))
		return FABRIC_OK;
	room = vlan_find(ism, 0);
	if (!room)
		return FABRIC_NOMEM;
	atomic_store(room, id);
	return FABRIC_OK;
}

static enum fabric_status del_vlan(const struct call *c)
{
	uint64_t id = get64(c->in + 8);
	_Atomic uint16_t *at = id ? vlan_find(&c->p->st->ism, id) : NULL;

	if (!at)
		return again(c) ? FABRIC_OK : FABRIC_NOENT;
	begin(c);
	atomic_store(at, 0);
	return FABRIC_OK;
}

static enum fabric_status set_vlan(const struct call *c)
{
	c->p->st->ism.vlan_required = 1;
	return FABRIC_OK;
}

static enum fabric_status reset_vlan(const struct call *c)
{
	c->p->st->ism.vlan_required = 0;
	return FABRIC_OK;
}

/* Is the function itself, and the other one if it is there, in this VLAN? */
static enum fabric_status vlan_check(struct port *p, const uint8_t *gid, uint32_t valid,
				     uint32_t id)
{
	int other;

	if (valid > 1 || (!valid && p->st->ism.vlan_required))
		return FABRIC_INVAL;
	if (!valid)
		return FABRIC_OK;
	if (!id || !vlan_find(&p->st->ism, id))
		return FABRIC_PERM;
	other = fabric_port_of(p->fabric, gid);
	return other >= 0 && !vlan_find(&p->all[other].st->ism, id) ? FABRIC_UNREACH :
								      FABRIC_OK;
}

static enum fabric_status query_rgid(const struct call *c)
{
	enum fabric_status status;
	uint8_t gid[FABRIC_GID_LEN];

	gid_of(get64(c->in + 8), gid);
	status = vlan_check(c->p, gid, get32(c->in + 16), get32(c->in + 20));
	return status == FABRIC_OK ? fabric_query(c->p->fabric, c->p->nr, gid) : status;
}

static enum fabric_status query_info(const struct call *c)
{
	struct ism_state *ism = &c->p->st->ism;
	uint32_t i, dmbs = c->p->fabric->view[c->p->nr].nr_dmbs, nr = 0;

	put32(c->out + 8, 1);
	put32(c->out + 12, 200);
	put64(c->out + 24, own_gid(c->p));
	put64(c->out + 32, atomic_load(&ism->sba));
	put64(c->out + 40, atomic_load(&ism->ieq));
	put32(c->out + 48, atomic_load(&ism->ieq) ? IEQ_LEN : 0);
	put32(c->out + 56, dmbs);
	put32(c->out + 60, dmbs);
	put32(c->out + 64, ism->vlan_required);
	for (i = 0; i < ISM_MAX_VLANS; i++)
		if (atomic_load(&ism->vlan[i]))
			put16(c->out + 72 + 2 * nr++, atomic_load(&ism->vlan[i]));
	put32(c->out + 68, nr);
	return FABRIC_OK;
}

/* ------------------------ DMBs and events of software ------------------------ */

static enum fabric_status reg_dmb(const struct call *c)
{
	struct fabric_grant grant = {
		.idx = get32(c->in + 20), .nr_ranges = 1,
		.ranges = { { get64(c->in + 8), get32(c->in + 16), 0 } },
	};
	const struct fabric_range *range = grant.ranges;
	enum fabric_status status;
	uint64_t token;

	gid_of(get64(c->in + 32), grant.rgid);
	if (grant.idx < ISM_FIRST_DMB || !range->len || range->len > ISM_MAX_DMB_LEN ||
	    (range->addr | range->len) % PAGE_SIZE)
		return FABRIC_INVAL;
	status = vlan_check(c->p, grant.rgid, get32(c->in + 24), get32(c->in + 28));
	if (status != FABRIC_OK)
		return status;
	if (!mem_reachable(&c->p->mem, range->addr, range->len, true))
		return FABRIC_IO;
	status = fabric_register(c->p->fabric, c->p->nr, c->nr, &grant, &token);
	if (status == FABRIC_OK)
		put64(c->out + 8, token);
	return status;
}

static enum fabric_status unreg_dmb(const struct call *c)
{
	return fabric_unregister(c->p->fabric, c->p->nr, c->nr, get64(c->in + 8),
				 port_now());
}

/* Whether to interrupt is the sender's to say, and it does whatever is said */
static enum fabric_status signal_ieq(const struct call *c)
{
	uint8_t gid[FABRIC_GID_LEN];

	gid_of(get64(c->in + 8), gid);
	return fabric_send(c->p->fabric, c->p->nr, c->nr, gid, get32(c->in + 20),
			   get64(c->in + 24), port_now());
}

/* -------------------------------- execution -------------------------------- */

/**
 * struct command - a command
 * @code: its number
 * @in_len: length of the request
 * @out_len: length of the response, if it is not refused
 * @run: executes it
 */
struct command {
	uint32_t code;
	uint16_t in_len;
	uint16_t out_len;
	enum fabric_status (*run)(const struct call *c);
};

static const struct command commands[] = {
	{ 0x01, 16,   8, reg_sba },
	{ 0x02, 24,   8, reg_ieq },
	{ 0x03,  8,  16, read_gid },
	{ 0x04, 16,   8, add_vlan },
	{ 0x05, 16,   8, del_vlan },
	{ 0x06,  8,   8, set_vlan },
	{ 0x07,  8,   8, reset_vlan },
	{ 0x08,  8, 200, query_info },
	{ 0x09, 24,   8, query_rgid },
	{ 0x0a, 40,  16, reg_dmb },
	{ 0x0b, 16,   8, unreg_dmb },
	{ 0x0e, 32,   8, signal_ieq },
	{ 0x11,  8,   8, unreg_sba },
	{ 0x12,  8,   8, unreg_ieq },
};

/* Assumed, but for 0; 0xffff, which the driver knows, means that there is no function */
static const uint16_t code_of[FABRIC_NR_STATUS] = {
	[FABRIC_OK]		= 0x0000,
	[FABRIC_UNSUPPORTED]	= 0x0001,
	[FABRIC_INVAL]		= 0x0002,
	[FABRIC_NODEV]		= 0x0003,
	[FABRIC_BUSY]		= 0x0004,
	[FABRIC_NOENT]		= 0x0005,
	[FABRIC_PERM]		= 0x0006,
	[FABRIC_UNREACH]	= 0x0007,
	[FABRIC_NOMEM]		= 0x0008,
	[FABRIC_AGAIN]		= 0x0009,
	[FABRIC_IO]		= 0x000a,
	[FABRIC_RANGE]		= 0x000b,
};

static const struct command *command_find(uint32_t code)
{
	uint32_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].code == code)
			return &commands[i];
	return NULL;
}

static uint16_t run(const struct call *c, const struct command *cmd)
{
	struct ism_faults *faults = &c->p->st->ism.faults;
	enum fabric_status status = FABRIC_UNSUPPORTED;

	if (faults->commands && !--faults->commands)
		return faults->code;
	if (cmd)
		status = get32(c->in + 4) == cmd->in_len ? cmd->run(c) : FABRIC_INVAL;
	fabric_count(c->p->fabric, c->p->nr, status);
	return code_of[status];
}

static void execute(struct port *p, uint64_t nr)
{
	struct ism_state *ism = &p->st->ism;
	const struct command *cmd = command_find(get32(ism->request));
	uint8_t out[ISM_WINDOW] = { 0 };
	const struct call c = { p, nr, ism->request, out };
	uint16_t code;

	if (atomic_load(&ism->done) == nr)
		return;
	code = run(&c, cmd);
	if (code)
		memset(out, 0, sizeof(out));
	memcpy(out, ism->request, sizeof(uint32_t));
	put16(out + 4, code);
	put16(out + 6, code ? HEADER_LEN : cmd->out_len);
	memcpy(ism->response, out, sizeof(out));
	ism->commands++;
	fault_point(FAULT_ISM_ANSWERED);
	atomic_store(&ism->done, nr);
}

/* It is the header that starts the execution, so that comes last */
static int store_command(struct port *p, uint64_t nr, uint64_t offset, const void *buf,
			 uint32_t len)
{
	if (offset >= ISM_WINDOW || len > ISM_WINDOW - offset)
		return -ERANGE;
	memcpy(p->st->ism.request + offset, buf, len);
	if (!offset && len >= HEADER_LEN)
		execute(p, nr);
	return 0;
}

/* --------------------------------- moves --------------------------------- */

/* Fields of the offset, besides the token */
#define MOVE_OFFSET	0x7fffffull
#define MOVE_SIGNAL	(1ull << 23)
#define MOVE_IDX(at)	((at) >> 24 & 0xf)
#define MOVE_TOKEN	(~0ull << 28)

static enum fabric_status move(struct port *p, uint64_t at, const void *buf, uint32_t len)
{
	uint32_t offset = at & MOVE_OFFSET;
	enum fabric_status status;
	struct fabric_ref ref;

	if (len > PAGE_SIZE - offset % PAGE_SIZE)
		return FABRIC_INVAL;
	status = fabric_find(p->fabric, p->nr, at & MOVE_TOKEN, &ref);
	if (status == FABRIC_OK)
		status = fabric_check(&ref, offset, len);
	if (status != FABRIC_OK)
		return status;
	if (!mem_write(&p->all[ref.port].mem, ref.dmb->ranges[0].addr + offset, buf, len))
		return FABRIC_IO;
	/* who sees the signal sees the data */
	atomic_thread_fence(memory_order_release);
	fault_point(FAULT_MOVE_COPIED);
	fabric_moved(p->fabric, p->nr, &ref, len);
	if (at & MOVE_SIGNAL)
		fabric_raise(p->fabric, &ref, MOVE_IDX(at));
	return FABRIC_OK;
}

/* What comes back as condition code, see pcistb.c */
static int error_of_cc(uint32_t cc)
{
	static const int error[] = { 0, -ENXIO, -EBUSY, -ENODEV };

	return error[cc];
}

static int store_move(struct port *p, uint64_t at, const void *buf, uint32_t len)
{
	struct ism_faults *faults = &p->st->ism.faults;
	enum fabric_status status;

	if (faults->moves && !--faults->moves)
		return error_of_cc(faults->cc);
	status = move(p, at, buf, len);
	fabric_count(p->fabric, p->nr, status);
	return status == FABRIC_OK ? 0 : -ENXIO;
}

static bool busy(struct ism_faults *faults)
{
	if (faults->blocks && !--faults->blocks)
		faults->busy_until = port_now() + faults->busy_ms * 1000000ull;
	return faults->busy_until && port_now() < faults->busy_until;
}

/* ------------------------------ the function ------------------------------ */

static void put_le32(uint8_t *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof(v));
}

static void put_le16(uint8_t *at, uint16_t v)
{
	v = htole16(v);
	memcpy(at, &v, sizeof(v));
}

/* QEMU insists on MSI-X for this architecture, and the driver on MSI */
static void config_init(uint8_t *c, uint16_t fabric_id)
{
	static const uint32_t bar64 = PCI_BASE_ADDRESS_MEM_TYPE_64 |
				      PCI_BASE_ADDRESS_MEM_PREFETCH;

	memset(c, 0, ISM_CONFIG_SIZE);
	put_le16(c + PCI_VENDOR_ID, 0x1014);
	put_le16(c + PCI_DEVICE_ID, 0x04ed);
	put_le16(c + PCI_STATUS, PCI_STATUS_CAP_LIST);
	put_le32(c + PCI_BASE_ADDRESS_0 + 4 * BAR_MOVE, bar64);
	put_le32(c + PCI_BASE_ADDRESS_0 + 4 * BAR_COMMAND, bar64);
	put_le16(c + PCI_SUBSYSTEM_VENDOR_ID, 0x1014);
	put_le16(c + PCI_SUBSYSTEM_ID, fabric_id);
	c[PCI_CAPABILITY_LIST] = CAP_MSIX;
	c[CAP_MSIX] = PCI_CAP_ID_MSIX;
	c[CAP_MSIX + 1] = CAP_MSI;
	put_le32(c + CAP_MSIX + PCI_MSIX_TABLE, BAR_MSIX);
	put_le32(c + CAP_MSIX + PCI_MSIX_PBA, AT_PBA | BAR_MSIX);
	c[CAP_MSI] = PCI_CAP_ID_MSI;
	put_le16(c + CAP_MSI + PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT);
}

/* What the driver can write there, of what QEMU does not keep to itself */
static bool config_writable(uint32_t at)
{
	return at == PCI_COMMAND || at == PCI_COMMAND + 1 || at == PCI_CACHE_LINE_SIZE ||
	       at == PCI_INTERRUPT_LINE || at == CAP_MSIX + PCI_MSIX_FLAGS + 1 ||
	       at == CAP_MSI + PCI_MSI_FLAGS ||
	       (at >= CAP_MSI + PCI_MSI_ADDRESS_LO && at < CAP_MSI + PCI_MSI_DATA_64 + 2);
}

static void leave(struct port *p)
{
	struct ism_state *ism = &p->st->ism;
	uint32_t i;

	fabric_leave(p->fabric, p->nr, port_now());
	atomic_store(&ism->sba, 0);
	atomic_store(&ism->ieq, 0);
	ism->vlan_required = 0;
	for (i = 0; i < ISM_MAX_VLANS; i++)
		atomic_store(&ism->vlan[i], 0);
}

/* Is the function to have no access to memory any more, by what is written there? */
static bool config_ends_dma(const struct port *p, uint64_t offset, const uint8_t *buf,
			    uint32_t len)
{
	return offset <= PCI_COMMAND && len > PCI_COMMAND - offset &&
	       p->st->ism.config[PCI_COMMAND] & PCI_COMMAND_MASTER &&
	       !(buf[PCI_COMMAND - offset] & PCI_COMMAND_MASTER);
}

static void config_write(struct port *p, uint64_t offset, const uint8_t *buf,
			 uint32_t len)
{
	uint32_t i;

	if (config_ends_dma(p, offset, buf, len))
		leave(p);
	for (i = 0; i < len; i++)
		if (config_writable(offset + i))
			p->st->ism.config[offset + i] = buf[i];
}

static uint64_t region_size(uint32_t region)
{
	switch (region) {
	case BAR_MOVE:
		return BAR_MOVE_SIZE;
	case BAR_COMMAND:
	case BAR_MSIX:
		return BAR_SMALL_SIZE;
	case VU_CONFIG_REGION:
		return ISM_CONFIG_SIZE;
	}
	return 0;
}

/* A function in error state answers as one that is not there */
static void region_read(struct port *p, uint32_t region, uint64_t offset, void *buf,
			uint32_t len)
{
	struct ism_state *ism = &p->st->ism;

	memset(buf, atomic_load(&ism->error) ? 0xff : 0, len);
	if (region == VU_CONFIG_REGION)
		memcpy(buf, ism->config + offset, len);
	else if (region == BAR_COMMAND && !atomic_load(&ism->error) &&
		 offset < ISM_WINDOW && len <= ISM_WINDOW - offset)
		memcpy(buf, ism->response + offset, len);
}

/* Stores to the BARs come as blocks */
static int region_write(struct port *p, uint32_t region, uint64_t offset,
			const void *buf, uint32_t len)
{
	if (region != VU_CONFIG_REGION)
		return -EOPNOTSUPP;
	config_write(p, offset, buf, len);
	return 0;
}

static void disable(struct port *p)
{
	struct ism_state *ism = &p->st->ism;

	leave(p);
	memset(ism->request, 0, sizeof(ism->request));
	memset(ism->response, 0, sizeof(ism->response));
	fault_point(FAULT_RESET);
	atomic_store(&ism->error, 0);
}

/* Also of what a client sees that has just connected */
static void reset(struct port *p)
{
	config_init(p->st->ism.config, p->fabric_id);
	disable(p);
}

/*
 * A guest that disables the function, which it does to recover it, takes all of its memory
 * away at once. QEMU does not say it in any other way.
 */
static void unmapped(struct port *p)
{
	if (!p->mem.nr)
		disable(p);
}

static bool serve(struct port *p)
{
	uint32_t n;

	for (n = 0; n < TURN; n++)
		if (!serve_signal(p) && !serve_event(p))
			break;
	port_end(p);
	return n == TURN;
}

/* The last worker may have set the summary bit, and then not have interrupted */
static void restart(struct port *p)
{
	uint64_t got, sba = atomic_load(&p->st->ism.sba);
	const uint8_t *byte = sba ? mem_at(&p->mem, sba, 1, false, &got) : NULL;

	if (byte && (__atomic_load_n(byte, __ATOMIC_SEQ_CST) & SBA_SUMMARY))
		vu_irq(p, 0);
	p->ready = true;
}

static void wake(struct port *p)
{
	p->ready = true;
}

/* ------------------------------ what goes wrong ------------------------------ */

static void fail_now(struct port *p)
{
	atomic_store(&p->st->ism.error, 1);
	leave(p);
}

/**
 * struct fault_kind - what can be made to go wrong
 * @word: its name
 * @count: where in &struct ism_faults is with which one from now on
 * @value: where the second number is to be, 0 if there is none
 * @min: the least that this one can be
 * @max: the most
 */
struct fault_kind {
	const char *word;
	size_t count;
	size_t value;
	uint32_t min;
	uint32_t max;
};

#define COUNT(member)	offsetof(struct ism_faults, member)

static const struct fault_kind fault_kinds[] = {
	{ "command ",	COUNT(commands), COUNT(code), 1, 0xffff },
	{ "move ",	COUNT(moves), COUNT(cc), 1, 3 },
	{ "delay ",	COUNT(blocks), COUNT(busy_ms), 0, UINT32_MAX },
	{ "interrupt ",	COUNT(interrupts), 0, 0, 0 },
	{ "error ",	COUNT(errors), 0, 0, 0 },
};

/* Takes a number, and what separates it from the next one, from the start of a text */
static bool take_number(const char **text, uint32_t min, uint32_t max, uint32_t *to)
{
	unsigned long long v;
	char *end;

	if (!isdigit(**text))
		return false;
	errno = 0;
	v = strtoull(*text, &end, 0);
	if (errno || v < min || v > max || (*end && *end != ' '))
		return false;
	*text = end + !!*end;
	*to = v;
	return true;
}

static bool inject_counted(struct ism_faults *faults, const struct fault_kind *kind,
			   const char *numbers)
{
	uint32_t n, v = 0;

	if (!take_number(&numbers, 0, UINT32_MAX, &n) ||
	    (kind->value && !take_number(&numbers, kind->min, kind->max, &v)) || *numbers)
		return false;
	if (kind->value)
		memcpy((char *)faults + kind->value, &v, sizeof(v));
	memcpy((char *)faults + kind->count, &n, sizeof(n));
	return true;
}

/**
 * inject() - something is to go wrong
 * @p: the function
 * @what: one of &fault_kinds with its numbers, or "error": now
 *
 * Return: false if that is none of these.
 */
static bool inject(struct port *p, const char *what)
{
	size_t i, len;

	if (!strcmp(what, "error")) {
		fail_now(p);
		return true;
	}
	for (i = 0; i < sizeof(fault_kinds) / sizeof(fault_kinds[0]); i++) {
		len = strlen(fault_kinds[i].word);
		if (!strncmp(what, fault_kinds[i].word, len))
			return inject_counted(&p->st->ism.faults, &fault_kinds[i], what + len);
	}
	return false;
}

/* --------------------------------- blocks --------------------------------- */

/* The whole of an offset is what the guest says, a token included */
static uint64_t block_region_size(uint32_t region)
{
	return region == BAR_MOVE ? UINT64_MAX : region_size(region);
}

/* The function as it is at first: pcistb.c looks what it is, before there is a client */
static void block_region_read(struct port *p, uint32_t region, uint64_t offset, void *buf,
			      uint32_t len)
{
	uint8_t config[ISM_CONFIG_SIZE];

	config_init(config, p->fabric_id);
	memset(buf, 0, len);
	if (region == VU_CONFIG_REGION)
		memcpy(buf, config + offset, len);
}

static int block_region_write(struct port *p, uint32_t region, uint64_t offset,
			      const void *buf, uint32_t len)
{
	struct port *function = &p->all[p->nr - 1];
	struct ism_state *ism = &function->st->ism;

	if (ism->faults.errors && !--ism->faults.errors)
		fail_now(function);
	if (atomic_load(&ism->error))
		return -EIO;
	if (busy(&ism->faults))
		return -EBUSY;
	if (region == BAR_MOVE)
		return store_move(function, offset, buf, len);
	if (region == BAR_COMMAND)
		return store_command(function, p->st->vu.messages + 1, offset, buf, len);
	return -EOPNOTSUPP;
}

/* A function whose blocks do not come any more cannot be on the fabric */
static void block_reset(struct port *p)
{
	leave(&p->all[p->nr - 1]);
}

static void nothing(struct port *p)
{
	(void)p;
}

static bool no(struct port *p)
{
	(void)p;
	return false;
}

static void nothing_to_repeat(struct port *p, unsigned int pass)
{
	(void)p;
	(void)pass;
}

const struct port_ops ism_ops = {
	.nr_vectors	= 1,
	.msi		= true,
	.region_size	= region_size,
	.region_read	= region_read,
	.region_write	= region_write,
	.reset		= reset,
	.intx_pending	= no,
	.serve		= serve,
	.restart	= restart,
	.repeat		= nothing_to_repeat,
	.mapped		= nothing,
	.unmapped	= unmapped,
	.wake		= wake,
	.inject		= inject,
};

const struct port_ops ism_block_ops = {
	.region_size	= block_region_size,
	.region_read	= block_region_read,
	.region_write	= block_region_write,
	.reset		= block_reset,
	.intx_pending	= no,
	.serve		= no,
	.restart	= nothing,
	.repeat		= nothing_to_repeat,
	.mapped		= nothing,
	.unmapped	= nothing,
	.wake		= nothing,
};
