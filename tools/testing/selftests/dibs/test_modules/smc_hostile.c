// SPDX-License-Identifier: GPL-2.0
/*
 * What a peer of SMC-D could do and ours does not, and what needs unlikely
 * timing: changes handshake messages on arrival, answers an accept with an abort
 * before it is declined, makes the receive handler slow.
 */
#include <linux/atomic.h>
#include <linux/bottom_half.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/dibs.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/unaligned.h>

/* CLC messages, RFC 7609 section A.3 and "Shared Memory Communications Version
 * 2", and in them the accept and confirm of SMC-D
 */
#define CLC_TYPE	4	/* u8 */
#define CLC_ACCEPT	2
#define CLC_CONFIRM	3
#define CLC_TOKEN	16	/* be64 */
#define CLC_DMBE_IDX	24	/* u8 */
#define CLC_DMBE_SIZE	25	/* 4 bits, the upper ones: 0 for 16 KiB, 1 for 32 ... */

/* What SMC-D writes to the beginning of the DMB element of its peer */
#define CDC_LEN		40
#define CDC_TYPE	0xfe
#define CDC_STATE	23	/* u8 */
#define CDC_STATE_ABORT	0x20

static int type;
module_param(type, int, 0);
MODULE_PARM_DESC(type, "type of message to change");

static int index = -1;
module_param(index, int, 0);
MODULE_PARM_DESC(index, "index of the DMB element to put into it");

static int size = -1;
module_param(size, int, 0);
MODULE_PARM_DESC(size, "compressed size to put into it");

static bool tell;
module_param(tell, bool, 0);
MODULE_PARM_DESC(tell, "tell who sent the message that the connection was aborted");

static int slow_ms;
module_param(slow_ms, int, 0);
MODULE_PARM_DESC(slow_ms, "time that the receive handler takes to return");

static int create_ms;
module_param(create_ms, int, 0);
MODULE_PARM_DESC(create_ms, "time that a handshake waits before it looks for a link group");

static atomic_t waiting = ATOMIC_INIT(0);
static atomic_t changed = ATOMIC_INIT(0);
static atomic_t runs = ATOMIC_INIT(0);
static atomic_t late = ATOMIC_INIT(0);

static int hostile_get_atomic(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(kp->arg));
}

static const struct kernel_param_ops hostile_atomic_ops = {
	.get = hostile_get_atomic,
};

module_param_cb(waiting, &hostile_atomic_ops, &waiting, 0444);
MODULE_PARM_DESC(waiting, "handshakes that wait");
module_param_cb(changed, &hostile_atomic_ops, &changed, 0444);
MODULE_PARM_DESC(changed, "messages that were changed");
module_param_cb(runs, &hostile_atomic_ops, &runs, 0444);
MODULE_PARM_DESC(runs, "runs of the receive handler");
module_param_cb(late, &hostile_atomic_ops, &late, 0444);
MODULE_PARM_DESC(late, "connections that ended while their handler was running");

static struct dibs_dev *lo;

static int hostile_add_dev(struct dibs_dev *dibs)
{
	if (strcmp(dev_name(&dibs->dev), "lo"))
		return -ENODEV;
	lo = dibs;
	return 0;
}

static void hostile_del_dev(struct dibs_dev *dibs)
{
	lo = NULL;
}

static void hostile_handle_irq(struct dibs_dev *dibs, unsigned int idx,
			       u16 dmbemask)
{
}

static const struct dibs_client_ops hostile_ops = {
	.add_dev	= hostile_add_dev,
	.del_dev	= hostile_del_dev,
	.handle_irq	= hostile_handle_irq,
};

static struct dibs_client hostile_client = {
	.name	= "hostile",
	.ops	= &hostile_ops,
};

/* The handler of the peer has run when this returns */
static int tell_abort(const u8 *msg)
{
	unsigned int offset = msg[CLC_DMBE_IDX] * (SZ_16K << (msg[CLC_DMBE_SIZE] >> 4));
	u8 cdc[CDC_LEN] __aligned(8) = { CDC_TYPE };
	int rc = -ENODEV;

	cdc[CDC_STATE] = CDC_STATE_ABORT;
	local_bh_disable();
	if (lo)
		rc = dibs_move_data(lo, get_unaligned_be64(msg + CLC_TOKEN), 0,
				    true, offset, cdc, sizeof(cdc));
	local_bh_enable();
	return rc;
}

/* Connections whose receive handler is running */
static void *running[NR_CPUS];

static int remember_arg(struct kretprobe_instance *ri, unsigned int arg,
			struct pt_regs *regs)
{
	*(void **)ri->data = (void *)regs_get_kernel_argument(regs, arg);
	return 0;
}

static int msg_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	return remember_arg(ri, 1, regs);
}

static int msg_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	u8 *msg = *(void **)ri->data;

	if ((int)regs_return_value(regs) || msg[CLC_TYPE] != type)
		return 0;
	if (tell && tell_abort(msg))
		return 0;
	if (index >= 0)
		msg[CLC_DMBE_IDX] = index;
	if (size >= 0)
		msg[CLC_DMBE_SIZE] = (msg[CLC_DMBE_SIZE] & 0x0f) | size << 4;
	atomic_inc(&changed);
	return 0;
}

static int rx_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	remember_arg(ri, 0, regs);
	WRITE_ONCE(running[smp_processor_id()], *(void **)ri->data);
	atomic_inc(&runs);
	return 0;
}

/* Late, so that what it has set off has the time to end the connection */
static int rx_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	mdelay(slow_ms);
	WRITE_ONCE(running[smp_processor_id()], NULL);
	return 0;
}

static int free_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	return remember_arg(ri, 0, regs);
}

static int free_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	int cpu;

	for_each_possible_cpu(cpu)
		if (READ_ONCE(running[cpu]) == *(void **)ri->data)
			atomic_inc(&late);
	return 0;
}

static struct kretprobe probes[] = {
	{
		.kp.symbol_name	= "smc_clc_wait_msg",
		.entry_handler	= msg_entry,
		.handler	= msg_return,
		.data_size	= sizeof(void *),
		.maxactive	= 64,
	}, {
		.kp.symbol_name	= "smcd_cdc_rx",
		.entry_handler	= rx_entry,
		.handler	= rx_return,
		.data_size	= sizeof(void *),
		.maxactive	= 64,
	}, {
		.kp.symbol_name	= "smc_conn_free",
		.entry_handler	= free_entry,
		.handler	= free_return,
		.data_size	= sizeof(void *),
		.maxactive	= 64,
	},
};

static struct kprobe create_probe;
static struct task_struct *through;

/* Called instead of smc_conn_create(), and then calls it */
static noinline int slow_create(void *smc, void *ini)
{
	int (*create)(void *smc, void *ini) = (void *)create_probe.addr;

	atomic_inc(&waiting);
	msleep(create_ms);
	WRITE_ONCE(through, current);
	return create(smc, ini);
}

static int create_entry(struct kprobe *p, struct pt_regs *regs)
{
	if (READ_ONCE(through) == current) {
		WRITE_ONCE(through, NULL);
		return 0;
	}
	instruction_pointer_set(regs, (unsigned long)slow_create);
	return 1;
}

/* A probe that has one is not replaced by a jump, which goes nowhere else */
static void create_post(struct kprobe *p, struct pt_regs *regs,
			unsigned long flags)
{
}

static struct kprobe create_probe = {
	.symbol_name	= "smc_conn_create",
	.pre_handler	= create_entry,
	.post_handler	= create_post,
};

static struct kretprobe *probe_ptrs[] = { &probes[0], &probes[1], &probes[2] };

static int __init hostile_init(void)
{
	int rc;

	rc = dibs_register_client(&hostile_client);
	if (rc)
		return rc;
	rc = register_kretprobes(probe_ptrs, ARRAY_SIZE(probe_ptrs));
	if (rc)
		goto out_client;
	rc = create_ms ? register_kprobe(&create_probe) : 0;
	if (rc)
		goto out_probes;
	return 0;

out_probes:
	unregister_kretprobes(probe_ptrs, ARRAY_SIZE(probe_ptrs));
out_client:
	dibs_unregister_client(&hostile_client);
	return rc;
}

static void __exit hostile_exit(void)
{
	if (create_ms)
		unregister_kprobe(&create_probe);
	unregister_kretprobes(probe_ptrs, ARRAY_SIZE(probe_ptrs));
	dibs_unregister_client(&hostile_client);
}

module_init(hostile_init);
module_exit(hostile_exit);

MODULE_DESCRIPTION("Hostile SMC-D peer, for tests");
MODULE_LICENSE("GPL");
