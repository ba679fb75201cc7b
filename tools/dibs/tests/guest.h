/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest without a virtual machine: speaks vfio-user and drives virtqueues, well or
 * badly. All waits are bounded; what does not come in time is a test that fails.
 */
#ifndef DIBS_TESTS_GUEST_H
#define DIBS_TESTS_GUEST_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../../include/uapi/linux/virtio_dibs.h"
#include "../vu_msg.h"

#define G_IOVA		0x40000000ull
#define G_MEM		(4u << 20)
#define G_QUEUES	20
#define G_QSIZE		64
#define G_VECTORS	4
#define G_BUFS		16

/* Where things are in a guest's memory */
#define G_RINGS		0x000000	/* 16 KiB per queue */
#define G_EVENTS	0x080000	/* 64 bytes per buffer */
#define G_SIGNALS	0x081000	/* 16 bytes per buffer */
#define G_REQUEST	0x090000	/* 256 bytes per slot */
#define G_ANSWER	0x0a0000	/* 16 bytes per slot */
#define G_DATA		0x100000
#define G_DMBS		0x200000

/**
 * struct g_queue - a queue of a guest
 * @desc: descriptors
 * @avail: the driver's ring
 * @used: the device's ring
 * @next: next free descriptor
 * @seen: position in @used
 */
struct g_queue {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t next;
	uint16_t seen;
};

/**
 * struct guest - a guest
 * @fd: connection
 * @memfd: its memory
 * @mem: mapping of that
 * @id: number of the last message
 * @event_idx: negotiates VIRTIO_RING_F_EVENT_IDX
 * @gid: GID of the device
 * @irq: eventfds of the vectors
 * @q: queues
 */
struct guest {
	int fd;
	int memfd;
	uint8_t *mem;
	uint16_t id;
	bool event_idx;
	uint8_t gid[16];
	int irq[G_VECTORS];
	struct g_queue q[G_QUEUES];
};

/* A piece of a buffer: offset in the guest's memory and length */
struct g_piece {
	uint32_t at;
	uint32_t len;
};

/* The daemon */
void daemon_device(const char *kind, const char *fabric);
void daemon_start(int nr_ports, const char *fault);
const char *daemon_make_dir(void);
void daemon_spawn(const char *const *options, void (*prepare)(void));
void daemon_end(void);
void daemon_kill(void);
void daemon_stop(void);
bool daemon_failed(void);
pid_t daemon_worker(void);
void daemon_kill_worker(void);
void daemon_pause(void);
void daemon_continue(void);
int daemon_fds(void);
int daemon_control(void);
char *daemon_command(const char *line);
char *daemon_status(void);
long status_number(const char *name, int nth);
const char *port_path(int nr);

/* From now on: what happens when messages are sent, or with which one of them */
enum g_death { G_LIVES, G_DIES_BEFORE, G_DIES_WITHIN, G_DIES_AFTER, G_KILLS_WORKER };

void g_die(enum g_death how, int message);

/* Messages; these return the error of the reply, or -1 if the connection is gone */
void g_connect(struct guest *g, int port);
void g_connect_path(struct guest *g, const char *path);
void g_close(struct guest *g);
bool g_send(struct guest *g, const void *msg, uint32_t len, const int *fds, int nr_fds);
int g_call(struct guest *g, uint16_t cmd, const void *body, uint32_t len,
	   const int *fds, int nr_fds, void *reply, uint32_t reply_len);
int g_version(struct guest *g);
int g_map(struct guest *g, uint64_t iova, uint64_t size, uint64_t offset, uint32_t flags,
	  int fd);
int g_unmap(struct guest *g, uint64_t iova, uint64_t size);
int g_set_irqs(struct guest *g, uint32_t flags, uint32_t index, uint32_t start,
	       uint32_t count, const int *fds, int nr_fds);
uint64_t g_reg_read(struct guest *g, uint32_t region, uint64_t offset, uint32_t len);
void g_reg_write(struct guest *g, uint32_t region, uint64_t offset, uint64_t value,
		 uint32_t len);
bool g_gone(struct guest *g);

/* A clock */
long now_ms(void);

/* The device */
void g_setup(struct guest *g);
void g_setup_queue(struct guest *g, int nr);
void g_start(struct guest *g);
void g_open(struct guest *g, int port);
void g_begin(struct guest *g);
void g_reset(struct guest *g);
uint8_t g_status(struct guest *g);
uint64_t g_iova(uint32_t at);

/* Queues */
void g_add_chain(struct guest *g, int q, const struct g_piece *out, int nr_out,
		 const struct g_piece *in, int nr_in);
void g_add_move(struct guest *g, int q, int slot, uint64_t token, uint32_t offset,
		uint32_t at, uint32_t size, int signal);
uint32_t *g_status_of(struct guest *g, int slot);
void g_kick(struct guest *g, int q);
bool g_wants_kick(struct guest *g, int q, uint16_t old);
void g_want_irq(struct guest *g, int q, bool want);
uint32_t g_wait(struct guest *g, int q);
bool g_has_used(struct guest *g, int q);
uint64_t g_irqs(struct guest *g, int vector);
bool g_irq(struct guest *g, int vector);

/* Requests; these return the status */
uint32_t g_register(struct guest *g, uint32_t idx, const uint8_t *rgid, uint32_t at,
		    uint32_t len, uint64_t *token);
uint32_t g_unregister(struct guest *g, uint64_t token);
uint32_t g_query(struct guest *g, const uint8_t *gid);
uint32_t g_signal_event(struct guest *g, const uint8_t *gid, uint32_t code, uint64_t info);
uint32_t g_control(struct guest *g, uint32_t len, uint64_t *token);
uint32_t g_move(struct guest *g, int q, uint64_t token, uint32_t offset, const void *data,
		uint32_t size, int signal);
struct virtio_dibs_event g_event(struct guest *g);
struct virtio_dibs_signal g_signal(struct guest *g);
bool g_no_event(struct guest *g);
bool g_no_signal(struct guest *g);

#endif /* DIBS_TESTS_GUEST_H */
