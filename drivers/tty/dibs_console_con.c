// SPDX-License-Identifier: GPL-2.0
/*
 * Console over dibs
 *
 * The kernel's messages. The console is registered as soon as it is known whom
 * it is for, so that it can be /dev/console, but enabled only while somebody is
 * there to see it: what is printed before waits in the log.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/console.h>
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/kernel.h>
#include <linux/kexec.h>
#include <linux/kthread.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/nmi.h>
#include <linux/notifier.h>
#include <linux/panic.h>
#include <linux/panic_notifier.h>
#include <linux/printk.h>
#include <linux/tty_driver.h>

#include "dibs_console.h"

/* How often a panic looks whether there is room by now, in us */
#define DCON_PANIC_STEP		10u

/* How long in all if the terminal's line is not open */
#define DCON_PANIC_UNREAD	USEC_PER_SEC

/* Of the stack of who prints in a panic */
#define DCON_PIECE		128

static struct tty_driver *dcon_con_driver;
static void dcon_con_start_later(void);

static struct tty_driver *dcon_con_device(struct console *con, int *index)
{
	*index = con->index;
	return dcon_con_driver;
}

static void dcon_con_device_lock(struct console *con, unsigned long *flags)
{
	dcon_tx_lock(con->data);
}

static void dcon_con_device_unlock(struct console *con, unsigned long flags)
{
	dcon_tx_unlock(con->data);
}

/*
 * Terminals want a carriage return as well. Return: how many bytes of @text are
 * in @buf, whose length is in @len.
 */
static size_t dcon_con_expand(u8 *buf, size_t *len, size_t max,
			      const char *text, size_t text_len)
{
	size_t i, n = 0;

	for (i = 0; i < text_len && n + 2 <= max; i++) {
		if (text[i] == '\n')
			buf[n++] = '\r';
		buf[n++] = text[i];
	}
	*len = n;
	return i;
}

/* The record is not printed: it is printk's again */
static void dcon_con_refuse(struct nbcon_write_context *wctxt)
{
	wctxt->outbuf = NULL;
	wctxt->len = 0;
}

/* ------------------------------ in a thread ------------------------------ */

/* Only the console's own thread can wait, and not when it has to stop */
static bool dcon_con_may_wait(struct console *con)
{
	short flags;

	if (current != con->kthread || kthread_should_stop())
		return false;
	flags = console_srcu_read_flags(con);
	return flags & CON_ENABLED && !(flags & CON_SUSPENDED);
}

static bool dcon_con_room(struct dcon_link *link, size_t len)
{
	return dcon_tx_room(link) >= (int)len;
}

/*
 * Not for long: while this waits, no other console can be unregistered, and this
 * CPU not be taken away. With less room than a record may need the console is
 * disabled, by dcon_con_full(), so that this is the exception.
 */
static bool dcon_con_wait(struct console *con, size_t len)
{
	struct dcon_link *link = con->data;

	if (READ_ONCE(link->up) && !dcon_con_room(link, len) &&
	    dcon_con_may_wait(con))
		wait_event_timeout(link->room, !READ_ONCE(link->up) ||
				   dcon_con_room(link, len), HZ / 10);
	if (READ_ONCE(link->up) && dcon_con_room(link, len))
		return true;
	/* until the console is disabled, which waits for nobody */
	if (dcon_con_may_wait(con))
		schedule_timeout_uninterruptible(max(HZ / 100, 1));
	return false;
}

/* Is there room for another record, however long? */
static void dcon_con_full(struct dcon_link *link)
{
	int room = dcon_tx_room(link);

	if (room >= (int)sizeof(link->buf))
		return;
	if (room < 0)
		WRITE_ONCE(link->broken, room);
	else
		WRITE_ONCE(link->full, true);
	dcon_con_update(link);
	dcon_link_kick(link);
}

static int dcon_con_send(struct dcon_link *link, size_t len,
			 struct nbcon_write_context *wctxt, bool *owner)
{
	unsigned long flags;
	int rc = 0;

	/* a panic on this CPU could not have the console in between */
	local_irq_save(flags);
	*owner = nbcon_enter_unsafe(wctxt);
	if (*owner) {
		rc = dcon_send(link, link->buf, len);
		*owner = nbcon_exit_unsafe(wctxt);
	}
	local_irq_restore(flags);
	return rc;
}

static void dcon_con_write_thread(struct console *con,
				  struct nbcon_write_context *wctxt)
{
	struct dcon_link *link = con->data;
	bool owner;
	size_t len;
	int rc;

	/* all of it: a record is at most half as long as the buffer */
	dcon_con_expand(link->buf, &len, sizeof(link->buf), wctxt->outbuf,
			wctxt->len);
	if (!dcon_con_wait(con, len)) {
		if (READ_ONCE(link->up))
			dcon_con_full(link);
		else
			dcon_con_update(link);
		dcon_con_refuse(wctxt);
		return;
	}
	rc = dcon_con_send(link, len, wctxt, &owner);
	if (!owner)
		return;
	if (!rc) {
		dcon_con_full(link);
		return;
	}
	WRITE_ONCE(link->broken, rc);
	dcon_link_kick(link);
	dcon_con_refuse(wctxt);
}

/* ---------------------------- in any context ----------------------------- */

/*
 * Set when a panic has stopped the other CPUs, and no crash kernel will be started: from
 * here on it is now or never. Before, there is something better to do than to wait.
 */
static bool dcon_con_last;

static bool dcon_con_now_or_never(void)
{
	return dcon_con_last && panic_on_this_cpu();
}

/*
 * The limit is for the whole panic: a terminal that takes a line now and then does not
 * keep this system from its end. Where nobody reads, it is soon reached.
 */
static bool dcon_con_may_poll(const struct dcon_link *link)
{
	u32 keep = dcon_peer_reads(link) ? 0 :
					   DCON_PANIC_WAIT - DCON_PANIC_UNREAD;

	return dcon_con_now_or_never() && link->patience > keep;
}

static bool dcon_con_poll(struct dcon_link *link, size_t len)
{
	while (!dcon_con_room(link, len)) {
		if (dcon_tx_room(link) < 0 || !dcon_con_may_poll(link))
			return false;
		touch_nmi_watchdog();
		udelay(DCON_PANIC_STEP);
		link->patience -= min(link->patience, DCON_PANIC_STEP);
	}
	return true;
}

/* Return: 0, or an error after which nothing more can be sent */
static int dcon_con_put(struct dcon_link *link, const char *text, size_t len)
{
	u8 buf[DCON_PIECE];
	size_t n, done;
	int rc = 0;

	for (; len && !rc; text += done, len -= done) {
		done = dcon_con_expand(buf, &n, sizeof(buf), text, len);
		rc = dcon_send_atomic(link, buf, n);
	}
	return rc;
}

static int dcon_con_put_lost(struct dcon_link *link)
{
	char text[48];
	int len, rc;

	if (!link->lost)
		return 0;
	len = scnprintf(text, sizeof(text), "** %u characters lost **\n",
			link->lost);
	rc = dcon_con_put(link, text, len);
	if (!rc)
		link->lost = 0;
	return rc;
}

/* Return: whether the record is done with */
static bool dcon_con_print(struct dcon_link *link, const char *text, size_t len)
{
	int rc;

	/* each character may become two, and there is the line above */
	if (!dcon_con_poll(link, 2 * len + 2 * DCON_PIECE)) {
		if (dcon_con_now_or_never())
			link->lost += len;
		return dcon_con_now_or_never();
	}
	rc = dcon_con_put_lost(link) ?: dcon_con_put(link, text, len);
	/* seen at the next beat: waking up anybody may need what is held here */
	if (rc && rc != -EBUSY)
		WRITE_ONCE(link->broken, rc);
	return !rc;
}

/* Something was refused that is not printed unless the console is started again */
static atomic_t dcon_con_late = ATOMIC_INIT(0);

static void dcon_con_queue_start(struct irq_work *work)
{
	dcon_con_start_later();
}

static DEFINE_IRQ_WORK(dcon_con_irq_work, dcon_con_queue_start);

/* printk takes it that somebody else prints a record that is refused here */
static void dcon_con_refuse_atomic(struct nbcon_write_context *wctxt)
{
	dcon_con_refuse(wctxt);
	if (!panic_on_this_cpu()) {
		atomic_set(&dcon_con_late, 1);
		irq_work_queue(&dcon_con_irq_work);
	}
}

/*
 * Moves are not for NMIs, and signals of loopback wake up a task of this system,
 * which would not see a panic anyway. The console's thread prints it, if it can.
 */
static bool dcon_con_can_print(struct dcon_link *link)
{
	return !in_nmi() && READ_ONCE(link->up) &&
	       dibs_get_fabric_id(link->dd->dibs) != DIBS_LOOPBACK_FABRIC;
}

static void dcon_con_write_atomic(struct console *con,
				  struct nbcon_write_context *wctxt)
{
	struct dcon_link *link = con->data;
	bool done;

	if (!dcon_con_can_print(link)) {
		dcon_con_refuse_atomic(wctxt);
		return;
	}
	if (!nbcon_enter_unsafe(wctxt))
		return;
	if (wctxt->unsafe_takeover)
		dcon_send_over(link);
	done = dcon_con_print(link, wctxt->outbuf, wctxt->len);
	if (nbcon_exit_unsafe(wctxt) && !done)
		dcon_con_refuse_atomic(wctxt);
}

/* --------------------------------- life ---------------------------------- */

/*
 * Suspended until it is registered, or it would print at once. It is enabled
 * when there is somebody to see it.
 */
static struct console dcon_con = {
	.name		= DCON_TTY_NAME,
	.device		= dcon_con_device,
	.write_thread	= dcon_con_write_thread,
	.write_atomic	= dcon_con_write_atomic,
	.device_lock	= dcon_con_device_lock,
	.device_unlock	= dcon_con_device_unlock,
	.flags		= CON_PRINTBUFFER | CON_NBCON | CON_SUSPENDED,
	.index		= 0,
};

static bool dcon_con_tried;

/* Not console_stop(), which waits for what is to be printed yet */
static void dcon_con_disable(void)
{
	console_list_lock();
	if (console_is_registered_locked(&dcon_con))
		console_srcu_write_flags(&dcon_con, dcon_con.flags &
					 ~(CON_ENABLED | CON_SUSPENDED));
	console_list_unlock();
}

static bool dcon_con_is_enabled(void)
{
	bool enabled;

	console_list_lock();
	enabled = dcon_con.flags & CON_ENABLED;
	console_list_unlock();
	return enabled;
}

/* printk takes it only if the command line asks for it, or there is no other */
static void dcon_con_register(void)
{
	uuid_t server;

	if (dcon_con_tried || !dcon_want_server(&server, true))
		return;
	dcon_con_tried = true;
	register_console(&dcon_con);
	dcon_con_disable();
}

/* Is there somebody to see it, and room for a record? */
static bool dcon_con_wanted(const struct dcon_link *link)
{
	return READ_ONCE(link->up) && !READ_ONCE(link->full);
}

static void dcon_con_stop_work(struct work_struct *work)
{
	if (dcon_con_wanted(dcon_con.data))
		return;
	dcon_con_disable();
	/* if it was to be started meanwhile, that has seen it enabled */
	dcon_con_start_later();
}

/*
 * Apart from the above, because to start waits until what there is has been printed, as
 * long as there is progress. What was refused needs a start to be tried again.
 */
static void dcon_con_start_work(struct work_struct *work)
{
	struct dcon_link *link = dcon_con.data;

	dcon_con_register();
	if (!console_is_registered(&dcon_con) || !dcon_con_wanted(link))
		return;
	if (!atomic_xchg(&dcon_con_late, 0) && dcon_con_is_enabled())
		return;
	console_start(&dcon_con);
	/* it may have been disabled just before */
	dcon_con_update(link);
}

static DECLARE_WORK(dcon_con_stopper, dcon_con_stop_work);
static DECLARE_WORK(dcon_con_starter, dcon_con_start_work);

static void dcon_con_start_later(void)
{
	queue_work(system_unbound_wq, &dcon_con_starter);
}

/**
 * dcon_con_update() - the link has changed, or what is wanted of it
 * @link: the link of the console
 */
void dcon_con_update(struct dcon_link *link)
{
	queue_work(system_unbound_wq, &dcon_con_stopper);
	dcon_con_start_later();
}

/*
 * The lock of the device need not be held: who has it is stopped. Return: whether printk
 * could be asked to print what there is.
 */
static bool dcon_con_flush(void)
{
	if (!(dcon_con.flags & CON_ENABLED) ||
	    !nbcon_device_try_acquire(&dcon_con))
		return false;
	nbcon_device_release(&dcon_con);
	return true;
}

/*
 * If the console was disabled for want of room, nobody else will enable it: other CPUs
 * are stopped, and nothing may be locked here. What was not printed is printed now,
 * because a later notifier may be the end.
 */
static int dcon_con_panic(struct notifier_block *nb, unsigned long action,
			  void *data)
{
	struct dcon_link *link = dcon_con.data;

	if (!dcon_con_can_print(link) ||
	    hlist_unhashed_lockless(&dcon_con.node))
		return NOTIFY_DONE;
	/* it may be started after the notifiers */
	dcon_con_last = !kexec_crash_loaded();
	if (dcon_con_flush())
		return NOTIFY_DONE;
	WRITE_ONCE(dcon_con.flags, dcon_con.flags | CON_ENABLED);
	pr_emerg("printing what was not printed before the panic\n");
	return NOTIFY_DONE;
}

static struct notifier_block dcon_con_panic_nb = {
	.notifier_call	= dcon_con_panic,
	.priority	= INT_MAX,
};

/* At boot it has to be there before the first program is started */
void dcon_con_init(struct dcon_link *link, struct tty_driver *driver)
{
	dcon_con_driver = driver;
	dcon_con.data = link;
	link->con = &dcon_con;
	atomic_notifier_chain_register(&panic_notifier_list,
				       &dcon_con_panic_nb);
	dcon_con_register();
}

void dcon_con_exit(void)
{
	disable_work_sync(&dcon_con_stopper);
	disable_work_sync(&dcon_con_starter);
	atomic_notifier_chain_unregister(&panic_notifier_list,
					 &dcon_con_panic_nb);
	if (console_is_registered(&dcon_con)) {
		/* or it is waited for that all is printed */
		dcon_con_disable();
		unregister_console(&dcon_con);
	}
	irq_work_sync(&dcon_con_irq_work);
}
