// SPDX-License-Identifier: GPL-2.0
/*
 * Console over dibs
 *
 * How a connection comes and goes. Events only leave a note with the link, and all is
 * done by one work item for each link, under its lock, so that nothing runs at the same
 * time as something else. Only sending does, which has a lock of its own. A second
 * work item does what a signal asks for while all is as usual, and no more.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <kunit/visibility.h>

#include "dibs_console.h"

/* Between attempts, at first and at most */
#define DCON_RETRY_MIN		(HZ / 10)
#define DCON_RETRY_MAX		(10 * HZ)

/* How long a peer is left alone that has broken a rule, at first and at most */
#define DCON_PENALTY_MIN	HZ
#define DCON_PENALTY_MAX	(60 * HZ)

/* Who delivers for longer than this is not waited for, in jiffies */
#define DCON_DELIVER_TIME	2

/* A terminal does not wait longer for a console that has asked for it */
#define DCON_ANSWER_TIME	(30 * HZ)

/* A console that gets no answer asks the next terminal, if it may choose */
#define DCON_OFFERS		5u

/* A link that was up for that long was not broken by what comes next */
#define DCON_GOOD_TIME		(60 * HZ)

#define DCON_BEAT		(5 * HZ)

/* When to look for room again at whose end nobody tells that there is some */
#define DCON_RX_RETRY		max(HZ / 100, 1)

/* Names are compared by their addresses */
static const char dcon_connecting[] = "connecting";

static const char * const dcon_state_names[] = {
	[DCON_IDLE]	= "disconnected",
	[DCON_OFFERING]	= dcon_connecting,
	[DCON_GREETING]	= dcon_connecting,
	[DCON_UP]	= "connected",
};

const char *dcon_link_state(const struct dcon_link *link)
{
	enum dcon_state state = READ_ONCE(link->state);

	if (state != DCON_UP && READ_ONCE(link->refused))
		return "refused";
	return dcon_state_names[state];
}
EXPORT_SYMBOL_IF_KUNIT(dcon_link_state);

/* Not all states have a name of their own */
static void dcon_set_state(struct dcon_link *link, enum dcon_state state)
{
	const char *before = dcon_link_state(link);

	WRITE_ONCE(link->state, state);
	if (dcon_link_state(link) != before)
		link->ops->changed(link);
}

/* ------------------------------- events ---------------------------------- */

static u32 dcon_code(const struct dcon_link *link, u32 console, u32 terminal)
{
	return link->role == DCON_CONSOLE ? console : terminal;
}

static void dcon_say(struct dcon_link *link, u32 code, u64 token)
{
	/* an event that is lost is sent again, or a move finds out */
	dibs_signal_event(link->dd->dibs, &link->peer, 1, code, token);
}

static void dcon_offer(struct dcon_link *link)
{
	dcon_say(link, dcon_code(link, DCON_EV_CONSOLE_OFFER,
				 DCON_EV_TERMINAL_OFFER), link->dmb.dmb_tok);
}

static void dcon_mail_sw(struct dcon_link *link, struct dibs_dev *dibs,
			 const struct dibs_event *event)
{
	struct dcon_mail *mail = &link->mail;

	switch (event->subtype) {
	case DCON_EV_CONSOLE_OFFER:
	case DCON_EV_TERMINAL_OFFER:
		mail->dibs = dibs;
		mail->offer = event->data;
		break;
	case DCON_EV_CONSOLE_BYE:
	case DCON_EV_TERMINAL_BYE:
		mail->bye = event->data;
		break;
	case DCON_EV_TERMINAL_REFUSE:
		mail->refuse = event->data;
		break;
	}
}

/*
 * A client's message is from the other role, and has come to the device that the
 * link is on: the peer may be the peer of another device of this system as well.
 * But a console may come to another one next time.
 */
static bool dcon_concerns_sw(const struct dcon_link *link,
			     const struct dibs_dev *dibs,
			     const struct dibs_event *event)
{
	if ((event->subtype & DCON_EV_ROLE) !=
	    dcon_code(link, DCON_EV_TERMINAL, DCON_EV_CONSOLE))
		return false;
	return link->mail.on == dibs || event->subtype == DCON_EV_CONSOLE_OFFER;
}

static bool dcon_concerns(const struct dcon_link *link,
			  const struct dibs_dev *dibs,
			  const struct dibs_event *event)
{
	bool from_peer = uuid_equal(&event->gid, &link->peer);

	switch (event->type) {
	case DIBS_SW_EVENT:
		return from_peer && dcon_concerns_sw(link, dibs, event);
	case DIBS_DEV_EVENT:
		/* a console may have found nobody yet */
		return from_peer || (event->subtype == DIBS_DEV_ENABLED &&
				     link->role == DCON_CONSOLE);
	case DIBS_OTHER_EVENT:
		return event->subtype == DIBS_EVENTS_LOST;
	default:
		return false;
	}
}

/**
 * dcon_link_mail() - leave an event with a link, if it concerns it
 * @link: the link
 * @dibs: the device
 * @event: the event
 *
 * Context: process context.
 */
void dcon_link_mail(struct dcon_link *link, struct dibs_dev *dibs,
		    const struct dibs_event *event)
{
	struct dcon_mail *mail = &link->mail;
	bool concerns;

	spin_lock(&mail->lock);
	concerns = dcon_concerns(link, dibs, event);
	if (concerns && event->type == DIBS_SW_EVENT)
		dcon_mail_sw(link, dibs, event);
	else if (concerns && event->type == DIBS_DEV_EVENT &&
		 event->subtype == DIBS_DEV_ENABLED)
		mail->hurry = true;
	else if (concerns)
		mail->gone = true;
	spin_unlock(&mail->lock);
	if (concerns)
		dcon_link_kick(link);
}
EXPORT_SYMBOL_IF_KUNIT(dcon_link_mail);

/**
 * dcon_link_hurry() - have a link find out now what is wanted and possible
 * @link: the link
 *
 * Context: process context.
 */
void dcon_link_hurry(struct dcon_link *link)
{
	spin_lock(&link->mail.lock);
	link->mail.hurry = true;
	spin_unlock(&link->mail.lock);
	dcon_link_kick(link);
}
EXPORT_SYMBOL_IF_KUNIT(dcon_link_hurry);

static void dcon_take_mail(struct dcon_link *link, struct dcon_mail *mail)
{
	spin_lock(&link->mail.lock);
	mail->dibs = link->mail.dibs;
	mail->offer = link->mail.offer;
	mail->bye = link->mail.bye;
	mail->refuse = link->mail.refuse;
	mail->gone = link->mail.gone;
	mail->hurry = link->mail.hurry;
	link->mail.offer = 0;
	link->mail.bye = 0;
	link->mail.refuse = 0;
	link->mail.gone = false;
	link->mail.hurry = false;
	spin_unlock(&link->mail.lock);
}

/* ------------------------------- the DMB --------------------------------- */

static void dcon_set_dev(struct dcon_link *link, struct dcon_dev *dd)
{
	link->dd = dd;
	spin_lock(&link->mail.lock);
	link->mail.on = dd ? dd->dibs : NULL;
	spin_unlock(&link->mail.lock);
}

static int dcon_get_dmb(struct dcon_link *link, struct dcon_dev *dd)
{
	struct dibs_dmb dmb = {
		.dmb_len = DCON_DMB_SIZE, .rgid = link->peer,
	};
	int rc;

	rc = dibs_register_dmb(dd->dibs, &dmb, &dcon_client);
	if (rc)
		return rc;
	rc = xa_err(xa_store(&dd->links, dmb.idx, link, GFP_KERNEL));
	if (rc) {
		dibs_unregister_dmb(dd->dibs, &dmb, &dcon_client);
		return rc;
	}
	link->dmb = dmb;
	link->hdr = dmb.cpu_addr;
	dcon_set_dev(link, dd);
	link->peer_nonce = 0;
	link->peer_tok = 0;
	link->rx_pos = 0;
	link->rx_told = 0;
	link->rx_seen = 0;
	link->rx_brk = 0;
	do {
		link->nonce = get_random_u64();
	} while (!link->nonce);
	return 0;
}

/* Another link may get the index as soon as it is free */
static void dcon_put_dmb(struct dcon_link *link)
{
	xa_erase(&link->dd->links, link->dmb.idx);
	dibs_unregister_dmb(link->dd->dibs, &link->dmb, &dcon_client);
	link->hdr = NULL;
	dcon_set_dev(link, NULL);
}

/* What was sent before the end is not lost with it */
static void dcon_drain(struct dcon_link *link)
{
	if (link->state != DCON_UP)
		return;
	link->draining = true;
	dcon_receive_last(link);
	link->draining = false;
}

/* Give up what there is of a connection, and tell the peer if it may not know */
static void dcon_reset(struct dcon_link *link, bool bye)
{
	bool was_up = link->state == DCON_UP;

	if (!link->dd)
		return;
	if (was_up)
		dcon_tx_down(link);
	if (bye)
		dcon_say(link, dcon_code(link, DCON_EV_CONSOLE_BYE,
					 DCON_EV_TERMINAL_BYE),
			 link->dmb.dmb_tok);
	dcon_put_dmb(link);
	link->peer_ready = false;
	if (was_up && time_after(jiffies, link->up_since + DCON_GOOD_TIME))
		link->errors = 0;
	if (was_up)
		link->tries = 0;
	link->next_try = jiffies;
	if (link->role == DCON_CONSOLE)
		link->next_try += DCON_RETRY_MIN;
	dcon_set_state(link, DCON_IDLE);
}

/* The peer does not keep to the protocol */
static void dcon_punish(struct dcon_link *link, int err)
{
	unsigned long penalty;

	dcon_reset(link, true);
	penalty = min(DCON_PENALTY_MIN << min(link->errors, 6u),
		      DCON_PENALTY_MAX);
	link->errors++;
	link->next_try = jiffies + penalty;
	pr_warn_ratelimited("%pUb: %s, left alone for %u s\n", &link->peer,
			    err == -EPROTONOSUPPORT ?
			    "speaks another version of the protocol" :
			    "does not keep to the protocol",
			    (unsigned int)(penalty / HZ));
}

/* ------------------------------- set-up ---------------------------------- */

static bool dcon_may_try(const struct dcon_link *link)
{
	unsigned long now = jiffies;

	/* what is past for weeks may look like the future, but not like a wait */
	return !time_in_range(link->next_try, now + 1, now + DCON_PENALTY_MAX);
}

static void dcon_try_later(struct dcon_link *link)
{
	unsigned long delay;

	delay = min(DCON_RETRY_MIN << min(link->tries, 10u), DCON_RETRY_MAX);
	link->tries++;
	link->next_try = jiffies + delay;
}

/* Return: 1 if the peer has written its header, or an error */
static int dcon_meet(struct dcon_link *link, bool *echoed)
{
	struct dcon_setup setup;
	int rc = dcon_check_setup(link, &setup);

	if (rc <= 0)
		return rc;
	link->peer_nonce = le64_to_cpu(setup.nonce);
	link->peer_size = le32_to_cpu(setup.size);
	*echoed = setup.echo;
	return 1;
}

static void dcon_up(struct dcon_link *link)
{
	link->tries = 0;
	WRITE_ONCE(link->refused, false);
	link->up_since = jiffies;
	link->beat = jiffies + DCON_BEAT;
	dcon_tx_up(link);
	dcon_set_state(link, DCON_UP);
}

/* A console offers a DMB to whom it wants to be seen by */
static void dcon_console_begin(struct dcon_link *link)
{
	struct dcon_dev *dd;
	uuid_t peer;

	if (!dcon_may_try(link))
		return;
	link->wanted = link->ops->want(link, &peer, true);
	if (link->refused && !(link->wanted && uuid_equal(&peer, &link->peer))) {
		WRITE_ONCE(link->refused, false);
		link->ops->changed(link);
	}
	if (!link->wanted)
		return;
	dcon_try_later(link);
	spin_lock(&link->mail.lock);
	link->peer = peer;
	spin_unlock(&link->mail.lock);
	dd = dcon_find_dev(&peer);
	if (!dd || dcon_get_dmb(link, dd))
		return;
	dcon_offer(link);
	dcon_set_state(link, DCON_OFFERING);
}

/* The terminal has answered with its own DMB: what has it written into ours? */
static int dcon_console_greet(struct dcon_link *link,
			      const struct dcon_mail *mail)
{
	bool echoed;
	int rc;

	if (!mail->offer)
		return 0;
	rc = dcon_meet(link, &echoed);
	if (rc <= 0)
		return rc;
	link->peer_tok = mail->offer;
	rc = dcon_write_setup(link);
	if (!rc)
		dcon_set_state(link, DCON_GREETING);
	return rc;
}

/* Nobody has answered yet: it may not have heard, or is not the right one */
static void dcon_console_repeat(struct dcon_link *link)
{
	if (!dcon_may_try(link))
		return;
	if (!link->tries || link->tries % DCON_OFFERS)
		dcon_offer(link);
	else
		dcon_reset(link, true);
	dcon_try_later(link);
}

static void dcon_console_refused(struct dcon_link *link)
{
	if (!link->refused)
		pr_notice("%pUb refuses to be the terminal\n", &link->peer);
	WRITE_ONCE(link->refused, true);
	dcon_reset(link, false);
	link->tries = max(link->tries, DCON_OFFERS);
	dcon_try_later(link);
	link->ops->changed(link);
}

static int dcon_console_run(struct dcon_link *link,
			    const struct dcon_mail *mail)
{
	bool echoed = false;
	int rc = 0;

	if (mail->refuse && link->dd && !link->peer_tok &&
	    mail->refuse == link->dmb.dmb_tok)
		dcon_console_refused(link);
	switch (link->state) {
	case DCON_IDLE:
		dcon_console_begin(link);
		break;
	case DCON_OFFERING:
		rc = dcon_console_greet(link, mail);
		if (!rc && link->state == DCON_OFFERING)
			dcon_console_repeat(link);
		break;
	case DCON_GREETING:
		/* it has offered another one since, as if it had restarted */
		if (mail->offer && mail->offer != link->peer_tok)
			return -ECONNRESET;
		rc = dcon_meet(link, &echoed);
		if (rc > 0 && echoed)
			dcon_up(link);
		else if (rc >= 0)
			dcon_console_repeat(link);
		break;
	case DCON_UP:
		if (mail->offer && mail->offer != link->peer_tok)
			return -ECONNRESET;
		break;
	}
	return min(rc, 0);
}

/* A console wants to be seen: take the DMB that it offers, and offer one */
static int dcon_terminal_answer(struct dcon_link *link,
				const struct dcon_mail *mail)
{
	struct dcon_dev *dd = dibs_get_priv(mail->dibs, &dcon_client);
	int rc;

	if (!dcon_may_try(link) || dcon_get_dmb(link, dd))
		return 0;
	link->peer_tok = mail->offer;
	rc = dcon_write_setup(link);
	if (rc) {
		/* what was offered is not there: not again at once */
		dcon_reset(link, false);
		link->next_try = jiffies + DCON_RETRY_MIN;
		return 0;
	}
	dcon_offer(link);
	link->next_try = jiffies + DCON_ANSWER_TIME;
	dcon_set_state(link, DCON_OFFERING);
	return 0;
}

/* The same offer again means that it has not heard everything */
static int dcon_terminal_repeat(struct dcon_link *link)
{
	int rc = dcon_write_setup(link);

	if (!rc)
		dcon_offer(link);
	return rc;
}

static int dcon_terminal_finish(struct dcon_link *link)
{
	bool echoed = false;
	int rc;

	rc = dcon_meet(link, &echoed);
	if (rc < 0)
		return rc;
	if (!rc || !echoed)
		return dcon_may_try(link) ? -ETIMEDOUT : 0;
	rc = dcon_write_setup(link);
	if (!rc)
		dcon_up(link);
	return rc;
}

static int dcon_terminal_run(struct dcon_link *link,
			     const struct dcon_mail *mail)
{
	if (mail->offer && link->dd && mail->offer != link->peer_tok) {
		dcon_drain(link);
		dcon_reset(link, false);
	} else if (mail->offer && link->dd) {
		return dcon_terminal_repeat(link);
	}
	switch (link->state) {
	case DCON_IDLE:
		return mail->offer ? dcon_terminal_answer(link, mail) : 0;
	case DCON_OFFERING:
		return dcon_terminal_finish(link);
	default:
		return 0;
	}
}

/* -------------------------------- life ----------------------------------- */

static int dcon_run_up(struct dcon_link *link, bool check, bool *again)
{
	int rc = dcon_exchange(link, again);

	if (rc || (!check && time_before(jiffies, link->beat)))
		return rc;
	link->beat = jiffies + DCON_BEAT;
	return dcon_beat(link);
}

/* The peer's DMB or device is gone, and the last of it may be here */
static void dcon_end(struct dcon_link *link)
{
	dcon_drain(link);
	dcon_reset(link, true);
}

static void dcon_failed(struct dcon_link *link, int err)
{
	if (err == -EPROTO || err == -EPROTONOSUPPORT || err == -ERANGE)
		dcon_punish(link, err);
	else
		dcon_end(link);
}

static int dcon_run_locked(struct dcon_link *link, bool *again)
{
	uuid_t peer = link->peer;
	struct dcon_mail mail;
	int rc;

	dcon_take_mail(link, &mail);
	if (mail.hurry && !link->errors && link->role == DCON_CONSOLE &&
	    link->state != DCON_UP) {
		link->tries = 0;
		link->next_try = jiffies;
	}
	if (link->dd && !link->ops->want(link, &peer, false)) {
		dcon_reset(link, true);
		link->next_try = jiffies;
	}
	/* what it may have offered since is looked at below */
	if (mail.bye && link->dd && mail.bye == link->peer_tok)
		dcon_end(link);
	rc = link->role == DCON_CONSOLE ? dcon_console_run(link, &mail) :
					  dcon_terminal_run(link, &mail);
	if (!rc && link->state == DCON_UP)
		rc = READ_ONCE(link->broken) ?:
			dcon_run_up(link, mail.gone, again);
	else if (!rc && mail.gone && link->peer_tok && link->dd)
		rc = dcon_write_setup(link);
	return rc;
}

static unsigned long dcon_delay_until(unsigned long when)
{
	return time_after(when, jiffies) ? when - jiffies : 0;
}

/* When to run again if nothing happens. Who is not wanted need not. */
static unsigned long dcon_next_run(const struct dcon_link *link)
{
	if (link->state == DCON_UP)
		return link->rx_retry ? DCON_RX_RETRY :
					dcon_delay_until(link->beat);
	if (!link->dd && (link->role == DCON_TERMINAL || !link->wanted))
		return MAX_SCHEDULE_TIMEOUT;
	return dcon_delay_until(link->next_try);
}

/**
 * dcon_link_run() - do what there is to do
 * @link: the link
 *
 * Context: process context, may sleep.
 * Return: when to call it again, in jiffies from now, %MAX_SCHEDULE_TIMEOUT for
 *	not before something happens.
 */
unsigned long dcon_link_run(struct dcon_link *link)
{
	bool again = false;
	unsigned long next;
	int rc;

	mutex_lock(&link->lock);
	rc = dcon_run_locked(link, &again);
	if (rc)
		dcon_failed(link, rc);
	next = again && !rc ? 0 : dcon_next_run(link);
	mutex_unlock(&link->lock);
	return next;
}
EXPORT_SYMBOL_IF_KUNIT(dcon_link_run);

static void dcon_link_work(struct work_struct *work)
{
	struct dcon_link *link = container_of(to_delayed_work(work),
					      struct dcon_link, work);
	unsigned long next = dcon_link_run(link);

	/* does nothing if it was kicked meanwhile */
	if (next != MAX_SCHEDULE_TIMEOUT)
		queue_delayed_work(system_unbound_wq, &link->work, next);
}

/**
 * dcon_link_kick() - have the link run soon
 * @link: the link
 *
 * Context: any but NMI.
 */
void dcon_link_kick(struct dcon_link *link)
{
	mod_delayed_work(system_unbound_wq, &link->work, 0);
}

/* Return: whether to look again at once */
static bool dcon_signal_locked(struct dcon_link *link)
{
	bool again = false;
	int rc = READ_ONCE(link->broken);

	if (!rc && link->state == DCON_UP) {
		link->rx_deliver = true;
		rc = dcon_exchange(link, &again);
		link->rx_deliver = false;
	}
	if (rc)
		WRITE_ONCE(link->broken, rc);
	if (rc || link->rx_retry || link->state != DCON_UP)
		dcon_link_kick(link);
	return again && !rc;
}

/* Handing on has no limit: nothing is locked, and others look if it takes long */
static void dcon_link_deliver(struct dcon_link *link)
{
	/* 0 means that it does not */
	WRITE_ONCE(link->rx_since, jiffies | 1);
	if (!timer_pending(&link->rx_watch))
		mod_timer(&link->rx_watch, jiffies + DCON_DELIVER_TIME);
	link->ops->deliver(link);
	WRITE_ONCE(link->rx_since, 0);
}

static bool dcon_delivers_long(const struct dcon_link *link)
{
	unsigned long since = READ_ONCE(link->rx_since);

	return since && time_after(jiffies, since + DCON_DELIVER_TIME);
}

/* What has come since may wait behind who delivers */
static void dcon_link_watch(struct timer_list *timer)
{
	struct dcon_link *link = from_timer(link, timer, rx_watch);
	unsigned long since = READ_ONCE(link->rx_since);

	if (dcon_delivers_long(link))
		dcon_link_kick(link);
	else if (since)
		mod_timer(timer, since + DCON_DELIVER_TIME + 1);
}

static void dcon_link_rx_work(struct work_struct *work)
{
	struct dcon_link *link = container_of(work, struct dcon_link, rx_work);
	bool again, received;
	u32 begin;

	mutex_lock(&link->lock);
	begin = link->rx_pos;
	again = dcon_signal_locked(link);
	received = link->rx_pos != begin;
	mutex_unlock(&link->lock);
	if (received)
		dcon_link_deliver(link);
	if (again)
		queue_work(system_unbound_wq, &link->rx_work);
}

/**
 * dcon_link_signal() - have it looked at what a signal has announced
 * @link: the link
 *
 * What is typed is handed on by who looks, because the way through another task would be
 * noticed.
 *
 * Context: any but NMI.
 */
void dcon_link_signal(struct dcon_link *link)
{
	if (wq_has_sleeper(&link->room))
		wake_up_all(&link->room);
	if (READ_ONCE(link->state) != DCON_UP || dcon_delivers_long(link))
		dcon_link_kick(link);
	else
		queue_work(system_unbound_wq, &link->rx_work);
}
EXPORT_SYMBOL_IF_KUNIT(dcon_link_signal);

/* The device is leaving: nothing of it may be used when this returns */
void dcon_link_drop_dev(struct dcon_link *link, struct dibs_dev *dibs)
{
	spin_lock(&link->mail.lock);
	if (link->mail.dibs == dibs) {
		link->mail.dibs = NULL;
		link->mail.offer = 0;
	}
	spin_unlock(&link->mail.lock);
	mutex_lock(&link->lock);
	if (link->dd && link->dd->dibs == dibs) {
		dcon_drain(link);
		dcon_reset(link, true);
	}
	mutex_unlock(&link->lock);
	dcon_link_kick(link);
}
EXPORT_SYMBOL_IF_KUNIT(dcon_link_drop_dev);

void dcon_link_init(struct dcon_link *link, enum dcon_role role,
		    const struct dcon_link_ops *ops)
{
	link->ops = ops;
	link->role = role;
	mutex_init(&link->lock);
	mutex_init(&link->tx_lock);
	spin_lock_init(&link->mail.lock);
	raw_spin_lock_init(&link->ctl_lock);
	init_waitqueue_head(&link->room);
	INIT_DELAYED_WORK(&link->work, dcon_link_work);
	INIT_WORK(&link->rx_work, dcon_link_rx_work);
	timer_setup(&link->rx_watch, dcon_link_watch, 0);
	link->next_try = jiffies;
}
EXPORT_SYMBOL_IF_KUNIT(dcon_link_init);

/* No device is left. Who kicks it from here on does nothing. */
void dcon_link_exit(struct dcon_link *link)
{
	disable_work_sync(&link->rx_work);
	timer_shutdown_sync(&link->rx_watch);
	disable_delayed_work_sync(&link->work);
}
EXPORT_SYMBOL_IF_KUNIT(dcon_link_exit);
