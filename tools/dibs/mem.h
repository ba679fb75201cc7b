/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: the memory of a guest
 *
 * A client maps ranges of its address space with a file and an offset. What is
 * mapped changes at any time, so an address is looked up at each use and no
 * pointer outlives the message or the buffer that it was looked up for.
 */
#ifndef DIBS_MEM_H
#define DIBS_MEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEM_MAX_FILES	16
#define MEM_MAX_MAPS	65536
#define MEM_NO_FILE	UINT32_MAX

/*
 * Address space for the files of all guests: so much that there is enough whoever begins
 * with a worker, and in which order. It is divided among the ports, and among so many at
 * least.
 */
#define MEM_ROOM	(1ull << 46)
#define MEM_MIN_SHARES	16

/**
 * struct mem_file - a file of guest memory; outlives a worker
 * @used: commit word: what follows is valid
 * @fd: the file
 * @dev: device, with @ino what tells files apart
 * @ino: inode
 * @size: in bytes
 */
struct mem_file {
	_Atomic uint32_t used;
	int32_t fd;
	uint64_t dev;
	uint64_t ino;
	uint64_t size;
};

/**
 * struct mem_map - a range of the guest's address space; outlives a worker
 * @live: commit word: what follows is valid
 * @file: index into the files, or %MEM_NO_FILE for what cannot be reached
 * @writable: the device may write there
 * @iova: first address
 * @size: in bytes; @iova + @size - 1 does not wrap
 * @offset: in the file
 */
struct mem_map {
	_Atomic uint32_t live;
	uint32_t file;
	uint32_t writable;
	uint64_t iova;
	uint64_t size;
	uint64_t offset;
};

/**
 * struct mem_state - what has to outlive a worker
 * @nr_slots: slots of @maps from here on have never been used
 * @files: the files
 * @maps: ranges, in no order
 */
struct mem_state {
	_Atomic uint32_t nr_slots;
	struct mem_file files[MEM_MAX_FILES];
	struct mem_map maps[MEM_MAX_MAPS];
};

/**
 * struct mem_room - what all guests of a worker share
 * @shares: among so many the address space is divided
 * @used: how much of it is in use
 */
struct mem_room {
	uint32_t shares;
	uint64_t used;
};

/**
 * struct mem - a worker's view of a guest's memory
 * @st: the state behind it
 * @all: what it shares with others
 * @used: its part of that
 * @base: where the files are mapped, NULL if they are not
 * @maps: of each file, how many
 * @order: slots of @st->maps that are live, by address
 * @nr: how many
 * @room: allocated length of @order
 * @spare: a slot below @nr_slots that is not live, plus 1, or 0; it leads to the next
 * @broken: a file turned out to be shorter than it was
 */
struct mem {
	struct mem_state *st;
	struct mem_room *all;
	uint64_t used;
	uint8_t *base[MEM_MAX_FILES];
	uint32_t maps[MEM_MAX_FILES];
	uint32_t *order;
	uint32_t nr;
	uint32_t room;
	uint32_t spare;
	volatile bool broken;
};

int mem_open(struct mem *m, struct mem_state *st, struct mem_room *all);
void mem_close(struct mem *m);

int mem_map_add(struct mem *m, uint64_t iova, uint64_t size, uint64_t offset,
		bool writable, int fd);
int mem_map_del(struct mem *m, uint64_t iova, uint64_t size);
void mem_map_del_all(struct mem *m);
bool mem_owns_fd(const struct mem_state *st, int fd);

void *mem_at(struct mem *m, uint64_t iova, uint64_t want, bool write,
	     uint64_t *got);
bool mem_reachable(struct mem *m, uint64_t iova, uint64_t len, bool write);
bool mem_read(struct mem *m, uint64_t iova, void *buf, uint64_t len);
bool mem_write(struct mem *m, uint64_t iova, const void *buf, uint64_t len);

void mem_copy(void *dst, const void *src, size_t len);
bool mem_fault(struct mem *m, const void *addr);

#endif /* DIBS_MEM_H */
