// SPDX-License-Identifier: GPL-2.0
/*
 * Many consoles of one terminal: loading it connects one on each dibs device whose name
 * begins with "lo1". Each says the name of its device, and knows whether that was
 * typed to it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/dibs.h>
#include <linux/iopoll.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/string.h>

#include "dcon_peer.h"

#define MANY_MAX	256
#define MANY_PREFIX	"lo1"

static char *peer = "";
module_param(peer, charp, 0);
MODULE_PARM_DESC(peer, "GID of the terminal's device");

static unsigned int connections;
module_param(connections, uint, 0444);
MODULE_PARM_DESC(connections, "how many consoles were connected");

/**
 * struct many - a console
 * @dibs: its device, NULL if that has left
 * @dmb: what the terminal writes to; its token is 0 if there is none
 * @tok: of the terminal's DMB
 * @answered: there is @tok
 */
struct many {
	struct dibs_dev *dibs;
	struct dibs_dmb dmb;
	u64 tok;
	struct completion answered;
};

/* A device and its DMB do not go while they are used */
static DEFINE_MUTEX(many_lock);
static struct many many[MANY_MAX];
static unsigned int nr_many;
static uuid_t many_peer;
static struct dibs_client many_client;

static int many_add_dev(struct dibs_dev *dibs)
{
	struct many *m = &many[nr_many];

	if (nr_many == MANY_MAX || !strstarts(dev_name(&dibs->dev), MANY_PREFIX))
		return -ENODEV;
	init_completion(&m->answered);
	m->dibs = dibs;
	dibs_set_priv(dibs, &many_client, m);
	nr_many++;
	return 0;
}

static void many_del_dev(struct dibs_dev *dibs)
{
	struct many *m = dibs_get_priv(dibs, &many_client);

	mutex_lock(&many_lock);
	if (m->dmb.dmb_tok)
		dibs_unregister_dmb(dibs, &m->dmb, &many_client);
	m->dibs = NULL;
	mutex_unlock(&many_lock);
}

static void many_handle_irq(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
}

static void many_handle_event(struct dibs_dev *dibs,
			      const struct dibs_event *event)
{
	struct many *m = dibs_get_priv(dibs, &many_client);

	if (event->type != DIBS_SW_EVENT || !uuid_equal(&event->gid, &many_peer) ||
	    event->subtype != PEER_TERMINAL_OFFER)
		return;
	WRITE_ONCE(m->tok, event->data);
	complete(&m->answered);
}

static const struct dibs_client_ops many_ops = {
	.add_dev	= many_add_dev,
	.del_dev	= many_del_dev,
	.handle_irq	= many_handle_irq,
	.handle_event	= many_handle_event,
};

static struct dibs_client many_client = {
	.name	= "dcon_many",
	.ops	= &many_ops,
};

static const struct peer_header *many_header(const struct many *m)
{
	return m->dmb.cpu_addr;
}

static int many_move(struct many *m, unsigned int offset, const void *data,
		     unsigned int len)
{
	return dibs_move_data(m->dibs, READ_ONCE(m->tok), 0, true, offset, data,
			      len);
}

static int many_offer(struct many *m)
{
	int rc;

	m->dmb = (struct dibs_dmb) {
		.dmb_len = PEER_RING + PEER_RING_SIZE,
		.rgid = many_peer,
	};
	rc = dibs_register_dmb(m->dibs, &m->dmb, &many_client);
	if (rc)
		return rc;
	rc = dibs_signal_event(m->dibs, &many_peer, 1, PEER_CONSOLE_OFFER,
			       m->dmb.dmb_tok);
	if (rc)
		return rc;
	return wait_for_completion_timeout(&m->answered, 10 * HZ) ? 0 :
								    -ETIMEDOUT;
}

/* Each end has to have seen its own nonce before there can be data */
static int many_set_up(struct many *m)
{
	struct peer_header header = {
		.setup.magic = cpu_to_le32(PEER_MAGIC),
		.setup.version = cpu_to_le16(PEER_VERSION),
		.setup.size = cpu_to_le32(PEER_RING_SIZE),
		.setup.nonce = cpu_to_le64(get_random_u64() | 1),
		.flags = cpu_to_le32(PEER_READY),
	};
	const struct peer_header *theirs = many_header(m);
	char text[32];
	__le64 echo;
	int rc, len;

	header.setup.echo = READ_ONCE(theirs->setup.nonce);
	rc = many_move(m, 0, &header, sizeof(header));
	if (rc)
		return rc;
	rc = read_poll_timeout(READ_ONCE, echo, echo == header.setup.nonce,
			       1000, 10 * USEC_PER_SEC, false,
			       theirs->setup.echo);
	if (rc)
		return rc;
	len = scnprintf(text, sizeof(text), "%s\n", dev_name(&m->dibs->dev));
	rc = many_move(m, PEER_RING, text, len);
	if (rc)
		return rc;
	header.prod.pos = cpu_to_le32(len);
	return many_move(m, offsetof(struct peer_header, prod), &header.prod,
			 sizeof(header.prod));
}

/* Is the name of the device what the terminal has written, and nothing else? */
static bool many_was_typed(const struct many *m)
{
	const char *name = dev_name(&m->dibs->dev);
	size_t len = strlen(name);

	return le32_to_cpu(READ_ONCE(many_header(m)->prod.pos)) == len &&
	       !memcmp(m->dmb.cpu_addr + PEER_RING, name, len);
}

static int typed_get(char *buf, const struct kernel_param *kp)
{
	unsigned int i, n = 0;

	mutex_lock(&many_lock);
	for (i = 0; i < connections; i++)
		n += many[i].dibs && many_was_typed(&many[i]);
	mutex_unlock(&many_lock);
	return sysfs_emit(buf, "%u\n", n);
}

static const struct kernel_param_ops typed_ops = {
	.get	= typed_get,
};
module_param_cb(typed, &typed_ops, NULL, 0444);
MODULE_PARM_DESC(typed, "how many have got the name of their device");

static int many_connect(struct many *m)
{
	int rc = -ENODEV;

	mutex_lock(&many_lock);
	if (m->dibs)
		rc = many_offer(m);
	if (!rc)
		rc = many_set_up(m);
	if (!rc)
		connections++;
	mutex_unlock(&many_lock);
	return rc;
}

static int __init many_init(void)
{
	unsigned int i;
	int rc;

	if (uuid_parse(peer, &many_peer))
		return -EINVAL;
	rc = dibs_register_client(&many_client);
	if (rc)
		return rc;
	for (i = 0; i < nr_many && !rc; i++)
		rc = many_connect(&many[i]);
	if (rc)
		dibs_unregister_client(&many_client);
	return rc;
}

static void __exit many_exit(void)
{
	dibs_unregister_client(&many_client);
}

module_init(many_init);
module_exit(many_exit);

MODULE_DESCRIPTION("Many consoles over dibs, for tests of their terminal");
MODULE_LICENSE("GPL");
