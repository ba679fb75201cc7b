// SPDX-License-Identifier: GPL-2.0
/*
 * PCI STORE BLOCK to an ISM function, as the architecture has it: the blocks that
 * it takes, and the exceptions and condition codes of those that it does not.
 *
 * The module loads if all of that is so. Blocks go to where they do no harm: the
 * payload of a command that never comes, and DMBs that do not exist. A function that
 * no driver is bound to is disabled and enabled, too.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/asm-extable.h>
#include <asm/pci_insn.h>

#define BAR_MOVE	0
#define BAR_CMD		2
#define NO_TOKEN	BIT_ULL(32)

/*
 * What comes instead of a condition code if there is an exception: one after which
 * the PSW is at the next instruction, and one after which it is at this one
 */
#define SUPPRESSED	(-ENXIO)
#define NULLIFIED	(-EFAULT)

enum { CC_DONE, CC_ERROR, CC_BUSY, CC_NO_FUNCTION };

static u32 fh;

/* The instruction in registers that can be looked at afterwards */
static int store(u64 *req, u64 *offset, void **data)
{
	register u64 r2 asm("2") = *req;
	register u64 r3 asm("3") = *offset;
	register void *r4 asm("4") = *data;
	int cc = SUPPRESSED;

	asm volatile("0:	.insn	rsy,0xeb00000000d0,%[r2],%[r3],0(%[r4])\n"
		     "1:	ipm	%[cc]\n"
		     "	srl	%[cc],28\n"
		     "	j	3f\n"
		     "2:	lghi	%[cc],%[nullified]\n"
		     "3:\n"
		     EX_TABLE(0b, 2b)
		     EX_TABLE(1b, 3b)
		     : [cc] "+d" (cc), [r2] "+d" (r2), [r3] "+d" (r3),
		       [r4] "+a" (r4)
		     : [nullified] "K" (NULLIFIED)
		     : "cc", "memory");
	*req = r2;
	*offset = r3;
	*data = r4;
	return cc;
}

/* Is that the outcome, and has it left the registers as they were? */
static bool is(int want, u64 req, u64 offset, void *data)
{
	u64 r2 = req, r3 = offset;
	void *r4 = data;
	int cc;

	cc = store(&r2, &r3, &r4);
	/* the status of an error is in a byte of its own */
	if (cc == CC_ERROR)
		r2 = (r2 & ~(0xffULL << 24)) | (req & (0xffULL << 24));
	if (cc == want && r2 == req && r3 == offset && r4 == data)
		return true;
	pr_err("req %llx offset %llx: %d and not %d, registers %llx %llx %lx\n",
	       req, offset, cc, want, r2, r3, (unsigned long)r4);
	return false;
}

static u64 block(unsigned int bar, unsigned int len)
{
	return ZPCI_CREATE_REQ(fh, bar, len);
}

/* Blocks at each alignment in memory and in the window, and of each length */
static bool good_blocks(u8 *data)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		if (!is(CC_DONE, block(BAR_CMD, 8), 8 + i, data + i) ||
		    !is(CC_DONE, block(BAR_CMD, 1 + i), 8, data))
			return false;
	for (i = 1; i <= PAGE_SIZE; i += i < 300 ? 1 : 173)
		if (!is(CC_ERROR, block(BAR_MOVE, i), NO_TOKEN, data) ||
		    !is(CC_ERROR, block(BAR_MOVE, i),
			NO_TOKEN + PAGE_SIZE - i, data + 1))
			return false;
	return is(CC_ERROR, block(BAR_MOVE, PAGE_SIZE), NO_TOKEN, data + 77);
}

/* What is found before the function is asked */
static bool bad_blocks(u8 *data)
{
	return is(SUPPRESSED, block(BAR_MOVE, 0), NO_TOKEN, data) &&
	       is(SUPPRESSED, block(BAR_MOVE, PAGE_SIZE + 1), NO_TOKEN, data) &&
	       is(SUPPRESSED, block(BAR_MOVE, 9), NO_TOKEN + PAGE_SIZE - 8, data) &&
	       is(SUPPRESSED, block(BAR_CMD, PAGE_SIZE), 8, data) &&
	       is(CC_ERROR, block(6, 16), 8, data) &&
	       is(CC_NO_FUNCTION, ZPCI_CREATE_REQ((fh ^ 0x5555), BAR_CMD, 16), 8, data) &&
	       is(CC_NO_FUNCTION, ZPCI_CREATE_REQ((fh & ~BIT(31)), BAR_CMD, 16), 8, data);
}

/* A block that is in memory up to its last bytes, and one that is not at all */
static bool absent_blocks(u8 *end)
{
	unsigned int i;

	for (i = 1; i <= 64; i++)
		if (!is(CC_DONE, block(BAR_CMD, i), 8, end - i) ||
		    !is(NULLIFIED, block(BAR_CMD, i + 1), 8, end - i) ||
		    !is(NULLIFIED, block(BAR_CMD, i), 8, end + i))
			return false;
	return is(NULLIFIED, block(BAR_MOVE, PAGE_SIZE), NO_TOKEN, end - 1) &&
	       is(CC_DONE, block(BAR_CMD, 8), 8, end - 8);
}

/* While it is, nobody has the handle that it had before */
static bool disabled(struct zpci_dev *zdev, u8 *data)
{
	bool ok;

	if (zpci_disable_device(zdev))
		return false;
	ok = is(CC_NO_FUNCTION, block(BAR_CMD, 16), 8, data);
	if (zpci_reenable_device(zdev))
		return false;
	fh = zdev->fh;
	return ok;
}

static int __init ism_store_init(void)
{
	struct pci_dev *pdev;
	bool ok = false;
	u8 *data, *last;

	pdev = pci_get_device(PCI_VENDOR_ID_IBM, 0x04ed, NULL);
	data = kzalloc(2 * PAGE_SIZE, GFP_KERNEL);
	/* nothing is mapped behind it */
	last = vzalloc(PAGE_SIZE);
	if (pdev && data && last) {
		fh = to_zpci(pdev)->fh;
		ok = good_blocks(data) && bad_blocks(data) &&
		     absent_blocks(last + PAGE_SIZE) &&
		     (pdev->driver || disabled(to_zpci(pdev), data)) &&
		     good_blocks(data);
	}
	vfree(last);
	kfree(data);
	pci_dev_put(pdev);
	return ok ? 0 : -EIO;
}

static void __exit ism_store_exit(void)
{
}

module_init(ism_store_init);
module_exit(ism_store_exit);

MODULE_DESCRIPTION("Test of PCI STORE BLOCK to an ISM function");
MODULE_LICENSE("GPL");
