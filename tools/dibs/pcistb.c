// SPDX-License-Identifier: GPL-2.0
/*
 * pcistb.so: a plugin that has QEMU's emulated s390x CPUs execute PCI STORE BLOCK for ISM
 * functions
 *
 *	-plugin pcistb.so,ism=UID:SOCKET[,pnetid=NAME][,ism=...]
 *
 * QEMU emulates PCISTB for blocks of 16 to 128 bytes at multiples of 8, and writes to
 * vfio-user devices without being told whether it worked. An ISM function is written to
 * in blocks of 1 to 4096 bytes anywhere, and the condition code matters. So the plugin
 * executes the instruction itself, for the functions whose UIDs it is given and no
 * others: the block goes over a second socket of the function, SOCKET.blk, to
 * dibs-fabric, and what comes back becomes the condition code.
 *
 * QEMU does not let a vfio-user device say what its physical channel (PCHID), its type
 * and its network (PNETID) are. The plugin puts that into the guest's copy of what CALL
 * LOGICAL PROCESSOR says about these functions.
 *
 * For QEMU 11.1, whose plugin interface has version 7; one that does not support that
 * version says so and does not start.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "qemu_plugin.h"
#include "vu_msg.h"

int qemu_plugin_version = 7;

/* ------------------------------ state ------------------------------ */

#define PAGE		4096u
#define MAX_BLOCK	4096u
#define MAX_FUNCTIONS	16
#define PNETID_LEN	16
#define NR_GPRS		16

/* An answer that takes longer than QEMU waits for one is none */
#define PATIENCE_S	60

/**
 * struct function - an ISM function
 * @fh: its handle, with the bit that says that it is enabled; 0 if not known yet
 * @uid: by which it is found
 * @pnetid: name of its network, "" if it has none
 * @pchid: its physical channel
 * @lock: for one block at a time
 * @fd: where blocks go, -1 if they went wrong
 * @id: number of the last message
 */
struct function {
	_Atomic uint32_t fh;
	uint32_t uid;
	char pnetid[PNETID_LEN + 1];
	uint16_t pchid;
	pthread_mutex_t lock; /* see above */
	int fd;
	uint16_t id;
};

/**
 * struct site - an instruction somewhere in the guest
 * @next: another one
 * @va: its address
 * @len: its length
 * @r1: number of the first register
 * @r3: number of the second register
 * @b2: number of the register of the address
 * @d2: displacement of the address
 */
struct site {
	struct site *next;
	uint64_t va;
	uint8_t len;
	uint8_t r1, r3, b2;
	int32_t d2;
};

/**
 * struct cpu - a CPU
 * @gpr: general registers, NULL as long as they are not known
 * @pswm: the mask half of the PSW
 * @prefix: where the CPU's low core is
 * @value: room for a register
 * @memory: room for memory
 * @clp: address of the block of a CLP that is being executed, or 0
 */
struct cpu {
	struct qemu_plugin_register *gpr[NR_GPRS];
	struct qemu_plugin_register *pswm;
	struct qemu_plugin_register *prefix;
	struct byte_array *value;
	struct byte_array *memory;
	uint64_t clp;
};

static struct function functions[MAX_FUNCTIONS];
static unsigned int nr_functions;
static struct cpu *cpus;

/* By address. What a guest makes QEMU translate must not take memory without end. */
#define MAX_SITES	65536
#define NR_BUCKETS	4096

static struct site *_Atomic buckets[NR_BUCKETS];
static _Atomic unsigned int nr_sites;

/* -------------------------------- registers -------------------------------- */

static uint64_t be_get(const uint8_t *at, unsigned int len)
{
	uint64_t v = 0;

	while (len--)
		v = v << 8 | *at++;
	return v;
}

static void be_put(uint8_t *at, uint64_t v, unsigned int len)
{
	for (; len; v >>= 8)
		at[--len] = v;
}

static void find_registers(struct cpu *c)
{
	struct array *all = qemu_plugin_get_registers();
	unsigned int i, nr, step = g_array_get_element_size(all);
	const struct qemu_plugin_reg_descriptor *d;
	char end;

	for (i = 0; i < all->len; i++) {
		d = (void *)(all->data + i * step);
		if (!strcmp(d->name, "pswm"))
			c->pswm = d->handle;
		else if (!strcmp(d->name, "prefix"))
			c->prefix = d->handle;
		else if (sscanf(d->name, "r%u%c", &nr, &end) == 1 && nr < NR_GPRS)
			c->gpr[nr] = d->handle;
	}
	g_array_free(all, 1);
	c->value = g_byte_array_new();
	c->memory = g_byte_array_new();
}

static struct cpu *cpu_of(unsigned int nr)
{
	if (!cpus[nr].value)
		find_registers(&cpus[nr]);
	return &cpus[nr];
}

static uint64_t get(struct cpu *c, struct qemu_plugin_register *reg)
{
	g_byte_array_set_size(c->value, 0);
	if (!qemu_plugin_read_register(reg, c->value))
		return 0;
	return be_get(c->value->data, c->value->len);
}

static void set(struct cpu *c, struct qemu_plugin_register *reg, uint64_t v)
{
	g_byte_array_set_size(c->value, sizeof(v));
	be_put(c->value->data, v, sizeof(v));
	qemu_plugin_write_register(reg, c->value);
}

/* --------------------------------- fabric --------------------------------- */

static bool transfer(int fd, void *buf, size_t len, bool out)
{
	char *at = buf;
	ssize_t n;

	for (; len; len -= n, at += n) {
		n = out ? send(fd, at, len, MSG_NOSIGNAL) : recv(fd, at, len, 0);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return false;
	}
	return true;
}

/* A message with two parts and its reply; the error that it names, or -1 */
static int call(struct function *f, uint16_t command, const void *head, uint32_t head_len,
		const void *data, uint32_t data_len, void *reply, uint32_t reply_len)
{
	uint8_t msg[sizeof(struct vu_header) + sizeof(struct vu_region_access) + MAX_BLOCK];
	struct vu_header h = {
		.id = ++f->id, .command = command, .size = sizeof(h) + head_len + data_len,
	};

	memcpy(msg, &h, sizeof(h));
	memcpy(msg + sizeof(h), head, head_len);
	if (data_len)
		memcpy(msg + sizeof(h) + head_len, data, data_len);
	if (!transfer(f->fd, msg, h.size, true) || !transfer(f->fd, &h, sizeof(h), false))
		return -1;
	if (h.id != f->id || h.size < sizeof(h) || h.size > sizeof(msg) ||
	    !transfer(f->fd, msg, h.size - sizeof(h), false))
		return -1;
	if (h.flags & VU_F_ERROR)
		return h.error ? (int)h.error : -1;
	if (h.size - sizeof(h) < reply_len)
		return -1;
	memcpy(reply, msg, reply_len);
	return 0;
}

/* As call(); a function that does not answer is not asked again */
static int store(struct function *f, uint32_t region, uint64_t offset, const void *data,
		 uint32_t len)
{
	struct vu_region_access access = { offset, region, len };
	int rc = -1;

	pthread_mutex_lock(&f->lock);
	if (f->fd >= 0)
		rc = call(f, VU_REGION_WRITE, &access, sizeof(access), data, len, NULL, 0);
	if (rc < 0 && f->fd >= 0) {
		fprintf(stderr, "pcistb: UID 0x%x: dibs-fabric is gone\n", f->uid);
		close(f->fd);
		f->fd = -1;
	}
	pthread_mutex_unlock(&f->lock);
	return rc;
}

/* Where the fabric has put its number, see ism.c */
#define CONFIG_REGION		7
#define CONFIG_SUBSYSTEM	0x2e

static bool greet(struct function *f)
{
	static const char version[] = "\0\0\0\0{\"capabilities\":{}}";
	struct vu_region_access access = { CONFIG_SUBSYSTEM, CONFIG_REGION, 2 };
	struct { struct vu_region_access h; uint8_t pchid[2]; } reply;

	if (call(f, VU_VERSION, version, sizeof(version), NULL, 0, NULL, 0) ||
	    call(f, VU_REGION_READ, &access, sizeof(access), NULL, 0, &reply,
		 sizeof(access) + sizeof(reply.pchid)))
		return false;
	f->pchid = reply.pchid[1] << 8 | reply.pchid[0];
	return true;
}

static bool open_function(struct function *f, const char *path)
{
	struct timeval limit = { .tv_sec = PATIENCE_S };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s.blk", path) >=
	    (int)sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	pthread_mutex_init(&f->lock, NULL);
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->fd < 0 || connect(f->fd, (struct sockaddr *)&sa, sizeof(sa)))
		return false;
	setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	errno = EPROTO;
	return greet(f);
}

/* ----------------------- CALL LOGICAL PROCESSOR ----------------------- */

/* Offsets in the block: of a query of a function, and of the response behind it */
#define CLP_COMMAND	2
#define CLP_FH		16
#define CLP_RESPONSE	32
#define CLP_CODE	2
#define CLP_FLAGS	18
#define CLP_PCHID	30
#define CLP_PFT		63
#define CLP_UID		124
#define CLP_UTIL	128
#define CLP_UTIL_LEN	64

/* Of what sets a function, the handle it has then */
#define CLP_NEW_FH	16

#define CLP_QUERY_FUNCTION	0x0003
#define CLP_SET_FUNCTION	0x0005
#define CLP_OK			0x0010
#define CLP_HAS_UTIL		0x01
#define PFT_ISM			0x05

#define FH_ENABLED		0x80000000u

static uint8_t ebcdic(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0' + 0xf0;
	if (c >= 'A' && c <= 'I')
		return c - 'A' + 0xc1;
	if (c >= 'J' && c <= 'R')
		return c - 'J' + 0xd1;
	if (c >= 'S' && c <= 'Z')
		return c - 'S' + 0xe2;
	return 0x40;
}

/* The PNETID of the only port */
static void put_pnetid(const char *pnetid, uint8_t *util)
{
	unsigned int i, len = strlen(pnetid);

	memset(util, 0, CLP_UTIL_LEN);
	for (i = 0; i < PNETID_LEN; i++)
		util[i] = ebcdic(i < len ? pnetid[i] : ' ');
}

static void describe(const struct function *f, uint8_t *response)
{
	be_put(response + CLP_PCHID, f->pchid, 2);
	response[CLP_PFT] = PFT_ISM;
	if (!*f->pnetid)
		return;
	response[CLP_FLAGS] |= CLP_HAS_UTIL;
	put_pnetid(f->pnetid, response + CLP_UTIL);
}

static struct function *function_of_uid(uint32_t uid)
{
	unsigned int i;

	for (i = 0; i < nr_functions; i++)
		if (functions[i].uid == uid)
			return &functions[i];
	return NULL;
}

static struct function *function_of_fh(uint32_t fh)
{
	unsigned int i;
	uint32_t own;

	for (i = 0; i < nr_functions; i++) {
		own = atomic_load(&functions[i].fh);
		if (own && !((own ^ fh) & ~FH_ENABLED))
			return &functions[i];
	}
	return NULL;
}

/* What a function is: the handle that is asked with is its own */
static bool after_query(uint8_t *b)
{
	struct function *f = function_of_uid(be_get(b + CLP_RESPONSE + CLP_UID, 4));

	if (!f)
		return false;
	atomic_store(&f->fh, be_get(b + CLP_FH, 4));
	describe(f, b + CLP_RESPONSE);
	return true;
}

/* It was enabled or disabled */
static void after_set(const uint8_t *b)
{
	struct function *f = function_of_fh(be_get(b + CLP_FH, 4));

	if (f)
		atomic_store(&f->fh, be_get(b + CLP_RESPONSE + CLP_NEW_FH, 4));
}

/* The block has been answered: the handles of functions are learned from it */
static void after_clp(struct cpu *c, uint64_t block)
{
	uint16_t command;
	uint8_t *b;

	if (!qemu_plugin_read_memory_vaddr(block, c->memory,
					   CLP_RESPONSE + CLP_UTIL + CLP_UTIL_LEN))
		return;
	b = c->memory->data;
	command = be_get(b + CLP_COMMAND, 2);
	if (be_get(b + CLP_RESPONSE + CLP_CODE, 2) != CLP_OK)
		return;
	if (command == CLP_SET_FUNCTION)
		after_set(b);
	else if (command == CLP_QUERY_FUNCTION && after_query(b))
		qemu_plugin_write_memory_vaddr(block, c->memory);
}

static void before_clp(unsigned int cpu, void *arg)
{
	struct cpu *c = cpu_of(cpu);
	const struct site *s = arg;

	c->clp = get(c, c->gpr[s->r3]);
}

/* --------------------------- PCI STORE BLOCK --------------------------- */

#define PSW_PROBLEM	0x0001000000000000ull
#define PSW_ASC		0x0000c00000000000ull
#define PSW_ASC_PRIMARY	0x0000000000000000ull
#define PSW_ASC_HOME	0x0000c00000000000ull
#define PSW_CC_SHIFT	44
#define PSW_EA		0x0000000100000000ull
#define PSW_BA		0x0000000080000000ull

#define MAX_BAR		5

/* Of a function whose error state has it blocked, and of one that refuses */
#define STATUS_BLOCKED	12
#define STATUS_REFUSED	40

enum { CC_DONE, CC_ERROR, CC_BUSY, CC_NO_FUNCTION };

/**
 * struct request - what a PCISTB asks for
 * @f: the function
 * @word: the first register
 * @bar: which BAR
 * @len: length of the block
 * @offset: where it goes
 * @from: where it is
 */
struct request {
	struct function *f;
	uint64_t word;
	uint32_t bar;
	uint32_t len;
	uint64_t offset;
	uint64_t from;
};

/* One that blocks can be stored to */
static struct function *enabled_function(uint32_t fh)
{
	struct function *f = fh & FH_ENABLED ? function_of_fh(fh) : NULL;

	return f && atomic_load(&f->fh) == fh ? f : NULL;
}

static uint64_t address(uint64_t psw, uint64_t at)
{
	if (psw & PSW_EA)
		return at;
	return at & (psw & PSW_BA ? 0x7fffffff : 0xffffff);
}

/*
 * Is it for one of the functions, and allowed? If not it is QEMU's to execute, which
 * finds the same fault, and raises the exception or sets the condition code.
 */
static bool decode(struct cpu *c, const struct site *s, struct request *r)
{
	uint64_t psw = get(c, c->pswm);

	r->word = get(c, c->gpr[s->r1]);
	r->f = enabled_function(r->word >> 32);
	if (!r->f || (psw & PSW_PROBLEM) ||
	    ((psw & PSW_ASC) != PSW_ASC_PRIMARY && (psw & PSW_ASC) != PSW_ASC_HOME))
		return false;
	r->bar = r->word >> 16 & 0xf;
	r->len = r->word & 0x1fff;
	r->offset = get(c, c->gpr[s->r3]);
	r->from = address(psw, (s->b2 ? get(c, c->gpr[s->b2]) : 0) + s->d2);
	return r->bar <= MAX_BAR && r->len && r->len <= PAGE - r->offset % PAGE;
}

/* Offsets in the low core, and what is there about an access exception */
#define LOWCORE_ILC	0x8c
#define LOWCORE_TEID	0xa8
#define LOWCORE_OLD_PSW	0x150
#define LOWCORE_NEW_PSW	0x1d0
#define LOWCORE_LEN	0x200

#define PAGE_TRANSLATION	0x11
#define TEID_FETCH		0x800
#define TEID_HOME		3

static bool hwaddr(struct cpu *c, uint64_t at, bool write)
{
	return (write ? qemu_plugin_write_memory_hwaddr(at, c->memory) :
			qemu_plugin_read_memory_hwaddr(at, c->memory, LOWCORE_LEN)) == 0;
}

/*
 * The block cannot be read: a program interruption, as for a page that is not there.
 * QEMU's PCISTB cannot be left to find that, it does not survive it. The instruction is
 * nullified.
 */
static void raise_access_exception(struct cpu *c, const struct site *s,
				   const struct request *r)
{
	uint64_t lowcore = get(c, c->prefix), psw = get(c, c->pswm), at = r->from;
	uint8_t *b;

	if (qemu_plugin_read_memory_vaddr(at, c->memory, 1))
		at += PAGE;
	if (!hwaddr(c, lowcore, false))
		return;
	b = c->memory->data;
	be_put(b + LOWCORE_ILC, (uint32_t)s->len << 16 | PAGE_TRANSLATION, 4);
	be_put(b + LOWCORE_TEID, (at & ~(uint64_t)(PAGE - 1)) | TEID_FETCH |
	       ((psw & PSW_ASC) == PSW_ASC_HOME ? TEID_HOME : 0), 8);
	be_put(b + LOWCORE_OLD_PSW, psw, 8);
	be_put(b + LOWCORE_OLD_PSW + 8, s->va, 8);
	if (!hwaddr(c, lowcore, true))
		return;
	set(c, c->pswm, be_get(b + LOWCORE_NEW_PSW, 8));
	qemu_plugin_set_pc(be_get(b + LOWCORE_NEW_PSW + 8, 8));
}

static void finish(struct cpu *c, const struct site *s, const struct request *r, int cc,
		   uint64_t status)
{
	uint64_t psw = get(c, c->pswm);

	if (cc == CC_ERROR)
		set(c, c->gpr[s->r1], (r->word & ~(0xffull << 24)) | status << 24);
	set(c, c->pswm, (psw & ~(3ull << PSW_CC_SHIFT)) | (uint64_t)cc << PSW_CC_SHIFT);
	qemu_plugin_set_pc(s->va + s->len);
}

static void do_pcistb(unsigned int cpu, void *arg)
{
	struct cpu *c = cpu_of(cpu);
	const struct site *s = arg;
	struct request r;

	if (!decode(c, s, &r))
		return;
	if (!qemu_plugin_read_memory_vaddr(r.from, c->memory, r.len)) {
		raise_access_exception(c, s, &r);
		return;
	}
	switch (store(r.f, r.bar, r.offset, c->memory->data, r.len)) {
	case 0:
		finish(c, s, &r, CC_DONE, 0);
		break;
	case EBUSY:
		finish(c, s, &r, CC_BUSY, 0);
		break;
	case ENODEV:
	case -1:
		finish(c, s, &r, CC_NO_FUNCTION, 0);
		break;
	case EIO:
		finish(c, s, &r, CC_ERROR, STATUS_BLOCKED);
		break;
	default:
		finish(c, s, &r, CC_ERROR, STATUS_REFUSED);
		break;
	}
}

/* ------------------------------- translation ------------------------------- */

#define CLP_LEN		4
#define PCISTB_LEN	6

static void on_exception(unsigned int cpu, int type, uint64_t from, uint64_t to, void *arg)
{
	struct cpu *c = &cpus[cpu];

	(void)type;
	(void)from;
	(void)to;
	(void)arg;
	c->clp = 0;
}

/* An instruction behind a CLP is being executed */
static void after(unsigned int cpu, void *arg)
{
	struct cpu *c = &cpus[cpu];
	uint64_t clp = c->clp;

	(void)arg;
	c->clp = 0;
	if (clp)
		after_clp(c, clp);
}

/* Instructions are at even addresses */
static struct site *_Atomic *bucket(uint64_t va)
{
	return &buckets[va / 2 % NR_BUCKETS];
}

static bool follows_clp(uint64_t va)
{
	uint64_t before = va - CLP_LEN;
	const struct site *s;

	for (s = atomic_load(bucket(before)); s; s = s->next)
		if (s->len == CLP_LEN && s->va == before)
			return true;
	return false;
}

/* The same for an instruction that is translated again; NULL if there are too many */
static struct site *site_get(const struct site *want)
{
	struct site *_Atomic *first = bucket(want->va);
	struct site *s;

	for (s = atomic_load(first); s; s = s->next)
		if (s->va == want->va && s->len == want->len && s->r1 == want->r1 &&
		    s->r3 == want->r3 && s->b2 == want->b2 && s->d2 == want->d2)
			return s;
	if (atomic_fetch_add(&nr_sites, 1) >= MAX_SITES) {
		atomic_fetch_sub(&nr_sites, 1);
		return NULL;
	}
	s = malloc(sizeof(*s));
	if (!s)
		abort();
	*s = *want;
	s->next = atomic_load(first);
	while (!atomic_compare_exchange_weak(first, &s->next, s))
		;
	return s;
}

/* What it is, if it is one of those that matter here */
static bool decode_instruction(struct qemu_plugin_insn *insn, struct site *s)
{
	uint8_t b[6] = { 0 };

	s->len = qemu_plugin_insn_data(insn, b, sizeof(b));
	if (s->len == CLP_LEN && b[0] == 0xb9 && b[1] == 0xa0) {
		s->r3 = b[3] & 0xf;
		return true;
	}
	if (s->len != PCISTB_LEN || b[0] != 0xeb || b[5] != 0xd0)
		return false;
	s->r1 = b[1] >> 4;
	s->r3 = b[1] & 0xf;
	s->b2 = b[2] >> 4;
	s->d2 = (int8_t)b[4] * 4096 + (b[2] & 0xf) * 256 + b[3];
	return true;
}

static void on_instruction(struct qemu_plugin_insn *insn)
{
	struct site here = { .va = qemu_plugin_insn_vaddr(insn) };
	struct site *s;

	if (follows_clp(here.va))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, after, CB_RW_REGS, NULL);
	s = decode_instruction(insn, &here) ? site_get(&here) : NULL;
	if (s && s->len == CLP_LEN)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, before_clp, CB_RW_REGS, s);
	else if (s)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, do_pcistb, CB_RW_REGS_PC, s);
}

static void on_translation(struct qemu_plugin_tb *tb, void *arg)
{
	size_t i;

	(void)arg;
	for (i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
		on_instruction(qemu_plugin_tb_get_insn(tb, i));
}

/* --------------------------------- options --------------------------------- */

static bool refuse(const char *what, const char *why)
{
	fprintf(stderr, "pcistb: %s: %s\n", what, why);
	return false;
}

static bool add_function(const char *value)
{
	struct function *f = &functions[nr_functions];
	char *end;

	if (nr_functions == MAX_FUNCTIONS)
		return refuse(value, "too many functions");
	f->uid = strtoul(value, &end, 0);
	if (end == value || *end != ':' || !f->uid || function_of_uid(f->uid))
		return refuse(value, "not UID:SOCKET, or a UID that is taken");
	if (!open_function(f, end + 1))
		return refuse(end + 1, strerror(errno));
	nr_functions++;
	return true;
}

/* Of the last function */
static bool set_pnetid(const char *value)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t len = strlen(value);

	if (!nr_functions || !len || len > PNETID_LEN || strspn(value, allowed) != len)
		return refuse(value, "not the PNETID of a function");
	strcpy(functions[nr_functions - 1].pnetid, value);
	return true;
}

static bool set_option(const char *arg)
{
	if (!strncmp(arg, "ism=", 4))
		return add_function(arg + 4);
	if (!strncmp(arg, "pnetid=", 7))
		return set_pnetid(arg + 7);
	return refuse(arg, "unknown option");
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
	int i;

	if (strcmp(info->target_name, "s390x") || !info->system_emulation) {
		refuse(info->target_name, "this is for qemu-system-s390x");
		return -1;
	}
	/* TCG's AND and OR would undo what the fabric sets in the same word meanwhile */
	if (info->system.max_vcpus < 2) {
		refuse("-smp", "maxcpus=2 or more is needed, TCG is not atomic otherwise");
		return -1;
	}
	cpus = calloc(info->system.max_vcpus, sizeof(*cpus));
	if (!cpus)
		return -1;
	for (i = 0; i < argc; i++)
		if (!set_option(argv[i]))
			return -1;
	if (!nr_functions) {
		refuse("ism=UID:SOCKET", "is missing");
		return -1;
	}
	qemu_plugin_register_vcpu_discon_cb(id, DISCON_EXCEPTION, on_exception, NULL);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation, NULL);
	return 0;
}
