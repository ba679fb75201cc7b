// SPDX-License-Identifier: GPL-2.0
/*
 * A console over dibs that does not keep to the protocol: loading it sets up a
 * connection as the document has it, then writes whatever it likes into the header
 * and floods events, and begins again when the terminal has had enough.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dibs.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "dcon_peer.h"

/* Events in a row */
#define HOSTILE_NOISE		1000

static char *dev = "lo2";
module_param(dev, charp, 0);
MODULE_PARM_DESC(dev, "device to use");

static char *peer = "";
module_param(peer, charp, 0);
MODULE_PARM_DESC(peer, "GID of the terminal's device");

static unsigned int rounds = 10000;
module_param(rounds, uint, 0);
MODULE_PARM_DESC(rounds, "how often to write something");

static bool events = true;
module_param(events, bool, 0);
MODULE_PARM_DESC(events, "send events while a connection is up");

static unsigned int connections;
module_param(connections, uint, 0444);
MODULE_PARM_DESC(connections, "how often a connection was set up");

static unsigned int ended;
module_param(ended, uint, 0444);
MODULE_PARM_DESC(ended, "how often the terminal ended one");

static struct dibs_client hostile_client;
static struct dibs_dev *hostile_dev;
static struct dibs_dmb hostile_dmb;
static uuid_t hostile_peer;
static u64 hostile_tok;
static bool hostile_bye;
static DECLARE_COMPLETION(hostile_answered);

static int hostile_add_dev(struct dibs_dev *dibs)
{
	if (strcmp(dev_name(&dibs->dev), dev))
		return -ENODEV;
	hostile_dev = dibs;
	return 0;
}

static void hostile_del_dev(struct dibs_dev *dibs)
{
	hostile_dev = NULL;
}

static void hostile_handle_irq(struct dibs_dev *dibs, unsigned int idx,
			       u16 mask)
{
}

static void hostile_handle_event(struct dibs_dev *dibs,
				 const struct dibs_event *event)
{
	if (event->type != DIBS_SW_EVENT ||
	    !uuid_equal(&event->gid, &hostile_peer))
		return;
	if (event->subtype == PEER_TERMINAL_OFFER) {
		WRITE_ONCE(hostile_tok, event->data);
		complete(&hostile_answered);
	} else if (event->subtype == PEER_TERMINAL_BYE &&
		   event->data == READ_ONCE(hostile_tok)) {
		WRITE_ONCE(hostile_bye, true);
	}
}

static const struct dibs_client_ops hostile_ops = {
	.add_dev	= hostile_add_dev,
	.del_dev	= hostile_del_dev,
	.handle_irq	= hostile_handle_irq,
	.handle_event	= hostile_handle_event,
};

static struct dibs_client hostile_client = {
	.name	= "dcon_hostile",
	.ops	= &hostile_ops,
};

static int hostile_say(u32 code, u64 info)
{
	return dibs_signal_event(hostile_dev, &hostile_peer, 1, code, info);
}

static int hostile_move(u32 offset, const void *data, u32 len)
{
	return dibs_move_data(hostile_dev, READ_ONCE(hostile_tok), 0, true,
			      offset, data, len);
}

/* All that a good console would do */
static int hostile_set_up(void)
{
	struct peer_setup setup = {
		.magic = cpu_to_le32(PEER_MAGIC),
		.version = cpu_to_le16(PEER_VERSION),
		.size = cpu_to_le32(PEER_RING_SIZE),
		.nonce = cpu_to_le64(get_random_u64() | 1),
	};
	const struct peer_setup *theirs;
	int rc;

	hostile_dmb = (struct dibs_dmb) {
		.dmb_len = PEER_RING + PEER_RING_SIZE,
		.rgid = hostile_peer,
	};
	rc = dibs_register_dmb(hostile_dev, &hostile_dmb, &hostile_client);
	if (rc)
		return rc;
	WRITE_ONCE(hostile_bye, false);
	reinit_completion(&hostile_answered);
	hostile_say(PEER_CONSOLE_OFFER, hostile_dmb.dmb_tok);
	rc = -ETIMEDOUT;
	if (wait_for_completion_timeout(&hostile_answered, HZ / 5)) {
		theirs = hostile_dmb.cpu_addr;
		setup.echo = theirs->nonce;
		rc = hostile_move(0, &setup, sizeof(setup));
	}
	if (rc)
		dibs_unregister_dmb(hostile_dev, &hostile_dmb, &hostile_client);
	return rc;
}

/* Some of it is what a good console would do, or it would never get far */
static int hostile_round(void)
{
	u8 junk[sizeof(struct peer_header)];
	u32 offset, len, prod[2] = { };

	switch (get_random_u32_below(events ? 8 : 6)) {
	case 0:
		offset = get_random_u32_below(sizeof(junk));
		len = 1 + get_random_u32_below(sizeof(junk) - offset);
		get_random_bytes(junk, len);
		return hostile_move(offset, junk, len);
	case 6:
		hostile_say(PEER_CONSOLE_OFFER, get_random_u64());
		return 0;
	case 7:
		hostile_say(PEER_CONSOLE_BYE + get_random_u32_below(512),
			    get_random_u64());
		return 0;
	default:
		prod[0] = get_random_u32_below(PEER_RING_SIZE);
		return hostile_move(offsetof(struct peer_header, prod), prod,
				    sizeof(prod));
	}
}

/* Left alone, and not quiet for it */
static void hostile_noise(void)
{
	unsigned int i;

	for (i = 0; i < HOSTILE_NOISE; i++) {
		hostile_say(i & 1 ? get_random_u32() :
			    PEER_CONSOLE_OFFER + get_random_u32_below(512),
			    get_random_u64());
		cond_resched();
	}
}

static void hostile_run(void)
{
	unsigned int i = 0;

	while (i < rounds) {
		if (hostile_set_up()) {
			hostile_noise();
			i += HOSTILE_NOISE;
			continue;
		}
		connections++;
		while (i++ < rounds && !READ_ONCE(hostile_bye))
			if (hostile_round())
				break;
		ended++;
		dibs_unregister_dmb(hostile_dev, &hostile_dmb, &hostile_client);
	}
}

static int __init hostile_init(void)
{
	int rc;

	if (uuid_parse(peer, &hostile_peer))
		return -EINVAL;
	rc = dibs_register_client(&hostile_client);
	if (rc)
		return rc;
	if (hostile_dev)
		hostile_run();
	else
		rc = -ENODEV;
	if (rc)
		dibs_unregister_client(&hostile_client);
	return rc;
}

static void __exit hostile_exit(void)
{
	dibs_unregister_client(&hostile_client);
}

module_init(hostile_init);
module_exit(hostile_exit);

MODULE_DESCRIPTION("Console over dibs that does not keep to the protocol, for tests");
MODULE_LICENSE("GPL");
