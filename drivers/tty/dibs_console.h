/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Console over dibs
 *
 * Shared by the files of the driver. Part of the protocol, which is described
 * in Documentation/networking/dibs-console.rst, is in here.
 */
#ifndef _DIBS_CONSOLE_H
#define _DIBS_CONSOLE_H

#include <linux/console.h>
#include <linux/dibs.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/time64.h>
#include <linux/timer.h>
#include <linux/tty.h>
#include <linux/types.h>
#include <linux/uuid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

/* Names of the driver's files, and one less than the characters of a name */
#define DCON_TTY_NAME		"ttyDIBS"
#define DCON_NAME_LEN		32

/* ------------------------------ protocol --------------------------------- */

#define DCON_MAGIC		0x4e4f4344	/* "DCON", as bytes in memory */
#define DCON_VERSION		1

/* Codes of software events: the role of the sender, and what it says */
#define DCON_EV_ROLE		0xffffff00
#define DCON_EV_CONSOLE		0xdc010100
#define DCON_EV_TERMINAL	0xdc010200
#define DCON_EV_CONSOLE_OFFER	0xdc010101
#define DCON_EV_CONSOLE_BYE	0xdc010102
#define DCON_EV_TERMINAL_OFFER	0xdc010201
#define DCON_EV_TERMINAL_BYE	0xdc010202
#define DCON_EV_TERMINAL_REFUSE	0xdc010203

/* The one signal of a DMB: look at it */
#define DCON_SIGNAL		0

/*
 * So many bytes may stay unconfirmed until something else is moved: somebody may have
 * typed them, and what answers them can confirm them as well
 */
#define DCON_TYPED		16

/* Where things are in a DMB, and how large the ring is that is offered here */
#define DCON_RING		SZ_4K
#define DCON_RING_SIZE		SZ_32K
#define DCON_RING_MIN		SZ_8K
#define DCON_RING_MAX		SZ_1M
#define DCON_DMB_SIZE		(DCON_RING + DCON_RING_SIZE)

/* How long a panic waits for room in all, in us, for a terminal that reads */
#define DCON_PANIC_WAIT		(10 * USEC_PER_SEC)

/**
 * struct dcon_setup - who wrote this header, and for whom
 * @magic: %DCON_MAGIC
 * @version: %DCON_VERSION
 * @reserved: 0
 * @size: of the ring in the writer's own DMB, a power of 2
 * @reserved2: 0
 * @nonce: random for each connection, not 0
 * @echo: @nonce of the other end, 0 as long as the writer has not seen it
 */
struct dcon_setup {
	__le32 magic;
	__le16 version;
	__le16 reserved;
	__le32 size;
	__le32 reserved2;
	__le64 nonce;
	__le64 echo;
};

/**
 * struct dcon_ctl - what is not data
 * @brk: number of breaks that were sent
 * @brk_pos: position in the ring of the last of them
 * @rows: height of the writer's terminal, 0 if not known
 * @cols: width of the writer's terminal, 0 if not known
 * @flags: %DCON_READY or 0
 */
struct dcon_ctl {
	__le32 brk;
	__le32 brk_pos;
	__le16 rows;
	__le16 cols;
	__le32 flags;
};

#define DCON_READY		BIT(0)	/* the writer's line is open */

/**
 * struct dcon_pos - a position in a ring, counted from the beginning
 * @pos: bytes, modulo 2^32
 * @reserved: 0
 */
struct dcon_pos {
	__le32 pos;
	__le32 reserved;
};

/**
 * struct dcon_hdr - the beginning of a DMB, written by its owner's peer
 * @setup: written twice while a connection is set up, and then left alone
 * @reserved: 0
 * @ctl: what is not data
 * @prod: how far the writer has filled the ring behind this header
 * @cons: how far the writer has emptied the ring in its own DMB
 */
struct dcon_hdr {
	struct dcon_setup setup;
	u8 reserved[32];
	struct dcon_ctl ctl;
	struct dcon_pos prod;
	struct dcon_pos cons;
};

/* -------------------------------- links ---------------------------------- */

enum dcon_role {
	DCON_CONSOLE,
	DCON_TERMINAL,
};

/**
 * enum dcon_state - of a link
 * @DCON_IDLE: nothing is under way
 * @DCON_OFFERING: a DMB is offered; a terminal has written its header
 * @DCON_GREETING: console only: has the peer's DMB and has written its header
 * @DCON_UP: each end has seen its own nonce
 */
enum dcon_state {
	DCON_IDLE,
	DCON_OFFERING,
	DCON_GREETING,
	DCON_UP,
};

struct dcon_link;

/**
 * struct dcon_link_ops - what a link needs of its user
 *
 * Called with the link locked, in process context, if nothing else is said.
 */
struct dcon_link_ops {
	/**
	 * @want: is a connection with @peer wanted? A console is asked before
	 * each attempt whom to try next, if @next is set.
	 */
	bool (*want)(struct dcon_link *link, uuid_t *peer, bool next);
	/**
	 * @receive: @len bytes have arrived. Return: how many were taken;
	 * if not all, dcon_link_kick() has to be called when there is room,
	 * or &dcon_link.rx_retry be set.
	 */
	size_t (*receive)(struct dcon_link *link, const u8 *data, size_t len);
	/**
	 * @deliver: the user's user can have what was received while
	 * &dcon_link.rx_deliver was set. Called without a lock, may take its time.
	 */
	void (*deliver)(struct dcon_link *link);
	/** @receive_break: a break has arrived, at this place of the data */
	void (*receive_break)(struct dcon_link *link);
	/**
	 * @fetch: up to @len bytes to send. Called under &dcon_link.tx_lock as well,
	 * and under what dcon_transmit_now() was called under. Return: how many.
	 */
	size_t (*fetch)(struct dcon_link *link, u8 *buf, size_t len);
	/**
	 * @changed: &dcon_link.state has changed, or what the peer says of
	 * itself, in &dcon_link.peer_ready, &dcon_link.rows and
	 * &dcon_link.cols
	 */
	void (*changed)(struct dcon_link *link);
};

/**
 * struct dcon_mail - what events have brought and the link has not seen yet
 * @lock: protects the rest; taken in process context only
 * @on: the device that the link has a DMB on, NULL if it has none
 * @dibs: the device that @offer came from
 * @offer: token of the peer's DMB, 0 if there is none
 * @bye: token of a peer's DMB that is gone, likewise
 * @refuse: token of a DMB that was refused, likewise
 * @gone: the peer's device has left, or may have
 * @hurry: the peer may have arrived: try at once
 */
struct dcon_mail {
	spinlock_t lock;	/* protects on to hurry */
	struct dibs_dev *on;
	struct dibs_dev *dibs;
	u64 offer;
	u64 bye;
	u64 refuse;
	bool gone;
	bool hurry;
};

/**
 * struct dcon_link - a connection, or the wish for one
 * @ops: its user
 * @role: of this end
 * @lock: held while the link runs, while its device is taken away, and by who sends at
 *	once
 * @work: runs the link
 * @mail: from events
 * @peer: GID of the other end's device; changes under the lock of @mail
 * @state: see &enum dcon_state
 * @dd: the device, if there is a DMB
 * @dmb: see @dd
 * @hdr: first part of the DMB, see @dd
 * @nonce: of this end
 * @peer_nonce: of the other end, 0 if not known yet
 * @peer_tok: its DMB, 0 if not known yet
 * @peer_size: size of the ring in it
 * @wanted: a console is to be connected with somebody
 * @refused: the peer has refused the last time
 * @tries: attempts since something has worked
 * @next_try: not before this time, in jiffies
 * @errors: broken rules since the link was up for a while
 * @up_since: when @state became %DCON_UP, in jiffies
 * @beat: when to move something again, to see that the peer is there
 * @rx_pos: how far the own ring has been emptied
 * @rx_told: what of @rx_pos the peer has been told
 * @rx_seen: how far the peer had filled the own ring at the last look
 * @rx_brk: number of breaks that were seen
 * @rx_retry: try soon again to hand on what is in the ring
 * @rx_deliver: what is received now is handed on with &dcon_link_ops.deliver
 * @rx_work: looks at what a signal has announced, and hands it on
 * @rx_since: since when it hands that on, in jiffies, 0 if it does not
 * @rx_watch: runs the link if that takes long
 * @draining: the connection is at its end: take what is there
 * @peer_ready: the peer's line is open
 * @rows: height of the peer's terminal
 * @cols: its width
 * @up: data can be sent; looked at under @tx_lock, or as the owner of @con
 * @broken: error that what sends has found, 0 if none
 * @full: the console is disabled until there is room
 * @tx_lock: serializes what sends, except printing from any context
 * @tx_pos: how far the peer's ring has been filled; see @up
 * @tx_end: how far it is being filled at the moment
 * @lost: bytes that there was no room for in a panic
 * @patience: for how long a panic still waits for room, in us
 * @settled: in a panic: what other CPUs had begun to send is there
 * @con: the kernel's console on this link, NULL if there is none
 * @room: woken up at each signal
 * @buf: what is being printed, under @tx_lock
 * @out: what was fetched and not sent yet, likewise
 * @out_len: how much
 * @ctl_lock: protects the members below, also with interrupts disabled by who sends
 * @ctl_dirty: something in @ctl has changed
 * @ctl_brk: a break is to be sent
 * @ctl: what the peer is told
 */
struct dcon_link {
	const struct dcon_link_ops *ops;
	enum dcon_role role;
	struct mutex lock;	/* see above */
	struct delayed_work work;
	struct dcon_mail mail;

	uuid_t peer;
	enum dcon_state state;
	struct dcon_dev *dd;
	struct dibs_dmb dmb;
	struct dcon_hdr *hdr;
	u64 nonce;
	u64 peer_nonce;
	u64 peer_tok;
	u32 peer_size;
	bool wanted;
	bool refused;
	unsigned int tries;
	unsigned long next_try;
	unsigned int errors;
	unsigned long up_since;
	unsigned long beat;

	u32 rx_pos;
	u32 rx_told;
	u32 rx_seen;
	u32 rx_brk;
	bool rx_retry;
	bool rx_deliver;
	struct work_struct rx_work;
	unsigned long rx_since;
	struct timer_list rx_watch;
	bool draining;
	bool peer_ready;
	u16 rows;
	u16 cols;

	bool up;
	int broken;
	bool full;
	struct mutex tx_lock;	/* see above */
	u32 tx_pos;
	u32 tx_end;
	u32 lost;
	u32 patience;
	bool settled;
	struct console *con;
	wait_queue_head_t room;
	u8 buf[SZ_4K];
	u8 out[SZ_4K];
	size_t out_len;

	raw_spinlock_t ctl_lock; /* protects what follows */
	bool ctl_dirty;
	bool ctl_brk;
	struct dcon_ctl ctl;
};

/**
 * struct dcon_dev - a dibs device
 * @list: in the list of all of them
 * @dibs: as the core knows it
 * @links: by index of the DMB
 */
struct dcon_dev {
	struct list_head list;
	struct dibs_dev *dibs;
	struct xarray links;
};

/* dibs_console_ring.c */
int dcon_check_setup(struct dcon_link *link, struct dcon_setup *setup);
int dcon_write_setup(struct dcon_link *link);
void dcon_receive_last(struct dcon_link *link);
int dcon_exchange(struct dcon_link *link, bool *again);
int dcon_beat(struct dcon_link *link);
int dcon_tx_room(struct dcon_link *link);
bool dcon_peer_reads(const struct dcon_link *link);
int dcon_send(struct dcon_link *link, const void *data, u32 len);
int dcon_send_atomic(struct dcon_link *link, const void *data, u32 len);
void dcon_send_over(struct dcon_link *link);
bool dcon_transmit_now(struct dcon_link *link);
void dcon_tx_lock(struct dcon_link *link);
void dcon_tx_unlock(struct dcon_link *link);
void dcon_tx_forget(struct dcon_link *link);
void dcon_tx_up(struct dcon_link *link);
void dcon_tx_down(struct dcon_link *link);

/* dibs_console_link.c */
void dcon_link_init(struct dcon_link *link, enum dcon_role role,
		    const struct dcon_link_ops *ops);
void dcon_link_exit(struct dcon_link *link);
void dcon_link_kick(struct dcon_link *link);
void dcon_link_hurry(struct dcon_link *link);
void dcon_link_signal(struct dcon_link *link);
void dcon_link_mail(struct dcon_link *link, struct dibs_dev *dibs,
		    const struct dibs_event *event);
unsigned long dcon_link_run(struct dcon_link *link);
void dcon_link_drop_dev(struct dcon_link *link, struct dibs_dev *dibs);
const char *dcon_link_state(const struct dcon_link *link);

/* dibs_console_main.c */
extern struct dibs_client dcon_client;
struct dcon_dev *dcon_find_dev(const uuid_t *peer);
int dcon_listens_to(const uuid_t *peer, char *name);
bool dcon_want_server(uuid_t *gid, bool next);
bool dcon_sysrq_allowed(const uuid_t *peer);

/* dibs_console_tty.c */
bool dcon_tty_offered(const uuid_t *peer);
void dcon_tty_mail(struct dibs_dev *dibs, const struct dibs_event *event);
void dcon_tty_drop_dev(struct dibs_dev *dibs);
void dcon_tty_hurry(void);
int dcon_tty_init(void);
void dcon_tty_exit(void);

/* dibs_console_con.c */
void dcon_con_init(struct dcon_link *link, struct tty_driver *driver);
void dcon_con_update(struct dcon_link *link);
void dcon_con_exit(void);

#endif	/* _DIBS_CONSOLE_H */
