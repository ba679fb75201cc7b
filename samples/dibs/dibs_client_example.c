// SPDX-License-Identifier: GPL-2.0
/*
 * Example of a dibs client: sends itself a message on each device that reaches
 * itself, and prints what arrives.
 *
 * See Documentation/networking/dibs.rst.
 */
#include <linux/dibs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

/* Which of the 16 signals says "there is a message" is up to the client */
#define EXAMPLE_SIGNAL	3

/* What is in the buffer. It is written by somebody else: fixed sizes and order */
struct example_msg {
	__le32 len;
	char text[60];
};

/* What the client has with one device */
struct example {
	struct dibs_dmb dmb;
};

static struct dibs_client example_client;

static int example_send(struct dibs_dev *dibs, u64 dmb_tok, const char *text)
{
	struct example_msg msg = {};

	msg.len = cpu_to_le32(strscpy(msg.text, text));
	return dibs_move_data(dibs, dmb_tok, EXAMPLE_SIGNAL, true, 0, &msg,
			      sizeof(msg));
}

/* Softirq context: may move data, must not sleep */
static void example_handle_irq(struct dibs_dev *dibs, unsigned int idx,
			       u16 mask)
{
	struct example *ex = dibs_get_priv(dibs, &example_client);
	struct example_msg msg;
	u32 len;

	/* signals can arrive before add_dev has come to dibs_set_priv() */
	if (!ex || idx != ex->dmb.idx || !(mask & BIT(EXAMPLE_SIGNAL)))
		return;

	/* The peer may write at any time: copy once, check and use the copy */
	memcpy(&msg, ex->dmb.cpu_addr, sizeof(msg));
	barrier();	/* the compiler must not read the buffer again */
	len = le32_to_cpu(msg.len);
	if (len > sizeof(msg.text)) {
		dev_warn_ratelimited(&dibs->dev, "message of %u bytes\n", len);
		return;
	}
	dev_info_ratelimited(&dibs->dev, "signals 0x%04x: \"%*pE\"\n", mask,
			     (int)len, msg.text);
}

static int example_add_dev(struct dibs_dev *dibs)
{
	struct example *ex;
	int rc;

	/* the peer of this client is the client itself: can it be reached? */
	rc = dibs_query_remote_gid(dibs, &dibs->gid, 0, 0);
	if (rc == -ENETUNREACH)
		return -ENODEV;	/* no failure: this device is of no use here */
	if (rc)
		return rc;
	ex = kzalloc(sizeof(*ex), GFP_KERNEL);
	if (!ex)
		return -ENOMEM;
	ex->dmb.dmb_len = PAGE_SIZE;
	ex->dmb.rgid = dibs->gid;
	rc = dibs_register_dmb(dibs, &ex->dmb, &example_client);
	if (rc)
		goto out_free;
	dibs_set_priv(dibs, &example_client, ex);

	/*
	 * A client with a real peer would now tell it the token, over a socket
	 * for example. This one knows it already.
	 */
	rc = example_send(dibs, ex->dmb.dmb_tok, "Hello, myself!");
	if (rc)
		goto out_unregister;
	return 0;

out_unregister:
	/* waits for the handler, so that nobody is left who knows ex */
	dibs_unregister_dmb(dibs, &ex->dmb, &example_client);
	dibs_set_priv(dibs, &example_client, NULL);
out_free:
	kfree(ex);
	return rc;
}

/* No handler runs any more. What was registered is given back. */
static void example_del_dev(struct dibs_dev *dibs)
{
	struct example *ex = dibs_get_priv(dibs, &example_client);

	dibs_unregister_dmb(dibs, &ex->dmb, &example_client);
	kfree(ex);
}

static const struct dibs_client_ops example_ops = {
	.add_dev	= example_add_dev,
	.del_dev	= example_del_dev,
	.handle_irq	= example_handle_irq,
};

static struct dibs_client example_client = {
	.name	= "example",
	.ops	= &example_ops,
};

static int __init example_init(void)
{
	return dibs_register_client(&example_client);
}

static void __exit example_exit(void)
{
	dibs_unregister_client(&example_client);
}

module_init(example_init);
module_exit(example_exit);

MODULE_DESCRIPTION("Example of a dibs client");
MODULE_LICENSE("GPL");
