// SPDX-License-Identifier: GPL-2.0
/*
 * Console over dibs
 *
 * What is in the DMBs of a connection: headers, positions and rings. The own DMB
 * is written by another system at any time. Each value is read once and checked
 * before it is used; what cannot be is -EPROTO, and ends the connection.
 */
#include <linux/build_bug.h>
#include <linux/delay.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <kunit/visibility.h>

#include "dibs_console.h"

/* How often a move from any context is tried while the device is busy, in us */
#define DCON_BUSY_TRIES		1000

/* How long a move may be under way whose CPU was stopped */
#define DCON_SETTLE_MS		10

static_assert(offsetof(struct dcon_hdr, ctl) == 64);
static_assert(offsetof(struct dcon_hdr, prod) == 80);
static_assert(offsetof(struct dcon_hdr, cons) == 88);
static_assert(sizeof(struct dcon_hdr) == 96);

/**
 * struct dcon_view - a copy of what changes in a header
 * @prod: how far the peer has filled the own ring
 * @brk: number of breaks
 * @brk_pos: position of the last one
 * @rows: height of the peer's terminal
 * @cols: its width
 * @ready: the peer's line is open
 */
struct dcon_view {
	u32 prod;
	u32 brk;
	u32 brk_pos;
	u16 rows;
	u16 cols;
	bool ready;
};

static int dcon_move(struct dcon_link *link, bool sf, u32 offset,
		     const void *data, u32 len)
{
	return dibs_move_data(link->dd->dibs, link->peer_tok, DCON_SIGNAL, sf,
			      offset, data, len);
}

static int dcon_move_atomic(struct dcon_link *link, bool sf, u32 offset,
			    const void *data, u32 len)
{
	unsigned int tries;
	int rc;

	for (tries = 0; tries < DCON_BUSY_TRIES; tries++) {
		rc = dibs_move_data_atomic(link->dd->dibs, link->peer_tok,
					   DCON_SIGNAL, sf, offset, data, len);
		if (rc != -EBUSY)
			break;
		udelay(1);
	}
	return rc;
}

/* ------------------------------- set-up ---------------------------------- */

static void dcon_read_setup(const struct dcon_link *link,
			    struct dcon_setup *setup)
{
	const u64 *from = (const u64 *)&link->hdr->setup;
	u64 *to = (u64 *)setup;
	int i;

	/* not before the event or signal that this is about */
	dma_rmb();
	for (i = 0; i < sizeof(*setup) / sizeof(*to); i++)
		to[i] = READ_ONCE(from[i]);
}

/**
 * dcon_check_setup() - look at what the peer has written at set-up
 * @link: the link, which has a DMB
 * @setup: where to copy it to
 *
 * Return: 1 if it is good, 0 if it is not complete yet, or
 *  * -EPROTONOSUPPORT: it has another version
 *  * -EPROTO: it is nonsense
 */
int dcon_check_setup(struct dcon_link *link, struct dcon_setup *setup)
{
	u32 size;

	dcon_read_setup(link, setup);
	size = le32_to_cpu(setup->size);
	if (!setup->magic || !size || !setup->nonce)
		return 0;
	if (le32_to_cpu(setup->magic) != DCON_MAGIC)
		return -EPROTO;
	if (le16_to_cpu(setup->version) != DCON_VERSION)
		return -EPROTONOSUPPORT;
	if (!is_power_of_2(size) || size < DCON_RING_MIN ||
	    size > DCON_RING_MAX || setup->reserved || setup->reserved2)
		return -EPROTO;
	if (setup->echo && le64_to_cpu(setup->echo) != link->nonce)
		return -EPROTO;
	return 1;
}
EXPORT_SYMBOL_IF_KUNIT(dcon_check_setup);

/* Tell the peer what this end is, and what of the other end it has seen */
int dcon_write_setup(struct dcon_link *link)
{
	struct dcon_setup setup = {
		.magic = cpu_to_le32(DCON_MAGIC),
		.version = cpu_to_le16(DCON_VERSION),
		.size = cpu_to_le32(DCON_RING_SIZE),
		.nonce = cpu_to_le64(link->nonce),
		.echo = cpu_to_le64(link->peer_nonce),
	};

	return dcon_move(link, true, offsetof(struct dcon_hdr, setup), &setup,
			 sizeof(setup));
}

/* Nobody has a reason to write it again: a repeat looks the same */
static bool dcon_setup_intact(struct dcon_link *link)
{
	struct dcon_setup setup;

	return dcon_check_setup(link, &setup) == 1 &&
	       le64_to_cpu(setup.nonce) == link->peer_nonce &&
	       le32_to_cpu(setup.size) == link->peer_size;
}

/* ------------------------------ receiving -------------------------------- */

static int dcon_look(struct dcon_link *link, struct dcon_view *view)
{
	struct dcon_hdr *hdr = link->hdr;
	__le32 brk[2] __aligned(8);
	u32 flags;

	view->prod = le32_to_cpu(READ_ONCE(hdr->prod.pos));
	/* a break, and the data, that came before it */
	dma_rmb();
	/* one word, or the number could be that of another position */
	*(u64 *)brk = READ_ONCE(*(u64 *)&hdr->ctl.brk);
	view->brk = le32_to_cpu(brk[0]);
	view->brk_pos = le32_to_cpu(brk[1]);
	view->rows = le16_to_cpu(READ_ONCE(hdr->ctl.rows));
	view->cols = le16_to_cpu(READ_ONCE(hdr->ctl.cols));
	flags = le32_to_cpu(READ_ONCE(hdr->ctl.flags));
	view->ready = flags & DCON_READY;
	if (view->prod - link->rx_pos > DCON_RING_SIZE ||
	    (view->brk != link->rx_brk &&
	     view->brk_pos - link->rx_pos > DCON_RING_SIZE) ||
	    flags & ~DCON_READY || !dcon_setup_intact(link))
		return -EPROTO;
	return 0;
}

static bool dcon_hangs_up(const struct dcon_link *link,
			  const struct dcon_view *view)
{
	return link->peer_ready && !view->ready;
}

/*
 * What the peer had sent before it hung up is there when that is seen. If it has opened
 * its line again by then, that is for the next look.
 */
static int dcon_look_again(struct dcon_link *link, struct dcon_view *view)
{
	int rc = dcon_look(link, view);

	if (!rc && dcon_hangs_up(link, view)) {
		/* flags were read after the position, which is now read after them */
		dma_rmb();
		rc = dcon_look(link, view);
		view->ready = false;
	}
	return rc;
}

/* Hand on what is in the ring. Return: whether all of it was taken. */
static bool dcon_receive_to(struct dcon_link *link, u32 end)
{
	const u8 *ring = (const u8 *)link->hdr + DCON_RING;
	u32 offset, len, taken;

	while (link->rx_pos != end) {
		offset = link->rx_pos % DCON_RING_SIZE;
		len = min(end - link->rx_pos, DCON_RING_SIZE - offset);
		taken = link->ops->receive(link, ring + offset, len);
		link->rx_pos += taken;
		if (!taken)
			return false;
	}
	return true;
}

static void dcon_receive(struct dcon_link *link, const struct dcon_view *view)
{
	if (view->brk != link->rx_brk &&
	    view->brk_pos - link->rx_pos <= view->prod - link->rx_pos) {
		if (!dcon_receive_to(link, view->brk_pos))
			return;
		link->rx_brk = view->brk;
		link->ops->receive_break(link);
	}
	dcon_receive_to(link, view->prod);
}

static void dcon_receive_ctl(struct dcon_link *link,
			     const struct dcon_view *view)
{
	if (view->ready == link->peer_ready && view->rows == link->rows &&
	    view->cols == link->cols)
		return;
	link->peer_ready = view->ready;
	WRITE_ONCE(link->rows, view->rows);
	WRITE_ONCE(link->cols, view->cols);
	link->ops->changed(link);
}

/*
 * The data goes to the session that it was sent in: not after that has ended. Return:
 * whether it has.
 */
static bool dcon_receive_all(struct dcon_link *link,
			     const struct dcon_view *view)
{
	bool hangup = dcon_hangs_up(link, view);

	if (!hangup)
		dcon_receive_ctl(link, view);
	dcon_receive(link, view);
	if (hangup)
		dcon_receive_ctl(link, view);
	return hangup;
}

/* Is so much in the ring that the peer may be waiting for room, by what it was told? */
static bool dcon_peer_may_wait(const struct dcon_link *link)
{
	return link->rx_seen - link->rx_told >= DCON_RING_SIZE / 4;
}

/*
 * Is it not the time to tell the peer how far the ring is empty? Not while more comes, nor
 * of what may have been typed: its answer will tell, or what comes after it.
 */
static bool dcon_tell_later(const struct dcon_link *link, u32 begin)
{
	u32 news = link->rx_pos - link->rx_told;

	return news <= DCON_TYPED ||
	       (link->rx_pos != begin && news < DCON_RING_SIZE / 4);
}

/*
 * The peer needs a signal only if it can be waiting for that: it does so when it sees
 * the ring full, or nearly so, and after it has told where the data ends.
 */
static int dcon_tell_cons(struct dcon_link *link)
{
	struct dcon_pos cons = { .pos = cpu_to_le32(link->rx_pos) };
	bool waits = dcon_peer_may_wait(link);

	link->rx_told = link->rx_pos;
	return dcon_move(link, waits, offsetof(struct dcon_hdr, cons), &cons,
			 sizeof(cons));
}

/* What the peer has sent without having seen what it was told came without a signal */
static bool dcon_more_came(const struct dcon_link *link)
{
	smp_mb(); /* between what was moved and the look: pairs with dcon_missed() */
	return le32_to_cpu(READ_ONCE(link->hdr->prod.pos)) != link->rx_seen;
}

/* ------------------------------- sending --------------------------------- */

static u32 dcon_peer_cons(const struct dcon_link *link)
{
	return le32_to_cpu(READ_ONCE(link->hdr->cons.pos));
}

/**
 * dcon_tx_room() - how much can be sent
 * @link: the link, see &dcon_link.up
 *
 * Return: bytes, or -EPROTO if the peer says what cannot be.
 */
int dcon_tx_room(struct dcon_link *link)
{
	u32 cons = dcon_peer_cons(link);
	u32 used = READ_ONCE(link->tx_pos) - cons;

	if (used > link->peer_size)
		return -EPROTO;
	return link->peer_size - used;
}
EXPORT_SYMBOL_IF_KUNIT(dcon_tx_room);

/* Is the peer's line open, as it says by now? */
bool dcon_peer_reads(const struct dcon_link *link)
{
	return le32_to_cpu(READ_ONCE(link->hdr->ctl.flags)) & DCON_READY;
}

/* The pieces that @len bytes have in the peer's ring. Return: their number. */
static unsigned int dcon_split(const struct dcon_link *link, u32 pos,
			       struct dibs_move_seg *segs, const void *data,
			       u32 len)
{
	u32 offset = pos % link->peer_size;
	u32 first = min(len, link->peer_size - offset);

	segs[0] = (struct dibs_move_seg) {
		.data = data, .offset = DCON_RING + offset, .size = first,
	};
	segs[1] = (struct dibs_move_seg) {
		.data = data + first, .offset = DCON_RING, .size = len - first,
	};
	return len > first ? 2 : 1;
}

/* Does the peer need a signal for what comes after @pos? */
static bool dcon_peer_idle(const struct dcon_link *link, u32 pos)
{
	return pos - dcon_peer_cons(link) <= DCON_TYPED;
}

/*
 * A peer that has not emptied the ring looks at it once more after it has told
 * that it has: it needs no signal, unless that was before it could see this.
 */
static bool dcon_missed(const struct dcon_link *link, u32 pos)
{
	smp_mb(); /* between what was moved and what is looked at */
	return dcon_peer_idle(link, pos);
}

/* With @tell: and how far the own ring is empty, which is next to where the data ends */
static int dcon_send_pos(struct dcon_link *link, const void *data, u32 len,
			 bool tell)
{
	struct dcon_pos pos[] = {
		{ .pos = cpu_to_le32(link->tx_pos + len) },
		{ .pos = tell ? cpu_to_le32(link->rx_pos) : 0 },
	};
	struct dibs_move_seg segs[3];
	u32 old = link->tx_pos;
	bool idle = dcon_peer_idle(link, old) || !len;
	unsigned int n;
	int rc;

	n = len ? dcon_split(link, old, segs, data, len) : 0;
	segs[n] = (struct dibs_move_seg) {
		.data = pos, .offset = offsetof(struct dcon_hdr, prod),
		.size = tell ? sizeof(pos) : sizeof(pos[0]),
	};
	WRITE_ONCE(link->tx_end, old + len);
	rc = dibs_move_data_vec(link->dd->dibs, link->peer_tok, DCON_SIGNAL,
				idle, segs, n + 1);
	if (rc)
		return rc;
	WRITE_ONCE(link->tx_pos, old + len);
	if (!idle && dcon_missed(link, old))
		rc = dcon_move(link, true, offsetof(struct dcon_hdr, prod), pos,
			       sizeof(pos[0]));
	return rc;
}

/**
 * dcon_send() - send bytes, for which there is room
 * @link: the link, which is up
 * @data: the bytes
 * @len: their number, may be 0 to send the position again
 *
 * Context: process context, under &dcon_link.tx_lock.
 * Return: 0, or an error of dibs_move_data().
 */
int dcon_send(struct dcon_link *link, const void *data, u32 len)
{
	return dcon_send_pos(link, data, len, false);
}
EXPORT_SYMBOL_IF_KUNIT(dcon_send);

/* As dcon_send(), of the link itself, which may have to tell something */
static int dcon_send_and_tell(struct dcon_link *link, const void *data, u32 len)
{
	bool tell = link->rx_told != link->rx_pos && !dcon_peer_may_wait(link);
	int rc;

	rc = dcon_send_pos(link, data, len, tell);
	if (!rc && tell)
		link->rx_told = link->rx_pos;
	return rc;
}

static int dcon_put_atomic(struct dcon_link *link, u32 pos, const void *data,
			   u32 len)
{
	struct dibs_move_seg segs[2];
	unsigned int i, n;
	int rc = 0;

	n = dcon_split(link, pos, segs, data, len);
	for (i = 0; i < n && !rc; i++)
		rc = dcon_move_atomic(link, false, segs[i].offset, segs[i].data,
				      segs[i].size);
	return rc;
}

static int dcon_publish_atomic(struct dcon_link *link, u32 end)
{
	struct dcon_pos prod = { .pos = cpu_to_le32(end) };
	int rc;

	rc = dcon_move_atomic(link, true, offsetof(struct dcon_hdr, prod),
			      &prod, sizeof(prod));
	if (!rc)
		WRITE_ONCE(link->tx_pos, end);
	return rc;
}

/**
 * dcon_send_atomic() - send bytes, for which there is room, from any context
 * @link: the link, which is up
 * @data: the bytes
 * @len: their number
 *
 * Context: any but NMI, as the owner of &dcon_link.con.
 * Return: 0, or an error of dibs_move_data_atomic().
 */
int dcon_send_atomic(struct dcon_link *link, const void *data, u32 len)
{
	u32 end = link->tx_pos + len;
	int rc;

	WRITE_ONCE(link->tx_end, end);
	rc = dcon_put_atomic(link, link->tx_pos, data, len);
	return rc ?: dcon_publish_atomic(link, end);
}
EXPORT_SYMBOL_IF_KUNIT(dcon_send_atomic);

/**
 * dcon_send_over() - go on where another CPU was stopped while it was sending
 * @link: the link, which is up
 *
 * Nobody knows how far it has got, and its last move may still be under way.
 * The peer may have seen the new position, but not one in between.
 *
 * Context: panic, as the owner of &dcon_link.con.
 */
void dcon_send_over(struct dcon_link *link)
{
	u32 pos = link->tx_pos, end = READ_ONCE(link->tx_end);
	static const u8 nul[64];
	u32 len;

	/* a position can be on its way to the peer even if these two agree */
	if (!link->settled)
		mdelay(DCON_SETTLE_MS);
	link->settled = true;
	if (pos == end)
		return;
	for (; pos != end; pos += len) {
		len = min_t(u32, sizeof(nul), end - pos);
		if (dcon_put_atomic(link, pos, nul, len))
			return;
	}
	dcon_publish_atomic(link, end);
}
EXPORT_SYMBOL_IF_KUNIT(dcon_send_over);

/* What has a place among the data is sent after what came before it */
static int dcon_send_ctl(struct dcon_link *link)
{
	struct dcon_ctl ctl;

	raw_spin_lock(&link->ctl_lock);
	if (!link->ctl_dirty) {
		raw_spin_unlock(&link->ctl_lock);
		return 0;
	}
	WRITE_ONCE(link->ctl_dirty, false);
	if (link->ctl_brk) {
		le32_add_cpu(&link->ctl.brk, 1);
		link->ctl.brk_pos = cpu_to_le32(link->tx_pos);
	}
	WRITE_ONCE(link->ctl_brk, false);
	ctl = link->ctl;
	raw_spin_unlock(&link->ctl_lock);
	return dcon_move(link, true, offsetof(struct dcon_hdr, ctl), &ctl,
			 sizeof(ctl));
}

/* Under tx_lock */
static bool dcon_has_console(struct dcon_link *link)
{
	return link->con && !hlist_unhashed_lockless(&link->con->node);
}

/*
 * Keep printing from any context away. It may be under way; then this is not the
 * time to send. Interrupts are disabled: a panic on this CPU could not have the
 * console from who it has interrupted, and other CPUs are stopped in between.
 */
static bool dcon_tx_enter(struct dcon_link *link)
{
	return !dcon_has_console(link) || nbcon_device_try_acquire(link->con);
}

static void dcon_tx_leave(struct dcon_link *link)
{
	if (dcon_has_console(link))
		nbcon_device_release(link->con);
}

/* Return: 1 if it is not the time, or the result of @send */
static int dcon_tx_do(struct dcon_link *link,
		      int (*send)(struct dcon_link *link))
{
	unsigned long flags;
	int rc = 1;

	local_irq_save(flags);
	if (dcon_tx_enter(link)) {
		rc = send(link);
		dcon_tx_leave(link);
	}
	local_irq_restore(flags);
	return rc;
}

static int dcon_send_out(struct dcon_link *link)
{
	int room = dcon_tx_room(link);
	int rc;

	if (room < (int)link->out_len)
		return min(room, 0);
	rc = dcon_send_and_tell(link, link->out, link->out_len);
	if (!rc)
		link->out_len = 0;
	return rc;
}

/*
 * What was fetched comes first: it is older than a break that was asked for since.
 * Return: as of dcon_tx_do().
 */
static int dcon_transmit_locked(struct dcon_link *link, bool *again)
{
	int room, rc = 0;

	if (link->out_len)
		rc = dcon_tx_do(link, dcon_send_out);
	if (!rc && !link->out_len && READ_ONCE(link->ctl_dirty))
		rc = dcon_tx_do(link, dcon_send_ctl);
	if (rc || link->out_len)
		return rc;
	room = dcon_tx_room(link);
	if (room <= 0)
		return room;
	link->out_len = link->ops->fetch(link, link->out,
					 min_t(size_t, room, sizeof(link->out)));
	if (!link->out_len)
		return 0;
	*again = true;
	return dcon_tx_do(link, dcon_send_out);
}

/**
 * dcon_tx_lock() - begin to send
 * @link: the link
 *
 * Migration is disabled, as &console.device_lock has to. Who prints all the time does not
 * keep others away: a mutex is given to who has waited.
 */
void dcon_tx_lock(struct dcon_link *link)
{
	mutex_lock(&link->tx_lock);
	migrate_disable();
}

void dcon_tx_unlock(struct dcon_link *link)
{
	migrate_enable();
	mutex_unlock(&link->tx_lock);
}

static int dcon_transmit(struct dcon_link *link, bool *again)
{
	int rc;

	dcon_tx_lock(link);
	rc = dcon_transmit_locked(link, again);
	dcon_tx_unlock(link);
	/* somebody prints, who does not take long */
	if (rc > 0)
		*again = true;
	return min(rc, 0);
}

static int dcon_set_up(struct dcon_link *link)
{
	WRITE_ONCE(link->up, true);
	return 0;
}

static int dcon_set_down(struct dcon_link *link)
{
	WRITE_ONCE(link->up, false);
	return 0;
}

/* Wait until nobody sends: whoever does so later sees what @up is then */
static void dcon_tx_set(struct dcon_link *link,
			int (*set)(struct dcon_link *link))
{
	int rc;

	do {
		dcon_tx_lock(link);
		rc = dcon_tx_do(link, set);
		dcon_tx_unlock(link);
		if (rc)
			usleep_range(100, 1000);
	} while (rc);
}

/*
 * A peer that has emptied the ring needs a signal for what comes next anyway. Return:
 * as of dcon_tx_do().
 */
static int dcon_transmit_idle(struct dcon_link *link)
{
	bool again;
	int rc;

	if (!READ_ONCE(link->up) || !dcon_peer_idle(link, READ_ONCE(link->tx_pos)))
		return 1;
	rc = dcon_transmit_locked(link, &again);
	return !rc && link->out_len ? 1 : rc;
}

/* Under tx_lock. Return: is there nothing left to do? */
static bool dcon_transmit_idle_locked(struct dcon_link *link)
{
	u32 told = link->rx_told;
	int rc;

	migrate_disable();
	rc = dcon_transmit_idle(link);
	if (rc < 0)
		WRITE_ONCE(link->broken, rc);
	migrate_enable();
	return !rc && !(link->rx_told != told && dcon_more_came(link));
}

/**
 * dcon_transmit_now() - send at once what the peer can be waiting for
 * @link: the link
 *
 * What is typed, and its echo, would be later by the time that it takes to have the
 * link run. What is written to a peer that is busy goes with the next run, and
 * more of it in one move.
 *
 * Context: any but NMI; does nothing where interrupts or bottom halves are disabled,
 * which is not where a mutex can be given back.
 * Return: whether nothing is left to do; if not, dcon_link_kick() has to be called.
 */
bool dcon_transmit_now(struct dcon_link *link)
{
	bool done = false;

	if (in_interrupt() || irqs_disabled() || !mutex_trylock(&link->lock))
		return false;
	if (mutex_trylock(&link->tx_lock)) {
		done = dcon_transmit_idle_locked(link);
		mutex_unlock(&link->tx_lock);
	}
	mutex_unlock(&link->lock);
	return done;
}
EXPORT_SYMBOL_IF_KUNIT(dcon_transmit_now);

/* From here on data can be sent */
void dcon_tx_up(struct dcon_link *link)
{
	WRITE_ONCE(link->broken, 0);
	WRITE_ONCE(link->full, false);
	/* what a console could not send is for who comes next */
	if (link->role == DCON_TERMINAL)
		link->out_len = 0;
	link->tx_pos = 0;
	link->tx_end = 0;
	link->lost = 0;
	link->patience = DCON_PANIC_WAIT;
	raw_spin_lock_irq(&link->ctl_lock);
	WRITE_ONCE(link->ctl_dirty, true);
	WRITE_ONCE(link->ctl_brk, false);
	link->ctl.brk = 0;
	link->ctl.brk_pos = 0;
	raw_spin_unlock_irq(&link->ctl_lock);
	dcon_tx_set(link, dcon_set_up);
}

/* What was fetched is not for who comes next */
void dcon_tx_forget(struct dcon_link *link)
{
	dcon_tx_lock(link);
	link->out_len = 0;
	dcon_tx_unlock(link);
}
EXPORT_SYMBOL_IF_KUNIT(dcon_tx_forget);

/* From here on nothing is sent any more */
void dcon_tx_down(struct dcon_link *link)
{
	WRITE_ONCE(link->up, false);
	wake_up_all(&link->room);
	dcon_tx_set(link, dcon_set_down);
}

/* ---------------------------- both directions ---------------------------- */

/* At the end of a connection: what is in the ring, and nothing that comes now */
void dcon_receive_last(struct dcon_link *link)
{
	struct dcon_view view;

	if (!dcon_look(link, &view))
		dcon_receive(link, &view);
}

/**
 * dcon_exchange() - receive and send what there is
 * @link: the link, which is up and locked
 * @again: set if there may be more to do at once
 *
 * Return: 0, -EPROTO, or an error of dibs_move_data().
 */
int dcon_exchange(struct dcon_link *link, bool *again)
{
	u32 begin = link->rx_pos, told = link->rx_told;
	struct dcon_view view;
	bool hangup;
	int rc;

	rc = dcon_look_again(link, &view);
	if (rc)
		return rc;
	link->rx_seen = view.prod;
	hangup = dcon_receive_all(link, &view);
	*again = hangup || (link->rx_pos != begin &&
			    link->rx_pos - link->rx_told > DCON_TYPED);
	rc = dcon_transmit(link, again);
	if (!rc && !dcon_tell_later(link, begin))
		rc = dcon_tell_cons(link);
	if (link->rx_told != told && dcon_more_came(link))
		*again = true;
	/* the console was disabled for want of room */
	if (!rc && READ_ONCE(link->full) &&
	    dcon_tx_room(link) >= (int)link->peer_size / 2) {
		WRITE_ONCE(link->full, false);
		link->ops->changed(link);
	}
	return rc;
}
EXPORT_SYMBOL_IF_KUNIT(dcon_exchange);

/**
 * dcon_beat() - see that the peer's DMB is still there
 * @link: the link, which is up and locked
 *
 * A signal may have been lost where something is left in the ring. There is no need to
 * look at the ring again: the peer has a signal for what comes after so little as can be
 * news by now, and otherwise the link runs again anyway.
 *
 * Return: 0, or an error of dibs_move_data().
 */
int dcon_beat(struct dcon_link *link)
{
	struct dcon_pos cons = { .pos = cpu_to_le32(link->rx_pos) };
	bool sf = dcon_peer_may_wait(link) ||
		  READ_ONCE(link->tx_pos) != dcon_peer_cons(link);

	link->rx_told = link->rx_pos;
	return dcon_move(link, sf, offsetof(struct dcon_hdr, cons), &cons,
			 sizeof(cons));
}
EXPORT_SYMBOL_IF_KUNIT(dcon_beat);
