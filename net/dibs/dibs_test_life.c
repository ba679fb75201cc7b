// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing
 *
 * Clients and devices that come and go, at the worst of times.
 */
#include <linux/hrtimer.h>
#include <linux/kthread.h>

#include "dibs_test_fake.h"

/* As a driver does whose interrupt comes after everything is gone */
static void interrupt_after_removal(struct kunit *test)
{
	struct dibs_dmb *dmb = &FAKE_CLIENT->dmb[0];
	int i;

	fake_start(test, 0);
	*dmb = fake_dmb(0);
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_CLIENT, dmb));
	fake_dev_del(FAKE_DEV);
	for (i = 0; i < 100; i++) {
		dibs_dev_signal(FAKE_DEV->dibs, dmb->idx, 1);
		fake_event(FAKE_DEV, i);
	}
	msleep(20);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_CLIENT->irqs));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_CLIENT->events));
	KUNIT_EXPECT_EQ(test, 100L,
			fake_stat(test, FAKE_DEV, "signals_dropped"));
}

static enum hrtimer_restart interrupt_storm(struct hrtimer *timer)
{
	int i;

	for (i = 0; i < 4; i++)
		dibs_dev_signal(FAKE_DEV->dibs, i, 0xffff);
	fake_event(FAKE_DEV, 1);
	hrtimer_forward_now(timer, ms_to_ktime(1));
	return HRTIMER_RESTART;
}

/* FAKE_CLIENT must hear nothing any more when its del_dev runs */
static void check_quiet(struct fake_client *fc, struct dibs_dev *dibs)
{
	int irqs = atomic_read(&fc->irqs), events = atomic_read(&fc->events);

	msleep(20);
	fc->rc[0] += atomic_read(&fc->irqs) != irqs;
	fc->rc[1] += atomic_read(&fc->events) != events;
	fc->rc[2] += !!fake_unregister(fc, &fc->dmb[0]);
}

static void interrupts_during_removal(struct kunit *test, unsigned int flags)
{
	struct hrtimer timer;
	int i;

	FAKE_CLIENT->on_del = check_quiet;
	hrtimer_init_on_stack(&timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	timer.function = interrupt_storm;
	fake_start(test, flags);
	for (i = 0; i < 5; i++) {
		FAKE_CLIENT->dmb[0] = fake_dmb(0);
		if (fake_register(FAKE_CLIENT, &FAKE_CLIENT->dmb[0]))
			break;
		hrtimer_start(&timer, 0, HRTIMER_MODE_REL);
		fake_wait(test, atomic_read(&FAKE_CLIENT->irqs) > i);
		fake_dev_del(FAKE_DEV);
		hrtimer_cancel(&timer);
		fake_dev_put(FAKE_DEV);
		if (fake_dev_alloc(FAKE_DEV, "fake0") || fake_dev_add(FAKE_DEV))
			break;
	}
	destroy_hrtimer_on_stack(&timer);
	KUNIT_EXPECT_EQ(test, 5, i);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[0]);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[1]);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[2]);
	FAKE_CLIENT->on_del = NULL;
}

static void interrupts_during_removal_atomic(struct kunit *test)
{
	interrupts_during_removal(test, 0);
}

static void interrupts_during_removal_threaded(struct kunit *test)
{
	interrupts_during_removal(test, DIBS_CLIENT_THREADED_IRQ |
				  DIBS_CLIENT_THREADED_EVENT);
}

/* Twice as many as would be kept */
static void report_in_del(struct fake_client *fc, struct dibs_dev *dibs)
{
	int i;

	for (i = 0; i < 128; i++)
		fake_event(FAKE_DEV, i);
}

/* Nothing is queued any more, so nothing is lost either */
static void events_during_removal(struct kunit *test)
{
	FAKE_CLIENT->on_del = report_in_del;
	fake_start(test, 0);
	fake_dev_del(FAKE_DEV);
	KUNIT_EXPECT_EQ(test, 128L, fake_stat(test, FAKE_DEV, "events"));
	KUNIT_EXPECT_EQ(test, 0L, fake_stat(test, FAKE_DEV, "events_lost"));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_CLIENT->events));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_OTHER->events));
}

/* What works while a device leaves, and what does not */
static void use_in_del(struct fake_client *fc, struct dibs_dev *dibs)
{
	struct dibs_rdmb rdmb = { .dmb_tok = 8 };
	struct dibs_dmb dmb = fake_dmb(0);

	fc->rc[0] = dibs_register_dmb(dibs, &dmb, &fc->client);
	fc->rc[1] = dibs_attach_dmb(dibs, &rdmb, &fc->client);
	fc->rc[2] = dibs_move_data(dibs, fc->dmb[0].dmb_tok, 0, true, 0, "", 1);
	fc->rc[3] = dibs_query_remote_gid(dibs, &dibs->gid, 0, 0);
	fc->rc[4] = dibs_add_vlan_id(dibs, 1);
	fc->rc[5] = dibs_signal_event(dibs, &dibs->gid, 1, 2, 3);
	fc->rc[6] = dibs_unregister_dmb(dibs, &fc->dmb[0], &fc->client);
	fc->rc[7] = dibs_detach_dmb(dibs, 7, &fc->client);
	if (!fc->rc[7])
		fc->rc[7] = dibs_del_vlan_id(dibs, 1);
}

static void start_holding(struct kunit *test, struct fake_client *fc)
{
	struct dibs_rdmb rdmb = { .dmb_tok = 7 };

	fc->dmb[0] = fake_dmb(0);
	KUNIT_ASSERT_EQ(test, 0, fake_register(fc, &fc->dmb[0]));
	KUNIT_ASSERT_EQ(test, 0, dibs_attach_dmb(FAKE_DEV->dibs, &rdmb,
						 &fc->client));
}

static void removal_phases(struct kunit *test)
{
	fake_start(test, 0);
	FAKE_CLIENT->on_del = use_in_del;
	start_holding(test, FAKE_CLIENT);
	fake_dev_del(FAKE_DEV);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&FAKE_CLIENT->dels));
	KUNIT_EXPECT_EQ(test, -ENODEV, FAKE_CLIENT->rc[0]);
	KUNIT_EXPECT_EQ(test, -ENODEV, FAKE_CLIENT->rc[1]);
	KUNIT_EXPECT_EQ(test, -ENODEV, FAKE_CLIENT->rc[2]);
	KUNIT_EXPECT_EQ(test, -ENODEV, FAKE_CLIENT->rc[3]);
	KUNIT_EXPECT_EQ(test, -ENODEV, FAKE_CLIENT->rc[4]);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[5]);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[6]);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[7]);
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_UNREGISTER));
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_DETACH));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_MOVE));
}

/* Afterwards everything says so; the driver's reference keeps the device, but
 * nothing keeps the driver.
 */
static void calls_after_removal(struct kunit *test)
{
	struct dibs_dev *dibs;

	fake_start(test, 0);
	dibs = FAKE_DEV->dibs;
	fake_dev_del(FAKE_DEV);
	dibs->ops = NULL;
	use_in_del(FAKE_CLIENT, dibs);
	KUNIT_EXPECT_EQ(test, -ENODEV, FAKE_CLIENT->rc[0]);
	KUNIT_EXPECT_EQ(test, -ENODEV, FAKE_CLIENT->rc[1]);
	KUNIT_EXPECT_EQ(test, -ENODEV, FAKE_CLIENT->rc[2]);
	KUNIT_EXPECT_EQ(test, -ENODEV, FAKE_CLIENT->rc[3]);
	KUNIT_EXPECT_EQ(test, -ENODEV, FAKE_CLIENT->rc[4]);
	KUNIT_EXPECT_EQ(test, -ENODEV, FAKE_CLIENT->rc[5]);
	KUNIT_EXPECT_EQ(test, -ENODEV, FAKE_CLIENT->rc[6]);
	KUNIT_EXPECT_EQ(test, -ENODEV, FAKE_CLIENT->rc[7]);
	KUNIT_EXPECT_EQ(test, -ENODEV, dibs_del_vlan_id(dibs, 1));
	KUNIT_EXPECT_EQ(test, -ENODEV,
			dibs_move_data_atomic(dibs, 1, 0, false, 0, "", 1));
	KUNIT_EXPECT_EQ(test, -ENODEV,
			dibs_move_data_vec(dibs, 1, 0, false, NULL, 0));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_SIGNAL_EVENT));
	KUNIT_EXPECT_EQ(test, 0L, fake_stat(test, FAKE_DEV, "move_errors"));
}

static int move_thread(void *data)
{
	FAKE_CLIENT->rc[0] = dibs_move_data(FAKE_DEV->dibs,
					    FAKE_CLIENT->dmb[0].dmb_tok, 0,
					    false, 0, "", 1);
	/* seen by the test only if it waited */
	WRITE_ONCE(FAKE_CLIENT->rc[1], 1);
	return fake_thread_end();
}

static int release_device_thread(void *data)
{
	msleep(100);
	FAKE_CLIENT->rc[2] = 1;
	complete(&FAKE_DEV->go_on);
	return fake_thread_end();
}

static void removal_waits_for_move(struct kunit *test)
{
	struct task_struct *mover, *releaser;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs a CPU for the move that does not end");
	fake_start(test, 0);
	FAKE_DEV->block_move = true;
	mover = kthread_run(move_thread, NULL, "dibs_move");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mover);
	wait_for_completion(&FAKE_DEV->entered);
	releaser = kthread_run(release_device_thread, NULL, "dibs_release");
	if (IS_ERR(releaser))
		complete(&FAKE_DEV->go_on);
	fake_dev_del(FAKE_DEV);
	KUNIT_EXPECT_EQ(test, 1, FAKE_CLIENT->rc[2]);
	fake_wait(test, READ_ONCE(FAKE_CLIENT->rc[1]) == 1);
	KUNIT_EXPECT_EQ(test, -ENOENT, FAKE_CLIENT->rc[0]);
	kthread_stop(mover);
	if (!IS_ERR(releaser))
		kthread_stop(releaser);
}

static void expect_reaped(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&FAKE_CLIENT->dels));
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_UNREGISTER));
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_DETACH));
	KUNIT_EXPECT_EQ(test, 0L, fake_stat(test, FAKE_DEV, "dmbs"));
	KUNIT_EXPECT_EQ(test, 0L, fake_stat(test, FAKE_DEV, "attached"));
}

static void client_leaves_everything_behind(struct kunit *test)
{
	u32 idx;

	fake_start(test, 0);
	start_holding(test, FAKE_CLIENT);
	idx = FAKE_CLIENT->dmb[0].idx;
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_client(&FAKE_CLIENT->client));
	expect_reaped(test);
	dibs_dev_signal(FAKE_DEV->dibs, idx, 1);
	KUNIT_EXPECT_EQ(test, 1L, fake_stat(test, FAKE_DEV, "signals_dropped"));
}

static void device_leaves_with_everything(struct kunit *test)
{
	fake_start(test, 0);
	start_holding(test, FAKE_CLIENT);
	fake_dev_del(FAKE_DEV);
	expect_reaped(test);
}

/* The other's buffers are in the same table, and stay */
static void reaping_spares_others(struct kunit *test)
{
	fake_start(test, 0);
	start_holding(test, FAKE_CLIENT);
	start_holding(test, FAKE_OTHER);
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_client(&FAKE_CLIENT->client));
	KUNIT_EXPECT_EQ(test, 1L, fake_stat(test, FAKE_DEV, "dmbs"));
	KUNIT_EXPECT_EQ(test, 1L, fake_stat(test, FAKE_DEV, "attached"));
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_OTHER,
						 &FAKE_OTHER->dmb[0]));
	KUNIT_EXPECT_EQ(test, 0, dibs_detach_dmb(FAKE_DEV->dibs, 7,
						 &FAKE_OTHER->client));
}

static int churn_thread(void *data)
{
	struct dibs_dmb dmb;

	while (!kthread_should_stop()) {
		dmb = fake_dmb(0);
		if (!fake_register(FAKE_OTHER, &dmb))
			FAKE_OTHER->rc[0] += !!fake_unregister(FAKE_OTHER, &dmb);
		cond_resched();
	}
	return 0;
}

static void client_leaves_while_other_works(struct kunit *test)
{
	struct task_struct *task;
	int i, rc = 0;

	fake_start(test, 0);
	task = kthread_run(churn_thread, NULL, "dibs_churn");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	for (i = 0; i < 50 && !rc; i++) {
		rc = dibs_unregister_client(&FAKE_CLIENT->client);
		rc = rc ?: dibs_register_client(&FAKE_CLIENT->client);
	}
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, 0, rc);
	KUNIT_EXPECT_EQ(test, 0, FAKE_OTHER->rc[0]);
	KUNIT_EXPECT_EQ(test, 51, atomic_read(&FAKE_CLIENT->adds));
}

static void register_in_add(struct fake_client *fc, struct dibs_dev *dibs)
{
	struct dibs_rdmb rdmb = { .dmb_tok = 7 };

	fc->dmb[0] = fake_dmb(0);
	fc->rc[0] = fake_register(fc, &fc->dmb[0]);
	fc->rc[1] = dibs_attach_dmb(dibs, &rdmb, &fc->client);
}

static void add_dev_fails(struct kunit *test)
{
	struct dibs_dmb dmb = fake_dmb(0);

	FAKE_CLIENT->on_add = register_in_add;
	FAKE_CLIENT->add_rc = -ENOMEM;
	fake_start(test, 0);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[0]);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[1]);
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_UNREGISTER));
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_DETACH));
	/* not on this device, but registered; others are not affected */
	KUNIT_EXPECT_EQ(test, -ENODEV, fake_register(FAKE_CLIENT, &dmb));
	KUNIT_EXPECT_EQ(test, -EALREADY,
			dibs_register_client(&FAKE_CLIENT->client));
	fake_event(FAKE_DEV, 1);
	fake_wait(test, atomic_read(&FAKE_OTHER->events) == 1);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_CLIENT->events));
	fake_dev_del(FAKE_DEV);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_CLIENT->dels));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&FAKE_OTHER->dels));
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_client(&FAKE_CLIENT->client));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_CLIENT->dels));
}

static void unregister_client_here(struct fake_client *fc,
				   struct dibs_dev *dibs)
{
	fc->rc[0] = dibs_unregister_client(&fc->client);
	fc->rc[1] = dibs_register_client(&fake_clients[2].client);
	complete(&fc->entered);
}

static void unregister_client_in_irq(struct fake_client *fc,
				     struct dibs_dev *dibs, unsigned int idx,
				     u16 mask)
{
	unregister_client_here(fc, dibs);
}

static void expect_deadlk(struct kunit *test)
{
	KUNIT_ASSERT_NE(test, 0,
			wait_for_completion_timeout(&FAKE_CLIENT->entered,
						    FAKE_TIMEOUT));
	KUNIT_EXPECT_EQ(test, -EDEADLK, FAKE_CLIENT->rc[0]);
	KUNIT_EXPECT_EQ(test, -EDEADLK, FAKE_CLIENT->rc[1]);
}

static void expect_deadlk_unchanged(struct kunit *test)
{
	struct dibs_dmb dmb = fake_dmb(0);

	expect_deadlk(test);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_CLIENT->dels));
	KUNIT_EXPECT_EQ(test, -EALREADY,
			dibs_register_client(&FAKE_CLIENT->client));
	KUNIT_EXPECT_EQ(test, 0, fake_register(FAKE_CLIENT, &dmb));
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_CLIENT, &dmb));
}

static void client_unregisters_in_add_dev(struct kunit *test)
{
	FAKE_CLIENT->on_add = unregister_client_here;
	fake_start(test, 0);
	expect_deadlk_unchanged(test);
}

static void client_unregisters_in_del_dev(struct kunit *test)
{
	FAKE_CLIENT->on_del = unregister_client_here;
	fake_start(test, 0);
	fake_dev_del(FAKE_DEV);
	expect_deadlk(test);
	KUNIT_EXPECT_EQ(test, -EALREADY,
			dibs_register_client(&FAKE_CLIENT->client));
}

static void client_unregisters_in_irq(struct kunit *test)
{
	struct dibs_dmb dmb = fake_dmb(0);

	FAKE_CLIENT->on_irq = unregister_client_in_irq;
	fake_start(test, DIBS_CLIENT_THREADED_IRQ);
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_CLIENT, &dmb));
	dibs_dev_signal(FAKE_DEV->dibs, dmb.idx, 1);
	expect_deadlk_unchanged(test);
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_CLIENT, &dmb));
}

static void client_unregisters_in_event(struct kunit *test)
{
	FAKE_CLIENT->on_event = unregister_client_here;
	fake_start(test, DIBS_CLIENT_THREADED_EVENT);
	fake_event(FAKE_DEV, 1);
	expect_deadlk_unchanged(test);
}

static int register_thread(void *data)
{
	struct fake_client *late = &fake_clients[2];

	late->rc[0] = dibs_register_client(&late->client);
	late->rc[1] = atomic_read(&late->adds);
	complete(&late->entered);
	return fake_thread_end();
}

static struct task_struct *registering;

/* A client comes while the device is leaving: it must not get the device */
static void register_during_del(struct fake_client *fc, struct dibs_dev *dibs)
{
	registering = kthread_run(register_thread, NULL, "dibs_register");
	fc->rc[0] = PTR_ERR_OR_ZERO(registering);
	msleep(100);
	fc->rc[1] = atomic_read(&fake_clients[2].adds);
}

static void client_registers_while_device_leaves(struct kunit *test)
{
	struct fake_client *late = &fake_clients[2];

	FAKE_CLIENT->on_del = register_during_del;
	fake_start(test, 0);
	fake_dev_del(FAKE_DEV);
	KUNIT_ASSERT_EQ(test, 0, FAKE_CLIENT->rc[0]);
	KUNIT_ASSERT_NE(test, 0, wait_for_completion_timeout(&late->entered,
							     FAKE_TIMEOUT));
	kthread_stop(registering);
	KUNIT_EXPECT_EQ(test, 0, late->rc[0]);
	KUNIT_EXPECT_EQ(test, 0, late->rc[1]);
	KUNIT_EXPECT_EQ(test, 0, FAKE_CLIENT->rc[1]);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&late->adds));
}

static int come_and_go_thread(void *data)
{
	struct fake_client *late = &fake_clients[2];

	while (!kthread_should_stop()) {
		late->rc[0] |= dibs_register_client(&late->client);
		late->rc[0] |= dibs_unregister_client(&late->client);
		cond_resched();
	}
	return 0;
}

static void client_and_device_come_and_go(struct kunit *test)
{
	struct fake_client *late = &fake_clients[2];
	struct task_struct *task;
	int i, rc = 0;

	late->on_add = register_in_add;
	fake_start(test, 0);
	task = kthread_run(come_and_go_thread, NULL, "dibs_come_and_go");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	for (i = 0; i < 20 && !rc; i++) {
		msleep(20);
		fake_dev_del(FAKE_DEV);
		fake_dev_put(FAKE_DEV);
		rc = fake_dev_alloc(FAKE_DEV, "fake0") ?: fake_dev_add(FAKE_DEV);
	}
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, 0, rc);
	KUNIT_EXPECT_EQ(test, 0, late->rc[0]);
	KUNIT_EXPECT_GT(test, atomic_read(&late->adds), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&late->adds),
			atomic_read(&late->dels));
	KUNIT_EXPECT_EQ(test, 21, atomic_read(&FAKE_CLIENT->adds));
	KUNIT_EXPECT_EQ(test, 20, atomic_read(&FAKE_CLIENT->dels));
}

static struct kunit_case dibs_life_cases[] = {
	KUNIT_CASE(interrupt_after_removal),
	KUNIT_CASE(interrupts_during_removal_atomic),
	KUNIT_CASE(interrupts_during_removal_threaded),
	KUNIT_CASE(events_during_removal),
	KUNIT_CASE(removal_phases),
	KUNIT_CASE(calls_after_removal),
	KUNIT_CASE(removal_waits_for_move),
	KUNIT_CASE(client_leaves_everything_behind),
	KUNIT_CASE(device_leaves_with_everything),
	KUNIT_CASE(reaping_spares_others),
	KUNIT_CASE(client_leaves_while_other_works),
	KUNIT_CASE(add_dev_fails),
	KUNIT_CASE(client_unregisters_in_add_dev),
	KUNIT_CASE(client_unregisters_in_del_dev),
	KUNIT_CASE(client_unregisters_in_irq),
	KUNIT_CASE(client_unregisters_in_event),
	KUNIT_CASE(client_registers_while_device_leaves),
	KUNIT_CASE(client_and_device_come_and_go),
	{}
};

static struct kunit_suite dibs_life_suite = {
	.name = "dibs_life",
	.init = fake_init,
	.exit = fake_exit,
	.test_cases = dibs_life_cases,
};

kunit_test_suite(dibs_life_suite);
