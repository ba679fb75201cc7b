// SPDX-License-Identifier: GPL-2.0
/*
 * Console over dibs
 *
 * Lines: the first one is that of the own console, the others are those of
 * consoles that have asked to be seen. A line is made when it is first needed
 * and stays, with its number and its users, while connections come and go.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/kfifo.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/sysrq.h>
#include <linux/tty_driver.h>
#include <linux/tty_flip.h>
#include <linux/tty_port.h>

#include "dibs_console.h"

/* The first of them is the console's */
#define DCON_LINES		256

/* What a line keeps that nobody reads; the rest waits at its sender */
#define DCON_UNREAD		SZ_64K

/* When a writer is told that there is room again */
#define DCON_WAKEUP		SZ_1K

/* After a break the next character is a command for that long */
#define DCON_SYSRQ_TIME		(5 * HZ)

/**
 * struct dcon_line - a line
 * @port: with the bytes that are to be sent in its xmit_fifo, under its lock
 * @link: the connection
 * @index: number of the line
 * @dev: for sysfs
 * @name: what the administrator calls it
 * @throttled: nobody has room for more
 * @stopped: nothing is to be sent
 * @carrier: connected with a line that is open
 * @told: what the last uevent said
 * @sysrq: until when the next character is a command, 0 if it is not
 */
struct dcon_line {
	struct tty_port port;
	struct dcon_link link;
	unsigned int index;
	struct device *dev;
	char name[DCON_NAME_LEN + 1];
	bool throttled;
	bool stopped;
	bool carrier;
	const char *told;
	unsigned long sysrq;
};

/* Lines are added under the lock, and stay until the module goes */
static DEFINE_MUTEX(dcon_lines_lock);
static struct dcon_line *dcon_lines[DCON_LINES];
static struct tty_driver *dcon_driver;

static struct dcon_line *port_to_line(struct tty_port *port)
{
	return container_of(port, struct dcon_line, port);
}

static struct dcon_line *link_to_line(struct dcon_link *link)
{
	return container_of(link, struct dcon_line, link);
}

static struct dcon_line *dcon_line_get(unsigned int index)
{
	/* pairs with the release in dcon_line_add() */
	return smp_load_acquire(&dcon_lines[index]);
}

static bool dcon_is_console(const struct dcon_line *line)
{
	return line->link.role == DCON_CONSOLE;
}

/* ------------------------------ for the link ----------------------------- */

static bool dcon_line_want(struct dcon_link *link, uuid_t *peer, bool next)
{
	if (link->role == DCON_CONSOLE)
		return dcon_want_server(peer, next);
	return dcon_listens_to(peer, NULL) >= 0;
}

/* Bytes are another system's: what they are does not matter, but to SysRq */
static size_t dcon_line_insert(struct dcon_line *line, const u8 *data,
			       size_t len)
{
	struct tty_port *port = &line->port;
	int room = tty_buffer_space_avail(port);
	size_t n;

	/* the end of a connection brings no more than a ring full */
	if (!line->link.draining)
		room -= DCON_RING_SIZE;
	n = min_t(size_t, len, max(room, 0));
	/* it may be written meanwhile, by who should not */
	n = n ? data_race(tty_insert_flip_string(port, data, n)) : 0;
	if (line->link.rx_deliver)
		tty_flip_buffer_publish(port);
	else
		tty_flip_buffer_push(port);
	line->link.rx_retry = n < len && tty_port_initialized(port);
	return n;
}

static size_t dcon_line_receive(struct dcon_link *link, const u8 *data,
				size_t len)
{
	struct dcon_line *line = link_to_line(link);
	unsigned long sysrq = line->sysrq;

	link->rx_retry = false;
	if (sysrq) {
		line->sysrq = 0;
		if (time_before(jiffies, sysrq) &&
		    dcon_sysrq_allowed(&link->peer)) {
			handle_sysrq(READ_ONCE(*data));
			return 1;
		}
	}
	if (dcon_is_console(line) && !tty_port_initialized(&line->port))
		return len;
	if (READ_ONCE(line->throttled) && !link->draining)
		return 0;
	return dcon_line_insert(line, data, len);
}

static void dcon_line_deliver(struct dcon_link *link)
{
	tty_flip_buffer_deliver(&link_to_line(link)->port);
}

static void dcon_line_receive_break(struct dcon_link *link)
{
	struct dcon_line *line = link_to_line(link);

	if (dcon_is_console(line) && dcon_sysrq_allowed(&link->peer) && !line->sysrq) {
		/* 0 means that it is not */
		line->sysrq = (jiffies + DCON_SYSRQ_TIME) | 1;
		return;
	}
	line->sysrq = 0;
	if (!tty_port_initialized(&line->port))
		return;
	tty_insert_flip_char(&line->port, 0, TTY_BREAK);
	tty_flip_buffer_push(&line->port);
}

/*
 * A console keeps its latest output for who comes next. What is typed while
 * nobody hears it is forgotten: it was meant for something else.
 */
static bool dcon_holds(const struct dcon_line *line)
{
	return dcon_is_console(line) ? !READ_ONCE(line->carrier) :
				       !READ_ONCE(line->link.up);
}

static size_t dcon_line_fetch(struct dcon_link *link, u8 *buf, size_t len)
{
	struct dcon_line *line = link_to_line(link);
	struct tty_port *port = &line->port;
	unsigned int n, left;
	unsigned long flags;

	if (READ_ONCE(line->stopped) || dcon_holds(line))
		return 0;
	spin_lock_irqsave(&port->lock, flags);
	/* what is there by now was written after the break: that goes first */
	if (READ_ONCE(link->ctl_brk))
		len = 0;
	n = kfifo_out(&port->xmit_fifo, buf, len);
	left = kfifo_len(&port->xmit_fifo);
	spin_unlock_irqrestore(&port->lock, flags);
	if (n && left < DCON_WAKEUP)
		tty_port_tty_wakeup(port);
	return n;
}

static void dcon_line_resize(struct dcon_line *line, struct tty_struct *tty)
{
	struct winsize ws = {
		.ws_row = READ_ONCE(line->link.rows),
		.ws_col = READ_ONCE(line->link.cols),
	};

	if (dcon_is_console(line) && ws.ws_row && ws.ws_col)
		tty_do_resize(tty, &ws);
}

/*
 * The session ends, and who comes next must not see what it has said. It has to be
 * done here: where the line is /dev/console as well, nobody is told of the hang-up.
 */
static void dcon_line_forget(struct dcon_line *line)
{
	struct tty_struct *tty = tty_port_tty_get(&line->port);

	if (tty && !C_CLOCAL(tty)) {
		spin_lock_irq(&line->port.lock);
		kfifo_reset(&line->port.xmit_fifo);
		spin_unlock_irq(&line->port.lock);
		dcon_tx_forget(&line->link);
	}
	tty_kref_put(tty);
}

static void dcon_line_carrier(struct dcon_line *line, bool carrier)
{
	struct tty_port *port = &line->port;

	if (line->carrier == carrier)
		return;
	WRITE_ONCE(line->carrier, carrier);
	/* a break and its command are of one session */
	line->sysrq = 0;
	if (carrier) {
		wake_up_interruptible(&port->open_wait);
		return;
	}
	dcon_line_forget(line);
	tty_port_tty_hangup(port, true);
}

static void dcon_line_tell(struct dcon_line *line)
{
	const char *state = dcon_link_state(&line->link);
	char var_state[32], var_gid[64];
	char *env[3] = { var_state, var_gid, NULL };

	if (line->told == state)
		return;
	line->told = state;
	snprintf(var_state, sizeof(var_state), "STATE=%s", state);
	snprintf(var_gid, sizeof(var_gid), "PEER_GID=%pUb", &line->link.peer);
	kobject_uevent_env(&line->dev->kobj, KOBJ_CHANGE, env);
}

static void dcon_line_changed(struct dcon_link *link)
{
	struct dcon_line *line = link_to_line(link);
	struct tty_struct *tty;

	if (link->state != DCON_UP)
		line->sysrq = 0;
	dcon_line_carrier(line, link->state == DCON_UP && link->peer_ready);
	tty = tty_port_tty_get(&line->port);
	if (tty)
		dcon_line_resize(line, tty);
	tty_kref_put(tty);
	tty_port_tty_wakeup(&line->port);
	dcon_line_tell(line);
	if (dcon_is_console(line))
		dcon_con_update(link);
}

static const struct dcon_link_ops dcon_line_link_ops = {
	.want		= dcon_line_want,
	.receive	= dcon_line_receive,
	.deliver	= dcon_line_deliver,
	.receive_break	= dcon_line_receive_break,
	.fetch		= dcon_line_fetch,
	.changed	= dcon_line_changed,
};

/* ------------------------------- the port -------------------------------- */

static bool dcon_port_carrier_raised(struct tty_port *port)
{
	return READ_ONCE(port_to_line(port)->carrier);
}

static void dcon_port_dtr_rts(struct tty_port *port, bool active)
{
	struct dcon_link *link = &port_to_line(port)->link;
	unsigned long flags;

	raw_spin_lock_irqsave(&link->ctl_lock, flags);
	link->ctl.flags = cpu_to_le32(active ? DCON_READY : 0);
	WRITE_ONCE(link->ctl_dirty, true);
	raw_spin_unlock_irqrestore(&link->ctl_lock, flags);
	dcon_link_kick(link);
}

/* What has come while nobody read it is still there */
static int dcon_port_activate(struct tty_port *port, struct tty_struct *tty)
{
	struct dcon_line *line = port_to_line(port);

	WRITE_ONCE(line->throttled, false);
	WRITE_ONCE(line->stopped, false);
	dcon_line_resize(line, tty);
	/* has the buffer's work queued; to push is for who inserts */
	tty_buffer_lock_exclusive(port);
	tty_buffer_unlock_exclusive(port);
	dcon_link_kick(&line->link);
	return 0;
}

static void dcon_port_destruct(struct tty_port *port)
{
	kfree(port_to_line(port));
}

static const struct tty_port_operations dcon_port_ops = {
	.carrier_raised	= dcon_port_carrier_raised,
	.dtr_rts	= dcon_port_dtr_rts,
	.activate	= dcon_port_activate,
	.destruct	= dcon_port_destruct,
};

/* -------------------------------- the tty -------------------------------- */

static int dcon_install(struct tty_driver *driver, struct tty_struct *tty)
{
	struct dcon_line *line = dcon_line_get(tty->index);
	int rc;

	if (!line)
		return -ENODEV;
	tty->driver_data = line;
	rc = tty_port_install(&line->port, driver, tty);
	if (rc)
		return rc;
	tty_port_get(&line->port);
	if (!dcon_is_console(line)) {
		/* the other end echoes and edits */
		tty->termios.c_iflag = 0;
		tty->termios.c_oflag = 0;
		tty->termios.c_lflag = 0;
		tty->termios.c_cflag |= CLOCAL;
	}
	return 0;
}

static void dcon_cleanup(struct tty_struct *tty)
{
	tty_port_put(tty->port);
}

static int dcon_open(struct tty_struct *tty, struct file *file)
{
	return tty_port_open(tty->port, tty, file);
}

static void dcon_close(struct tty_struct *tty, struct file *file)
{
	tty_port_close(tty->port, tty, file);
}

static void dcon_flush_buffer(struct tty_struct *tty)
{
	struct tty_port *port = tty->port;
	unsigned long flags;

	spin_lock_irqsave(&port->lock, flags);
	kfifo_reset(&port->xmit_fifo);
	spin_unlock_irqrestore(&port->lock, flags);
	tty_wakeup(tty);
}

static void dcon_hangup(struct tty_struct *tty)
{
	struct dcon_line *line = tty->driver_data;

	/* who comes next must not see it */
	dcon_flush_buffer(tty);
	dcon_tx_forget(&line->link);
	tty_port_hangup(tty->port);
}

static unsigned int dcon_unsent(struct tty_port *port)
{
	unsigned long flags;
	unsigned int len;

	spin_lock_irqsave(&port->lock, flags);
	len = kfifo_len(&port->xmit_fifo);
	spin_unlock_irqrestore(&port->lock, flags);
	return len;
}

static size_t dcon_keep_latest(struct tty_port *port, const u8 *buf, size_t len)
{
	size_t keep = min_t(size_t, len, kfifo_size(&port->xmit_fifo));
	size_t room = kfifo_avail(&port->xmit_fifo);

	if (keep > room)
		kfifo_skip_count(&port->xmit_fifo, keep - room);
	kfifo_in(&port->xmit_fifo, buf + len - keep, keep);
	return len;
}

static ssize_t dcon_write(struct tty_struct *tty, const u8 *buf, size_t len)
{
	struct dcon_line *line = tty->driver_data;
	struct tty_port *port = &line->port;
	unsigned long flags;

	spin_lock_irqsave(&port->lock, flags);
	if (!dcon_holds(line))
		len = kfifo_in(&port->xmit_fifo, buf, len);
	else if (dcon_is_console(line))
		len = dcon_keep_latest(port, buf, len);
	spin_unlock_irqrestore(&port->lock, flags);
	if (len && !(dcon_transmit_now(&line->link) && !dcon_unsent(port)))
		dcon_link_kick(&line->link);
	return len;
}

static unsigned int dcon_write_room(struct tty_struct *tty)
{
	struct dcon_line *line = tty->driver_data;
	unsigned int size = kfifo_size(&line->port.xmit_fifo);

	return dcon_holds(line) ? size : size - dcon_unsent(&line->port);
}

/* Nobody waits for what cannot be sent */
static unsigned int dcon_chars_in_buffer(struct tty_struct *tty)
{
	struct dcon_line *line = tty->driver_data;

	return dcon_holds(line) ? 0 : dcon_unsent(&line->port);
}

static void dcon_throttle(struct tty_struct *tty)
{
	struct dcon_line *line = tty->driver_data;

	WRITE_ONCE(line->throttled, true);
}

static void dcon_unthrottle(struct tty_struct *tty)
{
	struct dcon_line *line = tty->driver_data;

	WRITE_ONCE(line->throttled, false);
	dcon_link_kick(&line->link);
}

static void dcon_stop(struct tty_struct *tty)
{
	struct dcon_line *line = tty->driver_data;

	WRITE_ONCE(line->stopped, true);
}

static void dcon_start(struct tty_struct *tty)
{
	struct dcon_line *line = tty->driver_data;

	WRITE_ONCE(line->stopped, false);
	dcon_link_kick(&line->link);
}

/* B0 hangs up, as on a line with a modem */
static void dcon_set_termios(struct tty_struct *tty, const struct ktermios *old)
{
	bool had_baud = old && old->c_cflag & CBAUD;

	if (had_baud && !C_BAUD(tty))
		dcon_port_dtr_rts(tty->port, false);
	else if (!had_baud && C_BAUD(tty))
		dcon_port_dtr_rts(tty->port, true);
}

static int dcon_break_ctl(struct tty_struct *tty, int state)
{
	struct dcon_line *line = tty->driver_data;
	struct dcon_link *link = &line->link;
	unsigned long flags;

	if (!state)
		return 0;
	raw_spin_lock_irqsave(&link->ctl_lock, flags);
	WRITE_ONCE(link->ctl_brk, true);
	WRITE_ONCE(link->ctl_dirty, true);
	raw_spin_unlock_irqrestore(&link->ctl_lock, flags);
	dcon_link_kick(link);
	return 0;
}

static int dcon_resize(struct tty_struct *tty, struct winsize *ws)
{
	struct dcon_line *line = tty->driver_data;
	struct dcon_link *link = &line->link;
	unsigned long flags;

	if (!dcon_is_console(line)) {
		raw_spin_lock_irqsave(&link->ctl_lock, flags);
		link->ctl.rows = cpu_to_le16(ws->ws_row);
		link->ctl.cols = cpu_to_le16(ws->ws_col);
		WRITE_ONCE(link->ctl_dirty, true);
		raw_spin_unlock_irqrestore(&link->ctl_lock, flags);
		dcon_link_kick(link);
	}
	return tty_do_resize(tty, ws);
}

static const struct tty_operations dcon_tty_ops = {
	.install	= dcon_install,
	.cleanup	= dcon_cleanup,
	.open		= dcon_open,
	.close		= dcon_close,
	.hangup		= dcon_hangup,
	.write		= dcon_write,
	.write_room	= dcon_write_room,
	.chars_in_buffer = dcon_chars_in_buffer,
	.flush_buffer	= dcon_flush_buffer,
	.throttle	= dcon_throttle,
	.unthrottle	= dcon_unthrottle,
	.stop		= dcon_stop,
	.start		= dcon_start,
	.set_termios	= dcon_set_termios,
	.break_ctl	= dcon_break_ctl,
	.resize		= dcon_resize,
};

/* --------------------------------- sysfs --------------------------------- */

static ssize_t peer_gid_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	struct dcon_line *line = dev_get_drvdata(dev);
	uuid_t peer;

	spin_lock(&line->link.mail.lock);
	peer = line->link.peer;
	spin_unlock(&line->link.mail.lock);
	return uuid_is_null(&peer) ? sysfs_emit(buf, "\n") :
				     sysfs_emit(buf, "%pUb\n", &peer);
}
static DEVICE_ATTR_RO(peer_gid);

static ssize_t state_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct dcon_line *line = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%s\n", dcon_link_state(&line->link));
}
static DEVICE_ATTR_RO(state);

static ssize_t name_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct dcon_line *line = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%s\n", line->name);
}
static DEVICE_ATTR_RO(name);

static ssize_t role_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct dcon_line *line = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%s\n",
			  dcon_is_console(line) ? "console" : "terminal");
}
static DEVICE_ATTR_RO(role);

static struct attribute *dcon_attrs[] = {
	&dev_attr_peer_gid.attr,
	&dev_attr_state.attr,
	&dev_attr_name.attr,
	&dev_attr_role.attr,
	NULL
};
ATTRIBUTE_GROUPS(dcon);

/* --------------------------------- lines --------------------------------- */

static struct dcon_line *dcon_line_alloc(unsigned int index,
					 enum dcon_role role)
{
	struct dcon_line *line;

	line = kzalloc(sizeof(*line), GFP_KERNEL);
	if (!line)
		return NULL;
	tty_port_init(&line->port);
	line->port.ops = &dcon_port_ops;
	line->index = index;
	dcon_link_init(&line->link, role, &dcon_line_link_ops);
	line->told = dcon_link_state(&line->link);
	if (tty_port_alloc_xmit_buf(&line->port) ||
	    tty_buffer_set_limit(&line->port, DCON_UNREAD + DCON_RING_SIZE)) {
		tty_port_put(&line->port);
		return NULL;
	}
	return line;
}

/* User space hears of a line when it can be opened */
static int dcon_line_add(struct dcon_line *line)
{
	struct device *dev;

	/* who finds the line finds it complete */
	smp_store_release(&dcon_lines[line->index], line);
	dev = tty_port_register_device_attr(&line->port, dcon_driver,
					    line->index, NULL, line,
					    dcon_groups);
	if (!IS_ERR(dev)) {
		line->dev = dev;
		return 0;
	}
	WRITE_ONCE(dcon_lines[line->index], NULL);
	dcon_link_exit(&line->link);
	tty_port_put(&line->port);
	return PTR_ERR(dev);
}

static void dcon_line_del(struct dcon_line *line)
{
	dcon_link_exit(&line->link);
	tty_unregister_device(dcon_driver, line->index);
	WRITE_ONCE(dcon_lines[line->index], NULL);
	tty_port_put(&line->port);
}

static struct dcon_line *dcon_line_find(const uuid_t *peer)
{
	unsigned int i;

	for (i = 1; i < DCON_LINES; i++)
		if (dcon_lines[i] &&
		    uuid_equal(&dcon_lines[i]->link.peer, peer))
			return dcon_lines[i];
	return NULL;
}

/* Who is in the list of those that are allowed has a line with its number */
static unsigned int dcon_free_index(unsigned int want)
{
	unsigned int i;

	if (want < DCON_LINES && !dcon_lines[want])
		return want;
	for (i = 1; i < DCON_LINES; i++)
		if (!dcon_lines[i])
			return i;
	return 0;
}

static bool dcon_line_make(const uuid_t *peer)
{
	char name[DCON_NAME_LEN + 1] = "";
	struct dcon_line *line;
	unsigned int index;
	int place;

	/* a parameter may have changed since it was accepted */
	place = dcon_listens_to(peer, name);
	if (place < 0)
		return false;
	index = dcon_free_index(place + 1);
	if (!index)
		return false;
	line = dcon_line_alloc(index, DCON_TERMINAL);
	if (!line)
		return false;
	line->link.peer = *peer;
	strscpy(line->name, name);
	return !dcon_line_add(line);
}

/* Return: whether there is a line for it, which is made if there was none */
bool dcon_tty_offered(const uuid_t *peer)
{
	bool found;

	mutex_lock(&dcon_lines_lock);
	found = dcon_line_find(peer) || dcon_line_make(peer);
	mutex_unlock(&dcon_lines_lock);
	return found;
}

void dcon_tty_mail(struct dibs_dev *dibs, const struct dibs_event *event)
{
	struct dcon_line *line;
	unsigned int i;

	mutex_lock(&dcon_lines_lock);
	for (i = 0; i < DCON_LINES; i++) {
		line = dcon_line_get(i);
		if (line)
			dcon_link_mail(&line->link, dibs, event);
	}
	mutex_unlock(&dcon_lines_lock);
}

void dcon_tty_drop_dev(struct dibs_dev *dibs)
{
	struct dcon_line *line;
	unsigned int i;

	mutex_lock(&dcon_lines_lock);
	for (i = 0; i < DCON_LINES; i++) {
		line = dcon_line_get(i);
		if (line)
			dcon_link_drop_dev(&line->link, dibs);
	}
	mutex_unlock(&dcon_lines_lock);
}

void dcon_tty_hurry(void)
{
	struct dcon_line *line;
	unsigned int i;

	mutex_lock(&dcon_lines_lock);
	for (i = 0; i < DCON_LINES; i++) {
		line = dcon_line_get(i);
		if (line)
			dcon_link_hurry(&line->link);
	}
	mutex_unlock(&dcon_lines_lock);
}

static int dcon_driver_add(void)
{
	dcon_driver = tty_alloc_driver(DCON_LINES, TTY_DRIVER_REAL_RAW |
				       TTY_DRIVER_DYNAMIC_DEV |
				       TTY_DRIVER_RESET_TERMIOS |
				       TTY_DRIVER_HARDWARE_BREAK);
	if (IS_ERR(dcon_driver))
		return PTR_ERR(dcon_driver);
	dcon_driver->driver_name = "dibs_console";
	dcon_driver->name = DCON_TTY_NAME;
	dcon_driver->type = TTY_DRIVER_TYPE_SERIAL;
	dcon_driver->subtype = SERIAL_TYPE_NORMAL;
	dcon_driver->init_termios = tty_std_termios;
	tty_set_operations(dcon_driver, &dcon_tty_ops);
	return tty_register_driver(dcon_driver);
}

int dcon_tty_init(void)
{
	struct dcon_line *line;
	int rc;

	rc = dcon_driver_add();
	if (rc) {
		if (!IS_ERR(dcon_driver))
			tty_driver_kref_put(dcon_driver);
		return rc;
	}
	mutex_lock(&dcon_lines_lock);
	line = dcon_line_alloc(0, DCON_CONSOLE);
	rc = line ? dcon_line_add(line) : -ENOMEM;
	mutex_unlock(&dcon_lines_lock);
	if (rc)
		goto out_driver;
	dcon_con_init(&line->link, dcon_driver);
	return 0;

out_driver:
	tty_unregister_driver(dcon_driver);
	tty_driver_kref_put(dcon_driver);
	return rc;
}

/* No device is there any more, and no line is open */
void dcon_tty_exit(void)
{
	unsigned int i;

	dcon_con_exit();
	/* parameters can be written until the module is gone */
	mutex_lock(&dcon_lines_lock);
	for (i = 0; i < DCON_LINES; i++)
		if (dcon_lines[i])
			dcon_line_del(dcon_lines[i]);
	mutex_unlock(&dcon_lines_lock);
	tty_unregister_driver(dcon_driver);
	tty_driver_kref_put(dcon_driver);
}
