// SPDX-License-Identifier: GPL-2.0
/*
 * A client of dibs for tests: loading it runs the one that the parameter 'test'
 * names, and fails if the test does.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/array_size.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dibs.h>
#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#define SELFTEST_SIGNAL	5
#define SELFTEST_ECHO	7

static char *test = "";
module_param(test, charp, 0);
MODULE_PARM_DESC(test, "poke, event, threaded, atomic, attached or input");

static char *dev = "lo";
module_param(dev, charp, 0);
MODULE_PARM_DESC(dev, "device to use");

static unsigned long long token;
module_param(token, ullong, 0);
MODULE_PARM_DESC(token, "poke: DMB of somebody else to write to");

static unsigned int offset;
module_param(offset, uint, 0);
MODULE_PARM_DESC(offset, "poke: where in it");

static unsigned int size;
module_param(size, uint, 0);
MODULE_PARM_DESC(size, "poke: how many bytes, up to 4096");

static unsigned int fill;
module_param(fill, uint, 0);
MODULE_PARM_DESC(fill, "poke: their value");

static char *event = "";
module_param(event, charp, 0);
MODULE_PARM_DESC(event, "event: dev_disabled, dev_error, unregistered, lost or shutdown");

static bool named;
module_param(named, bool, 0);
MODULE_PARM_DESC(named, "event: about the device itself, not about nobody");

static struct dibs_client selftest_client;
static struct dibs_dev *selftest_dev;
static struct dibs_dmb selftest_dmbs[2];
static struct dibs_event selftest_event;
static DECLARE_COMPLETION(selftest_echoed);
static DECLARE_COMPLETION(selftest_told);
static bool selftest_in_task;
static u16 selftest_mask;
static int selftest_rc;

static bool selftest_check(bool good, const char *what)
{
	if (!good)
		pr_err("%s: not so: %s\n", test, what);
	return good;
}

#define CHECK(cond) selftest_check(cond, #cond)

static int selftest_add_dev(struct dibs_dev *dibs)
{
	if (strcmp(dev_name(&dibs->dev), dev))
		return -ENODEV;
	selftest_dev = dibs;
	return 0;
}

static void selftest_del_dev(struct dibs_dev *dibs)
{
	selftest_dev = NULL;
}

/* The first DMB: echo to the second one, on the same device */
static int selftest_echo(struct dibs_dev *dibs)
{
	char text[16];

	memcpy(text, selftest_dmbs[0].cpu_addr, sizeof(text));
	if (in_task()) {
		msleep(20);
		if (!CHECK(dibs_unregister_client(&selftest_client) ==
			   -EDEADLK))
			return -EINVAL;
	}
	return dibs_move_data(dibs, selftest_dmbs[1].dmb_tok, SELFTEST_ECHO,
			      true, 0, text, sizeof(text));
}

static void selftest_handle_irq(struct dibs_dev *dibs, unsigned int idx,
				u16 mask)
{
	if (idx == selftest_dmbs[0].idx) {
		selftest_in_task = in_task();
		selftest_rc = selftest_echo(dibs);
		if (selftest_rc)
			complete(&selftest_echoed);
	} else if (idx == selftest_dmbs[1].idx) {
		selftest_mask = mask;
		complete(&selftest_echoed);
	}
}

static void selftest_handle_event(struct dibs_dev *dibs,
				  const struct dibs_event *event)
{
	if (event->type != DIBS_BUF_EVENT)
		return;
	selftest_event = *event;
	complete(&selftest_told);
}

static const struct dibs_client_ops selftest_ops = {
	.add_dev	= selftest_add_dev,
	.del_dev	= selftest_del_dev,
	.handle_irq	= selftest_handle_irq,
	.handle_event	= selftest_handle_event,
};

static struct dibs_client selftest_client = {
	.name	= "selftest",
	.ops	= &selftest_ops,
};

static int selftest_register(struct dibs_dmb *dmb, u32 len, const uuid_t *rgid)
{
	memset(dmb, 0, sizeof(*dmb));
	dmb->dmb_len = len;
	dmb->rgid = *rgid;
	return dibs_register_dmb(selftest_dev, dmb, &selftest_client);
}

static int selftest_unregister(struct dibs_dmb *dmb)
{
	return dibs_unregister_dmb(selftest_dev, dmb, &selftest_client);
}

/* Writes what a hostile peer would write */
static int selftest_poke(void)
{
	void *data;
	int rc;

	if (size > SZ_4K)
		return -EINVAL;
	data = kmalloc(SZ_4K, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	memset(data, fill, SZ_4K);
	rc = dibs_move_data(selftest_dev, token, 0, true, offset, data, size);
	kfree(data);
	return rc;
}

/* Reports an event that the device, or a hostile peer, could report */
static int selftest_report(void)
{
	static const struct {
		const char *name;
		struct dibs_event event;
	} known[] = {
		{ "dev_disabled", { .type = DIBS_DEV_EVENT,
				    .subtype = DIBS_DEV_DISABLED } },
		{ "dev_error", { .type = DIBS_DEV_EVENT,
				 .subtype = DIBS_DEV_ERR_STATE } },
		{ "unregistered", { .type = DIBS_BUF_EVENT,
				    .subtype = DIBS_BUF_UNREGISTERED } },
		{ "lost", { .type = DIBS_OTHER_EVENT,
			    .subtype = DIBS_EVENTS_LOST } },
		/* as SMC's own, for link group 0 */
		{ "shutdown", { .type = DIBS_SW_EVENT, .subtype = 0x80 } },
	};
	struct dibs_event this;
	int i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(event, known[i].name))
			continue;
		this = known[i].event;
		if (named)
			this.gid = selftest_dev->gid;
		dibs_dev_event(selftest_dev, &this);
		return 0;
	}
	return -EINVAL;
}

/* A handler moves data and signals on the device that called it, without a
 * deadlock; in process context if the client asked for that.
 */
static int selftest_echoes(bool threaded)
{
	static const char text[16] = "over and back";
	uuid_t *gid = &selftest_dev->gid;
	int rc = -EINVAL;

	if (!CHECK(!selftest_register(&selftest_dmbs[0], SZ_4K, gid)))
		return -EINVAL;
	if (!CHECK(!selftest_register(&selftest_dmbs[1], SZ_4K, gid)))
		goto out;
	rc = dibs_move_data(selftest_dev, selftest_dmbs[0].dmb_tok,
			    SELFTEST_SIGNAL, true, 0, text, sizeof(text));
	if (!CHECK(!rc) ||
	    !CHECK(wait_for_completion_timeout(&selftest_echoed, 10 * HZ)) ||
	    !CHECK(!selftest_rc) ||
	    !CHECK(selftest_in_task == threaded) ||
	    !CHECK(selftest_mask == BIT(SELFTEST_ECHO)) ||
	    !CHECK(!memcmp(selftest_dmbs[1].cpu_addr, text, sizeof(text))))
		rc = -EINVAL;
	if (!CHECK(!selftest_unregister(&selftest_dmbs[1])))
		rc = -EINVAL;
out:
	if (!CHECK(!selftest_unregister(&selftest_dmbs[0])))
		rc = -EINVAL;
	return rc;
}

/* A DMB is unregistered while it is attached: its owner is done with it, and
 * the memory stays, as zeros, until it is detached.
 */
static int selftest_cut_off(struct dibs_dmb *dmb, struct dibs_rdmb *rdmb)
{
	u8 byte = 1;

	memset(rdmb->cpu_addr, 0xa5, rdmb->dmb_len);
	if (!CHECK(((u8 *)dmb->cpu_addr)[SZ_4K - 1] == 0xa5) ||
	    !CHECK(dibs_attach_dmb(selftest_dev, rdmb, &selftest_client) ==
		   -EEXIST) ||
	    !CHECK(!selftest_unregister(dmb)) ||
	    !CHECK(selftest_unregister(dmb) == -ENOENT) ||
	    !CHECK(wait_for_completion_timeout(&selftest_told, 10 * HZ)) ||
	    !CHECK(selftest_event.subtype == DIBS_BUF_UNREGISTERED) ||
	    !CHECK(selftest_event.buffer_tok == rdmb->dmb_tok) ||
	    !CHECK(!memchr_inv(rdmb->cpu_addr, 0, SZ_4K)) ||
	    !CHECK(dibs_move_data(selftest_dev, rdmb->dmb_tok, 0, false, 0,
				  &byte, 1) == -ENOENT))
		return -EINVAL;
	memset(rdmb->cpu_addr, 0x5a, SZ_4K);
	return 0;
}

static int selftest_attached(void)
{
	struct dibs_rdmb rdmb = {};
	struct dibs_dmb dmb;
	int rc;

	if (!CHECK(!selftest_register(&dmb, SZ_4K, &selftest_dev->gid)))
		return -EINVAL;
	rdmb.dmb_tok = dmb.dmb_tok;
	rc = dibs_attach_dmb(selftest_dev, &rdmb, &selftest_client);
	if (!CHECK(!rc)) {
		selftest_unregister(&dmb);
		return rc;
	}
	rc = selftest_cut_off(&dmb, &rdmb);
	if (!CHECK(!dibs_detach_dmb(selftest_dev, rdmb.dmb_tok,
				    &selftest_client)) ||
	    !CHECK(dibs_detach_dmb(selftest_dev, rdmb.dmb_tok,
				   &selftest_client) == -ENOENT))
		rc = -EINVAL;
	return rc;
}

static int selftest_move(u64 tok, unsigned int idx, unsigned int off,
			 unsigned int len)
{
	static const u8 data[16] = { 1, 2, 3, 4 };

	return dibs_move_data(selftest_dev, tok, idx, false, off, data, len);
}

/* Nonsense is refused, counted (which the script checks) and changes nothing */
static int selftest_input(void)
{
	struct dibs_dmb dmb, foreign, bad;
	uuid_t other = selftest_dev->gid;
	bool good;

	other.b[0] ^= 0xff;
	if (!CHECK(!selftest_register(&dmb, SZ_4K, &selftest_dev->gid)))
		return -EINVAL;
	if (!CHECK(!selftest_register(&foreign, SZ_4K, &other))) {
		selftest_unregister(&dmb);
		return -EINVAL;
	}
	good = CHECK(selftest_move(dmb.dmb_tok ^ 1, 0, 0, 4) == -ENOENT);
	good &= CHECK(selftest_move(foreign.dmb_tok, 0, 0, 4) == -EPERM);
	good &= CHECK(selftest_move(dmb.dmb_tok, 0, SZ_4K - 3, 4) == -ERANGE);
	good &= CHECK(selftest_move(dmb.dmb_tok, 0, U32_MAX, 4) == -ERANGE);
	good &= CHECK(selftest_move(dmb.dmb_tok, 16, 0, 4) == -EINVAL);
	good &= CHECK(selftest_register(&bad, 0, &other) == -EINVAL);
	good &= CHECK(selftest_register(&bad, U32_MAX, &other) == -EINVAL);
	good &= CHECK(!memchr_inv(dmb.cpu_addr, 0, SZ_4K));
	good &= CHECK(!memchr_inv(foreign.cpu_addr, 0, SZ_4K));
	good &= CHECK(!selftest_move(dmb.dmb_tok, 15, SZ_4K - 4, 4));
	good &= CHECK(((u8 *)dmb.cpu_addr)[SZ_4K - 1] == 4);
	good &= CHECK(!selftest_unregister(&foreign));
	good &= CHECK(!selftest_unregister(&dmb));
	good &= CHECK(selftest_unregister(&dmb) == -ENOENT);
	return good ? 0 : -EINVAL;
}

static int selftest_run(void)
{
	if (!selftest_dev)
		return -ENODEV;
	if (!strcmp(test, "poke"))
		return selftest_poke();
	if (!strcmp(test, "event"))
		return selftest_report();
	if (!strcmp(test, "threaded"))
		return selftest_echoes(true);
	if (!strcmp(test, "atomic"))
		return selftest_echoes(false);
	if (!strcmp(test, "attached"))
		return selftest_attached();
	if (!strcmp(test, "input"))
		return selftest_input();
	return -EINVAL;
}

static int __init selftest_init(void)
{
	int rc;

	if (!strcmp(test, "threaded"))
		selftest_client.flags = DIBS_CLIENT_THREADED_IRQ |
					DIBS_CLIENT_THREADED_EVENT;
	rc = dibs_register_client(&selftest_client);
	if (rc)
		return rc;
	rc = selftest_run();
	if (rc)
		dibs_unregister_client(&selftest_client);
	return rc;
}

static void __exit selftest_exit(void)
{
	dibs_unregister_client(&selftest_client);
}

module_init(selftest_init);
module_exit(selftest_exit);

MODULE_DESCRIPTION("Client of dibs for tests");
MODULE_LICENSE("GPL");
