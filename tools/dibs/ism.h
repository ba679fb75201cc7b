/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: the ISM function
 *
 * Two ports make one function. One is the PCI function as QEMU sees it. The guest's
 * blocks, which QEMU cannot take, come over the other one: pcistb.c brings them.
 */
#ifndef DIBS_ISM_H
#define DIBS_ISM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ISM_NR_DMBS		1920
#define ISM_FIRST_DMB		32
#define ISM_MAX_DMB_LEN		(1u << 20)
#define ISM_MAX_VLANS		64
#define ISM_CONFIG_SIZE		256
#define ISM_WINDOW		256

/* Bits of a token that may be set: the others are fields of the offset of a move */
#define ISM_TOKEN_MASK		0xffffffff00000000ull

struct port_ops;

/**
 * struct ism_faults - what is to go wrong; counters go down to 0, which means no more
 * @commands: until one that is not executed
 * @code: its response code
 * @moves: until one that is not executed
 * @cc: its condition code
 * @blocks: until one that finds the function busy; a command is one or two
 * @busy_ms: for how long
 * @busy_until: and until when, in ns
 * @interrupts: until one that is not raised
 * @errors: blocks until one that finds the function in error state
 */
struct ism_faults {
	uint32_t commands;
	uint32_t code;
	uint32_t moves;
	uint32_t cc;
	uint32_t blocks;
	uint32_t busy_ms;
	uint64_t busy_until;
	uint32_t interrupts;
	uint32_t errors;
};

/**
 * struct ism_state - an ISM function; outlives a worker
 * @vlan: commit words: VLAN ids, 0 for none
 * @doing: commit word: number of the command that was found good and has effects now
 * @done: commit word: number of the command whose response is in @response
 * @error: commit word: in error state, out of which only a reset leads
 * @sba: commit word: address of the state bit array, or 0
 * @ieq: commit word: address of the event queue, or 0
 * @last_event: commit word: place of the event written last in the order of events
 *	<< 8, and the entry of the queue that is written next
 * @config: PCI configuration space
 * @request: what was stored for the next command
 * @response: of the last command
 * @vlan_required: DMBs have to be of a VLAN
 * @commands: how many there have been
 * @faults: see there
 */
struct ism_state {
	_Atomic uint16_t vlan[ISM_MAX_VLANS];
	_Atomic uint64_t doing;
	_Atomic uint64_t done;
	_Atomic uint32_t error;
	_Atomic uint64_t sba;
	_Atomic uint64_t ieq;
	_Atomic uint64_t last_event;
	uint8_t config[ISM_CONFIG_SIZE];
	uint8_t request[ISM_WINDOW];
	uint8_t response[ISM_WINDOW];
	uint32_t vlan_required;
	uint64_t commands;
	struct ism_faults faults;
};

/* The function, and next to it, at the port with the next number, its blocks */
extern const struct port_ops ism_ops;
extern const struct port_ops ism_block_ops;

#endif /* DIBS_ISM_H */
