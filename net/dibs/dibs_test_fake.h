/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Direct Internal Buffer Sharing
 *
 * A device and clients that do what a test tells them.
 */
#ifndef _DIBS_TEST_FAKE_H
#define _DIBS_TEST_FAKE_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dibs.h>
#include <linux/jiffies.h>

#define FAKE_DMBS	32
#define FAKE_DEVS	2
#define FAKE_CLIENTS	3
#define FAKE_EVENTS	256
#define FAKE_FABRIC	0x1234

enum fake_op {
	FAKE_QUERY,
	FAKE_REGISTER,
	FAKE_UNREGISTER,
	FAKE_MOVE,
	FAKE_MOVE_VEC,
	FAKE_MOVE_ATOMIC,
	FAKE_ADD_VLAN,
	FAKE_DEL_VLAN,
	FAKE_SIGNAL_EVENT,
	FAKE_ATTACH,
	FAKE_DETACH,
	FAKE_NR_OPS
};

/**
 * struct fake_dev - a device that moves data to itself
 * @dibs: the device, while it is allocated
 * @added: dibs_dev_add() succeeded
 * @ops: a copy of its own, so that a test can take operations away
 * @rc: what the operations return instead of doing their work
 * @calls: how often the operations were called
 * @max_dmbs: what the driver claims
 * @mappable: what the driver claims
 * @force_idx: index to hand out whatever was asked for, if not 0
 * @mapped_mem: memory of DMBs is not in the linear map
 * @early_signal: raise signal 0 on each new DMB before its registration has
 *	ended, and wait until the handler completes &fake_client.entered
 * @used: indices in use
 * @mem: memory of the DMBs
 * @dmb: as the core knows them
 * @len: their lengths
 * @last: arguments of the last move
 * @block_move: moves wait for @go_on after they completed @entered
 * @entered: see @block_move
 * @go_on: see @block_move
 * @freed_in_handler: a DMB was freed while its handler was running
 */
struct fake_dev {
	struct dibs_dev *dibs;
	bool added;
	struct dibs_dev_ops ops;
	int rc[FAKE_NR_OPS];
	atomic_t calls[FAKE_NR_OPS];
	int max_dmbs;
	int mappable;
	u32 force_idx;
	bool mapped_mem;
	bool early_signal;
	DECLARE_BITMAP(used, FAKE_DMBS);
	u8 *mem[FAKE_DMBS];
	struct dibs_dmb *dmb[FAKE_DMBS];
	u32 len[FAKE_DMBS];
	struct {
		u64 tok;
		const void *data;
		const struct dibs_move_seg *segs;
		unsigned int idx;
		unsigned int offset;
		unsigned int size;
		unsigned int nsegs;
		bool sf;
	} last;
	bool block_move;
	struct completion entered;
	struct completion go_on;
	bool freed_in_handler;
};

/**
 * struct fake_client - a client that counts and calls back into the test
 * @client: the client
 * @ops: a copy of its own
 * @add_rc: what add_dev returns
 * @adds: calls of add_dev
 * @dels: calls of del_dev
 * @irqs: calls of handle_irq
 * @sent: left to a test
 * @signals: number of signals delivered
 * @mask: all signals delivered
 * @running: handlers that run now, by index
 * @overlaps: handlers that ran at the same time for one index
 * @events: calls of handle_event
 * @event: what they were called with
 * @in_softirq: handlers that ran in softirq context
 * @in_process: handlers that ran in process context
 * @in_hardirq: handlers that ran in hard interrupt context
 * @rc: left to a test
 * @on_add: called from add_dev
 * @on_del: called from del_dev
 * @on_irq: called from handle_irq
 * @on_event: called from handle_event
 * @dmb: left to a test
 * @entered: left to a test
 * @go_on: left to a test
 */
struct fake_client {
	struct dibs_client client;
	struct dibs_client_ops ops;
	int add_rc;
	atomic_t adds;
	atomic_t dels;
	atomic_t irqs;
	atomic_t sent;
	atomic_t signals;
	atomic_t mask;
	atomic_t running[FAKE_DMBS];
	atomic_t overlaps;
	atomic_t events;
	struct dibs_event event[FAKE_EVENTS];
	atomic_t in_softirq;
	atomic_t in_process;
	atomic_t in_hardirq;
	int rc[8];
	void (*on_add)(struct fake_client *fc, struct dibs_dev *dibs);
	void (*on_del)(struct fake_client *fc, struct dibs_dev *dibs);
	void (*on_irq)(struct fake_client *fc, struct dibs_dev *dibs,
		       unsigned int idx, u16 mask);
	void (*on_event)(struct fake_client *fc, struct dibs_dev *dibs);
	struct dibs_dmb dmb[2];
	struct completion entered;
	struct completion go_on;
};

extern struct fake_dev fake_devs[FAKE_DEVS];
extern struct fake_client fake_clients[FAKE_CLIENTS];

/* What most tests use: one device, and one client or two */
#define FAKE_DEV	(&fake_devs[0])
#define FAKE_CLIENT	(&fake_clients[0])
#define FAKE_OTHER	(&fake_clients[1])

int fake_init(struct kunit *test);
void fake_exit(struct kunit *test);

int fake_dev_alloc(struct fake_dev *fake, const char *name);
int fake_dev_add(struct fake_dev *fake);
void fake_dev_del(struct fake_dev *fake);
void fake_dev_put(struct fake_dev *fake);
void fake_start(struct kunit *test, unsigned int flags);
int fake_calls(struct fake_dev *fake, enum fake_op op);
u64 fake_token(u32 idx);
void fake_event(struct fake_dev *fake, u64 data);
int fake_thread_end(void);
const char *fake_attr(struct kunit *test, struct fake_dev *fake,
		      const char *group, const char *name);
long fake_stat(struct kunit *test, struct fake_dev *fake, const char *name);

struct dibs_dmb fake_dmb(u32 idx);
int fake_register(struct fake_client *fc, struct dibs_dmb *dmb);
int fake_unregister(struct fake_client *fc, struct dibs_dmb *dmb);

/* Generous: the machine may be emulated, and busy */
#define FAKE_TIMEOUT	(30 * HZ)

#define fake_wait(test, cond)						\
do {									\
	unsigned long __end = jiffies + FAKE_TIMEOUT;			\
	bool __ok;							\
									\
	while (!(__ok = (cond)) && time_before(jiffies, __end))		\
		usleep_range(100, 1000);				\
	KUNIT_EXPECT_TRUE_MSG(test, __ok, "%s", #cond);			\
} while (0)

#endif	/* _DIBS_TEST_FAKE_H */
