/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Direct Internal Buffer Sharing
 *
 * Shared by the files of the dibs core, not for clients and drivers.
 */
#ifndef _DIBS_CORE_H
#define _DIBS_CORE_H

#include <linux/dibs.h>
#include <linux/interrupt.h>
#include <linux/kfifo.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/rhashtable.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

/* Events that are kept per client and device; also the most per tasklet run */
#define DIBS_EVENT_QUEUE	64

enum dibs_stat {
	DIBS_STAT_MOVES,
	DIBS_STAT_MOVE_BYTES,
	DIBS_STAT_MOVE_ERRORS,
	DIBS_STAT_SIGNALS,
	DIBS_STAT_SIGNALS_DROPPED,
	DIBS_STAT_EVENTS,
	DIBS_STAT_EVENTS_LOST,
	DIBS_STAT_BAD_TOKEN,
	DIBS_STAT_BAD_GID,
	DIBS_STAT_BAD_RANGE,
	DIBS_STAT_BAD_SIGNAL,
	DIBS_NR_STATS
};

struct dibs_stats {
	unsigned long cnt[DIBS_NR_STATS];
};

static inline void dibs_stat_add(struct dibs_dev *dibs, enum dibs_stat stat,
				 unsigned long val)
{
	this_cpu_add(dibs->stats->cnt[stat], val);
}

static inline void dibs_stat_inc(struct dibs_dev *dibs, enum dibs_stat stat)
{
	this_cpu_inc(dibs->stats->cnt[stat]);
}

/**
 * struct dibs_sub - a client's subscription to a device
 * @dibs: the device
 * @client: the client
 * @active: held by every handler that runs in process context, or delivers
 *	events, and every call that gives the client something new; killed when
 *	the client or the device leaves
 * @idle: @active dropped to 0
 * @stopped: as @active, for signal handlers in softirq context: those look at
 *	it under RCU
 * @rmaps: mappings of remote DMBs that the client holds, by token
 * @lock: protects @open, @ready, @lost and @events; taken in any context, hard
 *	interrupts of PREEMPT_RT included
 * @open: events are queued
 * @ready: queued events are delivered, @dibs_client_ops.add_dev has returned
 * @lost: at least one event did not fit into @events
 * @events: not yet delivered
 * @tasklet: delivers events, if the client is not threaded
 * @work: delivers events, if it is
 * @rcu: for freeing
 */
struct dibs_sub {
	struct dibs_dev *dibs;
	struct dibs_client *client;
	struct percpu_ref active;
	struct completion idle;
	bool stopped;
	struct rhashtable rmaps;
	raw_spinlock_t lock;	/* protects open to events */
	bool open;
	bool ready;
	bool lost;
	DECLARE_KFIFO(events, struct dibs_event, DIBS_EVENT_QUEUE);
	struct tasklet_struct tasklet;
	struct work_struct work;
	struct rcu_head rcu;
};

/**
 * struct dibs_run - a handler that runs in process context
 * @list: in the list of all of them
 * @task: in which
 */
struct dibs_run {
	struct list_head list;
	struct task_struct *task;
};

extern const struct attribute_group *dibs_dev_groups[];
extern struct workqueue_struct *dibs_wq;

/* dibs_main.c */
void dibs_run_begin(struct dibs_run *run);
void dibs_run_end(struct dibs_run *run);

/* dibs_sub.c */
struct dibs_sub *dibs_sub_alloc(struct dibs_dev *dibs,
				struct dibs_client *client);
void dibs_sub_free(struct dibs_sub *sub);
struct dibs_sub *dibs_sub_get(struct dibs_dev *dibs,
			      struct dibs_client *client);
void dibs_sub_start(struct dibs_sub *sub);
void dibs_sub_stop(struct dibs_sub *sub);

static inline void dibs_sub_put(struct dibs_sub *sub)
{
	percpu_ref_put(&sub->active);
}

/* dibs_dmb.c */
void dibs_dmb_reap(struct dibs_sub *sub);

/* dibs_rmap.c */
int dibs_rmap_init(struct dibs_sub *sub);
void dibs_rmap_reap(struct dibs_sub *sub);

/* dibs_move.c */
void dibs_count_error(struct dibs_dev *dibs, int err);

#endif	/* _DIBS_CORE_H */
