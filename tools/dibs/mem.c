// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: the memory of a guest
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fault.h"
#include "mem.h"

/* -------------------------------- files -------------------------------- */

static bool file_used(const struct mem_state *st, uint32_t i)
{
	return atomic_load(&st->files[i].used);
}

bool mem_owns_fd(const struct mem_state *st, int fd)
{
	uint32_t i;

	for (i = 0; i < MEM_MAX_FILES; i++)
		if (file_used(st, i) && st->files[i].fd == fd)
			return true;
	return false;
}

static int file_mmap(struct mem *m, uint32_t i)
{
	const struct mem_file *file = &m->st->files[i];
	void *base = mmap(NULL, file->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			  file->fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	m->base[i] = base;
	m->used += file->size;
	m->all->used += file->size;
	return 0;
}

static void file_munmap(struct mem *m, uint32_t i)
{
	uint64_t size;

	if (!m->base[i])
		return;
	size = m->st->files[i].size;
	munmap(m->base[i], size);
	m->base[i] = NULL;
	m->used -= size;
	m->all->used -= size;
}

static void file_drop(struct mem *m, uint32_t i)
{
	struct mem_file *file = &m->st->files[i];

	atomic_store(&file->used, 0);
	fault_point(FAULT_FILE_DROPPED);
	file_munmap(m, i);
	close(file->fd);
}

/* A slot for a file of that size, or -1 */
static int file_slot(struct mem *m, uint64_t size)
{
	uint64_t share = MEM_ROOM / m->all->shares;
	uint32_t i;
	int slot = -1;

	for (i = 0; i < MEM_MAX_FILES; i++) {
		if (file_used(m->st, i) && !m->maps[i])
			file_drop(m, i);
		if (!file_used(m->st, i))
			slot = i;
	}
	if (m->used > share || size > share - m->used ||
	    m->all->used > MEM_ROOM || size > MEM_ROOM - m->all->used)
		return -1;
	return slot;
}

/*
 * Memory that can be waited for without end, such as a file of a file system in
 * user space, must not get in here.
 */
static int file_check(int fd, struct stat *sb)
{
	struct statfs fs;

	if (fstat(fd, sb) || fstatfs(fd, &fs))
		return -errno;
	if (!S_ISREG(sb->st_mode) || sb->st_size <= 0)
		return -EINVAL;
	if (fs.f_type != TMPFS_MAGIC && fs.f_type != (typeof(fs.f_type))HUGETLBFS_MAGIC)
		return -EINVAL;
	return 0;
}

/* The file behind fd; takes fd over if the file is a new one */
static int file_get(struct mem *m, int fd, uint32_t *file)
{
	struct stat sb;
	int rc, i;

	rc = file_check(fd, &sb);
	if (rc)
		return rc;
	for (i = 0; i < MEM_MAX_FILES; i++) {
		if (file_used(m->st, i) && m->st->files[i].dev == sb.st_dev &&
		    m->st->files[i].ino == sb.st_ino) {
			*file = i;
			return 0;
		}
	}
	i = file_slot(m, sb.st_size);
	if (i < 0)
		return -ENOSPC;
	m->st->files[i].fd = fd;
	m->st->files[i].dev = sb.st_dev;
	m->st->files[i].ino = sb.st_ino;
	m->st->files[i].size = sb.st_size;
	rc = file_mmap(m, i);
	if (rc)
		return rc;
	atomic_store(&m->st->files[i].used, 1);
	fault_point(FAULT_FILE_ADDED);
	*file = i;
	return 0;
}

/* --------------------------------- maps --------------------------------- */

static struct mem_map *nth(const struct mem *m, uint32_t n)
{
	return &m->st->maps[m->order[n]];
}

/* The first map, in the order of addresses, that ends behind iova */
static uint32_t first_behind(const struct mem *m, uint64_t iova)
{
	uint32_t low = 0, high = m->nr, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (nth(m, mid)->iova + (nth(m, mid)->size - 1) < iova)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int order_insert(struct mem *m, uint32_t slot)
{
	uint32_t at = first_behind(m, m->st->maps[slot].iova), room, *order;

	if (m->nr == m->room) {
		room = m->room ? m->room * 2 : 64;
		order = realloc(m->order, room * sizeof(*order));
		if (!order)
			return -ENOMEM;
		m->order = order;
		m->room = room;
	}
	memmove(&m->order[at + 1], &m->order[at], (m->nr - at) * sizeof(*m->order));
	m->order[at] = slot;
	m->nr++;
	return 0;
}

/* Slots that are not live are chained by their addresses, which mean nothing else then */
static void spare_slot(struct mem *m, uint32_t slot)
{
	m->st->maps[slot].iova = m->spare;
	m->spare = slot + 1;
}

/* A slot that is not live */
static int map_slot(struct mem *m)
{
	uint32_t used = atomic_load(&m->st->nr_slots), slot;

	if (m->spare) {
		slot = m->spare - 1;
		m->spare = m->st->maps[slot].iova;
		return slot;
	}
	if (used == MEM_MAX_MAPS)
		return -1;
	atomic_store(&m->st->nr_slots, used + 1);
	return used;
}

static bool is_same(const struct mem_map *map, uint64_t iova, uint64_t size,
		    uint64_t offset)
{
	return map->iova == iova && map->size == size && map->offset == offset;
}

/**
 * mem_map_add() - a range of the address space begins to exist
 * @m: the memory
 * @iova: first address
 * @size: in bytes
 * @offset: of @iova in the file
 * @writable: the device may write there
 * @fd: the file, kept if mem_owns_fd() says so afterwards; -1 for a range that
 *	exists and cannot be reached
 *
 * A file takes address space as a whole, so its size counts and not that of the range.
 *
 * Return: 0, also if this very range exists; or -EINVAL, -EEXIST, -ENOSPC, -ENOMEM or
 *	what the file's system calls say.
 */
int mem_map_add(struct mem *m, uint64_t iova, uint64_t size, uint64_t offset,
		bool writable, int fd)
{
	uint32_t file = MEM_NO_FILE, at;
	struct mem_map *map;
	int rc, slot;

	if (!size || iova + size - 1 < iova || offset + size < offset)
		return -EINVAL;
	at = first_behind(m, iova);
	if (at < m->nr && nth(m, at)->iova <= iova + size - 1)
		return is_same(nth(m, at), iova, size, offset) ? 0 : -EEXIST;
	if (fd >= 0) {
		rc = file_get(m, fd, &file);
		if (rc)
			return rc;
		if (offset + size > m->st->files[file].size)
			return -EINVAL;
	}
	slot = map_slot(m);
	if (slot < 0)
		return -ENOSPC;
	map = &m->st->maps[slot];
	map->file = file;
	map->writable = writable;
	map->iova = iova;
	map->size = size;
	map->offset = offset;
	rc = order_insert(m, slot);
	if (rc) {
		spare_slot(m, slot);
		return rc;
	}
	if (file != MEM_NO_FILE)
		m->maps[file]++;
	atomic_store(&map->live, 1);
	fault_point(FAULT_MAP_ADDED);
	return 0;
}

/* Of the maps, in the order of addresses, those from the first to before the end */
static void maps_del(struct mem *m, uint32_t first, uint32_t end)
{
	uint32_t n;

	for (n = first; n < end; n++) {
		if (nth(m, n)->file != MEM_NO_FILE)
			m->maps[nth(m, n)->file]--;
		atomic_store(&nth(m, n)->live, 0);
		fault_point(FAULT_MAP_DELETED);
		spare_slot(m, m->order[n]);
	}
	memmove(&m->order[first], &m->order[end], (m->nr - end) * sizeof(*m->order));
	m->nr -= end - first;
}

/**
 * mem_map_del() - ranges of the address space end
 * @m: the memory
 * @iova: first address
 * @size: in bytes
 *
 * Return: 0, also if there was nothing; -EINVAL if a range would have to be divided.
 */
int mem_map_del(struct mem *m, uint64_t iova, uint64_t size)
{
	uint64_t last = iova + size - 1;
	uint32_t n, at;

	if (!size || last < iova)
		return -EINVAL;
	at = first_behind(m, iova);
	for (n = at; n < m->nr && nth(m, n)->iova <= last; n++)
		if (nth(m, n)->iova < iova ||
		    nth(m, n)->iova + (nth(m, n)->size - 1) > last)
			return -EINVAL;
	if (n > at)
		maps_del(m, at, n);
	return 0;
}

/* No range and no file is left */
void mem_map_del_all(struct mem *m)
{
	uint32_t i;

	if (m->nr)
		maps_del(m, 0, m->nr);
	atomic_store(&m->st->nr_slots, 0);
	m->spare = 0;
	for (i = 0; i < MEM_MAX_FILES; i++)
		if (file_used(m->st, i))
			file_drop(m, i);
	m->broken = false;
}

static int compare_maps(const void *a, const void *b, void *st)
{
	const uint32_t *x = a, *y = b;
	const struct mem_map *maps = ((const struct mem_state *)st)->maps;

	return (maps[*x].iova > maps[*y].iova) - (maps[*x].iova < maps[*y].iova);
}

/* All that are live, as if they had been added one by one */
static int order_all(struct mem *m)
{
	uint32_t i, used = atomic_load(&m->st->nr_slots);
	const struct mem_map *map;

	if (!used)
		return 0;
	m->order = malloc(used * sizeof(*m->order));
	if (!m->order)
		return -ENOMEM;
	m->room = used;
	for (i = 0; i < used; i++) {
		map = &m->st->maps[i];
		if (!atomic_load(&map->live)) {
			spare_slot(m, i);
			continue;
		}
		m->order[m->nr++] = i;
		if (map->file != MEM_NO_FILE)
			m->maps[map->file]++;
	}
	qsort_r(m->order, m->nr, sizeof(*m->order), compare_maps, m->st);
	return 0;
}

/**
 * mem_open() - a worker begins to use a guest's memory
 * @m: to be filled in
 * @st: the state, all zeroes for a new guest
 * @all: what it shares with others
 *
 * Return: 0 or a negative errno.
 */
int mem_open(struct mem *m, struct mem_state *st, struct mem_room *all)
{
	uint32_t i;
	int rc;

	memset(m, 0, sizeof(*m));
	m->st = st;
	m->all = all;
	rc = order_all(m);
	if (rc)
		return rc;
	for (i = 0; i < MEM_MAX_FILES; i++) {
		rc = file_used(st, i) ? file_mmap(m, i) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

/* A worker ends using a guest's memory; the state stays */
void mem_close(struct mem *m)
{
	uint32_t i;

	for (i = 0; i < MEM_MAX_FILES; i++)
		file_munmap(m, i);
	free(m->order);
	memset(m, 0, sizeof(*m));
}

/* -------------------------------- access -------------------------------- */

/**
 * mem_at() - where the memory at an address is
 * @m: the memory
 * @iova: the address
 * @want: how many bytes, not 0
 * @write: for writing
 * @got: out: how many of them are in one piece, not 0
 *
 * Return: a pointer, valid until the next message of the client; NULL if the memory
 *	cannot be reached.
 */
void *mem_at(struct mem *m, uint64_t iova, uint64_t want, bool write, uint64_t *got)
{
	uint32_t n = first_behind(m, iova);
	const struct mem_map *map;
	uint64_t in;

	if (n == m->nr)
		return NULL;
	map = nth(m, n);
	if (map->iova > iova || map->file == MEM_NO_FILE || !m->base[map->file] ||
	    (write && !map->writable))
		return NULL;
	in = iova - map->iova;
	*got = map->size - in < want ? map->size - in : want;
	return m->base[map->file] + map->offset + in;
}

/* Can all of it be reached? */
bool mem_reachable(struct mem *m, uint64_t iova, uint64_t len, bool write)
{
	uint64_t got;

	for (; len; iova += got, len -= got)
		if (!mem_at(m, iova, len, write, &got))
			return false;
	return true;
}

bool mem_read(struct mem *m, uint64_t iova, void *buf, uint64_t len)
{
	uint64_t got;
	void *at;

	for (; len; iova += got, buf = (char *)buf + got, len -= got) {
		at = mem_at(m, iova, len, false, &got);
		if (!at)
			return false;
		mem_copy(buf, at, got);
	}
	return true;
}

bool mem_write(struct mem *m, uint64_t iova, const void *buf, uint64_t len)
{
	uint64_t got;
	void *at;

	for (; len; iova += got, buf = (const char *)buf + got, len -= got) {
		at = mem_at(m, iova, len, true, &got);
		if (!at)
			return false;
		mem_copy(at, buf, got);
	}
	return true;
}

/*
 * A guest that looks meanwhile sees whole words, if they are aligned, and none before
 * those in front of it. What it moves to itself may be in its way, but for what is as
 * short as that and comes from a copy.
 */
void mem_copy(void *dst, const void *src, size_t len)
{
	uint64_t *to = dst, word;

	if (len > 64 || ((uintptr_t)dst | len) % sizeof(word)) {
		memmove(dst, src, len);
		return;
	}
	for (; len; len -= sizeof(word)) {
		memcpy(&word, src, sizeof(word));
		__atomic_store_n(to++, word, __ATOMIC_RELEASE);
		src = (const char *)src + sizeof(word);
	}
}

/**
 * mem_fault() - an access to memory has failed: was it this guest's?
 * @m: the memory
 * @addr: where the access went
 *
 * A file can be cut off under a mapping. Then something else takes the place of
 * the whole mapping, so that who is at work can go on, and the guest is marked.
 * Called by a signal handler.
 *
 * Return: true if it was, and the access can be tried again.
 */
bool mem_fault(struct mem *m, const void *addr)
{
	const uint8_t *at = addr;
	uint32_t i;

	for (i = 0; i < MEM_MAX_FILES; i++) {
		if (!m->base[i] || at < m->base[i] || at - m->base[i] >=
		    (ptrdiff_t)m->st->files[i].size)
			continue;
		m->broken = true;
		return mmap(m->base[i], m->st->files[i].size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
			    -1, 0) != MAP_FAILED;
	}
	return false;
}
