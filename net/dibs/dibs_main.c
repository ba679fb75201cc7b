// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing
 *
 * Registry of clients and devices.
 */
#define pr_fmt(fmt) "dibs: " fmt

#include <linux/err.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "dibs_core.h"

#define CREATE_TRACE_POINTS
#include <trace/events/dibs.h>

/**
 * DOC: dibs
 *
 * The core stands between clients, which own and fill buffers, and devices,
 * which connect this system to a fabric. A client that registers is offered
 * each device, a device that is added is offered to each client; for each pair
 * that agrees there is a subscription (&struct dibs_sub). Both kinds come and
 * go at any time.
 *
 * A device leaves in three phases. First no handler is started any more, and
 * what gives a client something new returns -ENODEV. Then each client's del_dev
 * callback runs, in which the client gives back what it holds. Then calls that
 * are still under way are waited for, and what a client left behind is taken
 * from it. A client leaves in the same way, device by device.
 *
 * Locking: the registry mutex is held while clients and devices come and go,
 * and so in the callbacks add_dev and del_dev; nothing else takes it. All that
 * deals with single buffers relies on the reference counts of the device and of
 * the subscription, on RCU for look-ups, moves and signal handlers in softirq
 * context, and on the locks of the xarray and the rhashtable that hold the
 * buffers. No lock is held when a handler or a driver is called.
 */

/* Protects the two tables below and serializes add_dev and del_dev */
static DEFINE_MUTEX(dibs_registry);
static struct dibs_client *dibs_clients[DIBS_MAX_CLIENTS];
static LIST_HEAD(dibs_devs);

/* Who holds dibs_registry: a callback that comes back would wait for itself */
static struct task_struct *dibs_registry_owner;

/* Likewise, handlers that are running in process context */
static LIST_HEAD(dibs_runs);
static DEFINE_SPINLOCK(dibs_runs_lock);

struct workqueue_struct *dibs_wq;

static void dibs_registry_lock(void)
{
	mutex_lock(&dibs_registry);
	WRITE_ONCE(dibs_registry_owner, current);
}

static void dibs_registry_unlock(void)
{
	WRITE_ONCE(dibs_registry_owner, NULL);
	mutex_unlock(&dibs_registry);
}

void dibs_run_begin(struct dibs_run *run)
{
	run->task = current;
	spin_lock(&dibs_runs_lock);
	list_add(&run->list, &dibs_runs);
	spin_unlock(&dibs_runs_lock);
}

void dibs_run_end(struct dibs_run *run)
{
	spin_lock(&dibs_runs_lock);
	list_del(&run->list);
	spin_unlock(&dibs_runs_lock);
}

/* Handlers in softirq context cannot get here, the callers may sleep */
static bool dibs_in_callback(void)
{
	struct dibs_run *run;
	bool found;

	found = READ_ONCE(dibs_registry_owner) == current;
	spin_lock(&dibs_runs_lock);
	list_for_each_entry(run, &dibs_runs, list)
		found |= run->task == current;
	spin_unlock(&dibs_runs_lock);
	return found;
}

static struct dibs_sub *dibs_sub_of(struct dibs_dev *dibs, unsigned int id)
{
	return rcu_dereference_protected(dibs->subs[id],
					 lockdep_is_held(&dibs_registry));
}

/* Take away what the client still has; its handlers do not run any more */
static void dibs_sub_destroy(struct dibs_sub *sub)
{
	dibs_rmap_reap(sub);
	dibs_dmb_reap(sub);
	RCU_INIT_POINTER(sub->dibs->subs[sub->client->id], NULL);
	dibs_sub_free(sub);
}

/* Offer a device to a client. What fails here concerns this pair only. */
static void dibs_subscribe(struct dibs_dev *dibs, struct dibs_client *client)
{
	struct dibs_sub *sub;
	int rc;

	sub = dibs_sub_alloc(dibs, client);
	if (IS_ERR(sub)) {
		rc = PTR_ERR(sub);
		goto out_warn;
	}
	dibs->priv[client->id] = NULL;
	rcu_assign_pointer(dibs->subs[client->id], sub);
	rc = client->ops->add_dev(dibs);
	if (rc)
		goto out_destroy;
	dibs_sub_start(sub);
	return;

out_destroy:
	dibs_sub_stop(sub);
	dibs_sub_destroy(sub);
out_warn:
	/* -ENODEV: the client has no use for devices of this kind */
	if (rc != -ENODEV)
		dev_warn(&dibs->dev, "not used by client %s: %d\n",
			 client->name, rc);
}

static void dibs_unsubscribe(struct dibs_sub *sub)
{
	dibs_sub_stop(sub);
	sub->client->ops->del_dev(sub->dibs);
	dibs_sub_destroy(sub);
}

static int dibs_client_id_get(struct dibs_client *client)
{
	unsigned int id;

	if (client->registered)
		return -EALREADY;
	for (id = 0; id < DIBS_MAX_CLIENTS; id++) {
		if (!dibs_clients[id]) {
			dibs_clients[id] = client;
			client->id = id;
			client->registered = true;
			return 0;
		}
	}
	return -ENOSPC;
}

/**
 * dibs_register_client() - register a client and offer it all devices
 * @client: the client, must stay valid until it is unregistered
 *
 * &dibs_client_ops.add_dev is called for each device before this returns, and
 * from then on for each new device.
 *
 * Context: process context, may sleep; not from a callback of a client.
 * Return: 0, or
 *  * -EINVAL: a mandatory callback is missing
 *  * -EALREADY: @client is registered
 *  * -ENOSPC: %DIBS_MAX_CLIENTS clients are registered; one must leave first
 *  * -EDEADLK: called from a callback
 */
int dibs_register_client(struct dibs_client *client)
{
	const struct dibs_client_ops *ops = client->ops;
	struct dibs_dev *dibs;
	int rc;

	might_sleep();
	if (!ops || !ops->add_dev || !ops->del_dev || !ops->handle_irq)
		return -EINVAL;
	if (dibs_in_callback())
		return -EDEADLK;
	dibs_registry_lock();
	rc = dibs_client_id_get(client);
	if (!rc)
		list_for_each_entry(dibs, &dibs_devs, list)
			dibs_subscribe(dibs, client);
	dibs_registry_unlock();
	return rc;
}
EXPORT_SYMBOL_GPL(dibs_register_client);

/**
 * dibs_unregister_client() - take all devices from a client and forget it
 * @client: the client; nothing happens if it is not registered
 *
 * &dibs_client_ops.del_dev is called for each device that the client uses. No
 * callback runs when this returns.
 *
 * Context: process context, may sleep; not from a callback of a client.
 * Return: 0, or -EDEADLK if called from a callback: nothing has changed then,
 *	and the client has to leave from somewhere else.
 */
int dibs_unregister_client(struct dibs_client *client)
{
	struct dibs_dev *dibs;
	struct dibs_sub *sub;

	might_sleep();
	if (dibs_in_callback())
		return -EDEADLK;
	dibs_registry_lock();
	if (client->registered) {
		list_for_each_entry(dibs, &dibs_devs, list) {
			sub = dibs_sub_of(dibs, client->id);
			if (sub)
				dibs_unsubscribe(sub);
		}
		dibs_clients[client->id] = NULL;
		client->registered = false;
	}
	dibs_registry_unlock();
	return 0;
}
EXPORT_SYMBOL_GPL(dibs_unregister_client);

/**
 * dibs_set_priv() - remember something of a client with a device
 * @dibs: the device
 * @client: the client
 * @priv: what dibs_get_priv() is to return
 *
 * Context: any; from add_dev until del_dev returns.
 */
void dibs_set_priv(struct dibs_dev *dibs, struct dibs_client *client,
		   void *priv)
{
	/* a handler that sees the pointer sees what it points to */
	smp_store_release(&dibs->priv[client->id], priv);
}
EXPORT_SYMBOL_GPL(dibs_set_priv);

static void dibs_dev_release(struct device *dev)
{
	struct dibs_dev *dibs = container_of(dev, struct dibs_dev, dev);

	xa_destroy(&dibs->dmbs);
	percpu_ref_exit(&dibs->inflight);
	free_percpu(dibs->stats);
	kfree(dibs);
}

static const struct class dibs_class = {
	.name		= "dibs",
	.dev_groups	= dibs_dev_groups,
	.dev_release	= dibs_dev_release,
};

static void dibs_dev_drained(struct percpu_ref *ref)
{
	struct dibs_dev *dibs = container_of(ref, struct dibs_dev, inflight);

	complete(&dibs->drained);
}

/**
 * dibs_dev_alloc() - allocate a device
 *
 * The driver then fills in the public members of &struct dibs_dev, names the
 * device with dev_set_name() and adds it with dibs_dev_add(). The device is
 * reference counted: put_device() on &dibs_dev.dev drops the reference that
 * is returned, whether or not the device was added in between.
 *
 * Context: process context, may sleep.
 * Return: the device, or NULL if there is no memory.
 */
struct dibs_dev *dibs_dev_alloc(void)
{
	struct dibs_dev *dibs;

	dibs = kzalloc(sizeof(*dibs), GFP_KERNEL);
	if (!dibs)
		return NULL;
	dibs->stats = alloc_percpu(struct dibs_stats);
	if (!dibs->stats)
		goto out_free;
	if (percpu_ref_init(&dibs->inflight, dibs_dev_drained, 0, GFP_KERNEL))
		goto out_stats;
	init_completion(&dibs->drained);
	INIT_LIST_HEAD(&dibs->list);
	xa_init(&dibs->dmbs);
	device_initialize(&dibs->dev);
	dibs->dev.class = &dibs_class;
	return dibs;

out_stats:
	free_percpu(dibs->stats);
out_free:
	kfree(dibs);
	return NULL;
}
EXPORT_SYMBOL_GPL(dibs_dev_alloc);

static bool dibs_dev_ops_complete(const struct dibs_dev_ops *ops)
{
	if (!ops || !ops->get_fabric_id || !ops->max_dmbs ||
	    !ops->query_remote_gid || !ops->register_dmb ||
	    !ops->unregister_dmb || !ops->move_data)
		return false;
	return !ops->support_mmapped_rdmb ||
	       (ops->attach_dmb && ops->detach_dmb);
}

/* device_add() would find out as well, but not without a stack dump */
static bool dibs_name_taken(struct dibs_dev *dibs)
{
	const char *name = dev_name(&dibs->dev);
	struct device *dev;

	lockdep_assert_held(&dibs_registry);
	if (!name)
		return false;
	dev = class_find_device_by_name(&dibs_class, name);
	put_device(dev);
	return dev;
}

/**
 * dibs_dev_add() - make a device known to clients and to user space
 * @dibs: the device, from dibs_dev_alloc() and filled in
 *
 * &dibs_client_ops.add_dev of each client is called before this returns. The
 * device must be ready for all calls.
 *
 * Context: process context, may sleep; not from a callback of a client.
 * Return: 0, or
 *  * -EINVAL: a mandatory operation or the name is missing
 *  * -EEXIST: the name is taken
 *  * -ENOMEM: no memory
 *
 * After an error the device was not added, and nothing has to be undone but
 * dibs_dev_alloc(), by put_device().
 */
int dibs_dev_add(struct dibs_dev *dibs)
{
	unsigned int id;
	int rc;

	might_sleep();
	if (!dibs_dev_ops_complete(dibs->ops))
		return -EINVAL;
	dibs->max_dmbs = clamp(dibs->ops->max_dmbs(dibs), 0, DIBS_MAX_DMBS);
	dibs_registry_lock();
	rc = dibs_name_taken(dibs) ? -EEXIST : device_add(&dibs->dev);
	if (!rc) {
		list_add_tail(&dibs->list, &dibs_devs);
		for (id = 0; id < DIBS_MAX_CLIENTS; id++)
			if (dibs_clients[id])
				dibs_subscribe(dibs, dibs_clients[id]);
	}
	dibs_registry_unlock();
	return rc;
}
EXPORT_SYMBOL_GPL(dibs_dev_add);

/**
 * dibs_dev_del() - take a device from all clients and from user space
 * @dibs: the device, added by dibs_dev_add()
 *
 * The operations of the driver are called until this returns, and not any more
 * afterwards. dibs_dev_signal() and dibs_dev_event() may be called until the
 * driver drops its reference; they have no effect any more.
 *
 * Context: process context, may sleep; not from a callback of a client.
 */
void dibs_dev_del(struct dibs_dev *dibs)
{
	struct dibs_sub *sub;
	unsigned int id;

	might_sleep();
	dibs_registry_lock();
	WRITE_ONCE(dibs->leaving, true);
	/* for moves: the end of a percpu_ref promises no grace period */
	synchronize_rcu();
	list_del_init(&dibs->list);
	for (id = 0; id < DIBS_MAX_CLIENTS; id++) {
		sub = dibs_sub_of(dibs, id);
		if (sub)
			dibs_sub_stop(sub);
	}
	for (id = 0; id < DIBS_MAX_CLIENTS; id++) {
		sub = dibs_sub_of(dibs, id);
		if (sub)
			sub->client->ops->del_dev(dibs);
	}
	percpu_ref_kill(&dibs->inflight);
	wait_for_completion(&dibs->drained);
	for (id = 0; id < DIBS_MAX_CLIENTS; id++) {
		sub = dibs_sub_of(dibs, id);
		if (sub)
			dibs_sub_destroy(sub);
	}
	device_del(&dibs->dev);
	dibs_registry_unlock();
}
EXPORT_SYMBOL_GPL(dibs_dev_del);

static int __init dibs_init(void)
{
	int rc;

	/* not WQ_MEM_RECLAIM: a threaded handler may wait for any other work */
	dibs_wq = alloc_workqueue("dibs", WQ_UNBOUND | WQ_HIGHPRI, 0);
	if (!dibs_wq)
		return -ENOMEM;
	rc = class_register(&dibs_class);
	if (rc)
		destroy_workqueue(dibs_wq);
	return rc;
}

static void __exit dibs_exit(void)
{
	class_unregister(&dibs_class);
	rcu_barrier(); /* queues work */
	destroy_workqueue(dibs_wq);
}

/* Before device_initcall(), at which built-in clients and drivers register */
subsys_initcall(dibs_init);
module_exit(dibs_exit);

MODULE_DESCRIPTION("Direct Internal Buffer Sharing");
MODULE_LICENSE("GPL");
