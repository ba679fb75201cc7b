/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: who may write where
 *
 * Ports, the DMBs that are registered on them, signals and events. No protocol and
 * no I/O in here.
 *
 * The state lives in memory that outlives the process which works on it. That
 * process can die between any two instructions, so there is no lock, each change
 * becomes visible by the store of one word (a commit word), and a request that is
 * executed again by the next process finds out that it has been executed.
 */
#ifndef DIBS_FABRIC_H
#define DIBS_FABRIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FABRIC_MAX_PORTS	1024
#define FABRIC_MAX_DMBS		65536
#define FABRIC_MAX_RANGES	4
#define FABRIC_MAX_SIGNALS	16
#define FABRIC_GID_LEN		16
#define FABRIC_GID_SLOTS	(2 * FABRIC_MAX_PORTS)

/* Events that can be pending for one port, but for those about other ports */
#define FABRIC_SW_EVENTS	1024
#define FABRIC_BUF_EVENTS	256
#define FABRIC_EVENT_SLOTS	(FABRIC_SW_EVENTS + FABRIC_BUF_EVENTS)

/* SW events of one sender that can be pending for one receiver */
#define FABRIC_SW_QUOTA		16

/*
 * How often a port can join: so many times at once, and one per period, in ns, in the long
 * run. A guest that does nothing but boot needs seconds for one.
 */
#define FABRIC_JOIN_BURST	64
#define FABRIC_JOIN_PERIOD	20000000

/* ns for each one, after as many as the quota: to be told of them costs the receiver time */
#define FABRIC_SW_PERIOD	5000000

/**
 * enum fabric_status - how a request ended
 * @FABRIC_OK: done
 * @FABRIC_NOENT: the token names no DMB
 * @FABRIC_PERM: the DMB is granted to, or owned by, somebody else
 * @FABRIC_RANGE: beyond the end of the DMB
 * @FABRIC_INVAL: a value is not allowed
 * @FABRIC_BUSY: the index is in use
 * @FABRIC_NOMEM: more bytes than there can be
 * @FABRIC_UNREACH: no port with this GID has joined
 * @FABRIC_AGAIN: too many events are pending, or it comes too quickly
 * @FABRIC_NODEV: the port itself has not joined
 * @FABRIC_UNSUPPORTED: for devices: there is no such request
 * @FABRIC_IO: for devices: the owner's memory cannot be reached
 */
enum fabric_status {
	FABRIC_OK,
	FABRIC_NOENT,
	FABRIC_PERM,
	FABRIC_RANGE,
	FABRIC_INVAL,
	FABRIC_BUSY,
	FABRIC_NOMEM,
	FABRIC_UNREACH,
	FABRIC_AGAIN,
	FABRIC_NODEV,
	FABRIC_UNSUPPORTED,
	FABRIC_IO,
	FABRIC_NR_STATUS,
};

enum fabric_event_type { FABRIC_EV_DEV, FABRIC_EV_BUF, FABRIC_EV_SW, FABRIC_EV_LOST };

enum fabric_dev_event {
	FABRIC_DEV_NONE,
	FABRIC_DEV_DISABLED,
	FABRIC_DEV_ENABLED,
	FABRIC_DEV_RESTARTED,
};

enum fabric_port_phase {
	FABRIC_DOWN,
	FABRIC_JOINING,
	FABRIC_UP,
	FABRIC_LEAVING,
};

/**
 * struct fabric_range - a piece of a DMB
 * @addr: address in the memory of the owner's guest
 * @len: in bytes
 */
struct fabric_range {
	uint64_t addr;
	uint32_t len;
	uint32_t reserved;
};

/**
 * struct fabric_dmb - a DMB
 * @request: commit word: number of the request that registered it, 0 if free
 * @token: its name
 * @rgid: GID of the only port that may write
 * @len: in bytes, the sum of the ranges
 * @nr_ranges: how many of @ranges
 * @pending: commit word: signals raised and not yet delivered
 * @written: commit word: a move has succeeded
 * @ranges: where it is
 */
struct fabric_dmb {
	_Atomic uint64_t request;
	uint64_t token;
	uint8_t rgid[FABRIC_GID_LEN];
	uint32_t len;
	uint16_t nr_ranges;
	_Atomic uint16_t pending;
	_Atomic uint32_t written;
	struct fabric_range ranges[FABRIC_MAX_RANGES];
};

/**
 * struct fabric_event - an event as a port gets it
 * @type: one of &enum fabric_event_type
 * @code: one of &enum fabric_dev_event, or what the sender chose
 * @gid: the port it is about, all 0 if none
 * @token: of a DMB, or 0
 * @time: when it happened, as the caller said
 * @info: what the sender chose
 * @seq: place in the order of events, for fabric_event_done()
 */
struct fabric_event {
	uint32_t type;
	uint32_t code;
	uint8_t gid[FABRIC_GID_LEN];
	uint64_t token;
	uint64_t time;
	uint64_t info;
	uint64_t seq;
};

/**
 * struct fabric_slot - an SW or BUF event that is pending
 * @seq: commit word: place in the order of events, 0 if free
 * @sender: port that it comes from
 * @request: number of the sender's request
 * @event: what to deliver
 */
struct fabric_slot {
	_Atomic uint64_t seq;
	uint32_t sender;
	uint64_t request;
	struct fabric_event event;
};

/* What a port did and was refused; for people */
struct fabric_counters {
	uint64_t moves;
	uint64_t move_bytes;
	uint64_t signals;
	uint64_t events;
	uint64_t errors[FABRIC_NR_STATUS];
};

/**
 * struct fabric_port - a port
 * @phase: commit word: one of &enum fabric_port_phase
 * @nr_used: DMB indices from here on are free
 * @gid: GID
 * @unregistered: number of the request that unregistered a DMB last
 * @dev_events: per other port a commit word: place in the order of events << 8 and
 *	one of &enum fabric_dev_event; 0 if there is nothing to tell
 * @dev_times: when that was
 * @lost: commit word: place in the order of the BUF event that was not kept, or 0
 * @slots: SW and BUF events
 * @nr: see there
 */
struct fabric_port {
	_Atomic uint32_t phase;
	_Atomic uint32_t nr_used;
	uint8_t gid[FABRIC_GID_LEN];
	_Atomic uint64_t unregistered;
	_Atomic uint64_t dev_events[FABRIC_MAX_PORTS];
	uint64_t dev_times[FABRIC_MAX_PORTS];
	_Atomic uint64_t lost;
	struct fabric_slot slots[FABRIC_EVENT_SLOTS];
	struct fabric_counters nr;
};

/**
 * struct fabric_state - what outlives a process; all zeroes at first
 * @nr_ports: how many ports there are, at most %FABRIC_MAX_PORTS
 * @max_dmbs: how many DMBs each can have
 * @max_bytes: how long they can be in total
 * @token_mask: bits of tokens that may be set, the upper 32 among them
 * @seq: the last place in the order of events that was given out
 * @ports: the ports; their DMBs lie behind, @max_dmbs for each
 */
struct fabric_state {
	_Atomic uint32_t nr_ports;
	uint32_t max_dmbs;
	uint64_t max_bytes;
	uint64_t token_mask;
	_Atomic uint64_t seq;
	struct fabric_port ports[FABRIC_MAX_PORTS];
	struct fabric_dmb dmbs[];
};

/**
 * struct fabric_view - what a process derives from the state of a port
 * @nr_dmbs: DMBs that are registered
 * @bytes: their length
 * @nr_events: events that are pending
 * @oldest: place in the order of the oldest of them when that was looked for last, or 0
 * @oldest_at: where it was found
 * @nr_signals: DMBs with a signal pending
 * @next: index at which the search for the next signal begins
 * @used: bit per DMB that is registered
 * @pending: bit per DMB with a signal pending
 * @join_due: the time at which the port would have joined so many times if it did so once
 *	per %FABRIC_JOIN_PERIOD; whoever is connected
 * @sw_due: per sender, the time at which all its SW events would have been sent if it
 *	sent one per %FABRIC_SW_PERIOD
 */
struct fabric_view {
	uint32_t nr_dmbs;
	uint64_t bytes;
	uint32_t nr_events;
	uint32_t oldest_at;
	uint64_t oldest;
	uint32_t nr_signals;
	uint32_t next;
	uint64_t *used;
	uint64_t *pending;
	uint64_t join_due;
	uint64_t *sw_due;
};

/**
 * struct fabric - a process's hold of the state
 * @st: the state
 * @view: per port
 * @table: hash table of DMBs by token
 * @mask: its size - 1
 * @nr_tokens: entries in it
 * @gids: hash table of ports by GID: their numbers plus 1
 * @wake: called when a port has something to be told; optional
 * @arg: for @wake
 */
struct fabric {
	struct fabric_state *st;
	struct fabric_view *view;
	uint32_t *table;
	uint32_t mask;
	uint32_t nr_tokens;
	uint16_t gids[FABRIC_GID_SLOTS];
	void (*wake)(void *arg, uint32_t port);
	void *arg;
};

/**
 * struct fabric_grant - what a port registers
 * @rgid: GID of the port that may write
 * @idx: index on the owner's port
 * @nr_ranges: number of @ranges
 * @ranges: the memory
 */
struct fabric_grant {
	uint8_t rgid[FABRIC_GID_LEN];
	uint32_t idx;
	uint32_t nr_ranges;
	struct fabric_range ranges[FABRIC_MAX_RANGES];
};

/**
 * struct fabric_ref - a DMB that was found
 * @dmb: it
 * @port: of the owner
 * @idx: index on that port
 */
struct fabric_ref {
	struct fabric_dmb *dmb;
	uint32_t port;
	uint32_t idx;
};

/**
 * struct fabric_signal - signals of one DMB, to be delivered
 * @token: of the DMB
 * @idx: its index
 * @mask: which
 */
struct fabric_signal {
	uint64_t token;
	uint32_t idx;
	uint16_t mask;
};

size_t fabric_state_size(uint32_t nr_ports, uint32_t max_dmbs);
void fabric_state_init(struct fabric_state *st, uint32_t max_dmbs, uint64_t max_bytes);
int fabric_add_port(struct fabric_state *st, const uint8_t *gid);

int fabric_open(struct fabric *f, struct fabric_state *st);
void fabric_close(struct fabric *f);
int fabric_ports_added(struct fabric *f, uint32_t first);

bool fabric_may_join(struct fabric *f, uint32_t port, uint64_t now);
void fabric_join(struct fabric *f, uint32_t port, uint64_t now);
void fabric_leave(struct fabric *f, uint32_t port, uint64_t now);
bool fabric_joined(const struct fabric *f, uint32_t port);
int fabric_port_of(const struct fabric *f, const uint8_t *gid);

enum fabric_status fabric_register(struct fabric *f, uint32_t port, uint64_t request,
				   const struct fabric_grant *grant, uint64_t *token);
enum fabric_status fabric_unregister(struct fabric *f, uint32_t port,
				     uint64_t request, uint64_t token, uint64_t now);
enum fabric_status fabric_query(struct fabric *f, uint32_t port, const uint8_t *gid);
enum fabric_status fabric_send(struct fabric *f, uint32_t port, uint64_t request,
			       const uint8_t *gid, uint32_t code, uint64_t info,
			       uint64_t now);

enum fabric_status fabric_find(struct fabric *f, uint32_t port, uint64_t token,
			       struct fabric_ref *ref);
enum fabric_status fabric_check(const struct fabric_ref *ref, uint32_t offset,
				uint32_t size);
void fabric_moved(struct fabric *f, uint32_t port, const struct fabric_ref *ref,
		  uint64_t bytes);
void fabric_raise(struct fabric *f, const struct fabric_ref *ref, unsigned int signal);
void fabric_count(struct fabric *f, uint32_t port, enum fabric_status status);

bool fabric_next_signal(struct fabric *f, uint32_t port, struct fabric_signal *sig);
void fabric_signal_done(struct fabric *f, uint32_t port,
			const struct fabric_signal *sig);
bool fabric_next_event(struct fabric *f, uint32_t port, struct fabric_event *event);
void fabric_event_done(struct fabric *f, uint32_t port, uint64_t seq);

#endif /* DIBS_FABRIC_H */
