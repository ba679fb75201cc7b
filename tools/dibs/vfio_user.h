/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: the vfio-user protocol, server side
 */
#ifndef DIBS_VFIO_USER_H
#define DIBS_VFIO_USER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mem.h"

#define VU_MAX_FDS	16
#define VU_MAX_MSG	4160
#define VU_MAX_VECTORS	64
#define VU_NR_REGIONS	9
#define VU_CONFIG_REGION 7

struct port;

/**
 * enum vu_phase - how far a request has got
 * @VU_IDLE: there is none
 * @VU_RECORDED: it is in the state, and may still be in the socket
 * @VU_CONSUMED: it is in the state only
 * @VU_EXECUTED: its reply is in the state
 * @VU_QUEUED: its reply is in the pipe, if it is not sent
 */
enum vu_phase { VU_IDLE, VU_RECORDED, VU_CONSUMED, VU_EXECUTED, VU_QUEUED };

/**
 * struct vu_state - a connection; outlives a worker
 * @fd: commit word: the socket, 0 if there is no connection
 * @closing: commit word: the connection is being closed
 * @phase: commit word: one of &enum vu_phase
 * @versioned: the first message was VERSION
 * @msg_len: length of @msg
 * @nr_fds: number of @fds
 * @fds: what came with the message
 * @reply_len: length of @reply, 0 if there is to be none
 * @messages: how many there have been
 * @interrupts: how many were raised
 * @irq: commit words: eventfds of MSI-X vectors, 0 for none
 * @intx: commit word: eventfd of INTx, or 0
 * @intx_masked: INTx must not be raised
 * @mem: the guest's memory
 * @msg: a message
 * @reply: what is answered
 */
struct vu_state {
	_Atomic int32_t fd;
	_Atomic uint32_t closing;
	_Atomic uint32_t phase;
	uint32_t versioned;
	uint32_t msg_len;
	uint32_t nr_fds;
	int32_t fds[VU_MAX_FDS];
	uint32_t reply_len;
	uint64_t messages;
	uint64_t interrupts;
	_Atomic int32_t irq[VU_MAX_VECTORS];
	_Atomic int32_t intx;
	uint32_t intx_masked;
	struct mem_state mem;
	uint8_t msg[VU_MAX_MSG];
	uint8_t reply[VU_MAX_MSG];
};

/**
 * struct vu - a worker's view of a connection
 * @have: bytes of the next message that were looked at
 * @brings: descriptors were seen with them
 */
struct vu {
	uint32_t have;
	bool brings;
};

bool vu_accept(struct port *p, int fd);
void vu_restart(struct port *p);
bool vu_step(struct port *p);
void vu_close(struct port *p);
bool vu_owns_fd(const struct vu_state *vu, int fd);
void vu_drop_fd(int fd);

void vu_irq(struct port *p, uint16_t vector);
void vu_intx(struct port *p);
bool vu_uses_msix(const struct port *p);

#endif /* DIBS_VFIO_USER_H */
