// SPDX-License-Identifier: GPL-2.0
/*
 * Console over dibs
 *
 * A system that is seen, and one that looks, connected by the buffers of dibs
 * and nothing else. What may be connected with what is in the parameters.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/xarray.h>
#include <kunit/visibility.h>

#include "dibs_console.h"

/* ------------------------------ parameters ------------------------------- */

#define DCON_ALLOWED		128

/**
 * struct dcon_allowed - a system that is allowed to be at the other end
 * @gid: of its device
 * @name: what the administrator calls it, may be empty
 */
struct dcon_allowed {
	uuid_t gid;
	char name[DCON_NAME_LEN + 1];
};

/* Set while there is no memory to allocate, if they are on the command line */
static DEFINE_SPINLOCK(dcon_params_lock);
static uuid_t dcon_server;
static struct dcon_allowed dcon_allow[DCON_ALLOWED];
static struct dcon_allowed dcon_allow_new[DCON_ALLOWED];
static unsigned int dcon_nr_allow;
static unsigned int dcon_next_allow;
static bool dcon_listen;
static bool dcon_discover;
static bool dcon_sysrq;
static unsigned int dcon_refused;

static int dcon_param_set_server(const char *val,
				 const struct kernel_param *kp)
{
	char text[UUID_STRING_LEN + 2];
	uuid_t gid = uuid_null;

	if (strscpy(text, val) < 0)
		return -EINVAL;
	if (*strim(text) && (strlen(strim(text)) != UUID_STRING_LEN ||
			     uuid_parse(strim(text), &gid)))
		return -EINVAL;
	spin_lock(&dcon_params_lock);
	dcon_server = gid;
	spin_unlock(&dcon_params_lock);
	dcon_tty_hurry();
	return 0;
}

static int dcon_param_get_server(char *buf, const struct kernel_param *kp)
{
	uuid_t gid;

	spin_lock(&dcon_params_lock);
	gid = dcon_server;
	spin_unlock(&dcon_params_lock);
	return uuid_is_null(&gid) ? sysfs_emit(buf, "\n") :
				    sysfs_emit(buf, "%pUb\n", &gid);
}

static const struct kernel_param_ops dcon_server_ops = {
	.set = dcon_param_set_server,
	.get = dcon_param_get_server,
};
module_param_cb(server, &dcon_server_ops, NULL, 0644);
MODULE_PARM_DESC(server, "GID of the terminal server that this system is a console of");

static int dcon_param_set_bool(const char *val, const struct kernel_param *kp)
{
	int rc = param_set_bool(val, kp);

	if (!rc)
		dcon_tty_hurry();
	return rc;
}

static const struct kernel_param_ops dcon_bool_ops = {
	.set = dcon_param_set_bool,
	.get = param_get_bool,
};
module_param_cb(listen, &dcon_bool_ops, &dcon_listen, 0644);
MODULE_PARM_DESC(listen, "be a terminal server for others");
module_param_cb(discover, &dcon_bool_ops, &dcon_discover, 0644);
MODULE_PARM_DESC(discover, "be a console of any system in allow=, if server= is not set");
module_param_named(sysrq, dcon_sysrq, bool, 0644);
MODULE_PARM_DESC(sysrq, "a break from server= and a character are a SysRq command");
module_param_named(refused, dcon_refused, uint, 0444);
MODULE_PARM_DESC(refused, "number of consoles that were refused");

/* Names become names of files */
static bool dcon_name_ok(const char *name)
{
	const char *p;

	for (p = name; *p; p++)
		if (!isalnum(*p) && !strchr("-_.", *p))
			return false;
	return p - name <= DCON_NAME_LEN && *name != '.';
}

/* GID or GID:NAME */
static int dcon_parse_allowed(char *text, struct dcon_allowed *allowed)
{
	char *name = strchr(text, ':');

	memset(allowed, 0, sizeof(*allowed));
	if (name) {
		*name++ = '\0';
		if (!*name || !dcon_name_ok(name))
			return -EINVAL;
		strscpy(allowed->name, name);
	}
	if (strlen(text) != UUID_STRING_LEN)
		return -EINVAL;
	return uuid_parse(text, &allowed->gid);
}

/* Only one at a time: the lock of parameters is held, or nothing else runs */
static int dcon_parse_allow(const char *val, unsigned int *count)
{
	char text[UUID_STRING_LEN + 1 + DCON_NAME_LEN + 1];
	size_t len;
	int rc;

	for (*count = 0; *val; val += len + (val[len] == ',')) {
		len = strcspn(val, ",\n");
		if (!len && val[len] == '\n')
			break;
		if (len >= sizeof(text) || *count == DCON_ALLOWED)
			return -EINVAL;
		strscpy(text, val, len + 1);
		rc = dcon_parse_allowed(text, &dcon_allow_new[*count]);
		if (rc)
			return rc;
		++*count;
	}
	return 0;
}

static int dcon_param_set_allow(const char *val, const struct kernel_param *kp)
{
	unsigned int count;
	int rc;

	rc = dcon_parse_allow(val, &count);
	if (rc)
		return rc;
	spin_lock(&dcon_params_lock);
	memcpy(dcon_allow, dcon_allow_new, sizeof(dcon_allow));
	dcon_nr_allow = count;
	spin_unlock(&dcon_params_lock);
	dcon_tty_hurry();
	return 0;
}

static int dcon_param_get_allow(char *buf, const struct kernel_param *kp)
{
	unsigned int i;
	int len = 0;

	spin_lock(&dcon_params_lock);
	for (i = 0; i < dcon_nr_allow; i++)
		len += sysfs_emit_at(buf, len, "%s%pUb%s%s", i ? "," : "",
				     &dcon_allow[i].gid,
				     *dcon_allow[i].name ? ":" : "",
				     dcon_allow[i].name);
	spin_unlock(&dcon_params_lock);
	return len + sysfs_emit_at(buf, len, "\n");
}

static const struct kernel_param_ops dcon_allow_ops = {
	.set = dcon_param_set_allow,
	.get = dcon_param_get_allow,
};
module_param_cb(allow, &dcon_allow_ops, NULL, 0644);
MODULE_PARM_DESC(allow, "GID[:NAME],...: who may be at the other end");

/* Under the lock. Return: place in the list, or -1. */
static int dcon_find_allowed(const uuid_t *gid)
{
	unsigned int i;

	for (i = 0; i < dcon_nr_allow; i++)
		if (uuid_equal(&dcon_allow[i].gid, gid))
			return i;
	return -1;
}

/**
 * dcon_listens_to() - may this peer be a console here?
 * @peer: its GID
 * @name: where to put what it is called, at most %DCON_NAME_LEN characters, may
 *	be NULL
 *
 * Return: its place in the list of those that are allowed, 0 without a list,
 *	-1 if it may not.
 */
int dcon_listens_to(const uuid_t *peer, char *name)
{
	int i;

	spin_lock(&dcon_params_lock);
	i = dcon_find_allowed(peer);
	if (i >= 0 && name)
		strscpy(name, dcon_allow[i].name, DCON_NAME_LEN + 1);
	if (i < 0 && !dcon_nr_allow)
		i = 0;
	if (!dcon_listen)
		i = -1;
	spin_unlock(&dcon_params_lock);
	return i;
}

/**
 * dcon_want_server() - whom is this system to be a console of?
 * @gid: GID of the terminal server
 * @next: set it; otherwise, is it one that was set?
 *
 * Return: whether there is one, or whether it is.
 */
bool dcon_want_server(uuid_t *gid, bool next)
{
	bool wanted = false;

	spin_lock(&dcon_params_lock);
	if (!uuid_is_null(&dcon_server)) {
		wanted = next || uuid_equal(gid, &dcon_server);
		*gid = dcon_server;
	} else if (dcon_discover && dcon_nr_allow) {
		wanted = next || dcon_find_allowed(gid) >= 0;
		if (next)
			*gid = dcon_allow[dcon_next_allow++ % dcon_nr_allow].gid;
	}
	spin_unlock(&dcon_params_lock);
	return wanted;
}

/* Commands are taken from who was named, not from who was found */
bool dcon_sysrq_allowed(const uuid_t *peer)
{
	bool named;

	spin_lock(&dcon_params_lock);
	named = uuid_equal(peer, &dcon_server);
	spin_unlock(&dcon_params_lock);
	return named && READ_ONCE(dcon_sysrq);
}

/* -------------------------------- devices -------------------------------- */

static DEFINE_MUTEX(dcon_devs_lock);
static LIST_HEAD(dcon_devs);

/* The caller has locked a link, without which the device does not leave */
struct dcon_dev *dcon_find_dev(const uuid_t *peer)
{
	struct dcon_dev *dd, *found = NULL;

	mutex_lock(&dcon_devs_lock);
	list_for_each_entry(dd, &dcon_devs, list) {
		if (!dibs_query_remote_gid(dd->dibs, peer, 0, 0)) {
			found = dd;
			break;
		}
	}
	mutex_unlock(&dcon_devs_lock);
	return found;
}

static int dcon_add_dev(struct dibs_dev *dibs)
{
	struct dcon_dev *dd;

	dd = kzalloc(sizeof(*dd), GFP_KERNEL);
	if (!dd)
		return -ENOMEM;
	dd->dibs = dibs;
	xa_init(&dd->links);
	dibs_set_priv(dibs, &dcon_client, dd);
	mutex_lock(&dcon_devs_lock);
	list_add_tail(&dd->list, &dcon_devs);
	mutex_unlock(&dcon_devs_lock);
	dcon_tty_hurry();
	return 0;
}

static void dcon_del_dev(struct dibs_dev *dibs)
{
	struct dcon_dev *dd = dibs_get_priv(dibs, &dcon_client);

	mutex_lock(&dcon_devs_lock);
	list_del(&dd->list);
	mutex_unlock(&dcon_devs_lock);
	dcon_tty_drop_dev(dibs);
	xa_destroy(&dd->links);
	kfree(dd);
}

static void dcon_handle_irq(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
	struct dcon_dev *dd = dibs_get_priv(dibs, &dcon_client);
	struct dcon_link *link = xa_load(&dd->links, idx);

	if (link)
		dcon_link_signal(link);
}

static void dcon_refuse(struct dibs_dev *dibs, const struct dibs_event *event)
{
	spin_lock(&dcon_params_lock);
	dcon_refused++;
	spin_unlock(&dcon_params_lock);
	pr_notice_ratelimited("refused a console: %pUb\n", &event->gid);
	dibs_signal_event(dibs, &event->gid, 1, DCON_EV_TERMINAL_REFUSE,
			  event->data);
}

/* Who does not listen does not answer either */
static bool dcon_accept(struct dibs_dev *dibs, const struct dibs_event *event)
{
	if (!READ_ONCE(dcon_listen))
		return false;
	if (dcon_listens_to(&event->gid, NULL) >= 0 &&
	    dcon_tty_offered(&event->gid))
		return true;
	dcon_refuse(dibs, event);
	return false;
}

static void dcon_handle_event(struct dibs_dev *dibs,
			      const struct dibs_event *event)
{
	if (event->type == DIBS_SW_EVENT &&
	    event->subtype == DCON_EV_CONSOLE_OFFER &&
	    (!event->data || !dcon_accept(dibs, event)))
		return;
	dcon_tty_mail(dibs, event);
}

static const struct dibs_client_ops dcon_client_ops = {
	.add_dev	= dcon_add_dev,
	.del_dev	= dcon_del_dev,
	.handle_irq	= dcon_handle_irq,
	.handle_event	= dcon_handle_event,
};

/* Events make lines, which may sleep; signals only wake somebody up */
struct dibs_client dcon_client = {
	.name	= "console",
	.ops	= &dcon_client_ops,
	.flags	= DIBS_CLIENT_THREADED_EVENT,
};
EXPORT_SYMBOL_IF_KUNIT(dcon_client);

static int __init dcon_init(void)
{
	int rc;

	rc = dcon_tty_init();
	if (rc)
		return rc;
	rc = dibs_register_client(&dcon_client);
	if (rc)
		dcon_tty_exit();
	return rc;
}

static void __exit dcon_exit(void)
{
	dibs_unregister_client(&dcon_client);
	dcon_tty_exit();
}

module_init(dcon_init);
module_exit(dcon_exit);

MODULE_DESCRIPTION("Console over dibs");
MODULE_LICENSE("GPL");
