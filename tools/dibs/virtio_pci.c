// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: the PCI transport of virtio 1.2, device side
 *
 * One memory BAR has the structures of virtio, another one the MSI-X table, which
 * QEMU keeps to itself. The chapters that are quoted are those of virtio 1.2.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "fault.h"
#include "port.h"
#include "virtio_dibs.h"

_Static_assert(VPCI_TURN_BUFFERS <= VQ_MAX_SIZE, "vq_resume() counts on it");

#define BAR_VIRTIO	0
#define BAR_MSIX	4

/* Offsets in BAR_VIRTIO */
#define AT_COMMON	0x0000
#define AT_ISR		0x1000
#define AT_DEVICE	0x2000
#define AT_NOTIFY	0x3000
#define BAR_VIRTIO_SIZE	0x4000
#define NOTIFY_STEP	4

/* Offsets in BAR_MSIX */
#define AT_PBA		0x800
#define BAR_MSIX_SIZE	0x1000

/* Offsets in configuration space */
#define CAP_MSIX	0x40
#define CAP_COMMON	0x50
#define CAP_NOTIFY	0x60
#define CAP_ISR		0x74
#define CAP_DEVICE	0x84
#define CAP_CFG		0x94

/* 4.1.4.5: bits of the ISR status */
#define ISR_QUEUE	1
#define ISR_CONFIG	2

static const struct virtio_ops *const dev = &virtio_dibs_ops;

static void put16(uint8_t *at, uint16_t v)
{
	at[0] = v;
	at[1] = v >> 8;
}

static void put32(uint8_t *at, uint32_t v)
{
	put16(at, v);
	put16(at + 2, v >> 16);
}

static uint64_t get_le(const uint8_t *at, uint32_t len)
{
	uint64_t v = 0;

	while (len)
		v = v << 8 | at[--len];
	return v;
}

static void put_le(uint8_t *at, uint64_t v, uint32_t len)
{
	for (; len; len--, v >>= 8)
		*at++ = v;
}

/* ---------------------------- configuration space ---------------------------- */

static void put_cap(uint8_t *c, uint8_t next, uint8_t len, uint8_t type, uint8_t bar,
		    uint32_t offset, uint32_t length)
{
	c[0] = PCI_CAP_ID_VNDR;
	c[1] = next;
	c[2] = len;
	c[3] = type;
	c[4] = bar;
	put32(c + 8, offset);
	put32(c + 12, length);
}

static void config_init(uint8_t *c)
{
	memset(c, 0, VPCI_CONFIG_SIZE);
	put16(c + PCI_VENDOR_ID, 0x1af4);
	put16(c + PCI_DEVICE_ID, 0x1040 + dev->id);
	put16(c + PCI_STATUS, PCI_STATUS_CAP_LIST);
	c[PCI_REVISION_ID] = 1;
	put16(c + PCI_CLASS_DEVICE, 0xff00);
	put32(c + PCI_BASE_ADDRESS_0 + 4 * BAR_VIRTIO, PCI_BASE_ADDRESS_MEM_TYPE_64);
	put16(c + PCI_SUBSYSTEM_VENDOR_ID, 0x1af4);
	put16(c + PCI_SUBSYSTEM_ID, 0x1100);
	c[PCI_CAPABILITY_LIST] = CAP_MSIX;
	c[PCI_INTERRUPT_PIN] = 1;

	c[CAP_MSIX] = PCI_CAP_ID_MSIX;
	c[CAP_MSIX + 1] = CAP_COMMON;
	put16(c + CAP_MSIX + PCI_MSIX_FLAGS, vpci_ops.nr_vectors - 1);
	put32(c + CAP_MSIX + PCI_MSIX_TABLE, BAR_MSIX);
	put32(c + CAP_MSIX + PCI_MSIX_PBA, AT_PBA | BAR_MSIX);
	put_cap(c + CAP_COMMON, CAP_NOTIFY, 16, VIRTIO_PCI_CAP_COMMON_CFG, BAR_VIRTIO,
		AT_COMMON, sizeof(struct virtio_pci_common_cfg));
	put_cap(c + CAP_NOTIFY, CAP_ISR, 20, VIRTIO_PCI_CAP_NOTIFY_CFG, BAR_VIRTIO,
		AT_NOTIFY, NOTIFY_STEP * VPCI_MAX_QUEUES);
	put32(c + CAP_NOTIFY + 16, NOTIFY_STEP);
	put_cap(c + CAP_ISR, CAP_DEVICE, 16, VIRTIO_PCI_CAP_ISR_CFG, BAR_VIRTIO,
		AT_ISR, 1);
	put_cap(c + CAP_DEVICE, CAP_CFG, 16, VIRTIO_PCI_CAP_DEVICE_CFG, BAR_VIRTIO,
		AT_DEVICE, dev->config_len);
	put_cap(c + CAP_CFG, 0, 20, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0);
}

/* What the driver can write there, of what QEMU does not keep to itself */
static bool config_writable(uint32_t at)
{
	return at == PCI_COMMAND || at == PCI_COMMAND + 1 ||
	       at == PCI_CACHE_LINE_SIZE || at == PCI_INTERRUPT_LINE ||
	       at == CAP_MSIX + PCI_MSIX_FLAGS + 1 || at == CAP_CFG + 4 ||
	       (at >= CAP_CFG + 8 && at < CAP_CFG + 20);
}

/* 4.1.4.9: the last field of the capability stands for a part of a BAR */
static bool cfg_window(const uint8_t *c, uint32_t *offset, uint32_t *len)
{
	*offset = get_le(c + CAP_CFG + 8, 4);
	*len = get_le(c + CAP_CFG + 12, 4);
	return c[CAP_CFG + 4] == BAR_VIRTIO && (*len == 1 || *len == 2 || *len == 4) &&
	       *offset <= BAR_VIRTIO_SIZE - *len;
}

static void bar_read(struct port *p, uint64_t offset, uint8_t *buf, uint32_t len);
static void bar_write(struct port *p, uint64_t offset, const uint8_t *buf, uint32_t len);

static void config_read(struct port *p, uint64_t offset, uint8_t *buf, uint32_t len)
{
	uint8_t *c = p->st->vpci.config;
	uint32_t at, n;

	if (offset == CAP_CFG + 16 && cfg_window(c, &at, &n))
		bar_read(p, at, c + CAP_CFG + 16, n);
	memcpy(buf, c + offset, len);
}

static void config_write(struct port *p, uint64_t offset, const uint8_t *buf,
			 uint32_t len)
{
	uint8_t *c = p->st->vpci.config;
	uint32_t i, at, n;

	for (i = 0; i < len; i++)
		if (config_writable(offset + i))
			c[offset + i] = buf[i];
	if (offset == CAP_CFG + 16 && cfg_window(c, &at, &n))
		bar_write(p, at, c + CAP_CFG + 16, n);
}

/* ------------------------------- life-cycle ------------------------------- */

bool vpci_running(const struct port *p)
{
	uint8_t s = atomic_load(&p->st->vpci.status);

	return (s & VIRTIO_CONFIG_S_DRIVER_OK) && !(s & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* There may be something to do in a queue */
void vpci_kick(struct port *p, uint32_t queue)
{
	p->vpci.kicked |= 1u << queue;
	p->ready = true;
}

static void notify(struct port *p, uint16_t vector, uint8_t isr)
{
	if (vu_uses_msix(p)) {
		vu_irq(p, vector);
		return;
	}
	atomic_fetch_or(&p->st->vpci.isr, isr);
	vu_intx(p);
}

static void attach_queues(struct port *p)
{
	bool event_idx = p->st->vpci.driver_features >> VIRTIO_RING_F_EVENT_IDX & 1;
	uint32_t i;

	for (i = 0; i < dev->nr_queues; i++)
		vq_attach(&p->vpci.queue[i], &p->st->vpci.queue[i], &p->mem, event_idx);
	p->vpci.kicked = 0;
	p->vpci.stalled = 0;
}

/* 2.1.2: the driver has violated the rules, nothing goes on before a reset */
static void needs_reset(struct port *p)
{
	dev->stop(p);
	atomic_fetch_or(&p->st->vpci.status, VIRTIO_CONFIG_S_NEEDS_RESET);
	p->vpci.kicked = 0;
	notify(p, p->st->vpci.msix_config, ISR_CONFIG);
}

static void registers_init(struct vpci_state *v)
{
	uint32_t i;

	v->device_feature_select = 0;
	v->driver_feature_select = 0;
	v->driver_features = 0;
	v->msix_config = VQ_NO_VECTOR;
	v->queue_select = 0;
	atomic_store(&v->isr, 0);
	for (i = 0; i < VPCI_MAX_QUEUES; i++) {
		memset(&v->queue[i], 0, sizeof(v->queue[i]));
		v->queue[i].size = VQ_MAX_SIZE;
		v->queue[i].vector = VQ_NO_VECTOR;
	}
}

/* The status last: a worker that dies on the way resets again */
static void device_reset(struct port *p)
{
	dev->stop(p);
	p->vpci.kicked = 0;
	registers_init(&p->st->vpci);
	fault_point(FAULT_RESET);
	atomic_store(&p->st->vpci.status, 0);
}

static void port_reset(struct port *p)
{
	device_reset(p);
	config_init(p->st->vpci.config);
}

/* Is each queue that the driver has set up where a queue can be? */
static bool queues_ok(const struct port *p)
{
	const struct vq *q;
	uint32_t i;

	for (i = 0; i < dev->nr_queues; i++) {
		q = &p->vpci.queue[i];
		if (q->st->enabled && !(vq_addresses_ok(q->st) && vq_reachable(q)))
			return false;
	}
	return true;
}

static void set_status(struct port *p, uint8_t want)
{
	struct vpci_state *v = &p->st->vpci;
	uint8_t old = atomic_load(&v->status);
	bool start;

	if (!want) {
		device_reset(p);
		return;
	}
	/* 3.1.1: what was not offered, or is required, decides */
	if (v->driver_features & ~dev->features || dev->required & ~v->driver_features)
		want &= ~(VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	/* 2.1.1: the driver does not take them back */
	want |= old;
	/* 3.1.1: until then features can be changed, and what runs depends on them */
	if (!(want & VIRTIO_CONFIG_S_FEATURES_OK))
		want &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	start = want & ~old & VIRTIO_CONFIG_S_DRIVER_OK;
	if (start) {
		attach_queues(p);
		if (!queues_ok(p) || !fabric_may_join(p->fabric, p->nr, port_now()))
			want |= VIRTIO_CONFIG_S_NEEDS_RESET;
	}
	atomic_store(&v->status, want);
	fault_point(FAULT_STATUS_SET);
	if (!start)
		return;
	if (want & VIRTIO_CONFIG_S_NEEDS_RESET) {
		needs_reset(p);
		return;
	}
	dev->start(p);
	p->vpci.kicked = (1u << dev->nr_queues) - 1;
	p->ready = true;
}

/* -------------------------------- registers -------------------------------- */

/* 4.1.4.3: fields by offset; those of 64 bits are two of 32 */
static uint32_t common_read(const struct port *p, uint64_t offset)
{
	const struct vpci_state *v = &p->st->vpci;
	const struct vq_state *q = v->queue_select < dev->nr_queues ?
				   &v->queue[v->queue_select] : NULL;

	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return v->device_feature_select;
	case VIRTIO_PCI_COMMON_DF:
		return v->device_feature_select < 2 ?
		       dev->features >> (32 * v->device_feature_select) : 0;
	case VIRTIO_PCI_COMMON_GFSELECT:
		return v->driver_feature_select;
	case VIRTIO_PCI_COMMON_GF:
		return v->driver_feature_select < 2 ?
		       v->driver_features >> (32 * v->driver_feature_select) : 0;
	case VIRTIO_PCI_COMMON_MSIX:
		return v->msix_config;
	case VIRTIO_PCI_COMMON_NUMQ:
		return dev->nr_queues;
	case VIRTIO_PCI_COMMON_STATUS:
		return atomic_load(&v->status);
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return v->queue_select;
	}
	if (!q)
		return 0;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return q->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return q->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return q->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return v->queue_select;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return q->desc;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return q->desc >> 32;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return q->avail;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return q->avail >> 32;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		return q->used;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return q->used >> 32;
	}
	return 0;
}

static void set_half(uint64_t *v, bool high, uint32_t half)
{
	*v = high ? (*v & UINT32_MAX) | (uint64_t)half << 32 : (*v >> 32 << 32) | half;
}

static uint16_t vector_or_none(uint32_t v)
{
	return v < vpci_ops.nr_vectors ? v : VQ_NO_VECTOR;
}

static void queue_write(struct vq_state *q, uint64_t offset, uint32_t v)
{
	/* the driver may not change a queue that is in use, but its vector */
	if (offset == VIRTIO_PCI_COMMON_Q_MSIX)
		q->vector = vector_or_none(v);
	if (q->enabled)
		return;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		q->size = v;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		q->enabled = v == 1;
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_half(&q->desc, offset == VIRTIO_PCI_COMMON_Q_DESCHI, v);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_half(&q->avail, offset == VIRTIO_PCI_COMMON_Q_AVAILHI, v);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_half(&q->used, offset == VIRTIO_PCI_COMMON_Q_USEDHI, v);
		break;
	}
}

static void common_write(struct port *p, uint64_t offset, uint32_t value)
{
	struct vpci_state *v = &p->st->vpci;

	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		v->device_feature_select = value;
		return;
	case VIRTIO_PCI_COMMON_GFSELECT:
		v->driver_feature_select = value;
		return;
	case VIRTIO_PCI_COMMON_GF:
		if (v->driver_feature_select < 2 &&
		    !(atomic_load(&v->status) & VIRTIO_CONFIG_S_FEATURES_OK))
			set_half(&v->driver_features, v->driver_feature_select, value);
		return;
	case VIRTIO_PCI_COMMON_MSIX:
		v->msix_config = vector_or_none(value);
		return;
	case VIRTIO_PCI_COMMON_STATUS:
		set_status(p, value);
		return;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		v->queue_select = value;
		return;
	}
	if (v->queue_select < dev->nr_queues)
		queue_write(&v->queue[v->queue_select], offset, value);
}

/* --------------------------------- regions --------------------------------- */

static void bar_read(struct port *p, uint64_t offset, uint8_t *buf, uint32_t len)
{
	uint8_t config[VPCI_DEVICE_CONFIG_MAX];

	memset(buf, 0, len);
	if (offset < AT_COMMON + sizeof(struct virtio_pci_common_cfg)) {
		put_le(buf, common_read(p, offset), len < 4 ? len : 4);
	} else if (offset == AT_ISR) {
		buf[0] = atomic_exchange(&p->st->vpci.isr, 0);
	} else if (offset >= AT_DEVICE && offset < AT_DEVICE + dev->config_len) {
		dev->config(p, config);
		offset -= AT_DEVICE;
		if (len > dev->config_len - offset)
			len = dev->config_len - offset;
		memcpy(buf, config + offset, len);
	}
}

static void bar_write(struct port *p, uint64_t offset, const uint8_t *buf, uint32_t len)
{
	if (offset < AT_COMMON + sizeof(struct virtio_pci_common_cfg)) {
		common_write(p, offset, get_le(buf, len < 4 ? len : 4));
	} else if (offset >= AT_NOTIFY) {
		p->st->vpci.doorbells++;
		offset = (offset - AT_NOTIFY) / NOTIFY_STEP;
		if (offset < dev->nr_queues)
			vpci_kick(p, offset);
	}
}

static uint64_t region_size(uint32_t region)
{
	switch (region) {
	case BAR_VIRTIO:
		return BAR_VIRTIO_SIZE;
	case BAR_MSIX:
		return BAR_MSIX_SIZE;
	case VU_CONFIG_REGION:
		return VPCI_CONFIG_SIZE;
	}
	return 0;
}

static void region_read(struct port *p, uint32_t region, uint64_t offset, void *buf,
			uint32_t len)
{
	if (region == VU_CONFIG_REGION)
		config_read(p, offset, buf, len);
	else if (region == BAR_VIRTIO)
		bar_read(p, offset, buf, len);
	else
		memset(buf, 0, len);
}

static int region_write(struct port *p, uint32_t region, uint64_t offset,
			const void *buf, uint32_t len)
{
	if (region == VU_CONFIG_REGION)
		config_write(p, offset, buf, len);
	else if (region == BAR_VIRTIO)
		bar_write(p, offset, buf, len);
	return 0;
}

static bool intx_pending(struct port *p)
{
	return atomic_load(&p->st->vpci.isr);
}

/* --------------------------------- queues --------------------------------- */

/* Serves one queue, and tells the driver what came of it; true if there is more */
static bool serve_queue(struct port *p, uint32_t nr, struct vpci_turn *turn)
{
	struct vq *q = &p->vpci.queue[nr];
	bool more;

	if (!q->st->enabled)
		return false;
	/* it may have been enabled after DRIVER_OK */
	if (!vq_addresses_ok(q->st)) {
		q->broken = true;
		return false;
	}
	more = dev->serve(p, nr, turn);
	if (vq_should_notify(q))
		notify(p, q->st->vector, ISR_QUEUE);
	port_end(p);
	return more;
}

/* Of some queues the one whose turn it is, so that each gets its own */
static uint32_t next_queue(struct port *p, uint32_t queues)
{
	uint32_t behind = queues & -1u << p->vpci.next;
	uint32_t nr = __builtin_ctz(behind ? behind : queues);

	p->vpci.next = nr + 1;
	return nr;
}

static bool serve(struct port *p)
{
	struct vpci_turn turn = { VPCI_TURN_BUFFERS, VPCI_TURN_BYTES };
	uint32_t nr, left = vpci_running(p) ? p->vpci.kicked & ~p->vpci.stalled : 0;

	p->vpci.kicked = 0;
	while (left && turn.buffers && turn.bytes) {
		nr = next_queue(p, left);
		left &= ~(1u << nr);
		if (serve_queue(p, nr, &turn))
			p->vpci.kicked |= 1u << nr;
		if (p->vpci.queue[nr].broken) {
			port_begin(p, nr, vq_key(&p->vpci.queue[nr]));
			needs_reset(p);
			port_end(p);
			return false;
		}
	}
	p->vpci.kicked |= left;
	return p->vpci.kicked;
}

/* Doorbells of before, and what the driver was told, were another worker's business */
static void resume_stalled(struct port *p)
{
	uint32_t i;

	for (i = 0; i < dev->nr_queues && vpci_running(p); i++) {
		if (!(p->vpci.stalled >> i & 1))
			continue;
		if (!vq_resume(&p->vpci.queue[i])) {
			if (p->vpci.queue[i].broken)
				needs_reset(p);
			continue;
		}
		p->vpci.stalled &= ~(1u << i);
		if (vq_should_notify(&p->vpci.queue[i]))
			notify(p, p->st->vpci.queue[i].vector, ISR_QUEUE);
		vpci_kick(p, i);
	}
}

/*
 * A queue whose rings have gone with memory is not looked at, whatever is in it, until
 * they are back: a client can take memory away for a while, as firmware does.
 */
static void stall(struct port *p)
{
	const struct vq *q;
	uint32_t i;

	for (i = 0; i < dev->nr_queues && vpci_running(p); i++) {
		q = &p->vpci.queue[i];
		/* a worker that repeats a message begins with the queues later */
		if (q->st && q->st->enabled && !vq_reachable(q))
			p->vpci.stalled |= 1u << i;
	}
}

/* What another worker has begun can be repeated */
static void restart(struct port *p)
{
	uint32_t i;

	attach_queues(p);
	if (!vpci_running(p))
		return;
	dev->start(p);
	for (i = 0; i < dev->nr_queues; i++)
		if (p->st->vpci.queue[i].enabled)
			p->vpci.stalled |= 1u << i;
	resume_stalled(p);
}

/* One buffer of a queue at most is half done; it is repeated as a whole */
static void repeat(struct port *p, unsigned int pass)
{
	struct vpci_turn turn;
	uint32_t nr;

	for (nr = 0; nr < dev->nr_queues && vpci_running(p); nr++) {
		if (!(p->vpci.kicked >> nr & 1) || !dev->repeats(nr, pass))
			continue;
		turn = (struct vpci_turn){ 1, UINT64_MAX };
		serve_queue(p, nr, &turn);
	}
}

static void wake(struct port *p)
{
	if (vpci_running(p))
		dev->wake(p);
}

const struct port_ops vpci_ops = {
	.nr_vectors	= VPCI_MAX_QUEUES + 1,
	.region_size	= region_size,
	.region_read	= region_read,
	.region_write	= region_write,
	.reset		= port_reset,
	.intx_pending	= intx_pending,
	.serve		= serve,
	.restart	= restart,
	.repeat		= repeat,
	.mapped		= resume_stalled,
	.unmapped	= stall,
	.wake		= wake,
};
