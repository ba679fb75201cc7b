// SPDX-License-Identifier: GPL-2.0
/*
 * Figures of the dibs layer on the loopback device
 *
 * Loading the module measures and prints one line per figure into the kernel's
 * log, "dibs_bench: NAME VALUE UNIT"; unloading it gives everything back. With a
 * clock that goes on by 1 ns per instruction (QEMU's -icount), ns are
 * instructions.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dibs.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#define BENCH_ROUNDS	11
#define BENCH_BYTES	SZ_16M
#define BENCH_MAX_LOOPS	20000
#define BENCH_LOOKUPS	20000
#define BENCH_SMALL	64

static struct dibs_dev *bench_dev;

static int bench_add_dev(struct dibs_dev *dibs)
{
	if (bench_dev || dibs_get_fabric_id(dibs) != DIBS_LOOPBACK_FABRIC)
		return -ENODEV;
	bench_dev = dibs;
	return 0;
}

static void bench_del_dev(struct dibs_dev *dibs)
{
	bench_dev = NULL;
}

static void bench_handle_irq(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
}

static const struct dibs_client_ops bench_ops = {
	.add_dev	= bench_add_dev,
	.del_dev	= bench_del_dev,
	.handle_irq	= bench_handle_irq,
};

static struct dibs_client bench_client = {
	.name	= "bench",
	.ops	= &bench_ops,
};

static int bench_register(struct dibs_dmb *dmb, u32 len)
{
	memset(dmb, 0, sizeof(*dmb));
	dmb->dmb_len = len;
	dmb->rgid = bench_dev->gid;
	return dibs_register_dmb(bench_dev, dmb, &bench_client);
}

static int bench_cmp(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* Picoseconds, because a small copy takes few nanoseconds */
static u64 bench_median(u64 *ps)
{
	sort(ps, BENCH_ROUNDS, sizeof(*ps), bench_cmp, NULL);
	return ps[BENCH_ROUNDS / 2];
}

static u64 bench_time_memcpy(void *dst, const void *src, u32 size, u32 loops)
{
	u64 start = ktime_get_ns();
	u32 i;

	for (i = 0; i < loops; i++) {
		memcpy(dst, src, size);
		barrier_data(dst);
	}
	return div_u64((ktime_get_ns() - start) * 1000, loops);
}

static u64 bench_time_move(u64 tok, const void *src, u32 size, u32 loops)
{
	u64 start = ktime_get_ns();
	u32 i;

	for (i = 0; i < loops; i++)
		dibs_move_data(bench_dev, tok, 0, false, 0, src, size);
	return div_u64((ktime_get_ns() - start) * 1000, loops);
}

static int bench_moves(void)
{
	static const u32 sizes[] = { SZ_64, SZ_4K, SZ_64K, SZ_1M };
	u64 copy[BENCH_ROUNDS], move[BENCH_ROUNDS];
	struct dibs_dmb dmb;
	u32 i, r, loops;
	void *src;
	int rc;

	src = vzalloc(SZ_1M);
	if (!src)
		return -ENOMEM;
	rc = bench_register(&dmb, SZ_1M);
	if (rc)
		goto out;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		loops = min(BENCH_BYTES / sizes[i], BENCH_MAX_LOOPS);
		for (r = 0; r < BENCH_ROUNDS; r++) {
			copy[r] = bench_time_memcpy(dmb.cpu_addr, src, sizes[i],
						    loops);
			move[r] = bench_time_move(dmb.dmb_tok, src, sizes[i],
						  loops);
			cond_resched();
		}
		pr_info("memcpy_%u %llu ps\n", sizes[i], bench_median(copy));
		pr_info("move_%u %llu ps\n", sizes[i], bench_median(move));
	}
	rc = dibs_unregister_dmb(bench_dev, &dmb, &bench_client);
out:
	vfree(src);
	return rc;
}

/* Moves to DMBs of the first @n, in an order that is not that of their making */
static u64 bench_time_lookup(const struct dibs_dmb *dmbs, u32 n)
{
	u64 ps[BENCH_ROUNDS], start;
	u8 src[BENCH_SMALL] = {};
	u32 i, r, at = 0;

	for (r = 0; r < BENCH_ROUNDS; r++) {
		start = ktime_get_ns();
		for (i = 0; i < BENCH_LOOKUPS; i++) {
			at = (at + 40503) % n;
			dibs_move_data(bench_dev, dmbs[at].dmb_tok, 0, false, 0,
				       src, sizeof(src));
		}
		ps[r] = div_u64((ktime_get_ns() - start) * 1000, BENCH_LOOKUPS);
		cond_resched();
	}
	return bench_median(ps);
}

static u64 bench_free_bytes(void)
{
	struct sysinfo si;

	si_meminfo(&si);
	return (u64)si.freeram * si.mem_unit;
}

static int bench_lookups(void)
{
	u32 n, max = dibs_max_dmbs(bench_dev);
	struct dibs_dmb *dmbs;
	u64 before, used;
	int rc = 0;

	dmbs = kvcalloc(max, sizeof(*dmbs), GFP_KERNEL);
	if (!dmbs)
		return -ENOMEM;
	memset(dmbs, 0xff, max * sizeof(*dmbs));
	before = bench_free_bytes();
	for (n = 0; n < max; n++) {
		rc = bench_register(&dmbs[n], PAGE_SIZE);
		if (rc)
			break;
		if (!n)
			pr_info("lookup_1 %llu ps\n", bench_time_lookup(dmbs, 1));
		cond_resched();
	}
	if (!n)
		goto out;
	used = before - bench_free_bytes();
	pr_info("lookup_%u %llu ps\n", n, bench_time_lookup(dmbs, n));
	pr_info("dmbs %u (then: %d)\n", n, rc);
	pr_info("memory_per_dmb_beyond_its_page %lld bytes\n",
		(s64)div_u64(used, n) - (s64)PAGE_SIZE);
	while (n--)
		rc = dibs_unregister_dmb(bench_dev, &dmbs[n], &bench_client);
out:
	kvfree(dmbs);
	return rc;
}

static int __init bench_init(void)
{
	int rc;

	rc = dibs_register_client(&bench_client);
	if (rc)
		return rc;
	rc = bench_dev ? bench_moves() : -ENODEV;
	if (!rc)
		rc = bench_lookups();
	if (rc)
		dibs_unregister_client(&bench_client);
	return rc;
}

static void __exit bench_exit(void)
{
	dibs_unregister_client(&bench_client);
}

module_init(bench_init);
module_exit(bench_exit);
MODULE_DESCRIPTION("Figures of the dibs layer on the loopback device");
MODULE_LICENSE("GPL");
