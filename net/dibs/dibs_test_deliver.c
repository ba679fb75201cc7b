// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing
 *
 * How signals and events reach a client.
 */
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/workqueue.h>

#include "dibs_test_fake.h"

static void signal(u32 idx, u16 mask)
{
	dibs_dev_signal(FAKE_DEV->dibs, idx, mask);
}

static void start_with_dmb(struct kunit *test, unsigned int flags)
{
	fake_start(test, flags);
	FAKE_CLIENT->dmb[0] = fake_dmb(0);
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_CLIENT,
					       &FAKE_CLIENT->dmb[0]));
}

static void end_with_dmb(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_CLIENT,
						 &FAKE_CLIENT->dmb[0]));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_CLIENT->overlaps));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_CLIENT->in_hardirq));
}

static void signal_reaches_owner(struct kunit *test)
{
	u32 idx;

	start_with_dmb(test, 0);
	idx = FAKE_CLIENT->dmb[0].idx;
	signal(idx, 0x8001);
	fake_wait(test, atomic_read(&FAKE_CLIENT->signals) == 2);
	KUNIT_EXPECT_EQ(test, 0x8001, atomic_read(&FAKE_CLIENT->mask));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_OTHER->irqs));
	signal(idx, 0);
	signal(idx + 1, 1);
	end_with_dmb(test);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&FAKE_CLIENT->irqs));
	signal(idx, 1);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&FAKE_CLIENT->irqs));
	KUNIT_EXPECT_EQ(test, 2L, fake_stat(test, FAKE_DEV, "signals_dropped"));
}

static void dmb_signal_reaches_owner(struct kunit *test)
{
	struct dibs_dmb other = fake_dmb(0);
	u32 idx;

	start_with_dmb(test, 0);
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_OTHER, &other));
	idx = FAKE_CLIENT->dmb[0].idx;
	dibs_dmb_signal(FAKE_DEV->dmb[idx], 0x8001);
	fake_wait(test, atomic_read(&FAKE_CLIENT->signals) == 2);
	KUNIT_EXPECT_EQ(test, 0x8001, atomic_read(&FAKE_CLIENT->mask));
	end_with_dmb(test);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_OTHER->irqs));
	KUNIT_EXPECT_EQ(test, 1L, fake_stat(test, FAKE_DEV, "signals"));
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_OTHER, &other));
}

static void slow_irq(struct fake_client *fc, struct dibs_dev *dibs,
		     unsigned int idx, u16 mask)
{
	complete(&fc->entered);
	msleep(100);
}

/* The handler is running when the core finds that the index is taken */
static void signal_before_registration_fails(struct kunit *test)
{
	struct dibs_dmb first = fake_dmb(3), dmb = fake_dmb(0);

	FAKE_CLIENT->on_irq = slow_irq;
	fake_start(test, DIBS_CLIENT_THREADED_IRQ);
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_OTHER, &first));
	FAKE_DEV->force_idx = first.idx;
	FAKE_DEV->early_signal = true;
	KUNIT_EXPECT_EQ(test, -EIO, fake_register(FAKE_CLIENT, &dmb));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&FAKE_CLIENT->irqs));
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_UNREGISTER));
	KUNIT_EXPECT_FALSE(test, FAKE_DEV->freed_in_handler);
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_OTHER, &first));
}

/* A signal, an event, and the contexts that they arrive in */
static void handler_contexts(struct kunit *test, unsigned int flags,
			     atomic_t *where, atomic_t *elsewhere)
{
	start_with_dmb(test, flags);
	signal(FAKE_CLIENT->dmb[0].idx, 1);
	fake_event(FAKE_DEV, 1);
	local_bh_disable();
	signal(FAKE_CLIENT->dmb[0].idx, 2);
	local_bh_enable();
	fake_wait(test, atomic_read(&FAKE_CLIENT->mask) == 3);
	fake_wait(test, atomic_read(&FAKE_CLIENT->events) == 1);
	end_with_dmb(test);
	KUNIT_EXPECT_GE(test, atomic_read(where), 2);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(elsewhere));
}

static void atomic_handlers_in_softirq(struct kunit *test)
{
	handler_contexts(test, 0, &FAKE_CLIENT->in_softirq,
			 &FAKE_CLIENT->in_process);
}

static void threaded_handlers_in_process(struct kunit *test)
{
	handler_contexts(test, DIBS_CLIENT_THREADED_IRQ |
			 DIBS_CLIENT_THREADED_EVENT, &FAKE_CLIENT->in_process,
			 &FAKE_CLIENT->in_softirq);
}

/* Holds up the handler (threaded) until the test lets it go on */
static void hold_irq(struct fake_client *fc, struct dibs_dev *dibs,
		     unsigned int idx, u16 mask)
{
	if (mask & BIT(0)) {
		complete(&fc->entered);
		wait_for_completion(&fc->go_on);
	}
}

/* The same for an atomic handler, bounded */
static void spin_irq(struct fake_client *fc, struct dibs_dev *dibs,
		     unsigned int idx, u16 mask)
{
	if (mask & BIT(0)) {
		complete(&fc->entered);
		mdelay(200);
	}
}

static void signals_coalesced(struct kunit *test)
{
	int i;

	FAKE_CLIENT->on_irq = hold_irq;
	start_with_dmb(test, DIBS_CLIENT_THREADED_IRQ);
	signal(FAKE_CLIENT->dmb[0].idx, BIT(0));
	wait_for_completion(&FAKE_CLIENT->entered);
	/* raised while the handler runs: one more run for all of them */
	for (i = 1; i < DIBS_MAX_SIGNALS; i++) {
		signal(FAKE_CLIENT->dmb[0].idx, BIT(i));
		signal(FAKE_CLIENT->dmb[0].idx, BIT(i));
	}
	msleep(20);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&FAKE_CLIENT->irqs));
	complete(&FAKE_CLIENT->go_on);
	fake_wait(test, atomic_read(&FAKE_CLIENT->mask) == 0xffff);
	end_with_dmb(test);
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&FAKE_CLIENT->irqs));
	KUNIT_EXPECT_EQ(test, 16, atomic_read(&FAKE_CLIENT->signals));
}

/*
 * Two threads and a timer interrupt each count, then signal. The handler notes
 * how far each had counted. A lost signal leaves the last count unseen.
 */
#define STORM_ROUNDS	20000
#define STORM_TICKS	200

static struct {
	atomic_t sent[3];
	atomic_t seen[3];
	u32 idx;
	int ticks;
	bool in_hardirq;
	struct hrtimer timer;
} storm;

static void storm_signal(int source)
{
	atomic_inc(&storm.sent[source]);
	signal(storm.idx, BIT(source));
}

static int storm_thread(void *data)
{
	int i;

	for (i = 0; i < STORM_ROUNDS; i++) {
		storm_signal((uintptr_t)data);
		if (!(i % 64))
			cond_resched();
	}
	return fake_thread_end();
}

static enum hrtimer_restart storm_tick(struct hrtimer *timer)
{
	storm.in_hardirq |= in_hardirq();
	storm_signal(2);
	WRITE_ONCE(storm.ticks, storm.ticks + 1);
	if (storm.ticks == STORM_TICKS)
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ms_to_ktime(1));
	return HRTIMER_RESTART;
}

static void storm_irq(struct fake_client *fc, struct dibs_dev *dibs,
		      unsigned int idx, u16 mask)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(storm.seen); i++)
		if (mask & BIT(i))
			atomic_set(&storm.seen[i], atomic_read(&storm.sent[i]));
}

static void signal_storm(struct kunit *test, unsigned int flags)
{
	struct task_struct *threads[2];
	int i;

	memset(&storm, 0, sizeof(storm));
	FAKE_CLIENT->on_irq = storm_irq;
	start_with_dmb(test, flags);
	storm.idx = FAKE_CLIENT->dmb[0].idx;
	hrtimer_init(&storm.timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	storm.timer.function = storm_tick;
	hrtimer_start(&storm.timer, ms_to_ktime(1), HRTIMER_MODE_REL);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		threads[i] = kthread_run(storm_thread, (void *)(uintptr_t)i,
					 "dibs_storm%d", i);
	fake_wait(test, READ_ONCE(storm.ticks) == STORM_TICKS);
	hrtimer_cancel(&storm.timer);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		if (!IS_ERR(threads[i]))
			kthread_stop(threads[i]);
	for (i = 0; i < ARRAY_SIZE(storm.seen); i++)
		fake_wait(test, atomic_read(&storm.seen[i]) ==
				atomic_read(&storm.sent[i]));
	end_with_dmb(test);
	KUNIT_EXPECT_EQ(test, STORM_ROUNDS, atomic_read(&storm.sent[0]));
	KUNIT_EXPECT_EQ(test, STORM_ROUNDS, atomic_read(&storm.sent[1]));
	KUNIT_EXPECT_TRUE(test, storm.in_hardirq);
	KUNIT_EXPECT_LE(test, (long)atomic_read(&FAKE_CLIENT->irqs),
			fake_stat(test, FAKE_DEV, "signals"));
}

static void signal_storm_atomic(struct kunit *test)
{
	signal_storm(test, 0);
}

static void signal_storm_threaded(struct kunit *test)
{
	signal_storm(test, DIBS_CLIENT_THREADED_IRQ);
}

/* Each handler waits until both are running */
static void meet_irq(struct fake_client *fc, struct dibs_dev *dibs,
		     unsigned int idx, u16 mask)
{
	unsigned long end = jiffies + FAKE_TIMEOUT;

	atomic_inc(&fc->sent);
	while (atomic_read(&fc->sent) < 2 && time_before(jiffies, end))
		usleep_range(100, 1000);
	if (atomic_read(&fc->sent) == 2)
		atomic_or(BIT(idx), &fc->mask);
}

static void two_dmbs_concurrently(struct kunit *test)
{
	struct dibs_dmb second = fake_dmb(0);

	FAKE_CLIENT->on_irq = meet_irq;
	start_with_dmb(test, DIBS_CLIENT_THREADED_IRQ);
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_CLIENT, &second));
	signal(FAKE_CLIENT->dmb[0].idx, BIT(0));
	signal(second.idx, BIT(0));
	fake_wait(test, atomic_read(&FAKE_CLIENT->mask) ==
			(BIT(0) | BIT(FAKE_CLIENT->dmb[0].idx) |
			 BIT(second.idx)));
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_CLIENT, &second));
	end_with_dmb(test);
}

#define ECHOES	100

/* Answers on the same device and DMB, from within the handler */
static void echo_irq(struct fake_client *fc, struct dibs_dev *dibs,
		     unsigned int idx, u16 mask)
{
	u8 data = 1;

	if (atomic_inc_return(&fc->sent) > ECHOES)
		return;
	if (dibs_move_data(dibs, fc->dmb[0].dmb_tok, 2, true, 0, &data, 1))
		fc->rc[0]++;
}

static void echo(struct kunit *test, unsigned int flags)
{
	FAKE_CLIENT->on_irq = echo_irq;
	start_with_dmb(test, flags);
	signal(FAKE_CLIENT->dmb[0].idx, 1);
	fake_wait(test, atomic_read(&FAKE_CLIENT->sent) > ECHOES);
	end_with_dmb(test);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[0]);
	KUNIT_EXPECT_EQ(test, ECHOES + 1, atomic_read(&FAKE_CLIENT->irqs));
}

static void echo_atomic(struct kunit *test)
{
	echo(test, 0);
}

static void echo_threaded(struct kunit *test)
{
	echo(test, DIBS_CLIENT_THREADED_IRQ);
}

static void let_go(struct work_struct *work)
{
	msleep(100);
	/* set before the handler can return, so that waiting for it shows */
	FAKE_CLIENT->rc[7] = 1;
	complete(&FAKE_CLIENT->go_on);
}

static DECLARE_WORK(let_go_work, let_go);

static void sync_dmb_waits_threaded(struct kunit *test)
{
	u32 idx;

	FAKE_CLIENT->on_irq = hold_irq;
	start_with_dmb(test, DIBS_CLIENT_THREADED_IRQ);
	idx = FAKE_CLIENT->dmb[0].idx;
	dibs_sync_dmb(FAKE_DEV->dibs, idx);
	dibs_sync_dmb(FAKE_DEV->dibs, idx + 1);
	signal(idx, 1);
	wait_for_completion(&FAKE_CLIENT->entered);
	schedule_work(&let_go_work);
	dibs_sync_dmb(FAKE_DEV->dibs, idx);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_CLIENT->running[idx]));
	KUNIT_EXPECT_EQ(test, 1, FAKE_CLIENT->rc[7]);
	flush_work(&let_go_work);
	end_with_dmb(test);
}

/* The handler must run on another CPU while the test waits for it */
static int signal_thread(void *data)
{
	local_bh_disable();
	signal(FAKE_CLIENT->dmb[0].idx, 1);
	local_bh_enable();
	return fake_thread_end();
}

static struct task_struct *signal_from_other_cpu(struct kunit *test)
{
	struct task_struct *task;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	FAKE_CLIENT->on_irq = spin_irq;
	start_with_dmb(test, 0);
	set_cpus_allowed_ptr(current, cpumask_of(0));
	task = kthread_create(signal_thread, NULL, "dibs_signal");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	kthread_bind(task, cpumask_next(0, cpu_online_mask));
	wake_up_process(task);
	wait_for_completion(&FAKE_CLIENT->entered);
	return task;
}

static void end_other_cpu(struct task_struct *task)
{
	kthread_stop(task);
	set_cpus_allowed_ptr(current, cpu_possible_mask);
}

static void sync_dmb_waits_atomic(struct kunit *test)
{
	struct task_struct *task = signal_from_other_cpu(test);
	u32 idx = FAKE_CLIENT->dmb[0].idx;

	dibs_sync_dmb(FAKE_DEV->dibs, idx);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_CLIENT->running[idx]));
	end_other_cpu(task);
	end_with_dmb(test);
}

static void unregister_waits_atomic(struct kunit *test)
{
	struct task_struct *task = signal_from_other_cpu(test);
	u32 idx = FAKE_CLIENT->dmb[0].idx;

	end_with_dmb(test);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_CLIENT->running[idx]));
	/* nor was the memory freed under the handler */
	KUNIT_EXPECT_FALSE(test, FAKE_DEV->freed_in_handler);
	end_other_cpu(task);
}

static void look_for_handler(struct fake_client *fc, struct dibs_dev *dibs)
{
	fc->rc[0] = atomic_read(&fc->running[fc->dmb[0].idx]);
	fc->rc[1] = fake_unregister(fc, &fc->dmb[0]);
}

/* del_dev() may free what the handler uses */
static void removal_waits_atomic(struct kunit *test)
{
	struct task_struct *task;

	FAKE_CLIENT->on_del = look_for_handler;
	task = signal_from_other_cpu(test);
	fake_dev_del(FAKE_DEV);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&FAKE_CLIENT->dels));
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[0]);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[1]);
	end_other_cpu(task);
}

static void unregister_waits_threaded(struct kunit *test)
{
	u32 idx;

	FAKE_CLIENT->on_irq = hold_irq;
	start_with_dmb(test, DIBS_CLIENT_THREADED_IRQ);
	idx = FAKE_CLIENT->dmb[0].idx;
	signal(idx, 1);
	wait_for_completion(&FAKE_CLIENT->entered);
	signal(idx, 2);
	schedule_work(&let_go_work);
	end_with_dmb(test);
	KUNIT_EXPECT_EQ(test, 1, FAKE_CLIENT->rc[7]);
	KUNIT_EXPECT_FALSE(test, FAKE_DEV->freed_in_handler);
	/* what was still pending ended with the DMB */
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&FAKE_CLIENT->irqs));
	flush_work(&let_go_work);
}

static void unregister_self(struct fake_client *fc, struct dibs_dev *dibs,
			    unsigned int idx, u16 mask)
{
	signal(idx, 2);
	fc->rc[0] = fake_unregister(fc, &fc->dmb[0]);
	fc->rc[1] = fake_unregister(fc, &fc->dmb[0]);
	fc->dmb[1] = fake_dmb(0);
	fc->rc[2] = fake_register(fc, &fc->dmb[1]);
	fc->rc[3] = fake_unregister(fc, &fc->dmb[1]);
	complete(&fc->entered);
}

static void unregister_in_own_handler(struct kunit *test)
{
	FAKE_CLIENT->on_irq = unregister_self;
	start_with_dmb(test, DIBS_CLIENT_THREADED_IRQ);
	signal(FAKE_CLIENT->dmb[0].idx, 1);
	KUNIT_ASSERT_NE(test, 0,
			wait_for_completion_timeout(&FAKE_CLIENT->entered,
						    FAKE_TIMEOUT));
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[0]);
	KUNIT_EXPECT_EQ(test, -ENOENT, FAKE_CLIENT->rc[1]);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[2]);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[3]);
	KUNIT_EXPECT_EQ(test, 0L, fake_stat(test, FAKE_DEV, "dmbs"));
	dibs_unregister_client(&FAKE_CLIENT->client);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&FAKE_CLIENT->irqs));
	/* it was its own handler, on its own responsibility */
	FAKE_DEV->freed_in_handler = false;
}

/* The first DMB's handler takes the second one, which waits to be let go */
static void unregister_second(struct fake_client *fc, struct dibs_dev *dibs,
			      unsigned int idx, u16 mask)
{
	if (idx == fc->dmb[1].idx) {
		complete(&fc->entered);
		wait_for_completion(&fc->go_on);
		fc->rc[1]++;
		return;
	}
	schedule_work(&let_go_work);
	fc->rc[0] = fake_unregister(fc, &fc->dmb[1]);
	complete(&fc->entered);
}

static void unregister_other_in_handler(struct kunit *test)
{
	FAKE_CLIENT->on_irq = unregister_second;
	start_with_dmb(test, DIBS_CLIENT_THREADED_IRQ);
	FAKE_CLIENT->dmb[1] = fake_dmb(0);
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_CLIENT,
					       &FAKE_CLIENT->dmb[1]));
	signal(FAKE_CLIENT->dmb[1].idx, 1);
	KUNIT_ASSERT_NE(test, 0,
			wait_for_completion_timeout(&FAKE_CLIENT->entered,
						    FAKE_TIMEOUT));
	signal(FAKE_CLIENT->dmb[1].idx, 2);
	signal(FAKE_CLIENT->dmb[0].idx, 1);
	KUNIT_ASSERT_NE(test, 0,
			wait_for_completion_timeout(&FAKE_CLIENT->entered,
						    FAKE_TIMEOUT));
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[0]);
	/* it was waited for, and its second run did not take place */
	KUNIT_EXPECT_EQ(test, 1, FAKE_CLIENT->rc[1]);
	KUNIT_EXPECT_FALSE(test, FAKE_DEV->freed_in_handler);
	end_with_dmb(test);
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&FAKE_CLIENT->irqs));
	flush_work(&let_go_work);
}

static void events_in_order_to_all(struct kunit *test)
{
	int i;

	fake_start(test, DIBS_CLIENT_THREADED_EVENT);
	for (i = 0; i < 50; i++)
		fake_event(FAKE_DEV, i);
	fake_wait(test, atomic_read(&FAKE_CLIENT->events) == 50);
	fake_wait(test, atomic_read(&FAKE_OTHER->events) == 50);
	for (i = 0; i < 50; i++) {
		KUNIT_EXPECT_EQ(test, i, FAKE_CLIENT->event[i].data);
		KUNIT_EXPECT_EQ(test, i, FAKE_OTHER->event[i].data);
		KUNIT_EXPECT_EQ(test, DIBS_SW_EVENT, FAKE_OTHER->event[i].type);
	}
}

static void event_handler_is_optional(struct kunit *test)
{
	FAKE_CLIENT->ops.handle_event = NULL;
	fake_start(test, 0);
	fake_event(FAKE_DEV, 1);
	fake_wait(test, atomic_read(&FAKE_OTHER->events) == 1);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_CLIENT->events));
	KUNIT_EXPECT_EQ(test, 0L, fake_stat(test, FAKE_DEV, "events_lost"));
}

static void hold_event(struct fake_client *fc, struct dibs_dev *dibs)
{
	if (atomic_read(&fc->events) == 1) {
		complete(&fc->entered);
		wait_for_completion(&fc->go_on);
	}
}

/* One is being handled, 64 are kept, the next three are lost, and said to be */
static void event_overflow(struct kunit *test)
{
	struct dibs_event *ev = FAKE_CLIENT->event;
	int i;

	FAKE_CLIENT->on_event = hold_event;
	fake_start(test, DIBS_CLIENT_THREADED_EVENT);
	dibs_unregister_client(&FAKE_OTHER->client);
	fake_event(FAKE_DEV, 0);
	wait_for_completion(&FAKE_CLIENT->entered);
	for (i = 1; i <= 64 + 3; i++)
		fake_event(FAKE_DEV, i);
	KUNIT_EXPECT_EQ(test, 3L, fake_stat(test, FAKE_DEV, "events_lost"));
	complete(&FAKE_CLIENT->go_on);
	fake_wait(test, atomic_read(&FAKE_CLIENT->events) == 1 + 64 + 1);
	fake_event(FAKE_DEV, 100);
	fake_wait(test, atomic_read(&FAKE_CLIENT->events) == 1 + 64 + 1 + 1);
	for (i = 0; i <= 64; i++)
		KUNIT_EXPECT_EQ(test, i, ev[i].data);
	KUNIT_EXPECT_EQ(test, DIBS_OTHER_EVENT, ev[65].type);
	KUNIT_EXPECT_EQ(test, DIBS_EVENTS_LOST, ev[65].subtype);
	KUNIT_EXPECT_EQ(test, 100, ev[66].data);
	KUNIT_EXPECT_EQ(test, 69L, fake_stat(test, FAKE_DEV, "events"));
}

static void event_and_signal_in_add(struct fake_client *fc,
				    struct dibs_dev *dibs)
{
	unsigned long end = jiffies + FAKE_TIMEOUT;

	fake_event(FAKE_DEV, 1);
	fake_event(FAKE_DEV, 2);
	fc->dmb[0] = fake_dmb(0);
	fc->rc[0] = fake_register(fc, &fc->dmb[0]);
	signal(fc->dmb[0].idx, 1);
	while (!atomic_read(&fc->irqs) && time_before(jiffies, end))
		usleep_range(100, 1000);
	fc->rc[1] = atomic_read(&fc->events);
	fc->rc[2] = atomic_read(&fc->irqs);
}

static void events_during_add_dev(struct kunit *test)
{
	FAKE_CLIENT->on_add = event_and_signal_in_add;
	fake_start(test, 0);
	/* not before add_dev returned, and not lost; signals come at once */
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[0]);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[1]);
	KUNIT_EXPECT_EQ(test, 1, FAKE_CLIENT->rc[2]);
	fake_wait(test, atomic_read(&FAKE_CLIENT->events) == 2);
	KUNIT_EXPECT_EQ(test, 1, FAKE_CLIENT->event[0].data);
	KUNIT_EXPECT_EQ(test, 2, FAKE_CLIENT->event[1].data);
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_CLIENT,
						 &FAKE_CLIENT->dmb[0]));
}

static struct kunit_case dibs_deliver_cases[] = {
	KUNIT_CASE(signal_reaches_owner),
	KUNIT_CASE(dmb_signal_reaches_owner),
	KUNIT_CASE(signal_before_registration_fails),
	KUNIT_CASE(atomic_handlers_in_softirq),
	KUNIT_CASE(threaded_handlers_in_process),
	KUNIT_CASE(signals_coalesced),
	KUNIT_CASE(signal_storm_atomic),
	KUNIT_CASE(signal_storm_threaded),
	KUNIT_CASE(two_dmbs_concurrently),
	KUNIT_CASE(echo_atomic),
	KUNIT_CASE(echo_threaded),
	KUNIT_CASE(sync_dmb_waits_threaded),
	KUNIT_CASE(sync_dmb_waits_atomic),
	KUNIT_CASE(unregister_waits_atomic),
	KUNIT_CASE(removal_waits_atomic),
	KUNIT_CASE(unregister_waits_threaded),
	KUNIT_CASE(unregister_in_own_handler),
	KUNIT_CASE(unregister_other_in_handler),
	KUNIT_CASE(events_in_order_to_all),
	KUNIT_CASE(event_handler_is_optional),
	KUNIT_CASE(event_overflow),
	KUNIT_CASE(events_during_add_dev),
	{}
};

static struct kunit_suite dibs_deliver_suite = {
	.name = "dibs_deliver",
	.init = fake_init,
	.exit = fake_exit,
	.test_cases = dibs_deliver_cases,
};

kunit_test_suite(dibs_deliver_suite);
