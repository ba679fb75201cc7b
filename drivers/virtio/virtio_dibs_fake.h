/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Direct Internal Buffer Sharing between the guests of a host
 *
 * A virtio-dibs device, its transport and a client, for tests.
 */
#ifndef _DRIVERS_VIRTIO_DIBS_FAKE_H
#define _DRIVERS_VIRTIO_DIBS_FAKE_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dibs.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/platform_device.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/virtio_dibs.h>
#include <linux/virtio_ring.h>

#define FAKE_VQS	16
#define FAKE_RING	64
#define FAKE_DMBS	64
#define FAKE_EVENTS	256
#define FAKE_FABRIC	0xff42
#define FAKE_QUOTA	16

/* What happens in the life of a device, in order */
enum fake_step {
	FAKE_NEVER,
	FAKE_FEATURES,
	FAKE_CONFIG,
	FAKE_FIND_VQS,
	FAKE_DRIVER_OK,
	FAKE_CTRL,
	FAKE_MOVE,
	FAKE_SIGNAL,
	FAKE_EVENT,
	FAKE_RESET,
	FAKE_DEL_VQS,
};

/* What is wrong with the id in a used ring */
enum fake_id {
	FAKE_ID_GOOD,
	FAKE_ID_HUGE,		/* beyond the ring */
	FAKE_ID_RANGE,		/* the first beyond the ring */
	FAKE_ID_UNKNOWN,	/* of no buffer */
	FAKE_ID_TWICE,		/* right, and then once more */
};

struct fake;

/**
 * struct fake_vq - a queue, as the device sees it
 * @fake: the device
 * @vq: the queue, NULL if the driver has none
 * @vring: its rings
 * @avail: position in the available ring
 * @irq: interrupt
 * @notified: doorbells
 * @given: buffers given back
 */
struct fake_vq {
	struct fake *fake;
	struct virtqueue *vq;
	struct vring vring;
	u16 avail;
	struct irq_work irq;
	unsigned int notified;
	unsigned int given;
};

/* A DMB that the driver has registered */
struct fake_dmb {
	bool used;
	u64 token;
	u32 idx;
	u32 len;
	u64 addr;
	uuid_t rgid;
	u16 pending;
};

/* What a move asked for, without its data */
struct fake_moved {
	u64 token;
	u16 flags;
	u16 signal;
	u16 nsegs;
	unsigned int queue;
	u32 len;
};

/**
 * struct fake - a device that does as it is told
 * @vdev: the virtio device, on a bus of its own
 * @pdev: its parent, which memory is mapped for
 * @plugged: @vdev is registered
 * @released: nobody refers to @vdev any more
 * @lock: one thing at a time
 *
 * @features: what is offered
 * @config: the configuration
 * @generation: of the configuration
 * @restless: number of reads of the generation after each of which the
 *	configuration changes
 * @config_reads: reads of the configuration
 * @ring_size: size of all queues
 * @status: the device status
 * @gone: all that is read is ones
 *
 * @vqs: the queues
 * @nvqs: number of queues that the driver has set up
 * @dmbs: registered DMBs
 * @next_token: token of the next DMB
 * @sw_pending: SW events that wait for a buffer
 * @nr_sw_pending: their number
 * @moved: the last move
 * @last_ctrl: the last request
 * @moves: number of moves
 * @resets: number of resets
 * @waiting: most requests or moves that a queue has had when it was reset
 *
 * @ctrl_status: answer to requests instead of the right one, -1 for none
 * @ctrl_len: length of an answer
 * @ctrl_silent: requests are not answered
 * @zero_token: DMBs have the token 0
 * @move_status: answer to moves instead of the right one, -1 for none
 * @move_len: length of an answer
 * @move_silent: moves are not answered
 * @bad_id: what is wrong with the used ring of @bad_queue, once
 * @bad_queue: see @bad_id
 * @needs_reset_at: when to set NEEDS_RESET, once
 * @irq_at: when to interrupt for all queues
 * @garbage: put an entry into the used rings of these queues before that
 * @refuse: FEATURES_OK is refused
 * @late: when the device is reset, answer everything before
 * @on_move: called in the middle of a move
 * @on_reset: called when the device is reset, before it forgets anything
 * @config_irq: interrupt for a change of the configuration or the status
 */
struct fake {
	struct virtio_device vdev;
	struct platform_device *pdev;
	bool plugged;
	struct completion released;
	raw_spinlock_t lock;	/* see above */

	u64 features;
	struct virtio_dibs_config config;
	u32 generation;
	unsigned int restless;
	unsigned int config_reads;
	unsigned int ring_size;
	u8 status;
	bool gone;

	struct fake_vq vqs[FAKE_VQS];
	unsigned int nvqs;
	struct fake_dmb dmbs[FAKE_DMBS];
	u64 next_token;
	struct virtio_dibs_event sw_pending[FAKE_QUOTA];
	unsigned int nr_sw_pending;
	struct fake_moved moved;
	u8 last_ctrl[128];
	unsigned int moves;
	unsigned int resets;
	u16 waiting;

	int ctrl_status;
	u32 ctrl_len;
	bool ctrl_silent;
	bool zero_token;
	int move_status;
	u32 move_len;
	bool move_silent;
	enum fake_id bad_id;
	unsigned int bad_queue;
	enum fake_step needs_reset_at;
	enum fake_step irq_at;
	u16 garbage;
	bool refuse;
	bool late;
	void (*on_move)(struct fake *fake);
	void (*on_reset)(struct fake *fake);
	struct irq_work config_irq;
};

/* A client of the driver under test, which remembers what it was told */
struct fake_client {
	struct dibs_client client;
	struct fake *fake;
	struct dibs_dev *dibs;
	unsigned int added;
	unsigned int deleted;
	atomic_t mask[FAKE_DMBS];
	atomic_t runs;
	spinlock_t lock;	/* protects the events */
	struct dibs_event events[FAKE_EVENTS];
	unsigned int nr_events;
};

extern struct fake_client vfake_client;

int vfake_suite_init(struct kunit_suite *suite);
void vfake_suite_exit(struct kunit_suite *suite);

struct fake *vfake_new(struct kunit *test);
void vfake_free(struct kunit *test, struct fake *fake);
bool vfake_plug(struct fake *fake);
void vfake_unplug(struct fake *fake);
struct fake *vfake_start(struct kunit *test);
struct dibs_dev *vfake_get_dibs(void);
struct dibs_dev *vfake_dibs(struct kunit *test, struct fake *fake);

void vfake_set_needs_reset(struct fake *fake);
void vfake_interrupt(struct fake *fake);
bool vfake_event(struct fake *fake, const struct virtio_dibs_event *event,
		 u32 len);
bool vfake_signal(struct fake *fake, const struct virtio_dibs_signal *signal,
		  u32 len);
void vfake_answer(struct fake *fake);
struct fake_dmb *vfake_find_dmb(struct fake *fake, u64 token);
void vfake_event_at(unsigned int i, struct dibs_event *event);

static inline uuid_t vfake_gid(struct fake *fake)
{
	uuid_t gid;

	import_uuid(&gid, fake->config.gid);
	return gid;
}

/* Return: did it become true within 10 seconds? */
#define vfake_wait(cond) ({						\
	unsigned long end_ = jiffies + 10 * HZ;				\
	bool ok_;							\
									\
	while (!(ok_ = (cond)) && time_before(jiffies, end_))		\
		usleep_range(100, 1000);				\
	ok_;								\
})

#define FAKE_EXPECT(test, cond)	KUNIT_EXPECT_TRUE(test, vfake_wait(cond))

#endif /* _DRIVERS_VIRTIO_DIBS_FAKE_H */
